"""What can be said of a clip without knowing what it should show: how much moves, and where."""

from __future__ import annotations

import math
from collections.abc import Collection
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Changes:
    """How much frames differ from the ones before, as the mean over pixels and colours, 0 to 255.

    motion: over the clip. beside: where one of the two is kept and the other is not. elsewhere:
    where neither is kept. NaN where there are no such frames.
    """

    motion: float
    beside: float
    elsewhere: float

    @property
    def seam(self) -> float:
        """The change beside kept frames ÷ that elsewhere: 1 where nothing shows, infinite where all
        else stands still, NaN where nothing can be said."""
        if self.beside and not self.elsewhere:
            return math.inf
        return self.beside / (self.elsewhere or 1.0)


def changes(frames: np.ndarray, kept: Collection[int] = ()) -> Changes:
    """How a clip, uint8 (F, H, W, 3), changes from frame to frame; `kept` are frames, from 0."""
    pairs = zip(frames[:-1], frames[1:], strict=True)  # one at a time: a clip may be long
    change = np.array([np.abs(b.astype(np.int16) - a).mean() for a, b in pairs])  # (F - 1,)
    is_kept = np.isin(np.arange(len(frames)), list(kept))
    near, far = is_kept[:-1] != is_kept[1:], ~(is_kept[:-1] | is_kept[1:])
    return Changes(*map(_mean, (change, change[near], change[far])))


def kept_frames(columns: Collection[int], frames: int, frames_per_latent: int = 1) -> list[int]:
    """Those of a clip's frames whose column of the timeline is one of `columns`, from 0."""
    column = -(-np.arange(frames) // frames_per_latent)  # (N,): that of each
    return np.flatnonzero(np.isin(column, list(columns))).tolist()


def _mean(values: np.ndarray) -> float:
    return float(values.mean()) if len(values) else float("nan")
