"""The live strip under the canvas: every frame of the run, aligned with its column.

Its value goes from the server to the page only:

    job: str               another id starts afresh
    sheet: str | None      data URL of one JPEG with a tile per frame; None: nothing new to draw
    columns: int           tiles in a row of the sheet
    tile: [w, h]           pixels of a tile
    frames, step, steps: int
    mark: int              of the run's timeline and pictures; the playhead lies over that one only
    levels: [int] * frames the row now reached, 0 … 1000
    eta: float | None      seconds left
    view: "clean" | "noisy"    what the sheet shows: predicted clean frames, or the state as it is
    status: "idle" | "queued" | "running" | "done" | "stopped" | "failed"
    message: str

The page keeps the sheets of a run by view and step, so that afterwards the person goes back to any
of them by the slider, the playhead or the rows of the canvas. What it has not seen it asks for by
the event "look", {"job", "view", "steps"}, and gets as a value {"job", "rows": [{"step", "view",
"levels", "sheet", "columns", "tile"}]}; while a run goes on, "look" says which view to send. A tile
can be dragged onto a slot. Events and geometry are those of ui/timeline_editor. Test ids:
filmstrip, tile-N, strip-caption, scrubber, view-clean, view-noisy, strip-scroller; the root carries
data-status, and data-step and data-view (as drawn).

Bind it with `show_progress="hidden"`, or gradio fades it while a run goes on.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gradio as gr

__all__ = ["Filmstrip"]

HERE = Path(__file__).parent
EDITOR = HERE.parent / "timeline_editor"
SCRIPTS = (
    *(EDITOR / name for name in ("core.js", "colours.js", "dom.js")),
    *(HERE / name for name in ("reel.js", "strip.js")),
)
EXAMPLE: dict[str, Any] = {"job": "", "frames": 16, "step": 0, "steps": 30, "status": "idle"}


class Filmstrip(gr.HTML):
    """Tiles that the server sends as one sheet per update. It is an output only."""

    def __init__(self, value: dict[str, Any] | None = None, **kwargs: Any) -> None:
        super().__init__(
            value,
            html_template='<div class="fvdm-strip" data-testid="filmstrip"></div>',
            css_template=(HERE / "style.css").read_text(encoding="utf-8"),
            js_on_load="\n".join(path.read_text(encoding="utf-8") for path in SCRIPTS),
            apply_default_css=False,
            **kwargs,
        )

    def postprocess(self, value: dict[str, Any] | None) -> dict[str, Any] | None:  # type: ignore[override]
        return value

    def api_info(self) -> dict[str, Any]:
        return {"type": "object", "description": "the state of a run, with its frames as a JPEG"}

    def example_payload(self) -> dict[str, Any]:
        return EXAMPLE

    def example_value(self) -> dict[str, Any]:
        return EXAMPLE
