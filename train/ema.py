"""The exponential moving average of a module's parameters: what is sampled from and shipped."""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn


class Ema:
    """Keeps `module`, an averaged copy: after step k it is decay·itself + (1 − decay)·source, where
    decay is min(`decay`, (1 + k) / (10 + k)), so that the random start is soon forgotten."""

    def __init__(self, source: nn.Module, decay: float) -> None:
        self.decay = decay
        self.module = copy.deepcopy(source).eval().requires_grad_(False)

    @torch.no_grad()
    def update(self, source: nn.Module, step: int) -> None:
        decay = min(self.decay, (1 + step) / (10 + step))
        averaged: list[Tensor] = list(self.module.parameters())
        torch._foreach_lerp_(averaged, [p.detach() for p in source.parameters()], 1 - decay)
