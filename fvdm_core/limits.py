"""The sizes that a timeline may have, and how a refusal names a frame and a value."""

import operator
import reprlib
from typing import Any

MAX_LEVEL = 1000  # T: level 0 is clean, level T is pure noise
MAX_FRAMES = 1024
MAX_ROWS = 4096  # of the matrix: one more than there are steps
MAX_CELLS = 1_000_000
MAX_JSON_BYTES = 2_000_000


def frame_name(index: int) -> str:
    """Name a frame as the page counts (from 1) and as the API counts (from 0)."""
    return f"frame {index + 1} (index {index})"


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
