"""The live strip under the canvas: every frame of the run, aligned with its column."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gradio as gr

HERE = Path(__file__).parent
EDITOR = HERE.parent / "timeline_editor"
SCRIPTS = (EDITOR / "core.js", EDITOR / "dom.js", HERE / "reel.js", HERE / "strip.js")


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
