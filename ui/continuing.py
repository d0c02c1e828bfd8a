"""From a finished clip to the next one: its tail, one of its frames, or all of it, as keyframes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from pydantic import Field

from fvdm_core.limits import MAX_FRAMES, MAX_ROWS
from fvdm_core.pictures import png_picture
from fvdm_core.recipe import Recipe
from fvdm_core.timeline import Timeline
from ui import editing
from ui.refusals import RequestError, checked
from ui.requests import EditorValue, KeyframeValue, PresetValue, Strict, Whole
from ui.restoring import as_upload, uploading, written_upload
from ui.saved import Saved

WAYS = ("extend", "diagonal", "hierarchical")  # presets that make a clip of any length
TAIL = 8
Columns = Sequence[Sequence[Path]]  # of a clip: the frames that stand for each


class ContinueRequest(Strict):
    """How many of a clip's last columns begin the next one; None is what suits the model."""

    tail: Whole | None = Field(default=None, ge=1, lt=MAX_FRAMES)


class ExtendRequest(Strict):
    """How long a clip is to become, in columns, and in which order the new ones are made."""

    frames: Whole = Field(default=32, ge=2, le=MAX_FRAMES)
    way: str = "extend"


class FrameRequest(Strict):
    """One frame of a clip, counted from 0."""

    frame: Whole = Field(ge=0)


def continued(
    columns: Columns, request: ContinueRequest, steps: int, window: int, moving: bool = False
) -> EditorValue:
    """A timeline as long as the clip, or as may be, that begins with the clip's last frames.

    Raises:
        RequestError: the clip has fewer frames, or the model would see none but those.
    """
    most = min(len(columns), window - 1)
    tail = request.tail or max(1, min(TAIL, window // 2, most))
    if tail > most:
        raise RequestError(
            f"tail is {tail}: this clip can be continued from its last 1 to {most} "
            f"{_what(columns)}."
        )
    params = {"context": tail, "given": tail}
    timeline = _as_long(max(len(columns), tail + 1), steps, window, params)
    return editing.painted(
        timeline,
        keyframes=_pictures(columns[-tail:], moving),
        preset=PresetValue(name="extend", params=params, steps=steps),
    )


def _as_long(frames: int, steps: int, window: int, params: dict[str, int]) -> Timeline:
    """A continuation of so many frames, or of half or a quarter where those are too many cells."""
    while True:
        try:
            return Timeline.preset("extend", frames=frames, steps=steps, window=window, **params)
        except ValueError as error:
            if frames <= window:
                raise RequestError(str(error)) from None
            frames = max(window, frames // 2)


def extended(
    columns: Columns, request: ExtendRequest, steps: int, window: int, moving: bool = False
) -> EditorValue:
    """A longer timeline that begins with the whole clip; what comes after it is generated.

    The model is called on windows of its own length, so memory does not grow with the frames.

    Raises:
        RequestError: the clip is that long already, or the way is unknown.
    """
    if request.way not in WAYS:
        raise RequestError(f"way is {request.way!r}: choose one of {', '.join(WAYS)}.")
    there = len(columns)
    if request.frames <= there:
        raise RequestError(
            f"The clip has {there} {_what(columns)} already: choose more than that to extend it."
        )
    params = {"given": there} if request.way == "extend" else {}
    timeline = checked(
        lambda: (
            Timeline.preset(
                request.way, frames=request.frames, steps=steps, window=window, **params
            )
            .keeping(range(there))
            .with_windows(window)
        )
    )
    return editing.painted(timeline, keyframes=_pictures(columns, moving), steps_before=steps)


def frame_used(saved: Saved, request: FrameRequest, editor: EditorValue) -> EditorValue:
    """The painting with one frame of a clip on the first slot that wants a picture.

    Raises:
        RequestError: the clip has no such frame.
    """
    files = saved.frames
    if request.frame >= len(files):
        raise RequestError(f"The clip has {len(files)} frames; there is no frame {request.frame}.")
    return editing.with_picture(editor, as_upload(files[request.frame], request.frame))


def steps_of_clip(recipe: Recipe) -> int:
    """How many steps a frame of the clip took from noise to clean: those of its preset, if any."""
    preset = recipe.page.get("preset")
    steps = preset.get("steps") if isinstance(preset, dict) else None
    if isinstance(steps, int) and 1 <= steps < MAX_ROWS:
        return steps
    levels = recipe.timeline.levels
    return int((levels[1:] != levels[:-1]).sum(axis=0).max()) or 1


def _what(columns: Columns) -> str:
    """What is counted of a clip."""
    each = max(map(len, columns), default=1)
    return "frames" if each == 1 else f"columns of {each} frames"


def _pictures(columns: Columns, moving: bool) -> list[KeyframeValue]:
    """What is on the columns of a clip as the pictures of frames 1, 2, …, all but the first with
    all their frames where these may be `moving`."""
    pictures = []
    for frame, files in enumerate(columns):
        name = int(files[-1].stem) - 1
        if moving and frame and len(files) > 1:
            with uploading():
                whole = np.stack([png_picture(file.read_bytes(), file.name) for file in files])
            upload = written_upload(whole, name)
        else:
            upload = as_upload(files[-1], name)
        pictures.append(KeyframeValue(frame=frame, file=upload))
    return pictures
