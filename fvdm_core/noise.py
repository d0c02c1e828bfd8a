"""Random numbers that belong to a (seed, row, frame), whatever the batch, window or clip length.

numpy's seeded generators give the same stream on every machine, so a recipe repeats anywhere.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

PRIORS = ("independent", "mixed", "progressive", "shuffled")
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
        shared_share, own_share = _shares(alpha)
        shared = draw(_SHARED, 0)
        drawn = [shared_share * shared + own_share * draw(_OWN, frame) for frame in frames]
    elif prior == "progressive":
        shared_share, own_share = _shares(alpha)
        chain = [draw(_OWN, 0)]
        for frame in range(1, max(frames) + 1):
            chain.append(shared_share * chain[-1] + own_share * draw(_OWN, frame))
        drawn = [chain[frame] for frame in frames]
    else:
        drawn = [draw(_OWN, frame) for frame in frames]
    return torch.from_numpy(np.stack(drawn).astype(np.float32, copy=False))


def _shares(alpha: float) -> tuple[float, float]:
    return (alpha**2 / (1 + alpha**2)) ** 0.5, (1 / (1 + alpha**2)) ** 0.5


def _shuffled_frame(seed: int, frame: int, window: int) -> int:
    block, place = divmod(frame, window)
    if block == 0:
        return frame
    order = np.random.default_rng([seed, 0, _SHUFFLE, block]).permutation(window)
    return int(order[place])
