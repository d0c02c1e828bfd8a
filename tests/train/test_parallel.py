"""Two processes of `torchrun` train as one would."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn
from tqdm import tqdm
from two_processes import matrices, train

from fvdm_core.media import write_video
from fvdm_core.model_folder import load_model_folder
from train import loop, parallel, sharding
from train.__main__ import _prepare, main
from train.__main__ import train as train_run
from train.config import load_config
from train.muon import orthogonal
from train.run import Run, Stopped

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = str(Path(__file__).with_name("two_processes.py"))
SHORT = ("--steps", "20", "--threads", "1")
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


@pytest.fixture(scope="module")
def together(tmp_path_factory: pytest.TempPathFactory, tiny_toml: Path) -> Path:
    """A folder of all that two processes did, in one start of them."""
    folder = tmp_path_factory.mktemp("together")
    with pytest.raises(Stopped):
        train(folder / "begun-alone", end=6)
    in_parts = folder / "in-parts.toml"
    in_parts.write_text(f"shard = true\n{tiny_toml.read_text()}")
    work = [
        [str(folder / "copies-1"), 1, False],
        [str(folder / "copies-2"), 2, False],
        [str(folder / "parts-1"), 1, True],
        [str(folder / "parts-2"), 2, True],
        [str(folder / "begun-in-parts"), 1, True, 6],
        [str(folder / "begun-alone"), 1, True],
        [str(tiny_toml), "--out", str(folder / "program"), *SHORT],
        [str(in_parts), "--out", str(folder / "program-in-parts"), *SHORT],
    ]
    torchrun(SCRIPT, str(folder), json.dumps(work))
    return folder


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> dict[str, torch.Tensor]:
    """The weights that one process trains, and how often it exchanged gradients."""
    return train(tmp_path_factory.mktemp("alone"))


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return torch.load(folder / "weights.pt", weights_only=True)


def same(some: dict[str, torch.Tensor], others: dict[str, torch.Tensor]) -> None:
    assert some.keys() == others.keys()
    for name in some.keys() - {"exchanged"}:
        assert torch.allclose(some[name], others[name], rtol=0, atol=1e-6), name


@pytest.mark.parametrize("pieces", [1, 2])
def test_the_same_global_batch_gives_the_update_of_one_process(together, alone, pieces):
    folder = together / f"copies-{pieces}"
    shared = weights(folder)
    same(alone, shared)
    assert (alone["exchanged"], shared["exchanged"]) == (0, 12)  # once a step, in one bucket
    assert len((folder / "metrics.jsonl").read_text().splitlines()) == 1  # not each


@pytest.mark.parametrize("pieces", [1, 2])
def test_weights_in_parts_move_as_whole_ones(together, alone, pieces):
    same(alone, weights(together / f"parts-{pieces}"))


def test_both_get_all_matrices_orthogonal_though_each_makes_a_part(together):
    expected = orthogonal(matrices())
    for rank in range(2):
        shared = torch.load(together / f"orthogonal-{rank}.pt", weights_only=True)
        for one, other in zip(expected, shared, strict=True):
            near = 1e-6 if one.dtype == torch.float32 else 0.01  # where products are in bf16
            assert torch.allclose(one.float(), other, rtol=0, atol=near)


def test_what_the_first_process_refuses_ends_the_others(together):
    assert all((together / f"ended-{rank}").exists() for rank in range(2))


def test_all_stop_at_the_step_at_which_one_is_asked_to(together):
    folder = together / "begun-in-parts"
    said = [(folder / f"stopped-{rank}").read_text() for rank in range(2)]
    assert said == ["toy stopped at step 6 of 12; its state is saved"] * 2
    assert (folder / "toy-00000006.pt").is_file()


def test_a_run_in_parts_goes_on_in_one_process_and_the_other_way_round(together, alone):
    """What is saved is whole: averages and moments too, or the weights would differ."""
    same(alone, weights(together / "begun-alone"))
    assert not (together / "begun-in-parts" / "weights.pt").exists()
    same(alone, train(together / "begun-in-parts"))


@pytest.mark.parametrize("name", ["program", "program-in-parts"])
def test_the_program_trains_on_two_processes(together, finished_run, name):
    out = together / name
    assert load_model_folder(out / "model").config["name"] == "Tiny"

    def losses(folder: Path) -> dict[str, float]:
        rows = map(json.loads, (folder / "metrics.jsonl").read_text().splitlines())
        return {row["stage"]: row["loss"] for row in rows if row.get("step") == 20}

    shared, single = losses(out), losses(finished_run)
    assert shared.keys() == {"autoencoder", "transformer"}
    for stage, loss in shared.items():  # bf16 rounds otherwise where a batch is split
        assert loss == pytest.approx(single[stage], rel=0.02), stage


def test_only_the_first_process_gets_whole_weights_and_draws_a_bar(monkeypatch, tmp_path):
    """Eight on one machine would hold the same eight times, and draw over each other."""
    module, bars = nn.Linear(2, 2), []
    monkeypatch.setattr(loop, "tqdm", lambda **options: bars.append(options["disable"]) or tqdm())
    for rank in range(2):
        monkeypatch.setattr(parallel, "rank", lambda rank=rank: rank)
        plain = sharding.gathered(module, sharding.outline(module))
        assert all(weight.is_meta == bool(rank) for weight in plain.parameters())
        assert rank or torch.equal(plain.weight, module.weight)
        train(tmp_path / str(rank))
    assert bars == [None, True]


def test_a_batch_that_cannot_be_shared_is_refused(monkeypatch):
    monkeypatch.setattr(parallel, "processes", lambda: 2)
    with pytest.raises(ValueError, match="a batch of 5 cannot be shared evenly by 2 processes"):
        parallel.share(5)


def test_the_program_refuses_a_batch_before_any_work(tmp_path, tiny_toml, monkeypatch):
    config = load_config(str(tiny_toml))
    monkeypatch.setattr(parallel, "processes", lambda: 2)
    monkeypatch.setattr(parallel, "_tell", lambda code: None)
    uneven = replace(config, optim=replace(config.optim, batch_size=3, accumulate=3))
    with pytest.raises(ValueError, match="a batch of 3 cannot be shared evenly"):
        train_run(uneven, tmp_path / "out", tmp_path / "model")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("wrong", [["--lr", "nan"], ["--batch-size", "3"], ["--init", "nowhere"]])
def test_what_is_wrong_is_said_by_the_first_process_alone(
    tmp_path, tiny_toml, monkeypatch, capsys, own_signals, wrong
):
    monkeypatch.setattr(parallel, "processes", lambda: 2)
    told: list[int | None] = []
    monkeypatch.setattr(parallel, "_tell", told.append)
    words = [str(tiny_toml), "--out", str(tmp_path / "out"), *wrong]
    assert main(words) == 1 and told[-1] == 1
    assert capsys.readouterr().err.startswith("train: ")

    def hear() -> None:
        if (code := told.pop(0)) is not None:
            raise parallel.Ended(code)

    monkeypatch.setattr(parallel, "_hear", hear)
    monkeypatch.setattr(parallel, "rank", lambda: 1)
    assert main(words) == 1 and not told
    assert not capsys.readouterr().err


def test_the_clips_are_counted_by_the_first_process_alone(tmp_path, tiny_toml, capsys):
    videos = tmp_path / "videos"
    videos.mkdir()
    write_video(videos / "a.gif", np.zeros((4, 16, 16, 3), np.uint8), 8)
    config = load_config(tiny_toml, {"data.folder": str(videos), "data.worlds": {}})
    for writes in (True, False):
        _prepare(config, Run(tmp_path / "out", writes))
        assert capsys.readouterr().out.count("1 clips from 1 videos") == writes


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
