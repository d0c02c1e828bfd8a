"""Opens a model by what a person types, also one of their own: a Python file that makes it."""

from __future__ import annotations

import hashlib
import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.machinery import ModuleSpec, SourceFileLoader
from importlib.util import module_from_spec, spec_from_loader
from pathlib import Path
from types import ModuleType
from typing import cast

import numpy as np
import torch
from torch import nn

from fvdm_core.device import preferring
from fvdm_core.files import file_name, is_program
from fvdm_core.memory import out_of_memory
from fvdm_core.network import LIBRARIES
from fvdm_core.pipeline import Pipeline
from fvdm_core.sampler import NotFinite
from fvdm_core.timeline import Timeline

log = logging.getLogger(__name__)

FUNCTION = "load"
PREFIX = "own_model_"  # of the name of the module
LARGE = 1_000_000_000  # parameters that are not tried out on a processor


def open_pipeline(
    source: str | None, device: str | None = None, autoencoder: str | None = None
) -> Pipeline:
    """What the flag --model names: a Python file for `load_own`, or as `Pipeline.from_pretrained`.

    Such a file is run with all rights of this program, so only whoever starts it may name one:
    never hand on what came over the network. Raises what those two raise.
    """
    if source is None or not is_program(source):
        return Pipeline.from_pretrained(source, device=device, autoencoder=autoencoder)
    if autoencoder is not None:
        raise ValueError(f"{Path(source).name} brings its own autoencoder; leave out --vae")
    return load_own(source, device)


def load_own(path: str | Path, device: str | None = None) -> Pipeline:
    """The pipeline that a Python file's function `load()` returns; the file is run to get it.

    It may import what lies beside it; each call reads all of that anew. device: for pipelines that
    name none. A pipeline without a `model_hash` gets one of its weights and of these files.

    Raises `ValueError` where there is no such file or function, or where either fails; the
    traceback is logged.
    """
    file = Path(path).expanduser().absolute()
    if not file.is_file():
        raise ValueError(f"{file_name(file)} is not a file here")
    loader = SourceFileLoader(PREFIX + file.stem, str(file))
    spec = cast(ModuleSpec, spec_from_loader(loader.name, loader))
    module = module_from_spec(spec)
    with _anew(module, file.parent):
        try:
            with _first_on_path(str(file.parent)), preferring(device):
                loader.exec_module(module)
                make = getattr(module, FUNCTION, None)
                pipe = make() if callable(make) else None
        except (Exception, SystemExit) as error:
            log.exception("%s failed", file)
            raise ValueError(f"{file_name(file)}: {_said(error)}") from error
        if not isinstance(pipe, Pipeline):
            raise ValueError(
                f"{file_name(file)} must have a function {FUNCTION}() that returns a "
                f"fvdm_core.Pipeline" + (f", not {type(pipe).__name__}" if callable(make) else "")
            )
        _try(pipe, file)
    pipe.model_hash = pipe.model_hash or _hash_of(pipe, file)
    return pipe


def _try(pipe: Pipeline, file: Path) -> None:
    """Call each part once, so that what does not fit is said before anybody presses Generate."""
    if pipe.device.type == "cpu" and pipe.parameters > LARGE:
        return
    try:
        height, width = pipe.image_size
        latents = pipe.encode(np.full((1, height, width, 3), 128, np.uint8))
        frames = pipe.decode(latents[None])
        if frames.shape != (1, height, width, 3):
            raise ValueError(
                f"the autoencoder makes frames of {frames.shape[1]}×{frames.shape[2]} of what it "
                f"made of {height}×{width}; its downsample is {pipe.autoencoder.downsample}"
            )
        if pipe.frames_per_latent > 1:
            grey = np.full((1 + pipe.frames_per_picture, height, width, 3), 128, np.uint8)
            pipe.decode(pipe.encode_clip(grey)[None])
        timeline = Timeline.preset("standard", frames=pipe.num_frames, steps=2)
        label = next(iter(pipe.card.labels), None)
        for state in pipe.stream(timeline, label=label, cfg_scale=2.0):
            if state.step:
                break
        pipe._codec.preview(latents[None])
    except NotFinite as error:
        what = "gives values that are not numbers, of noise"
        raise ValueError(f"{file_name(file)}: its network or autoencoder {what}") from error
    except Exception as error:
        if out_of_memory(error):
            raise
        name, said = file_name(file), str(error)
        if not isinstance(error, ValueError):
            log.exception("%s failed", file)
            said = _said(error)
        raise ValueError(said if said.startswith(name) else f"{name}: {said}") from error


@contextmanager
def _first_on_path(folder: str) -> Iterator[None]:
    """A folder is where modules are looked for first, and later last: what is imported when the
    network is called is found, and this project's own modules are not hidden."""
    sys.path.insert(0, folder)
    try:
        yield
    finally:
        sys.path.remove(folder)
        if folder not in sys.path:
            sys.path.append(folder)


@contextmanager
def _anew(module: ModuleType, folder: Path) -> Iterator[None]:
    """A module is where dataclasses and pickle look for it, and what lies in its folder is imported
    anew; if it fails, those of before are there again."""
    names = [*_read_from(folder), module.__name__]
    before = {name: sys.modules.pop(name) for name in names if name in sys.modules}
    sys.modules[module.__name__] = module
    try:
        yield
    except BaseException:
        for name in (*_read_from(folder), module.__name__):
            sys.modules.pop(name, None)
        sys.modules.update(before)
        raise


def _read_from(folder: Path) -> dict[str, Path]:
    """The modules that were imported from files and packages of a folder, but for ours."""
    found = {}
    for name, module in list(sys.modules.items()):
        if name == "__main__" or name.startswith(PREFIX):
            continue
        own, top = _place_of(module), _place_of(sys.modules.get(name.partition(".")[0]))
        if own is None or top is None or LIBRARIES & {own, *own.parents}:
            continue
        if folder == (top.parent.parent if top.stem == "__init__" else top.parent):
            found[name] = own
    return found


def _place_of(module: ModuleType | None) -> Path | None:
    """The file of a module, or the folder of a package without an `__init__`."""
    source = getattr(module, "__file__", None)
    if source is None:
        source = next(iter(getattr(module, "__path__", ())), None)
    return Path(source) if isinstance(source, str) else None


def _said(error: BaseException) -> str:
    """An error in a line, without the folders of this machine: it is on the page, too."""
    if isinstance(error, OSError) and error.filename is not None:
        what = error.strerror or type(error).__name__
        return f"{what}: {file_name(Path(str(error.filename)))}"
    return f"{type(error).__name__}: {' '.join(str(error).split())}"


def _hash_of(pipe: Pipeline, file: Path) -> str:
    """Of what is kept of both networks, in bf16, whatever precision suits this machine."""
    digest = hashlib.sha256(file.read_bytes())
    for source in sorted(_read_from(file.parent).values()):
        if source.suffix == ".py" and source.is_file():
            digest.update(source.read_bytes())
    for network in (pipe.model, pipe.autoencoder):
        for tensor in cast(nn.Module, network).state_dict().values():
            raw = tensor.to(torch.bfloat16) if tensor.is_floating_point() else tensor
            digest.update(raw.cpu().contiguous().flatten().view(torch.uint8).numpy().data)
    return digest.hexdigest()[:16]
