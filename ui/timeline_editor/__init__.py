"""The canvas on which a person paints the timeline, as a gradio component without a build step.

The value is an `EditorValue` (ui/requests.py). It arrives from the page when a gesture ends, with
the event "edited" (bind it with `trigger_mode="always_last"`: events that arrive while one is
pending are dropped otherwise). A value that the server sends replaces the painting; the person can
undo that like any edit, and the eraser returns to it.

Geometry. Above the canvas lie the slots and the heads of the columns, below it, in a component of
its own, the strip. All share the width of a column: the view's width divided by the frames, but at
least 26 px (34 px under a finger), where they scroll together. The editor announces it on `window`:

    fvdm:geometry  {left, view, column, frames, scroll}   CSS pixels; also `window.fvdmGeometry`
    fvdm:scroll    {left, from}                           editor ⇄ strip
    fvdm:playhead  {step, steps, running}                 strip → editor; step null: no playhead
    fvdm:known     {steps}              summary → editor: the first steps that are known already
    fvdm:scrub     {step, passing}                        editor → strip; step null: where it rested

The scripts run in one scope, in the order of `SCRIPTS`. `core.js`, `edits.js`, `colours.js`,
`undo.js`, `pictures.js`, `gestures.js` and `curves.js` hold the logic and know no DOM (tests/js);
the others draw and listen. Everything shown is built with `textContent`; nothing of the value
enters a template.

Test ids: timeline-editor, timeline-canvas, slot-N, slot-remove-N, head-N, keyframe-input,
slot-menu, slot-soft, slot-cut, slot-keep, slot-moving, clip-menu, clip-from, clip-pace, clip-count,
clip-fill, tool-NAME (brush, line, ramp, fill, freeze, hold, erase, select), guard, undo, redo,
level, level-text, brush-width, brush-height, brush-soft, mode-matrix, mode-curves, curve-over,
curve-easing, block-bar, block-ACTION, fit-all, step-axis, known-steps, playhead, level-tip,
editor-status, editor-live, editor-scroller; N counts from 0. `window.fvdmEditor` gives {value,
geometry, perColumn, lastDrawMs, say(text, isError), ask(asked)}: the painting as it stands, the
present model's frames of a column, how long the last redraw took in milliseconds, a sentence over
the canvas, and whether a change of it is under way.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gradio as gr
from gradio.components import Component

from ui.refusals import RequestError
from ui.requests import USUAL_FPS, EditorValue

__all__ = ["TimelineEditor"]

HERE = Path(__file__).parent
SCRIPTS = (
    "core.js",
    "edits.js",
    "colours.js",
    "undo.js",
    "pictures.js",
    "gestures.js",
    "curves.js",
    "dom.js",
    "view.js",
    "tip.js",
    "apng.js",
    "seek.js",
    "clip.js",
    "slots.js",
    "controls.js",
    "editor.js",
    "input.js",
    "mount.js",
)
EXAMPLE: dict[str, Any] = {"version": 1, "levels": [[0, 1000], [0, 500], [0, 0]], "keyframes": []}


class TimelineEditor(gr.HTML):
    """Canvas, tools and keyframe slots; handlers receive a checked `EditorValue`.

    picture_size: width and height of the model's frames, to show how a picture is cut. mixing: its
    (signal, noise) of evenly spaced levels, to show how a frame looks at them. moving: of how many
    frames the picture of a column but the first may be. pace: seconds of a clip for each column.
    per_column: for how many frames of the clip each but the first stands.
    """

    data_model = EditorValue

    def __init__(
        self,
        value: EditorValue | dict[str, Any] | None = None,
        *,
        picture_size: tuple[int, int] = (1, 1),
        mixing: list[tuple[float, float]] | None = None,
        moving: int = 1,
        pace: float = 1 / USUAL_FPS,
        per_column: int = 1,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            value,
            picture_size=list(picture_size),
            mixing=mixing,
            moving=moving,
            pace=pace,
            per_column=per_column,
            html_template='<div class="fvdm-editor" data-testid="timeline-editor"></div>',
            css_template=(HERE / "style.css").read_text(encoding="utf-8"),
            js_on_load="\n".join((HERE / name).read_text(encoding="utf-8") for name in SCRIPTS),
            apply_default_css=False,
            **kwargs,
        )
        self.per_column = per_column  # or gradio takes it for an event, as its name is in quotes

    def preprocess(self, payload: EditorValue | None) -> EditorValue:  # type: ignore[override]
        """What arrives, which gradio has checked unless it is nothing.

        Raises:
            RequestError: it is nothing.
        """
        if payload is None:
            raise RequestError("timeline is missing: send one.")
        return payload

    def postprocess(self, value: EditorValue | dict[str, Any] | None) -> EditorValue | None:  # type: ignore[override]
        """The value for the page, checked like one that comes from it.

        Raises:
            RequestError: it is no valid `EditorValue`.
        """
        return EditorValue.model_validate(value) if isinstance(value, dict) else value

    def api_info(self) -> dict[str, Any]:
        return Component.api_info(self)  # of the data model; gr.HTML would say "string"

    def example_payload(self) -> dict[str, Any]:
        return EXAMPLE

    def example_value(self) -> dict[str, Any]:
        return EXAMPLE
