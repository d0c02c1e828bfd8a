"""Step caching: where little has changed since the step before, most of the network is not run."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

MOST_BYTES = 512 << 20  # kept of all windows; those for which there is no room are never served
Show = Callable[..., tuple[Tensor, Tensor]]  # the sampler's: (x, levels, frames, step)


@dataclass
class _Kept:
    step: int  # in which it was last used
    first: Tensor  # what the first block added when all were run
    rest: Tensor  # what all others added to that


class StepCache:
    """What the later blocks added at the last step that ran them, and when it may serve again.

    The first block is always run. How far what it adds has moved since the last whole step, as a
    share of its size, tells how far the rest would move (the observation behind TeaCache, Liu et
    al. 2024, taken at the first block). Up to `threshold` the rest is taken from then. Windows of
    frames are told apart by `turn_to`; one that has no turn in a step is forgotten.
    """

    def __init__(self, threshold: float) -> None:
        self.threshold = threshold
        self.calls = 0
        self.reused = 0
        self._kept: dict[tuple[int, ...], _Kept] = {}
        self._window: tuple[int, ...] = ()
        self._step = 0

    def turn_to(self, window: Sequence[int], step: int) -> None:
        """Say which frames the next call is of, and in which step."""
        self._window, self._step = tuple(window), step
        self._kept = {w: kept for w, kept in self._kept.items() if kept.step >= step - 1}

    def watching(self, show: Show | None) -> Show:
        """`show`, or what shows all as it is, and before that a turn to the frames of the call."""

        def turn_and_show(
            x: Tensor, levels: Tensor, frames: Sequence[int], step: int
        ) -> tuple[Tensor, Tensor]:
            self.turn_to(frames, step)
            return (x, levels) if show is None else show(x, levels, frames, step)

        return turn_and_show

    def __call__(self, before: Tensor, after: Tensor, rest: Callable[[Tensor], Tensor]) -> Tensor:
        """`rest(after)`, or an estimate of it; `before` and `after` are around the first block."""
        self.calls += 1
        first = after - before
        kept = self._kept.get(self._window)
        if kept is not None and self._close(first, kept.first):
            self.reused += 1
            kept.step = self._step
            return after + kept.rest
        self._kept.pop(self._window, None)
        out = rest(after)
        held = sum(each.first.nbytes + each.rest.nbytes for each in self._kept.values())
        if held + first.nbytes + out.nbytes <= MOST_BYTES:
            self._kept[self._window] = _Kept(self._step, first, out - after)
        return out

    def _close(self, first: Tensor, last: Tensor) -> bool:
        if last.shape != first.shape:
            return False
        change = torch.linalg.vector_norm((first - last).float())
        size = torch.linalg.vector_norm(last.float())
        return bool(change <= self.threshold * size)
