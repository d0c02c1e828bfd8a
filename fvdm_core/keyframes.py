"""Pictures on frames: made to fit, and which frames start from which of them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from pathlib import Path

import numpy as np
from PIL import Image

from .limits import MAX_FRAMES, checked_integer, frame_name, shown
from .media import load_image
from .pictures import Fit
from .timeline import MAX_LEVEL, Timeline

Picture = str | Path | Image.Image | np.ndarray  # a path, a PIL image, or uint8 (H, W, 3)


def fit_pictures(
    timeline: Timeline,
    keyframes: Mapping[int, Picture],
    size: tuple[int, int],
    fit_of: Callable[[int], Fit],
) -> dict[int, np.ndarray]:
    """{frame from 0: uint8 (H, W, 3)}: each picture read and made `size` (H, W), the way that
    `fit_of` says for its frame.

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
            pictures[frame] = load_image(picture, size, fit_of(frame))
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
