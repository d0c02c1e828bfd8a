"""From a trained run to the folder that `Pipeline.from_pretrained` opens."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from fvdm_core.autoencoder import Autoencoder
from fvdm_core.checkpoint import save_model_folder
from fvdm_core.model import VideoDiT

from .config import TrainConfig


def model_config(config: TrainConfig, labels: Sequence[str]) -> dict[str, Any]:
    """What config.json says: enough to rebuild both networks and the schedule."""
    return {
        "name": config.name,
        "labels": list(labels),
        "fps": config.data.fps,
        "license": config.license,
        "trained_on": config.trained_on,
        "prior": config.optim.prior,
        "transformer": dataclasses.asdict(config.transformer),
        "autoencoder": dataclasses.asdict(config.autoencoder),
        "schedule": {"num_train_timesteps": 1000, **config.schedule},
    }


def export(
    config: TrainConfig,
    autoencoder: Autoencoder,
    transformer: VideoDiT,
    folder: Path,
    labels: Sequence[str] = (),
) -> None:
    """Write averaged weights as bf16 (halves the size; sampling runs in bf16 or rounds once)."""
    save_model_folder(
        folder,
        config=model_config(config, labels),
        transformer=_bf16(transformer),
        autoencoder=_bf16(autoencoder),
    )


def _bf16(module: nn.Module) -> dict[str, Tensor]:
    return {
        name: tensor.detach().to("cpu", torch.bfloat16).contiguous()
        for name, tensor in module.state_dict().items()
    }
