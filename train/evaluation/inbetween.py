"""Frames without a model: what holding, cross-fading and optical flow make of the known ones."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import cv2
import numpy as np

Fill = Callable[[np.ndarray, Sequence[int]], np.ndarray]


def hold(video: np.ndarray, kept: Sequence[int]) -> np.ndarray:
    """Frames of uint8 (F, H, W, 3) become their nearest kept one, the earlier on a tie."""
    kept_at = np.array(sorted(kept))
    nearest = [kept_at[np.abs(kept_at - frame).argmin()] for frame in range(len(video))]
    return video[nearest]


def cross_fade(video: np.ndarray, kept: Sequence[int]) -> np.ndarray:
    """Frames between two kept ones are mixtures of them; beyond the last or first, held."""
    return _between(video, kept, lambda a, b, share: a * (1 - share) + b * share)


def flow(video: np.ndarray, kept: Sequence[int]) -> np.ndarray:
    """Frames between two kept ones by OpenCV's optical flow (DIS), both ways.

    The flow to a moment between is put together from both directions (Jiang et al. 2018, equation
    4); the two warped pictures are mixed by nearness. Frames after the last kept one go on with its
    motion, where the frame before it is kept too; all others are held.
    """
    filled = _between(video, kept, _flow_between)
    last = max(kept)
    if last - 1 in kept:
        step = _motion(video[last], video[last - 1])
        for frame in range(last + 1, len(video)):
            filled[frame] = _warp(video[last], step * (frame - last)).round()
    return filled


def _between(
    video: np.ndarray,
    kept: Sequence[int],
    mix: Callable[[np.ndarray, np.ndarray, float], np.ndarray],
) -> np.ndarray:
    filled = hold(video, kept)
    ordered = sorted(kept)
    for left, right in zip(ordered, ordered[1:], strict=False):
        first, second = video[left], video[right]
        for frame in range(left + 1, right):
            share = (frame - left) / (right - left)
            filled[frame] = np.clip(mix(first, second, share).round(), 0, 255)
    return filled


def _flow_between(first: np.ndarray, second: np.ndarray, share: float) -> np.ndarray:
    there, back = _motion(first, second), _motion(second, first)
    to_first = -(1 - share) * share * there + share**2 * back
    to_second = (1 - share) ** 2 * there - share * (1 - share) * back
    return (1 - share) * _warp(first, to_first) + share * _warp(second, to_second)


def _motion(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Where each pixel of the first picture lies in the second, relative to itself, (H, W, 2)."""
    first, second = (cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY) for picture in (first, second))
    start = np.zeros((*first.shape, 2), np.float32)
    return cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM).calc(first, second, start)


def _warp(picture: np.ndarray, motion: np.ndarray) -> np.ndarray:
    """The picture as seen from places that moved by `motion`, float32 (H, W, 3)."""
    height, width = picture.shape[:2]
    x, y = np.meshgrid(np.arange(width), np.arange(height))
    at_x, at_y = (x + motion[..., 0]).astype(np.float32), (y + motion[..., 1]).astype(np.float32)
    pixels = picture.astype(np.float32)
    return cv2.remap(pixels, at_x, at_y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
