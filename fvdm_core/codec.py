"""An autoencoder as a pipeline uses it: a few frames at once, and what it gives is checked."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from .device import fast_bf16
from .limits import MAX_SIDE
from .network import Coder, Shape, frames_per_latent, naming_its_line, preview_of
from .pixels import decode_frames, encode_frames
from .sampler import NotFinite


class Codec:
    """Frames uint8 (N, H, W, 3) <-> the latents (F, C, h, w) of a network of some shape.

    sizes: (height, width) of all frames that are made, or none of them where it is the square that
    the network's shape says. device: where the autoencoder lies.

    Raises `ValueError` for frames that are too large to be written or that patches do not fit.
    """

    def __init__(
        self, coder: Coder, shape: Shape, name: str, sizes: tuple[tuple[int, int], ...]
    ) -> None:
        self.coder, self.name = coder, name
        self.per_latent = frames_per_latent(coder)
        self.at_once, self.channels = shape.num_frames, shape.latent_channels
        self.patch = shape.patch_size
        self.device = torch.device("cpu")
        side = shape.latent_size * coder.downsample
        self.sizes = sizes or ((side, side),)
        for size in self.sizes:
            if max(size) > MAX_SIDE:
                raise ValueError(
                    f"{name} makes frames of {size[0]}×{size[1]}; at most {MAX_SIDE} pixels a "
                    "side can be written"
                )
            self.latent_size(size)

    def latent_size(self, size: tuple[int, int]) -> tuple[int, int]:
        """(h, w) of the latents of frames (H, W). Raises `ValueError` where patches do not fit."""
        down = self.coder.downsample
        if any(side % (down * self.patch) for side in size):
            raise ValueError(
                f"{self.name}: frames of {size[0]}×{size[1]} are not divisible by "
                f"{down * self.patch}, what a token covers"
            )
        return size[0] // down, size[1] // down

    @torch.no_grad()
    def encode(self, frames: np.ndarray) -> Tensor:
        """Frames uint8 (K, H, W, 3), each by itself, as latents (K, C, h, w) on the CPU.

        Raises `ValueError` where the autoencoder makes others.
        """
        with naming_its_line():
            latents = encode_frames(self.coder.encode, frames, self.at_once, self.device)
        size = self.latent_size((frames.shape[1], frames.shape[2]))
        expected = (len(frames), self.channels, *size)
        if latents.shape != expected:
            raise ValueError(
                f"the autoencoder made latents of shape {tuple(latents.shape)} of pictures of "
                f"shape {frames.shape}; expected {expected}"
            )
        return latents

    @torch.no_grad()
    def decode(self, latents: Tensor) -> np.ndarray:
        """Latents (1, F, C, h, w) as frames uint8 (N, H, W, 3), in full quality.

        N is F, or more where the autoencoder makes several `frames_per_latent`.

        Raises `NotFinite` naming the first frame that is decoded to NaN or infinity.
        """
        try:
            return self._pixels(self.coder.decode, latents, self.per_latent)
        except FloatingPointError as error:
            raise NotFinite(
                f"{error}; there is no clip. Try another seed, or a lower guidance or coherence"
            ) from None

    @torch.no_grad()
    def preview(self, latents: Tensor) -> np.ndarray:
        """Latents (1, F, C, h, w) as pictures uint8 (F, h', w', 3), quickly where it can be."""
        fast, quick = fast_bf16(self.device), preview_of(self.coder)
        with torch.autocast(self.device.type, torch.bfloat16, enabled=fast):
            # whatever a preview is, the run goes on
            return self._pixels(lambda part: quick(part).nan_to_num(nan=-1.0), latents, 1)

    def _pixels(
        self, decode: Callable[[Tensor], Tensor], latents: Tensor, per_latent: int
    ) -> np.ndarray:
        """(1, F, C, h, w) -> uint8 (N, H, W, 3)."""
        with naming_its_line():
            return decode_frames(decode, latents[0], self.at_once, self.device, per_latent)
