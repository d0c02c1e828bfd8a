"""The sizes that timelines and frames may have, and how a message names frames and values."""

import operator
import reprlib
from collections.abc import Iterable
from typing import Any

MAX_LEVEL = 1000  # T: level 0 is clean, level T is pure noise
MAX_FRAMES = 1024
MAX_ROWS = 4096  # of the matrix: one more than there are steps
MAX_CELLS = 1_000_000
MAX_SIDE = 4096  # pixels of a frame that is made or read at another size
MAX_JSON_BYTES = 2_000_000
MIN_FPS, MAX_FPS = 0.001, 240  # of a clip
# what a model says it is best sampled with, and a run may change: the most of each
SAMPLING = {"temporal_scale": 5.0, "guidance_from": 1000}

LISTED = 5  # more runs of frames than this are not all named


def frame_name(index: int) -> str:
    """Name a frame as the page counts (from 1) and as the API counts (from 0)."""
    return f"frame {index + 1} (index {index})"


def frame_names(frames: Iterable[int], *, counted: bool = False) -> str:
    """Name frames (from 0) as the page counts: "frame 1", "frames 1, 2 and 9", "frames 1–4 and 9".

    Of many runs the rest is left to a number, "frames 1, 3, 5, 7, 9 and 6 more", or where the
    sentence wants them all `counted`, "11 frames".
    """
    numbers = sorted({int(frame) + 1 for frame in frames})
    runs: list[list[int]] = []
    for number in numbers:
        if runs and number == runs[-1][-1] + 1:
            runs[-1].append(number)
        else:
            runs.append([number])
    if counted and len(runs) > LISTED:
        return f"{len(numbers)} frames"
    words: list[str] = []
    for run in runs[:LISTED]:
        words += [f"{run[0]}–{run[-1]}"] if len(run) > 2 else map(str, run)
    if rest := sum(map(len, runs[LISTED:])):
        words.append(f"{rest} more")
    said = f"{', '.join(words[:-1])} and {words[-1]}" if words[1:] else "".join(words)
    return f"frame {said}" if len(numbers) == 1 else f"frames {said}"


def shown(value: Any) -> str:
    """Show any value in a message, short, whatever its size."""
    if isinstance(value, int) and abs(value) >= 10**15:
        return f"an integer of {value.bit_length()} bits"  # repr() refuses more than 4300 digits
    if hasattr(value, "item") and getattr(value, "ndim", None) == 0:
        value = value.item()
    text = reprlib.repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


def checked_integer(name: str, value: Any, low: int, high: int) -> int:
    """Return `value` as an int in [low, high]; True and 3.0 are no integers here.

    Raises ValueError naming the field, the value and the range.
    """
    allowed = f"{name} must be a whole number from {low} to {high}"
    if isinstance(value, bool):
        raise ValueError(f"{allowed}, got {value}")
    try:
        number = operator.index(value)
    except TypeError:
        raise ValueError(f"{allowed}, got {shown(value)}") from None
    if not low <= number <= high:
        raise ValueError(f"{allowed}, got {shown(number)}")
    return number


def checked_sides(size: Any) -> tuple[int, int]:
    """Return (height, width) in pixels as two ints in [1, MAX_SIDE].

    Raises ValueError naming the value and what is allowed.
    """
    try:
        pair = size if isinstance(size, list | tuple) else ()  # an array is neither true nor false
        height, width = (checked_integer("side", side, 1, MAX_SIDE) for side in pair)
    except ValueError:
        raise ValueError(
            f"size is {shown(size)}; it must be height and width in pixels, from 1 to {MAX_SIDE}"
        ) from None
    return height, width


def check_size(frames: Any, steps: Any, name: str = "timeline") -> tuple[int, int]:
    """Check that `frames` columns and `steps` + 1 rows are within the caps, before building any.

    Raises ValueError naming what is too large and what to reduce.
    """
    frames = checked_integer(f"{name}: frames", frames, 1, MAX_FRAMES)
    steps = checked_integer(f"{name}: steps", steps, 1, MAX_ROWS - 1)
    if (cells := (steps + 1) * frames) > MAX_CELLS:
        raise ValueError(
            f"{name}: {steps + 1} rows of {frames} frames are {cells} cells, "
            f"at most {MAX_CELLS} are allowed; use fewer steps or fewer frames"
        )
    return frames, steps
