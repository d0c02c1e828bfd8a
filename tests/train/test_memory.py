"""Where memory runs out, that is said: nothing is taken for damage, and what is done is kept."""

from __future__ import annotations

import gc
import json
from pathlib import Path

import pytest
import torch
from torch import nn

from train import evaluate, sharding
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


@pytest.mark.parametrize("error", [*WAYS, KeyboardInterrupt(), RuntimeError("a mistake")], ids=repr)
def test_sections_that_are_measured_are_printed_however_the_next_ends(
    finished_run, error, monkeypatch, capsys
):
    def measure(name, pipe, options):
        if name == "truth":
            raise error
        return evaluate.Section([{"psnr": 1.5}], "", "a protocol")

    monkeypatch.setattr(evaluate, "measure", measure)
    words = ["--model", str(finished_run / "model"), "--sections", "worlds", "truth", "--json"]
    if str(error) == "a mistake":  # of the program: with its traceback
        with pytest.raises(RuntimeError, match="a mistake"):
            evaluate.main(words)
        told = "a mistake"
    else:
        stopped = isinstance(error, KeyboardInterrupt)
        assert evaluate.main(words) == (130 if stopped else 1)
        told = "stopped" if stopped else "out of memory"
    said = capsys.readouterr()
    found = json.loads(said.out)
    assert found["worlds"] == [{"psnr": 1.5}] and found["failed"] == told
    assert said.err == f"evaluate: {told}\n"


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


@pytest.mark.skipif(not Path("/proc/self/maps").exists(), reason="of Linux")
def test_nothing_of_a_run_that_goes_on_lies_in_the_mapped_state(resuming):
    """While it did, its room on the disk would not be free, though it is deleted."""
    run, (module, ema, optimizers) = resuming
    module(torch.ones(1, 2)).sum().backward()
    optimizers.step()
    moments = optimizers.state_dict()
    run.save_state("toy", 4, {"model": module.state_dict(), "ema": {}, "optimizer": moments})
    optimizers.load_state_dict(run.load_state("toy")["optimizer"])
    assert [s["state"] for s in optimizers.state_dict()][0][0].keys() == {
        *("step", "exp_avg", "exp_avg_sq")
    }
    gc.collect()
    assert "toy-00000004" not in Path("/proc/self/maps").read_text()


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
