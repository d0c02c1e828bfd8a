"""A session's runs as its page lists them: which is shown, and what may be done to each."""

from __future__ import annotations

import asyncio
import json
import math
from collections.abc import AsyncIterator
from dataclasses import dataclass
from time import monotonic
from typing import Any

from ui.jobs import Snapshot, Status
from ui.orders import Order
from ui.registry import JobRegistry

MAX_CHOICES = 1024  # sessions whose choice is remembered
STEPS_EVERY = 0.25  # seconds
FINISHED = 5  # runs that are over and still listed; older ones are in the history


@dataclass(frozen=True)
class View:
    """The runs of a session and the one that the page shows: the person's choice, or the newest
    that goes on."""

    runs: tuple[Snapshot, ...] = ()
    shown: Snapshot | None = None

    @property
    def going(self) -> tuple[Snapshot, ...]:
        return tuple(run for run in self.runs if not run.status.over)

    @property
    def waiting(self) -> tuple[Snapshot, ...]:
        return tuple(run for run in self.runs if run.status is Status.QUEUED)


class Queue:
    """What each session looks at, on top of the registry that holds its runs."""

    def __init__(self, jobs: JobRegistry) -> None:
        self._jobs = jobs
        self._chosen: dict[str, tuple[str, bool]] = {}  # session → its choice, was it over then

    def choose(self, session: str, job: object) -> bool:
        """Show this run rather than the one that goes on; False where the session has no such run.

        A run that is over is shown until another is chosen or queued; one that is not, to its end.
        """
        for run in self._jobs.runs_of(session):
            if run.job == job:
                self._chosen[session] = (run.job, run.status.over)
                if len(self._chosen) > MAX_CHOICES:
                    self._chosen.pop(next(iter(self._chosen)), None)
                return True
        return False

    def follow_newest(self, session: str) -> None:
        """Show what goes on again."""
        self._chosen.pop(session, None)

    def view(self, session: str) -> View:
        """The session's runs now. Whoever asks looks at the shown one, which makes previews."""
        listed = self._jobs.runs_of(session)
        over = [run for run in listed if run.status.over]
        chosen, _ = self._chosen.get(session, (None, False))
        older = (run for run in over[:-FINISHED] if run.job == chosen)
        runs = (*older, *over[-FINISHED:], *(run for run in listed if not run.status.over))
        shown = self._shown(session, runs)
        if shown is not None:
            self._jobs.look(shown.job)
        return View(runs, shown)

    def _shown(self, session: str, runs: tuple[Snapshot, ...]) -> Snapshot | None:
        wanted, was_over = self._chosen.get(session, (None, False))
        for run in runs:
            if run.job == wanted and run.status.over == was_over:
                return run
        self.follow_newest(session)
        going = (run for run in runs if not run.status.over)
        return next(going, runs[-1] if runs else None)

    async def follow(self, session: str, interval: float = 0.1) -> AsyncIterator[View]:
        """The view whenever it changes, as long as a run of the session waits or goes on.

        A step that brings neither frames nor another status waits for `STEPS_EVERY`: the page
        takes its time over every view, and that is time of the machine that denoises.
        """
        seen: View | None = None
        seen_at = -math.inf
        while True:
            view, now = self.view(session), monotonic()
            ripe = now - seen_at >= STEPS_EVERY
            if _news(view, seen) or (ripe and _versions(view) != _versions(seen)):
                seen, seen_at = view, now
                yield view
            if not view.going:
                return
            await asyncio.sleep(interval)


def _versions(view: View | None) -> list[int]:
    return [run.version for run in view.runs] if view is not None else []


def _news(view: View, seen: View | None) -> bool:
    """Whether there is more to show than that runs went on by a step."""
    if seen is None or len(view.runs) != len(seen.runs):
        return True
    if (view.shown and view.shown.job) != (seen.shown and seen.shown.job):
        return True
    return any(
        (new.job, new.status, new.ahead, new.message)
        != (old.job, old.status, old.ahead, old.message)
        or new.preview is not old.preview
        for new, old in zip(view.runs, seen.runs, strict=True)
    )


def queue_value(view: View, followed: bool = False) -> dict[str, Any]:
    """The list for the page; `followed`: more values come by themselves."""
    return {
        "followed": followed,
        "going": bool(view.going),
        "full": sum(run.status.over for run in view.runs) >= FINISHED,  # older ones left the list
        "shown": view.shown.job if view.shown is not None else None,
        "runs": [_entry(run) for run in view.runs],
    }


def _entry(run: Snapshot) -> dict[str, Any]:
    """A run of the list. Its picture is one text: where a list within a list becomes shorter,
    gradio's differences take away the wrong parts of it."""
    order: Order = run.about
    return {
        "job": run.job,
        "title": order.title,
        "settings": order.settings,
        "details": order.details,
        "levels": json.dumps(order.picture, separators=(",", ":")),
        "asked": run.asked_at,
        "status": run.status.value,
        "step": run.step,
        "stopping": run.stopping,
        "steps": run.steps,
        "ahead": run.ahead,
        "message": run.message,
    }
