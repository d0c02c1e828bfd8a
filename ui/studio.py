"""The page: layout, and which part talks to which."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import gradio as gr
from gradio.data_classes import FileData
from gradio.processing_utils import save_file_to_cache
from gradio.utils import get_upload_folder
from starlette.middleware import Middleware

from fvdm_core.presets import PRESETS
from fvdm_core.timeline import Timeline
from ui import editing
from ui.costs import Costs, in_words
from ui.filmstrip import Filmstrip
from ui.guard import Guard
from ui.jobs import JobRegistry, QueueFull, Snapshot, Status
from ui.loading import LoadingModel
from ui.outputs import Outputs, Saved, is_name, new_name, trim
from ui.pieces import (
    ClipFiles,
    ClipView,
    Example,
    Examples,
    ExampleShelf,
    Lines,
    PresetPicker,
    Progress,
)
from ui.requests import MAX_SEED, EditorValue, GenerateRequest, RequestError, checked
from ui.runs import kind_of_call, make_work, planned
from ui.timeline_editor import TimelineEditor

HERE = Path(__file__).parent
STORAGE = {"secret": "fvdm-studio-in-this-browser"}  # fixed, so that a restart can read it again
UPLOAD_QUOTA = 2 * 2**30
MAX_UPLOAD = "64mb"
SOLVERS = [("DPM-Solver++ (2M)", "dpmpp_2m"), ("DDIM", "ddim"), ("DDPM, ancestral", "ddpm")]
ANY = ""  # the label of no label
PHOTOGRAPHS = (
    "The model knows its miniature worlds only. A photograph stays exact on frozen frames, "
    "but what is made from it will not look like one."
)
TOGGLE_THEME = """() => {
  const dark = document.body.classList.toggle("dark");
  localStorage.setItem("fvdm-theme", dark ? "dark" : "light");
}"""
START = """() => {
  const kept = localStorage.getItem("fvdm-theme");
  if (kept) document.body.classList.toggle("dark", kept === "dark");
}"""
DICE = f"() => Math.floor(Math.random() * {MAX_SEED + 1})"


class Choice(gr.Dropdown):
    """A dropdown whose value our own request model checks, with words that say what to do."""

    def preprocess(self, payload: Any) -> Any:
        return payload


class Studio:
    """What the handlers share: the model, the jobs, and where things are kept."""

    def __init__(
        self, load_pipeline: Callable[[], Any], outputs: Path, examples: Path | None
    ) -> None:
        self.outputs = Outputs(outputs)
        self.costs = Costs(self.outputs.root / "costs.json")
        self.jobs = JobRegistry()
        self.model = LoadingModel(load_pipeline)
        self.examples = _examples(examples)
        self._spared = frozenset(Path(e.file.path).resolve() for e in self.examples.examples)

    def room_for_upload(self) -> bool:
        """Whether the upload folder has room, after the oldest files were removed."""
        folder = Path(get_upload_folder())
        return not folder.exists() or trim(folder, UPLOAD_QUOTA, self._spared) <= UPLOAD_QUOTA

    @property
    def window(self) -> int:
        return self.model.get().num_frames if self.model.ready else editing.WINDOW

    # ── What the page says about a timeline ──────────────────────────────────────────────────

    def summary(self, editor: EditorValue, cfg_scale: float) -> list[dict[str, str]]:
        """What the painted timeline does, what it costs, and what to look out for."""
        timeline = editor.timeline()
        pictures = [keyframe.frame for keyframe in editor.keyframes]
        lines = [{"kind": "says", "text": timeline.describe()}]
        lines.append({"kind": "cost", "text": self._cost(timeline, cfg_scale)})
        lines += [{"kind": "warning", "text": text} for text in timeline.warnings(pictures)]
        return lines

    def _cost(self, timeline: Timeline, cfg_scale: float) -> str:
        if not self.model.ready:
            calls = timeline.with_windows(self.window).model_calls
            return f"{calls} model calls"
        pipeline = self.model.get()
        timeline = planned(timeline, pipeline)
        calls = timeline.model_calls
        text = f"{calls} model call{'' if calls == 1 else 's'}"
        seconds = self.costs.seconds_per_call(kind_of_call(timeline, pipeline, cfg_scale))
        return text if seconds is None else f"{text} · {in_words(calls * seconds)}"

    # ── Runs ─────────────────────────────────────────────────────────────────────────────────

    def submit(self, editor: EditorValue, request: GenerateRequest, session: str) -> str:
        """Queue a run and return its id.

        Raises:
            RequestError: the request is refused, or the queue is full.
        """
        job = new_name()
        pipeline = checked(self.model.get)
        work = make_work(
            pipeline,
            editor,
            request,
            outputs=self.outputs,
            costs=self.costs,
            session=session,
            job=job,
        )
        try:
            return self.jobs.submit(work, job)
        except QueueFull as error:
            raise RequestError(str(error)) from None


def _examples(folder: Path | None) -> Examples:
    """The example pictures, copied to where uploads lie, so that they are treated as uploads."""
    paths = sorted(folder.glob("*.png")) if folder is not None else []
    uploads = get_upload_folder()
    return Examples(
        examples=[
            Example(
                name=path.stem.replace("_", " ").replace("-", " "),
                file=FileData(path=save_file_to_cache(path, uploads), orig_name=path.name),
            )
            for path in paths
        ]
    )
