"""What the network is shown of frames that stand still: as they are, or noised like the rest."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from .noise import frame_noise
from .sampler import Show
from .schedule import NoiseSchedule
from .solvers import renoise

_ROWS = 1 << 20  # rows of noise of their own, above those of any timeline


def replacement(timeline: Any, schedule: NoiseSchedule, seeds: Sequence[int]) -> Show:
    """Frames that stand still are shown with noise up to the level of those that come down.

    This is the replacement method (Song et al. 2021, §5; Ho et al. 2022, §3.1; RePaint, Lugmayr et
    al. 2022, eq. 8a): a network that knows one timestep for the whole clip then sees what it was
    trained on. The noise is fresh in every step and belongs to (seed, row, frame). What the frames
    are does not change. Frames that move keep their own levels.
    """

    def show(x: Tensor, levels: Tensor, frames: Sequence[int], step: int) -> tuple[Tensor, Tensor]:
        now, to = (timeline.levels[row][list(frames)] for row in (step, step + 1))  # (W,)
        level = int(now[to < now].max())
        still = np.flatnonzero((to == now) & (now < level))
        if not still.size:
            return x, levels
        noise = torch.stack(
            [
                frame_noise(
                    seed,
                    [frames[place] for place in still.tolist()],
                    _ROWS + step,
                    x.shape[2:],
                    prior=timeline.prior,
                    alpha=timeline.prior_alpha,
                    window=timeline.window_size,
                )
                for seed in seeds
            ]
        ).to(x)  # (B, S, C, H, W)
        places = torch.as_tensor(still, device=x.device)
        shown, told = x.clone(), levels.clone()
        told[places] = level
        shown[:, places] = renoise(
            x[:, places], schedule.pair(levels[places]), schedule.pair(told[places]), noise
        )
        return shown, told

    return show
