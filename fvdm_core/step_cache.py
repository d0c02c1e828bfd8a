"""Step caching: where little has changed since the step before, most of the network is not run."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor


class StepCache:
    """What the later blocks added at the last step that ran them, and when it may serve again.

    The first block is always run. How far what it adds has moved since the last whole step, as a
    share of its size, tells how far the rest would move (the observation behind TeaCache, Liu et
    al. 2024, taken at the first block). Up to `threshold` the rest is taken from then.
    """

    def __init__(self, threshold: float) -> None:
        self.threshold = threshold
        self.calls = 0
        self.reused = 0
        self._first: Tensor | None = None  # what the first block added then
        self._rest: Tensor | None = None  # what all others added to that

    def __call__(self, before: Tensor, after: Tensor, rest: Callable[[Tensor], Tensor]) -> Tensor:
        """`rest(after)`, or an estimate of it; `before` and `after` are around the first block."""
        self.calls += 1
        first = after - before
        if self._rest is not None and self._close(first):
            self.reused += 1
            return after + self._rest
        out = rest(after)
        self._first, self._rest = first, out - after
        return out

    def _close(self, first: Tensor) -> bool:
        last = self._first
        if last is None or last.shape != first.shape:
            return False
        change = torch.linalg.vector_norm((first - last).float())
        size = torch.linalg.vector_norm(last.float())
        return bool(change <= self.threshold * size)
