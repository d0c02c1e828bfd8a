"""What a run begins with: noise, on the latents of the pictures where there are some."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor

from .codec import Codec
from .noise import frame_noise
from .pictures import Picture
from .schedule import NoiseSchedule
from .timeline import Timeline


def first_row(
    timeline: Timeline,
    pictures: Mapping[int, Picture],
    known: Mapping[int, int],
    codec: Codec,
    schedule: NoiseSchedule,
    size: tuple[int, int],
    seed: int,
) -> Tensor:
    """Row 0 of every frame, (1, F, C, h, w) on the CPU.

    pictures, known: as `Codec.encode_columns` takes them. size: (height, width) of the frames.
    """
    noise = frame_noise(
        seed,
        range(timeline.frames),
        0,
        (codec.channels, *codec.latent_size(size)),
        prior=timeline.prior,
        alpha=timeline.prior_alpha,
        window=timeline.window_size,
    )
    x_start = torch.zeros_like(noise)
    for frame, latent in codec.encode_columns(pictures, known).items():
        x_start[frame] = latent
    levels = torch.from_numpy(np.array(timeline.levels[0]))
    return schedule.q_sample(x_start, levels, noise)[None]
