"""What two processes that `torchrun` started do one after the other; see test_parallel.

    two_processes.py FOLDER JSON

The JSON is a list of arguments of `train` here, and last two of those of `python -m train`. FOLDER
gets what each makes of `matrices`. Starting the processes takes longer than all of it.
"""

from __future__ import annotations

import dataclasses
import json
import sys
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.distributed.algorithms.ddp_comm_hooks.default_hooks import allreduce_hook
from torch.distributed.tensor import DTensor

from train import parallel
from train.__main__ import main
from train.__main__ import train as train_program
from train.config import OptimConfig
from train.loop import fit
from train.muon import orthogonal
from train.options import configure, parse
from train.run import Run, Stopped

BATCH = 8
OPTIM = OptimConfig(steps=12, batch_size=BATCH, lr=0.01, warmup=3, save_every=6, sample_every=1000)


def train(folder: Path, pieces: int = 1, parts: bool = False, end: int = 99) -> dict[str, Tensor]:
    """The averaged weights after 12 steps of `BATCH` points of a noisy function, and how often
    gradients were exchanged; with `parts` each process holds its part of the weights.

    At step `end` the last process is asked to stop, and all raise `Stopped`."""
    exchanged = []

    def exchange(group, bucket):
        exchanged.append(bucket)
        return allreduce_hook(group, bucket)

    torch.manual_seed(0)
    module = nn.Sequential(nn.Linear(3, 8), nn.Tanh(), nn.Linear(8, 1))
    forward = module if parts else parallel.averaging(module)
    if forward is not module:
        forward.register_comm_hook(None, exchange)

    def batch_at(step: int, generator: torch.Generator, own: slice) -> tuple[Tensor, Tensor]:
        run.stop_requested = step + 1 >= end and parallel.rank() == parallel.processes() - 1
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
        *(module, batch_at, losses_of, optim, run, "toy", 7, BATCH, "points"),
        forward=forward,
        units=("0", "2") if parts else (),
    )
    if parts and parallel.processes() > 1:
        assert all(isinstance(weight, DTensor) for weight in module.parameters())
        assert not any(isinstance(weight, DTensor) for weight in averaged.parameters())
    return {**averaged.state_dict(), "exchanged": torch.tensor(len(exchanged))}


def matrices() -> list[Tensor]:
    """More than one for each process, and of several shapes."""
    generator = torch.Generator().manual_seed(0)
    return [torch.randn(shape, generator=generator) for shape in ((4, 12), (9, 3), (5, 5))]


def train_together(name: str, *how: Any) -> None:
    """`train` by all processes; the first saves the weights, or each what it says at a stop."""
    folder = Path(name)
    own = folder / str(parallel.rank())  # as on machines that share nothing
    own.mkdir(parents=True)
    try:
        parallel.check_same(own)
    except ValueError as error:
        assert "1 of 2 processes see" in str(error)
    else:
        raise AssertionError("folders of their own were taken for one")
    own.rmdir()
    parallel.check_same(folder)
    try:
        weights = train(folder, *how)
        if parallel.is_first():
            torch.save(weights, folder / "weights.pt")
    except Stopped as stopped:
        (folder / f"stopped-{parallel.rank()}").write_text(str(stopped))


def end_by_the_first(path: Path) -> None:
    """What the first refuses ends the others at once; a stop is no failure."""
    for error, code in ((ValueError("no"), 1), (Stopped("enough"), 0)):
        try:
            parallel.first_then_others(lambda error=error: _raise(error))
        except (ValueError, Stopped) as raised:
            assert parallel.is_first() and raised is error
        except parallel.Ended as ended:
            assert not parallel.is_first() and ended.code == code
        else:
            raise AssertionError("nothing was raised")
    path.touch()


def _raise(error: Exception) -> None:
    raise error


if __name__ == "__main__":
    parallel.start()  # once: a second start would meet the keys of the first in their store
    *trainings, whole, in_parts = json.loads(sys.argv[2])
    torch.save(orthogonal(matrices()), Path(sys.argv[1]) / f"orthogonal-{parallel.rank()}.pt")
    end_by_the_first(Path(sys.argv[1]) / f"ended-{parallel.rank()}")
    for arguments in trainings:
        train_together(*arguments)
    options = parse(whole)
    train_program(configure(options), options.out, options.out / "model")
    assert main(in_parts) == 0  # which parts the processes at its end
