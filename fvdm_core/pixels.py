"""Pictures as bytes, uint8 with colours last, and as networks have them, in [-1, 1] with colours
before places."""

from __future__ import annotations

import numpy as np
import torch
from einops import rearrange
from torch import Tensor


def from_pixels(pictures: Tensor) -> Tensor:
    """uint8 (…, H, W, 3) -> float32 (…, 3, H, W) in [-1, 1], where it lies."""
    return rearrange(pictures, "... h w c -> ... c h w").float() / 127.5 - 1


def to_pixels(video: Tensor) -> np.ndarray:
    """(…, 3, H, W), cut to [-1, 1] -> uint8 (…, H, W, 3)."""
    pixels = ((video.float().clamp(-1, 1) + 1) * 127.5).round().to(torch.uint8)
    return np.ascontiguousarray(rearrange(pixels, "... c h w -> ... h w c").cpu().numpy())
