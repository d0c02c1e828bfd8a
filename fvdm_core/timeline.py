"""A timeline: how noisy every frame is before and after every step, and what goes with it."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from types import MappingProxyType
from typing import Any

import numpy as np

from fvdm_core import description, formula, presets, timeline_json
from fvdm_core.limits import (
    MAX_CELLS,
    MAX_FRAMES,
    MAX_LEVEL,
    MAX_ROWS,
    check_size,
    checked_integer,
    frame_name,
    shown,
)
from fvdm_core.windows import Step, Window, checked_windows, narrowed, owners, whole

__all__ = ["MAX_LEVEL", "PRIORS", "SOURCES", "Timeline", "Window"]

SOURCES = ("noise", "keyframe", "hold")
PRIORS = ("independent", "mixed", "progressive", "shuffled")
MAX_PRIOR_ALPHA = 100.0


@dataclass(frozen=True, eq=False)
class Timeline:
    """A matrix of noise levels, one row per state and one column per frame; it cannot change.

    levels: integers 0 (clean) … 1000 (noise), shape (M+1, F): row 0 before step 0, row M at the
        end. Step m moves every frame from `levels[m, f]` to `levels[m+1, f]`.
    windows: for each step the calls of the model; None means one window of all frames.
    sources: for each frame what it starts from: "noise", "keyframe" (its own picture) or "hold"
        (a copy of the nearest picture); None means the picture where one is given, else noise.
    prior, prior_alpha: how the frames' starting noise hangs together.
    seen: for a frame that never moves, the level the model is told when it differs from its own.

    Raises ValueError naming the field, row, frame and value that is not allowed.
    """

    levels: np.ndarray
    windows: tuple[Step, ...] | None = None
    sources: tuple[str, ...] | None = None
    prior: str = "independent"
    prior_alpha: float = 1.0
    seen: Mapping[int, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        levels = _checked_levels(self.levels)
        checked = {
            "levels": levels,
            "sources": _checked_sources(self.sources, levels.shape[1]),
            "windows": None if self.windows is None else checked_windows(self.windows, levels),
            "prior": _one_of("prior", self.prior, PRIORS),
            "prior_alpha": _checked_alpha(self.prior_alpha),
            "seen": _checked_seen(self.seen, levels),
        }
        for name, value in checked.items():
            object.__setattr__(self, name, value)

    @classmethod
    def preset(cls, name: str, *, frames: int, steps: int, window: int = 16, **params: Any):
        """Build a named timeline (see `presets.PRESETS`); `window` is what the model can see.

        Raises ValueError for an unknown name or parameter, or a value out of its range.
        """
        return cls(*presets.build(name, frames, steps, window, **params))

    @classmethod
    def formula(cls, text: str, *, frames: int, steps: int) -> "Timeline":
        """Build a timeline from a formula such as "min(0.2*i*t, t)" (see `formula.evaluate`)."""
        tau = formula.evaluate(text, frames, steps)
        return cls(np.rint(MAX_LEVEL * tau).astype(np.int64))

    @property
    def frames(self) -> int:
        """F, the number of frames."""
        return self.levels.shape[1]

    @property
    def num_steps(self) -> int:
        """M, the number of steps: one less than there are rows."""
        return self.levels.shape[0] - 1

    @property
    def window_size(self) -> int:
        """The largest number of frames that the model is given at once."""
        if self.windows is None:
            return self.frames
        return max((len(window.frames) for step in self.windows for window in step), default=1)

    @cached_property
    def model_calls(self) -> int:
        """How often the model is called: windows, over all steps, in which a frame goes down."""
        down = self.levels[1:] < self.levels[:-1]  # (M, F)
        if self.windows is None:
            return int(down.any(axis=1).sum())
        owner: dict[int, np.ndarray] = {}
        calls = 0
        for step, moving in zip(self.windows, down, strict=True):
            if id(step) not in owner:
                owner[id(step)] = owners(step, self.frames)
            calls += np.unique(owner[id(step)][moving]).size
        return calls

    def windows_at(self, step: int) -> Step:
        """Return all windows of a step, 0 … M−1."""
        step = checked_integer("step", step, 0, self.num_steps - 1)
        return whole(self.frames) if self.windows is None else self.windows[step]

    def active_windows(self, step: int) -> Step:
        """Return the windows of a step in which some updated frame goes down: its model calls."""
        windows = self.windows_at(step)
        down = self.levels[step + 1] < self.levels[step]  # (F,)
        active = np.unique(owners(windows, self.frames)[down])
        return tuple(windows[position] for position in active)

    def with_windows(self, size: int) -> "Timeline":
        """Return a timeline whose windows have at most `size` frames.

        A window that is too large becomes overlapping ones, which see context on both sides and
        together update the same frames once. The timeline itself is returned where all fit.
        """
        size = checked_integer("window size", size, 1, MAX_FRAMES)
        if self.window_size <= size:
            return self
        if self.windows is None:
            return replace(self, windows=(narrowed(whole(self.frames), size),) * self.num_steps)
        split = {id(step): narrowed(step, size) for step in self.windows}
        return replace(self, windows=tuple(split[id(step)] for step in self.windows))

    def resampled(self, frames: int, steps: int) -> "Timeline":
        """Return the same painting on `frames` columns and `steps` steps.

        Each new frame takes the column nearest to its place, and rows are interpolated, so a
        column that stands still stays so. A column that starts below noise stands for a picture:
        it moves to its new place and is not repeated while there are others to repeat.
        Windows are laid out anew, at most as large as before.
        """
        frames, steps = check_size(frames, steps)
        if (frames, steps) == (self.frames, self.num_steps):
            return self
        columns = self._columns_for(frames)
        rows = np.arange(steps + 1) * self.num_steps / steps
        above = np.minimum(rows.astype(np.int64), self.num_steps - 1)
        share = (rows - above)[:, None]  # (M'+1, 1)
        old = self.levels[:, columns]  # (M+1, F')
        levels = np.rint((1 - share) * old[above] + share * old[above + 1]).astype(np.int64)
        sources = None if self.sources is None else tuple(self.sources[c] for c in columns)
        seen = {new: self.seen[old] for new, old in enumerate(columns) if old in self.seen}
        painted = replace(self, levels=levels, windows=None, sources=sources, seen=seen)
        return painted if self.windows is None else painted.with_windows(self.window_size)

    def _columns_for(self, frames: int) -> list[int]:
        """Return which of this timeline's columns each of `frames` new ones takes."""
        place = np.rint(np.linspace(0, self.frames - 1, frames)).astype(int)
        held = np.array([source == "hold" for source in self.sources or [""] * self.frames])
        pictures = np.flatnonzero((self.levels[0] < MAX_LEVEL) & ~held)
        others = np.setdiff1d(np.arange(self.frames), pictures)
        if others.size:
            exact = np.linspace(0, self.frames - 1, frames)
            place = others[np.abs(exact[:, None] - others).argmin(axis=1)]
            scale = (frames - 1) / max(1, self.frames - 1)
            place[np.rint(pictures * scale).astype(int)] = pictures
        return [int(column) for column in place]

    def needs_picture(self, pictures: Collection[int] = ()) -> list[int]:
        """Return the frames (from 0) that start below noise and have nothing to start from.

        pictures: the frames that are given one. A frame held from the nearest picture needs only
        that there is one at all.
        """
        sources = self.sources or ("keyframe",) * self.frames
        return [
            frame
            for frame in map(int, np.flatnonzero(self.levels[0] < MAX_LEVEL))
            if frame not in pictures and not (sources[frame] == "hold" and pictures)
        ]

    def describe(self) -> str:
        """Say in plain words what this timeline does, from the matrix alone."""
        return description.describe(self.levels, self.sources, self.window_size)

    def warnings(self, pictures: Collection[int] = ()) -> list[str]:
        """Return what a person should know before running it, each with what to do.

        pictures: the frames (from 0) that are given a picture.
        """
        return description.warnings(
            self.levels, self.sources, self.prior, self.needs_picture(pictures)
        )

    def to_json(self) -> str:
        """Return the timeline as JSON, runs of equal values coded.

        Raises ValueError where it takes more than 2 MB.
        """
        return timeline_json.encode(
            self.levels, self.windows, self.sources, self.prior, self.prior_alpha, self.seen
        )

    @classmethod
    def from_json(cls, text: str | bytes) -> "Timeline":
        """Read what `to_json` wrote, or a hand-written one; nothing is built before it is checked.

        Raises ValueError naming what is wrong.
        """
        return cls(**timeline_json.decode(text))

    def _content(self) -> tuple[Any, ...]:
        return (
            self.levels.shape,
            self.levels.tobytes(),
            self.windows,
            self.sources,
            self.prior,
            self.prior_alpha,
            tuple(self.seen.items()),
        )

    def __eq__(self, other: object) -> bool:
        return (
            self._content() == other._content() if isinstance(other, Timeline) else NotImplemented
        )

    def __hash__(self) -> int:
        return hash(self._content())

    def __reduce__(self) -> tuple[Any, ...]:
        # A read-only view does not pickle, and what is unpickled is checked again.
        fields = self.levels, self.windows, self.sources, self.prior, self.prior_alpha
        return Timeline, (*fields, dict(self.seen))


def _checked_levels(levels: Any) -> np.ndarray:
    """Return a read-only int64 copy (M+1, F) of a matrix of levels, or refuse it."""
    if hasattr(levels, "__array__") and np.asarray(levels).dtype != object:
        matrix = _integer_array(np.asarray(levels))
    else:
        matrix = _integer_rows(levels.tolist() if isinstance(levels, np.ndarray) else levels)
    wrong = (matrix < 0) | (matrix > MAX_LEVEL)
    if wrong.any():
        row, frame = (int(index[0]) for index in np.nonzero(wrong))
        raise _wrong_level(row, frame, matrix[row, frame])
    levels = matrix.astype(np.int64)
    levels.setflags(write=False)
    return levels


def _wrong_level(row: int, frame: int, value: Any) -> ValueError:
    return ValueError(
        f"levels: row {row}, {frame_name(frame)} is {shown(value)}; "
        f"a level is a whole number from 0 (clean) to {MAX_LEVEL} (noise)"
    )


def _integer_array(array: np.ndarray) -> np.ndarray:
    if array.ndim != 2:
        raise ValueError(
            f"levels must have two dimensions, rows and frames (M+1, F), got shape {array.shape}"
        )
    _check_shape(array.shape[0], array.shape[1])
    if array.dtype.kind not in "iu":
        whole_numbers = array.dtype.kind == "f" and np.isfinite(array) & (array == np.rint(array))
        if array.dtype.kind != "f" or whole_numbers.all():
            raise ValueError(f"levels must be integers, got {array.dtype}; convert them first")
        row, frame = (int(index[0]) for index in np.nonzero(~whole_numbers))
        raise _wrong_level(row, frame, array[row, frame])
    return array


def _integer_rows(rows: Any) -> np.ndarray:
    """Turn lists of ints into an array, looking at every cell's type before anything is built."""
    if not isinstance(rows, Sequence) or isinstance(rows, str | bytes):
        raise ValueError(f"levels must be a list of rows, got {shown(rows)}")
    for number, row in enumerate(rows):
        if not isinstance(row, Sequence) or isinstance(row, str | bytes):
            raise ValueError(f"levels: row {number} must be a list of levels, got {shown(row)}")
        if number == 0:
            _check_shape(len(rows), len(row))
        if len(row) != len(rows[0]):
            raise ValueError(
                f"levels: row {number} has {len(row)} frames, but row 0 has {len(rows[0])}; "
                "all rows must be equally long"
            )
        if set(map(type, row)) != {int}:
            for frame, level in enumerate(row):
                if not isinstance(level, int | np.integer) or isinstance(level, bool):
                    raise _wrong_level(number, frame, level)
        if max(row) > MAX_LEVEL or min(row) < 0:
            frame = next(f for f, level in enumerate(row) if not 0 <= level <= MAX_LEVEL)
            raise _wrong_level(number, frame, row[frame])
    _check_shape(len(rows), len(rows[0]) if rows else 0)
    return np.array(rows, dtype=np.int64)


def _check_shape(rows: int, frames: int) -> None:
    if not 2 <= rows <= MAX_ROWS:
        raise ValueError(
            f"levels has {rows} rows, allowed are 2 to {MAX_ROWS}: one more than there are steps"
        )
    if not 1 <= frames <= MAX_FRAMES:
        raise ValueError(f"levels has {frames} frames, allowed are 1 to {MAX_FRAMES}")
    if rows * frames > MAX_CELLS:
        raise ValueError(
            f"levels has {rows} rows of {frames} frames, {rows * frames} cells; "
            f"at most {MAX_CELLS} are allowed: use fewer steps or fewer frames"
        )


def _one_of(name: str, value: Any, allowed: tuple[str, ...]) -> str:
    if not isinstance(value, str) or value not in allowed:
        raise ValueError(f"{name} is {shown(value)}; allowed are {', '.join(allowed)}")
    return value


def _checked_sources(sources: Any, frames: int) -> tuple[str, ...] | None:
    if sources is None:
        return None
    if not isinstance(sources, Sequence) or isinstance(sources, str) or len(sources) != frames:
        count = len(sources) if isinstance(sources, Sequence) else shown(sources)
        raise ValueError(f"sources must name one source for each of {frames} frames, got {count}")
    return tuple(
        _one_of(f"sources: {frame_name(frame)}", source, SOURCES)
        for frame, source in enumerate(sources)
    )


def _checked_alpha(alpha: Any) -> float:
    real = isinstance(alpha, int | float | np.number) and not isinstance(alpha, bool)
    if not real or not 0 <= alpha <= MAX_PRIOR_ALPHA:
        raise ValueError(
            f"prior_alpha is {shown(alpha)}; allowed is a number from 0 to {MAX_PRIOR_ALPHA:g}"
        )
    return float(alpha)


def _checked_seen(seen: Any, levels: np.ndarray) -> Mapping[int, int]:
    if not isinstance(seen, Mapping):
        raise ValueError(f"seen must map frames to levels, got {shown(seen)}")
    checked: dict[int, int] = {}
    for frame, level in seen.items():
        frame = checked_integer("seen: frame", frame, 0, levels.shape[1] - 1)
        level = checked_integer(f"seen: {frame_name(frame)}", level, 0, MAX_LEVEL)
        moves = np.flatnonzero(levels[1:, frame] != levels[:-1, frame])
        if moves.size:
            raise ValueError(
                f"seen: {frame_name(frame)} moves in step {moves[0]}; only a frame that never "
                "moves can be seen at another level"
            )
        checked[frame] = level
    return MappingProxyType(dict(sorted(checked.items())))
