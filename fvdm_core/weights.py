"""Loads a network from one file: infers its shape from its tensors, whole or not at all."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from fvdm_core.card import Timesteps
from fvdm_core.device import free_memory
from fvdm_core.files import file_name
from fvdm_core.model import VideoDiT
from fvdm_core.shape import VideoDiTConfig
from fvdm_core.tensors import checked_copies, open_tensors, read_metadata, write_safetensors

Shapes = Mapping[str, tuple[int, ...]]
Config = TypeVar("Config")
Network = TypeVar("Network", bound=nn.Module)
_BLOCK = re.compile(r"(blocks|blocks_spatial|blocks_temp)\.(\d+)\.(.+)")
MAX_NUMBER = 1 << 20  # of any field of a config
FEWEST_IN_BLOCK = 6  # tensors of a block, of either network
PART_OF = "part_of"  # in the metadata of a folder's weights: what format the folder has


def load_model(path: str | os.PathLike[str], num_heads: int | None = None) -> VideoDiT:
    """A VideoDiT in float32 on the CPU, from a safetensors or torch file, or from a model folder.

    Published Latte and FVDM files load too. The config is read from the file's metadata where it is
    there, and inferred from names and shapes otherwise; the number of heads leaves no trace in
    those, so it is 16 at width 1152 and one per 64 channels elsewhere unless `num_heads` is given.

    Raises `ValueError`: the file is refused (see `read_tensors`) or is another architecture.
    """
    if Path(path).is_dir():
        from fvdm_core.model_folder import load_model_folder

        model = load_model_folder(path).transformer
        _check_heads(model.config, num_heads, file_name(path))
        return model
    return open_model(path, num_heads)[0]


def open_model(
    path: str | os.PathLike[str], num_heads: int | None = None
) -> tuple[VideoDiT, Timesteps]:
    """As `load_model` of a file, and how its network was trained to be told the time.

    A published file with Latte's one list of blocks is Latte's: one timestep for the whole clip.
    """
    name = file_name(path)
    config, tensors, timesteps = map_model(path, num_heads)
    return build(VideoDiT, config, tensors, name), timesteps


def map_model(
    path: str | os.PathLike[str], num_heads: int | None = None
) -> tuple[VideoDiTConfig, Mapping[str, Tensor], Timesteps]:
    """What `open_model` builds, and from which tensors; none of them is read yet."""
    from fvdm_core.model_folder import refuse_part

    refuse_part(Path(path))
    name = file_name(path)
    timesteps: Timesteps = "vectorised"
    tensors = open_tensors(path)
    metadata = read_metadata(path)
    if PART_OF in metadata:
        raise ValueError(
            f"{name} is a part of a model folder, and needs the config.json there: open the folder"
        )
    declared = metadata.get("config")
    if declared is not None:
        try:
            config = config_from(VideoDiTConfig, json.loads(declared), f"{name}: config")
        except (json.JSONDecodeError, RecursionError):
            raise ValueError(f"{name}: the config in its metadata is not JSON") from None
        _check_heads(config, num_heads, name)
    else:
        if any(key.startswith("blocks.") for key in tensors):
            timesteps = "scalar"
        tensors = rename_published(tensors)
        config = infer_config({k: tuple(t.shape) for k, t in tensors.items()}, name, num_heads)
    return config, tensors, timesteps


def _check_heads(config: VideoDiTConfig, num_heads: int | None, name: str) -> None:
    if num_heads not in (None, config.num_heads):
        raise ValueError(f"num_heads is {num_heads}, but {name} says {config.num_heads}")


def save_model(path: str | os.PathLike[str], model: VideoDiT) -> None:
    """Writes a safetensors file that `load_model` opens, with the config in its metadata."""
    write_safetensors(path, model.state_dict(), {"config": json.dumps(asdict(model.config))})


def build(
    network: Callable[[Config], Network], config: Config, tensors: Mapping[str, Tensor], name: str
) -> Network:
    """The network of a config with these weights in float32; strictly all of them, or `ValueError`.

    The network is first laid out without memory and compared, so a config that claims a giant costs
    nothing.
    """
    _check_depth(config, tensors, name)
    with torch.device("meta"):
        model = network(config)
    expected = {key: tuple(t.shape) for key, t in model.state_dict().items()}
    given = {key: tuple(t.shape) for key, t in tensors.items()}
    _compare(expected, given, name)
    whole = [key for key, tensor in tensors.items() if not tensor.is_floating_point()]
    if whole:
        raise ValueError(
            f"{name}: {whole[0][:80]} is of {str(tensors[whole[0]].dtype).removeprefix('torch.')}; "
            "weights are floating-point numbers"
        )
    _check_room(tensors, name)
    model.load_state_dict(checked_copies(tensors, name, torch.float32), assign=True)
    return model.eval()


def infer_config(shapes: Shapes, name: str, num_heads: int | None = None) -> VideoDiTConfig:
    """The config that tensors of these names and shapes belong to; `ValueError` if none does."""
    try:
        hidden, channels, patch, _ = shapes["x_embedder.proj.weight"]
        tokens, frames = shapes["pos_embed"][1], shapes["temp_embed"][1]
        outputs = shapes["final_layer.linear.weight"][0] / (patch * patch * channels)
        mlp_ratio = shapes[_first(shapes, ".mlp.fc1.weight")][0] / hidden
        labels = shapes.get("y_embedder.embedding_table.weight", (1,))[0] - 1
    except (KeyError, ValueError, IndexError, ZeroDivisionError) as error:
        missing = f": {error.args[0]} is missing" if isinstance(error, KeyError) else ""
        raise ValueError(
            f"{name} is not a VideoDiT{missing}; its {len(shapes)} tensors begin with "
            f"{', '.join(key[:60] for key in sorted(shapes)[:3])}"
        ) from None
    grid = round(tokens**0.5)
    if outputs not in (1, 2) or grid * grid != tokens:
        raise ValueError(
            f"{name} is not a VideoDiT: {tokens} places per frame must be a square, and "
            f"{outputs:g} outputs per channel must be 1 or 2"
        )
    usual_heads = 16 if hidden == 1152 else max(1, hidden // 64)
    return config_from(
        VideoDiTConfig,
        {
            "hidden_size": hidden,
            "depth": len({match.group(1, 2) for key in shapes if (match := _BLOCK.match(key))}),
            "num_heads": usual_heads if num_heads is None else num_heads,
            "patch_size": patch,
            "latent_size": grid * patch,
            "latent_channels": channels,
            "num_frames": frames,
            "num_classes": labels,
            "learn_sigma": outputs == 2,
            "mlp_ratio": mlp_ratio,
        },
        name,
    )


def rename_published(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Latte's one list of blocks, spatial and temporal in turn, as the two lists of FVDM."""

    def renamed(key: str) -> str:
        match = _BLOCK.match(key)
        if not match or match[1] != "blocks":
            return key
        index = int(match[2])
        return f"{'blocks_temp' if index % 2 else 'blocks_spatial'}.{index // 2}.{match[3]}"

    return {renamed(key): tensor for key, tensor in tensors.items()}


def config_from(kind: type[Config], values: Any, name: str) -> Config:
    """A config dataclass from untrusted JSON; `ValueError` that names the field otherwise."""
    if not isinstance(values, dict):
        raise ValueError(f"{name} must be an object of fields, not {str(values)[:40]!r}")
    known = {field.name: field for field in fields(kind)}  # type: ignore[arg-type]
    for key, value in values.items():
        if key not in known:
            raise ValueError(
                f"{name} has the unknown field {str(key)[:40]!r}; known are {', '.join(known)}"
            )
        wanted = str(known[key].type)
        if not _FITS[wanted](value):
            raise ValueError(f"{name}: {key} is {str(value)[:60]}; it must be {_WORDS[wanted]}")
    try:
        return kind(**values)
    except (TypeError, ValueError) as error:
        said = str(error).replace("__init__() ", "").rpartition(".")[2] or str(error)
        raise ValueError(f"{name}: {said if isinstance(error, TypeError) else error}") from None


def _number(value: object) -> bool:
    return type(value) is int and 0 <= value <= MAX_NUMBER


_FITS: dict[str, Callable[[Any], bool]] = {  # by the annotations of the config dataclasses
    "int": _number,
    "bool": lambda value: isinstance(value, bool),
    "str": lambda value: isinstance(value, str) and len(value) <= 100,
    "float": lambda value: type(value) in (int, float) and 0 < value <= 64,
    "tuple[int, ...]": lambda value: (
        isinstance(value, list | tuple) and len(value) <= 16 and all(map(_number, value))
    ),
}
_WORDS = {
    "int": f"a whole number from 0 to {MAX_NUMBER}",
    "bool": "true or false",
    "str": "a short text",
    "float": "a number above 0, at most 64",
    "tuple[int, ...]": "a list of at most 16 whole numbers",
}


def _check_depth(config: object, tensors: Mapping[str, Tensor], name: str) -> None:
    """Even without memory a network of thousands of blocks takes long, and room, to lay out."""
    stages = len(getattr(config, "widths", ()))
    for field, times in (("depth", 1), ("blocks", 2 * stages)):
        if FEWEST_IN_BLOCK * times * getattr(config, field, 0) > len(tensors):
            raise ValueError(
                f"{name}: {field} is {getattr(config, field)}, but there are only "
                f"{len(tensors)} tensors"
            )


def _check_room(tensors: Mapping[str, Tensor], name: str) -> None:
    """Asked before, because Linux grants memory that it has not, and then ends the process."""
    needed = sum(tensor.numel() for tensor in tensors.values()) * torch.float32.itemsize
    free = free_memory()
    if free is not None and needed > free:
        raise ValueError(
            f"{name} needs {needed / 1e9:.2f} GB of memory, but {free / 1e9:.2f} GB are free; "
            "close other programs, or use a smaller model"
        )


def _compare(expected: Shapes, given: Shapes, name: str) -> None:
    missing = sorted(expected.keys() - given.keys())
    unknown = sorted(given.keys() - expected.keys())
    reshaped = [key for key in expected if key in given and expected[key] != given[key]]
    if not missing and not unknown and not reshaped:
        return
    parts = []
    if missing:
        parts.append(f"{len(missing)} missing (first {missing[0][:80]})")
    if unknown:
        parts.append(f"{len(unknown)} unknown (first {unknown[0][:80]})")
    if reshaped:
        key = reshaped[0]
        parts.append(
            f"{len(reshaped)} of another shape (first {key[:80]}: {given[key]}, "
            f"not {expected[key]})"
        )
    raise ValueError(
        f"{name} does not fit: of {len(expected)} tensors {', '.join(parts)}; nothing was loaded"
    )


def _first(shapes: Shapes, end: str) -> str:
    for key in shapes:
        if key.startswith("blocks") and key.endswith(end):
            return key
    raise KeyError(f"blocks_spatial.0{end}")
