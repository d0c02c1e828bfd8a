"""From a trained run to the folder that `Pipeline.from_pretrained` opens."""

from __future__ import annotations

import dataclasses
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from fvdm_core.autoencoder import Autoencoder
from fvdm_core.card import ModelCard
from fvdm_core.checkpoint import save_model_folder
from fvdm_core.files import atomic_write
from fvdm_core.hub import DIFFUSERS_FILES
from fvdm_core.kl_autoencoder import VAE
from fvdm_core.model import VideoDiT

from .aspects import Size
from .config import TrainConfig


def model_config(
    config: TrainConfig, labels: Sequence[str], sizes: Sequence[Size] = ()
) -> dict[str, Any]:
    """What config.json says: enough to rebuild both networks and the schedule.

    `sizes` are (H, W) that were learned, the usual one first, where there are several.
    """
    card = ModelCard(
        config.name,
        tuple(labels),
        config.data.fps,
        config.license,
        config.trained_on,
        timesteps="vectorised" if config.optim.vectorised else "scalar",
        prior=config.optim.prior,
        prior_alpha=config.optim.prior_alpha,
        sizes=tuple(sizes),
        sampling=config.sampling,
    )
    return {
        **card.written(),
        "transformer": dataclasses.asdict(config.transformer),
        "autoencoder": config.autoencoder and dataclasses.asdict(config.autoencoder),
        "schedule": {"num_train_timesteps": 1000, **config.schedule},
    }


def export(
    about: dict[str, Any], autoencoder: Autoencoder | Path, transformer: VideoDiT, folder: Path
) -> None:
    """Write averaged weights as bf16 (halves the size; sampling runs in bf16 or rounds once).

    `about` is what config.json says: a `model_config`.

    A folder of an autoencoder that was not trained is copied, as `vae`, where the pipeline looks.
    """
    if isinstance(autoencoder, Path):
        (folder / VAE).mkdir(parents=True, exist_ok=True)
        for name in DIFFUSERS_FILES:
            with atomic_write(folder / VAE / name) as temporary:
                shutil.copyfile(autoencoder / name, temporary)
    save_model_folder(
        folder,
        config=about,
        transformer=_bf16(transformer),
        autoencoder=None if isinstance(autoencoder, Path) else _bf16(autoencoder),
    )


def _bf16(module: nn.Module) -> dict[str, Tensor]:
    return {
        name: tensor.detach().to("cpu", torch.bfloat16).contiguous()
        for name, tensor in module.state_dict().items()
    }
