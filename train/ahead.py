"""The next batches are made while the accelerator is busy with this one."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

Place = TypeVar("Place")
Batch = TypeVar("Batch")


def ahead(
    make: Callable[[Place], Batch], places: Iterable[Place], threads: int
) -> Generator[Batch, None, None]:
    """`make` of each place, in their order, up to `threads` of them beforehand; 0 makes none so.

    Threads and not processes: torch and numpy let go of the interpreter where the work is. What
    `make` raises comes out at its place.
    """
    if threads == 0:
        yield from map(make, places)
        return
    waiting: deque[Future[Batch]] = deque()
    with ThreadPoolExecutor(threads, thread_name_prefix="batches") as pool:
        try:
            for place in places:
                waiting.append(pool.submit(make, place))
                if len(waiting) > threads:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:  # also where the reader stops half way
            pool.shutdown(cancel_futures=True)
