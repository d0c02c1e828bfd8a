"""What the page asks of the server: the model, runs, summaries, and what a visit begins with."""

from __future__ import annotations

import functools
import math
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from anyio import CapacityLimiter
from gradio.data_classes import FileData
from gradio.processing_utils import save_file_to_cache
from gradio.utils import get_upload_folder

from fvdm_core.examples import example_timelines
from fvdm_core.timeline import Timeline
from fvdm_core.timeline_checks import PRIORS
from ui import editing
from ui.costs import Costs, in_words
from ui.gpu import LENT, Walker
from ui.jobs import Work
from ui.loading import LoadingModel
from ui.mending import mends, unlike_training
from ui.model_list import ModelList
from ui.orders import Order, key_of, rows_of, shared_steps
from ui.outputs import Outputs
from ui.pieces import Example, Examples
from ui.queueing import Queue
from ui.refusals import RequestError, checked
from ui.registry import HasBegun, JobRegistry, QueueFull
from ui.requests import EditorValue, GenerateRequest, KeyframeValue, PresetRequest, local_file
from ui.room import trim
from ui.runs import kind_of_call, make_work, predictions
from ui.saved import is_name, is_shown, new_name
from ui.settings import ANY, FIELDS, completed, is_allowed, request_of, settings_of, usable

UPLOAD_QUOTA = 2 * 2**30
MAX_READERS = 2  # threads that read pictures and videos at once
TRIM_EVERY = 3.0  # seconds between two looks at the upload folder
WELCOME = "faces"  # the example that a first visit finds on frame 1


@dataclass(frozen=True)
class Prepared:
    """A run that is checked and ready to queue."""

    job: str
    work: Work
    order: Order


class Studio:
    """What the handlers share: the model, the jobs, and where things are kept."""

    def __init__(
        self,
        models: Callable[[], Any] | ModelList,
        outputs: Outputs,
        examples: Path | None,
        run_limit: float = math.inf,
    ) -> None:
        self.outputs = outputs
        self.costs = Costs(self.outputs.root / "costs.json")
        self.jobs = JobRegistry(run_limit=run_limit)
        self.queue = Queue(self.jobs)
        self.models = listed = (
            models if isinstance(models, ModelList) else ModelList(lambda source: models())
        )
        self.model = LoadingModel(lambda: listed.load(listed.entry(listed.first)), listed.first)
        self.lent = LENT  # a process that is lent a GPU keeps the model it was made with
        self.walker = Walker(self.model.get)
        self.examples = _examples(examples)
        self.timelines = example_timelines()
        self.uploads = Path(get_upload_folder()).resolve()  # as those that are spared
        self.readers = CapacityLimiter(MAX_READERS)  # or a visitor could fill the memory
        self._trimming, self._trim_next, self._has_room = threading.Lock(), 0.0, True
        self._spared = frozenset(Path(e.file.path).resolve() for e in self.examples.examples)

    def reader(self, editor: EditorValue) -> CapacityLimiter | None:
        """Who reads a painting's pictures; a painting without any need not wait for them."""
        return self.readers if editor.keyframes else None

    def room_for_upload(self) -> bool:
        """Whether the upload folder has room, after the oldest files were removed.

        It is looked at every few seconds only: a folder of thousands of files takes a while.
        """
        with self._trimming:
            if time.monotonic() >= self._trim_next and self.uploads.exists():
                self._has_room = trim(self.uploads, UPLOAD_QUOTA, self._spared) <= UPLOAD_QUOTA
                self._trim_next = time.monotonic() + TRIM_EVERY
            return self._has_room

    def serves(self, path: str) -> bool:
        """Whether gradio may give this file away, which it decides itself outside of the outputs.

        They may lie in a folder that has much else in it, such as that of the program.
        """
        try:
            file = Path(path).resolve()  # from where gradio would take it
        except (OSError, RuntimeError, ValueError):  # a null byte, or links in a circle
            return False
        root = self.outputs.root
        if not file.is_relative_to(root):
            return True
        uploaded = self.uploads.is_relative_to(root) and file.is_relative_to(self.uploads)
        return uploaded or is_shown(file.relative_to(root))

    @property
    def window(self) -> int:
        return self.model.get().num_frames if self.model.ready else editing.WINDOW

    @property
    def frames_per_latent(self) -> int:
        """How many frames of a clip a column of the canvas stands for."""
        return self.model.get().frames_per_latent if self.model.ready else 1

    # ── What the page says about a timeline ──────────────────────────────────────────────────

    def summary(
        self, editor: EditorValue, request: GenerateRequest, session: str = ""
    ) -> list[dict[str, Any]]:
        """What the painted timeline does, what it costs, and what to look out for.

        `session` is whose runs it may go on from; without one nothing is there already.
        """
        timeline = editor.timeline().with_windows(self.window)
        pictures = [keyframe.frame for keyframe in editor.keyframes]
        lines: list[dict[str, Any]] = [{"kind": "says", "text": timeline.describe()}]
        first = self._known_steps(editor, request, session)
        cost = {
            "kind": "cost",
            "text": self._cost(timeline, request, first) + self._length(timeline),
        }
        lines.append(cost | ({"known": first} if first else {}))
        trained_with = self.model.get().card.prior if self.model.ready else PRIORS[0]
        warnings = timeline.warnings(pictures, trained_with) + unlike_training(
            timeline, self.window
        )
        warnings += self._unlike_frames(timeline, request)
        lines += [{"kind": "warning", "text": text} for text in warnings]
        return lines + mends(timeline, pictures)

    def _unlike_frames(self, timeline: Timeline, request: GenerateRequest) -> list[str]:
        """What a model with one timestep for the whole clip makes of frames that differ."""
        if not self.model.ready or self.model.get().card.timesteps != "scalar":
            return []
        clean = request.conditioning == "clean"  # else what stands still is shown like the rest
        levels = timeline.levels
        if (levels == levels[:, :1]).all() if clean else timeline.moves_together:
            return []
        return ["This model was trained on frames of equal noise; here they differ: expect little."]

    def _length(self, timeline: Timeline) -> str:
        """How many frames come out, where a column stands for several."""
        each = self.frames_per_latent
        frames = 1 + each * (timeline.frames - 1)
        return "" if each == 1 else f" · the columns become {frames} frames"

    def _known_steps(self, editor: EditorValue, request: GenerateRequest, session: str) -> int:
        """How many first steps of a run have been walked by others of its session."""
        if not self.model.ready or not session:
            return 0
        model = self.model.get().model_hash
        kept = self.earlier(
            functools.cache(lambda: rows_of(editor, request, self.window, model)), session
        )
        return kept[-1].step if kept else 0

    def _cost(self, timeline: Timeline, request: GenerateRequest, first: int) -> str:
        """In model calls from a step on; those before it are there."""
        if not self.model.ready:
            return _model_calls(timeline.model_calls)
        calls, made = predictions(timeline, self.model.get(), request, first)
        text = _model_calls(calls)
        if made > calls:
            text += f" ({made} predictions with guidance)"
        seconds = self.seconds(timeline, request, first)
        if seconds:
            text += f" · {in_words(seconds)}"
        if first == timeline.num_steps:
            return "Every step is known from a run before: the same clip needs no computing"
        if first:
            steps = "step 1" if first == 1 else f"steps 1–{first}"
            text += f" · {steps} known from a run before"
        return text

    def seconds(self, timeline: Timeline, request: GenerateRequest, first: int = 0) -> float | None:
        """About how long a run takes from a step on; None where no such run was measured yet."""
        pipeline = self.model.get()
        timeline = timeline.with_windows(self.window)
        each = self.costs.seconds_per_call(kind_of_call(timeline, pipeline, request))
        return None if each is None else each * predictions(timeline, pipeline, request, first)[0]

    # ── Runs ─────────────────────────────────────────────────────────────────────────────────

    def submit(
        self, editor: EditorValue, request: GenerateRequest, session: str, swept: bool = False
    ) -> str:
        """Queue a run, of a sweep or not, and return its id; the session's page shows what goes on
        again.

        Raises:
            RequestError: the request is refused, or the queue is full.
        """
        run = self.prepare(editor, request, session)
        if swept:
            run = replace(run, order=replace(run.order, swept=True))
        return self.enqueue(run, session)

    def prepare(self, editor: EditorValue, request: GenerateRequest, session: str) -> Prepared:
        """Read and check all that a run needs, without queueing it.

        Raises:
            RequestError: the request is refused, or the queue is full.
        """
        try:
            self.jobs.refuse_more(session)
        except QueueFull as error:
            raise RequestError(str(error)) from None
        job, order = new_name(), self.order(editor, request)
        return Prepared(job, self._work(editor, request, session, job, order), order)

    def enqueue(self, run: Prepared, session: str) -> str:
        """Queue what was prepared and return its id.

        Raises:
            RequestError: the queue is full.
        """
        try:
            self.jobs.submit(run.work, run.job, owner=session, about=run.order)
        except QueueFull as error:
            raise RequestError(str(error)) from None
        self.queue.follow_newest(session)
        return run.job

    def change(self, job: str, editor: EditorValue, request: GenerateRequest, session: str) -> None:
        """Put another painting and settings in the place of a run that waits.

        Raises:
            RequestError: the request is refused, or the run is not one of those that wait.
        """
        order = self.order(editor, request)
        work = self._work(editor, request, session, job, order)
        try:
            self.jobs.renew(job, work, owner=session, about=order)
        except HasBegun as error:
            raise RequestError(str(error)) from None

    def order(self, editor: EditorValue, request: GenerateRequest) -> Order:
        """What is asked of the present model."""
        pipeline = checked(self.model.get)
        return Order.of(
            editor, request, pipeline.num_frames, pipeline.model_hash, pipeline.card.name
        )

    def key(self, editor: EditorValue, request: GenerateRequest) -> str:
        """The key of that order."""
        return key_of(editor, request, checked(self.model.get).model_hash)

    def order_of(self, job: object, session: str) -> Order:
        """What a run of this session was asked for.

        Raises:
            RequestError: the session has no such run.
        """
        for run in self.jobs.runs_of(session):
            if run.job == job:
                return run.about
        raise RequestError("This run is no longer listed: choose another one.")

    def _work(
        self, editor: EditorValue, request: GenerateRequest, session: str, job: str, order: Order
    ) -> Work:
        return make_work(
            checked(self.model.get),
            editor,
            request,
            walker=self.walker,
            outputs=self.outputs,
            costs=self.costs,
            session=session,
            job=job,
            key=order.key,
            earlier=lambda: self.earlier(lambda: order.rows, session),
        )

    def earlier(self, rows: Callable[[], Sequence[bytes]], session: str) -> list[Any]:
        """What this session's runs left of the states that `rows()` begin with; see `rows_of`. It
        is not asked where there are no runs."""
        if self.lent:  # states of another process hold pictures only
            return []
        return self.jobs.earlier(session, lambda about: shared_steps(about.rows, rows()))

    def change_model(self, key: str) -> None:
        """Begin to load another model of the list; the present one stays until it is there.

        Raises:
            RequestError: there is no such model, or it cannot be changed now.
        """
        entry = checked(lambda: self.models.entry(key))
        if self.lent:
            raise RequestError("On ZeroGPU the model cannot be changed.")
        if self.model.pending or self.model.coming:
            raise RequestError("A model is being loaded: choose another one when it is there.")
        if not self.jobs.hold(f"{entry.title} is being loaded: generate again when it is there."):
            raise RequestError(
                "Runs are queued or going on, and each needs the model it was asked of: stop or "
                "remove them, or wait until they are done, then choose again."
            )

        loads = self.model.loads

        def decided() -> None:
            if self.model.loads != loads:
                self.jobs.forget_states()  # they hold on to the model that made them
            self.jobs.release()

        self.model.replace(lambda: self.models.load(entry), entry.key, decided)

    # ── The first visit ──────────────────────────────────────────────────────────────────────

    def welcome(self) -> EditorValue:
        """An image-to-video with an example picture in place, so that one click makes a video."""
        request = PresetRequest(name="image-to-video", frames=editing.FRAMES, steps=editing.STEPS)
        editor = editing.with_preset(None, request, editing.WINDOW)  # the shipped model's
        examples = self.examples.examples
        for example in [e for e in examples if WELCOME in e.name][:1] or examples[:1]:
            editor.keyframes = [KeyframeValue(frame=0, file=example.file)]
        return editor

    def plain_welcome(self) -> EditorValue:
        """What a first visit to a model finds that knows nothing of the examples."""
        request = PresetRequest(name="standard", frames=self.window, steps=editing.STEPS)
        return editing.with_preset(None, request, self.window)

    def is_welcome(self, editor: EditorValue) -> bool:
        """Whether this is the welcome as it was."""
        return editor.mark == self.welcome().mark

    def is_foreign_welcome(self, editor: EditorValue) -> bool:
        """Whether it is that, with an example of worlds that the present model does not know."""
        return not self.knows_examples and self.is_welcome(editor)

    @property
    def knows_examples(self) -> bool:
        """Whether the model has labels that the examples are called by."""
        labels = self.model.get().card.labels if self.model.ready else ()
        return any(label in each.name for label in labels for each in self.examples.examples)

    def asked(self, editor: EditorValue, settings: Sequence[Any]) -> GenerateRequest:
        """What the settings ask for. A page that does not know the labels yet names none: then it
        is the one that fits the canvas, if the model is there."""
        request = request_of(settings)
        if settings[FIELDS.index("label")] is None:
            request = request.model_copy(update={"label": self.fitting_label(editor) or None})
        return request

    def fitting_label(self, editor: EditorValue) -> str:
        """The label in the name of the first picture, which holds for the examples."""
        names = [keyframe.file.orig_name or "" for keyframe in editor.keyframes[:1]]
        labels = self.model.get().card.labels if self.model.ready else ()
        return next((label for label in labels for name in names if label in name), ANY)


def _model_calls(calls: int) -> str:
    return f"{calls} model call{'' if calls == 1 else 's'}"


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


def session_of(value: Any) -> dict[str, Any]:
    """What the browser kept of its session: only names of our own making, else a new one."""
    kept = value if isinstance(value, dict) else {}
    session, job = kept.get("session"), kept.get("job")
    if not is_name(session):
        return {"session": new_name(), "job": None}
    return {"session": session, "job": job if is_name(job) else None}


def restore(kept: Any) -> dict[str, Any] | None:
    """The painting and settings that a browser kept, or None where the painting is not valid.

    A setting that is not, a seed that was never finished, say, is that of a first visit instead.
    """
    if not isinstance(kept, dict) or not isinstance(kept.get("settings"), list):
        return None
    found, usual = usable(completed(kept["settings"])), settings_of(GenerateRequest())
    settings = [
        value if is_allowed(field, value) else first
        for field, value, first in zip(FIELDS, found, usual, strict=True)
    ]
    try:
        editor = EditorValue.model_validate(kept.get("editor"))
    except (ValueError, TypeError):
        return None
    present = [keyframe for keyframe in editor.keyframes if is_present(keyframe)]
    return {"editor": editor.model_copy(update={"keyframes": present}), "settings": settings}


def is_present(keyframe: KeyframeValue) -> bool:
    """Whether the picture is still on the server."""
    try:
        local_file(keyframe.file, "")
    except RequestError:
        return False
    return True
