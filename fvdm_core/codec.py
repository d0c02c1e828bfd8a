"""An autoencoder as a pipeline uses it: a few frames at once, and what it gives is checked."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import torch
from torch import Tensor

from .device import fast_bf16
from .limits import MAX_SIDE
from .network import (
    Coder,
    Shape,
    frames_per_latent,
    naming_its_line,
    preview_of,
    takes_clips,
)
from .pictures import Picture
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
        # of how many frames the picture of a latent may be
        self.per_picture = self.per_latent if takes_clips(coder) else 1
        self.at_once, self.channels = shape.num_frames, shape.latent_channels
        self.patch = shape.patch_size
        self.device, self.dtype = torch.device("cpu"), torch.float32  # where, and of previews
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

        Raises `ValueError` where the autoencoder makes others, and `NotFinite` for NaN or infinity.
        """
        return self._encoded("encode", frames, self.at_once, len(frames))

    @torch.no_grad()
    def encode_clip(self, frames: np.ndarray) -> Tensor:
        """The frames uint8 (N, H, W, 3) of a clip, together, as latents (F, C, h, w) on the CPU.

        N is 1 + r·(F − 1), of the r that a latent stands for; where that is one, or the autoencoder
        takes pictures only, N is F, and each is encoded by itself.

        Raises `ValueError` for an N that is of no F, and where the autoencoder makes others.
        """
        each = self.per_picture
        if each == 1:
            return self.encode(frames)
        latents, left = divmod(len(frames) - 1, each)
        if left:
            raise ValueError(
                f"the clip has {len(frames)} frames; it must have 1 + {each} n, as {self.name} "
                f"makes {each} frames of each latent but the first"
            )
        return self._encoded("encode_clip", frames, len(frames), 1 + latents)

    def encode_columns(
        self, pictures: Mapping[int, Picture], known: Mapping[int, int]
    ) -> dict[int, Tensor]:
        """{column: latent (C, h, w)} on the CPU, each of the column's own picture or of another's.

        pictures: {column: uint8 (H, W, 3), or (r, H, W, 3) where it moves}. known: {column: the
        one whose picture it is of}, which where it moves is the nearest of its frames. Neighbours
        that move are encoded together, behind the frame before them.
        """
        moving = [c for c, own in known.items() if c == own and pictures[c].ndim == 4]
        nearest = {column: (own, -1 if column >= own else 0) for column, own in known.items()}
        still = [column for column in known if column not in moving]
        apart = sorted({nearest[column] for column in still})  # one that many columns hold is one
        latents: dict[int, Tensor] = {}
        if apart:
            made = self.encode(np.stack([_frame(pictures[own], at) for own, at in apart]))
            latents = {column: made[apart.index(nearest[column])] for column in still}
        part: list[int] = []
        for column in sorted(moving):
            part.append(column)
            if column + 1 not in moving or len(part) == max(1, self.at_once - 1):
                own, at = nearest.get(part[0] - 1, (part[0], 0))
                first = _frame(pictures[own], at)
                clip = np.concatenate([first[None], *(pictures[c] for c in part)])
                latents |= zip(part, self.encode_clip(clip)[1:], strict=True)
                part = []
        return latents

    def _encoded(self, method: str, frames: np.ndarray, at_once: int, count: int) -> Tensor:
        """What a method of the autoencoder makes of frames, which should be `count` latents."""

        def encode(video: Tensor) -> Tensor:
            made = getattr(self.coder, method)(video)
            if not isinstance(made, Tensor):
                raise ValueError(f"{method} returned a {type(made).__name__}, not a tensor")
            return made

        with naming_its_line():
            latents = encode_frames(encode, frames, at_once, self.device)
        expected = (count, self.channels, *self.latent_size((frames.shape[1], frames.shape[2])))
        if latents.shape != expected:
            raise ValueError(
                f"the autoencoder's {method} made latents of shape {tuple(latents.shape)} of "
                f"pictures of shape {frames.shape}; expected {expected}"
            )
        if not bool(latents.isfinite().all()):
            raise NotFinite(f"the autoencoder's {method} gave a value that is not a number")
        return latents

    @torch.no_grad()
    def decode(self, latents: Tensor) -> np.ndarray:
        """Latents (1, F, C, h, w) as frames uint8 (N, H, W, 3), in full quality.

        N is F, or more where the autoencoder makes several `frames_per_latent`.

        Raises `NotFinite` naming the first frame that is decoded to NaN or infinity.
        """
        try:
            return self._pixels("decode", self.coder.decode, latents, self.per_latent)
        except FloatingPointError as error:
            raise NotFinite(
                f"{error}; there is no clip. Try another seed, or a lower guidance or coherence"
            ) from None

    @torch.no_grad()
    def preview(self, latents: Tensor) -> np.ndarray:
        """Latents (1, F, C, h, w) as pictures uint8 (F, h', w', 3), quickly where it can be."""
        fast = self.dtype == torch.bfloat16 and fast_bf16(self.device)
        with torch.autocast(self.device.type, torch.bfloat16, enabled=fast):
            return self._pixels("preview", preview_of(self.coder), latents, 1)

    def _pixels(
        self, method: str, decode: Callable[[Tensor], Tensor], latents: Tensor, per_latent: int
    ) -> np.ndarray:
        """(1, F, C, h, w) -> uint8 (N, H, W, 3)."""

        def pictures(part: Tensor) -> Tensor:
            made = decode(part)
            if not isinstance(made, Tensor) or made.ndim != 4 or made.shape[1] != 3:
                what = (
                    f"a tensor of shape {tuple(made.shape)}"
                    if isinstance(made, Tensor)
                    else f"a {type(made).__name__}"
                )
                raise ValueError(f"{method} returned {what}, not pictures (K, 3, H, W)")
            # whatever a preview is, the run goes on
            return made.nan_to_num(nan=-1.0) if method == "preview" else made

        with naming_its_line():
            return decode_frames(pictures, latents[0], self.at_once, self.device, per_latent)


def _frame(picture: Picture, at: int) -> np.ndarray:
    """(H, W, 3), of one that moves the first or the last."""
    return picture if picture.ndim == 3 else picture[at]
