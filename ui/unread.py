"""Answers that nobody collects: gradio keeps them for ever, of up to 2000 visits."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

PATIENCE = 60.0  # seconds; a page that is there reads each answer at once
EVERY = 10.0


class Unread:
    """Empties the queues of visits that do not read: `drop` is called whenever something comes in.

    One answer holds a painting of up to a million cells, 35 MB, and is asked for in 156 bytes.
    """

    def __init__(self, queue: Any, now: Callable[[], float] = time.monotonic) -> None:
        self._messages = queue.pending_messages_per_session
        self._now = now
        self._next = 0.0
        self._since: dict[str, tuple[Any, float]] = {}  # the oldest answer, first seen at

    def drop(self) -> None:
        """Drop what has been waiting for `PATIENCE`; it is looked at once in `EVERY` seconds."""
        now = self._now()
        if now < self._next:
            return
        self._next = now + EVERY
        waiting: dict[str, tuple[Any, float]] = {}
        for visit, messages in self._messages.items():
            if messages.empty():
                continue
            oldest = messages._queue[0]
            known, since = self._since.get(visit, (None, now))
            since = since if known is oldest else now
            if now - since < PATIENCE:
                waiting[visit] = oldest, since
                continue
            while not messages.empty():  # the queue itself stays: its events may still go on
                messages.get_nowait()
        self._since = waiting
