"""What all worlds share: the clip they return, their random numbers and their clock."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

# Training draws seeds below 2**31 (hashed from the position in the data stream); every seed from
# here on is reserved for evaluation, so no model has seen its clip.
UNSEEN = 2**40


@dataclass(frozen=True)
class Clip:
    """A rendered clip and the truth about it.

    ``video`` is uint8 (F, H, W, 3) in RGB. Entries of ``factors`` that change over time have F as
    their first axis; constants of the clip are scalars or have their own first axis (one row per
    ball, one row per colour channel). Lengths are in widths of the picture, x to the right and y
    down from the top left corner, angles in radians, velocities per frame or per second as named.
    """

    video: np.ndarray
    factors: dict[str, np.ndarray]
    world: str
    seed: int


# (rng, times in seconds (F,), size in pixels) -> video (F, H, W, 3) uint8, factors
Renderer = Callable[
    [np.random.Generator, np.ndarray, int], tuple[np.ndarray, dict[str, np.ndarray]]
]


@dataclass(frozen=True)
class World:
    """One kind of miniature world; ``label`` is its class index for the model."""

    name: str
    label: int
    summary: str
    renderer: Renderer


def pick(rng: np.random.Generator, choices: np.ndarray) -> tuple[int, np.ndarray]:
    """A random row of ``choices`` and its index."""
    index = int(rng.integers(len(choices)))
    return index, choices[index]


def wave(times: np.ndarray, hertz: float, phase: float) -> np.ndarray:
    """A sine of the clock, (F,) in [-1, 1]."""
    return np.sin(2 * np.pi * hertz * times + phase)


def mix(a: np.ndarray, b: np.ndarray, amount: float | np.ndarray) -> np.ndarray:
    """``a`` at 0, ``b`` at 1, linear between."""
    return a + (b - a) * amount


def smoothstep(low: float, high: float, x: np.ndarray) -> np.ndarray:
    """0 below ``low``, 1 above ``high``, and a smooth cubic between."""
    u = np.clip((x - low) / (high - low), 0.0, 1.0)
    return u * u * (3.0 - 2.0 * u)


def pixel_centres(size: int) -> np.ndarray:
    """The positions of the pixel centres along one side, in widths, (size,)."""
    return ((np.arange(size) + 0.5) / size).astype(np.float32)


def rgb(red: float, green: float, blue: float) -> np.ndarray:
    """A colour, (3,) float32, 0 to 255."""
    return np.array([red, green, blue], np.float32)


WHITE = rgb(255, 255, 255)
