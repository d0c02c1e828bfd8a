"""The study: arms differ in p alone, finished ones are not trained again, figures keep a schema."""

from __future__ import annotations

import json
import tomllib
from dataclasses import replace
from pathlib import Path
from threading import Timer
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from fvdm_core.card import ModelCard
from fvdm_core.files import place
from fvdm_core.model import VideoDiT
from fvdm_core.timeline import Timeline
from train import stages
from train.evaluation.common import Figure, samples
from train.evaluation.network import NetworkConfig, WorldNetwork, save_network
from train.run import Busy, Run
from train.study import arms, cost
from train.study.__main__ import main
from train.study.arms import cells, result_path, results
from train.study.grid import GRIDS, load_grid
from train.study.measure import WAYS, Cell, Reference, measure, pictured
from train.study.report import against_baseline, by_seed, figures, plot, report
from train.worlds import UNSEEN, render

CELL = {"task", "solver", "steps", "step", "way", "clips_seen", "frechet", "kid", "psnr"}
CELL |= {"kid_error"}
NOTHING = Reference([], 2, 4, 16, 8.0, None)  # distances are left out
GRID = """
about = "for a test"
seeds = [3]
p_independent = [0.0, 1.0]
clips = 2
solvers = [["ddim", 2], ["ddpm", 3]]
solvers_p = [0.0]
tasks = ["standard", "interpolation"]
task_solver = ["ddim", 2]

[model]
name = "Tiny study"

[model.data]
image_size = 16
frames = 4
worlds = { sky = 3, faces = 3 }
textures = 0.0

[model.autoencoder]
latent_channels = 4
widths = [8, 8]
blocks = 1

[model.autoencoder_optim]
steps = 2
batch_size = 2

[model.transformer]
hidden_size = 16
depth = 2
num_heads = 2
patch_size = 2

[model.optim]
steps = 4
batch_size = 4
sample_every = 2
"""

WIDER = tomllib.loads(GRID.replace("hidden_size = 16", "hidden_size = 32"))


@pytest.fixture
def grid_file(tmp_path):
    path = tmp_path / "tiny.toml"
    path.write_text(GRID)
    return path


@pytest.fixture
def network(tmp_path):
    path = tmp_path / "network.safetensors"
    save_network(WorldNetwork(NetworkConfig(16, (4, 4), squeeze=2, features=4)), path)
    return path


@pytest.fixture
def losses(monkeypatch):
    """What each arm's training steps were given: levels, clean latents, noise."""
    seen = []
    real = stages.diffusion_loss

    def spy(forward, x_start, levels, noise, *rest, **others):
        seen.append((levels.clone(), x_start.clone(), noise.clone()))
        return real(forward, x_start, levels, noise, *rest, **others)

    monkeypatch.setattr(stages, "diffusion_loss", spy)
    return seen


def test_arms_learn_alike_and_are_not_trained_twice(
    grid_file, network, losses, tmp_path, capsys, own_signals
):
    command = ["--grid", str(grid_file), "--out", str(tmp_path / "out"), "--threads", "1"]
    command += ["--features", str(network), "--plots"]
    assert main(command) == 0
    shown = capsys.readouterr().out
    assert "2 of 2 arms" in shown and "world-FVD by solver" in shown and "PSNR dB by task" in shown

    steps = load_grid(str(grid_file)).shared().optim.steps
    assert len(losses) == 2 * steps
    for (scalar, x, noise), (own, y, same) in zip(losses[:steps], losses[steps:], strict=True):
        assert torch.equal(x, y) and torch.equal(noise, same)  # the same clips and noise, in order
        assert (scalar == scalar[:, :1]).all()  # p = 0: one timestep for a clip
        assert not (own == own[:, :1]).all()

    first = json.loads((tmp_path / "out/results/base-p0-seed3.json").read_text())
    assert first["arm"] == {"size": "base", "p_independent": 0.0, "seed": 3}
    assert all(set(cell) == CELL for cell in first["cells"].values())
    assert {cell["clips_seen"] for cell in first["cells"].values()} == {8, 16}
    truths = {cell["task"]: cell["psnr"] for cell in first["cells"].values()}
    assert truths["standard"] is None and truths["interpolation"] > 0
    assert all(np.isfinite(cell["frechet"]) for cell in first["cells"].values())
    assert (tmp_path / "out/plots/tiny-frechet.png").stat().st_size > 1000
    real = json.loads((tmp_path / "out/real.json").read_text())
    assert list(real["coded"]) == ["4"] and real["coded"]["4"]["frechet"] > 0
    assert "world-FVD of real clips of 4 frames after the autoencoder" in shown

    (tmp_path / "out/results/base-p1-seed3.json").unlink()  # as if it had stopped before measuring
    before = (tmp_path / "out/results/base-p0-seed3.json").stat().st_mtime_ns
    assert main(command) == 0
    assert len(losses) == 2 * steps
    assert (tmp_path / "out/results/base-p0-seed3.json").stat().st_mtime_ns == before
    assert "2 of 2 arms" in capsys.readouterr().out


def test_figures_that_are_there_are_not_measured_again(grid_file, tmp_path, monkeypatch):
    grid = load_grid(str(grid_file))
    arm = grid.arms()[0]
    measured = {cell.key: {} for cell in cells(grid, arm)[1:]}
    result = {"arm": {}, "features": "", "cells": measured}
    result_path(tmp_path, arm).parent.mkdir()
    result_path(tmp_path, arm).write_text(json.dumps(result))
    asked = []
    monkeypatch.setattr(arms, "_train", lambda *_: None)
    monkeypatch.setattr(arms, "_model", lambda *_: None)
    monkeypatch.setattr(arms, "measure", lambda model, cell, *_: asked.append(cell) or {})
    arms.run_arm(grid, arm, None, NOTHING, tmp_path)
    assert asked == cells(grid, arm)[:1]
    assert set(json.loads(result_path(tmp_path, arm).read_text())["cells"]) == {
        cell.key for cell in cells(grid, arm)
    }


def test_what_all_arms_share_is_waited_for(tmp_path, capsys):
    """Of two that are started together, one makes it and the other finds it."""
    first = Run(tmp_path / "shared")
    Timer(0.7, first.close).start()
    second = arms.after_others(tmp_path / "shared")
    assert "Waiting for another process" in capsys.readouterr().out
    with pytest.raises(Busy):
        Run(tmp_path / "shared")  # and now it has the folder
    second.close()


def test_another_extractor_is_refused(grid_file, tmp_path):
    grid = load_grid(str(grid_file))
    path = result_path(tmp_path, grid.arms()[0])
    path.parent.mkdir()
    path.write_text(json.dumps({"features": "another", "cells": {}}))
    with pytest.raises(ValueError, match="was measured with another, not with none"):
        arms.run_arm(grid, grid.arms()[0], None, NOTHING, tmp_path)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"clips": 64}, "clips_per_world, grid_sha256"),
        ({"name": "another"}, "grid, grid_sha256"),
        ({"model": WIDER["model"]}, "grid_sha256"),
    ],
)
def test_figures_of_another_grid_are_refused(grid_file, tmp_path, monkeypatch, change, told):
    """Arms are called alike in every grid, so that theirs could be taken for this one's."""
    grid, out = load_grid(str(grid_file)), tmp_path / "out"
    monkeypatch.setattr(arms, "_train", lambda *_: None)
    monkeypatch.setattr(arms, "_model", lambda *_: None)
    monkeypatch.setattr(arms, "measure", lambda *_: {})
    arm = grid.arms()[0]
    arms.run_arm(grid, arm, None, NOTHING, out)
    assert len(list(results(grid, out))) == 1
    other = replace(grid, **change)
    with pytest.raises(ValueError, match=f"another {told}.*delete {place(out)} to start over"):
        arms.run_arm(other, arm, None, NOTHING, out)
    with pytest.raises(ValueError, match=f"another {told}.*delete {place(out)} to start over"):
        list(results(other, out))
    result_path(out, arm).unlink()  # what was trained is of the other grid still
    with pytest.raises(ValueError, match=f"another grid.*delete {place(out)} to start over"):
        arms.run_arm(other, arm, None, NOTHING, out)


def test_what_all_arms_share_is_deleted_with_them(grid_file, tmp_path, capsys, own_signals):
    grid, out = load_grid(str(grid_file)), tmp_path / "out"
    arms.prepare(grid, out)
    with pytest.raises(ValueError, match=f"another grid.*delete {place(out)} to start over"):
        arms.prepare(replace(grid, clips=64), out)


def test_the_shipped_figures_are_reported_with_their_own_grid_alone(capsys):
    """As docs/evidence.md says it; their files are older than the digest of the grid."""
    study = Path(__file__).resolve().parents[2] / "docs" / "study"
    for name, count in (("small", 24), ("priors", 18)):
        assert main(["--grid", name, "--out", str(study / name), "--report"]) == 0
        shown = capsys.readouterr().out
        assert f"{count} of {count} arms" in shown.splitlines()[0]
        assert "8 frames of 32×32, guidance 1.5, η = 0" in shown.splitlines()[0]
        assert ("world-FVD ÷ that of p = 0, wide" in shown) == (name == "small")
    assert main(["--report", "--out", str(study / "priors")]) == 1
    assert "another grid" in capsys.readouterr().err


@pytest.mark.parametrize("name", [path.stem for path in GRIDS.glob("*.toml")])
def test_shipped_grids_can_be_run(name):
    grid = load_grid(name)
    for task in grid.tasks:
        frames = grid.shared().data.frames
        Timeline.preset(task, frames=frames, steps=grid.task_solver[1], window=frames)
    if name != "smoke":
        assert len(grid.seeds) >= 3
    if name in ("small", "full"):
        assert set(grid.p_independent) == {0, 0.1, 0.2, 0.5, 0.8, 1}
        ddim, fast = {10, 20, 50, 100}, {6, 10, 15, 20}
        wanted = {("ddim", n) for n in ddim} | {("dpmpp_2m", n) for n in fast} | {("ddpm", 250)}
        assert set(grid.solvers) == wanted


def test_a_grid_says_what_is_wrong_with_it(grid_file):
    for old, new, message in (
        ('"interpolation"]', '"nothing"]', "task 'nothing' is no preset"),
        ('["ddim", 2],', '["euler", 2],', "solver 'euler'"),
        ("seeds = [3]", "seeds = []", "at least one seed"),
        ("sample_every = 2\n", "sample_every = 2\np_condition = 0.5\n", "p_condition must be 0"),
        ("sample_every = 2\n", "sample_every = 2\np_alone = 0.5\n", "p_alone must be 0"),
        ("[model]\n", "[model]\nsampling = {temporal_scale = 0.5}\n", "sampling must be left out"),
        ('about = "for a test"', "surprise = 1", "surprise"),
    ):
        grid_file.write_text(GRID.replace(old, new))
        with pytest.raises(ValueError, match=message):
            load_grid(str(grid_file))
    with pytest.raises(ValueError, match="shipped ones are"):
        load_grid("nothing")


def test_only_frames_that_start_from_a_picture_of_their_own_get_one():
    wanted = {"standard": [], "image-to-video": [0], "interpolation": [0, 7], "ramp": [0]}
    wanted |= {"soft-keyframes": [0], "pyramid": [], "late-start": [0]}
    for name, frames in wanted.items():
        assert pictured(Timeline.preset(name, frames=8, steps=4)) == frames


def test_error_bars_are_over_seeds_and_ratios_within_each():
    cell = {"task": "standard", "frechet": 1.0}
    made = [
        {
            "arm": {"size": "base", "p_independent": p, "seed": seed},
            "cells": {"": cell | {"frechet": value}},
        }
        for p, seed, value in (
            *((0.0, 0, 8.0), (0.0, 1, 12.0), (0.0, 2, 1.0)),
            *((0.2, 0, 4.0), (0.2, 1, 9.0)),  # the third seed is not there yet
        )
    ]
    values = by_seed(made, lambda cell: cell["task"], "frechet")
    assert figures(values)["standard"][0.0].mean == 7.0
    ratio = against_baseline(values)["standard"][0.2]
    assert ratio == Figure(0.625, pytest.approx(0.125), 2)  # 4/8 and 9/12


def test_the_baseline_does_tasks_in_every_way_that_one_timestep_can(grid_file):
    grid = replace(
        load_grid(str(grid_file)), tasks=("standard", "interpolation", "ramp", "extend", "diagonal")
    )
    scalar, vectorised = ({(c.task, c.way) for c in cells(grid, arm)} for arm in grid.arms())
    assert {way for _, way in vectorised} == {"clean"}
    more = {("interpolation", "replacement"), ("interpolation", "resampled")}
    assert scalar - vectorised == more | {("extend", "replacement")}
    interpolated = Cell("interpolation", "ddim", 10, 4, "resampled").timeline(4)
    assert not interpolated.levels[:, [0, 3]].any()
    assert (np.diff(interpolated.levels[:, 1]) > 0).any()  # goes up again
    keys = [cell.key for cell in cells(grid, grid.arms()[0])]
    assert len(set(keys)) == len(keys)


def test_the_baseline_counts_in_its_best_way():
    found = {
        "interpolation": {0.0: {0: 10.0, 1: 10.0}, 0.2: {0: 3.0, 1: 3.0}},
        "interpolation, replacement": {0.0: {0: 5.0, 1: 7.5}},
        "interpolation, resampled": {0.0: {0: 7.0, 1: 7.0, 2: 0.1}},
    }
    ratios = against_baseline(found)
    assert list(ratios) == ["interpolation"]
    assert ratios["interpolation"][0.2] == Figure(0.5, pytest.approx(0.1), 2)


def test_there_is_no_ratio_to_a_baseline_that_is_not_above_zero():
    """As a kernel distance, which is unbiased, may be for a seed."""
    values = {"standard": {0.0: {0: 0.010, 1: -0.001}, 0.2: {0: 0.008, 1: 0.009}}}
    assert against_baseline(values) == {}


def test_two_processes_take_different_arms(grid_file, tmp_path, capsys, own_signals):
    out = tmp_path / "out"
    other = Run(out / "arms" / "base-p0-seed3")  # as another process holds it
    command = ["--grid", str(grid_file), "--out", str(out), "--threads", "1"]
    assert main(command) == 0
    shown = capsys.readouterr().out
    assert "base-p0-seed3 is another process's" in shown and "1 of 2 arms" in shown
    other.close()
    assert main(command) == 0
    assert "2 of 2 arms" in capsys.readouterr().out


def test_a_report_of_nothing_and_without_matplotlib(grid_file, tmp_path, monkeypatch):
    grid = load_grid(str(grid_file))
    assert "0 of 2 arms" in report(grid, [])
    monkeypatch.setitem(__import__("sys").modules, "matplotlib.figure", None)
    with pytest.raises(ValueError, match="plots need matplotlib"):
        plot(grid, [], tmp_path)


def test_sizes_have_arms_of_their_own(grid_file):
    grid = replace(load_grid(str(grid_file)), sizes={"wide": {"hidden_size": 32}}, sizes_p=(0.0,))
    names = [arm.name for arm in grid.arms()]
    assert names == ["base-p0-seed3", "base-p1-seed3", "wide-p0-seed3"]
    widths = [grid.config(arm).transformer.hidden_size for arm in grid.arms()]
    assert widths == [16, 16, 32]


def test_a_model_is_sampled_with_the_noise_that_it_was_trained_with(grid_file, monkeypatch):
    sizes = {"mixed": {"prior": "mixed", "prior_alpha": 2.0}}
    grid = replace(load_grid(str(grid_file)), sizes=sizes, sizes_p=(0.2,))
    used = []

    def instead(model, timeline, *_, **options):
        used.append((timeline.prior, timeline.prior_alpha))
        assert (options["cfg_scale"], options["eta"]) == (1.5, 0.0)  # as the report says
        return []

    monkeypatch.setattr("train.study.measure.samples", instead)
    for arm in grid.arms()[1:]:
        optim = grid.config(arm).optim
        model = SimpleNamespace(num_frames=4, card=ModelCard(prior=optim.prior))
        reference = Reference(["sky"], 2, 4, 16, 8.0, None)
        measure(model, Cell("standard", "ddim", 2, 1), reference, optim.prior_alpha)
    assert used == [("independent", 1.0), ("mixed", 2.0)]


def test_what_gives_keyframes_is_not_compared_with_and_the_last_window_is():
    seen = []

    def extractor(videos):
        seen.extend(videos)
        return videos.reshape(len(videos), -1)[:, :2].astype(float)

    reference = Reference(["sky"], 2, 4, 16, 8.0, extractor)
    compared, given = (render("sky", UNSEEN + seed, 8, 16, 8.0).video for seed in (0, 2))
    assert np.array_equal(reference.compared("sky", 8)[0], compared)
    assert np.array_equal(reference.giving("sky", 8)[0], given)
    reference.distances(reference.giving("sky", 8))
    assert np.array_equal(seen[0], compared[-4:]) and np.array_equal(seen[2], given[-4:])
    assert len(seen) == 4


def test_the_baseline_is_shown_kept_frames_in_the_way_of_the_cell(monkeypatch):
    used = []

    def instead(*_, **options):
        used.append(options["conditioning"])
        return reference.giving("sky", 4)

    monkeypatch.setattr("train.study.measure.samples", instead)
    model = SimpleNamespace(num_frames=4, card=ModelCard())
    reference = Reference(["sky"], 1, 4, 16, 8.0, None)
    for way in WAYS:
        cell = Cell("interpolation", "ddim", 2, 1, way)
        assert measure(model, cell, reference)["psnr"] == 100.0
    assert used == ["clean", "replacement", "replacement"]


def test_solvers_are_compared_on_the_arms_that_the_grid_names(grid_file):
    grid = load_grid(str(grid_file))
    compared, other = ({cell.solver for cell in cells(grid, arm)} for arm in grid.arms())
    assert compared == {"ddim", "ddpm"} and other == {"ddim"}


def test_one_timestep_for_a_clip_is_the_same_network(grid_file):
    config = load_grid(str(grid_file)).shared().transformer
    model = VideoDiT(config)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(0.1 * torch.randn(parameter.shape))
    x = torch.randn(2, config.num_frames, config.latent_channels, *(config.latent_size,) * 2)
    t = torch.tensor([[7], [300]]).expand(-1, config.num_frames)
    wanted = model(x, t)
    with cost.one_timestep(model):
        assert torch.allclose(model(x, t), wanted, atol=1e-5)
        other = t.clone()
        other[:, 1:] = 999  # not looked at
        assert torch.allclose(model(x, other), wanted, atol=1e-5)
    assert not torch.allclose(model(x, other), wanted, atol=1e-3)


def test_the_cost_of_timesteps_per_frame_is_printed(grid_file, capsys):
    assert main(["--grid", str(grid_file), "--cost", "2"]) == 0
    assert "A timestep per frame ÷ one per clip, 2 rounds" in capsys.readouterr().out


@pytest.mark.parametrize("rounds", ["0", "-3"])
def test_a_cost_of_no_rounds_is_refused(grid_file, tmp_path, capsys, rounds):
    assert main(["--grid", str(grid_file), "--out", str(tmp_path / "out"), "--cost", rounds]) == 1
    assert f"--cost is {rounds}" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("solver", ["ddim", "ddpm", "dpmpp_2m"])
@pytest.mark.parametrize("task", ["image-to-video", "diagonal"])
def test_clips_of_a_batch_are_those_made_one_by_one(tmp_path, task, solver):
    from tiny import load, save_tiny

    pipe = load(save_tiny(tmp_path / "model", labels=["sky", "faces"]))
    frames = 16 if task == "image-to-video" else 24
    timeline = Timeline.preset(task, frames=frames, steps=4, window=16)
    rng = np.random.default_rng(0)
    given = [
        {frame: rng.integers(256, size=(8, 8, 3), dtype=np.uint8) for frame in pictured(timeline)}
        for _ in range(3)
    ]
    together = samples(pipe, timeline, "faces", [5, 2, 9], given, solver=solver)
    for seed, known, video in zip([5, 2, 9], given, together, strict=True):
        alone = pipe(timeline, keyframes=known, label="faces", seed=seed, solver=solver).frames
        assert np.abs(alone.astype(int) - video).max() <= 1  # larger products round otherwise
    with pytest.raises(ValueError, match="splice_exact is for single clips"):
        pipe.batch(timeline, [5, 2, 9], given, splice_exact=True)
