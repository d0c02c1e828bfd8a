"""Trains a small network as one of the processes that `torchrun` started; see test_parallel."""

from __future__ import annotations

import dataclasses
import sys
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.distributed.algorithms.ddp_comm_hooks.default_hooks import allreduce_hook

from train import parallel
from train.config import OptimConfig
from train.loop import fit
from train.run import Run

BATCH = 8
OPTIM = OptimConfig(steps=12, batch_size=BATCH, lr=0.01, warmup=3, save_every=6, sample_every=1000)


def train(folder: Path, pieces: int = 1) -> dict[str, Tensor]:
    """The averaged weights after 12 steps of `BATCH` points of a noisy function, and how often
    gradients were exchanged."""
    exchanged = []

    def exchange(group, bucket):
        exchanged.append(bucket)
        return allreduce_hook(group, bucket)

    torch.manual_seed(0)
    module = nn.Sequential(nn.Linear(3, 8), nn.Tanh(), nn.Linear(8, 1))
    forward = parallel.averaging(module)
    if forward is not module:
        forward.register_comm_hook(None, exchange)

    def batch_at(step: int, generator: torch.Generator, own: slice) -> tuple[Tensor, Tensor]:
        x = torch.randn(BATCH, 3, generator=generator)
        noise = torch.randn(BATCH, 1, generator=generator)
        wanted = x.sum(1, keepdim=True) + 0.1 * noise
        return x[own], wanted[own]

    def losses_of(batch: tuple[Tensor, Tensor]) -> Tensor:
        x, wanted = batch
        return (forward(x) - wanted).square().mean(dim=1)

    run = Run(folder, writes=parallel.is_first())
    optim = dataclasses.replace(OPTIM, accumulate=pieces)
    averaged = fit(
        *(module, batch_at, losses_of, optim, run, "toy", 7, BATCH, "points"), forward=forward
    )
    return {**averaged.state_dict(), "exchanged": torch.tensor(len(exchanged))}


if __name__ == "__main__":
    parallel.start()
    weights = train(Path(sys.argv[1]), int(sys.argv[2]))
    if parallel.is_first():
        torch.save(weights, Path(sys.argv[1]) / "weights.pt")
    parallel.stop()
