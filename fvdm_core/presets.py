"""The named timelines: a table of matrices with their titles and parameters."""

import difflib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from fvdm_core import matrices
from fvdm_core.limits import MAX_FRAMES, check_size, checked_integer, shown
from fvdm_core.matrices import PresetResult
from fvdm_core.parameters import Parameter, Size, resolved

GROUPS = ("generate", "condition", "extend", "edit", "orders", "resample")


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

    def build(self, frames: int, steps: int, window: int = 16, /, **params: Any) -> PresetResult:
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
                value = resolved(parameter.default, size)
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


def build(name: str, frames: int, steps: int, window: int = 16, /, **params: Any) -> PresetResult:
    """Build the preset called `name`; raises ValueError for an unknown one, naming the nearest."""
    if not isinstance(name, str) or name not in PRESETS:
        near = difflib.get_close_matches(str(name)[:40], PRESETS, n=1)
        hint = f"did you mean {near[0]}? " if near else ""
        raise ValueError(f"unknown preset {shown(name)}; {hint}there are {', '.join(PRESETS)}")
    return PRESETS[name].build(frames, steps, window, **params)


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


def _most_restarts(size: Size) -> int:
    """Each takes a row up and one down, and there is one to begin with."""
    return min(20, (size.steps - 1) // 2)


def _restarts(size: Size) -> int:
    return min(2, _most_restarts(size))


def _side(name: str, title: str) -> Parameter:
    return Parameter(
        name,
        title,
        "integer",
        default=lambda size: max(1, min(4, (size.frames - 1) // 2)),
        minimum=1,
        maximum=lambda size: size.frames - 2,
    )


_TABLE = (
    Preset("standard", "Generate", "generate", "Every frame from noise.", matrices.standard),
    Preset(
        "staggered",
        "Staggered",
        "generate",
        "From the middle, or from kept frames, outwards: each frame a little after its neighbour.",
        matrices.staggered,
        (Parameter("delay", "Delay of the last", "number", 0.5, 0.0, 4.0, 0.05), _keep()),
    ),
    Preset(
        "restart",
        "Restart",
        "generate",
        "Goes back up where shapes are decided, and down again, so that frames agree better.",
        matrices.restart,
        (
            Parameter("times", "Times", "integer", _restarts, 0, _most_restarts),
            Parameter("low", "Back from", "number", 0.5, 0.01, 0.99, 0.01),
            Parameter("high", "Up to", "number", 0.7, 0.01, 0.99, 0.01),
            _keep(),
        ),
    ),
    Preset(
        "late-start",
        "Late start",
        "generate",
        "Every frame from a noisy copy of the nearest picture, so it moves more freely.",
        matrices.late_start,
        (Parameter("start", "First level", "number", 0.94, 0.01, 1.0, 0.01), _keep()),
    ),
    Preset(
        "image-to-video",
        "Image to video",
        "condition",
        "Frame 1 is kept, the others are generated from it.",
        matrices.image_to_video,
        min_frames=2,
    ),
    Preset(
        "interpolation",
        "In-between",
        "condition",
        "The first and last frames are kept, those between are generated.",
        matrices.interpolation,
        min_frames=3,
    ),
    Preset(
        "loop",
        "Loop",
        "condition",
        "Frame 1 is kept and comes back as the last frame, so the clip closes on itself.",
        matrices.loop,
        min_frames=3,
    ),
    Preset(
        "any-frame",
        "Any frames",
        "condition",
        "Frames of your choice are kept, the others are generated around them.",
        matrices.any_frame,
        (_keep(lambda size: (size.frames // 2,)),),
        min_frames=2,
    ),
    Preset(
        "transition",
        "Transition",
        "condition",
        "The ends of two clips are kept, what joins them is generated.",
        matrices.transition,
        (_side("head", "Frames kept at the start"), _side("tail", "Frames kept at the end")),
        min_frames=3,
    ),
    Preset(
        "ramp",
        "Ramp",
        "condition",
        "The first frame is softened and noise rises from frame to frame: min(rate·i·t, t).",
        matrices.ramp,
        (Parameter("rate", "Rise per frame", "number", 0.2, 0.0, 1.0, 0.01),),
        min_frames=2,
    ),
    Preset(
        "soft-keyframes",
        "Soft keyframes",
        "condition",
        "Keyframes may change a little: they start at less noise than the others.",
        matrices.soft_keyframes,
        (Parameter("softness", "Softness", "frame-values", _first_frame(0.2), 0.0, 1.0, 0.05),),
        min_frames=2,
    ),
    Preset(
        "capped-keyframes",
        "Capped keyframes",
        "condition",
        "Keyframes wait at little noise until the others have come down to it.",
        matrices.capped_keyframes,
        (Parameter("strength", "Strength", "frame-values", _first_frame(0.9), 0.0, 1.0, 0.05),),
        min_frames=2,
    ),
    Preset(
        "next-frame",
        "Next frame",
        "extend",
        "All frames but the last are kept, the last is generated.",
        matrices.next_frame,
        min_frames=2,
    ),
    Preset(
        "extend",
        "Continue",
        "extend",
        "A long video, window after window, each begun by the end of the one before.",
        matrices.extend,
        (
            Parameter(
                "context",
                "Frames that a window is begun by",
                "integer",
                default=lambda size: max(1, size.seen // 2),
                minimum=1,
                maximum=lambda size: size.seen - 1,
            ),
            Parameter(
                "given",
                "Frames given at the start",
                "integer",
                default=lambda size: max(1, size.seen // 2),
                minimum=0,
                maximum=lambda size: size.frames - 1,
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
        matrices.diagonal,
    ),
    Preset(
        "hierarchical",
        "Hierarchical",
        "extend",
        "First some frames far apart, as one clip, then all between them.",
        matrices.hierarchical,
        (
            Parameter(
                "every",
                "Frames from one to the next",
                "integer",
                default=lambda size: min(4, size.seen - 1),
                minimum=2,
                maximum=lambda size: size.seen - 1,
            ),
        ),
        min_frames=3,
    ),
    Preset(
        "edit",
        "Edit",
        "edit",
        "Given frames are noised to a strength and made anew from there.",
        matrices.edit,
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
        matrices.pyramid,
        (_lag(4),),
    ),
    Preset(
        "trapezoid",
        "Trapezoid",
        "orders",
        "From both ends to the middle.",
        matrices.trapezoid,
        (_lag(4),),
    ),
    Preset(
        "autoregressive",
        "One by one",
        "orders",
        "Each frame is finished before the next begins.",
        matrices.autoregressive,
    ),
    Preset(
        "blocks",
        "Blocks",
        "orders",
        "From left to right in blocks of frames.",
        matrices.blocks,
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
        matrices.resample,
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
