"""Rotary positions: attention that knows how far apart two tokens are (Su et al. 2021, RoFormer).

A head's channels are pairs that turn by an angle in proportion to the token's place, so a product
of query and key depends on the difference of their places alone. The pairs are shared out evenly
over the axes: frames, rows and columns.
"""

from __future__ import annotations

import torch
from torch import Tensor

BASE = 100.0  # the slowest pair turns so many times less than the quickest; axes here are short


def rotation(lengths: tuple[int, ...], head_dim: int, like: Tensor) -> Tensor:
    """Cosines and signed sines (2, L, head_dim) of tokens on a grid of `lengths`, the last axis
    moving first; of `like`'s device. Raises `ValueError` where a head has fewer pairs than axes.
    """
    pairs = head_dim // 2
    if pairs < len(lengths) or head_dim % 2:
        raise ValueError(
            f"heads of {head_dim} channels have no pair for each of {len(lengths)} axes"
        )
    places = torch.meshgrid(
        *(torch.arange(n, dtype=torch.float32, device=like.device) for n in lengths), indexing="ij"
    )
    share, left = divmod(pairs, len(lengths))
    angles = []
    for axis, place in enumerate(places):
        count = share + (axis < left)
        turns = BASE ** (-torch.arange(count, dtype=torch.float32, device=like.device) / count)
        angles.append(place.flatten()[:, None] * turns)
    cos, sin = (angle := torch.cat(angles, dim=1)).cos(), angle.sin()  # (L, pairs)
    return torch.stack([torch.cat([cos, cos], dim=1), torch.cat([-sin, sin], dim=1)])


def rotate(x: Tensor, by: Tensor) -> Tensor:
    """Queries or keys (…, L, d), turned by `rotation`'s (2, L, d). A pair is a channel of the first
    half with that of the second, which a roll by half the channels exchanges. (Two halves that
    are turned and joined again give gradients of NaN where torch 2.13 compiles them for a CPU.)"""
    cos, sin = by.to(x.dtype)
    return torch.addcmul(x * cos, x.roll(x.shape[-1] // 2, dims=-1), sin)
