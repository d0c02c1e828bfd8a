"""Read, write, convert, refuse: the names for checkpoints that the rest of the project uses."""

from __future__ import annotations

import json
import os
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from fvdm_core.autoencoder import Autoencoder
from fvdm_core.card import ModelCard
from fvdm_core.files import SaveError, atomic_write, make_folder
from fvdm_core.hub import resolve_source
from fvdm_core.kl_autoencoder import CONFIG, VAE, WEIGHTS, KLAutoencoder
from fvdm_core.limits import shown
from fvdm_core.model import VideoDiT
from fvdm_core.model_folder import ModelFolder, config_of, load_model_folder, save_model_folder
from fvdm_core.schedule import NoiseSchedule
from fvdm_core.tensors import DTYPES, read_tensors, write_safetensors
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
    "save_parts",
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


def save_parts(
    folder: str | os.PathLike[str],
    network: Any,
    coder: Any,
    schedule: NoiseSchedule,
    card: ModelCard,
    dtype: torch.dtype | None = None,
) -> None:
    """What `Pipeline.save_pretrained` does, and raises, with the parts of a pipeline."""
    if dtype is not None and (dtype not in DTYPES or not dtype.is_floating_point):
        raise ValueError(f"dtype is {shown(dtype)}; weights are saved as torch.float32 or bfloat16")
    network, coder = (getattr(part, "_orig_mod", part) for part in (network, coder))  # if compiled
    ours = isinstance(coder, Autoencoder)
    if not isinstance(network, VideoDiT) or not (ours or isinstance(coder, KLAutoencoder)):
        raise ValueError(
            f"{card.name} has networks of its own, which a model folder does not hold; keep their "
            "weights and the program that loads them"
        )
    config = {
        **card.written(),
        "transformer": asdict(network.config),
        "autoencoder": asdict(coder.config) if ours else None,
        "schedule": schedule.written(),
    }
    if not ours:
        beside = Path(folder) / VAE
        make_folder(beside)
        write_safetensors(beside / WEIGHTS, _weights(coder.network, dtype))
        with atomic_write(beside / CONFIG) as temporary:
            temporary.write_text(json.dumps(coder.written(), indent=2) + "\n", "utf-8")
    save_model_folder(
        folder,
        config=config,
        transformer=_weights(network, dtype),
        autoencoder=_weights(coder, dtype) if ours else None,
    )


def _weights(network: nn.Module, dtype: torch.dtype | None) -> dict[str, Tensor]:
    """Copies on the CPU, the real numbers among them as `dtype`."""
    weights = {name: tensor.detach().cpu() for name, tensor in network.state_dict().items()}
    return {n: t.to(dtype) if t.is_floating_point() else t for n, t in weights.items()}
