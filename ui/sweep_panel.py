"""Sweeps on the page: runs are queued as there is room, and shown in their places as they end."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator
from typing import Any

import gradio as gr
from anyio.to_thread import run_sync

from ui.comparing import failed_value, read_frames, same_run, sheet_value
from ui.jobs import Snapshot
from ui.outputs import home_name
from ui.pieces import SweepView
from ui.queue_panel import QUICK, Parts
from ui.refusals import RequestError, checked
from ui.registry import QueueFull
from ui.requests import EditorValue
from ui.service import Studio, session_of
from ui.settings import request_of
from ui.sheets import MAX_TILE
from ui.sweeping import Sweep, SweepRequest, sweep_of, sweep_value

INTERVAL = 0.25  # seconds between two looks at the runs


class Sweeping:
    """One sweep of one session: which cells are queued, which are done, which cannot be."""

    def __init__(self, studio: Studio, sweep: Sweep, session: str) -> None:
        self.studio, self.sweep, self.session = studio, sweep, session
        self.jobs: list[str | None] = [None] * len(sweep.cells)
        self.added: list[str] = []  # those that were queued for it
        self.refused: dict[int, str] = {}
        self.sheets: dict[str, Any] = {}  # by place
        self._lock = threading.Lock()

    def queue_next(self) -> bool:
        """Queue the next cell, or find the run that is the same; False where none can be now."""
        with self._lock:
            cells = enumerate(self.jobs)
            waiting = [place for place, job in cells if job is None and place not in self.refused]
            if not waiting or self._is_full():
                return False
            place = waiting[0]
            painting, request = self.sweep.cells[place]
            try:
                order = self.studio.order(painting, request)
                found = same_run(self.studio.jobs.runs_of(self.session), order)
                if found is None:
                    found = self.studio.submit(painting, request, self.session)
                    self.added.append(found)
                self.jobs[place] = found
            except RequestError as error:
                if self._is_full():  # another page was quicker
                    return False
                self.refused[place] = str(error.message)
            return True

    def _is_full(self) -> bool:
        try:
            self.studio.jobs.refuse_more(self.session)
        except QueueFull:
            return True
        return False

    def leave(self, why: str) -> None:
        """Queue no more."""
        with self._lock:
            for place, job in enumerate(self.jobs):
                if job is None:
                    self.refused.setdefault(place, why)

    def stop(self) -> None:
        """Queue no more, take what waits off the queue, and end what goes on."""
        self.leave("not queued")
        for job in self.added:
            self.studio.jobs.stop(job, owner=self.session)

    def look(self) -> dict[str, Any]:
        """The value for the page, with a sheet of each clip that is there."""
        runs: list[Snapshot | None] = []
        for place, job in enumerate(self.jobs):
            run = self.studio.jobs.get(job)
            if job is not None and run is None:
                self.refused[place] = "This run is no longer known: it was deleted."
            if run is not None and run.status.over and str(place) not in self.sheets:
                self._show(place, run)
            runs.append(run)
        address = f"runs/{home_name(self.session)}"
        value = sweep_value(self.sweep, runs, self.refused)
        return value | {"sheets": dict(self.sheets), "address": address}

    def _show(self, place: int, run: Snapshot) -> None:
        files = run.result.frames if run.result is not None else []
        try:
            video = read_frames(files)
        except ValueError:  # it failed, was stopped before its first step, or was deleted
            return
        part = sheet_value(video, MAX_TILE)
        self.sheets[str(place)] = part | {"frames": len(video), "fps": run.about.fps}


def wire_sweep(studio: Studio, parts: Parts, view: SweepView) -> None:
    """Bind the buttons of the sweep."""
    going: dict[str, Sweeping] = {}

    async def sweep(
        event: gr.EventData, canvas: EditorValue, *rest: Any
    ) -> AsyncIterator[dict[str, Any]]:
        *settings, kept_session = rest
        session = session_of(kept_session)["session"]
        try:
            asked = checked(lambda: SweepRequest.model_validate(event._data))
            request = request_of(settings)
            await studio.model.wait()
            labels = checked(studio.model.get).card.labels
            found = await run_sync(sweep_of, asked, canvas, request, labels, studio.window)
        except RequestError as error:
            yield failed_value(str(error.message))
            return
        own = Sweeping(studio, found, session)
        if session in going:
            going[session].leave("another sweep took its place")
        going[session] = own
        shown: dict[str, Any] = {}
        try:
            while shown.get("status") != "done":
                if shown:
                    await asyncio.sleep(INTERVAL)
                while await run_sync(own.queue_next, limiter=studio.readers):
                    pass
                value = await run_sync(own.look, limiter=studio.readers)
                if value != shown:
                    shown = value
                    yield value
        finally:
            if going.get(session) is own:
                del going[session]

    def stop(kept_session: Any) -> None:
        own = going.get(session_of(kept_session)["session"])
        if own is not None:
            own.stop()

    view.sweep(
        sweep,
        [parts.editor, *parts.settings, parts.session],
        [view],
        concurrency_limit=None,
        show_progress="hidden",
        api_visibility="private",
    )
    view.end(stop, [parts.session], None, **QUICK)
