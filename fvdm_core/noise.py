"""Random numbers that belong to a (seed, row, frame), whatever the batch, window or clip length.

numpy's seeded generators give the same stream on every machine, so a recipe repeats anywhere.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor

from .timeline_checks import PRIORS

TRAINED_PRIORS = PRIORS[:3]  # a model may be trained with; shuffled noise is only for sampling
Noise = TypeVar("Noise", np.ndarray, Tensor)
_SHARED, _OWN, _SHUFFLE = 0, 1, 2  # the kind of a stream: part of its key


def frame_noise(
    seed: int,
    frames: Sequence[int],
    row: int,
    shape: Sequence[int],
    *,
    prior: str = "independent",
    alpha: float = 1.0,
    window: int = 16,
) -> Tensor:
    """Unit Gaussian noise (len(frames), *shape), float32, of the given frames of one row.

    Row 0 is the start; row m + 1 is drawn in step m. Priors: `mixed` shares a part of the noise
    between all frames (PYoCo, Ge et al. 2023, §4.1), `progressive` chains each frame to the one
    before it (the same, eq. 5), `shuffled` repeats the first `window` frames in shuffled order
    (FreeNoise, Qiu et al. 2023). Raises `ValueError` for an unknown prior.
    """
    if prior not in PRIORS:
        raise ValueError(f"noise prior {prior!r} is unknown; choose one of {', '.join(PRIORS)}")
    shape = tuple(shape)

    def draw(kind: int, index: int) -> np.ndarray:
        generator = np.random.default_rng([seed, row, kind, index])
        return generator.standard_normal(shape, dtype=np.float32)

    if prior == "shuffled":
        drawn = [draw(_OWN, _shuffled_frame(seed, frame, window)) for frame in frames]
    elif prior == "mixed":
        drawn = _mixed([draw(_OWN, frame) for frame in frames], draw(_SHARED, 0), alpha)
    elif prior == "progressive":
        chain = _chained([draw(_OWN, frame) for frame in range(max(frames) + 1)], alpha)
        drawn = [chain[frame] for frame in frames]
    else:
        drawn = [draw(_OWN, frame) for frame in frames]
    return torch.from_numpy(np.stack(drawn).astype(np.float32, copy=False))


def training_noise(
    shape: Sequence[int],
    prior: str = "independent",
    alpha: float = 1.0,
    *,
    generator: torch.Generator | None = None,
) -> Tensor:
    """Unit Gaussian noise (B, F, …) of a training step, its frames related as in `frame_noise`.

    Raises `ValueError` for a prior that is not for training.
    """
    if prior not in TRAINED_PRIORS:
        raise ValueError(f"noise prior {prior!r}: choose one of {', '.join(TRAINED_PRIORS)}")
    noise = torch.randn(tuple(shape), generator=generator)
    if prior == "mixed":
        shared = torch.randn((shape[0], *shape[2:]), generator=generator)
        return torch.stack(_mixed(noise.unbind(1), shared, alpha), dim=1)
    if prior == "progressive":
        return torch.stack(_chained(noise.unbind(1), alpha), dim=1)
    return noise


def _mixed(own: Sequence[Noise], shared: Noise, alpha: float) -> list[Noise]:
    shared_share, own_share = _shares(alpha)
    return [shared_share * shared + own_share * noise for noise in own]


def _chained(own: Sequence[Noise], alpha: float) -> list[Noise]:
    before_share, own_share = _shares(alpha)
    chain = [own[0]]
    for noise in own[1:]:
        chain.append(before_share * chain[-1] + own_share * noise)
    return chain


def _shares(alpha: float) -> tuple[float, float]:
    return (alpha**2 / (1 + alpha**2)) ** 0.5, (1 / (1 + alpha**2)) ** 0.5


def _shuffled_frame(seed: int, frame: int, window: int) -> int:
    block, place = divmod(frame, window)
    if block == 0:
        return frame
    order = np.random.default_rng([seed, 0, _SHUFFLE, block]).permutation(window)
    return int(order[place])
