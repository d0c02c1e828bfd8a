"""A model folder small enough for tests: random weights, 16 frames of 8 x 8 pixels."""

from dataclasses import asdict

import torch

from fvdm_core import Pipeline
from fvdm_core.autoencoder import Autoencoder, AutoencoderConfig
from fvdm_core.checkpoint import save_model_folder
from fvdm_core.model import VideoDiT
from fvdm_core.shape import VideoDiTConfig

LABELS = ["sky", "faces", "collisions"]
CODER = AutoencoderConfig(image_size=8, latent_channels=3, widths=(4, 4), blocks=1)


def randomised(network, scale):
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in network.parameters():
            if parameter.requires_grad:
                parameter.copy_(scale * torch.randn(parameter.shape, generator=generator))
    return network


def save_tiny(
    folder, labels=LABELS, frames=16, autoencoder=True, timesteps=1000, sampling=None, **changes
):
    config = {
        "hidden_size": 16,
        "depth": 2,
        "num_heads": 2,
        "patch_size": 1,
        "latent_size": 2,
        "latent_channels": 3,
        "num_frames": frames,
        "num_classes": len(labels),
    } | changes
    schedule = {"name": "linear", "num_train_timesteps": timesteps, "prediction_type": "v"}
    save_model_folder(
        folder,
        config={
            "name": "Tiny",
            "labels": labels,
            "fps": 8,
            "license": "",
            "trained_on": "nothing",
            **({"sampling": sampling} if sampling else {}),
            "transformer": asdict(VideoDiTConfig(**config)),
            "autoencoder": asdict(CODER) if autoencoder else None,
            "schedule": schedule,
        },
        transformer=randomised(VideoDiT(VideoDiTConfig(**config)), 0.15).state_dict(),
        autoencoder=randomised(Autoencoder(CODER), 0.2).state_dict() if autoencoder else None,
    )
    return folder


def load(folder):
    return Pipeline.from_pretrained(folder, device="cpu", dtype=torch.float32)
