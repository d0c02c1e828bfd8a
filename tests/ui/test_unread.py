"""Answers that nobody reads are dropped, those that somebody reads are not."""

from __future__ import annotations

from asyncio import Queue
from types import SimpleNamespace

from ui.unread import EVERY, PATIENCE, Unread


def test_what_nobody_reads_is_dropped_after_a_while_and_later_answers_are_kept() -> None:
    clock = [100.0]
    left, read = Queue(), Queue()
    messages = {"left": left, "read": read}
    unread = Unread(SimpleNamespace(pending_messages_per_session=messages), lambda: clock[0])
    for queue in (left, read):
        queue.put_nowait(object())
    unread.drop()
    clock[0] += PATIENCE - 1
    unread.drop()
    assert left.qsize() == read.qsize() == 1
    read.get_nowait()
    read.put_nowait(object())  # a new one, which has just begun to wait
    clock[0] += 1
    unread.drop()
    assert left.qsize() == 1  # looked at a moment ago
    clock[0] += EVERY
    unread.drop()
    assert (left.qsize(), read.qsize()) == (0, 1)
    left.put_nowait(object())
    clock[0] += EVERY
    unread.drop()
    assert left.qsize() == 1 and set(messages) == {"left", "read"}
