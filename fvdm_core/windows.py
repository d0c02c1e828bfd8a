"""Which frames the model looks at together in a step, and which of them it moves."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from fvdm_core.limits import MAX_CELLS, MAX_FRAMES, checked_integer, frame_name, shown

MAX_WINDOW_ENTRIES = 4 * MAX_CELLS  # of all steps; windows that overlap by half have 3 for a cell


@dataclass(frozen=True, slots=True)
class Window:
    """One call of the model: it is given `frames` and moves `updates`; the others are context.

    Both are increasing frame indices (from 0), `updates` is a part of `frames`, and `frames` is
    not empty. Raises ValueError otherwise.
    """

    frames: tuple[int, ...]
    updates: tuple[int, ...]

    def __post_init__(self) -> None:
        for name in ("frames", "updates"):
            object.__setattr__(self, name, _increasing(f"window {name}", getattr(self, name)))
        if not self.frames:
            raise ValueError("window frames is empty; a window must see at least one frame")
        if stray := set(self.updates).difference(self.frames):
            raise ValueError(
                f"window updates {frame_name(min(stray))}, which is not among its frames; "
                "add it to the frames or leave it out of the updates"
            )


Step = tuple[Window, ...]


def _increasing(name: str, indices: Any) -> tuple[int, ...]:
    if not isinstance(indices, Sequence) or isinstance(indices, str):
        raise ValueError(f"{name} must be a list of frame indices, got {shown(indices)}")
    if len(indices) > MAX_FRAMES:
        raise ValueError(f"{name} lists {len(indices)} frames, at most {MAX_FRAMES} are allowed")
    checked = tuple(checked_integer(name, index, 0, MAX_FRAMES - 1) for index in indices)
    for before, after in pairwise(checked):
        if before >= after:
            raise ValueError(f"{name} must be increasing, got {after} after {before}")
    return checked


def whole(frames: int) -> Step:
    """Return the default: one window in which every frame is seen and moved."""
    indices = tuple(range(frames))
    return (Window(indices, indices),)


def overlapping(frames: Sequence[int], size: int) -> Step:
    """Cover `frames` with windows of at most `size` that together update each frame once.

    Neighbouring windows share about half their frames. Each is trusted only up to the middle of
    what it shares, so that no frame is updated at the edge of what its window sees, except where
    the clip itself ends.
    """
    size = min(size, len(frames))
    hop = max(1, size // 2)
    count = 1 + -(-(len(frames) - size) // hop)
    starts = [round(k * (len(frames) - size) / max(1, count - 1)) for k in range(count)]
    middles = [(left + size + right) // 2 for left, right in pairwise(starts)]
    edges = pairwise([0, *middles, len(frames)])
    return tuple(
        Window(tuple(frames[start : start + size]), tuple(frames[first:last]))
        for start, (first, last) in zip(starts, edges, strict=True)
    )


def narrowed(step: Step, size: int) -> Step:
    """Split every window of more than `size` frames into overlapping ones, updates kept."""
    parts: list[Window] = []
    for window in step:
        if len(window.frames) <= size:
            parts.append(window)
            continue
        wanted = set(window.updates)
        for part in overlapping(window.frames, size):
            if updates := tuple(frame for frame in part.updates if frame in wanted):
                parts.append(Window(part.frames, updates))
    return tuple(parts)


def owners(step: Step, frames: int) -> np.ndarray:
    """Return, for each frame, the position in `step` of the window that updates it, or -1: (F,)."""
    owner = np.full(frames, -1)
    for position, window in enumerate(step):
        owner[list(window.updates)] = position
    return owner


def checked_windows(windows: Any, levels: np.ndarray) -> tuple[Step, ...]:
    """Check the windows of every step against the matrix: levels (M+1, F).

    Every frame that goes down must be updated, and no frame twice. Raises ValueError naming the
    step and the frame.
    """
    steps, frames = levels.shape[0] - 1, levels.shape[1]
    if not isinstance(windows, Sequence) or len(windows) != steps:
        count = len(windows) if isinstance(windows, Sequence) else shown(windows)
        raise ValueError(f"windows must have one list for each of the {steps} steps, got {count}")
    windows = tuple(windows)
    seen: dict[int, tuple[Step, np.ndarray]] = {}  # steps often share a tuple: look at it once
    sizes: dict[int, int] = {}
    entries = 0
    checked: list[Step] = []
    for number, step in enumerate(windows):
        if id(step) not in seen:
            updated = _updated_frames(step, frames, number)
            seen[id(step)] = tuple(step), updated
            sizes[id(step)] = sum(len(window.frames) + len(window.updates) for window in step)
        same, updated = seen[id(step)]
        checked.append(same)
        entries += sizes[id(step)]
        if entries > MAX_WINDOW_ENTRIES:  # a file may say a large step once, and how often
            raise ValueError(
                f"windows: the windows of {number + 1} steps list {entries} frames, at most "
                f"{MAX_WINDOW_ENTRIES} are allowed; use fewer or smaller windows"
            )
        missing = (levels[number + 1] < levels[number]) & ~updated
        if missing.any():
            frame = int(missing.argmax())
            raise ValueError(
                f"windows: in step {number}, {frame_name(frame)} goes from "
                f"{levels[number, frame]} to {levels[number + 1, frame]} but no window updates it; "
                "add it to one window's updates, or remove the windows"
            )
    return tuple(checked)


def _updated_frames(step: Any, frames: int, number: int) -> np.ndarray:
    """Return which frames a step's windows update, each at most once: bool (F,)."""
    if not isinstance(step, Sequence) or not all(isinstance(window, Window) for window in step):
        raise ValueError(f"windows: step {number} must be a list of windows, got {shown(step)}")
    if len(step) > frames:
        raise ValueError(
            f"windows: step {number} has {len(step)} windows, more than the {frames} frames that "
            "they could update"
        )
    updated = np.zeros(frames, dtype=bool)
    for window in step:
        if window.frames[-1] >= frames:
            raise ValueError(
                f"windows: step {number} has a window with {frame_name(window.frames[-1])}, "
                f"but the timeline has {frames} frames"
            )
        updates = list(window.updates)
        if updated[updates].any():
            twice = next(frame for frame in updates if updated[frame])
            raise ValueError(
                f"windows: in step {number}, {frame_name(twice)} is updated by two windows; "
                "leave it in one"
            )
        updated[updates] = True
    return updated


def out_of_sight(windows: Sequence[Step], levels: np.ndarray) -> np.ndarray:
    """Return the frames that go down without ever being shown a clean frame: levels (M+1, F)."""
    down = levels[1:] < levels[:-1]  # (M, F)
    shown = ~down.any(axis=0)  # (F,)
    known: dict[int, tuple[np.ndarray, np.ndarray, np.ndarray]] = {}  # many steps share a tuple
    for step, clean, moving in zip(windows, levels[:-1] == 0, down, strict=True):
        if not step or not (moving & ~shown).any():
            continue
        if id(step) not in known:
            lengths = [len(window.frames) for window in step]
            seen = np.concatenate([window.frames for window in step])
            known[id(step)] = seen, np.cumsum([0, *lengths[:-1]]), owners(step, levels.shape[1])
        seen, starts, owner = known[id(step)]
        sees_clean = np.logical_or.reduceat(clean[seen], starts)  # of each window
        shown |= moving & (owner >= 0) & sees_clean[owner]
    return np.flatnonzero(~shown)
