"""The canvas on which a person paints the timeline, as a gradio component without a build step."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gradio as gr

from ui.requests import EditorValue

HERE = Path(__file__).parent
SCRIPTS = (
    "core.js",
    "gestures.js",
    "curves.js",
    "dom.js",
    "view.js",
    "tip.js",
    "slots.js",
    "controls.js",
    "editor.js",
    "input.js",
    "mount.js",
)


class TimelineEditor(gr.HTML):
    """Canvas, tools and keyframe slots. The value is an `EditorValue`, checked before handlers."""

    data_model = EditorValue

    def __init__(self, value: EditorValue | dict[str, Any] | None = None, **kwargs: Any) -> None:
        super().__init__(
            value,
            html_template='<div class="fvdm-editor" data-testid="timeline-editor"></div>',
            css_template=(HERE / "style.css").read_text(encoding="utf-8"),
            js_on_load="\n".join((HERE / name).read_text(encoding="utf-8") for name in SCRIPTS),
            apply_default_css=False,
            **kwargs,
        )
