"""The states of a run, kept so that every row can be looked at later, and gone on from."""

from __future__ import annotations

import copy
import threading
from typing import Any, Literal, Protocol

import numpy as np

View = Literal["clean", "noisy"]  # the predicted clean frames, or the state as it is
BUDGET = 64 * 2**20  # bytes of one run


class Kept(Protocol):
    """A state that can be used later; what `fvdm_core.pipeline.State.light` returns is one."""

    @property
    def step(self) -> int: ...
    @property
    def levels(self) -> Any: ...
    @property
    def nbytes(self) -> int: ...
    @property
    def preview(self) -> np.ndarray: ...
    @property
    def noisy(self) -> np.ndarray: ...


def picture(state: Any, view: View) -> np.ndarray:
    """The frames of a state, uint8 (F, H, W, 3)."""
    return state.noisy if view == "noisy" else state.preview


class Rewind:
    """What a run looked like at every step, or at every second, fourth … where there is no room."""

    def __init__(self, budget: int = BUDGET) -> None:
        self.budget = budget
        self._kept: dict[int, Kept] = {}  # by step
        self._nbytes = 0
        self._stride = 1
        self._lock = threading.Lock()

    @property
    def nbytes(self) -> int:
        return self._nbytes

    def add(self, state: Any) -> None:
        """Keep a state; one that cannot be kept small is left out."""
        light = getattr(state, "light", None)
        if light is None or state.step % self._stride:
            return
        kept = light()
        with self._lock:
            before = self._kept.get(kept.step)
            self._nbytes += kept.nbytes - (before.nbytes if before is not None else 0)
            self._kept[kept.step] = kept
            while self._nbytes > self.budget:
                self._stride *= 2
                few = {s: k for s, k in self._kept.items() if s % self._stride == 0}
                self._kept = few if len(self._kept) > 1 else {}
                self._nbytes = sum(state.nbytes for state in self._kept.values())

    def nearest(self, step: int) -> Kept | None:
        """A copy of the state: the pictures that it makes of itself are not kept with it."""
        with self._lock:
            if not self._kept:
                return None
            at = min(self._kept, key=lambda kept: (abs(kept - step), kept))
            return copy.copy(self._kept[at])

    def until(self, step: int) -> list[Kept]:
        """Copies of the states up to a step, in order."""
        with self._lock:
            return [copy.copy(self._kept[kept]) for kept in sorted(self._kept) if kept <= step]

    def clear(self) -> None:
        with self._lock:
            self._kept.clear()
            self._nbytes = 0
