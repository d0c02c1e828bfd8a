"""A timeline: how noisy every frame is before and after every step, and what goes with it."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np

from fvdm_core import description, formula, presets, timeline_json
from fvdm_core.limits import MAX_FRAMES, MAX_LEVEL, check_size, checked_integer
from fvdm_core.timeline_checks import (
    PRIORS,
    SOURCES,
    checked_alpha,
    checked_levels,
    checked_prior,
    checked_seen,
    checked_sources,
)
from fvdm_core.windows import Step, Window, checked_windows, narrowed, out_of_sight, owners, whole

__all__ = ["MAX_LEVEL", "PRIORS", "SOURCES", "Timeline", "Window"]


@dataclass(frozen=True, eq=False)
class Timeline:
    """A matrix of noise levels, one row per state and one column per frame; it cannot change.

    levels: integers 0 (clean) … 1000 (noise), shape (M+1, F): row 0 before step 0, row M at the
        end. Step m moves every frame from `levels[m, f]` to `levels[m+1, f]`.
    windows: for each step the calls of the model; None means one window of all frames.
    sources: for each frame what it starts from below level 1000, where it needs a picture: its own
        ("keyframe" or "noise", which are the same) or, for "hold", a copy of the nearest where it
        has none. None means its own for all. At 1000 every frame starts from noise.
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
        levels = checked_levels(self.levels)
        checked = {
            "levels": levels,
            "sources": checked_sources(self.sources, levels.shape[1]),
            "windows": None if self.windows is None else checked_windows(self.windows, levels),
            "prior": checked_prior(self.prior),
            "prior_alpha": checked_alpha(self.prior_alpha),
            "seen": checked_seen(self.seen, levels),
        }
        for name, value in checked.items():
            object.__setattr__(self, name, value)

    @classmethod
    def preset(
        cls, name: str, *, frames: int, steps: int, window: int = 16, **params: Any
    ) -> "Timeline":
        """Build a named timeline (see `presets.PRESETS`); `window` is what the model can see.

        Raises ValueError for an unknown name or parameter, or a value out of its range.
        """
        return cls(*presets.build(name, frames, steps, window, **params))

    @classmethod
    def formula(cls, text: str, *, frames: int, steps: int) -> "Timeline":
        """Build a timeline from a formula such as "min(0.2*i*t, t)" (see `formula.evaluate`).

        A frame that starts below noise and moves starts from the nearest picture, as in the ramp.
        """
        tau = formula.evaluate(text, frames, steps)
        levels = np.rint(MAX_LEVEL * tau).astype(np.int64)
        held = (levels[0] < MAX_LEVEL) & (levels != levels[0]).any(axis=0)  # (F,)
        sources = tuple("hold" if hold else "keyframe" for hold in held) if held.any() else None
        return cls(levels, sources=sources)

    @property
    def frames(self) -> int:
        """F, the number of frames."""
        return self.levels.shape[1]

    @property
    def num_steps(self) -> int:
        """M, the number of steps: one less than there are rows."""
        return self.levels.shape[0] - 1

    @cached_property
    def kept(self) -> tuple[int, ...]:
        """The frames (from 0) that are clean from the first row to the last."""
        return tuple(np.flatnonzero((self.levels == 0).all(axis=0)).tolist())

    @cached_property
    def window_size(self) -> int:
        """The largest number of frames that the model is given at once."""
        if self.windows is None:
            return self.frames
        different = {id(step): step for step in self.windows}.values()
        return max((len(window.frames) for step in different for window in step), default=1)

    @cached_property
    def model_calls(self) -> int:
        """How often the model is called: windows, over all steps, in which a frame goes down.

        A model that sees fewer frames than a window has is called `with_windows` of its own.
        """
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

    @cached_property
    def moves_together(self) -> bool:
        """Whether in every step all frames that move stand at one level, as a model that knows one
        timestep for the whole clip needs it."""
        moving = self.levels[1:] != self.levels[:-1]  # (M, F)
        lowest = np.where(moving, self.levels[:-1], MAX_LEVEL + 1).min(axis=1)  # (M,)
        highest = np.where(moving, self.levels[:-1], -1).max(axis=1)
        return bool(((lowest == highest) | ~moving.any(axis=1)).all())

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

    def shared_steps(self, other: "Timeline") -> int:
        """Return how many of the first steps of both are the same, with all that bears on them.

        Runs of both that are alike otherwise go through the same states so far: with n shared
        steps, rows 0 to n. It is -1 where not even row 0 is the same, with the noise that it is of.
        """
        alike = ["frames", "sources", "prior", "prior_alpha", "seen"]
        if self.prior == "shuffled":  # by the size of the largest window
            alike.append("window_size")
        if any(getattr(self, name) != getattr(other, name) for name in alike):
            return -1
        steps = min(self.num_steps, other.num_steps)
        same = (self.levels[: steps + 1] == other.levels[: steps + 1]).all(axis=1)
        rows = steps + 1 if same.all() else int(same.argmin())
        for step in range(rows - 1):
            if self.windows_at(step) != other.windows_at(step):
                return step
        return rows - 1

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

    def keeping(self, frames: Collection[int]) -> "Timeline":
        """Return the timeline with these frames (from 0) at 0 throughout, as known pictures.

        Steps in which then nothing moves are left out, so what is kept costs no model call.
        Raises ValueError where nothing is left to move.
        """
        kept = sorted({checked_integer("frame", frame, 0, self.frames - 1) for frame in frames})
        levels = np.array(self.levels)
        levels[:, kept] = 0
        moving = np.flatnonzero((levels[1:] != levels[:-1]).any(axis=1))  # steps
        if not moving.size:
            raise ValueError("every frame is kept, so there is nothing to generate: keep fewer")
        sources = self.sources
        if sources is not None:
            sources = tuple("keyframe" if f in kept else source for f, source in enumerate(sources))
        return replace(
            self,
            levels=levels[[*moving, moving[-1] + 1]],
            windows=None if self.windows is None else tuple(self.windows[m] for m in moving),
            sources=sources,
            seen={frame: level for frame, level in self.seen.items() if frame not in kept},
        )

    def _columns_for(self, frames: int) -> list[int]:
        """Return which of this timeline's columns each of `frames` new ones takes."""
        place = np.rint(np.linspace(0, self.frames - 1, frames)).astype(int)
        held = np.array([source == "hold" for source in self.sources or [""] * self.frames])
        repeatable = held & (self.levels != self.levels[0]).any(
            axis=0
        )  # one that stands is a picture
        pictures = np.flatnonzero((self.levels[0] < MAX_LEVEL) & ~repeatable)
        others = np.setdiff1d(np.arange(self.frames), pictures)
        if others.size:
            exact = np.linspace(0, self.frames - 1, frames)
            place = others[np.abs(exact[:, None] - others).argmin(axis=1)]
            scale = (frames - 1) / max(1, self.frames - 1)
            place[np.rint(pictures * scale).astype(int)] = pictures
        return [int(column) for column in place]

    def starts_from(self, pictures: Collection[int]) -> dict[int, int]:
        """Return for each frame that starts from a picture (from 0) the frame that picture is on.

        pictures: the frames that are given one. A held frame without one of its own starts from
        the nearest that is not made from noise itself, if there is one; the earlier on a tie.
        """
        below = set(map(int, np.flatnonzero(self.levels[0] < MAX_LEVEL)))
        shown = below.intersection(pictures) or pictures
        sources = self.sources or ("keyframe",) * self.frames
        found = {}
        for frame in sorted(below):
            if frame in pictures:
                found[frame] = frame
            elif sources[frame] == "hold" and pictures:
                found[frame] = min(shown, key=lambda other: (abs(other - frame), other))
        return found

    def needs_picture(self, pictures: Collection[int] = ()) -> list[int]:
        """Return the frames (from 0) that start below noise and have nothing to start from."""
        found = self.starts_from(pictures)
        below = map(int, np.flatnonzero(self.levels[0] < MAX_LEVEL))
        return [frame for frame in below if frame not in found]

    def unused_pictures(self, pictures: Collection[int]) -> list[int]:
        """Return the frames (from 0) whose picture no frame starts from."""
        return sorted(set(pictures).difference(self.starts_from(pictures).values()))

    def describe(self) -> str:
        """Say in plain words what this timeline does, from the matrix alone."""
        return description.describe(self.levels, self.sources, self.window_size, self.seen)

    def warnings(
        self, pictures: Collection[int] = (), trained_with: str = "independent"
    ) -> list[str]:
        """Return what a person should know before running it, each with what to do.

        pictures: the frames (from 0) that are given a picture. trained_with: the model's prior.
        """
        return description.warnings(
            self.levels,
            self.sources,
            self.prior,
            self.needs_picture(pictures),
            self.unused_pictures(pictures),
            () if self.windows is None else out_of_sight(self.windows, self.levels),
            trained_with,
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
