"""Opens a model by what a person types, also one of their own: a Python file that makes it."""

from __future__ import annotations

import hashlib
import importlib.util
import logging
import sys
from pathlib import Path

import torch

from fvdm_core.files import file_name, is_program
from fvdm_core.pipeline import Pipeline

log = logging.getLogger(__name__)

FUNCTION = "load"


def open_pipeline(
    source: str | None, device: str | None = None, autoencoder: str | None = None
) -> Pipeline:
    """What the flag --model names: "file.py" for `load_own`, else as `Pipeline.from_pretrained`.

    Such a file is run with all rights of this program, so only whoever starts it may name one:
    never hand on what came over the network. Raises what those two raise.
    """
    if source is None or not is_program(source):
        return Pipeline.from_pretrained(source, device=device, autoencoder=autoencoder)
    if autoencoder is not None:
        raise ValueError(f"{Path(source).name} brings its own autoencoder; leave out --vae")
    pipe = load_own(source)
    return pipe if device is None else pipe.to(device)


def load_own(path: str | Path) -> Pipeline:
    """The pipeline that a Python file's function `load()` returns; the file is run to get it.

    It may import what lies beside it. A pipeline without a `model_hash` gets one of its weights
    and of the file. Raises `ValueError` where there is no such file or function, or where either
    fails; the traceback is logged.
    """
    file = Path(path).expanduser()
    if not file.is_file():
        raise ValueError(f"{file_name(file)} is not a file here")
    spec = importlib.util.spec_from_file_location(f"own_model_{file.stem}", file)
    assert spec is not None and spec.loader is not None  # of a file that ends in .py
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses and pickle look there
    beside = str(file.absolute().parent)
    if beside not in sys.path:
        sys.path.append(beside)
    try:
        spec.loader.exec_module(module)
        make = getattr(module, FUNCTION, None)
        pipe = make() if callable(make) else None
    except Exception as error:
        log.exception("%s failed", file)
        said = " ".join(str(error).split())
        raise ValueError(f"{file_name(file)}: {type(error).__name__}: {said}") from error
    if not isinstance(pipe, Pipeline):
        raise ValueError(
            f"{file_name(file)} must have a function {FUNCTION}() that returns a fvdm_core.Pipeline"
            + (f", not {type(pipe).__name__}" if callable(make) else "")
        )
    pipe.model_hash = pipe.model_hash or _hash_of(pipe, file)
    return pipe


def _hash_of(pipe: Pipeline, file: Path) -> str:
    digest = hashlib.sha256(file.read_bytes())
    for tensor in pipe.tensors():
        digest.update(tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().data)
    return digest.hexdigest()[:16]
