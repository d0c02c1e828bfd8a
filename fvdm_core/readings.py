"""What else the output of a network may mean, and the time that it is told: for `checkup`."""

from __future__ import annotations

import copy
from collections.abc import Callable

import torch
from torch import Tensor

from .schedule import PREDICTED, SCHEDULES, NoiseSchedule
from .timeline import MAX_LEVEL

Telling = Callable[[Tensor], Tensor]  # levels -> t
Reading = Callable[[Tensor, Tensor, Tensor], Tensor]  # x, output, levels -> x_start


def tellings(schedule: NoiseSchedule) -> dict[str, Telling]:
    """What a network may want to be told of levels, under the words that say so.

    The empty words are what the schedule says itself.
    """
    told = schedule.timesteps
    last = float(told(torch.tensor(MAX_LEVEL)))
    made: dict[str, Telling] = {
        "": told,
        "told t / 1000": lambda levels: told(levels) / 1000,
        "told the time backwards": lambda levels: (last - told(levels)).to(told(levels).dtype),
        "told 1 − t / 1000": lambda levels: 1 - told(levels) / 1000,
    }
    for name in SCHEDULES:
        if "flow" not in (schedule.name, name) and name != schedule.name:
            made[f"told the time of the schedule {name!r}"] = _as_in(name, schedule)
    return made


def _as_in(name: str, schedule: NoiseSchedule) -> Telling:
    """The time at which another VP schedule has as much noise."""
    other = NoiseSchedule(name, MAX_LEVEL)
    noises = other.noise(torch.arange(MAX_LEVEL + 1))

    def told(levels: Tensor) -> Tensor:
        away = (noises.to(levels.device) - schedule.noise(levels)[..., None]).abs()
        return other.timesteps(away.argmin(-1))

    return told


def readings(schedule: NoiseSchedule) -> dict[str, Reading]:
    """What an output may mean, under the words that say so.

    The empty words are what the schedule says itself.
    """
    made: dict[str, Reading] = {"": schedule.pred_x_start}
    for kind in ("flow", "x0", "eps") if schedule.name == "flow" else ("eps", "x0", "v"):
        other = copy.copy(schedule)
        other.prediction_type = kind
        words = f"taken to predict {PREDICTED[kind]}"
        if kind != schedule.prediction_type:
            made[f"{words} ({kind!r})"] = other.pred_x_start
        if kind in ("flow", "v"):
            made[f"{words} with its sign turned (−{kind})"] = _turned(other)
    return made


def _turned(schedule: NoiseSchedule) -> Reading:
    return lambda x, output, levels: schedule.pred_x_start(x, -output, levels)
