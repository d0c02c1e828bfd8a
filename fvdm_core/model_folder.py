"""The folder of a model: config.json, the transformer's weights and the autoencoder's."""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from fvdm_core.autoencoder import Autoencoder, AutoencoderConfig
from fvdm_core.card import CARD_FIELDS, MAX_NAME, ModelCard, Timesteps
from fvdm_core.containers import kind_of, why_not
from fvdm_core.files import atomic_write, file_name, make_folder, open_plain
from fvdm_core.limits import shown
from fvdm_core.model import VideoDiT
from fvdm_core.schedule import NoiseSchedule
from fvdm_core.shape import VideoDiTConfig
from fvdm_core.tensors import open_tensors, write_safetensors
from fvdm_core.weights import PART_OF, build, config_from, map_model

FORMAT, VERSION = "fvdm-studio", 1
CONFIG = "config.json"
TRANSFORMER, AUTOENCODER = "transformer.safetensors", "autoencoder.safetensors"
INDEX = f"{TRANSFORMER}.index.json"
SHARD = re.compile(r"transformer-\d{5}-of-\d{5}\.safetensors")
MAX_JSON_BYTES = 4 << 20
_FIELDS = (
    *("format", "version", *CARD_FIELDS),
    *("transformer", "autoencoder", "schedule", "sha256"),
)


@dataclass(frozen=True)
class ModelFolder:
    """A model that was opened whole: its checked config and both networks, float32 on the CPU.

    `autoencoder` is None for a converted file of a model that works on latents of another one.
    `model_hash` tells models apart: 16 hexadecimal digits of the files of both networks.
    """

    config: dict[str, Any]
    transformer: VideoDiT
    autoencoder: Autoencoder | None
    schedule: NoiseSchedule
    model_hash: str


def save_model_folder(
    folder: str | os.PathLike[str],
    *,
    config: Mapping[str, Any],
    transformer: Mapping[str, Tensor],
    autoencoder: Mapping[str, Tensor] | None,
) -> None:
    """Writes a model folder, config last; a folder of which only a part was written is recognised.

    `config` is as in config.json; "format", "version" and the checksums are added. Raises
    `ValueError` for a config that could not be opened again, `SaveError` for the disk.
    """
    path = Path(folder)
    whole = {"format": FORMAT, "version": VERSION, **config}
    whole.pop("sha256", None)
    whole = json.loads(json.dumps(whole))
    _check_config(whole, CONFIG)
    make_folder(path)
    write_safetensors(path / TRANSFORMER, transformer, {PART_OF: FORMAT})
    sums = {TRANSFORMER: _checksum(path / TRANSFORMER)}
    if autoencoder is not None:
        write_safetensors(path / AUTOENCODER, autoencoder)
        sums[AUTOENCODER] = _checksum(path / AUTOENCODER)
    text = json.dumps({**whole, "sha256": sums}, indent=2, ensure_ascii=False)
    with atomic_write(path / CONFIG) as temporary:
        temporary.write_text(text + "\n", "utf-8")


def load_model_folder(folder: str | os.PathLike[str]) -> ModelFolder:
    """Opens a model folder, whole or not at all; a single file of weights counts as one too.

    Raises `ValueError` that names the file and the reason: a config that does not fit its schema, a
    missing or refused file, weights of another architecture, files of two different saves.
    """
    path = Path(folder)
    if not path.is_dir():
        return _from_file(path)
    config = folder_config(path, "model", TRANSFORMER)
    model_config, autoencoder_config, schedule = _check_config(config, CONFIG)
    shards = _shards(path)
    hashes = [_checksum(path / name) for name in shards]
    _check_sums(config, dict(zip(shards, hashes, strict=True)))

    tensors: dict[str, Tensor] = {}
    for shard in shards:
        part = open_tensors(path / shard)
        if twice := tensors.keys() & part.keys():
            raise ValueError(f"{shard} holds {min(twice)[:80]} a second time")
        tensors |= part
    transformer = build(VideoDiT, model_config, tensors, TRANSFORMER)
    autoencoder = None
    if autoencoder_config is not None:
        hashes.append(_checksum(path / AUTOENCODER))
        _check_sums(config, {AUTOENCODER: hashes[-1]})
        autoencoder = build(
            Autoencoder, autoencoder_config, open_tensors(path / AUTOENCODER), AUTOENCODER
        )
    model_hash = hashlib.sha256("".join(hashes).encode()).hexdigest()[:16]
    return ModelFolder(config, transformer, autoencoder, schedule, model_hash)


def _from_file(path: Path) -> ModelFolder:
    shape, tensors, timesteps = map_model(path)
    config = _config_of_file(path, shape, timesteps)
    _, _, schedule = _check_config(config, file_name(path))
    model = build(VideoDiT, shape, tensors, file_name(path))
    return ModelFolder(config, model, None, schedule, _checksum(path)[:16])


def _config_of_file(path: Path, shape: VideoDiTConfig, timesteps: Timesteps) -> dict[str, Any]:
    return {"format": FORMAT, "version": VERSION, **config_of(shape, path.stem, timesteps)}


def refuse_part(path: Path) -> None:
    """`ValueError` for the weights in a model folder: alone they do not say what they predict, and
    may look like published ones."""
    beside = path.with_name(CONFIG)
    if path.name == TRANSFORMER and beside.is_file() and read_json(beside).get("format") == FORMAT:
        raise ValueError(f"{TRANSFORMER} is a part of the model folder that it lies in: open that")


def read_config(path: Path) -> dict[str, Any]:
    """What a model folder, or a single file of weights, is said to be, without its weights' values.

    Raises `ValueError` as `load_model_folder` does before it reads those.
    """
    if not path.is_dir():
        shape, _, timesteps = map_model(path)
        return _config_of_file(path, shape, timesteps)
    config = folder_config(path, "model", TRANSFORMER)
    _check_config(config, CONFIG)
    return config


def folder_config(path: Path, what: str, weights: str) -> dict[str, Any]:
    """The config.json of a folder; `ValueError` that names the folder where there is none."""
    if not (path / CONFIG).exists():
        raise ValueError(
            f"the folder {file_name(path.absolute())} is no {what}: it has no {CONFIG}; choose one "
            f"that holds {CONFIG} and {weights}"
        )
    return read_json(path / CONFIG)


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object from a file; `ValueError` for anything else, and above `MAX_JSON_BYTES`."""
    name = file_name(path)
    with open_plain(path) as file:
        kind = kind_of(file)
        if kind != "text":
            raise ValueError(f"{name} {why_not(kind, 'a JSON file')}")
        text = file.read(MAX_JSON_BYTES + 1)
    if len(text) > MAX_JSON_BYTES:
        raise ValueError(f"{name} has more than {MAX_JSON_BYTES} bytes")
    try:
        content = json.loads(text)
    except (ValueError, RecursionError):
        raise ValueError(f"{name} is not JSON") from None
    if not isinstance(content, dict):
        raise ValueError(f"{name} must be a JSON object, not {str(content)[:40]!r}")
    return content


def _shards(path: Path) -> list[str]:
    """The transformer's files: one, or those that an index lists, as plain names in the folder."""
    if (path / TRANSFORMER).exists() or not (path / INDEX).exists():
        return [TRANSFORMER]
    places = read_json(path / INDEX).get("weight_map")
    names = sorted(set(map(str, places.values()))) if isinstance(places, dict) else []
    foreign = [name for name in names if not SHARD.fullmatch(name)]
    if foreign or not 1 <= len(names) <= 1000:
        listed = f"{foreign[0][:60]!r}" if foreign else f"{len(names)} files"
        raise ValueError(
            f"{INDEX} lists {listed}; parts must be named like "
            "transformer-00001-of-00002.safetensors and lie in the same folder"
        )
    return names


def _check_config(
    config: dict[str, Any], name: str
) -> tuple[VideoDiTConfig, AutoencoderConfig | None, NoiseSchedule]:
    if config.get("format") != FORMAT or config.get("version") != VERSION:
        raise ValueError(
            f"{name} has format {str(config.get('format'))[:40]!r} version "
            f"{str(config.get('version'))[:20]!r}; expected {FORMAT!r} version {VERSION}"
        )
    if unknown := [key for key in config if key not in _FIELDS]:
        raise ValueError(
            f"{name} has the unknown field {unknown[0][:40]!r}; known are {', '.join(_FIELDS)}"
        )
    try:
        card = ModelCard.read(config)
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from None
    model = config_from(VideoDiTConfig, config.get("transformer"), f"{name}: transformer")
    try:
        card.check_classes(model.num_classes)
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from None
    autoencoder = None
    if config.get("autoencoder") is not None:
        autoencoder = config_from(AutoencoderConfig, config["autoencoder"], f"{name}: autoencoder")
        ours = (autoencoder.latent_channels, autoencoder.latent_size)
        if ours != (model.latent_channels, model.latent_size):
            raise ValueError(
                f"{name}: the autoencoder makes {ours[0]} channels of size {ours[1]}, but the "
                f"transformer takes {model.latent_channels} of size {model.latent_size}"
            )
    values = config.get("schedule", {})
    known: dict[str, tuple[type, ...]] = {
        **{"name": (str,), "num_train_timesteps": (int,), "prediction_type": (str,)},
        "shift": (int, float),
    }
    if not isinstance(values, dict):
        raise ValueError(f"{name}: schedule must be an object with {', '.join(known)}")
    for key, value in values.items():
        if key not in known or type(value) not in known[key]:
            raise ValueError(
                f"{name}: schedule: {shown(key)} is {shown(value)}; it has {', '.join(known)}"
            )
    try:
        return model, autoencoder, NoiseSchedule(**values)
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from None


def _checksum(path: Path) -> str:
    with open_plain(path, "checkpoint") as file:
        digest = hashlib.sha256()
        while block := file.read(1 << 20):
            digest.update(block)
        return digest.hexdigest()


def _check_sums(config: dict[str, Any], found: dict[str, str]) -> None:
    sums = config.get("sha256", {})
    for name, value in found.items():
        if isinstance(sums, dict) and sums.get(name, value) != value:
            raise ValueError(
                f"{name} is not the file that {CONFIG} was saved with; a save may have been "
                "interrupted: save or download the model again"
            )


def config_of(shape: VideoDiTConfig, name: str, timesteps: Timesteps) -> dict[str, Any]:
    """A config.json for a published model: the paper's schedule, no autoencoder, and classes by
    their numbers, as its file does not name them."""
    labels = tuple(str(number) for number in range(shape.num_classes))
    return {
        **ModelCard(name[:MAX_NAME], labels, timesteps=timesteps).written(),
        "transformer": asdict(shape),
        "autoencoder": None,
        "schedule": {"name": "linear", "num_train_timesteps": 1000, "prediction_type": "eps"},
    }
