"""Read, write, convert, refuse: the names for checkpoints that the rest of the project uses."""

from __future__ import annotations

import os
from pathlib import Path

from fvdm_core.files import SaveError, atomic_write
from fvdm_core.hub import resolve_source
from fvdm_core.model_folder import ModelFolder, config_of, load_model_folder, save_model_folder
from fvdm_core.tensors import read_tensors, write_safetensors
from fvdm_core.weights import load_model, open_model, save_model

__all__ = [
    "ModelFolder",
    "SaveError",
    "atomic_write",
    "convert",
    "load_model",
    "load_model_folder",
    "read_tensors",
    "resolve_source",
    "save_model",
    "save_model_folder",
    "write_safetensors",
]


def convert(
    source: str | os.PathLike[str],
    folder: str | os.PathLike[str],
    num_heads: int | None = None,
) -> None:
    """Turns a published .pt or .safetensors file into a model folder without pickles.

    The folder has no autoencoder: such models work on the latents of another one. Raises
    `ValueError` where the file is refused, `SaveError` where the folder cannot be written.
    """
    model, timesteps = open_model(source, num_heads)
    save_model_folder(
        folder,
        config=config_of(model.config, Path(source).stem, timesteps),
        transformer=model.state_dict(),
        autoencoder=None,
    )
