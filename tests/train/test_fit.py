"""The training loop: exact resume, stops that lose nothing, and the moving average."""

from __future__ import annotations

import dataclasses
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
import torch
from torch import nn

from fvdm_core.autoencoder import Autoencoder
from fvdm_core.model import VideoDiT
from fvdm_core.noise import frame_noise
from fvdm_core.sampler import sample
from fvdm_core.timeline import Timeline
from train import stages
from train.ahead import ahead
from train.clips import Clips
from train.config import DataConfig, OptimConfig, load_config
from train.ema import Ema
from train.folder import key_of
from train.loop import Diverged, _generator, fit
from train.optimizer import Optimizers
from train.run import Run, Stopped
from train.stages import train_transformer

OPTIM = OptimConfig(steps=30, batch_size=4, lr=0.01, warmup=3, save_every=10, sample_every=1000)


def network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(3, 8), nn.Tanh(), nn.Linear(8, 1))


def regression(module: nn.Module, at=lambda step: None):
    """Noisy points of one function, and their losses; `at(step)` is called first."""

    def batch_at(step: int, generator: torch.Generator, own: slice):
        at(step)
        x = torch.randn(4, 3, generator=generator)
        noise = torch.randn(4, 1, generator=generator)
        wanted = x.sum(1, keepdim=True) + 0.1 * noise
        return step, x[own], wanted[own]

    def losses_of(batch) -> torch.Tensor:
        _, x, wanted = batch
        return (module(x) - wanted).square().mean(dim=1)

    return batch_at, losses_of


@pytest.mark.parametrize("changed", [{"seed": 1}, {"step": 6}])
def test_noise_is_of_the_seed_and_of_the_step(changed):
    def drawn(seed=0, step=5):
        return torch.randn(8, generator=_generator(seed, step))

    assert torch.equal(drawn(), drawn())
    assert not torch.isclose(drawn(), drawn(**changed)).any()
    assert not torch.isclose(drawn(seed=2**31 - 1), drawn(seed=2**31 - 2)).any()


def run_fit(folder, at=lambda step: None, run=None, module=None, optim=OPTIM, threads=0):
    run = run or Run(folder)
    module = module or network()
    averaged = fit(
        *(module, *regression(module, at), optim, run, "toy", 7, 4, "points"), threads=threads
    )
    return module, averaged, run.load_state("toy")


def assert_same(one, other):
    """Networks, averages and optimizer states, bit for bit."""
    if isinstance(one, torch.Tensor):
        assert torch.equal(one, other)
    elif isinstance(one, dict):
        assert one.keys() == other.keys()
        for key in one:
            assert_same(one[key], other[key])
    elif isinstance(one, list | tuple):
        for a, b in zip(one, other, strict=True):
            assert_same(a, b)
    else:
        assert one == other


@pytest.mark.parametrize("pieces", [2, 4])
def test_a_batch_in_pieces_gives_the_same_updates(tmp_path, pieces):
    whole = run_fit(tmp_path / "whole")
    optim = dataclasses.replace(OPTIM, accumulate=pieces)
    seen = []
    in_pieces = run_fit(tmp_path / "pieces", seen.append, optim=optim)
    assert seen == [step for step in range(30) for _ in range(pieces)]
    for one, other in zip(whole[:2], in_pieces[:2], strict=True):
        for name, value in one.state_dict().items():
            assert torch.allclose(value, other.state_dict()[name], rtol=0, atol=1e-6), name


@pytest.mark.parametrize(("stop_at", "pieces"), [(0, 1), (9, 1), (17, 1), (28, 1), (17, 2)])
def test_a_resumed_run_equals_an_uninterrupted_one(tmp_path, stop_at, pieces):
    optim = dataclasses.replace(OPTIM, accumulate=pieces)
    whole = run_fit(tmp_path / "whole", optim=optim)
    run = Run(tmp_path / "parts")

    def stop(step: int) -> None:
        run.stop_requested = step == stop_at

    with pytest.raises(Stopped, match=f"stopped at step {stop_at + 1} of 30; its state is saved"):
        run_fit(None, stop, run, optim=optim)
    run.stop_requested = False
    resumed = run_fit(None, run=run, optim=optim)
    assert_same(whole[0].state_dict(), resumed[0].state_dict())
    assert_same(whole[1].state_dict(), resumed[1].state_dict())
    assert_same(whole[2], resumed[2])


def test_a_stop_at_a_step_of_samples_leaves_none_out(tmp_path):
    """What a sample stores, such as an arm's weights, is not made again by a resumed run."""
    run, module, kept = Run(tmp_path), network(), []
    optim = dataclasses.replace(OPTIM, sample_every=10)

    def stop(step: int) -> None:
        run.stop_requested = step == 9

    def keep(averaged: nn.Module, path) -> None:
        kept.append(path.name)

    parts = (module, *regression(module, stop), optim, run, "toy", 7, 4, "points")
    with pytest.raises(Stopped, match="stopped at step 10 of 30"):
        fit(*parts, on_sample=keep)
    run.stop_requested = False
    fit(*parts, on_sample=keep)
    assert kept == [f"toy-{step:08d}.png" for step in (10, 20, 30)]


def test_a_process_stops_where_another_one_is_asked_to(tmp_path, monkeypatch):
    monkeypatch.setattr("train.parallel.mean", lambda loss, asked: [loss, asked + 0.5])
    with pytest.raises(Stopped, match="stopped at step 1 of 30; its state is saved"):
        run_fit(tmp_path)
    assert (tmp_path / "toy-00000001.pt").is_file()


def damage_by_cutting(path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 6 // 10])


def damage_by_a_flipped_bit(path) -> None:
    content = bytearray(path.read_bytes())
    weights = bytes(content).find(network_bytes(path))
    content[weights + 5] ^= 1
    path.write_bytes(bytes(content))


def network_bytes(path) -> bytes:
    """The stored bytes of the first weight: a place where damage would go unnoticed."""
    state = torch.load(path, weights_only=True)
    return state["model"]["0.weight"].numpy().tobytes()


@pytest.mark.parametrize(
    "damage",
    [damage_by_cutting, damage_by_a_flipped_bit, lambda path: path.write_bytes(b"")],
    ids=["cut", "flipped bit", "empty"],
)
def test_a_damaged_newest_state_is_passed_over(tmp_path, damage):
    whole = run_fit(tmp_path)
    assert sorted(p.name for p in tmp_path.glob("*.pt")) == ["toy-00000020.pt", "toy-00000030.pt"]
    damage(tmp_path / "toy-00000030.pt")
    steps = []
    again = run_fit(tmp_path, steps.append)
    assert steps == list(range(20, 30))
    assert_same(whole[0].state_dict(), again[0].state_dict())
    assert "state skipped" in (tmp_path / "metrics.jsonl").read_text()


def test_where_no_state_can_be_read_nothing_begins_anew(tmp_path, capsys):
    run_fit(tmp_path)
    for path in tmp_path.glob("*.pt"):
        damage_by_cutting(path)
    with pytest.raises(ValueError, match="no state of the toy .* can be read; delete toy-"):
        run_fit(tmp_path)
    assert "toy-00000030.pt is damaged and was passed over" in capsys.readouterr().err
    assert len(list(tmp_path.glob("*.pt"))) == 2


def test_a_state_that_cannot_be_opened_is_not_taken_for_damaged(tmp_path, monkeypatch):
    run_fit(tmp_path)

    def refuse(*arguments, **options):
        raise PermissionError("not yours")

    monkeypatch.setattr("train.run.zipfile.ZipFile", refuse)
    with pytest.raises(PermissionError):
        Run(tmp_path).load_state("toy")


def test_a_command_in_a_state_is_passed_over_and_does_not_run(tmp_path):
    marker = tmp_path / "ran"

    class Command:
        def __reduce__(self):
            return os.system, (f"touch {marker}",)

    run = Run(tmp_path)
    run.save_state("toy", 10, {"mean": 1})
    run.save_state("toy", 20, {"mean": Command()})
    assert run.load_state("toy")["step"] == 10
    assert not marker.exists()


def test_a_new_state_outlives_damaged_ones_of_later_steps(tmp_path):
    run = Run(tmp_path)
    for name in ("toy-00004500.pt", "toy-00005000.pt"):
        (tmp_path / name).write_bytes(b"?")
    for step in (400, 500):
        run.save_state("toy", step, {})
    assert sorted(p.name for p in tmp_path.glob("*.pt")) == ["toy-00000400.pt", "toy-00000500.pt"]
    assert run.load_state("toy")["step"] == 500


FULL_DISK = """
import resource, signal, sys, torch
from pathlib import Path
from train.run import Run
run = Run(Path(sys.argv[1]))
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
try:
    run.save_state("toy", 1, {"w": torch.zeros(1_000_000)})
except OSError as error:
    print("said:", error)
"""


def test_a_full_disk_is_said_and_leaves_no_half_a_state(tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", FULL_DISK, str(tmp_path / "run")],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.stdout.startswith("said: "), done.stderr
    assert sorted(path.name for path in (tmp_path / "run").iterdir()) == ["lock"]


def test_a_torn_line_takes_no_other_with_it(tmp_path):
    run, path = Run(tmp_path), tmp_path / "metrics.jsonl"
    run.log(step=1)
    path.write_text(path.read_text() + '{"time": 2, "ste')
    run.log(step=3)
    whole = path.read_text().splitlines()
    assert len(whole) == 3 and [json.loads(whole[k])["step"] for k in (0, 2)] == [1, 3]


def test_data_are_the_same_however_their_place_is_typed(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run = Run(tmp_path / "run")
    run.claim({"data": {"folder": "clips", "labels": "own.csv"}})
    run.claim({"data": {"folder": str(tmp_path / "clips") + "/", "labels": "./own.csv"}})
    first, second = (
        key_of(DataConfig(folder=folder, labels=labels))
        for folder, labels in (("clips", "own.csv"), (f"{tmp_path}/clips/", f"{tmp_path}/own.csv"))
    )
    assert first == second
    with pytest.raises(ValueError, match="a run with another data"):
        run.claim({"data": {"folder": "others", "labels": "own.csv"}})


def test_after_a_run_signals_do_what_they_did(tmp_path, own_signals):
    before = signal.getsignal(signal.SIGINT)
    run = Run(tmp_path)
    run.catch_signals()
    assert signal.getsignal(signal.SIGINT) is not before
    run.close()
    assert signal.getsignal(signal.SIGINT) is before


def test_batches_made_beforehand_are_the_same_and_a_stop_does_not_wait_for_them(tmp_path):
    alone = run_fit(tmp_path / "alone")
    made = []
    beforehand = run_fit(tmp_path / "beforehand", made.append, threads=3)
    assert sorted(made) == list(range(OPTIM.steps))
    assert_same(alone[0].state_dict(), beforehand[0].state_dict())

    run = Run(tmp_path / "stopped")

    def stop(step: int) -> None:
        run.stop_requested |= step == 12

    with pytest.raises(Stopped):
        run_fit(tmp_path, stop, run=run, threads=3)
    run.close()
    again = run_fit(tmp_path / "stopped", threads=3)
    assert_same(alone[0].state_dict(), again[0].state_dict())


def test_what_goes_wrong_in_a_batch_comes_out_at_its_step():
    def make(place: int) -> int:
        if place == 2:
            raise ValueError("no such clip")
        return place

    batches = ahead(make, range(5), threads=2)
    assert [next(batches), next(batches)] == [0, 1]
    with pytest.raises(ValueError, match="no such clip"):
        next(batches)


def test_the_states_of_another_network_are_refused(tmp_path):
    run_fit(tmp_path)
    other = nn.Sequential(nn.Linear(3, 9), nn.Tanh(), nn.Linear(9, 1))
    with pytest.raises(ValueError, match="states in .* are of another network"):
        run_fit(tmp_path, module=other)


@pytest.mark.parametrize("kind", ["loss", "gradient"])
def test_nan_stops_before_the_update_and_names_step_and_clips(tmp_path, kind):
    module = network()
    before = {}

    batch_at, of_points = regression(module)

    def losses_of(batch) -> torch.Tensor:
        loss = of_points(batch)
        if batch[0] < 17:
            return loss
        before.update({name: p.clone() for name, p in module.state_dict().items()})
        if kind == "loss":
            return loss * float("nan")
        return (loss - loss.detach()).sqrt()  # 0, of infinite slope

    with pytest.raises(Diverged, match=r"toy: step 18 .*batch: sky:17, faces:18") as error:
        fit(
            *(module, batch_at, losses_of, OPTIM, Run(tmp_path), "toy", 7, 4, "points"),
            describe_batch=lambda step: f"sky:{step}, faces:{step + 1}",
        )
    assert "nan" in str(error.value) or "inf" in str(error.value)
    assert_same(before, dict(module.state_dict()))
    assert [p.name for p in sorted(tmp_path.glob("*.pt"))] == ["toy-00000010.pt"]


def test_sigterm_asks_for_a_stop_and_a_second_one_interrupts(tmp_path, own_signals):
    run = Run(tmp_path)
    run.catch_signals()
    os.kill(os.getpid(), signal.SIGTERM)
    assert run.stop_requested
    with pytest.raises(KeyboardInterrupt):
        os.kill(os.getpid(), signal.SIGINT)


def test_the_average_has_its_closed_form():
    source = nn.Linear(2, 2, bias=False)
    start = source.weight.detach().clone()
    ema = Ema(source, decay=0.9)
    with torch.no_grad():
        source.weight.fill_(3.0)
    for step in range(200):
        ema.update(source, step)
    decays = [min(0.9, (1 + step) / (10 + step)) for step in range(200)]
    expected = 3.0 + (start - 3.0) * float(np.prod(decays[:12]))
    short = Ema(nn.Linear(2, 2, bias=False), decay=0.9)
    with torch.no_grad():
        short.module.weight.copy_(start)
    for step in range(12):
        short.update(source, step)
    assert torch.allclose(short.module.weight, expected, atol=1e-6)
    assert torch.allclose(ema.module.weight, source.weight, atol=1e-5)
    assert not ema.module.weight.requires_grad


def test_metrics_are_lines_of_json(tmp_path):
    run_fit(tmp_path)
    rows = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    assert [row["step"] for row in rows] == [20, 30]
    assert all({"loss", "norm", "lr", "rate"} <= row.keys() for row in rows)


def test_one_clip_overfits(tmp_path, tiny_toml):
    """The loss falls by more than ten times, and what is sampled is the clip."""
    overrides = {"optim.steps": 300, "optim.batch_size": 8, "optim.lr": 6e-3, "optim.decay": 0.5}
    overrides |= {"optim.ema_decay": 0.95, "transformer.hidden_size": 48}
    config = load_config(tiny_toml, overrides)
    latents = np.random.default_rng(0).standard_normal((1, 4, 4, 4, 4)).astype(np.float16)
    clips = Clips(np.zeros((1, 4, 16, 16, 3), np.uint8), np.zeros(1, np.int64), ["sky:0"])
    autoencoder = Autoencoder(config.autoencoder)
    model = train_transformer(config, latents, clips, autoencoder, Run(tmp_path))

    rows = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    assert rows[-1]["loss"] < rows[0]["loss"] / 10

    x = torch.stack([frame_noise(seed, range(4), 0, (4, 4, 4)) for seed in range(3)])
    label = torch.zeros(3, dtype=torch.long)
    timeline = Timeline.preset("standard", frames=4, steps=20)
    for state in sample(
        lambda x, t: model(x, t, label), x, timeline, config.noise_schedule(), "dpmpp_2m"
    ):
        x = state.x
    error = (x - torch.from_numpy(latents.astype(np.float32))).square().mean(dim=(1, 2, 3, 4))
    assert error.max() < 0.05  # of a variance of 1, from each of three seeds


@pytest.mark.parametrize("share", [0.0, 0.5, 1.0])
def test_a_share_of_the_clips_is_learned_frame_by_frame(tmp_path, tiny_toml, monkeypatch, share):
    config = load_config(tiny_toml, {"optim.steps": 20, "optim.p_alone": share})
    latents = np.zeros((1, 4, 4, 4, 4), np.float16)
    clips = Clips(np.zeros((1, 4, 16, 16, 3), np.uint8), np.zeros(1, np.int64), ["sky:0"])
    given = []

    def learning(self, x, t, y=None, cache=None, alone=None):
        given.append(alone)
        return forward(self, x, t, y, cache, alone)

    forward = VideoDiT.forward
    monkeypatch.setattr(VideoDiT, "forward", learning)
    autoencoder = Autoencoder(config.autoencoder)
    train_transformer(config, latents, clips, autoencoder, Run(tmp_path), on_sample=lambda *_: None)
    assert len(given) == 20
    if share == 0:
        assert given == [None] * 20
    else:
        seen = torch.cat(given).float().mean()  # of 80 clips
        assert seen == 1 if share == 1 else 0.3 < seen < 0.7


class Given(NamedTuple):
    """What the loss was given of 320 samples, 20 a step in two pieces; of clip k, latents are k."""

    x_start: torch.Tensor
    levels: torch.Tensor
    noise: torch.Tensor
    labels: torch.Tensor
    counted: torch.Tensor


def some_labels_are_left_out(given):
    null = given.labels == 2
    assert 0.15 < null.float().mean() < 0.35
    assert torch.equal(given.labels[~null], given.x_start[~null, 0, 0, 0, 0].long() % 2)


def some_frames_are_clean(given):
    clean = given.levels == 0
    assert clean.any(dim=1).float().mean() > 0.75  # some subsets come out empty or whole
    assert not clean.all(dim=1).any()


def frames_come_down_one_after_the_other(given):
    far = (torch.arange(4) - torch.arange(4)[:, None]).abs()
    order = far.argsort(dim=1, stable=True)  # (4 frames that may be first, 4)
    away = given.levels[:, order].diff(dim=2)
    same = far.gather(1, order).diff(dim=1) == 0
    assert ((away >= 0) & (~same | (away == 0))).all(dim=2).any(dim=1).all()
    assert (given.levels != given.levels[:, :1]).any(dim=1).float().mean() > 0.9


def frames_share_nine_tenths_of_their_noise(given):  # 3² / (1 + 3²)
    values = given.noise.movedim(1, -1).reshape(-1, 4)
    wanted = torch.eye(4) * 0.1 + 0.9
    torch.testing.assert_close(values.T @ values / len(values), wanted, rtol=0, atol=0.05)


def half_are_very_noisy(given):
    assert 0.4 < (given.levels > 750).float().mean() < 0.6


def each_part_has_one_level(given):
    for levels in given.levels.split(20):
        assert torch.equal(levels, levels[:, :1].expand(-1, 4))
        assert sorted(((levels[:, 0] - 1) // 50).tolist()) == list(range(20))


def pictures_are_clips_of_one_frame(given):
    still = given.x_start[:, 0, 0, 0, 0] < 2
    assert 0 < still.sum() < len(still) and given.counted[~still].all()
    assert (given.counted[still].sum(dim=1) == 1).all()
    assert (given.levels[still][~given.counted[still]] == 1000).all()
    assert (given.levels[still] < 1000).any(dim=1).float().mean() > 0.9


@pytest.mark.parametrize(
    ("optim", "holds"),
    [
        ({"label_dropout": 0.25}, some_labels_are_left_out),
        ({"p_condition": 1.0}, some_frames_are_clean),
        ({"p_staggered": 1.0}, frames_come_down_one_after_the_other),
        ({"prior": "mixed", "prior_alpha": 3.0}, frames_share_nine_tenths_of_their_noise),
        ({"shift": 3.0, "p_independent": 1.0}, half_are_very_noisy),
        ({"stratified": True}, each_part_has_one_level),
        ({}, pictures_are_clips_of_one_frame),
    ],
    ids=lambda value: "" if isinstance(value, dict) else value.__name__,
)
def test_what_is_learned_from_is_as_the_config_says(tmp_path, tiny_toml, monkeypatch, optim, holds):
    usual = {"steps": 16, "batch_size": 20, "accumulate": 2, "p_independent": 0.0, "p_condition": 0}
    config = load_config(tiny_toml, {f"optim.{k}": v for k, v in (usual | optim).items()})
    number = np.arange(6)
    latents = np.broadcast_to(number[:, None, None, None, None], (6, 4, 4, 4, 4))
    stills = (number < 2) & (holds is pictures_are_clips_of_one_frame)
    video = np.zeros((6, 4, 16, 16, 3), np.uint8)
    clips = Clips(video, number % 2, [f"sky:{k}" for k in number], stills=stills)
    seen = []
    loss = stages.diffusion_loss

    def learning(forward, x_start, levels, noise, schedule, label, counted=None, **others):
        everything = torch.ones_like(levels, dtype=torch.bool)
        seen.append((x_start, levels, noise, label, everything if counted is None else counted))
        return loss(forward, x_start, levels, noise, schedule, label, counted, **others)

    monkeypatch.setattr(stages, "diffusion_loss", learning)
    autoencoder = Autoencoder(config.autoencoder)
    train_transformer(config, latents, clips, autoencoder, Run(tmp_path), on_sample=lambda *_: None)
    assert len(seen) == 32
    holds(Given(*(torch.cat(values).cpu() for values in zip(*seen, strict=True))))


def test_each_step_is_of_its_learning_rate_and_goes_no_further_than_it_may(tmp_path, monkeypatch):
    optim = dataclasses.replace(OPTIM, clip_grad=0.01)
    rates, norms = [], []
    step = Optimizers.step

    def taken(self):
        rates.append({group["lr"] for each in self._each for group in each.param_groups})
        norms.append(torch.cat([weight.grad.flatten() for weight in self.parameters]).norm())
        step(self)

    monkeypatch.setattr(Optimizers, "step", taken)
    run_fit(tmp_path, optim=optim)
    assert rates == [{optim.lr_at(step)} for step in range(30)]
    assert max(norms) < 0.0101
    rows = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    assert all(row["norm"] > 0.02 for row in rows)  # as it was
