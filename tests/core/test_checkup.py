"""What a check of a model says, of networks whose error is known in closed form."""

import numpy as np
import pytest
import torch
from einops import einsum
from torch import nn

from fvdm_core import NoiseSchedule, Pipeline
from fvdm_core.__main__ import main
from fvdm_core.card import ModelCard
from fvdm_core.checkup import LEVELS, AtLevel, _company, check_up
from fvdm_core.media import write_video
from fvdm_core.network import NetworkError, NetworkShape, PixelSpace
from fvdm_core.readings import readings, tellings

FRAMES, SIZE = 16, 32
VP = ("eps", "x0", "v")


def covariance(frames=FRAMES):
    return 0.998 * torch.ones(frames, frames) + 0.002 * torch.eye(frames)


class Scaled(PixelSpace):
    """Pixels, of a standard deviation of 1/4, as latents of another."""

    def __init__(self, std=1.0):
        super().__init__()
        self.factor = 4 * std

    def encode(self, video):
        return self.factor * video

    def decode(self, latents):
        return latents / self.factor


class Gaussian(nn.Module):
    """The best predictor of values that are Gaussian, and of frames that hang together."""

    def __init__(self, schedule, std=1.0, frames=FRAMES, **shape):
        super().__init__()
        self.config = NetworkShape(frames, 3, SIZE, **shape)
        self.schedule = schedule
        self.of_frames = std**2 * covariance(frames)
        told = {n: float(schedule.timesteps(torch.tensor(n))) for n in range(1001)}
        self.levels_of = {t: n for n, t in reversed(told.items())}  # of two, the clean one
        self.levels_of |= {t: n for n, t in told.items() if n}  # no, the noisy one

    def forward(self, x, t, y=None):
        levels = torch.tensor([[self.levels_of[float(each)] for each in row] for row in t])
        signal, noise = self.schedule.signal(levels), self.schedule.noise(levels)
        some = self.of_frames[: x.shape[1], : x.shape[1]]
        mixed = signal[:, :, None] * some * signal[:, None, :]
        seen = torch.linalg.pinv(mixed + torch.diag_embed(noise**2))
        gain = some * signal[:, None, :] @ seen
        x_start = einsum(gain, x, "b f g, b g c h w -> b f c h w")
        signal, noise = self.schedule.pair(levels)
        eps = (x - signal * x_start) / noise.clamp(min=1e-5)
        return self.schedule.target(x_start, levels, eps)


def clip(frames=FRAMES, seed=0):
    """Frames whose latents have the covariance, uint8 (F, H, W, 3)."""
    drawn = torch.randn(frames, SIZE * SIZE * 3, generator=torch.Generator().manual_seed(seed))
    values = (torch.linalg.cholesky(covariance(frames)) @ drawn).reshape(frames, SIZE, SIZE, 3) / 4
    return ((values.clamp(-1, 1) + 1) * 127.5).round().to(torch.uint8).numpy()


def made(network, schedule, coder=None, **card):
    card = ModelCard(name="Mine", **card)
    return Pipeline(network, coder or Scaled(), schedule, card, device="cpu", dtype=torch.float32)


def schedule_of(kind):
    return NoiseSchedule("flow" if kind == "flow" else "cosine", prediction_type=kind)


def left(schedule, levels, std=1.0):
    """What of a unit variance is left in each frame when the others are known, too."""
    signal = std * schedule.signal(torch.tensor(levels)).double()
    noise = schedule.noise(torch.tensor(levels)).double().clamp(min=1e-6)
    inverse = covariance(len(levels)).double().inverse() + torch.diag((signal / noise) ** 2)
    return inverse.inverse().diagonal()


# ── What is known ────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("kind, std", [("eps", 1), ("x0", 0.4), ("v", 2), ("flow", 1)])
@pytest.mark.parametrize("frames", [FRAMES, 5])
def test_a_perfect_network_misses_what_cannot_be_known_and_nothing_is_suspected(kind, std, frames):
    schedule = schedule_of(kind)
    pipe = made(Gaussian(schedule, std, frames), schedule, Scaled(std))
    found = check_up(pipe, clip(frames))
    assert [row.level for row in found.rows] == list(LEVELS)
    for row in found.rows:
        alike = float(left(schedule, [row.level] * frames, std).mean())
        evens, odds = (
            left(schedule, [row.level if f % 2 == first else 0 for f in range(frames)], std)[
                first::2
            ]
            for first in (0, 1)
        )
        assert row.alike == pytest.approx(alike, rel=0.06)
        assert row.among_clean == pytest.approx(float(torch.cat([evens, odds]).mean()), rel=0.06)
        signal, noise = (float(part) for part in schedule.pair(torch.tensor(row.level)))
        guess = noise**2 / ((std * signal) ** 2 + noise**2)
        assert row.guess == pytest.approx(guess, rel=0.05) and row.guess <= 1
        assert (row.signal, row.noise) == (signal, noise)
    assert found.suspects == () and str(found).endswith("Nothing suspicious.")
    assert found.scale == pytest.approx(std, rel=0.03)
    assert found.mean == pytest.approx(0, abs=0.05 * std)
    assert found.psnr == 100  # nothing is lost in pixels
    assert found.seconds > 0


def test_frames_among_clean_ones_are_weighed_by_their_number():
    """Of five, the network knows all of the three even ones and nothing of the two odd ones."""
    schedule = schedule_of("x0")
    known = torch.tensor([1.0, 0.0, 1.0, 0.0, 1.0])[:, None, None, None]

    class Half(Gaussian):
        def forward(self, x, t, y=None):
            return known[None] * Scaled().encode(
                torch.from_numpy(clip(5)).permute(0, 3, 1, 2) / 127.5 - 1
            )

    for row in check_up(made(Half(schedule, frames=5), schedule), clip(5)).rows:
        assert row.alike == pytest.approx(0.4, rel=0.03)
        assert row.among_clean == pytest.approx(0.4, rel=0.03)


def test_what_is_said_of_the_noise_may_say_little_of_the_clip():
    """A little off, which is much of what is left of the clip at the last level."""
    schedule = NoiseSchedule("linear", prediction_type="eps")

    class Off(Gaussian):
        def forward(self, x, t, y=None):
            return super().forward(x, t) + 0.02

    found = check_up(made(Off(schedule), schedule), clip())
    assert found.rows[-1].alike > 3 and found.suspects == ()


def test_a_single_frame_has_no_company():
    schedule = schedule_of("x0")
    found = check_up(made(Gaussian(schedule, frames=1), schedule), clip(1))
    assert found.suspects == ()
    assert all(row.among_clean == row.alike for row in found.rows)


# ── What else it may mean ────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("said", VP)
@pytest.mark.parametrize("meant", VP)
def test_it_is_told_what_the_network_predicts(said, meant):
    found = check_up(made(Gaussian(schedule_of(meant)), schedule_of(said)), clip())
    named = [suspect for suspect in found.suspects if f"({meant!r})" in suspect]
    assert len(named) == (said != meant)
    assert all("it knows more if taken to predict" in suspect for suspect in named)


@pytest.mark.parametrize("said", ["flow", "x0"])
@pytest.mark.parametrize("meant", ["flow", "x0", "eps"])
def test_it_is_told_what_the_network_of_a_flow_predicts(said, meant):
    schedule, own = (NoiseSchedule("flow", prediction_type=said) for _ in range(2))
    own.prediction_type = meant  # of the noise, a flow of ours cannot be
    suspects = check_up(made(Gaussian(own), schedule), clip()).suspects
    assert sum(f"({meant!r})" in suspect for suspect in suspects) == (said != meant)


@pytest.mark.parametrize("kind", ["v", "flow"])
def test_it_is_told_that_a_sign_is_turned(kind):
    schedule = schedule_of(kind)

    class Turned(Gaussian):
        def forward(self, x, t, y=None):
            return -super().forward(x, t)

    said = " ".join(check_up(made(Turned(schedule), schedule), clip()).suspects)
    assert f"with its sign turned (−{kind})" in said


WANTS = {
    "told t / 1000": lambda t, _: t * 1000,
    "told the time backwards": lambda t, last: last - t,
    "told 1 − t / 1000": lambda t, _: (1 - t) * 1000,
}


@pytest.mark.parametrize("kind", ["x0", "flow"])
@pytest.mark.parametrize("name", WANTS)
def test_it_is_told_how_the_network_wants_the_time(name, kind):
    schedule = schedule_of(kind)
    last = 1000 if kind == "flow" else 999

    class Other(Gaussian):
        def forward(self, x, t, y=None):
            return super().forward(x, WANTS[name](t, last).round().clamp(0, last))

    said = check_up(made(Other(schedule), schedule), clip()).suspects
    assert sum(f"knows more if {name}:" in suspect for suspect in said) == 1


def test_the_usual_flow_that_runs_the_other_way_is_known():
    """From noise at 0 to the clip at 1, as many flows are trained (Lipman et al. 2023)."""
    schedule = schedule_of("flow")

    class Forwards(Gaussian):
        def forward(self, x, t, y=None):
            return -super().forward(x, (1000 * (1 - t)).round().clamp(0, 1000))

    said = " ".join(check_up(made(Forwards(schedule), schedule), clip()).suspects)
    assert "with its sign turned (−flow), told 1 − t / 1000:" in said


@pytest.mark.parametrize("said", ["linear", "linear-continuous", "cosine"])
@pytest.mark.parametrize("meant", ["linear", "cosine"])
def test_it_is_told_of_which_schedule_the_network_wants_the_time(said, meant):
    schedule = NoiseSchedule(said, prediction_type="x0")
    network = Gaussian(NoiseSchedule(meant, prediction_type="x0"))
    suspects = " ".join(check_up(made(network, schedule), clip()).suspects)
    wrong = (said == "cosine") != (meant == "cosine")  # the linear ones are nearly one
    assert (f"told the time of the schedule {meant!r}" in suspects) == wrong
    assert bool(suspects) == wrong


def test_the_time_of_another_schedule_is_that_of_as_much_noise():
    schedule, other = NoiseSchedule("cosine"), NoiseSchedule("linear")
    levels = torch.tensor([[0, 1, 333, 1000]])
    t = tellings(schedule)["told the time of the schedule 'linear'"](levels)
    assert t.shape == levels.shape and t[0, 0] == 0
    assert (other.noise(t + 1) - schedule.noise(levels))[0, 1:].abs().max() < 0.005
    assert tellings(NoiseSchedule("flow", prediction_type="flow")).keys() == {"", *WANTS}
    own = NoiseSchedule.from_function(lambda s: 1 - s)
    assert len(tellings(own)) == 4 + 3


def test_times_that_a_network_cannot_be_told_are_left_out(caplog):
    schedule = schedule_of("x0")  # told whole numbers from 0 to 999; Gaussian knows no others
    found = check_up(made(Gaussian(schedule), schedule_of("v")), clip())
    assert "('x0')" in " ".join(found.suspects)
    assert not caplog.records


def test_every_prediction_type_is_among_the_readings_and_the_own_one_is_the_first():
    x, output = torch.randn(2, 1, FRAMES, 3, 2, 2, generator=torch.Generator().manual_seed(0))
    levels = torch.full((1, FRAMES), 400)
    for kind in (*VP, "flow"):
        schedule = schedule_of(kind)
        found = readings(schedule)
        first = next(iter(found))
        pred = found[first](x, output, levels)
        assert first == "" and torch.equal(pred, schedule.pred_x_start(x, output, levels))
        others = {name.rpartition("(")[2].strip(")'") for name in found if name}
        own = {"x0", "eps", "−flow"} if kind == "flow" else ({*VP} - {kind}) | {"−v"}
        assert others == own and schedule.prediction_type == kind


# ── What a sampler relies on ─────────────────────────────────────────────────────────────────


class Scalar(Gaussian):
    """Knows only the first frame's time."""

    def forward(self, x, t, y=None):
        return super().forward(x, t[:, :1].expand_as(t))


class Zero(Gaussian):
    def forward(self, x, t, y=None):
        return torch.zeros_like(x)


class Restless(Gaussian):
    def forward(self, x, t, y=None):
        return super().forward(x, t) + 0.3 * torch.randn_like(x)


class Leaking(Gaussian):
    def forward(self, x, t, y=None):
        return super().forward(x.mean(0, keepdim=True).expand_as(x), t)


class Alone(Gaussian):
    def forward(self, x, t, y=None):
        return super().forward(x.view(1, *x.shape[1:]), t)


class Fixed(Gaussian):
    def forward(self, x, t, y=None):
        if x.shape[1] != FRAMES:
            raise ValueError("positions are for 16 frames")
        return super().forward(x, t)


class Even(Gaussian):
    def forward(self, x, t, y=None):
        if x.shape[1] == FRAMES - 1:
            raise ValueError("pairs of frames")
        return super().forward(x, t)


class Nothing(Gaussian):
    def forward(self, x, t, y=None):
        return torch.full_like(x, torch.nan)


class Lost(Gaussian):
    """Knows nothing where there is much noise."""

    def forward(self, x, t, y=None):
        x_start = super().forward(x, t)
        return torch.where(t[..., None, None, None] > 900, x_start + 2, x_start)


GUESS = "it knows less of the clip than a guess from each value by itself"
ALL = ", ".join(f"{level / 10:.0f} %" for level in LEVELS)


@pytest.mark.parametrize(
    "network, suspects",
    [
        (Scalar, ["clean frames beside noisy ones do not help"]),
        (Zero, [f"{GUESS}: has it", "clean frames beside noisy ones do not help"]),
        (Restless, ["two calls with the same x differ"]),
        (Leaking, ["depends on the others of its batch"]),
        (Alone, ["cannot be called with two clips at once (shape '[1, "]),
        (Fixed, ["cannot be called with 1 of its 16 frames (positions are for 16 frames)"]),
        (Even, ["cannot be called with 15 of its 16 frames (pairs of frames)"]),
        (Nothing, ["gives values that are not numbers"]),
        (Lost, [f"at 95 % {GUESS}"]),
    ],
)
def test_what_a_sampler_relies_on_is_tried(network, suspects):
    schedule = schedule_of("x0")
    found = check_up(made(network(schedule), schedule), clip())
    assert len(found.suspects) == len(suspects), found.suspects
    for said, expected in zip(found.suspects, suspects, strict=True):
        assert expected in said
        assert f"Look at this: {said}" in str(found)


@pytest.mark.parametrize("std", [0.2, 4.0])
def test_latents_of_another_scale_are_suspicious(std):
    schedule = schedule_of("x0")
    found = check_up(made(Gaussian(schedule, std), schedule, Scaled(std)), clip())
    assert len(found.suspects) == 1
    assert f"the latents' standard deviation is {std:g}; noise has 1" in found.suspects[0]


def test_the_network_is_asked_as_a_sampler_asks_it():
    """With a label, a copy of x, the noise it was trained with, and a variance beside."""
    schedule, given = schedule_of("v"), []

    class Labelled(Gaussian):
        def forward(self, x, t, y=None):
            given.append((x.clone(), y.tolist()))
            output = super().forward(x, t)
            x.zero_()
            return torch.cat([output, torch.full_like(output, 9.0)], dim=2)

    network = Labelled(schedule, num_classes=2)
    shared = {"prior": "mixed", "prior_alpha": 100.0}
    pipe = made(network, schedule, labels=("walk", "run"), **shared)
    found = check_up(pipe, clip(), "run")
    assert {tuple(y) for _, y in given} == {(1,), (1, 1)}
    x = given[3 * LEVELS.index(800)][0]  # of which each level takes three
    signal, noise = schedule.pair(torch.tensor(800))
    eps = (x - signal * pipe.encode(clip())) / noise
    assert (eps - eps[:, :1]).abs().mean() < 0.03  # nearly one for all frames
    assert not any("predict" in suspect for suspect in found.suspects)
    given.clear()
    check_up(pipe, clip(), seed=1)
    assert {tuple(y) for _, y in given} == {(2,), (2, 2)}
    assert not torch.equal(given[3 * LEVELS.index(800)][0], x)


def test_wrong_input_is_refused():
    schedule = schedule_of("x0")
    pipe = made(Gaussian(schedule, num_classes=1), schedule, labels=("walk",))
    with pytest.raises(ValueError, match="label 'jump' is unknown"):
        check_up(pipe, clip(), "jump")
    with pytest.raises(ValueError, match=r"shape \(3, 32, 32, 3\); it must be \(16, 32, 32, 3\)"):
        check_up(pipe, clip()[:3])
    with pytest.raises(ValueError, match="seed is -1; it must be an integer from 0"):
        check_up(pipe, clip(), seed=-1)
    red = np.broadcast_to(np.array([200, 10, 0], np.uint8), (FRAMES, SIZE, SIZE, 3))
    with pytest.raises(ValueError, match="the clip is of one colour"):
        check_up(pipe, red.copy())


def test_a_network_that_fails_is_named_by_its_line():
    class Failing(Gaussian):
        def forward(self, x, t, y=None):
            raise RuntimeError("of mine")

    class Thin(Gaussian):
        def forward(self, x, t, y=None):
            return super().forward(x, t)[:, :, :1]

    schedule = schedule_of("x0")
    with pytest.raises(NetworkError, match=r"test_checkup.py:\d+, forward: RuntimeError: of mine"):
        check_up(made(Failing(schedule), schedule), clip())
    with pytest.raises(ValueError, match="returned 1 channels; expected 3 or 6"):
        check_up(made(Thin(schedule), schedule), clip())


def test_latents_that_stand_for_several_frames_are_stills_and_nothing_is_decoded():
    class Slow(Scaled):
        frames_per_latent = 3

        def decode(self, latents):
            raise AssertionError

    schedule = schedule_of("x0")
    found = check_up(made(Gaussian(schedule), schedule, Slow()), clip())
    assert found.psnr is None and "dB" not in str(found)
    assert "Each latent is of a still" in str(found)


def test_clean_frames_that_help_at_any_level_are_no_suspect():
    """A network may know nearly all of a clip itself but where hardly anything is left of it."""

    def row(level, signal, alike, among):
        return AtLevel(level, signal, 1 - signal, 1.0, alike, among)

    known = [row(50, 0.95, 0.002, 0.002), row(800, 0.2, 0.06, 0.059)]
    assert list(_company([*known, row(950, 0.05, 0.23, 0.055)])) == []
    (said,) = _company([*known, row(950, 0.05, 0.23, 0.22)])
    assert "clean frames beside noisy ones do not help it" in said


def test_where_the_autoencoder_takes_clips_the_latents_are_of_one():
    class Together(Scaled):
        """Latents are the last frames that they stand for; the others are lost."""

        frames_per_latent = 3

        def encode_clip(self, video):
            return self.encode(video[::3])

        def decode(self, latents):
            made = super().decode(latents)
            return torch.cat([made[:1], made[1:].repeat_interleave(3, 0)])

    schedule = schedule_of("x0")
    coder = Together()
    pipe = made(Gaussian(schedule), schedule, coder)
    whole = np.repeat(clip(), 3, axis=0)[2:]  # of columns that stand still
    found, stills = check_up(pipe, whole), check_up(made(Gaussian(schedule), schedule), clip())
    assert [row.alike for row in found.rows] == [row.alike for row in stills.rows]
    assert found.psnr == stills.psnr and "of a still" not in str(found)
    with pytest.raises(ValueError, match="it must be"):
        check_up(pipe, clip())


# ── The command ──────────────────────────────────────────────────────────────────────────────

OWN = """
import torch
from fvdm_core import NoiseSchedule, Pipeline
from fvdm_core.card import ModelCard
from fvdm_core.network import NetworkShape, PixelSpace

class Mine(torch.nn.Module):
    config = NetworkShape(4, 3, 32)
    def forward(self, x, t, y=None):
        return 0 * x

class Slow(PixelSpace):
    frames_per_latent = {each}
    {maybe}encode_clip = lambda self, video: video[::{each}]
    def decode(self, latents):
        return latents[:1].expand(1 + {each} * (len(latents) - 1), -1, -1, -1)

def load():
    schedule = NoiseSchedule("cosine", prediction_type="x0")
    return Pipeline(Mine(), Slow(), schedule, ModelCard(name="Mine", fps=8))
"""


@pytest.mark.parametrize("each, clips", [(1, False), (2, False), (2, True)])
def test_the_command_takes_as_many_frames_as_the_model_sees(
    each, clips, tmp_path, capsys, monkeypatch
):
    file, video = tmp_path / "mine.py", tmp_path / "clip.mp4"
    file.write_text(OWN.format(each=each, maybe="" if clips else "# "))
    shades = np.arange(0, 256, 32, dtype=np.uint8)[:, None, None, None]
    write_video(video, np.broadcast_to(shades, (8, 32, 32, 3)).repeat(3, axis=0), 24)
    seen = []

    def noted(pipe, frames, label, seed):
        seen.append((frames.mean((1, 2, 3)).round(), label, seed))
        return check_up(pipe, frames, label, seed)

    monkeypatch.setattr("fvdm_core.checkup.check_up", noted)
    command = ["check", str(video), "--model", str(file), "--device", "cpu"]
    assert main([*command, "--seed", "3"]) == 0
    said = capsys.readouterr().out
    assert "Missed of the clip" in said and GUESS in said
    shades = 32 * np.arange(7) if clips else 32 * each * np.arange(4)
    assert np.abs(seen[0][0] - shades).max() < 4 and seen[0][1:] == (None, 3)
    assert main([*command, "--label", "walk"]) == 1
    assert "label 'walk' is unknown" in capsys.readouterr().err
    write_video(video, clip(5), 24)
    assert main(command) == 1
    rate, sees = (8, 7) if clips else (8 / each, 4)
    said = f"clip.mp4 has 1 frame at {rate:g} a second, and Mine sees {sees}"
    assert said in capsys.readouterr().err
    assert main(["check", str(tmp_path / "gone.mp4"), *command[2:]]) == 1
    assert "gone.mp4" in capsys.readouterr().err
