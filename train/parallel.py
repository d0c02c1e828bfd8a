"""Several processes as one trainer, started by `torchrun`; alone, all of this does nothing.

Every process draws the whole batch from the same seeds and computes its own share of it, so the
same global batch gives the same update on any number of processes.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import TypeVar

import torch
from torch import distributed, nn

from fvdm_core.files import place

from .run import Stopped

Result = TypeVar("Result")
PATIENCE = timedelta(days=2)  # the others wait while the first renders and encodes


def start() -> None:
    """Join the other processes of `torchrun`, where there are any."""
    if int(os.environ.get("WORLD_SIZE", "1")) > 1 and not distributed.is_initialized():
        if torch.cuda.is_available():
            torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
        backend = "nccl" if torch.cuda.is_available() else "gloo"
        distributed.init_process_group(backend, timeout=PATIENCE)


def stop() -> None:
    if distributed.is_initialized():
        distributed.destroy_process_group()


def processes() -> int:
    return distributed.get_world_size() if distributed.is_initialized() else 1


def rank() -> int:
    """Which of the processes this is, from 0."""
    return distributed.get_rank() if distributed.is_initialized() else 0


def is_first() -> bool:
    """Whether this process is the one that logs and writes."""
    return rank() == 0


def share(batch_size: int, piece: int = 0, pieces: int = 1) -> slice:
    """Which items of a global batch are this process's, in one of the pieces of a step.

    Raises `ValueError` where the batch cannot be divided evenly.
    """
    parts = processes() * pieces
    if batch_size % parts:
        raise ValueError(
            f"a batch of {batch_size} cannot be shared evenly by {processes()} processes"
            + (f" in {pieces} pieces" if pieces > 1 else "")
        )
    return slice(piece * processes() + rank(), None, parts)


def averaging(module: nn.Module) -> nn.Module:
    """The same module with gradients averaged over the processes (DistributedDataParallel)."""
    if processes() == 1:
        return module
    return nn.parallel.DistributedDataParallel(module, gradient_as_bucket_view=True)


def exchange_gradients(forward: nn.Module, now: bool) -> None:
    """Whether the next backward pass averages gradients over the processes, or only adds to them.

    To be said before the forward pass.
    """
    for module in forward.modules():
        if isinstance(module, nn.parallel.DistributedDataParallel):
            module.require_backward_grad_sync = now
        elif exchange := getattr(module, "set_requires_gradient_sync", None):  # in parts
            exchange(now, recurse=False)


def mean(*values: float) -> list[float]:
    """Each value's mean over the processes."""
    if processes() == 1:
        return list(values)
    place = "cuda" if torch.cuda.is_available() else "cpu"
    together = torch.tensor(values, dtype=torch.float64, device=place)
    distributed.all_reduce(together)
    return [value / processes() for value in together.tolist()]


def check_same(folder: Path) -> None:
    """Raise `ValueError` in every process unless all of them, on whatever machine, see one folder.

    The others find there what the first makes; each would resume from a state of its own otherwise.
    """
    if processes() == 1:
        return
    name = [secrets.token_hex(8)]
    distributed.broadcast_object_list(name)
    sign = folder / f"together-{name[0]}"
    if is_first():
        sign.touch()
    distributed.barrier()
    (seen,) = mean(float(sign.exists()))
    if is_first():
        sign.unlink()
    if seen < 1:
        raise ValueError(
            f"{round(seen * processes())} of {processes()} processes see {place(folder)} as the "
            "first does: give an --out that all machines share"
        )


class Ended(Exception):
    """The first process ended the run, and has said why; `code` is what the others return, too."""

    def __init__(self, code: int) -> None:
        super().__init__(f"the first process ended the run with {code}")
        self.code = code


def first_then_others(work: Callable[[], Result]) -> Result:
    """Do resumable work in the first process; the others then find it done.

    Where the first raises, the others raise `Ended` instead of waiting for it.
    """
    if processes() == 1:
        return work()
    if not is_first():
        _hear()
        return work()
    try:
        result = work()
    except BaseException as error:
        _tell(0 if isinstance(error, Stopped) else 1)
        raise
    _tell(None)
    return result


def _tell(code: int | None) -> None:
    distributed.broadcast_object_list([code])


def _hear() -> None:
    said: list[int | None] = [None]
    distributed.broadcast_object_list(said)
    if said[0] is not None:
        raise Ended(said[0])
