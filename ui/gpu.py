"""Runs are walked here or, on Hugging Face ZeroGPU, in a process that is lent a GPU meanwhile.

ZeroGPU forks a process for a generator decorated with `spaces.GPU`; what the generator is given and
yields is pickled between the two. A `State` becomes numpy on that way.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import gradio as gr
import numpy as np

from fvdm_core.options import RunOptions
from fvdm_core.timeline import Timeline
from ui.jobs import reason

try:  # it has to come before anything that starts CUDA; app.py imports this module first
    import spaces
except ImportError:
    spaces = None

LENT = spaces is not None and os.environ.get("SPACES_ZERO_GPU", "").lower() in ("1", "t", "true")
START_SECONDS = 15.0  # to move the weights, to warm up, and to decode the clip
SECONDS_PER_CALL = 0.25  # of the model, where nothing was learned yet
MARGIN = 1.5  # a run that takes longer than it asked for is ended


def seconds_wanted(
    timeline: Timeline,
    keyframes: dict[int, np.ndarray],
    options: RunOptions,
    seconds_per_call: float | None,
) -> int:
    """For how long a run asks for a GPU: ZeroGPU calls this with the arguments of the walk."""
    calls = timeline.model_calls * (seconds_per_call or SECONDS_PER_CALL)
    return math.ceil(START_SECONDS + MARGIN * calls)


class Walker:
    """Walks timelines with the pipeline that `pipeline()` returns in the process that walks."""

    def __init__(self, pipeline: Callable[[], Any]) -> None:
        self.pipeline = pipeline
        self._walk = self._steps
        if spaces is not None:
            self._walk = spaces.GPU(duration=seconds_wanted)(self._steps)

    def walk(
        self,
        timeline: Timeline,
        keyframes: dict[int, np.ndarray],
        options: RunOptions,
        seconds_per_call: float | None,
        earlier: Sequence[Any] = (),
    ) -> Iterator[Any]:
        """The states of a run; closing it ends the run after its current step. It goes on from
        one of the `earlier` runs' states where it can; none of them goes to another process.

        Raises:
            ValueError: what ZeroGPU, or the process that it lent a GPU, has to say.
        """
        if not LENT:
            yield from self.pipeline().stream(timeline, keyframes, options, reuse=earlier)
            return
        try:
            for state in self._walk(timeline, keyframes, options, seconds_per_call):
                yield state.arrived(self.pipeline().decode)
        except gr.Error as error:
            raise ValueError(str(error.message)) from None

    def _steps(
        self,
        timeline: Timeline,
        keyframes: dict[int, np.ndarray],
        options: RunOptions,
        seconds_per_call: float | None,
    ) -> Iterator[Any]:
        try:
            yield from self.pipeline().to().stream(timeline, keyframes, options)
        except Exception as error:  # only a gr.Error keeps its text on the way back
            raise gr.Error(reason(error), print_exception=False) from error
