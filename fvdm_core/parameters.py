"""The parameters of a preset: what a slider needs to know of one, and a check of what comes in."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from fvdm_core.limits import checked_integer, frame_name, shown


class Size(NamedTuple):
    """What a preset is built for: N frames, S steps, and the F frames that the model can see."""

    frames: int
    steps: int
    window: int

    @property
    def seen(self) -> int:
        """How many frames a window has here: F, or N where there are fewer."""
        return min(self.window, self.frames)


@dataclass(frozen=True)
class Parameter:
    """A parameter of a preset: what a slider needs, and a check.

    kind: "integer" or "number", within minimum … maximum; "frames", a list of frame indices; or
        "frame-values", a number for each of some frames: {frame: number}, a list with one for
        every frame, or one number for the frames that the default names.
    minimum, maximum, default: values, or functions of the Size that is built.
    follows: an earlier parameter whose value this one takes when it is left out.
    """

    name: str
    title: str
    kind: str
    default: Any
    minimum: Any = 0
    maximum: Any = 1
    step: float = 1
    follows: str | None = None

    def form(self, size: Size) -> dict[str, Any]:
        """Return the fields at a size as a dict for JSON: what a slider needs."""
        low, high = self._bounds(size)
        return {
            "name": self.name,
            "title": self.title,
            "kind": self.kind,
            "minimum": low,
            "maximum": high,
            "step": self.step,
            "default": resolved(self.default, size),
            "follows": self.follows,
        }

    def checked(self, value: Any, size: Size) -> Any:
        """Return the value as the preset's function wants it, or raise ValueError naming it."""
        low, high = self._bounds(size)
        if low > high:
            raise ValueError(
                f"{self.name} can have no value for {size.frames} frames in windows of "
                f"{size.window}; use more frames or a larger window"
            )
        if self.kind == "integer":
            return checked_integer(self.name, value, low, high)
        if self.kind == "number":
            return _number(self.name, value, low, high)
        if self.kind == "frames":
            return self._frames(value, size)
        return self._frame_values(value, size)

    def _bounds(self, size: Size) -> tuple[Any, Any]:
        if self.kind == "frames":
            return 0, size.frames - 1
        return resolved(self.minimum, size), resolved(self.maximum, size)

    def _frames(self, value: Any, size: Size) -> tuple[int, ...]:
        several = isinstance(value, Sequence | set) or (
            isinstance(value, np.ndarray) and value.ndim
        )
        if not several or isinstance(value, str | bytes):
            value = [value]
        if len(value) > size.frames:
            raise ValueError(f"{self.name} lists {len(value)} frames, there are {size.frames}")
        return tuple(sorted({_frame(self.name, index, size) for index in value}))

    def _frame_values(self, value: Any, size: Size) -> dict[int, float]:
        if isinstance(value, Mapping):
            items: Any = value.items()
        elif isinstance(value, Sequence | np.ndarray) and not isinstance(value, str | bytes):
            if len(value) != size.frames:
                raise ValueError(
                    f"{self.name} lists {len(value)} numbers, but there are {size.frames} frames"
                )
            items = enumerate(value)
        else:
            items = ((frame, value) for frame in resolved(self.default, size))
        low, high = self._bounds(size)
        numbers: dict[int, float] = {}
        for key, number in items:
            frame = _frame(self.name, key, size)
            numbers[frame] = _number(f"{self.name} of {frame_name(frame)}", number, low, high)
        return numbers


def resolved(value: Any, size: Size) -> Any:
    """Return a value, or what a function makes of the size."""
    return value(size) if callable(value) else value


def _number(name: str, value: Any, low: float, high: float) -> float:
    real = isinstance(value, int | float | np.number) and not isinstance(value, bool)
    if not real or not low <= value <= high:
        raise ValueError(f"{name} must be a number from {low:g} to {high:g}, got {shown(value)}")
    return float(value)


def _frame(name: str, index: Any, size: Size) -> int:
    if isinstance(index, str) and index.isascii() and index.isdigit() and len(index) <= 4:
        index = int(index)  # the keys of a JSON object are strings
    return checked_integer(f"{name}: frame index", index, 0, size.frames - 1)
