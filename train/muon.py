"""Muon (Jordan et al. 2024): each update of a matrix made orthogonal."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, distributed

from fvdm_core.device import fast_bf16

from . import parallel

COEFFICIENTS = (3.4445, -4.7750, 2.0315)  # of the quintic that takes singular values towards 1
STEPS = 5
EPS = 1e-7


class Muon(torch.optim.Muon):
    """torch's Muon at its own settings, with two savings: products are in bf16 only where that is
    fast (elsewhere torch's took half of a training step), and every process makes its share of the
    updates. The learning rate is AdamW's (Liu et al. 2025, "match_rms_adamw").
    """

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # type: ignore[override]
        """Move every matrix by its momentum, made orthogonal. All processes have to ask."""
        loss = None if closure is None else closure()
        for group in self.param_groups:
            matrices = [matrix for matrix in group["params"] if matrix.grad is not None]
            updates = [self._momentum(matrix, group) for matrix in matrices]
            for matrix, update in zip(matrices, orthogonal(updates), strict=True):
                scale = 0.2 * max(matrix.shape) ** 0.5  # the size of AdamW's (Liu et al. 2025)
                matrix.mul_(1 - group["lr"] * group["weight_decay"])
                matrix.add_(update, alpha=-group["lr"] * scale)
        return loss

    def _momentum(self, matrix: Tensor, group: dict) -> Tensor:
        """The gradient's running mean, looked ahead (Nesterov)."""
        assert matrix.grad is not None
        state = self.state[matrix]
        if "momentum_buffer" not in state:
            state["momentum_buffer"] = torch.zeros_like(matrix.grad)
        buffer = state["momentum_buffer"].lerp_(matrix.grad, 1 - group["momentum"])
        return matrix.grad.lerp(buffer, group["momentum"])


def orthogonal(updates: Sequence[Tensor]) -> list[Tensor]:
    """`orthogonalized` of every matrix; processes that hold the same ones divide the work."""
    if parallel.processes() == 1 or not updates:
        return [orthogonalized(update) for update in updates]
    # zeros from all but the one that makes it: the sum is that matrix, bit by bit
    whole = torch.zeros(sum(u.numel() for u in updates), device=updates[0].device)
    results = [
        part.view(update.shape)
        for part, update in zip(whole.split([u.numel() for u in updates]), updates, strict=True)
    ]
    by_size = sorted(range(len(updates)), key=lambda number: updates[number].numel())
    for number in by_size[parallel.rank() :: parallel.processes()]:
        results[number].copy_(orthogonalized(updates[number]))
    distributed.all_reduce(whole)
    return results


def orthogonalized(update: Tensor) -> Tensor:
    """U V^T for U S V^T, nearly: five steps of Newton and Schulz leave S between 0.7 and 1.2."""
    a, b, c = COEFFICIENTS
    x = update.to(torch.bfloat16 if fast_bf16(update.device) else torch.float32)
    tall = x.shape[0] > x.shape[1]
    x = x.mT if tall else x
    x = x / x.norm().clamp(min=EPS)
    for _ in range(STEPS):
        gram = x @ x.mT
        x = torch.addmm(x, torch.addmm(gram, gram, gram, beta=b, alpha=c), x, beta=a)
    return x.mT if tall else x
