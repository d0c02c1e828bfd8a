"""A run as the page shows it: strip, progress, buttons and files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import gradio as gr
from gradio.data_classes import FileData

from ui.jobs import Snapshot, Status, preview_of
from ui.pieces import ClipFiles
from ui.requests import LookRequest
from ui.rewind import Rewind
from ui.saved import Saved


def strip_value(snapshot: Snapshot, seen_step: int) -> dict[str, Any]:
    """A run for the strip; the sheet is left out when the page has it, and keeps its own step."""
    preview = snapshot.preview
    fresh = preview is not None and preview.step != seen_step
    return {
        "job": snapshot.job,
        "frames": snapshot.frames,
        "steps": snapshot.steps,
        "mark": snapshot.about.mark,
        "status": snapshot.status.value,
        "message": snapshot.message,
        "eta": snapshot.eta,
        "step": preview.step if preview is not None and fresh else snapshot.step,
        "levels": list(preview.levels if preview is not None and fresh else snapshot.levels),
        "sheet": preview.sheet.data_url if preview is not None and fresh else None,
        "columns": preview.sheet.columns if preview is not None else 1,
        "tile": list(preview.sheet.tile) if preview is not None else [1, 1],
        "view": preview.view if preview is not None else "clean",
    }


def rows_value(look: LookRequest, rewind: Rewind) -> dict[str, Any]:
    """Rows of a run that is over, each once, for the strip to keep."""
    kept = {state.step: state for step in look.steps if (state := rewind.nearest(step))}
    previews = [preview_of(state, look.view) for _, state in sorted(kept.items())]
    return {
        "job": look.job,
        "rows": [
            {
                "step": preview.step,
                "view": preview.view,
                "levels": list(preview.levels),
                "sheet": preview.sheet.data_url,
                "columns": preview.sheet.columns,
                "tile": list(preview.sheet.tile),
            }
            for preview in previews
        ],
    }


def progress_value(snapshot: Snapshot, waiting: int = 0) -> dict[str, Any]:
    """How far a run is; `waiting` others of the session come after it."""
    status, step, steps = snapshot.status, snapshot.step, snapshot.steps
    left = "" if snapshot.eta is None else f" · {snapshot.eta:.1f} s left"
    more = f" · {waiting} queued" if waiting else ""
    at = "Stopping after this step…" if snapshot.stopping else f"step {step}/{steps}{left}"
    words = {
        Status.QUEUED: f"Queued, {snapshot.ahead} before it" if snapshot.ahead else "Starting…",
        Status.RUNNING: (at if snapshot.levels or snapshot.stopping else "Starting…") + more,
        Status.DONE: f"Done · went on from step {snapshot.first}" if snapshot.first else "Done",
        Status.STOPPED: snapshot.message,
        Status.FAILED: snapshot.message,
    }
    return {"fraction": step / max(1, steps), "text": words[status], "status": status.value}


def buttons(going: Sequence[Snapshot]) -> tuple[gr.Button, gr.Button]:
    """Generate, which queues while a run of the session goes on, and Stop, which ends the first of
    these once: a second press would end the run after it.

    Whole values: gradio sends what a generator yields as differences, and mixes up partial ones.
    """
    words = "Queue another" if going else "Generate"
    return gr.Button(words), gr.Button("Stop", interactive=bool(going) and not going[0].stopping)


def clip_files(saved: Saved) -> ClipFiles:
    """A run's files."""
    about = saved.about()
    frames = int(about.get("frames") or len(saved.frames))
    return ClipFiles(
        video=FileData(path=str(saved.video), orig_name=f"{saved.name}.mp4"),
        gif=FileData(path=str(saved.gif), orig_name=f"{saved.name}.gif"),
        recipe=FileData(path=str(saved.recipe), orig_name=f"{saved.name}.json"),
        job=saved.job,
        address=saved.address,
        name=saved.name,
        frames=frames,
        fps=int(about.get("fps") or 8),
        loops=about.get("loops") is True,
        **figures(about),
    )


def figures(about: Mapping[str, Any]) -> dict[str, float | None]:
    """What was measured of a run, by name; null where nothing was."""
    numbers = {name: about.get(name) for name in ("motion", "seam")}
    return {name: n if isinstance(n, int | float) else None for name, n in numbers.items()}
