"""Sweeps on the page: runs are queued as there is room, and shown in their places as they end."""

from __future__ import annotations

import asyncio
import math
import threading
from collections.abc import AsyncIterator
from typing import Any

import gradio as gr
from anyio import CapacityLimiter
from anyio.to_thread import run_sync

from ui.comparing import failed_value, read_frames, run_of, same_run, sheet_value
from ui.costs import in_words
from ui.jobs import Snapshot, Status
from ui.pieces import SweepView
from ui.queue_panel import CAN_FAIL, HIDDEN, QUICK, Parts
from ui.refusals import RequestError, checked
from ui.registry import QueueFull
from ui.requests import EditorValue
from ui.saved import home_name, new_name
from ui.service import Studio, session_of
from ui.sheets import MAX_TILE
from ui.sweeping import NOT_RUN, Sweep, SweepRequest, sweep_of, sweep_value
from ui.watching import figures

INTERVAL = 0.25  # seconds between two looks at the runs
AHEAD = 2  # of its runs that wait at once: the rest of the queue is for others
MOST = 8  # sweeps that go on, of all sessions: each holds a painting and its clips
AT_ONCE = 2  # threads that make paintings and sheets of sweeps


class Sweeping:
    """One sweep of one session: which cells are queued, which are done, which cannot be. If it is
    shown `again`, nothing is queued for it, and what one has queued is its own as before."""

    def __init__(self, studio: Studio, sweep: Sweep, session: str, again: bool = False) -> None:
        self.studio, self.sweep, self.session, self.again = studio, sweep, session, again
        self.saved = studio.outputs.by_key(session)
        self.id = new_name()
        self.jobs: list[str | None] = [None] * len(sweep.chosen)
        self.added: list[str] = []  # those that were queued for it, and end with it
        self.refused: dict[int, str] = {}
        self.ended: dict[int, Snapshot] = {}  # the registry forgets runs that are over
        self.sheets: dict[str, Any] = {}  # by place
        self._lock = threading.Lock()

    def queue_next(self) -> bool:
        """Queue the next cell, or find the run that is the same; False where none can be now."""
        with self._lock:
            cells = enumerate(self.jobs)
            left = [place for place, job in cells if job is None and place not in self.refused]
            if not left or (not self.again and self._is_full()):
                return False
            place = left[0]
            try:
                painting, request = self.sweep.cell(place)
                order = self.studio.order(painting, request)
                runs = self.studio.jobs.runs_of(self.session)
                found = same_run(runs, order.key)
                if found is None and order.key in self.saved:
                    found = self.saved[order.key].job
                    self.ended[place] = run_of(self.studio, found, self.session)
                    self._show(place, self.ended[place])
                elif found is None and self.again:
                    self.refused[place] = NOT_RUN
                    return True
                elif found is None:
                    found = self.studio.submit(painting, request, self.session, swept=True)
                    self.added.append(found)
                elif self.again and any(run.job == found and run.about.swept for run in runs):
                    self.added.append(found)
                self.jobs[place] = found
            except RequestError as error:
                if not self.again and self._is_full():  # another page was quicker
                    return False
                self.refused[place] = str(error.message)
            return True

    def _is_full(self) -> bool:
        runs = [self.studio.jobs.get(job) for job in self.added]
        if sum(run is not None and run.status is Status.QUEUED for run in runs) >= AHEAD:
            return True
        try:
            self.studio.jobs.refuse_more(self.session)
        except QueueFull:
            return True
        return False

    def look(self) -> dict[str, Any]:
        """The value for the page, with a sheet of each clip that is there."""
        runs: list[Snapshot | None] = []
        for place, job in enumerate(self.jobs):
            run = self.ended.get(place) or self.studio.jobs.get(job)
            if job is not None and run is None:
                self.refused[place] = "This run is no longer known: it was deleted."
            if run is not None and run.status.over and place not in self.ended:
                self.ended[place] = run
                self._show(place, run)
            runs.append(run)
        return sweep_value(self.sweep, runs, self.refused) | {
            "id": self.id,
            "sheets": dict(self.sheets),
            "address": f"runs/{home_name(self.session)}",
        }

    def cost(self) -> str:
        """How many runs this is, and how long those take that are not there, before it is begun."""
        runs, there, refused, took = len(self.sweep.chosen), 0, 0, [0.0]
        known = self.studio.jobs.runs_of(self.session)
        for place in range(runs):
            try:
                painting, request = self.sweep.cell(place)
                key = self.studio.key(painting, request)
                if same_run(known, key) is not None or key in self.saved:
                    there += 1
                    continue
                seconds = self.studio.seconds(checked(painting.timeline), request)
            except RequestError:
                refused += 1
                continue
            took.append(math.nan if seconds is None else seconds)
        parts = [f"{runs} run{'s' if runs > 1 else ''}"]
        if there:
            parts.append("all there already" if there == runs else f"{there} there already")
        if refused:
            parts.append(f"{refused} cannot be")
        text, total = ", ".join(parts), sum(took)
        return f"{text} · {in_words(total)}" if total > 0 else text

    def _show(self, place: int, run: Snapshot) -> None:
        files = run.result.frames if run.result is not None else []
        try:
            video = read_frames(files)
        except ValueError:  # it failed, was stopped before its first step, or was deleted
            return
        part = sheet_value(video, MAX_TILE)
        shown = {"frames": len(video), "fps": run.about.fps, **figures(run.result.about())}
        self.sheets[str(place)] = part | shown

    def stop(self) -> None:
        """Queue no more, take what waits off the queue, and end what goes on."""
        with self._lock:
            for place, job in enumerate(self.jobs):
                if job is None:
                    self.refused.setdefault(place, NOT_RUN)
        for job in self.added:
            self.studio.jobs.stop(job, owner=self.session)


def wire_sweep(studio: Studio, parts: Parts, view: SweepView) -> None:
    """Bind the buttons of the sweep."""
    going: dict[str, Sweeping] = {}
    few, one = CapacityLimiter(AT_ONCE), CapacityLimiter(1)  # costs keep no sweep waiting
    newest: dict[str, object] = {}  # the last cost that each session waits for

    def understood(
        event: gr.EventData, canvas: EditorValue, settings: list[Any]
    ) -> tuple[SweepRequest, Sweep]:
        asked = checked(lambda: SweepRequest.model_validate(event._data))
        pipeline = checked(studio.model.get)
        prompts = "prompts" in pipeline.skills
        return asked, sweep_of(
            *(asked, canvas, studio.asked(canvas, settings), pipeline.card.labels),
            *(studio.window, prompts),
        )

    async def weigh(event: gr.EventData, canvas: EditorValue, *rest: Any) -> Any:
        """Say what a sweep would cost; what is wrong with it is said when it is begun."""
        *settings, kept_session = rest
        if not studio.model.ready:
            return gr.update(cost="")
        session = session_of(kept_session)["session"]
        this = newest[session] = object()

        def cost() -> Any:
            if newest.get(session) is not this:  # or one page could keep all others waiting
                return gr.skip()
            try:
                _, found = understood(event, canvas, settings)
            except RequestError:
                return gr.update(cost="")
            return gr.update(cost=Sweeping(studio, found, session).cost())

        try:
            return await run_sync(cost, limiter=one)
        finally:
            if newest.get(session) is this:
                del newest[session]

    async def sweep(
        event: gr.EventData, canvas: EditorValue, *rest: Any
    ) -> AsyncIterator[dict[str, Any]]:
        """Queue what has to be generated as there is room, and show what is done, to the end."""
        *settings, kept_session = rest
        session = session_of(kept_session)["session"]
        try:
            await studio.model.wait()
            asked, found = understood(event, canvas, settings)
            if len(going) >= MOST:
                raise RequestError("Other sweeps go on here: try again when they are done.")
        except RequestError as error:
            again = isinstance(event._data, dict) and event._data.get("again") is True
            yield gr.skip() if again else failed_value(str(error.message))
            return
        own = await run_sync(Sweeping, studio, found, session, asked.again, limiter=few)
        going[own.id] = own
        shown: dict[str, Any] = {}
        try:
            while shown.get("status") != "done":
                if shown:
                    await asyncio.sleep(INTERVAL)
                while await run_sync(own.queue_next, limiter=studio.reader(canvas) or few):
                    pass
                value = await run_sync(own.look, limiter=few)
                if asked.again and not any(own.jobs):
                    yield gr.skip()  # nothing of it is left, or the canvas is another one
                    return
                if value != shown:
                    shown = value
                    yield value
        finally:
            del going[own.id]

    def stop(kept_session: Any, event: gr.EventData) -> None:
        asked = event._data.get("id") if isinstance(event._data, dict) else None
        own = going.get(asked) if isinstance(asked, str) else None
        if own is not None and own.session == session_of(kept_session)["session"]:
            own.stop()

    asked_with = [parts.editor, *parts.settings, parts.session]
    # "always_last" would give the last one the first one's data; `one` takes each in its turn
    view.weigh(weigh, asked_with, [view], trigger_mode="multiple", **QUICK)
    again = view.again(sweep, asked_with, [view], **CAN_FAIL)
    # before what it makes room for: gradio's page goes through these one after the other
    view.sweep(None, cancels=[again], **HIDDEN)
    view.sweep(sweep, asked_with, [view], **CAN_FAIL)
    view.end(stop, [parts.session], None, **QUICK)
