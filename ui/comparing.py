"""Two timelines with the same seed and settings: their runs, and how their clips differ."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import cv2
import numpy as np
from pydantic import Field

from ui import editing
from ui.grids import read_picture
from ui.jobs import Snapshot, Status
from ui.orders import Order
from ui.refusals import RequestError, checked
from ui.requests import EditorValue, GenerateRequest, PresetRequest, Strict
from ui.restoring import fitted, of_run, restored
from ui.saved import new_name
from ui.service import Prepared, Studio
from ui.sheets import Sheet, make_sheet

TILE = 256  # pixels of a frame on the page at most
SCALES = (8, 16, 32, 64, 128, 255)  # what the brightest colour of a difference may stand for
SHOWN = 99.5  # per cent of the pixels lie within the colours
COLORS = cv2.COLORMAP_INFERNO  # evenly brighter, for colour-blind people too
LEGEND = 12  # colours of the legend


class Choice(Strict):
    """One side of a comparison: the canvas, a run of the session or its history, or a preset."""

    kind: Literal["canvas", "run", "preset"]
    name: str = Field(default="", max_length=64, description="the run's id or the preset's name")


class Choices(Strict):
    """`again`: both were compared before, so nothing is generated for it."""

    a: Choice
    b: Choice
    again: bool = False


@dataclass(frozen=True)
class Side:
    """What is compared; `run` is the one that was chosen, which may be older than the server.

    `as_it_is`: it is whole and of another model than the present one, which cannot make it.
    """

    painting: EditorValue
    request: GenerateRequest
    run: Snapshot | None = None
    as_it_is: bool = False


@dataclass(frozen=True)
class Difference:
    """How two clips differ.

    `mean`: the mean absolute difference of each frame, 0 … 255. `heat`: uint8 (F, H, W, 3), the
    difference of each pixel, averaged over its channels, as a colour of `COLORS`; `scale` or more
    is the brightest.
    """

    mean: list[float]
    heat: np.ndarray
    scale: int


def difference(a: np.ndarray, b: np.ndarray) -> Difference:
    """The difference of two clips, uint8 (F, H, W, 3), over the frames that both have.

    Raises:
        ValueError: their frames have different sizes.
    """
    if a.shape[1:] != b.shape[1:]:
        sizes = " and ".join(f"{clip.shape[2]}×{clip.shape[1]}" for clip in (a, b))
        raise ValueError(f"The clips have frames of {sizes} pixels: compare clips of one size.")
    frames = min(len(a), len(b))
    apart = np.abs(a[:frames].astype(np.int16) - b[:frames]).mean(-1)  # (F, H, W)
    within = float(np.percentile(apart, SHOWN))
    scale = next((scale for scale in SCALES if within <= scale), SCALES[-1])
    shade = np.rint(np.minimum(apart / scale, 1) * 255).astype(np.uint8)
    heat = np.stack([cv2.applyColorMap(frame, COLORS)[..., ::-1] for frame in shade])
    return Difference([float(mean) for mean in apart.mean((1, 2))], heat, scale)


def legend() -> list[str]:
    """The colours of a difference from none to the most, for CSS."""
    shades = np.linspace(0, 255, LEGEND).round().astype(np.uint8)[None]
    return [f"rgb({r} {g} {b})" for b, g, r in cv2.applyColorMap(shades, COLORS)[0]]


# ── The two runs ─────────────────────────────────────────────────────────────────────────────


def run_of(studio: Studio, job: str, session: str) -> Snapshot:
    """A run of the list, or one of the history.

    Raises:
        RequestError: the session has no such run, or no model could be loaded.
    """
    for run in studio.jobs.runs_of(session):
        if run.job == job:
            return run
    saved = studio.outputs.find(session, job)
    if saved is None:
        raise RequestError("This run is no longer listed: choose another one.")
    recipe, pictures = of_run(saved)
    pipeline = checked(studio.model.get)
    own = recipe.model_hash == pipeline.model_hash
    back = restored(recipe, pictures, pipeline if own else None)
    model = recipe.model_hash, recipe.model_name
    return Snapshot(
        job,
        back.editor.frames,
        back.editor.steps,
        Status.DONE if recipe.stopped_after_step is None else Status.STOPPED,
        result=saved,
        about=Order.of(back.editor, back.request, studio.window, *model),
    )


def orders(
    studio: Studio,
    choices: Choices,
    canvas: EditorValue,
    request: GenerateRequest,
    session: str,
) -> list[Side]:
    """Both sides, with the settings of the first run among them, else those of the panel. A whole
    run of another model is compared as it is.

    Raises:
        RequestError: a run is gone, or both sides are the same.
    """
    pipeline = checked(studio.model.get)
    sides: list[Side] = []
    settings = None
    for choice in (choices.a, choices.b):
        painting, run, as_it_is = canvas, None, False
        if choice.kind == "run":
            run = run_of(studio, choice.name, session)
            painting, used = run.about.unpack()
            settings = settings or fitted(used, pipeline)[0]
            as_it_is = run.about.model_hash != pipeline.model_hash and _is_whole(run)
        elif choice.kind == "preset":
            painting = _preset(choice.name, canvas, studio.window)
        sides.append(Side(painting, request, run, as_it_is))
    both = [replace(side, request=settings or request) for side in sides]
    if len({_order_of(studio, side).key for side in both}) == 1:
        raise RequestError("Both sides are the same timeline: choose another one for A or B.")
    return both


def _is_whole(run: Snapshot) -> bool:
    return run.status is Status.DONE and run.result is not None and bool(run.result.frames)


def _order_of(studio: Studio, side: Side) -> Order:
    if side.as_it_is and side.run is not None:
        return side.run.about
    return studio.order(side.painting, side.request)


def _preset(name: str, canvas: EditorValue, window: int) -> EditorValue:
    """A preset at the canvas' size, with its pictures."""
    frames, steps = canvas.frames, editing.preset_steps(canvas, window)
    request = checked(lambda: PresetRequest(name=name, frames=frames, steps=steps))
    return editing.with_preset(canvas, request, window)


def submit_both(
    studio: Studio, both: Sequence[Side], session: str, again: bool = False
) -> list[str]:
    """The runs of both sides: one that the session has already, or, unless `again`, a new one.

    Raises:
        RequestError: a side is refused, or the queue is full; then neither of them runs.
    """
    known = [*studio.jobs.runs_of(session), *(side.run for side in both if side.run)]

    def run_for(side: Side) -> str | Prepared:
        same = same_run(known, _order_of(studio, side).key)
        if same is None and again:
            raise RequestError("One of the two is no longer there: compare once more.")
        return same or studio.prepare(side.painting, side.request, session)

    sides = [run_for(side) for side in both]
    added: list[str] = []
    for side in sides:
        if isinstance(side, Prepared):
            try:
                added.append(studio.enqueue(side, session))
            except RequestError:
                for job in added:
                    studio.jobs.remove(job, owner=session)
                raise
    return [side.job if isinstance(side, Prepared) else side for side in sides]


def same_run(runs: Sequence[Snapshot], key: str) -> str | None:
    """A run of the order of this key that is whole, or will be."""
    for run in runs:
        if run.about.key == key and (_is_whole(run) or not run.status.over):
            return run.job
    return None


# ── What the page shows ──────────────────────────────────────────────────────────────────────


def waiting_value(runs: Sequence[Snapshot]) -> dict[str, Any]:
    """How far the two runs are."""
    words = {Status.QUEUED: "queued", Status.DONE: "done"}
    parts = [
        f"{side}: {words.get(run.status) or f'step {run.step} of {run.steps}'}"
        for side, run in zip("AB", runs, strict=True)
    ]
    return {"status": "working", "text": " · ".join(parts)}


def failed_value(text: str) -> dict[str, Any]:
    """Why there is nothing to show; the page would not notice the same value twice."""
    return {"status": "failed", "text": text, "id": new_name()}


def compared_value(runs: Sequence[Snapshot]) -> dict[str, Any]:
    """Two finished runs side by side, with their difference.

    Raises:
        ValueError: their files are gone, or their frames have different sizes.
    """
    clips = [read_frames(run.result.frames) for run in runs]
    apart = difference(*clips)
    frames = len(apart.mean)
    cut = "" if len(clips[0]) == len(clips[1]) else f"The first {frames} frames of both. "
    return {
        "status": "done",
        "jobs": [run.job for run in runs],
        "text": f"{cut}{_shared(runs)}",
        "frames": frames,
        "fps": runs[0].about.fps,
        "sides": [
            {"title": title, "levels": run.about.picture, **sheet_value(clip[:frames])}
            for title, run, clip in zip(_titles(runs), runs, clips, strict=True)
        ],
        "difference": {
            "mean": [round(mean, 2) for mean in apart.mean],
            "scale": apart.scale,
            "legend": legend(),
            **sheet_value(apart.heat),
        },
    }


def _models(runs: Sequence[Snapshot]) -> list[str]:
    """What the models of the runs are called, told apart where two have one name; none for one."""
    if len({run.about.model_hash for run in runs}) == 1:
        return []
    names = [run.about.model or "another model" for run in runs]
    if len(set(names)) < len(names):
        names = [f"{run.about.model} ({run.about.model_hash[:8]})" for run in runs]
    return names


def _titles(runs: Sequence[Snapshot]) -> list[str]:
    models = _models(runs) or [""] * len(runs)
    return [" · ".join(filter(None, (r.about.title, m))) for r, m in zip(runs, models, strict=True)]


def _shared(runs: Sequence[Snapshot]) -> str:
    """What both have in common, and what not, if another model made one of them."""
    shared = [run.about.shared for run in runs]
    models = "".join(
        f"{side} is by {name}. " for side, name in zip("AB", _models(runs), strict=False)
    )
    if len(set(shared)) == 1:
        return f"{models}Both with {shared[0]}."
    return f"{models}A with {shared[0]}; B with {shared[1]}."


def read_frames(files: Sequence[Path]) -> np.ndarray:
    """The frames of a finished run, uint8 (F, H, W, 3).

    Raises:
        ValueError: a file is gone.
    """
    try:
        return np.stack([read_picture(file) for file in files])
    except ValueError:  # of none at all, too
        raise ValueError("The frames of a run are no longer on disk: compare once more.") from None


def sheet_value(video: np.ndarray, tile: int = TILE) -> dict[str, Any]:
    """A clip, uint8 (F, H, W, 3), as the page plays it."""
    sheet: Sheet = make_sheet(video, tile)
    return {"sheet": sheet.data_url, "columns": sheet.columns, "tile": list(sheet.tile)}
