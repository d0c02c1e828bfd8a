"""The runs of everybody: one goes on at a time, the others wait, and all are found again here."""

from __future__ import annotations

import asyncio
import contextlib
import math
import os
import secrets
import sys
import threading
import time
from collections.abc import AsyncIterator, Callable
from typing import Any

from ui.jobs import Job, Snapshot, Work
from ui.rewind import Kept, Rewind, View
from ui.turns import Turns

REWIND_BUDGET = 128 * 2**20  # bytes of the states of all runs that are over


class QueueFull(Exception):
    """No more runs can wait; the text says when to try again."""


class HasBegun(Exception):
    """The run no longer waits, so it stays what it is; the text says what to do instead."""


class JobRegistry:
    """A bounded queue in front of one worker thread, and a memory of what ran.

    One run at a time uses the whole machine; two would take turns and both be slow. The owners of
    the runs take turns, and each decides on the order of their own. An owner is a name that nobody
    else can guess; whatever changes a run wants its owner's.

    At most `max_waiting` runs wait, of one owner at most `max_per_owner`. Finished jobs are
    forgotten after `max_age` seconds or when more than `max_kept` are remembered. A run that nobody
    has asked for during `unwatched_limit` seconds, or that takes more than `run_limit`, is stopped
    and keeps its partial result.
    """

    def __init__(
        self,
        max_waiting: int = 16,
        max_per_owner: int = 8,
        max_kept: int = 64,
        max_age: float = 6 * 3600,
        unwatched_limit: float = 1800,
        run_limit: float = math.inf,
    ) -> None:
        self.max_waiting = max_waiting
        self.max_per_owner = max_per_owner
        self.max_kept = max_kept
        self.max_age = max_age
        self.unwatched_limit = unwatched_limit
        self.run_limit = run_limit
        self._jobs: dict[str, Job] = {}  # oldest first
        self._turns: Turns[Job] = Turns()
        self._running: Job | None = None
        self._changed = threading.Condition()
        self._worker: threading.Thread | None = None
        self._closed = False
        self._held = ""  # why no runs are taken now

    # ── Queueing ─────────────────────────────────────────────────────────────────────────────

    def submit(
        self, work: Work, job_id: str | None = None, *, owner: str = "", about: Any = None
    ) -> str:
        """Queue `work` and return the job's id: `job_id`, or a new one that nobody can guess.

        Raises:
            QueueFull: `max_waiting` runs wait already, or `max_per_owner` of this owner, or
                none are taken now.
        """
        with self._changed:
            self._refuse_more(owner)
            self._forget(coming=1)
            job = Job(work, job_id or secrets.token_urlsafe(16), owner, about)
            self._jobs[job.id] = job
            self._turns.add(owner, job)
            self._renumber()
            if self._worker is None:
                self._worker = threading.Thread(target=self._work, name="jobs", daemon=True)
                self._worker.start()
            self._changed.notify_all()
            return job.id

    def refuse_more(self, owner: str) -> None:
        """Raise `QueueFull` where `submit` would, before work is made for it."""
        with self._changed:
            self._refuse_more(owner)

    def hold(self, why: str) -> bool:
        """Take no runs until `release`, and say `why`; False where there are runs, or it is held.

        Of two who ask at once, one gets True.
        """
        with self._changed:
            if self._held or self._running is not None or len(self._turns):
                return False
            self._held = why
            return True

    def release(self) -> None:
        """Take runs again."""
        with self._changed:
            self._held = ""

    def forget_states(self) -> None:
        """Drop what is kept of every run's steps; their clips stay."""
        with self._changed:
            for job in self._jobs.values():
                job.rewind.clear()

    def _refuse_more(self, owner: str) -> None:
        if self._held:
            raise QueueFull(self._held)
        own = len(self._turns.line(owner))
        if len(self._turns) >= self.max_waiting:
            raise QueueFull(
                f"The queue is full: {self.max_waiting} runs are waiting. Try again when one "
                "of them is done. Your timeline is unchanged."
            )
        if own >= self.max_per_owner:
            raise QueueFull(
                f"Your queue is full: {own} of your runs are waiting. Remove one, or try again "
                "when one of them is done. Your timeline is unchanged."
            )

    def renew(self, job_id: object, work: Work, *, owner: str, about: Any = None) -> None:
        """Put other work in the place of a run that waits; it keeps its id and its turn.

        Raises:
            HasBegun: it does not wait, or there is no such run of this owner.
        """
        with self._changed:
            job = self._own(job_id, owner)
            if job is None or job not in self._turns.line(owner):
                raise HasBegun(
                    "This run no longer waits, so it stays as it is. Generate queues your changes "
                    "as a run of their own."
                )
            job.renew(work, about)

    def move(self, job_id: object, place: int, *, owner: str) -> bool:
        """Give a waiting run another place among its owner's, from 0. False where it cannot."""
        with self._changed:
            job = self._own(job_id, owner)
            if job is None or not self._turns.move(owner, job, place):
                return False
            self._renumber()
            return True

    def remove(self, job_id: object, *, owner: str) -> bool:
        """Take a run off its owner's list; one that goes on is stopped and stays on it.

        False where there is no such run of this owner. What it has saved stays.
        """
        with self._changed:
            job = self._own(job_id, owner)
            if job is None:
                return False
            if self._stop(job) or job.snapshot.status.over:
                job.listed = False
            return True

    # ── Looking ──────────────────────────────────────────────────────────────────────────────

    def get(self, job_id: object) -> Snapshot | None:
        """The job as it is now, or None when it is unknown or forgotten."""
        job = self._jobs.get(job_id) if isinstance(job_id, str) else None
        return None if job is None else job.snapshot

    def runs_of(self, owner: str) -> tuple[Snapshot, ...]:
        """The runs of `owner`: those that are over, the one that goes on, those that wait.

        Asking keeps them from being stopped as unwatched.
        """
        with self._changed:
            waiting = self._turns.line(owner)
            begun = [
                job
                for job in self._jobs.values()
                if job.owner == owner and job.listed and job not in waiting
            ]
            begun.sort(key=lambda job: job.ended_at or float("inf"))
            for job in (*begun, *waiting):
                job.expected_at = time.monotonic()
            return tuple(job.snapshot for job in (*begun, *waiting))

    def look(self, job_id: str) -> None:
        """Note that somebody looks at the frames of a run; it makes previews meanwhile."""
        job = self._jobs.get(job_id)
        if job is not None:
            job.look()

    def show(self, job_id: object, view: View, *, owner: str) -> None:
        """What the previews of a run show from now on."""
        job = self._own(job_id, owner)
        if job is not None:
            job.view = view

    def rewind(self, job_id: object, *, owner: str) -> Rewind | None:
        """What a run looked like at its steps; None where there is no such run of this owner."""
        job = self._own(job_id, owner)
        return None if job is None else job.rewind

    def earlier(self, owner: str, shared: Callable[[Any], int]) -> list[Kept]:
        """The states that a run of `owner` has left, of the one that went furthest along the first
        steps that `shared` counts, of what was said about it. None, where row 0 is all there is."""
        with self._changed:
            own = [job for job in self._jobs.values() if job.owner == owner]
        found = (job.rewind.until(shared(job.snapshot.about)) for job in own)
        best = max(found, key=lambda states: states[-1].step if states else 0, default=[])
        return best if best and best[-1].step else []

    async def follow(self, job_id: str, interval: float = 0.1) -> AsyncIterator[Snapshot]:
        """Every change of a job, at most one per `interval` seconds, up to its end.

        Looking costs the run its previews, so they are made only while somebody follows.
        """
        seen = -1
        while (job := self._jobs.get(job_id)) is not None:
            job.look()
            snapshot = job.snapshot
            if snapshot.version != seen:
                seen = snapshot.version
                yield snapshot
            if snapshot.status.over:
                return
            await asyncio.sleep(interval)

    # ── Ending ───────────────────────────────────────────────────────────────────────────────

    def stop(self, job_id: object, *, owner: str = "") -> bool:
        """Ask a job to end; a running one does so after its current step.

        False where there is no such run of this owner.
        """
        with self._changed:
            job = self._own(job_id, owner)
            if job is None:
                return False
            self._stop(job)
            return True

    def _stop(self, job: Job) -> bool:
        """Ask a job to end; whether it waited, so that it is over already."""
        job.stop()
        if not self._turns.remove(job.owner, job):
            return False
        job.withdraw()
        self._renumber()
        return True

    def close(self) -> None:
        """Stop everything; the running job ends after its current step."""
        with self._changed:
            self._closed = True
            for job in tuple(self._turns.order()):
                self._stop(job)
            if self._running is not None:
                self._running.stopping.set()
            self._changed.notify_all()
            worker = self._worker
        if worker is not None:
            worker.join(timeout=8)

    # ── The worker ───────────────────────────────────────────────────────────────────────────

    def _work(self) -> None:
        _give_way()
        while True:
            with self._changed:
                self._running = None
                self._forget()
                while not self._turns:
                    if self._closed:
                        return
                    self._changed.wait()
                self._running = job = self._turns.take()
                self._renumber()
            job.run(self.unwatched_limit, self.run_limit)

    def _own(self, job_id: object, owner: str) -> Job | None:
        job = self._jobs.get(job_id) if isinstance(job_id, str) else None
        return job if job is not None and job.owner == owner else None

    def _renumber(self) -> None:
        busy = self._running is not None
        for place, job in enumerate(self._turns.order()):
            if job.snapshot.ahead != place + busy:
                job.update(ahead=place + busy)

    def _forget(self, coming: int = 0) -> None:
        now = time.monotonic()
        ended = [job for job in self._jobs.values() if job.ended_at is not None]
        ended.sort(key=lambda job: job.ended_at or 0.0)  # not as they were queued
        surplus = len(ended) - self.max_kept + coming
        for place, job in enumerate(ended):
            assert job.ended_at is not None
            if place < surplus or now - job.ended_at > self.max_age:
                del self._jobs[job.id]
        room = REWIND_BUDGET
        for job in reversed(ended):  # the newest may be looked at again
            room -= job.rewind.nbytes
            if room < 0:
                job.rewind.clear()


def _give_way() -> None:
    """Lower this thread's priority, and that of the threads torch starts from it (Linux).

    A run takes every core; the page's server and its browser must still get theirs at once.
    """
    if sys.platform == "linux":
        with contextlib.suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), 10)
