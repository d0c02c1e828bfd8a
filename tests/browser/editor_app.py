"""A page with only the editor and the strip, for tests: buttons stand in for the studio."""

from __future__ import annotations

import base64
import colorsys
import time
from collections.abc import Iterator
from typing import Any

import cv2
import gradio as gr
import numpy as np

from ui.filmstrip import Filmstrip
from ui.requests import EditorValue
from ui.studio import QUEUE_REST
from ui.timeline_editor import TimelineEditor

TILE = 64


def timeline(frames: int, steps: int, frozen: tuple[int, ...] = ()) -> dict[str, Any]:
    rows = [
        [0 if f in frozen else round(1000 * (1 - m / steps)) for f in range(frames)]
        for m in range(steps + 1)
    ]
    return {
        "version": 1,
        "levels": rows,
        "windows": None,
        "sources": None,
        "preset": {"name": "image-to-video", "params": {}},
        "formula": "",
        "keyframes": [],
    }


def strip(value: EditorValue, step: int, status: str) -> dict[str, Any]:
    """Tile f is a flat colour: hue by frame, brightness by step."""
    frames, steps, columns = value.frames, value.steps, 8
    sheet = np.zeros((-(-frames // columns) * TILE, columns * TILE, 3), np.uint8)
    for f in range(frames):
        color = colorsys.hsv_to_rgb(f / frames, 0.6, 0.3 + 0.7 * step / steps)
        y, x = f // columns * TILE, f % columns * TILE
        sheet[y : y + TILE, x : x + TILE] = np.round(255 * np.array(color))[::-1]
    data = base64.b64encode(cv2.imencode(".jpg", sheet)[1].tobytes()).decode()
    return {
        "job": "test",
        "sheet": f"data:image/jpeg;base64,{data}",
        "columns": columns,
        "tile": [TILE, TILE],
        "frames": frames,
        "step": step,
        "steps": steps,
        "mark": value.mark,
        "levels": value.levels[step],
        "eta": 0.1 * (steps - step),
        "status": status,
        "message": "",
    }


def run(value: EditorValue) -> Iterator[dict[str, Any]]:
    for step in range(value.steps + 1):
        yield strip(value, step, "done" if step == value.steps else "running")
        time.sleep(0.02)


with gr.Blocks() as page:
    editor = TimelineEditor(timeline(16, 30, (0,)))
    film = Filmstrip()
    with gr.Row():
        long = gr.Button("64 × 200")
        small = gr.Button("16 × 30")
        start = gr.Button("run")
        slow = gr.Button("of three")
    seen = gr.Textbox(elem_id="seen", max_lines=1)
    editor.edited(
        lambda value: value.model_dump_json(),
        editor,
        seen,
        trigger_mode="always_last",
        show_progress="hidden",
    )
    long.click(lambda: timeline(64, 200, (0, 63)), None, editor, show_progress="hidden")
    small.click(lambda: timeline(16, 30, (0, 15)), None, editor, show_progress="hidden")
    slow.click(
        lambda: (gr.update(moving=3, pace=3 / 8, per_column=3), "of three"),
        None,
        [editor, seen],
        show_progress="hidden",
    )
    start.click(run, editor, film, show_progress="hidden")

if __name__ == "__main__":
    page.queue()
    page._queue.sleep_when_free = QUEUE_REST
    page.launch(_frontend=False)  # no look at itself, which a busy machine answers too late
