"""What the panel does to a painting: presets, formulas and sizes, with the pictures kept."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from gradio.data_classes import FileData

from fvdm_core import formula
from fvdm_core.examples import ExampleTimeline
from fvdm_core.limits import shown
from fvdm_core.presets import PRESETS
from fvdm_core.timeline import MAX_LEVEL, Timeline
from ui.refusals import RequestError, checked
from ui.requests import (
    BringRequest,
    EditorValue,
    FormulaRequest,
    KeyframeValue,
    PresetRequest,
    PresetValue,
    SizeRequest,
    WindowValue,
)

WINDOW = 16  # frames that the shipped model sees; said again by the model once it is there
FRAMES, STEPS = 16, 30
STEPS_OF = {"extend": "window", "hierarchical": "level", "resample": "way down"}  # else a frame
PREVIEW_CELLS = 64  # of the picture below the formula box, at most
PICTURE_CELLS = 14  # the pictures of the presets are this many frames and rows


def painted(
    timeline: Timeline,
    *,
    keyframes: list[KeyframeValue] | None = None,
    preset: PresetValue | None = None,
    formula: str = "",
    steps_before: int | None = None,
) -> EditorValue:
    """The timeline as the editor's value."""
    windows = None
    if timeline.windows is not None:
        windows = [
            [WindowValue(frames=list(w.frames), updates=list(w.updates)) for w in step]
            for step in timeline.windows
        ]
    return EditorValue(
        levels=timeline.levels.tolist(),
        windows=windows,
        sources=None if timeline.sources is None else list(timeline.sources),  # type: ignore[arg-type]
        preset=preset,
        formula=formula,
        prior=timeline.prior,
        prior_alpha=timeline.prior_alpha,
        seen=dict(timeline.seen),
        steps_before=steps_before,
        keyframes=keyframes or [],
    )


def with_brought(
    editor: EditorValue,
    brought: BringRequest,
    examples: list[ExampleTimeline],
    size: SizeRequest,
    window: int,
) -> EditorValue:
    """A timeline that the page brought in place of the painting, with the pictures kept.

    The person's own presets take on the present frames and steps; examples and files keep theirs.

    Raises:
        RequestError: it holds no timeline, or names no example.
    """
    if brought.kind == "example":
        found = [each.timeline for each in examples if each.name == brought.name]
        if not found:
            raise RequestError(f"There is no example timeline {shown(brought.name)}.")
        timeline = found[0]
    else:
        timeline = brought.timeline()
    if brought.kind == "own":
        # all of the painting's steps, where the box counts those of a window
        steps = editor.steps if size.steps == steps_of(editor, window) else size.steps
        timeline = checked(lambda: timeline.resampled(size.frames, steps))
    return painted(
        timeline,
        keyframes=_kept_pictures(editor, timeline, stay=True),
        steps_before=steps_for_preset(editor, size.steps, window),
    )


def with_preset(editor: EditorValue | None, request: PresetRequest, window: int) -> EditorValue:
    """The preset in place of the painting; pictures stay, or move to where the preset wants one."""
    timeline = request.timeline(window)
    if editor is not None:
        timeline = _with_noise_of(editor, timeline)
    preset = PresetValue(name=request.name, params=request.params, steps=request.steps)
    return painted(
        timeline,
        keyframes=[] if editor is None else _kept_pictures(editor, timeline, stay=True),
        preset=preset,
    )


def _with_noise_of(editor: EditorValue, timeline: Timeline) -> Timeline:
    """The timeline with the kind of starting noise that the person chose."""
    return replace(timeline, prior=editor.prior, prior_alpha=editor.prior_alpha)


def with_prior(editor: EditorValue, prior: str, alpha: float = 1.0) -> EditorValue:
    """The painting with another kind of starting noise.

    Raises:
        RequestError: there is no such kind.
    """
    changed = editor.model_copy(update={"prior": prior, "prior_alpha": alpha})
    changed.timeline()  # refuses an unknown one
    return changed


def with_picture(editor: EditorValue, file: FileData) -> EditorValue:
    """The picture on the first frame that wants one: kept or softened, and without a picture yet.

    Where all have one the first is replaced, and where none wants one frame 1 is kept as it.
    """
    wanted = [frame for frame, level in enumerate(editor.levels[0]) if level < MAX_LEVEL]
    if not wanted and editor.frames > 1:
        kept = checked(lambda: editor.timeline().keeping([0]))
        editor = painted(kept, keyframes=editor.keyframes, steps_before=editor.steps_before)
    wanted = wanted or [0]
    taken = {keyframe.frame for keyframe in editor.keyframes}
    frame = next((frame for frame in wanted if frame not in taken), wanted[0])
    others = [keyframe for keyframe in editor.keyframes if keyframe.frame != frame]
    keyframes = sorted([*others, KeyframeValue(frame=frame, file=file)], key=lambda k: k.frame)
    return editor.model_copy(update={"keyframes": keyframes})


def with_formula(editor: EditorValue, request: FormulaRequest) -> EditorValue:
    """The formula's levels in place of the painting."""
    timeline = _with_noise_of(editor, request.timeline())
    pictures = _kept_pictures(editor, timeline, stay=True)
    return painted(timeline, keyframes=pictures, formula=request.formula)


def with_size(editor: EditorValue, size: SizeRequest, window: int) -> EditorValue:
    """The painting at another size: rebuilt while it is a preset or formula, else resampled."""
    if editor.preset is not None and is_preset(editor, window):
        request = checked(
            lambda: PresetRequest(
                name=editor.preset.name,  # type: ignore[union-attr]
                params=_fitting(editor.preset, size.frames),  # type: ignore[arg-type]
                frames=size.frames,
                steps=size.steps,
            )
        )
        return with_preset(editor, request, window)
    if editor.formula and is_formula(editor):
        formula = FormulaRequest(formula=editor.formula, frames=size.frames, steps=size.steps)
        return with_formula(editor, formula)
    return _resampled(editor, size.frames, size.steps)


def _resampled(editor: EditorValue, frames: int, steps: int) -> EditorValue:
    timeline = checked(lambda: editor.timeline().resampled(frames, steps))
    return painted(
        timeline,
        keyframes=_kept_pictures(editor, timeline, stay=False),
        preset=editor.preset,
        formula=editor.formula,
        steps_before=editor.steps_before if steps == editor.steps else None,  # or asked for now
    )


def with_window(editor: EditorValue, before: int, window: int) -> EditorValue:
    """The painting for a model that sees `window` frames where the last one saw `before`.

    One that filled the old window fills the new one. Presets are laid out anew; what was painted
    by hand keeps its windows, which `Timeline.with_windows` narrows where they are too wide.
    """
    frames = window if editor.frames == before else editor.frames
    preset, steps = editor.preset, steps_of(editor, before)
    if preset is not None and is_preset(editor, before):
        params = _fitting(preset, frames)
        with contextlib.suppress(RequestError):  # its parameters want more frames
            request = PresetRequest(name=preset.name, params=params, frames=frames, steps=steps)
            return with_preset(editor, request, window)
        if frames != editor.frames:
            return _resampled(editor, frames, editor.steps)
    if frames == editor.frames:
        return editor
    return with_size(editor, SizeRequest(frames=frames, steps=steps), before)


def is_preset(editor: EditorValue, window: int) -> bool:
    """Whether the painting still is the preset that it started from, cell by cell."""
    if editor.preset is None or editor.preset.steps is None:
        return False
    try:
        preset = Timeline.preset(
            editor.preset.name,
            frames=editor.frames,
            steps=editor.preset.steps,
            window=window,
            **editor.preset.params,
        )
    except (ValueError, TypeError):
        return False
    same = np.array_equal(preset.levels, editor.levels)
    return same and _held(preset.sources) == _held(editor.sources)


def _held(sources: Sequence[str] | None) -> list[int]:
    """The frames that start from the nearest picture; the rest follows from where pictures are."""
    return [frame for frame, source in enumerate(sources or ()) if source == "hold"]


def steps_of(editor: EditorValue, window: int) -> int:
    """What the steps box shows: the preset's own steps, or the rows of a painting."""
    if editor.preset is not None and editor.preset.steps and is_preset(editor, window):
        return editor.preset.steps
    return editor.steps


def steps_for_preset(editor: EditorValue, asked: Any, window: int) -> Any:
    """The steps of a preset that takes the painting's place: those asked for in the box, or where
    the box only says what there is, those from before it or the painting's own."""
    if asked != steps_of(editor, window):
        return asked
    return editor.steps_before or preset_steps(editor, window)


def preset_steps(editor: EditorValue, window: int) -> int:
    """The painting's steps as its preset counts them, also where it was painted over or resized.

    With so many steps the preset, and others beside it, take about as long as the painting does.
    """
    preset = editor.preset
    if preset is None or not preset.steps:
        return editor.steps
    try:
        rows = Timeline.preset(
            preset.name, frames=editor.frames, steps=preset.steps, window=window, **preset.params
        ).num_steps
    except (ValueError, TypeError):
        return editor.steps
    return max(1, round(preset.steps * editor.steps / rows))


def steps_words(editor: EditorValue, window: int) -> str:
    """What the steps box is called: of some presets a run has more steps than that."""
    steps = steps_of(editor, window)
    if steps == editor.steps or editor.preset is None:
        return "Steps"
    return f"Steps per {STEPS_OF.get(editor.preset.name, 'frame')}"


def picker_value(editor: EditorValue, window: int) -> dict[str, Any]:
    """What the preset picker shows for a painting: the preset and its parameters' ranges."""
    preset = editor.preset
    if preset is None or preset.name not in PRESETS:
        return {"name": None, "params": {}, "form": [], "frames": editor.frames}
    try:
        form = _form(preset.name, editor.frames, preset.steps or editor.steps, window)
    except ValueError:  # painted over and resized to where the preset cannot be
        form = []
    return {"name": preset.name, "params": preset.params, "form": form, "frames": editor.frames}


def preset_table() -> list[dict[str, Any]]:
    """Every preset with a small picture of its matrix."""
    table = []
    for preset in PRESETS.values():
        # only what lengthens a clip is drawn longer than the window that it moves
        window = PICTURE_CELLS // 2 if preset.group == "extend" else PICTURE_CELLS
        levels = preset.build(PICTURE_CELLS, PICTURE_CELLS, window).levels
        rows = np.linspace(0, len(levels) - 1, PICTURE_CELLS).round().astype(int)
        table.append(
            {
                "name": preset.name,
                "title": preset.title,
                "group": preset.group,
                "summary": preset.summary,
                "levels": levels[rows].tolist(),
            }
        )
    return table


def timeline_table(examples: list[ExampleTimeline]) -> list[dict[str, Any]]:
    """The example timelines with small pictures."""
    return [
        {
            "name": example.name,
            "title": example.title,
            "about": example.about,
            "levels": example.timeline.resampled(PICTURE_CELLS, PICTURE_CELLS).levels.tolist(),
        }
        for example in examples
    ]


def formula_names() -> dict[str, Any]:
    """What may be written in a formula."""
    variables = [[name, meaning] for name, meaning in formula.VARIABLES.items()]
    return {"variables": variables, "functions": list(formula.FUNCTIONS)}


def formula_preview(text: str, frames: Any, steps: Any) -> dict[str, Any]:
    """What a formula gives, as a small picture, or what is wrong with it."""
    if not text.strip():
        return {}
    try:
        request = checked(lambda: FormulaRequest(formula=text, frames=frames, steps=steps))
        values = checked(lambda: formula.values(text, request.frames, request.steps))
    except RequestError as error:
        return {"text": str(error.message), "wrong": True}
    rows, columns = (
        np.linspace(0, size - 1, min(size, PREVIEW_CELLS)).round().astype(int)
        for size in values.shape
    )
    cells = np.rint(MAX_LEVEL * np.clip(values[rows][:, columns], 0, 1)).astype(int)
    cut = float((np.abs(values - 0.5) > 0.5 + 1e-9).mean())
    said = "✓ Enter puts it on the canvas."
    if cut:
        said += f" Levels run from 0 to 1: {max(1, round(100 * cut))} % lie outside and are cut."
    return {"text": said, "levels": cells.tolist()}


def preset_list(window: int) -> list[dict[str, Any]]:
    """Every preset with its parameters, for programs."""
    return [
        {
            "name": preset.name,
            "title": preset.title,
            "group": preset.group,
            "summary": preset.summary,
            "parameters": _form(preset.name, FRAMES, STEPS, window),
        }
        for preset in PRESETS.values()
    ]


def _form(name: str, frames: int, steps: int, window: int) -> list[dict[str, Any]]:
    """The parameters of a preset as JSON has them: lists, and objects with text for keys."""
    fields = PRESETS[name].form(frames, steps, window)
    for field in fields:
        if isinstance(field["default"], tuple):
            field["default"] = list(field["default"])
        elif isinstance(field["default"], dict):
            field["default"] = {str(frame): value for frame, value in field["default"].items()}
    return fields


def _fitting(preset: PresetValue, frames: int) -> dict[str, Any]:
    """The preset's parameters without the frames that are no longer there."""
    fitting: dict[str, Any] = {}
    for name, value in preset.params.items():
        if isinstance(value, list):
            value = [frame for frame in value if isinstance(frame, int) and frame < frames]
        elif isinstance(value, dict):
            value = {
                frame: number
                for frame, number in value.items()
                if str(frame).isdigit() and int(frame) < frames
            }
        fitting[name] = value
    return fitting


def is_formula(editor: EditorValue) -> bool:
    try:
        timeline = Timeline.formula(editor.formula, frames=editor.frames, steps=editor.steps)
    except ValueError:
        return False
    return np.array_equal(timeline.levels, editor.levels)


def _kept_pictures(editor: EditorValue, timeline: Timeline, stay: bool) -> list[KeyframeValue]:
    """The pictures on the new timeline: where they were if one is wanted there, else in scale."""
    scale = (timeline.frames - 1) / max(1, editor.frames - 1)
    wanted = set(np.flatnonzero(timeline.levels[0] < MAX_LEVEL).tolist())
    kept: dict[int, KeyframeValue] = {}
    for keyframe in editor.keyframes:
        scaled = round(keyframe.frame * scale)
        same = keyframe.frame
        if stay and same < timeline.frames and (same in wanted or scaled not in wanted):
            scaled = same
        kept.setdefault(scaled, keyframe.model_copy(update={"frame": scaled}))
    return [kept[frame] for frame in sorted(kept)]
