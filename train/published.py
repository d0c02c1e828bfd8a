"""Goes on from a published model, on the latents of an autoencoder that stays as it is.

Architecture, frames and schedule are the model's, the size of the pictures follows from the
autoencoder, and only the transformer learns: with PTSS, timesteps of its own for every frame.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from fvdm_core.checkpoint import resolve_source
from fvdm_core.files import place
from fvdm_core.hub import resolve_autoencoder
from fvdm_core.kl_autoencoder import KLAutoencoder, load_kl_autoencoder, read_kl_config
from fvdm_core.model_folder import read_config
from fvdm_core.schedule import NoiseSchedule

from .clips import Clips
from .config import TrainConfig
from .latents import Latents, encode
from .run import Run
from .stages import device, latent_shapes, to_video

FROM_THE_MODEL = ("autoencoder", "autoencoder_optim", "transformer", "schedule")


def filled(raw: dict[str, Any]) -> dict[str, Any]:
    """A config with `init` and `vae`, and what follows from these: networks, schedule and so on.

    Raises `ValueError` where they do not fit together, or the config has such things already.
    """
    init, vae = str(raw.get("init", "")), str(raw["vae"])
    if not init:
        raise ValueError(
            f"{place(vae)} is to stay as it is; name a model to go on from with --init"
        )
    if given := [section for section in FROM_THE_MODEL if section in raw]:
        raise ValueError(
            f"the config has [{given[0]}], but with --vae that comes from the model to start from; "
            "leave it out, or take the config published"
        )
    said, coder = read_config(resolve_source(init)), read_kl_config(resolve_autoencoder(vae))
    if said.get("autoencoder") is not None:
        raise ValueError(f"{place(init)} has an autoencoder of its own; leave out --vae")
    shape = said["transformer"]
    if shape["latent_channels"] != coder.latent_channels:
        raise ValueError(
            f"{place(init)} works on {shape['latent_channels']} latent channels, but {place(vae)} "
            f"makes {coder.latent_channels}; choose another --vae"
        )
    sizes = {"image_size": shape["latent_size"] * coder.downsample, "frames": shape["num_frames"]}
    data = sizes | raw.get("data", {})
    for name, value in sizes.items():
        if data[name] != value:
            raise ValueError(
                f"data.{name} is {data[name]!r}, but with {place(init)} and {place(vae)} it is "
                f"{value}; leave it out"
            )
    schedule = NoiseSchedule(**said.get("schedule", {})).written()
    taken = {"data": data, "transformer": shape, "schedule": schedule}
    return {"license": said.get("license", ""), **raw, **taken}


@dataclass(frozen=True)
class FixedCoder:
    """An autoencoder that is not trained: where it lies, and what tells it and its scale apart."""

    network: KLAutoencoder
    folder: Path
    key: str

    @classmethod
    def open(cls, config: TrainConfig) -> FixedCoder:
        folder = resolve_autoencoder(config.vae)
        network, checksum = load_kl_autoencoder(folder)
        key = f"{checksum[:16]} {network.config.scaling_factor:g}"
        return cls(network.to(device()), folder, key)

    def encode_clips(self, config: TrainConfig, clips: Clips, run: Run) -> Latents:
        """All clips as latents on disk, once; in float32, as they serve for the whole training."""

        def encoder(pictures: np.ndarray) -> Tensor:
            return self.network.encode(to_video(pictures)).float()

        return encode(clips, encoder, latent_shapes(config), self.key, run)
