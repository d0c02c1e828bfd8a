"""Where memory runs out, that is said: nothing is taken for damage, and what is done is kept."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

from train import sharding
from train.config import OptimConfig
from train.ema import Ema
from train.loop import _restore
from train.optimizer import Optimizers
from train.run import Run

WAYS = [
    RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 8 bytes."),
    torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB."),
    MemoryError(),
]


@pytest.fixture
def resuming(tmp_path):
    """A run with a saved state, and what is restored from it."""
    run, module = Run(tmp_path), nn.Linear(2, 2)
    parts = module, Ema(module, 0.9), Optimizers(module, OptimConfig())
    state = {"model": module.state_dict(), "ema": module.state_dict()}
    run.save_state("toy", 3, {**state, "optimizer": parts[2].state_dict()})
    return run, parts


@pytest.mark.skipif(not Path("/proc/self/maps").exists(), reason="of Linux")
def test_a_state_is_mapped_and_outlives_its_file(resuming):
    """Processes of one machine share its pages; a training that goes on deletes it later."""
    run, parts = resuming
    state = run.load_state("toy")
    (path,) = run.folder.glob("toy-*.pt")
    assert str(path) in Path("/proc/self/maps").read_text()
    path.unlink()
    weight = state["model"]["weight"]
    assert torch.equal(weight, parts[0].weight)
    weight.add_(1)  # as an optimizer does with what it keeps
    assert torch.equal(weight, parts[0].weight + 1)


@pytest.mark.parametrize("error", WAYS, ids=lambda error: type(error).__name__)
@pytest.mark.parametrize("where", [(torch, "load"), (sharding, "load")], ids=["read", "taken"])
def test_a_state_for_which_there_is_no_memory_is_neither_damaged_nor_another_s(
    resuming, error, where, monkeypatch, capsys
):
    def fail(*given, **options):
        raise error

    monkeypatch.setattr(*where, fail)
    run, parts = resuming
    with pytest.raises(type(error)) as raised:
        _restore(run, "toy", *parts)
    assert raised.value is error and not capsys.readouterr().err
    monkeypatch.undo()
    assert _restore(run, "toy", *parts)[0] == 3
