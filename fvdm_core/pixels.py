"""Pictures as bytes, uint8 with colours last, and as networks have them, in [-1, 1] with colours
before places; and through an autoencoder, a few at once, so that long clips need no more memory."""

from __future__ import annotations

from collections.abc import Callable

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


def encode_frames(
    encode: Callable[[Tensor], Tensor],
    frames: np.ndarray,
    at_once: int,
    device: torch.device | str = "cpu",
) -> Tensor:
    """uint8 (F, H, W, 3) -> float32 latents (F, C, h, w) on the CPU."""
    chunks = torch.from_numpy(frames).split(at_once)
    return torch.cat([encode(from_pixels(part.to(device))).float().cpu() for part in chunks])


def decode_frames(
    decode: Callable[[Tensor], Tensor],
    latents: Tensor,
    at_once: int,
    device: torch.device | str = "cpu",
    per_latent: int = 1,
) -> np.ndarray:
    """Latents (F, C, h, w) -> uint8 (F, H, W, 3), or with `per_latent` r (1 + r·(F − 1), H, W, 3).

    The latter is decoded at once, as it hangs together. Raises `FloatingPointError` naming the
    first frame that is decoded to NaN or infinity, and `ValueError` for another number of frames.
    """
    if per_latent > 1:
        at_once = len(latents)
    pixels = np.empty(0, np.uint8)
    for first in range(0, len(latents), at_once):
        some = latents[first : first + at_once]
        decoded = decode(some.to(device, torch.float32))
        finite = torch.isfinite(decoded).flatten(1).all(dim=1)  # in uint8, NaN would be black
        if not bool(finite.all()):
            frame = first + int(torch.nonzero(~finite)[0])
            raise FloatingPointError(
                f"the autoencoder gave a value that is not a number in frame {frame + 1}"
            )
        part = to_pixels(decoded)
        expected = 1 + per_latent * (len(some) - 1)
        if len(part) != expected:
            raise ValueError(
                f"the autoencoder made {len(part)} frames of {len(some)} latents; it should have "
                f"made {expected}"
            )
        if not first:  # filled in place, as joining the parts would hold a long clip twice
            pixels = np.empty((1 + per_latent * (len(latents) - 1), *part.shape[1:]), np.uint8)
        pixels[first : first + len(part)] = part
    return pixels
