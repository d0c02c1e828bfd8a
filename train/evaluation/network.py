"""A small video network that predicts the worlds' factors; its features make world-FVD."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor, nn

from fvdm_core.files import file_name
from fvdm_core.pixels import from_pixels
from fvdm_core.tensors import read_metadata, read_tensors, write_safetensors

from .factors import MOMENTS, TARGETS

GRID = 4  # the last maps are pooled to so many cells a side, so that places are not lost


@dataclass(frozen=True)
class NetworkConfig:
    """`size`: clips are resized to it; `widths`: channels, each at half the size of the last."""

    size: int = 32
    widths: tuple[int, ...] = (32, 64, 128)
    squeeze: int = 48
    features: int = 128

    def __post_init__(self) -> None:
        object.__setattr__(self, "widths", tuple(self.widths))
        if not self.widths or self.size < GRID * 2 ** len(self.widths):
            raise ValueError(
                f"size is {self.size}; {len(self.widths)} widths need at least "
                f"{GRID * 2 ** len(self.widths)}"
            )


class Block(nn.Module):
    """Halves a picture's sides, then mixes each place over time (R(2+1)D, Tran et al. 2018)."""

    def __init__(self, inside: int, outside: int) -> None:
        super().__init__()
        self.shrink = nn.Conv2d(inside, outside, 3, stride=2, padding=1)
        self.shrink_norm = nn.GroupNorm(1, outside)
        self.time = nn.Conv3d(outside, outside, (3, 1, 1), padding=(1, 0, 0))
        self.space = nn.Conv2d(outside, outside, 3, padding=1)
        self.space_norm = nn.GroupNorm(1, outside)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, T, H, W) -> (B, C', T, H/2, W/2)"""
        frames = x.shape[2]
        x = F.silu(self.shrink_norm(self.shrink(rearrange(x, "b c t h w -> (b t) c h w"))))
        y = F.silu(self.time(rearrange(x, "(b t) c h w -> b c t h w", t=frames)))
        y = self.space_norm(self.space(rearrange(y, "b c t h w -> (b t) c h w")))
        return rearrange(F.silu(x + y), "(b t) c h w -> b c t h w", t=frames)


class WorldNetwork(nn.Module):
    """Clips -> features (B, D), and the factors that a linear layer reads off them."""

    mean: Tensor
    deviation: Tensor

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        self.config = config
        self.blocks = nn.ModuleList(
            Block(inside, outside)
            for inside, outside in zip((3, *config.widths), config.widths, strict=False)
        )
        self.squeeze = nn.Conv3d(config.widths[-1], config.squeeze, 1)
        self.hidden = nn.Linear(config.squeeze * MOMENTS * GRID**2, 2 * config.features)
        self.features = nn.Linear(2 * config.features, config.features)
        self.head = nn.Linear(config.features, TARGETS)
        self.register_buffer("mean", torch.zeros(TARGETS))
        self.register_buffer("deviation", torch.ones(TARGETS))

    def forward(self, videos: Tensor) -> tuple[Tensor, Tensor]:
        """uint8 (B, T, H, W, 3) -> features (B, D), (factors − mean) / deviation (B, TARGETS)"""
        frames = videos.shape[1]
        x = from_pixels(videos).flatten(0, 1)  # (B*T, 3, H, W)
        if x.shape[-2:] != (self.config.size, self.config.size):
            x = F.interpolate(x, (self.config.size,) * 2, mode="bilinear", antialias=True)
        x = rearrange(x, "(b t) c h w -> b c t h w", t=frames)
        for block in self.blocks:
            x = block(x)
        x = F.adaptive_avg_pool3d(self.squeeze(x), (MOMENTS, GRID, GRID))
        features = self.features(F.silu(self.hidden(x.flatten(1))))
        return features, self.head(features)

    def factors(self, predictions: Tensor) -> Tensor:
        """The head's answers in the factors' own units, (B, TARGETS)."""
        return predictions * self.deviation + self.mean


def save_network(network: WorldNetwork, path: Path) -> None:
    """Write config and weights as one safetensors file, in bf16, which halves it."""
    tensors = {
        name: tensor.to(torch.float32 if name in ("mean", "deviation") else torch.bfloat16)
        for name, tensor in network.state_dict().items()
    }
    config = {"world_network": dataclasses.asdict(network.config), "targets": TARGETS}
    write_safetensors(path, tensors, {"config": json.dumps(config)})


def load_network(path: str | Path) -> WorldNetwork:
    """Raises `ValueError` for a file that is missing, damaged or of something else."""
    try:
        saved = json.loads(read_metadata(path)["config"])
        if saved["targets"] != TARGETS:
            raise ValueError(
                f"{file_name(path)} predicts {saved['targets']} factors, the worlds have "
                f"{TARGETS}; learn it again: python -m train.evaluation.learn"
            )
        network = WorldNetwork(NetworkConfig(**saved["world_network"]))
    except (KeyError, TypeError):
        raise ValueError(f"{file_name(path)} is not a network of the worlds' factors") from None
    tensors = {name: tensor.float() for name, tensor in read_tensors(path).items()}
    try:
        network.load_state_dict(tensors)
    except RuntimeError as error:
        said = " ".join(str(error).split())[:160]
        raise ValueError(f"{file_name(path)} does not fit its own config: {said}") from None
    return network.eval().requires_grad_(False)
