"""A run: what it does, how far it is, and how it ends, whoever is looking."""

from __future__ import annotations

import logging
import math
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextvars import Context, copy_context
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Any, Protocol

import numpy as np

from fvdm_core.memory import out_of_memory
from ui.rewind import Rewind, View, picture
from ui.sheets import Sheet, make_sheet

log = logging.getLogger(__name__)

PREVIEW_INTERVAL = 0.1  # seconds: nobody sees more than ten pictures per second of 16 frames
PREVIEW_SHARE = 0.10  # of a run's time at most goes into showing it
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

    `calls[m]` is the number of model calls of step m. Where the first state is not the start, those
    before it are among `earlier()`, which other runs have left. `finish(state, stopped)` also
    receives the state at which a person stopped. `size` names the run in messages ("64 frames of
    64×64").
    """

    states: Callable[[], Iterator[Any]]
    finish: Callable[[Any, bool], Any]
    calls: Sequence[int]
    frames: int
    size: str = ""
    seconds_per_call: float | None = None
    learned: Callable[[float], None] = lambda seconds_per_call: None
    earlier: Callable[[], Sequence[Any]] = tuple


@dataclass(frozen=True)
class Preview:
    """What the frames looked like at a step, which may lie before the newest one."""

    sheet: Sheet
    step: int
    levels: tuple[int, ...]
    view: View = "clean"


@dataclass(frozen=True)
class Snapshot:
    """A job as it was at one moment. `version` grows with every change.

    `about` is what the page knows of the request; jobs only carry it.
    """

    job: str
    frames: int
    steps: int
    status: Status = Status.QUEUED
    step: int = 0
    first: int = 0  # the step from which it went on, where others had walked so far
    levels: tuple[int, ...] = ()
    preview: Preview | None = None
    eta: float | None = None
    ahead: int = 0
    stopping: bool = False  # it goes on to the end of its step
    message: str = ""
    result: Any = None
    about: Any = None
    asked_at: float = 0.0  # in seconds since 1970
    version: int = 0


class Job:
    """One run and what is known of it. Read `snapshot`; only the registry and its worker write."""

    def __init__(self, work: Work, job_id: str, owner: str = "", about: Any = None) -> None:
        self.id = job_id
        self.owner = owner
        self.listed = True  # until its owner removes it
        self.stopping = threading.Event()
        self.watched_at = time.monotonic()  # when its frames were last looked at
        self.expected_at = self.watched_at  # when somebody last wanted to know of it at all
        self.ended_at: float | None = None
        self.view: View = "clean"  # what previews show
        self.rewind = Rewind()
        self._work: Work | None = work
        self._context = copy_context()  # of the request: ZeroGPU counts a run to its visitor
        self._lock = threading.Lock()
        self._snapshot = Snapshot(
            self.id, work.frames, len(work.calls), about=about, asked_at=datetime.now().timestamp()
        )

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

    def look(self) -> None:
        """Note that somebody looks at the frames, so that previews are worth making."""
        self.watched_at = self.expected_at = time.monotonic()

    def renew(self, work: Work, about: Any) -> None:
        """Put other work in place of what has not begun."""
        self._work = work
        self._context = copy_context()
        steps = len(work.calls)
        self.update(frames=work.frames, steps=steps, about=about)

    def stop(self) -> None:
        """Ask it to end after its current step; what is over stays as it is."""
        if self.snapshot.status.over:
            return
        self.stopping.set()
        if not self.snapshot.stopping:
            self.update(stopping=True)

    def withdraw(self) -> None:
        """End a job that has not begun."""
        self._work = None
        self.listed = False
        self.update(status=Status.STOPPED, message="Removed from the queue.")
        self.ended_at = time.monotonic()

    def run(self, unwatched_limit: float, run_limit: float = math.inf) -> None:
        """Do the work in the calling thread; every outcome ends up in the snapshot."""
        work, self._work = self._work, None  # frees pictures and closures with the run
        context, self._context = self._context, Context()
        if work is None or self.snapshot.status.over:
            return
        try:
            context.run(self._run, work, unwatched_limit, run_limit)
        except Exception as error:
            self.update(status=Status.FAILED, eta=None, message=reason(error, work.size))
        finally:
            self.ended_at = time.monotonic()

    def _run(self, work: Work, unwatched_limit: float, run_limit: float) -> None:
        begun = started = shown_at = time.monotonic()
        why = ""  # it is stopped, if no person did that
        showing = one = 0.0  # seconds spent on previews so far, and on the last one
        seconds_per_call = work.seconds_per_call
        self.update(status=Status.RUNNING, ahead=0, eta=_eta(work.calls, seconds_per_call))
        self.expected_at = max(self.expected_at, started)  # waiting for its turn does not count
        state: Any = None
        first: int | None = None
        states = work.states()
        try:
            for state in states:
                now = time.monotonic()
                if first is None:
                    first = int(state.step)
                    started, showing = now, 0.0  # loading and encoding are not model calls
                    self._take_over(work, first)
                done: int = sum(work.calls[first : state.step])
                if done:
                    seconds_per_call = (now - started) / done
                changes: dict[str, Any] = {
                    "step": int(state.step),
                    "levels": _levels(state),
                    "eta": _eta(work.calls[state.step :], seconds_per_call),
                }
                last = state.step >= len(work.calls)
                affordable = showing + one <= PREVIEW_SHARE * (now - started)
                due = now - shown_at >= PREVIEW_INTERVAL and affordable
                if last or (self.watched and (state.step <= first + 1 or due)):
                    changes["preview"] = preview_of(state, self.view)
                    shown_at = time.monotonic()
                    one = shown_at - now
                    showing += one
                self.update(**changes)
                self.rewind.add(state)
                if self.stopping.is_set():
                    break
                if time.monotonic() - self.expected_at > unwatched_limit:
                    why = f" Nobody looked at it for {unwatched_limit / 60:g} minutes."
                    self.stopping.set()
                elif not last and time.monotonic() - begun > run_limit:
                    why = f" A run may take {run_limit / 60:g} minutes here."
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
        if seconds_per_call is not None and not stopped and any(work.calls[first:]):
            work.learned(seconds_per_call)
        shown = self.snapshot.preview
        if stopped and (shown is None or shown.step != state.step):
            self.update(preview=preview_of(state, self.view))
        result = work.finish(state, stopped)
        status = Status.STOPPED if stopped else Status.DONE
        far = f"after step {state.step} of {len(work.calls)}" if state.step else "before step 1"
        message = f"Stopped {far}.{why}" if stopped else ""
        self.update(status=status, eta=None, message=message, result=result)

    def _take_over(self, work: Work, first: int) -> None:
        """Keep what other runs left of the steps that this one need not walk."""
        if first:
            self.update(first=first)
            for state in work.earlier():
                if state.step < first:
                    self.rewind.add(state)


def _levels(state: State) -> tuple[int, ...]:
    return tuple(int(level) for level in state.levels)


def preview_of(state: State, view: View) -> Preview:
    """A state as a sheet of all frames."""
    return Preview(make_sheet(picture(state, view)), int(state.step), _levels(state), view)


def _eta(calls: Sequence[int], seconds_per_call: float | None) -> float | None:
    return None if seconds_per_call is None else sum(calls) * seconds_per_call


def reason(error: Exception, size: str = "") -> str:
    """What to tell the person about `error`, without paths or internals."""
    text = str(error)
    if out_of_memory(error):
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
