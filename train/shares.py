"""Which file is read next and how many clips it may give, where there are more than are wanted.

Each uppermost folder and each label has its turn, and as many clips as the others, as far as it has
them: so what lies beyond `max_clips` is a part of every class, and not the last classes whole.
"""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Callable, Sequence

from .listing import File

Group = tuple[str, str]  # an uppermost folder and a label


class Shares:
    """The files that may still give clips, of which `most` are wanted; `len` says how many."""

    def __init__(self, files: Sequence[str], label_of: Callable[[str], str], most: int) -> None:
        self.left = most
        self._label_of = label_of
        self._queue = OrderedDict((name, 0) for name in in_turn(files, label_of))  # -> clips given
        self._files = Counter(self._group(name) for name in files)  # in the queue
        self._given = Counter[Group]()
        self._shared = 0  # clips that those have given whose files are in the queue

    def __len__(self) -> int:
        return len(self._queue)

    @property
    def unread(self) -> int:
        return sum(not given for given in self._queue.values())

    def next(self) -> tuple[str, int, int] | None:
        """A file, how many clips it has given, and how many more it may; None at the end."""
        while self._queue and self.left > 0:
            name, first = next(iter(self._queue.items()))
            each = -(-(self.left + self._shared) // len(self._files))
            share = min(self.left, each - self._given[self._group(name)])
            if share > 0:
                return name, first, share
            self._queue.move_to_end(name)  # as the others may leave something
        return None

    def took(self, file: File) -> None:
        """Note what a file gave; it waits for another turn where it may have more."""
        group = self._group(file.file)
        self.left -= file.clips
        self._given[group] += file.clips
        if group in self._files:
            self._shared += file.clips
        if self._queue.pop(file.file, None) is None:  # it was read before, and is gone since
            return
        if file.more:
            self._queue[file.file] = file.first + file.clips
            return
        self._files[group] -= 1
        if not self._files[group]:
            del self._files[group]
            self._shared -= self._given[group]

    def _group(self, name: str) -> Group:
        return group_of(name, self._label_of)


def in_turn(files: Sequence[str], label_of: Callable[[str], str]) -> list[str]:
    """The files in the order of reading: each uppermost folder and each label by turns."""
    turns = Counter[Group]()
    placed = []
    for name in files:
        group = group_of(name, label_of)
        placed.append((turns[group], name))
        turns[group] += 1
    return [name for _, name in sorted(placed)]


def group_of(name: str, label_of: Callable[[str], str]) -> Group:
    return name.split("/")[0] if "/" in name else "", label_of(name)
