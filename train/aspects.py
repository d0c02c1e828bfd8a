"""Frames of several aspects: the sizes that a run has, and clips of them in one file.

Each clip keeps the shape nearest to its own instead of being cut to a square, and a batch is of one
size (the aspect ratio bucketing of NovelAI, 2022).
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np

Size = tuple[int, int]  # (height, width)
MAX_ASPECTS = 16
_ASPECT = re.compile(r"([1-9][0-9]{0,2}):([1-9][0-9]{0,2})")  # width:height, as people say it
_GOLDEN = (math.sqrt(5) - 1) / 2
_BLOCK = 4096  # steps


def sizes_of(aspects: Sequence[str], side: int, multiple: int) -> tuple[Size, ...]:
    """The sizes of aspects such as "16:9": near that aspect and side² pixels, with both sides
    divisible by `multiple`; without aspects the square alone.

    Raises `ValueError` for what is no aspect, and for two that come to the same size.
    """
    sizes: dict[Size, str] = {}
    for aspect in aspects or ["1:1"]:
        found = _ASPECT.fullmatch(aspect)
        if not found or not 1 / 4 <= int(found[1]) / int(found[2]) <= 4:
            raise ValueError(
                f"data.aspects has {aspect!r}; an aspect is width:height, such as 16:9, "
                "from 1:4 to 4:1"
            )
        size = _best(int(found[1]) / int(found[2]), side, multiple)
        if size in sizes:
            raise ValueError(
                f"data.aspects has {sizes[size]} and {aspect}, which are both {size[1]}x{size[0]} "
                f"at image_size {side} in steps of {multiple} pixels; leave one of them out"
            )
        sizes[size] = aspect
    return tuple(sizes)


def _best(aspect: float, side: int, multiple: int) -> Size:
    """Of all sizes the one with the least error, where one of the aspect counts twice that of the
    area, both as logarithms of ratios."""
    sides = range(multiple, 2 * side + 1, multiple)

    def error(size: Size) -> float:
        height, width = size
        wrong_aspect = math.log(width / height / aspect)
        return 2 * abs(wrong_aspect) + abs(math.log(height * width / side**2))

    return min(((height, width) for height in sides for width in sides), key=error)


def nearest(size: Size, sizes: Sequence[Size]) -> int:
    """Which of `sizes` has the aspect nearest to that of `size`, as a ratio of ratios."""
    height, width = size
    away = [abs(math.log(width / height * h / w)) for h, w in sizes]
    return away.index(min(away))


def turns(counts: np.ndarray, step: int) -> tuple[int, int]:
    """Whose turn it is at a step among groups of so many clips, (groups,), and how often it was
    theirs before. Each group comes as often as it has clips, as evenly as can be."""
    ends = np.cumsum(counts) / counts.sum()
    ends[counts.nonzero()[0][-1] :] = 1.0  # whatever the sum was rounded to
    block = step // _BLOCK * _BLOCK
    groups = _drawn(tuple(ends), block, step + 1)
    group = int(groups[-1])
    return group, _before(tuple(ends), block)[group] + int((groups[:-1] == group).sum())


def _drawn(ends: tuple[float, ...], first: int, behind: int) -> np.ndarray:
    """Whose turn it is at the steps from `first` to the one before `behind`."""
    return np.searchsorted(ends, (np.arange(first + 1, behind + 1) * _GOLDEN) % 1.0, side="right")


@lru_cache(maxsize=4)
def _before(ends: tuple[float, ...], block: int) -> list[int]:
    """How often it was each group's turn before a step; of one in many, as it takes long."""
    return np.bincount(_drawn(ends, 0, block), minlength=len(ends)).tolist()


class MixedVideo:
    """Clips of several sizes in a file of bytes: `video[clip, frame]` and `video[clips, frames]`
    give uint8 (…, H, W, 3), as an array would; clips that are asked for together are of one size.

    `which` (N,) says of which of `sizes` a clip is, `begins` (N,) where its bytes begin.
    """

    def __init__(
        self, path: Path, sizes: Sequence[Size], frames: int, which: np.ndarray, begins: np.ndarray
    ) -> None:
        self.shape = (len(which), frames)
        self._bytes = np.memmap(path, np.uint8, mode="r")
        self._sizes, self._which, self._begins = sizes, which, begins

    @property
    def nbytes(self) -> int:
        return self._bytes.nbytes

    def __getitem__(self, at: tuple[int | np.ndarray, int | slice]) -> np.ndarray:
        clips, frames = at
        if isinstance(clips, np.ndarray):
            return np.stack([self._clip(int(clip))[frames] for clip in clips])
        return self._clip(clips)[frames]

    def _clip(self, clip: int) -> np.ndarray:
        shape = (self.shape[1], *self._sizes[self._which[clip]], 3)
        begin = int(self._begins[clip])
        return self._bytes[begin : begin + math.prod(shape)].reshape(shape)
