"""The named timelines: a table of functions that return a matrix of levels.

In the comments i = 1 … N counts frames and t runs from 1 to 0; τ is the level as a share of T.
Frame indices in parameters and code count from 0.
"""

import difflib
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from fvdm_core.limits import (
    MAX_FRAMES,
    MAX_LEVEL,
    check_size,
    checked_integer,
    frame_name,
    shown,
)
from fvdm_core.windows import Step, Window, overlapping

GROUPS = ("generate", "condition", "extend", "edit", "orders", "resample")


class Size(NamedTuple):
    """What a preset is built for: N frames, S steps, and the F frames that the model can see."""

    frames: int
    steps: int
    window: int


class PresetResult(NamedTuple):
    """The arguments of a Timeline: levels (M+1, N), windows per step, a source per frame."""

    levels: np.ndarray
    windows: tuple[Step, ...] | None = None
    sources: tuple[str, ...] | None = None


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
            "default": _at(self.default, size),
            "follows": self.follows,
        }

    def checked(self, value: Any, size: Size) -> Any:
        """Return the value as the preset's function wants it, or raise ValueError naming it."""
        low, high = self._bounds(size)
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
        return _at(self.minimum, size), _at(self.maximum, size)

    def _frames(self, value: Any, size: Size) -> tuple[int, ...]:
        if not isinstance(value, Sequence | set | np.ndarray) or isinstance(value, str | bytes):
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
            items = ((frame, value) for frame in _at(self.default, size))
        low, high = self._bounds(size)
        numbers: dict[int, float] = {}
        for key, number in items:
            frame = _frame(self.name, key, size)
            numbers[frame] = _number(f"{self.name} of {frame_name(frame)}", number, low, high)
        return numbers


@dataclass(frozen=True)
class Preset:
    """A named timeline: `make(size, **parameters)` returns its matrix."""

    name: str
    title: str
    group: str
    summary: str
    make: Callable[..., PresetResult]
    parameters: tuple[Parameter, ...] = ()
    min_frames: int = 1

    def build(self, frames: int, steps: int, window: int = 16, **params: Any) -> PresetResult:
        """Build for `frames` and `steps`, with windows of at most `window` frames where needed.

        Raises ValueError naming the parameter, its value and what is allowed.
        """
        size = self.size(frames, steps, window)
        names = [parameter.name for parameter in self.parameters]
        for name in params:
            if name not in names:
                allowed = f"it takes {', '.join(names)}" if names else "it takes none"
                raise ValueError(f"{self.name} has no parameter {shown(name)}; {allowed}")
        checked: dict[str, Any] = {}
        for parameter in self.parameters:
            value = params.get(parameter.name)
            if value is None and parameter.follows:
                value = checked[parameter.follows]
            elif value is None:
                value = _at(parameter.default, size)
            try:
                checked[parameter.name] = parameter.checked(value, size)
            except ValueError as error:
                raise ValueError(f"{self.name}: {error}") from None
        return self.make(size, **checked)

    def form(self, frames: int, steps: int, window: int = 16) -> list[dict[str, Any]]:
        """Return the parameters with their ranges and defaults at this size, for a page."""
        size = self.size(frames, steps, window)
        return [parameter.form(size) for parameter in self.parameters]

    def size(self, frames: int, steps: int, window: int = 16) -> Size:
        """Check what a preset is built for; raises ValueError naming what is not allowed."""
        frames, steps = check_size(frames, steps, self.name)
        if frames < self.min_frames:
            raise ValueError(f"{self.name} needs at least {self.min_frames} frames, got {frames}")
        return Size(frames, steps, checked_integer("window", window, 1, MAX_FRAMES))


def build(name: str, frames: int, steps: int, window: int = 16, **params: Any) -> PresetResult:
    """Build the preset called `name`; raises ValueError for an unknown one, naming the nearest."""
    if not isinstance(name, str) or name not in PRESETS:
        near = difflib.get_close_matches(str(name)[:40], PRESETS, n=1)
        hint = f"did you mean {near[0]}? " if near else ""
        raise ValueError(f"unknown preset {shown(name)}; {hint}there are {', '.join(PRESETS)}")
    return PRESETS[name].build(frames, steps, window, **params)


def _at(value: Any, size: Size) -> Any:
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


def _levels(tau: np.ndarray) -> np.ndarray:
    """Round τ, clipped to [0, 1], to integer levels: same shape."""
    return np.rint(MAX_LEVEL * np.clip(tau, 0, 1)).astype(np.int64)


def _time(steps: int) -> np.ndarray:
    """t_m = 1 − m/S, shape (S+1, 1)."""
    return 1 - np.arange(steps + 1)[:, None] / steps


def _kept(size: Size, *frames: int, sources: tuple[str, ...] | None = None) -> PresetResult:
    """τ = 0 for some frames, else t."""
    tau = np.repeat(_time(size.steps), size.frames, axis=1)  # (S+1, N)
    tau[:, list(frames)] = 0
    return PresetResult(_levels(tau), None, sources)


def _standard(size: Size) -> PresetResult:
    return _kept(size)


def _late_start(size: Size, start: float, keep: tuple[int, ...]) -> PresetResult:
    """τ = start·t; every frame that is not kept begins as a copy of the nearest picture."""
    tau = np.repeat(start * _time(size.steps), size.frames, axis=1)
    tau[:, list(keep)] = 0
    return PresetResult(_levels(tau), None, ("hold",) * size.frames)


def _image_to_video(size: Size) -> PresetResult:
    return _kept(size, 0)


def _interpolation(size: Size) -> PresetResult:
    return _kept(size, 0, size.frames - 1)


def _loop(size: Size) -> PresetResult:
    """An interpolation whose last frame is a copy of the first."""
    sources = ("keyframe", *["noise"] * (size.frames - 2), "hold")
    return _kept(size, 0, size.frames - 1, sources=sources)


def _any_frame(size: Size, keep: tuple[int, ...]) -> PresetResult:
    return _kept(size, *keep)


def _next_frame(size: Size) -> PresetResult:
    return _kept(size, *range(size.frames - 1))


def _transition(size: Size, head: int, tail: int) -> PresetResult:
    if head + tail >= size.frames:
        raise ValueError(
            f"transition: head {head} and tail {tail} leave none of {size.frames} frames between; "
            "make them smaller or use more frames"
        )
    return _kept(size, *range(head), *range(size.frames - tail, size.frames))


def _ramp(size: Size, rate: float) -> PresetResult:
    """τ = min(rate·i·t, t), FVDM §2.4: frame 1 is softened, the others start from a copy of it."""
    t = _time(size.steps)  # (S+1, 1)
    i = np.arange(1, size.frames + 1)  # (N,)
    sources = ("keyframe", *["hold"] * (size.frames - 1))
    return PresetResult(_levels(np.minimum(rate * i * t, t)), None, sources)


def _soft_keyframes(size: Size, softness: dict[int, float]) -> PresetResult:
    """τ = μ·t for a keyframe, else t (Pusa's noise multipliers)."""
    mu = np.ones(size.frames)
    mu[list(softness)] = list(softness.values())
    return PresetResult(_levels(mu * _time(size.steps)))


def _capped_keyframes(size: Size, strength: dict[int, float]) -> PresetResult:
    """τ = min(t, 1 − strength) for a keyframe, else t (LTX conditioning)."""
    cap = np.ones(size.frames)
    cap[list(strength)] = 1 - np.array(list(strength.values()))
    return PresetResult(_levels(np.minimum(_time(size.steps), cap)))


def _edit(size: Size, strength: dict[int, float]) -> PresetResult:
    """τ = min(t, k) (SDEdit, per frame); a frame without a k is kept."""
    k = np.zeros(size.frames)
    k[list(strength)] = list(strength.values())
    return PresetResult(_levels(np.minimum(_time(size.steps), k)))


def _lagging(size: Size, place: np.ndarray, lag: float) -> PresetResult:
    """τ = clip(1 + (place·u − m)/S): a frame at place p begins p·u steps late. place: (N,)."""
    # Rounded first: 3·0.1 is a hair above 0.3, which would cost a row that does nothing.
    rows = size.steps + math.ceil(round(float(place.max()) * lag, 9))
    check_size(size.frames, rows, f"{size.frames} frames that lag by {lag:g} steps")
    m = np.arange(rows + 1)[:, None]  # (M+1, 1)
    return PresetResult(_levels(1 + (place * lag - m) / size.steps))


def _pyramid(size: Size, lag: float) -> PresetResult:
    return _lagging(size, np.arange(size.frames), lag)


def _trapezoid(size: Size, lag: float) -> PresetResult:
    """The pyramid from both ends: min(i, N+1−i) for i."""
    i = np.arange(size.frames)
    return _lagging(size, np.minimum(i, size.frames - 1 - i), lag)


def _autoregressive(size: Size) -> PresetResult:
    return _lagging(size, np.arange(size.frames), size.steps)


def _blocks(size: Size, block: int, lag: float) -> PresetResult:
    return _lagging(size, np.arange(size.frames) // block, lag)


def _diagonal(size: Size) -> PresetResult:
    """The pyramid with u = S/F, in a window of F frames that slides with the frames that move.

    Where u is not a whole number of steps, F + 1 or more frames move in some steps: those steps
    take two windows.
    """
    levels = _pyramid(size, size.steps / size.window).levels
    if size.frames <= size.window:
        return PresetResult(levels)
    windows: list[Step] = []
    for moving in levels[1:] != levels[:-1]:
        frames = np.flatnonzero(moving)
        first, last = (frames[0], frames[-1]) if frames.size else (0, 0)
        span = max(last + 1 - first, size.window)
        first = min(first, size.frames - span)
        step = overlapping(range(first, first + span), size.window)
        windows.append(windows[-1] if windows and windows[-1] == step else step)
    return PresetResult(levels, tuple(windows))


def _extend(size: Size, context: int, given: int) -> PresetResult:
    """Window after window: the first `context` frames of each are done, the others go down.

    FVDM's long video: windows of F frames hop F − context. `given` frames are there at the start.
    """
    seen = min(size.window, size.frames)  # F
    hop = seen - context
    count = 1 + -(-(size.frames - seen) // hop)
    starts = [min(k * hop, size.frames - seen) for k in range(count)]
    rows = size.steps * count
    check_size(size.frames, rows, f"extend in {count} windows")
    tau = np.ones((rows + 1, size.frames))
    tau[:, :given] = 0
    windows: list[Step] = []
    done = given
    for number, start in enumerate(starts):
        first, last = number * size.steps, (number + 1) * size.steps
        tau[first : last + 1, done : start + seen] = _time(size.steps)
        tau[last:, done : start + seen] = 0
        window = Window(tuple(range(start, start + seen)), tuple(range(done, start + seen)))
        windows += [(window,)] * size.steps
        done = start + seen
    return PresetResult(_levels(tau), tuple(windows) if count > 1 else None)


def _hierarchical(size: Size, every: int) -> PresetResult:
    """First every k-th frame and the last, as one clip; then all gaps, their ends at 0.

    2·S rows. The gaps of a row are spread over as few windows as hold them whole.
    """
    check_size(size.frames, 2 * size.steps, "hierarchical")
    anchors = sorted({*range(0, size.frames, every), size.frames - 1})
    tau = np.ones((2 * size.steps + 1, size.frames))
    tau[size.steps :] = _time(size.steps)
    tau[: size.steps + 1, anchors] = _time(size.steps)
    tau[size.steps :, anchors] = 0
    first = overlapping(anchors, size.window)
    second = _gap_windows(anchors, size)
    return PresetResult(_levels(tau), (first,) * size.steps + (second,) * size.steps)


def _gap_windows(anchors: list[int], size: Size) -> Step:
    """Cover the gaps between anchors, each whole, by windows as long as the model sees."""
    seen = min(size.window, size.frames)
    windows: list[Window] = []
    left = 0
    while left < len(anchors) - 1:
        fits = [right for right in anchors[left + 1 :] if right - anchors[left] < seen]
        right = anchors.index(fits[-1])
        inner = set(range(anchors[left], anchors[right])).difference(anchors)
        start = min(anchors[left], size.frames - seen)
        if inner:
            windows.append(Window(tuple(range(start, start + seen)), tuple(sorted(inner))))
        left = right
    return tuple(windows)


def _resample(size: Size, jump: int, repeats: int, keep: tuple[int, ...]) -> PresetResult:
    """After every `jump` steps up by `jump` and down again, `repeats` times (RePaint).

    As in RePaint, not back to pure noise: nothing of the frame would be left.
    """
    segments = size.steps // jump
    rows = size.steps + max(0, segments - 1) * repeats * (jump + 1)
    check_size(size.frames, rows, "resample")
    positions: list[int] = list(range(jump + 1))
    for segment in range(1, segments):
        down = range(segment * jump, (segment + 1) * jump + 1)
        positions += [*down[1:], *list(down) * repeats]
    positions += range(segments * jump + 1, size.steps + 1)
    tau = np.repeat(_time(size.steps)[positions], size.frames, axis=1)
    tau[:, list(keep)] = 0
    return PresetResult(_levels(tau))


def _lag(share: int) -> Parameter:
    return Parameter(
        "lag",
        "Steps between starts",
        "number",
        default=lambda size: size.steps / share,
        maximum=lambda size: size.steps,
        step=0.5,
    )


def _first_frame(value: float) -> Callable[[Size], dict[int, float]]:
    return lambda size: {0: value}


def _keep(default: Callable[[Size], tuple[int, ...]] = lambda size: ()) -> Parameter:
    return Parameter("keep", "Frames kept", "frames", default)


def _side(name: str, title: str) -> Parameter:
    return Parameter(
        name,
        title,
        "integer",
        default=lambda size: max(1, min(4, (size.frames - 1) // 2)),
        minimum=1,
        maximum=lambda size: size.frames - 2,
    )


def _seen(size: Size) -> int:
    return min(size.window, size.frames)


_TABLE = (
    Preset("standard", "Generate", "generate", "Every frame from noise.", _standard),
    Preset(
        "late-start",
        "Late start",
        "generate",
        "Every frame from a noisy copy of the nearest picture, so it moves more freely.",
        _late_start,
        (Parameter("start", "First level", "number", 0.94, 0.01, 1.0, 0.01), _keep()),
    ),
    Preset(
        "image-to-video",
        "Image to video",
        "condition",
        "Frame 1 is kept, the others are generated from it.",
        _image_to_video,
        min_frames=2,
    ),
    Preset(
        "interpolation",
        "In-between",
        "condition",
        "The first and last frames are kept, those between are generated.",
        _interpolation,
        min_frames=3,
    ),
    Preset(
        "loop",
        "Loop",
        "condition",
        "Frame 1 is kept and comes back as the last frame, so the clip closes on itself.",
        _loop,
        min_frames=3,
    ),
    Preset(
        "any-frame",
        "Any frames",
        "condition",
        "Frames of your choice are kept, the others are generated around them.",
        _any_frame,
        (_keep(lambda size: (size.frames // 2,)),),
        min_frames=2,
    ),
    Preset(
        "transition",
        "Transition",
        "condition",
        "The ends of two clips are kept, what joins them is generated.",
        _transition,
        (_side("head", "Frames kept at the start"), _side("tail", "Frames kept at the end")),
        min_frames=3,
    ),
    Preset(
        "ramp",
        "Ramp",
        "condition",
        "The first frame is softened and noise rises from frame to frame: min(rate·i·t, t).",
        _ramp,
        (Parameter("rate", "Rise per frame", "number", 0.2, 0.0, 1.0, 0.01),),
        min_frames=2,
    ),
    Preset(
        "soft-keyframes",
        "Soft keyframes",
        "condition",
        "Keyframes may change a little: they start at less noise than the others.",
        _soft_keyframes,
        (Parameter("softness", "Softness", "frame-values", _first_frame(0.2), 0.0, 1.0, 0.05),),
        min_frames=2,
    ),
    Preset(
        "capped-keyframes",
        "Capped keyframes",
        "condition",
        "Keyframes wait at little noise until the others have come down to it.",
        _capped_keyframes,
        (Parameter("strength", "Strength", "frame-values", _first_frame(0.9), 0.0, 1.0, 0.05),),
        min_frames=2,
    ),
    Preset(
        "next-frame",
        "Next frame",
        "extend",
        "All frames but the last are kept, the last is generated.",
        _next_frame,
        min_frames=2,
    ),
    Preset(
        "extend",
        "Continue",
        "extend",
        "A long video, window after window, each begun by the end of the one before.",
        _extend,
        (
            Parameter(
                "context",
                "Frames that a window is begun by",
                "integer",
                default=lambda size: max(1, _seen(size) // 2),
                minimum=1,
                maximum=lambda size: _seen(size) - 1,
            ),
            Parameter(
                "given",
                "Frames given at the start",
                "integer",
                default=lambda size: max(1, _seen(size) // 2),
                minimum=0,
                maximum=lambda size: _seen(size) - 1,
                follows="context",
            ),
        ),
        min_frames=2,
    ),
    Preset(
        "diagonal",
        "Diagonal",
        "extend",
        "A video of any length: a window slides along, one frame is done and one enters.",
        _diagonal,
    ),
    Preset(
        "hierarchical",
        "Hierarchical",
        "extend",
        "First some frames far apart, as one clip, then all between them.",
        _hierarchical,
        (
            Parameter(
                "every",
                "Frames from one to the next",
                "integer",
                default=lambda size: min(4, _seen(size) - 1),
                minimum=2,
                maximum=lambda size: _seen(size) - 1,
            ),
        ),
        min_frames=3,
    ),
    Preset(
        "edit",
        "Edit",
        "edit",
        "Given frames are noised to a strength and made anew from there.",
        _edit,
        (
            Parameter(
                "strength",
                "Strength",
                "frame-values",
                default=lambda size: dict.fromkeys(range(size.frames), 0.6),
                step=0.05,
            ),
        ),
    ),
    Preset(
        "pyramid",
        "Pyramid",
        "orders",
        "From left to right, each frame some steps behind the one before.",
        _pyramid,
        (_lag(4),),
    ),
    Preset(
        "trapezoid",
        "Trapezoid",
        "orders",
        "From both ends to the middle.",
        _trapezoid,
        (_lag(4),),
    ),
    Preset(
        "autoregressive",
        "One by one",
        "orders",
        "Each frame is finished before the next begins.",
        _autoregressive,
    ),
    Preset(
        "blocks",
        "Blocks",
        "orders",
        "From left to right in blocks of frames.",
        _blocks,
        (
            Parameter(
                "block",
                "Frames in a block",
                "integer",
                default=lambda size: min(4, size.frames),
                minimum=1,
                maximum=lambda size: size.frames,
            ),
            _lag(2),
        ),
    ),
    Preset(
        "resample",
        "Resample",
        "resample",
        "Goes back up and down again on the way, so that frames agree better.",
        _resample,
        (
            Parameter(
                "jump",
                "Steps back up",
                "integer",
                default=lambda size: max(1, round(size.steps / 10)),
                minimum=1,
                maximum=lambda size: size.steps,
            ),
            Parameter("repeats", "Times", "integer", 2, 0, 10),
            _keep(),
        ),
    ),
)

PRESETS: dict[str, Preset] = {preset.name: preset for preset in _TABLE}
