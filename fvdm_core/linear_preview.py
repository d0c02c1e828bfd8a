"""A cheap look at latents of autoencoders that take long to decode: a linear map to colours."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor

PICTURES, SIDE = 24, 8  # that the map is fitted to: so many, of so many latents a side


@torch.no_grad()
def fit_preview(encode: Callable[[Tensor], Tensor], downsample: int) -> Tensor:
    """The linear map from latents, and 1, to colours that fits smooth pictures best: (C + 1, 3).

    encode: pictures (K, 3, H, W) in [-1, 1] -> latents (K, C, H / downsample, W / downsample).
    """
    generator = torch.Generator().manual_seed(0)
    some = torch.rand(PICTURES, 3, 4, 4, generator=generator) * 3 - 1.5
    size = SIDE * downsample
    pictures = F.interpolate(some, size=(size, size), mode="bicubic").clamp(-1, 1)
    latents = rearrange(encode(pictures), "b c h w -> (b h w) c")
    colours = rearrange(F.avg_pool2d(pictures, downsample), "b k h w -> (b h w) k")
    known = torch.cat([latents, torch.ones(len(latents), 1)], dim=1)
    return torch.linalg.lstsq(known, colours).solution


def linear_preview(latents: Tensor, to_rgb: Tensor, downsample: int) -> Tensor:
    """Latents (K, C, h, w) -> pictures (K, 3, H, W) in [-1, 1]: blurred, and nearly free."""
    colours = torch.einsum("bchw,ck->bkhw", latents.float(), to_rgb[:-1])
    colours = colours + to_rgb[-1, :, None, None]
    return F.interpolate(colours, scale_factor=downsample, mode="bilinear").clamp(-1, 1)
