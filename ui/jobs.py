"""Runs wait, go on, stop and are found again here, one at a time and whoever is looking."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import secrets
import sys
import threading
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any, Protocol

import numpy as np

from ui.sheets import Sheet, make_sheet

log = logging.getLogger(__name__)

PREVIEW_INTERVAL = 0.1  # seconds: nobody sees more than ten pictures per second of 16 frames
PREVIEW_SHARE = 0.12  # of a run's time at most goes into showing it
WATCHED_FOR = 2.0  # seconds since the last look after which nobody is watching


class State(Protocol):
    """What a step of a run has to offer; `fvdm_core.pipeline.State` does."""

    @property
    def step(self) -> int: ...
    @property
    def levels(self) -> Any: ...
    @property
    def preview(self) -> np.ndarray: ...


class Status(StrEnum):
    QUEUED = "queued"
    RUNNING = "running"
    DONE = "done"
    STOPPED = "stopped"
    FAILED = "failed"

    @property
    def over(self) -> bool:
        return self in (Status.DONE, Status.STOPPED, Status.FAILED)


@dataclass(frozen=True)
class Work:
    """What a job does: walk `states`, then turn the last one into a result.

    `calls[m]` is the number of model calls of step m. `finish(state, stopped)` also receives the
    state at which a person stopped. `size` names the run in messages ("64 frames of 64×64").
    """

    states: Callable[[], Iterator[Any]]
    finish: Callable[[Any, bool], Any]
    calls: Sequence[int]
    frames: int
    size: str = ""
    seconds_per_call: float | None = None
    learned: Callable[[float], None] = lambda seconds_per_call: None


@dataclass(frozen=True)
class Preview:
    """What the frames looked like at a step, which may lie before the newest one."""

    sheet: Sheet
    step: int
    levels: tuple[int, ...]


@dataclass(frozen=True)
class Snapshot:
    """A job as it was at one moment. `version` grows with every change."""

    job: str
    frames: int
    steps: int
    status: Status = Status.QUEUED
    step: int = 0
    levels: tuple[int, ...] = ()
    preview: Preview | None = None
    eta: float | None = None
    ahead: int = 0
    message: str = ""
    result: Any = None
    version: int = 0


class QueueFull(Exception):
    """No more runs can wait; the text says when to try again."""


class Job:
    """One run and what is known of it. Read `snapshot`; only the registry's worker writes."""

    def __init__(self, work: Work, job_id: str) -> None:
        self.id = job_id
        self.stopping = threading.Event()
        self.watched_at = time.monotonic()
        self.ended_at: float | None = None
        self._work: Work | None = work
        self._lock = threading.Lock()
        self._snapshot = Snapshot(self.id, work.frames, len(work.calls))

    @property
    def snapshot(self) -> Snapshot:
        return self._snapshot

    @property
    def watched(self) -> bool:
        return time.monotonic() - self.watched_at < WATCHED_FOR

    def update(self, **changes: Any) -> None:
        with self._lock:
            version = self._snapshot.version + 1
            self._snapshot = replace(self._snapshot, version=version, **changes)

    def withdraw(self) -> None:
        """End a job that has not begun."""
        self._work = None
        self.update(status=Status.STOPPED, message="Removed from the queue.")
        self.ended_at = time.monotonic()

    def run(self, unwatched_limit: float) -> None:
        """Do the work in the calling thread; every outcome ends up in the snapshot."""
        work, self._work = self._work, None  # frees pictures and closures with the run
        if work is None or self.snapshot.status.over:
            return
        try:
            self._run(work, unwatched_limit)
        except Exception as error:
            self.update(status=Status.FAILED, eta=None, message=reason(error, work.size))
        finally:
            self.ended_at = time.monotonic()

    def _run(self, work: Work, unwatched_limit: float) -> None:
        started = shown_at = time.monotonic()
        showing = 0.0  # seconds spent on previews so far
        seconds_per_call = work.seconds_per_call
        self.update(status=Status.RUNNING, ahead=0, eta=_eta(work.calls, seconds_per_call))
        state: Any = None
        states = work.states()
        try:
            for state in states:
                done: int = sum(work.calls[: state.step])
                now = time.monotonic()
                if state.step == 0:
                    started, showing = now, 0.0  # loading and encoding are not model calls
                elif done:
                    seconds_per_call = (now - started) / done
                changes: dict[str, Any] = {
                    "step": int(state.step),
                    "levels": _levels(state),
                    "eta": _eta(work.calls[state.step :], seconds_per_call),
                }
                last = state.step >= len(work.calls)
                rest = max(PREVIEW_INTERVAL, showing / PREVIEW_SHARE - (now - started))
                if last or (self.watched and (state.step <= 1 or now - shown_at >= rest)):
                    changes["preview"] = _preview(state)
                    shown_at = time.monotonic()
                    showing += shown_at - now
                self.update(**changes)
                if time.monotonic() - self.watched_at > unwatched_limit:
                    self.stopping.set()
                if self.stopping.is_set():
                    break
        finally:
            close = getattr(states, "close", None)
            if close is not None:
                close()
        if state is None:
            raise ValueError("The run gave no frames: check its timeline.")
        stopped = state.step < len(work.calls)
        if seconds_per_call is not None and not stopped and any(work.calls):
            work.learned(seconds_per_call)
        shown = self.snapshot.preview
        if stopped and (shown is None or shown.step != state.step):
            self.update(preview=_preview(state))
        result = work.finish(state, stopped)
        status = Status.STOPPED if stopped else Status.DONE
        message = f"Stopped after step {state.step} of {len(work.calls)}." if stopped else ""
        self.update(status=status, eta=None, message=message, result=result)


def _give_way() -> None:
    """Lower this thread's priority, and that of the threads torch starts from it (Linux).

    A run takes every core; the page's server and its browser must still get theirs at once.
    """
    if sys.platform == "linux":
        with contextlib.suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), 10)


def _levels(state: State) -> tuple[int, ...]:
    return tuple(int(level) for level in state.levels)


def _preview(state: State) -> Preview:
    return Preview(make_sheet(state.preview), int(state.step), _levels(state))


def _eta(calls: Sequence[int], seconds_per_call: float | None) -> float | None:
    return None if seconds_per_call is None else sum(calls) * seconds_per_call


def reason(error: Exception, size: str = "") -> str:
    """What to tell the person about `error`, without paths or internals."""
    text = str(error)
    if (
        isinstance(error, MemoryError)
        or type(error).__name__ == "OutOfMemoryError"
        or any(words in text for words in ("can't allocate memory", "not enough memory"))
    ):
        what = f" for {size}" if size else ""
        return (
            f"There was not enough memory{what}. Use fewer frames, or close other programs and "
            "generate again. Your timeline is unchanged."
        )
    if isinstance(error, (ValueError, ArithmeticError)):
        return text or "The run cannot be carried out as it is."
    log.error("A run failed", exc_info=error)
    return (
        f"Something broke inside the studio ({type(error).__name__}). Your timeline is unchanged; "
        "try again, or look at the server's log."
    )


class JobRegistry:
    """A bounded queue in front of one worker thread, and a memory of what ran.

    One run at a time uses the whole machine; two would take turns and both be slow. Finished jobs
    are forgotten after `max_age` seconds or when more than `max_kept` are remembered. A run that
    nobody has looked at for `unwatched_limit` seconds is stopped and keeps its partial result.
    """

    def __init__(
        self,
        max_waiting: int = 16,
        max_kept: int = 64,
        max_age: float = 6 * 3600,
        unwatched_limit: float = 1800,
    ) -> None:
        self.max_waiting = max_waiting
        self.max_kept = max_kept
        self.max_age = max_age
        self.unwatched_limit = unwatched_limit
        self._jobs: dict[str, Job] = {}  # oldest first
        self._waiting: deque[Job] = deque()
        self._running: Job | None = None
        self._changed = threading.Condition()
        self._worker: threading.Thread | None = None
        self._closed = False

    def submit(self, work: Work, job_id: str | None = None) -> str:
        """Queue `work` and return the job's id: `job_id`, or a new one that nobody can guess.

        Raises:
            QueueFull: `max_waiting` runs wait already.
        """
        with self._changed:
            if len(self._waiting) >= self.max_waiting:
                raise QueueFull(
                    f"The queue is full: {self.max_waiting} runs are waiting. Try again when one "
                    "of them is done. Your timeline is unchanged."
                )
            self._forget()
            job = Job(work, job_id or secrets.token_urlsafe(16))
            self._jobs[job.id] = job
            self._waiting.append(job)
            self._renumber()
            if self._worker is None:
                self._worker = threading.Thread(target=self._work, name="jobs", daemon=True)
                self._worker.start()
            self._changed.notify_all()
            return job.id

    def get(self, job_id: object) -> Snapshot | None:
        """The job as it is now, or None when it is unknown or forgotten."""
        job = self._jobs.get(job_id) if isinstance(job_id, str) else None
        return None if job is None else job.snapshot

    def stop(self, job_id: object) -> bool:
        """Ask a job to end; a running one does so after its current step. False when unknown."""
        with self._changed:
            job = self._jobs.get(job_id) if isinstance(job_id, str) else None
            if job is None:
                return False
            job.stopping.set()
            if job in self._waiting:
                self._waiting.remove(job)
                job.withdraw()
                self._renumber()
            return True

    async def follow(self, job_id: str, interval: float = 0.1) -> AsyncIterator[Snapshot]:
        """Every change of a job, at most one per `interval` seconds, up to its end.

        Looking costs the run its previews, so they are made only while somebody follows.
        """
        seen = -1
        while (job := self._jobs.get(job_id)) is not None:
            job.watched_at = time.monotonic()
            snapshot = job.snapshot
            if snapshot.version != seen:
                seen = snapshot.version
                yield snapshot
            if snapshot.status.over:
                return
            await asyncio.sleep(interval)

    def close(self) -> None:
        """Stop everything; the running job ends after its current step."""
        with self._changed:
            self._closed = True
            for job in list(self._waiting):
                self.stop(job.id)
            if self._running is not None:
                self._running.stopping.set()
            self._changed.notify_all()
            worker = self._worker
        if worker is not None:
            worker.join(timeout=8)

    def _work(self) -> None:
        _give_way()
        while True:
            with self._changed:
                self._running = None
                while not self._waiting:
                    if self._closed:
                        return
                    self._changed.wait()
                self._running = job = self._waiting.popleft()
                self._renumber()
            job.run(self.unwatched_limit)

    def _renumber(self) -> None:
        busy = self._running is not None
        for place, job in enumerate(self._waiting):
            if job.snapshot.ahead != place + busy:
                job.update(ahead=place + busy)

    def _forget(self) -> None:
        now = time.monotonic()
        ended = [job for job in self._jobs.values() if job.ended_at is not None]
        surplus = len(ended) - self.max_kept + 1
        for place, job in enumerate(ended):
            assert job.ended_at is not None
            if place < surplus or now - job.ended_at > self.max_age:
                del self._jobs[job.id]
