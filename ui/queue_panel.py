"""Runs on the page: Generate queues one, the page follows them, and the list changes those that
wait."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Collection
from dataclasses import dataclass
from typing import Any, Literal
from weakref import WeakValueDictionary

import gradio as gr
from anyio.to_thread import run_sync
from gradio.components import Component
from pydantic import Field

from ui.jobs import Snapshot, Status
from ui.painting_panel import (
    ALL_CHANGED,
    IN_PLACE,
    IN_TURN,
    Follow,
    as_typed,
    follow_change,
    is_waiting,
)
from ui.pieces import RunList
from ui.queueing import View, queue_value
from ui.refusals import RequestError, checked, plain
from ui.requests import MAX_SEED, EditorValue, Strict, Whole
from ui.restoring import fitted
from ui.service import Studio, is_present, session_of
from ui.settings import request_of, settings_of
from ui.watching import buttons, clip_files, progress_value, strip_value

HIDDEN: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}
QUICK = HIDDEN | {"queue": False}
MAX_VARIATIONS = 8
LOST = (
    "Your last run is not here: the studio was started anew before it ended, or it was deleted. "
    "The painting is as it was: press Generate to make it again."
)
HEARD = "() => ({ status: 'queued', text: 'Queueing…' })"
CAN_FAIL = HIDDEN | {"concurrency_limit": None}  # gradio shows no errors of what skips its queue


class QueueAction(Strict):
    """What a person does to a run of the list; `place` counts the waiting ones from 0."""

    action: Literal["show", "move", "remove", "clone"]
    job: str = Field(max_length=64)
    place: int = Field(default=0, ge=0, le=1000)


class Variations(Strict):
    """How many runs one press queues."""

    seed: int
    variations: Whole = Field(ge=1, le=MAX_VARIATIONS)

    @property
    def seeds(self) -> range:
        """Of the runs: the panel's and those that follow; after the last seed there is none."""
        return range(self.seed, min(self.seed + self.variations, MAX_SEED + 1))


@dataclass(frozen=True)
class Parts:
    """The components that show runs or are asked for what a run needs."""

    session: gr.BrowserState
    editor: Component
    settings: list[Component]
    variations: Component
    strip: Component
    progress: Component
    clip: Component
    run: gr.Button
    stop: gr.Button
    runs: RunList
    boxes: list[Component]  # what `as_typed` and `is_waiting` need beside the painting

    @property
    def showing(self) -> list[Any]:
        return [self.strip, self.progress, self.clip, self.run, self.stop, self.runs]


def wire_queue(
    studio: Studio,
    parts: Parts,
    load: Callable[..., Any],
    reading: Follow,
    keeping: dict[str, Any],
) -> None:
    """Bind the buttons and the list.

    Args:
        load: what the page fires when it opens.
        reading: brings the panel in line with the painting after an event.
        keeping: the event that keeps the painting in the browser.
    """

    def entered(
        timeline: EditorValue, panel: Any, frames: Any, steps: Any, formula: Any
    ) -> EditorValue | None:
        """`as_typed`; raises `RequestError` where a formula is typed and not entered."""
        if is_waiting(timeline, panel, formula):
            raise RequestError(
                "The formula in the box is not on the canvas yet: press Use to paint it, or empty "
                "the box."
            )
        return as_typed(timeline, panel, frames, steps, studio.window)

    def waiting() -> dict[str, Any]:
        """Say that a press waits for the model, where it is not there yet."""
        if studio.model.ready:
            return gr.skip()
        return {"status": "queued", "text": "Your run waits for the model…"}

    presses: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()  # of each session

    async def queue_run(timeline: EditorValue, *rest: Any) -> tuple[Any, ...]:
        """Queue what is painted, after what was asked for before."""
        *_, kept_session, _panel, _frames, _steps, _formula = rest
        kept = session_of(kept_session)
        async with presses.setdefault(kept["session"], asyncio.Lock()):
            return await queue_next(timeline, kept, *rest)

    async def queue_next(
        timeline: EditorValue, kept: dict[str, Any], *rest: Any
    ) -> tuple[Any, ...]:
        """Queue what is painted, with the seeds that follow where there are to be variations."""
        *settings, variations, _, panel, frames, steps, formula = rest
        typed = entered(timeline, panel, frames, steps, formula)
        timeline = typed or timeline
        request = request_of(settings)
        asked = checked(lambda: Variations(seed=request.seed, variations=variations))
        seeds = asked.seeds
        if not studio.model.ready:
            typed = None  # what is painted meanwhile stays on the canvas
            await studio.model.wait()
        request = studio.asked(timeline, settings)
        if len(seeds) < asked.variations:
            gr.Warning(f"{len(seeds)} of {asked.variations}: {MAX_SEED} is the last seed there is.")
        for seed in seeds:
            wanted = request.model_copy(update={"seed": seed})
            known = studio.jobs.runs_of(kept["session"])
            reader = studio.reader(timeline)
            try:
                kept["job"] = await run_sync(
                    studio.submit, timeline, wanted, kept["session"], limiter=reader
                )
            except RequestError as error:
                if seed == seeds[0]:
                    raise
                gr.Warning(f"{seed - seeds[0]} of {len(seeds)} were queued. {error.message}")
                break
            if repeats(kept["job"], known, kept["session"]):
                gr.Info(
                    f"A run with seed {seed} and all the same settings was queued before: this one "
                    "gives the same clip. Roll a seed for another.",
                    title="Once more",
                )
        return *listed(kept["session"]), kept, typed or gr.skip()

    def repeats(job: str, known: Collection[Snapshot], session: str) -> bool:
        """Whether a run gives what one of those known gave or will give."""
        key = studio.order_of(job, session).key
        broken = (Status.STOPPED, Status.FAILED)
        return any(run.about.key == key and run.status not in broken for run in known)

    def listed(session: str) -> tuple[Any, ...]:
        view = studio.queue.view(session)
        return *buttons(view.going), queue_value(view)

    async def watch(kept_session: Any) -> AsyncIterator[tuple[Any, ...]]:
        """Show the session's runs, one after the other, until none is left."""
        kept = session_of(kept_session)
        seen: tuple[str, int] | None = None  # run and step of the sheet that the page has
        files: Any = None  # of the clip that the page has
        async for view in studio.queue.follow(kept["session"]):
            shown = view.shown
            step = seen[1] if seen is not None and shown and seen[0] == shown.job else -1
            strip, progress, clip = shown_run(view, step, kept)
            yield (
                strip,
                progress,
                gr.skip() if clip and clip == files else clip,  # an older one may be looked at
                *buttons(view.going),
                queue_value(view, followed=True),
            )
            files = clip
            if shown is not None and shown.preview is not None:
                seen = shown.job, shown.preview.step

    def shown_run(view: View, seen_step: int, kept: dict[str, Any]) -> tuple[Any, ...]:
        run = view.shown
        if run is None:  # nothing since the server started; an earlier run may lie on disk
            saved = studio.outputs.find(kept["session"], kept["job"])
            unknown = kept["job"] and saved is None and studio.jobs.get(kept["job"]) is None
            lost = {"status": "failed", "text": LOST} if unknown else {}
            return (
                None,
                lost,
                None if saved is None else clip_files(saved),
            )
        result = run.result if run.result and run.result.video.is_file() else None
        made = run.result is not None or run.status in (Status.DONE, Status.FAILED)
        if result is None and not made:  # what the session made last
            result = next((each.result for each in reversed(view.runs) if each.result), None)
        files = None if result is None else clip_files(result)
        waiting = len([other for other in view.waiting if other.job != run.job])
        return strip_value(run, seen_step), progress_value(run, waiting), files

    def going(kept_session: Any) -> dict[str, Any]:
        """How far the session's run is, in place of what a refused one said."""
        kept = session_of(kept_session)
        return shown_run(studio.queue.view(kept["session"]), -1, kept)[1]

    def stop_first(kept_session: Any) -> tuple[Any, ...]:
        """End the session's run after its current step and keep what it has."""
        session = session_of(kept_session)["session"]
        view = studio.queue.view(session)
        if view.going:
            studio.jobs.stop(view.going[0].job, owner=session)
        return going(kept_session), *buttons(studio.queue.view(session).going)

    async def act(kept_session: Any, event: gr.EventData) -> tuple[Any, ...]:
        """Do what the list asks for; a run that is gone meanwhile is simply no longer listed."""
        asked = checked(lambda: QueueAction.model_validate(event._data))
        session = session_of(kept_session)["session"]
        if asked.action == "show":
            studio.queue.choose(session, asked.job)
        elif asked.action == "move":
            studio.jobs.move(asked.job, asked.place, owner=session)
        elif asked.action == "remove":
            studio.jobs.remove(asked.job, owner=session)
        else:
            painting, request = studio.order_of(asked.job, session).unpack()
            request, notes = fitted(request, checked(studio.model.get))
            for note in notes:
                gr.Warning(plain(note), title="Queued again, but")
            reader = studio.reader(painting)
            await run_sync(studio.submit, painting, request, session, limiter=reader)
        return listed(session)

    def take_up(kept_session: Any, event: gr.EventData) -> tuple[Any, ...]:
        """Put a run's painting, pictures and settings on the canvas."""
        job, session = job_in(event), session_of(kept_session)["session"]
        painting, request = studio.order_of(job, session).unpack()
        if studio.model.ready:
            request, notes = fitted(request, studio.model.get())
            for note in notes:
                gr.Warning(plain(note), title="Put on the canvas, but")
        present = [keyframe for keyframe in painting.keyframes if is_present(keyframe)]
        view = studio.queue.view(session)  # in which may be runs that another tab has queued
        taken = queue_value(view, followed=not view.going) | {"taken": job}
        return painting.model_copy(update={"keyframes": present}), *settings_of(request), taken

    async def renew(event: gr.EventData, timeline: EditorValue, *rest: Any) -> tuple[Any, ...]:
        """Put what is painted in the place of a run that waits."""
        *settings, kept_session, panel, frames, steps, formula = rest
        typed = entered(timeline, panel, frames, steps, formula)
        session = session_of(kept_session)["session"]
        job = job_in(event)
        await run_sync(
            studio.change,
            job,
            typed or timeline,
            studio.asked(typed or timeline, settings),
            session,
            limiter=studio.reader(typed or timeline),
        )
        run, stop, value = listed(session)
        return run, stop, value | {"renewed": job}, typed or gr.skip()

    session, runs = parts.session, parts.runs
    asking = [parts.editor, *parts.settings, session, *parts.boxes]
    generating = [parts.editor, *parts.settings, parts.variations, session, *parts.boxes]
    changing = [parts.run, parts.stop, runs]
    # said at once: gradio's page goes through these in this order, one after the other
    heard = parts.run.click(None, None, [parts.progress], js=HEARD, **HIDDEN)
    heard.then(waiting, None, [parts.progress], **QUICK)
    # what was asked for just before counts: a press is quicker than the answer of a preset
    pressed = parts.run.click(None, js=ALL_CHANGED, **HIDDEN)
    each: dict[str, Any] = {"trigger_mode": "multiple"}  # while one is pending, the next counts
    given = [*changing, session, parts.editor]
    queued = pressed.then(queue_run, generating, given, **CAN_FAIL, **each)
    queued.failure(going, [session], [parts.progress], **QUICK)
    reading(queued.success).then(**keeping)
    parts.stop.click(stop_first, [session], [parts.progress, parts.run, parts.stop], **QUICK)
    load(
        lambda kept: queue_value(studio.queue.view(session_of(kept)["session"])),
        [session],
        [runs],
        **QUICK,
    )
    following = runs.follow(
        watch,
        [session],
        parts.showing,
        trigger_mode="always_last",  # a run queued as the last one ends is followed too
        concurrency_limit=None,
        show_progress="hidden",
        api_visibility="private",
    )
    reading(following.then)
    runs.act(act, [session], changing, trigger_mode="multiple", **CAN_FAIL)
    page = [parts.editor, *parts.settings, runs]
    taken = runs.take_up(take_up, [session], page, js=IN_PLACE, **IN_TURN, **each)
    follow_change(taken, reading, keeping)
    renewed = runs.renew(renew, asking, [*changing, parts.editor], **CAN_FAIL, **each)
    reading(renewed.success).then(**keeping)


def job_in(event: gr.EventData) -> str:
    """The run that an event of the list names."""
    job = event._data.get("job") if isinstance(event._data, dict) else None
    if not isinstance(job, str):
        raise RequestError("The list named no run: choose one.")
    return job
