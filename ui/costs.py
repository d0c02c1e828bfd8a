"""Learns how long a model call takes on this machine, so that the page can say it beforehand."""

from __future__ import annotations

import json
import math
import os
import statistics
import threading
from pathlib import Path

KEPT_RUNS = 9  # of each kind; their median holds when some ran while the machine was busy
MAX_KINDS = 256


class Costs:
    """Seconds per model call by kind of call, kept in a small file between runs.

    The kind names what the time depends on: model, frames in the window, guidance of both kinds.
    """

    def __init__(self, file: Path) -> None:
        self._file = file
        self._lock = threading.Lock()
        self._seconds: dict[str, list[float]] = {}  # of the last runs, newest last
        try:
            kept = json.loads(file.read_text())
            for kind, runs in kept.items():
                seconds = [float(run) for run in runs]
                if seconds and all(math.isfinite(run) and run > 0 for run in seconds):
                    self._seconds[str(kind)] = seconds[-KEPT_RUNS:]
        except (OSError, ValueError, TypeError, AttributeError):
            pass  # none yet, or damaged: it is only a guess, and is learned anew

    def seconds_per_call(self, kind: str) -> float | None:
        """The median of the last runs, or None before the first."""
        runs = self._seconds.get(kind)
        return statistics.median(runs) if runs else None

    def learn(self, kind: str, seconds: float) -> None:
        with self._lock:
            before = self._seconds.pop(kind, [])
            self._seconds[kind] = [*before, seconds][-KEPT_RUNS:]
            while len(self._seconds) > MAX_KINDS:
                self._seconds.pop(next(iter(self._seconds)))
            draft = self._file.with_name(self._file.name + ".new")
            try:
                draft.write_text(json.dumps(self._seconds))
                os.replace(draft, self._file)
            except OSError:
                pass  # a read-only folder costs us the guess, nothing else


def in_words(seconds: float) -> str:
    """A duration as one would say it."""
    if seconds < 1:
        return "less than a second"
    if seconds < 90:
        return f"about {round(seconds)} s"
    if seconds < 5400:
        return f"about {round(seconds / 60)} min"
    return f"about {seconds / 3600:.1f} h"
