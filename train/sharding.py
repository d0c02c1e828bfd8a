"""FSDP2: weights, averages and moments in parts, one in each process, for sizes that need it.

What is saved is always whole, so a run goes on with another number of processes, and with or
without parts.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from . import parallel


def shard(module: nn.Module, units: Sequence[str]) -> None:
    """Leave each process its part of every weight. A unit's are whole while it computes.

    `units` names submodules, such as the blocks; the rest is one unit. To be done before an
    optimizer is given the weights.
    """
    # here, because they take a second and packages that a run of one process does without
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.fsdp import fully_shard

    place = "cuda" if torch.cuda.is_available() else "cpu"
    mesh = init_device_mesh(place, (parallel.processes(),))
    for name in units:
        fully_shard(module.get_submodule(name), mesh=mesh)
    fully_shard(module, mesh=mesh)


def _in_parts(value: Any) -> bool:
    return isinstance(value, Tensor) and hasattr(value, "full_tensor")  # a DTensor


def whole(state: Any, everywhere: bool = True) -> Any:
    """Dictionaries and lists with whole tensors on the CPU for those in parts; others as they are.

    All processes have to ask, as each gives its part. Unless `everywhere`, all but the first get
    None for such a tensor: eight on one machine would hold the same eight times.
    """
    if _in_parts(state):
        together = state.detach().full_tensor()
        return together.cpu() if everywhere or parallel.is_first() else None
    if isinstance(state, dict):
        return {key: whole(value, everywhere) for key, value in state.items()}
    return [whole(value, everywhere) for value in state] if isinstance(state, list) else state


def like(value: Any, weight: Tensor) -> Any:
    """This process's part of a tensor that belongs to a weight in parts; others as they are."""
    if not _in_parts(weight) or not isinstance(value, Tensor) or value.shape != weight.shape:
        return value
    from torch.distributed.tensor import distribute_tensor

    mesh, placements = weight.device_mesh, weight.placements  # type: ignore[attr-defined]
    return distribute_tensor(value.to(weight.device), mesh, placements, src_data_rank=None)


def load(module: nn.Module, state: dict[str, Tensor]) -> None:
    """`load_state_dict` of whole tensors, whether the module is in parts or not."""
    own = module.state_dict()
    parts = {
        name: like(value, own[name]) if name in own else value for name, value in state.items()
    }
    module.load_state_dict(parts)


def outline(module: nn.Module) -> nn.Module:
    """The module without its weights, for `gathered`."""
    return copy.deepcopy(module).to("meta")


def gathered(module: nn.Module, outline: nn.Module) -> nn.Module:
    """A module in parts as a plain one, on the device that trains. All processes have to ask, and
    all but the first get it without weights: they draw and write nothing."""
    plain, weights = copy.deepcopy(outline), whole(module.state_dict(), everywhere=False)
    if not parallel.is_first():
        return plain
    plain.load_state_dict(weights, assign=True)
    place = "cuda" if torch.cuda.is_available() else "cpu"
    return plain.to(place).eval().requires_grad_(False)
