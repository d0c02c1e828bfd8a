"""What can be done with a finished run: find it again, restore it, go on from it, delete it."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import gradio as gr
from gradio.data_classes import FileData

from fvdm_core.recipe import read_recipe
from ui.continuing import (
    Columns,
    ContinueRequest,
    ExtendRequest,
    FrameRequest,
    continued,
    extended,
    frame_used,
    steps_of_clip,
)
from ui.history import PAGE, history_value, listed_now
from ui.painting_panel import CHANGING, IN_PLACE, Follow, follow_change
from ui.pieces import ClipView, History, RunList
from ui.python_code import python_code
from ui.queueing import queue_value
from ui.refusals import RequestError, checked, plain
from ui.requests import EditorValue, local_file
from ui.restoring import Restored, of_file, of_run, restored
from ui.saved import Saved
from ui.service import MAX_READERS, Studio, is_present, session_of
from ui.settings import FIELDS, settings_of
from ui.watching import clip_files

GONE = "This run is not here, or no longer: it may have been deleted to make room."


class Afterwards:
    """The handlers, each for one session; what a page sends of itself is never trusted."""

    def __init__(self, studio: Studio) -> None:
        self.studio = studio

    def run_of(self, session: Any, sent: Any) -> Saved:
        """The run that an event names.

        Raises:
            RequestError: this session has no such run.
        """
        saved = self.studio.outputs.find(session_of(session)["session"], sent.get("job"))
        if saved is None:
            raise RequestError(GONE)
        return saved

    def code(self, saved: Saved) -> str:
        """A run as a Python program."""
        recipe = read_recipe(saved.recipe)
        source = self.studio.models.source_of(recipe.model_hash)
        return python_code(saved, recipe, source, self.studio.window)

    def restore_run(self, session: Any, sent: Any) -> Restored:
        self.studio.room_for_upload()  # pictures of a run come back as uploads, here and below
        saved = self.run_of(session, sent)
        recipe, pictures = of_run(saved)
        found = restored(recipe, pictures, self._pipeline(), self.studio.lent)
        with suppress(RequestError):  # of a run that is still listed, as they were before a cut
            order = self.studio.order_of(saved.job, session_of(session)["session"])
            given = order.unpack()[0].keyframes
            if all(map(is_present, given)):
                editor = found.editor.model_copy(update={"keyframes": given})
                return replace(found, editor=editor)
        return found

    def restore_file(self, session: Any, sent: Any) -> Restored:
        """What the recipe in an uploaded file says.

        Raises:
            RequestError: no upload, or no recipe in it; the text says what to drop.
        """
        kept = session_of(session)["session"]
        path = _uploaded(sent)
        recipe, pictures = of_file(path, self.studio.outputs, kept)
        return restored(recipe, pictures, self._pipeline(), self.studio.lent)

    def continue_clip(self, session: Any, sent: Any) -> EditorValue:
        self.studio.room_for_upload()
        saved = self.run_of(session, sent)
        request = checked(lambda: ContinueRequest(**_only(sent, "tail")))
        return continued(*self._going_on(saved, request))

    def extend_clip(self, session: Any, sent: Any) -> EditorValue:
        self.studio.room_for_upload()
        saved = self.run_of(session, sent)
        request = checked(lambda: ExtendRequest(**_only(sent, "frames", "way")))
        return extended(*self._going_on(saved, request))

    def exactly(self, exact: Any) -> bool:
        """What is there of a clip stays as it is, pixel for pixel, when it goes on, where the model
        can do that; said where it changes the setting."""
        if "splice_exact" not in checked(self.studio.model.get).skills:
            return False
        if exact is not True:
            gr.Info(
                "Frames of the clip stay pixel for pixel: “Splice kept pictures exactly”, under "
                "Solver and speed, is ticked now.",
                title="The clip goes on",
                duration=6,
            )
        return True

    def use_frame(self, session: Any, sent: Any, editor: EditorValue) -> EditorValue:
        saved = self.run_of(session, sent)
        return frame_used(saved, checked(lambda: FrameRequest(**_only(sent, "frame"))), editor)

    def _pipeline(self) -> Any | None:
        return self.studio.model.get() if self.studio.model.ready else None

    def _going_on(self, saved: Saved, request: Any) -> tuple[Columns, Any, int, int, bool]:
        """What `continued` and `extended` need of a clip and of the model that goes on."""
        steps = steps_of_clip(checked(lambda: read_recipe(saved.recipe)))
        model = self._pipeline()
        moving = model is not None and model.frames_per_picture > 1
        columns = saved.columns(self.studio.frames_per_latent)
        return columns, request, steps, self.studio.window, moving


def wire(
    studio: Studio,
    *,
    clip: ClipView,
    runs: RunList,
    history: History,
    editor: Any,
    settings: list[Any],
    variations: Any,
    session: Any,
    begun: Any,
    reading: Follow,
    keeping: dict[str, Any],
) -> None:
    """Connect the parts of the page; `begun` is the event after which the session is known."""
    after = Afterwards(studio)
    tasks: dict[str, Any] = {
        "concurrency_limit": None,
        "show_progress": "hidden",
        # each says in its own data what it is about, and gradio's "always_last" would give the
        # first one's data to the last one
        "trigger_mode": "multiple",
        "api_visibility": "private",
    }
    reads = tasks | {"concurrency_limit": MAX_READERS}
    # Gradio shows no errors of what skips its queue: quick is for what does not fail.
    quick = tasks | {"queue": False}

    def listed(session: Any, shown: Any) -> dict[str, Any]:
        return history_value(studio.outputs, session_of(session)["session"], listed_now(shown))

    def list_more(session: Any, event: gr.EventData) -> dict[str, Any]:
        count = _sent(event).get("count")
        count = count if isinstance(count, int) else PAGE
        return history_value(studio.outputs, session_of(session)["session"], count)

    def open_run(session: Any, event: gr.EventData) -> tuple[Any, Any]:
        """Show a run's clip, and its steps too where they are still there."""
        saved = after.run_of(session, _sent(event))
        kept = session_of(session)["session"]
        chosen = studio.queue.choose(kept, saved.job)
        listed = queue_value(studio.queue.view(kept)) if chosen else gr.skip()
        return clip_files(saved), listed

    def remove_run(session: Any, shown: Any, event: gr.EventData) -> dict[str, Any]:
        kept, job = session_of(session)["session"], _sent(event).get("job")
        if checked(lambda: studio.outputs.delete(kept, job)):
            studio.jobs.remove(job, owner=kept)  # or a reload would show a clip that is gone
        return history_value(studio.outputs, kept, listed_now(shown))

    def restore_run(session: Any, event: gr.EventData) -> tuple[Any, ...]:
        return _shown(after.restore_run(session, _sent(event)), _sent(event))

    def restore_file(session: Any, event: gr.EventData) -> tuple[Any, ...]:
        return _shown(after.restore_file(session, _sent(event)), _sent(event))

    def continue_clip(session: Any, exact: Any, event: gr.EventData) -> tuple[EditorValue, bool]:
        return after.continue_clip(session, _sent(event)), after.exactly(exact)

    def extend_clip(session: Any, exact: Any, event: gr.EventData) -> tuple[EditorValue, bool]:
        return after.extend_clip(session, _sent(event)), after.exactly(exact)

    def use_frame(session: Any, editor: EditorValue, event: gr.EventData) -> EditorValue:
        used = after.use_frame(session, _sent(event), editor)
        frame = next(each.frame for each in used.keyframes if each not in editor.keyframes)
        gr.Info(f"It is the picture of frame {frame + 1} now.", title="This frame", duration=4)
        return used

    page = [editor, *settings, variations]  # one clip is restored, not several
    exact = settings[FIELDS.index("splice_exact")]
    changes = [
        history.restore_run(restore_run, [session], page, js=IN_PLACE, **tasks),
        history.restore_file(restore_file, [session], page, js=IN_PLACE, **reads),
        clip.continue_clip(continue_clip, [session, exact], [editor, exact], js=IN_PLACE, **tasks),
        clip.extend_clip(extend_clip, [session, exact], [editor, exact], js=IN_PLACE, **tasks),
        clip.use_frame(use_frame, [session, editor], [editor], js=CHANGING, **tasks),
    ]
    for change in changes:
        follow_change(change, reading, keeping)
    history.open_run(open_run, [session], [clip, runs], **tasks)
    history.remove_run(remove_run, [session, history], [history], **tasks)
    history.more_runs(list_more, [session], [history], **quick)
    latest = quick | {"trigger_mode": "always_last"}
    clip.change(listed, [session, history], [history], **latest)
    runs.ended(listed, [session, history], [history], **latest)  # it may be one that is not shown
    begun.then(listed, [session, history], [history], **quick)


def _shown(found: Restored, sent: dict[str, Any]) -> tuple[Any, ...]:
    """The page's outputs: painting, settings (the seed only where it is wanted), variations."""
    for note in found.notes:
        gr.Warning(plain(note), title="Restored, but")
    settings = settings_of(found.request)
    if sent.get("seed") is False:
        settings[FIELDS.index("seed")] = gr.skip()
    gr.Info("Its timeline, pictures and settings are on the page.", title="Restored", duration=4)
    return found.editor, *settings, 1


def _sent(event: gr.EventData) -> dict[str, Any]:
    return event._data if isinstance(event._data, dict) else {}


def _only(sent: dict[str, Any], *names: str) -> dict[str, Any]:
    return {name: sent[name] for name in names if name in sent}


def _uploaded(sent: dict[str, Any]) -> Path:
    path = sent.get("path")
    try:
        return local_file(FileData(path=path if isinstance(path, str) else ""), "")
    except RequestError:
        raise RequestError("The dropped file is not among the uploads: drop it again.") from None
