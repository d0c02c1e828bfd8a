"""Which file is read next and how many clips it may give, where there are more than are wanted.

Each uppermost folder and each label has its turn, videos and pictures apart, and as many clips as
the others, as far as it has them: so what lies beyond `max_clips` is a part of every class, and not
the last classes whole.
"""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from .listing import File

LEAST = 10  # of its clips so far a group gives a tenth at a time, as a video is decoded for it anew


class Group(NamedTuple):
    """What gives as many clips as any other."""

    folder: str  # an uppermost one, "" for files beside them
    label: str
    pictures: bool
    gives: bool  # or its files lack the label that they should have


class Shares:
    """The files that may still give clips, of which `most` are wanted; `len` says how many."""

    def __init__(self, groups: Mapping[str, Group], most: int) -> None:
        self.left = most
        self._group = groups
        self._queue = OrderedDict((name, 0) for name in in_turn(groups))  # -> clips given
        self._files = Counter(group for group in groups.values() if group.gives)  # in the queue
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
            group = self._group[name]
            if not group.gives:
                return name, 0, 1
            each = -(-(self.left + self._shared) // len(self._files))
            share = each - self._given[group]
            if share > 0:
                return name, first, min(self.left, max(share, self._given[group] // LEAST))
            self._queue.move_to_end(name)  # as the others may leave something
        return None

    def took(self, file: File) -> None:
        """Note what a file gave; it waits for another turn where it may have more."""
        self.left -= file.clips
        group = self._group.get(file.file)
        if group is None or self._queue.pop(file.file, None) is None:  # it is gone since
            return
        self._given[group] += file.clips
        self._shared += file.clips
        if file.more:
            self._queue[file.file] = file.first + file.clips
            return
        if not group.gives:
            return
        self._files[group] -= 1
        if not self._files[group]:
            del self._files[group]
            self._shared -= self._given[group]


def groups_of(
    files: Sequence[str],
    label_of: Callable[[str], str],
    is_picture: Callable[[str], bool],
    labelled: bool,
) -> dict[str, Group]:
    """The group of each file. `labelled`: those without a label give nothing."""
    groups = {}
    for name in files:
        folder, label = name.split("/")[0] if "/" in name else "", label_of(name)
        groups[name] = Group(folder, label, is_picture(name), bool(label) or not labelled)
    return groups


def in_turn(groups: Mapping[str, Group]) -> list[str]:
    """The files in the order of reading: each group by turns."""
    turns = Counter[Group]()
    placed = []
    for name, group in groups.items():
        placed.append((turns[group], name))
        turns[group] += 1
    return [name for _, name in sorted(placed)]
