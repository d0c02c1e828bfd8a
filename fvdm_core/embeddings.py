"""What a VideoDiT's tokens and conditions are made of: patches, timesteps, labels, places."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor, nn


class PatchEmbed(nn.Module):
    """Latents (B, C, H, W) -> tokens (B, N, D)."""

    def __init__(self, patch_size: int, channels: int, hidden_size: int) -> None:
        super().__init__()
        self.proj = nn.Conv2d(channels, hidden_size, kernel_size=patch_size, stride=patch_size)

    def forward(self, x: Tensor) -> Tensor:
        # a strided convolution without overlap is a matrix product, and that is faster on a CPU
        patch = self.proj.kernel_size[0]
        x = rearrange(x, "b c (h p) (w q) -> b (h w) (c p q)", p=patch, q=patch)
        return F.linear(x, self.proj.weight.flatten(1), self.proj.bias)


class TimestepEmbedder(nn.Module):
    """Timesteps of any shape -> vectors (…, D), through sinusoids of 256 channels."""

    frequencies = 256

    def __init__(self, hidden_size: int) -> None:
        super().__init__()
        self.mlp = nn.Sequential(
            nn.Linear(self.frequencies, hidden_size), nn.SiLU(), nn.Linear(hidden_size, hidden_size)
        )

    def forward(self, t: Tensor) -> Tensor:
        half = self.frequencies // 2
        exponent = torch.arange(half, dtype=torch.float32, device=t.device) / half
        angles = t[..., None].float() * torch.exp(-math.log(10000) * exponent)
        embedding = torch.cat([angles.cos(), angles.sin()], dim=-1)
        return self.mlp(embedding.to(next(self.mlp.parameters()).dtype))


class LabelEmbedder(nn.Module):
    """Labels (B,) -> vectors (B, D); the last row is the null class of classifier-free guidance."""

    def __init__(self, num_classes: int, hidden_size: int) -> None:
        super().__init__()
        table = torch.empty(num_classes + 1, hidden_size)
        self.embedding_table = nn.Embedding.from_pretrained(table, freeze=False)

    def forward(self, y: Tensor) -> Tensor:
        return self.embedding_table(y)


def sincos_1d(width: int, positions: Tensor) -> Tensor:
    """Positions (L,) float64 -> (L, width), sines before cosines."""
    omega = 10000 ** -(torch.arange(width // 2, dtype=torch.float64) / (width / 2))
    angles = positions[:, None] * omega
    return torch.cat([angles.sin(), angles.cos()], dim=1)


def sincos_2d(width: int, grid: tuple[int, int], side: int) -> Tensor:
    """(rows * columns, width): the first half encodes the column, the second the row, as in DiT.

    Rows and columns are those of a square of `side`, around whose middle the grid lies.
    """
    rows, columns = (
        torch.arange(length, dtype=torch.float64) + (side - length) / 2 for length in grid
    )
    places = (columns.repeat(len(rows)), rows.repeat_interleave(len(columns)))
    return torch.cat([sincos_1d(width // 2, each) for each in places], dim=1)
