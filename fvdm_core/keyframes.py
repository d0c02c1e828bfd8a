"""Pictures on frames: made to fit, and which frames start from which of them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from pathlib import Path

import numpy as np
from PIL import Image

from .limits import MAX_FRAMES, checked_integer, frame_name, shown
from .pictures import Fit, load_moving
from .timeline import MAX_LEVEL, Timeline

# a path, a PIL image, or uint8 (H, W, 3); where it moves, an animation or (N, H, W, 3)
Picture = str | Path | Image.Image | np.ndarray


def fit_pictures(
    timeline: Timeline,
    keyframes: Mapping[int, Picture],
    size: tuple[int, int],
    fit_of: Callable[[int], Fit],
    moving: int = 1,
) -> dict[int, np.ndarray]:
    """{frame from 0: uint8 (H, W, 3)}: each picture read and made `size` (H, W), the way that
    `fit_of` says for its frame.

    moving: as how many frames a picture may move, (moving, H, W, 3), on any but the first.

    Raises `ValueError` for a frame that the timeline does not have, and for what is no picture,
    naming the frame.
    """
    if not isinstance(keyframes, Mapping):
        raise ValueError(f"keyframes is {shown(keyframes)}; it must map frames to pictures")
    for frame in keyframes:
        checked_integer("keyframes: frame index", frame, 0, MAX_FRAMES - 1)
    pictures = {}
    for frame, picture in sorted(keyframes.items()):
        if frame >= timeline.frames:
            raise ValueError(
                f"a keyframe is on {frame_name(frame)}, but the timeline has "
                f"{timeline.frames} frames; move it or lengthen the timeline"
            )
        try:
            pictures[frame] = load_moving(picture, size, fit_of(frame), moving if frame else 1)
        except ValueError as error:
            raise ValueError(f"the keyframe on {frame_name(frame)}: {error}") from None
    return pictures


def known_frames(timeline: Timeline, pictures: Collection[int]) -> dict[int, int]:
    """{frame: the keyframe whose picture it starts from}, for frames that start below noise.

    Raises `ValueError` for such a frame without a picture, and for a picture that no frame starts
    from, with what to do about it.
    """
    for frame in timeline.needs_picture(pictures):
        level = int(timeline.levels[0, frame])
        held = timeline.sources is not None and timeline.sources[frame] == "hold"
        what = "no frame has a picture for it to hold" if held else "has no picture"
        raise ValueError(
            f"{frame_name(frame)} starts at level {level}, below noise, and {what}: drop a "
            f"picture on frame {frame + 1}, or paint its first row up to {MAX_LEVEL} (noise)"
        )
    for frame in timeline.unused_pictures(pictures):
        raise ValueError(
            f"the picture for {frame_name(frame)} would not be used, as this timeline makes that "
            f"frame from noise: take it away, or freeze frame {frame + 1} or start it below "
            f"{MAX_LEVEL} (noise)"
        )
    return timeline.starts_from(pictures)


def frames_of_columns(frames: int, frames_per_latent: int = 1) -> list[slice]:
    """Which of a clip's frames stand for each column: one for the first, then so many for each.

    Frames that are too many for that are left out at the start, so that a clip can go on at its
    end. Raises `ValueError` for what are no numbers of frames.
    """
    frames = checked_integer("frames", frames, 0, 10**9)
    frames_per_latent = checked_integer("frames_per_latent", frames_per_latent, 1, 10**9)
    if not frames:
        return []
    surplus = (frames - 1) % frames_per_latent
    ends = range(surplus + 1, frames + 1, frames_per_latent)
    return [slice(surplus, ends[0]), *(slice(end - frames_per_latent, end) for end in ends[1:])]
