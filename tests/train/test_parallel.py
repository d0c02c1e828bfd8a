"""Two processes of `torchrun` train as one would."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from two_processes import train

from fvdm_core.model_folder import load_model_folder
from train import parallel
from train.__main__ import train as train_run
from train.config import load_config
from train.run import Stopped

ROOT = Path(__file__).resolve().parents[2]
PATIENCE = 900.0  # seconds; a busy machine takes minutes to import torch


def torchrun(*arguments: str) -> None:
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [*command, *arguments],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]


@pytest.mark.parametrize("pieces", [1, 2])
def test_the_same_global_batch_gives_the_update_of_one_process(tmp_path, pieces):
    alone = train(tmp_path / "alone")
    script = str(Path(__file__).with_name("two_processes.py"))
    torchrun(script, str(tmp_path / "two"), str(pieces), "0", "99")
    together = torch.load(tmp_path / "two" / "weights.pt", weights_only=True)
    assert (alone.pop("exchanged"), together["exchanged"]) == (0, 12)  # once a step, in one bucket
    for name, value in alone.items():
        assert torch.allclose(value, together[name], rtol=0, atol=1e-6), name
    assert len((tmp_path / "two" / "metrics.jsonl").read_text().splitlines()) == 1  # not each


@pytest.mark.parametrize("pieces", [1, 2])
def test_weights_in_parts_move_as_whole_ones(tmp_path, pieces):
    alone = train(tmp_path / "alone")
    script = str(Path(__file__).with_name("two_processes.py"))
    torchrun(script, str(tmp_path / "two"), str(pieces), "1", "99")
    together = torch.load(tmp_path / "two" / "weights.pt", weights_only=True)
    for name in alone.keys() - {"exchanged"}:
        assert torch.allclose(alone[name], together[name], rtol=0, atol=1e-6), name


def test_a_run_in_parts_goes_on_in_one_process_and_the_other_way_round(tmp_path):
    """What is saved is whole: averages and moments too, or the weights would differ."""
    uninterrupted = train(tmp_path / "alone")
    script = str(Path(__file__).with_name("two_processes.py"))
    torchrun(script, str(tmp_path / "parts"), "1", "1", "6")
    with pytest.raises(Stopped):
        train(tmp_path / "whole", end=6)
    torchrun(script, str(tmp_path / "whole"), "1", "1", "99")
    others = [
        train(tmp_path / "parts"),
        torch.load(tmp_path / "whole" / "weights.pt", weights_only=True),
    ]
    for other in others:
        for name in uninterrupted.keys() - {"exchanged"}:
            assert torch.allclose(uninterrupted[name], other[name], rtol=0, atol=1e-6), name


@pytest.mark.parametrize("parts", [False, True])
def test_the_program_trains_on_two_processes(tmp_path, tiny_toml, finished_run, parts):
    out, config = tmp_path / "run", tmp_path / "config.toml"
    config.write_text(f"shard = {str(parts).lower()}\n{tiny_toml.read_text()}")
    torchrun("-m", "train", str(config), "--out", str(out), "--steps", "20", "--threads", "1")
    assert load_model_folder(out / "model").config["name"] == "Tiny"

    def losses(folder: Path) -> dict[str, float]:
        rows = map(json.loads, (folder / "metrics.jsonl").read_text().splitlines())
        return {row["stage"]: row["loss"] for row in rows if row.get("step") == 20}

    together, alone = losses(out), losses(finished_run)
    assert together.keys() == {"autoencoder", "transformer"}
    for stage, loss in together.items():  # bf16 rounds otherwise where a batch is split
        assert loss == pytest.approx(alone[stage], rel=0.02), stage


def test_a_batch_that_cannot_be_shared_is_refused(monkeypatch):
    monkeypatch.setattr(parallel, "processes", lambda: 2)
    with pytest.raises(ValueError, match="a batch of 5 cannot be shared evenly by 2 processes"):
        parallel.share(5)


def test_the_program_refuses_a_batch_before_any_work(tmp_path, tiny_toml, monkeypatch):
    config = load_config(str(tiny_toml))
    monkeypatch.setattr(parallel, "processes", lambda: 2)
    uneven = replace(config, optim=replace(config.optim, batch_size=3, accumulate=3))
    with pytest.raises(ValueError, match="a batch of 3 cannot be shared evenly"):
        train_run(uneven, tmp_path / "out", tmp_path / "model")
    assert not (tmp_path / "out").exists()


def test_alone_nothing_is_shared():
    assert (parallel.processes(), parallel.is_first()) == (1, True)
    assert list(range(6))[parallel.share(6)] == list(range(6))


def test_pieces_and_processes_divide_a_batch(monkeypatch):
    monkeypatch.setattr(parallel, "processes", lambda: 2)
    parts = []
    for rank in range(2):
        monkeypatch.setattr(parallel, "rank", lambda rank=rank: rank)
        parts += [i for piece in range(3) for i in range(12)[parallel.share(12, piece, 3)]]
    assert sorted(parts) == list(range(12)) and len(parts) == 12
    with pytest.raises(ValueError, match="a batch of 8 cannot .* by 2 processes in 3 pieces"):
        parallel.share(8, 0, 3)


def test_alone_a_mean_is_the_value():
    assert parallel.mean(1.5, 2.0) == [1.5, 2.0]
