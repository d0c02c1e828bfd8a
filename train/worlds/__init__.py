"""Miniature worlds: endless short clips, rendered by code from a seed, with their true factors.

Every clip is a function of its world, its seed and its size, and the first frames of a longer clip
are those of the shorter one. Training takes seeds below 2**31, hashed from the position in the data
stream; evaluation takes seeds from ``UNSEEN`` = 2**40 on, which no training run has seen.

Bytes repeat for one version of OpenCV; another may round the clouds of `sky` a little differently.
"""

from __future__ import annotations

import numpy as np

from train.worlds import collisions, faces, figures, sky
from train.worlds.base import UNSEEN, Clip, World

__all__ = ["UNSEEN", "WORLDS", "Clip", "World", "render"]

WORLDS: dict[str, World] = {
    world.name: world
    for world in (
        World("sky", 0, "Soft clouds drift over hills under a low sun.", sky.render),
        World("faces", 1, "A cartoon head talks, blinks and turns.", faces.render),
        World("collisions", 2, "Shaded balls bounce by mass and momentum.", collisions.render),
        World("figures", 3, "A jointed figure moves slowly.", figures.render),
    )
}


def render(world: str, seed: int, frames: int = 16, size: int = 64, fps: float = 8.0) -> Clip:
    """A clip of ``world``: uint8 (frames, size, size, 3) RGB and its factors.

    Raises ValueError for a world that does not exist, a negative seed, no frames, a size below 16
    or a frame rate that is not positive.
    """
    if world not in WORLDS:
        raise ValueError(f"world is {world!r}; it must be one of {', '.join(WORLDS)}")
    if seed < 0:
        raise ValueError(f"seed is {seed}; give an integer that is 0 or greater")
    if frames < 1:
        raise ValueError(f"frames is {frames}; a clip needs at least 1")
    if size < 16:
        raise ValueError(f"size is {size}; a clip needs at least 16 pixels a side")
    if not fps > 0:
        raise ValueError(f"fps is {fps}; give a positive number of frames per second")
    entry = WORLDS[world]
    rng = np.random.default_rng([entry.label, seed])
    video, factors = entry.renderer(rng, np.arange(frames) / fps, size)
    return Clip(video, factors, world, seed)
