"""Measurements on pixels, so that generated clips can be held against what a world guarantees."""

from __future__ import annotations

from collections import Counter
from typing import NamedTuple

import cv2
import numpy as np

from train.worlds.collisions import BALL_COLORS

BALLS_FROM = 64  # pixels; balls are found on a picture of this width, whatever its size
_CHROMA = 56  # what a ball's pixel has at least; floors have less than 25, a half faded ball 80
_PEEL = 3.0  # pixels peeled off each blob: parts touching blobs, drops seams between two balls
_SMALLEST = 0.058  # radius, in widths, below which a blob is no ball; the smallest have 0.12


class Ball(NamedTuple):
    """A ball found on a frame: its index in the palette, and its place and radius in widths."""

    colour: int
    x: float
    y: float
    radius: float


def _hue(colors: np.ndarray) -> np.ndarray:
    """Hues in OpenCV's half degrees, 0 to 179, of uint8 (..., 3)."""
    return cv2.cvtColor(colors.reshape(1, -1, 3), cv2.COLOR_RGB2HSV)[0, :, 0].astype(int)


def _nearest_ball_color() -> np.ndarray:
    """For each of the 180 hues the palette colour whose hue is closest, (180,) uint8."""
    gap = np.abs(np.arange(180)[:, None] - _hue(BALL_COLORS.astype(np.uint8))[None, :])
    return np.minimum(gap, 180 - gap).argmin(1).astype(np.uint8)


_COLOR_OF_HUE = _nearest_ball_color()
_KERNEL = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (5, 5))


def detect_balls(frame: np.ndarray) -> list[Ball]:
    """The balls on a frame of `collisions`, uint8 (H, W, 3) RGB, ordered by colour.

    Works by hue, which shading keeps, so it bears the blur and noise of an autoencoder (30 dB).
    Raises ValueError for another shape or type, or a picture narrower than 64 pixels.
    """
    if frame.ndim != 3 or frame.shape[2] != 3 or frame.dtype != np.uint8:
        raise ValueError(f"frame is {frame.dtype} {frame.shape}; give uint8 of shape (H, W, 3)")
    height, width = frame.shape[:2]
    if width < BALLS_FROM:
        raise ValueError(
            f"frame is {width} pixels wide; balls are found from {BALLS_FROM} pixels on"
        )
    if width > BALLS_FROM:
        size = (BALLS_FROM, round(height * BALLS_FROM / width))
        frame = cv2.resize(frame, size, interpolation=cv2.INTER_AREA)
    frame = cv2.GaussianBlur(frame, (3, 3), 0.8)
    colored = frame.max(2).astype(int) - frame.min(2) >= _CHROMA
    colors = np.where(colored, _COLOR_OF_HUE[_hue(frame)].reshape(colored.shape), 255)
    return [ball for index in range(len(BALL_COLORS)) for ball in _blobs(colors == index, index)]


def _blobs(mask: np.ndarray, color: int) -> list[Ball]:
    if mask.sum() < np.pi * (_SMALLEST * BALLS_FROM) ** 2:
        return []
    # closed, because the highlight is white; padded, because outside the picture is no ball
    solid = cv2.morphologyEx(np.pad(mask.astype(np.uint8), 3), cv2.MORPH_CLOSE, _KERNEL)
    core = (cv2.distanceTransform(solid, cv2.DIST_L2, 5) > _PEEL).astype(np.uint8)
    count, _, stats, centres = cv2.connectedComponentsWithStats(core, connectivity=4)
    found = []
    for blob in range(1, count):
        radius = (np.sqrt(stats[blob, cv2.CC_STAT_AREA] / np.pi) + _PEEL) / BALLS_FROM
        if radius >= _SMALLEST:
            x, y = (centres[blob] - 3 + 0.5) / BALLS_FROM
            found.append(Ball(color, float(x), float(y), float(radius)))
    return found


def balls_are_constant(video: np.ndarray) -> bool:
    """Whether every frame of uint8 (F, H, W, 3) shows the same balls: as many, of the same colours.

    A clip on which no ball is found is not constant.
    """
    seen = [Counter(ball.colour for ball in detect_balls(frame)) for frame in video]
    return bool(seen[0]) and all(colors == seen[0] for colors in seen)


def motion_energy(video: np.ndarray) -> float:
    """How much moves in uint8 (F, H, W, 3): the mean change from frame to frame, 0 to 1."""
    if len(video) < 2:
        raise ValueError(f"video has {len(video)} frames; motion needs at least 2")
    return float(np.abs(np.diff(video.astype(np.int16), axis=0)).mean() / 255)
