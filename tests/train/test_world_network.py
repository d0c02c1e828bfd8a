"""The network of world-FVD: its targets, its training's resumption, its report."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch

from train.config import OptimConfig
from train.evaluate import WORLD_NETWORK
from train.evaluation import learn as program
from train.evaluation.factors import GROUPS, SLICES, TARGETS, explained, targets
from train.evaluation.learn import LearnConfig, batches, factor_loss, learn, measure, report
from train.evaluation.network import NetworkConfig, WorldNetwork, load_network, save_network
from train.run import Run, Stopped
from train.worlds import UNSEEN, WORLDS, render
from train.worlds.collisions import BALL_COLORS

SMALL = NetworkConfig(size=16, widths=(4, 4), squeeze=2, features=8)
OPTIM = OptimConfig(steps=4, batch_size=4, warmup=1, save_every=2, lr=1e-3)
TINY = LearnConfig(network=SMALL, optim=OPTIM, frames=(4, 6), statistics=8)


@pytest.mark.parametrize("world", WORLDS)
def test_a_clip_answers_for_its_own_world(world):
    clip = render(world, UNSEEN, 8, 16)
    values = targets(clip)
    assert values.shape == (TARGETS,)
    answered = {name for name, where in SLICES.items() if not np.isnan(values[where]).all()}
    hidden = {"faces/hair"} if world == "faces" else set()
    own = {name for name in GROUPS if name.startswith(f"{world}/")}
    assert own - hidden <= answered - {"all/world"} <= own
    assert values[SLICES["all/world"]].tolist() == np.eye(len(WORLDS))[WORLDS[world].label].tolist()


def test_balls_are_told_apart_by_colour():
    clip = render("collisions", UNSEEN + 3, 8, 16)
    values, colors = targets(clip), clip.factors["colors"]
    assert np.flatnonzero(values[SLICES["collisions/present"]]).tolist() == sorted(colors)
    place = values[SLICES["collisions/position"]].reshape(len(BALL_COLORS), 4, 2)
    assert np.isnan(place).all((1, 2)).sum() == len(BALL_COLORS) - len(colors)
    for ball, color in enumerate(colors):
        assert np.array_equal(place[color][[0, -1]], clip.factors["positions"][[0, -1], ball])


def test_explained_variance_by_hand():
    rng = np.random.default_rng(0)
    truth = rng.standard_normal((400, TARGETS)) * 7 + 3
    truth[:, SLICES["sky/horizon"]] = 5.0  # does not vary
    truth[::2, SLICES["sky/sun"]] = np.nan  # not known of every other clip
    assert set(explained(truth, truth).values()) - {1.0} and np.isnan(
        explained(truth, truth)["sky/horizon"]
    )
    half = np.nanmean(truth, 0) + (truth - np.nanmean(truth, 0)) / 2
    guess = np.broadcast_to(np.nanmean(truth, 0), truth.shape)
    for predicted, expected in ((truth, 1), (half, 0.75), (guess, 0)):
        scores = explained(truth, np.nan_to_num(predicted))
        assert scores["sky/sun"] == pytest.approx(expected)
        assert scores["figures/joints"] == pytest.approx(expected)


def test_the_loss_counts_what_a_clip_knows():
    wanted = torch.full((2, TARGETS), torch.nan)
    wanted[0, SLICES["sky/sun"]] = torch.tensor([1.0, 3.0])  # mean square 5, as one factor
    wanted[0, SLICES["sky/cloud_cover"]] = 1.0
    wanted[1, SLICES["sky/horizon"]] = 2.0
    assert factor_loss(torch.zeros(2, TARGETS), wanted).tolist() == [3.0, 4.0]


def test_batches_start_where_a_run_goes_on():
    whole = list(batches(TINY, 0, workers=0))
    rest = list(batches(TINY, 3, workers=0))
    assert len(whole) == 4 and len(rest) == 1
    assert torch.equal(whole[3][0], rest[0][0]) and whole[0][0].shape == (4, 4, 16, 16, 3)
    assert [len(video[0]) for video, _ in whole] == [4, 6, 4, 6]


def test_a_resumed_run_gives_the_same_network(tmp_path):
    whole = learn(TINY, Run(tmp_path / "whole"))
    cut = Run(tmp_path / "cut")
    cut.stop_requested = True
    with pytest.raises(Stopped, match="stopped at step 1 of 4"):
        learn(TINY, cut)
    cut.stop_requested = False
    resumed = learn(TINY, cut)
    fresh = WorldNetwork(SMALL).state_dict()
    for name, tensor in whole.state_dict().items():
        assert torch.equal(tensor, resumed.state_dict()[name]), name
    assert not torch.equal(whole.head.weight, fresh["head.weight"])
    other = dataclasses.replace(TINY, frames=(8,))
    with pytest.raises(ValueError, match="another frames"):
        learn(other, cut)


def test_the_shipped_network_explains_unseen_factors():
    """`docs/evidence.md` has the figures of many more clips."""
    scores = measure(load_network(WORLD_NETWORK), frames=8, size=32, seeds=24)
    assert np.nanmean(list(scores.values())) > 0.88
    assert min(scores[name] for name in ("collisions/position", "faces/nose", "sky/palette")) > 0.9


def test_the_report_names_each_factor_and_the_mean():
    scores = dict.fromkeys(GROUPS, 0.95)
    assert "| all        | mean           | 0.950 |" in report(scores)
    assert report(scores).endswith("The mean reaches 0.9.")
    assert report(scores | {"sky/sun": -9.0}).endswith("The mean does not reach 0.9.")
    unknown = report(scores | {"sky/sun": float("nan")})
    assert "| sky        | sun            |       |" in unknown and "| 0.950 |" in unknown


def test_the_program_reports_on_a_file(tmp_path, capsys):
    path = tmp_path / "network.safetensors"
    save_network(WorldNetwork(SMALL), path)
    assert program.main(["--report", str(path), "--seeds", "2", "--frames", "4"]) == 0
    shown = capsys.readouterr().out
    assert "2 unseen clips of each world" in shown and "| sky        | cloud_velocity" in shown
    assert program.main(["--report", str(tmp_path / "none"), "--seeds", "2"]) == 1
    assert "none does not exist" in capsys.readouterr().err


def test_a_saved_network_answers_alike_and_others_are_refused(tmp_path):
    path = tmp_path / "network.safetensors"
    save_network(WorldNetwork(SMALL), path)
    network = load_network(path)
    save_network(network, tmp_path / "again.safetensors")
    assert path.read_bytes() == (tmp_path / "again.safetensors").read_bytes()
    videos = torch.from_numpy(np.stack([render("sky", k, 5, 32).video for k in range(2)]))
    features, predicted = network(videos)  # of another length and size than was learned
    assert features.shape == (2, 8) and predicted.shape == (2, TARGETS)
    alone, _ = network(videos[1:])
    assert torch.allclose(alone, features[1:], atol=1e-5)
    torch.save({"weight": torch.zeros(3)}, tmp_path / "other.pt")
    with pytest.raises(ValueError, match="other.pt is not a network"):
        load_network(tmp_path / "other.pt")
    with pytest.raises(ValueError, match="need at least 16"):
        NetworkConfig(size=8, widths=(4, 4))
