"""Whose run is next: everybody takes turns, and everybody's own runs go in the order they chose."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Generic, TypeVar

Item = TypeVar("Item")


class Turns(Generic[Item]):
    """Lines of waiting items, one line per owner, served in turn.

    The owner served last is served again only after all others who wait: one who queues ten runs
    delays another's single run by one run, not by ten. No lock is taken here.
    """

    def __init__(self) -> None:
        self._lines: dict[str, list[Item]] = {}  # in the order of their turns; none is empty
        self._served: str | None = None

    def __len__(self) -> int:
        return sum(map(len, self._lines.values()))

    def line(self, owner: str) -> tuple[Item, ...]:
        """What `owner` has waiting, the first to be served first."""
        return tuple(self._lines.get(owner, ()))

    def add(self, owner: str, item: Item) -> None:
        self._lines.setdefault(owner, []).append(item)

    def take(self) -> Item:
        """The item whose turn it is, which then no longer waits.

        Raises:
            IndexError: nothing waits.
        """
        if self._served in self._lines:
            self._lines[self._served] = self._lines.pop(self._served)  # to the end
        owner = next(iter(self._lines), None)
        if owner is None:
            raise IndexError("nothing waits")
        self._served = owner
        item = self._lines[owner].pop(0)
        if not self._lines[owner]:
            del self._lines[owner]
        return item

    def remove(self, owner: str, item: Item) -> bool:
        """Take `item` out of its line; False when it does not wait there."""
        line = self._lines.get(owner, [])
        if item not in line:
            return False
        line.remove(item)
        if not line:
            del self._lines[owner]
        return True

    def move(self, owner: str, item: Item, place: int) -> bool:
        """Put `item` at `place` of its line, counted from 0; False when it does not wait there."""
        line = self._lines.get(owner, [])
        if item not in line:
            return False
        line.remove(item)
        line.insert(max(0, place), item)
        return True

    def order(self) -> Iterator[Item]:
        """Everything that waits, as it would be served if nothing else came."""
        ahead: Turns[Item] = Turns()
        ahead._lines = {owner: list(line) for owner, line in self._lines.items()}
        ahead._served = self._served
        while ahead._lines:
            yield ahead.take()
