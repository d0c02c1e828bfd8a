"""Trains a small network as one of the processes that `torchrun` started; see test_parallel."""

from __future__ import annotations

import sys
from pathlib import Path

import torch
from torch import Tensor, nn

from train import parallel
from train.config import OptimConfig
from train.loop import fit
from train.run import Run

BATCH = 8
OPTIM = OptimConfig(steps=12, batch_size=BATCH, lr=0.01, warmup=3, save_every=6, sample_every=1000)


def train(folder: Path) -> dict[str, Tensor]:
    """The averaged weights after 12 steps of `BATCH` points of a noisy function."""
    torch.manual_seed(0)
    module = nn.Sequential(nn.Linear(3, 8), nn.Tanh(), nn.Linear(8, 1))
    forward = parallel.averaging(module)
    own = parallel.share(BATCH)

    def loss_at(step: int, generator: torch.Generator) -> Tensor:
        x = torch.randn(BATCH, 3, generator=generator)
        noise = torch.randn(BATCH, 1, generator=generator)
        wanted = x.sum(1, keepdim=True) + 0.1 * noise
        return (forward(x[own]) - wanted[own]).square().mean(dim=1)

    run = Run(folder, writes=parallel.is_first())
    return fit(module, loss_at, OPTIM, run, "toy", 7, BATCH, "points").state_dict()


if __name__ == "__main__":
    parallel.start()
    weights = train(Path(sys.argv[1]))
    if parallel.is_first():
        torch.save(weights, Path(sys.argv[1]) / "weights.pt")
    parallel.stop()
