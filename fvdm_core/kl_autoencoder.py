"""Stable Diffusion's autoencoder (diffusers' `AutoencoderKL`), whose latents published models use.

diffusers is an optional requirement and imported here only when such an autoencoder is opened.
"""

from __future__ import annotations

import hashlib
import os
import re
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from fvdm_core.files import open_plain
from fvdm_core.hub import VAE, resolve_autoencoder
from fvdm_core.limits import shown
from fvdm_core.linear_preview import fit_preview, linear_preview
from fvdm_core.model_folder import CONFIG, folder_config
from fvdm_core.tensors import open_tensors
from fvdm_core.weights import build, config_from

SD_VAE = "stabilityai/sd-vae-ft-ema"
WEIGHTS = "diffusion_pytorch_model.safetensors"
DOWN, UP = "DownEncoderBlock2D", "UpDecoderBlock2D"
MAX_STAGES, MAX_WIDTH, MAX_LAYERS = 6, 2048, 8
# diffusers' names of attention before 0.12, which the published file still has
_OLD_NAMES = {"query": "to_q", "key": "to_k", "value": "to_v", "proj_attn": "to_out.0"}
# fields that other autoencoders of the class have: {name: what they are in those read here}
_USUAL: dict[str, tuple[Any, ...]] = {
    "shift_factor": (None, 0),
    "latents_mean": (None,),
    "latents_std": (None,),
    "use_quant_conv": (True,),
    "use_post_quant_conv": (True,),
    "mid_block_add_attention": (True,),
    "act_fn": ("silu",),
}
_OLD_NAME = re.compile(rf"(.*\.attentions\.\d+\.)({'|'.join(_OLD_NAMES)})\.(.*)")


@dataclass(frozen=True)
class KLConfig:
    """The fields of diffusers' config that differ between autoencoders of this kind."""

    latent_channels: int = 4
    block_out_channels: tuple[int, ...] = (128, 256, 512, 512)
    layers_per_block: int = 2
    norm_num_groups: int = 32
    scaling_factor: float = 0.18215

    def __post_init__(self) -> None:
        object.__setattr__(self, "block_out_channels", tuple(self.block_out_channels))
        widths = self.block_out_channels
        if not 1 <= len(widths) <= MAX_STAGES or not all(0 < w <= MAX_WIDTH for w in widths):
            raise ValueError(
                f"block_out_channels {widths} must be 1 to {MAX_STAGES} widths up to {MAX_WIDTH}"
            )
        if not 1 <= self.layers_per_block <= MAX_LAYERS or not 1 <= self.latent_channels <= 256:
            raise ValueError(
                f"layers_per_block is {self.layers_per_block} and latent_channels is "
                f"{self.latent_channels}; allowed are 1 to {MAX_LAYERS} and 1 to 256"
            )
        if self.norm_num_groups < 1 or any(width % self.norm_num_groups for width in widths):
            raise ValueError(
                f"block_out_channels {widths} must be multiples of norm_num_groups "
                f"{self.norm_num_groups}"
            )

    @property
    def downsample(self) -> int:
        return 2 ** (len(self.block_out_channels) - 1)


class KLAutoencoder(nn.Module):
    """(…, 3, H, W) in [-1, 1] <-> latents (…, C, h, w), one picture at a time to save memory."""

    network: Any  # of diffusers
    to_rgb: Tensor

    def __init__(self, network: nn.Module, config: KLConfig) -> None:
        super().__init__()
        self.network = network
        self.config = config
        to_rgb = fit_preview(self.encode, config.downsample)
        self.register_buffer("to_rgb", to_rgb, persistent=False)

    @property
    def downsample(self) -> int:
        return self.config.downsample

    @torch.no_grad()
    def encode(self, video: Tensor) -> Tensor:
        """Pictures (…, 3, H, W) -> the mean of their latents (…, C, h, w), scaled."""
        flat = video.reshape(-1, *video.shape[-3:]).split(1)
        latents = [self.network.encode(picture).latent_dist.mode() for picture in flat]
        scaled = torch.cat(latents) * self.config.scaling_factor
        return scaled.reshape(*video.shape[:-3], *scaled.shape[-3:])

    @torch.no_grad()
    def decode(self, latents: Tensor) -> Tensor:
        """Latents (…, C, h, w) -> pictures (…, 3, H, W), clamped to [-1, 1]."""
        flat = latents.reshape(-1, *latents.shape[-3:]) / self.config.scaling_factor
        video = torch.cat([self.network.decode(one).sample for one in flat.split(1)]).clamp(-1, 1)
        return video.reshape(*latents.shape[:-3], *video.shape[-3:])

    def written(self) -> dict[str, Any]:
        """As diffusers has it in its config.json."""
        stages = len(self.config.block_out_channels)
        blocks = {"down_block_types": [DOWN] * stages, "up_block_types": [UP] * stages}
        return {"_class_name": "AutoencoderKL", **asdict(self.config), **blocks}

    def preview(self, latents: Tensor) -> Tensor:
        """As `decode`, by a linear map from latents to colours: blurred, and nearly free."""
        flat = latents.reshape(-1, *latents.shape[-3:])
        video = linear_preview(flat, self.to_rgb, self.downsample)
        return video.reshape(*latents.shape[:-3], *video.shape[-3:])


def load_kl_autoencoder(folder: str | os.PathLike[str]) -> tuple[KLAutoencoder, str]:
    """An autoencoder in float32 on the CPU from a folder as diffusers writes it, and its checksum.

    Raises `ValueError` for a folder that holds another architecture or a refused file, and where
    diffusers is not installed.
    """
    path = Path(folder)
    config = read_kl_config(path)
    tensors = {_new_name(key): tensor for key, tensor in open_tensors(path / WEIGHTS).items()}
    network = build(_network, config, tensors, WEIGHTS)
    with open_plain(path / WEIGHTS, "checkpoint") as file:
        checksum = hashlib.file_digest(file, "sha256").hexdigest()  # type: ignore[arg-type]
    return KLAutoencoder(network.requires_grad_(False), config), checksum


def autoencoder_beside(
    path: Path, latent_channels: int, name: str, chosen: str | Path | None
) -> tuple[KLAutoencoder, str]:
    """The autoencoder, and its checksum, for a model that works on latents and comes without one.

    path: the model's folder or file, beside which a folder vae may lie; name: of the model;
    chosen: a folder or "owner/repo" of diffusers, else Stable Diffusion's is taken.
    Raises `ValueError` where it does not fit the model's `latent_channels`.
    """
    beside = (path if path.is_dir() else path.parent) / VAE
    if chosen is None and latent_channels != 4 and not beside.is_dir():
        raise ValueError(
            f"{name} comes without an autoencoder, so it cannot make pictures; open a model folder "
            "that holds autoencoder.safetensors, or name one of diffusers as autoencoder"
        )
    if chosen is None and beside.is_dir():
        chosen = beside
    coder, checksum = load_kl_autoencoder(resolve_autoencoder(str(chosen or SD_VAE)))
    if coder.config.latent_channels != latent_channels:
        raise ValueError(
            f"{name} works on {latent_channels} latent channels, but the autoencoder "
            f"makes {coder.config.latent_channels}; choose another autoencoder"
        )
    return coder, checksum


def read_kl_config(folder: Path) -> KLConfig:
    """The shape of such an autoencoder, from its folder; `ValueError` for another kind."""
    values = folder_config(folder, "autoencoder of diffusers", WEIGHTS)
    kinds = {
        str(kind)
        for name, usual in (("down_block_types", DOWN), ("up_block_types", UP))
        for kind in _listed(values.get(name, [usual]))
    }
    if values.get("_class_name", "AutoencoderKL") != "AutoencoderKL" or kinds - {DOWN, UP}:
        raise ValueError(
            f"{CONFIG} is of {str(values.get('_class_name'))[:40]}, not of an AutoencoderKL like "
            f"Stable Diffusion's; use {SD_VAE}"
        )
    for name, usual in _USUAL.items():
        if (value := values.get(name, usual[0])) not in usual:
            raise ValueError(
                f"{CONFIG} has {name} {shown(value)}: autoencoders with that are not read here, "
                f"only those like {SD_VAE}"
            )
    known = {key: values[key] for key in KLConfig.__dataclass_fields__ if key in values}
    return config_from(KLConfig, known, CONFIG)


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _network(config: KLConfig) -> nn.Module:
    try:
        from diffusers import AutoencoderKL
    except ImportError:
        raise ValueError(
            "this model's pictures need Stable Diffusion's autoencoder, and with it the package "
            "diffusers: pip install diffusers"
        ) from None
    shape = asdict(config)
    stages = len(config.block_out_channels)
    return AutoencoderKL(**shape, down_block_types=(DOWN,) * stages, up_block_types=(UP,) * stages)


def _new_name(key: str) -> str:
    match = _OLD_NAME.fullmatch(key)
    return f"{match[1]}{_OLD_NAMES[match[2]]}.{match[3]}" if match else key
