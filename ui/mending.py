"""What one click can mend of what the page warns of: buttons beside the sentences."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import numpy as np

from fvdm_core.limits import frame_names
from fvdm_core.timeline import Timeline

WORDS = {  # what the editor's `mend` does, for one frame and for more
    "hold": ("Let {} hold the nearest picture", "Let {} hold the nearest picture"),
    "keep": ("Keep the picture of {}", "Keep the pictures of {}"),
    "noise": ("Make {} from noise", "Make {} from noise"),
    "remove": ("Remove the picture", "Remove the pictures"),
    "clean": ("Let {} end clean", "Let {} end clean"),
}


def mends(timeline: Timeline, pictures: Collection[int]) -> list[dict[str, Any]]:
    """A line with a button for every kind of frame (from 0) that can be mended, and way to."""
    missing = timeline.needs_picture(pictures)
    unused = timeline.unused_pictures(pictures)
    found = {  # in the order of the warnings, and what keeps most of the painting first
        "hold": missing if pictures else [],
        "noise": missing,
        "keep": unused,
        "remove": unused,
        "clean": np.flatnonzero(timeline.levels[-1]).tolist(),
    }
    return [
        {
            "kind": "mend",
            "text": WORDS[what][len(frames) > 1].format(frame_names(frames, counted=True)),
            "mend": what,
            "frames": frames,
        }
        for what, frames in found.items()
        if frames
    ]


def unlike_training(timeline: Timeline, window: int) -> list[str]:
    """What to say of a timeline whose length the model has never seen."""
    if timeline.frames >= window:
        return []
    return [
        f"The model was trained on clips of {window} frames and has never seen one of "
        f"{timeline.frames}. Use {window} frames for the best."
    ]
