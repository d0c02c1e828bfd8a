"""What a check of a model says, of networks whose error is known in closed form."""

import numpy as np
import pytest
import torch
from einops import einsum
from torch import nn

from fvdm_core import NoiseSchedule, Pipeline
from fvdm_core.__main__ import main
from fvdm_core.card import ModelCard
from fvdm_core.checkup import LEVELS, check_up, readings, tellings
from fvdm_core.media import write_video
from fvdm_core.network import NetworkShape, PixelSpace

FRAMES, SIZE = 16, 32
COVARIANCE = 0.998 * torch.ones(FRAMES, FRAMES) + 0.002 * torch.eye(FRAMES)
VP = ("eps", "x0", "v")


class Scaled(PixelSpace):
    """Pixels as latents of four times their size."""

    def encode(self, video):
        return 4 * video

    def decode(self, latents):
        return latents / 4


class Gaussian(nn.Module):
    """The best predictor of values that are Gaussian, and of frames that hang together."""

    config = NetworkShape(FRAMES, 3, SIZE)

    def __init__(self, schedule):
        super().__init__()
        self.schedule = schedule
        self.levels_of = {
            float(schedule.timesteps(torch.tensor(n))): n for n in range(1001, -1, -1) if n <= 1000
        }

    def forward(self, x, t, y=None):
        assert y is None
        levels = torch.tensor([[self.levels_of[float(each)] for each in row] for row in t])
        signal, noise = self.schedule.signal(levels), self.schedule.noise(levels)
        frames = x.shape[1]
        some = COVARIANCE[:frames, :frames]
        mixed = signal[:, :, None] * some * signal[:, None, :]
        seen = torch.linalg.pinv(mixed + torch.diag_embed(noise**2))
        gain = some * signal[:, None, :] @ seen
        x_start = einsum(gain, x, "b f g, b g c h w -> b f c h w")
        signal, noise = self.schedule.pair(levels)
        eps = (x - signal * x_start) / noise.clamp(min=1e-5)
        return self.schedule.target(x_start, levels, eps)


def clip(seed=0):
    """Frames whose latents have the covariance, uint8 (F, H, W, 3)."""
    drawn = torch.randn(FRAMES, SIZE * SIZE * 3, generator=torch.Generator().manual_seed(seed))
    values = (torch.linalg.cholesky(COVARIANCE) @ drawn).reshape(FRAMES, SIZE, SIZE, 3) / 4
    return ((values.clamp(-1, 1) + 1) * 127.5).round().to(torch.uint8).numpy()


def made(network, schedule, coder=None, **card):
    card = ModelCard(name="Mine", **card)
    return Pipeline(network, coder or Scaled(), schedule, card, device="cpu", dtype=torch.float32)


def schedule_of(kind):
    return NoiseSchedule("flow" if kind == "flow" else "cosine", prediction_type=kind)


def left(schedule, levels):
    """What of the variance is left in each frame when the others are known, too."""
    signal = schedule.signal(torch.tensor(levels)).double()
    noise = schedule.noise(torch.tensor(levels)).double().clamp(min=1e-6)
    inverse = COVARIANCE.double().inverse() + torch.diag((signal / noise) ** 2)
    return inverse.inverse().diagonal()


@pytest.mark.parametrize("kind", [*VP, "flow"])
def test_a_perfect_network_misses_what_cannot_be_known_and_nothing_is_suspected(kind):
    schedule = schedule_of(kind)
    found = check_up(made(Gaussian(schedule), schedule), clip())
    assert [row.level for row in found.rows] == list(LEVELS)
    for row in found.rows:
        alike = float(left(schedule, [row.level] * FRAMES).mean())
        evens = left(schedule, [row.level, 0] * (FRAMES // 2))[::2]
        odds = left(schedule, [0, row.level] * (FRAMES // 2))[1::2]
        assert row.alike == pytest.approx(alike, rel=0.05)
        assert row.among_clean == pytest.approx(float(torch.cat([evens, odds]).mean()), rel=0.05)
        signal, noise = (float(part) for part in schedule.pair(torch.tensor(row.level)))
        assert row.guess == pytest.approx(noise**2 / (signal**2 + noise**2), rel=0.03)
        assert (row.signal, row.noise) == (signal, noise)
    assert found.suspects == () and str(found).endswith("Nothing suspicious.")
    assert found.scale == pytest.approx(1, abs=0.02) and found.mean == pytest.approx(0, abs=0.05)
    assert found.psnr == 100  # nothing is lost in pixels
    assert found.seconds > 0


@pytest.mark.parametrize("said", VP)
@pytest.mark.parametrize("meant", VP)
def test_it_is_told_what_the_network_predicts(said, meant):
    found = check_up(made(Gaussian(schedule_of(meant)), schedule_of(said)), clip())
    named = [suspect for suspect in found.suspects if f"({meant!r})" in suspect]
    assert len(named) == (said != meant)
    assert all("it knows more if taken to predict" in suspect for suspect in named)


@pytest.mark.parametrize("kind", ["v", "flow"])
def test_it_is_told_that_a_sign_is_turned(kind):
    schedule = schedule_of(kind)
    network = Gaussian(schedule)

    class Turned(nn.Module):
        config = network.config

        def forward(self, x, t, y=None):
            return -network(x, t)

    said = " ".join(check_up(made(Turned(), schedule), clip()).suspects)
    assert f"with its sign turned (−{kind})" in said


WANTS = {
    "told t / 1000": lambda t, _: t * 1000,
    "told the time backwards": lambda t, last: last - t,
}


@pytest.mark.parametrize("kind", ["x0", "flow"])
@pytest.mark.parametrize("name", WANTS)
def test_it_is_told_how_the_network_wants_the_time(name, kind):
    schedule = schedule_of(kind)
    network, last = Gaussian(schedule), 1000 if kind == "flow" else 999

    class Other(nn.Module):
        config = network.config

        def forward(self, x, t, y=None):
            return network(x, WANTS[name](t, last).round().clamp(0, last))

    said = check_up(made(Other(), schedule), clip()).suspects
    assert sum(name in suspect for suspect in said) == 1


@pytest.mark.parametrize("said", ["linear", "linear-continuous", "cosine"])
@pytest.mark.parametrize("meant", ["linear", "cosine"])
def test_it_is_told_of_which_schedule_the_network_wants_the_time(said, meant):
    schedule = NoiseSchedule(said, prediction_type="x0")
    network = Gaussian(NoiseSchedule(meant, prediction_type="x0"))
    suspects = [each for each in check_up(made(network, schedule), clip()).suspects]
    named = [each for each in suspects if f"told the time of the schedule {meant!r}" in each]
    assert len(named) == len(suspects) == ((said == "cosine") != (meant == "cosine"))


def test_the_time_of_another_schedule_is_that_of_as_much_noise():
    schedule, other = NoiseSchedule("cosine"), NoiseSchedule("linear")
    levels = torch.tensor([[0, 1, 333, 1000]])
    t = tellings(schedule)["told the time of the schedule 'linear'"](levels)
    assert t.shape == levels.shape and t[0, 0] == 0
    assert (other.noise(t + 1) - schedule.noise(levels))[0, 1:].abs().max() < 0.005
    assert tellings(NoiseSchedule("flow", prediction_type="flow")).keys() == {"", *WANTS}
    own = NoiseSchedule.from_function(lambda s: 1 - s)
    assert len(tellings(own)) == 6


def test_times_that_a_network_cannot_be_told_are_left_out(caplog):
    schedule = schedule_of("x0")  # told whole numbers from 0 to 999; Gaussian knows no others
    found = check_up(made(Gaussian(schedule), schedule_of("v")), clip())
    assert "('x0')" in " ".join(found.suspects)
    assert not caplog.records


class Scalar(Gaussian):
    """Knows only the first frame's time."""

    def forward(self, x, t, y=None):
        return super().forward(x, t[:, :1].expand_as(t))


class Zero(nn.Module):
    config = Gaussian.config

    def forward(self, x, t, y=None):
        return torch.zeros_like(x)


class Restless(Gaussian):
    def forward(self, x, t, y=None):
        return super().forward(x, t) + torch.randn_like(x)


class Leaking(Gaussian):
    def forward(self, x, t, y=None):
        return super().forward(x.mean(0, keepdim=True).expand_as(x), t)


class Fixed(Gaussian):
    def forward(self, x, t, y=None):
        if x.shape[1] != FRAMES:
            raise ValueError("positions are for 16 frames")
        return super().forward(x, t)


@pytest.mark.parametrize(
    "network, suspects",
    [
        (Scalar, ["clean frames beside noisy ones do not help"]),
        (Zero, ["knows less of the clip than a guess", "clean frames beside noisy ones"]),
        (Restless, ["knows less of the clip than a guess", "two calls with the same x differ"]),
        (Leaking, ["depends on the others of its batch"]),
        (Fixed, ["cannot be called with 1 of its 16 frames (positions are for 16 frames)"]),
    ],
)
def test_what_a_sampler_relies_on_is_tried(network, suspects):
    schedule = schedule_of("x0")
    inside = network() if network is Zero else network(schedule)
    found = check_up(made(inside, schedule), clip())
    assert len(found.suspects) == len(suspects)
    for said, expected in zip(found.suspects, suspects, strict=True):
        assert expected in said
        assert f"Look at this: {said}" in str(found)


def test_latents_of_another_scale_are_suspicious():
    schedule = schedule_of("x0")
    found = check_up(made(Gaussian(schedule), schedule, PixelSpace()), clip())
    assert "the latents' standard deviation is 0.25; noise has 1" in found.suspects[0]


def test_every_prediction_type_is_among_the_readings_and_the_own_one_is_the_first():
    x, output = torch.randn(2, 1, FRAMES, 3, 2, 2, generator=torch.Generator().manual_seed(0))
    levels = torch.full((1, FRAMES), 400)
    for kind in (*VP, "flow"):
        schedule = schedule_of(kind)
        made = readings(schedule)
        first = next(iter(made))
        assert first == "" and torch.equal(
            made[first](x, output, levels), schedule.pred_x_start(x, output, levels)
        )
        others = {name.rpartition("(")[2].strip(")'") for name in made if name}
        assert others == ({"x0", "−flow"} if kind == "flow" else ({*VP} - {kind}) | {"−v"})
        assert schedule.prediction_type == kind


def test_labels_and_frames_are_checked_and_the_network_is_given_its_own():
    schedule, given = schedule_of("x0"), []

    class Labelled(Gaussian):
        config = NetworkShape(FRAMES, 3, SIZE, num_classes=2)

        def forward(self, x, t, y=None):
            given.append(y.tolist())
            return super().forward(x, t)

    pipe = made(Labelled(schedule), schedule, labels=("walk", "run"))
    check_up(pipe, clip(), "run")
    assert {tuple(y) for y in given} == {(1,), (1, 1)}
    given.clear()
    check_up(pipe, clip())
    assert {tuple(y) for y in given} == {(2,), (2, 2)}
    with pytest.raises(ValueError, match="label 'jump' is unknown"):
        check_up(pipe, clip(), "jump")
    with pytest.raises(ValueError, match=r"shape \(3, 32, 32, 3\); it must be \(16, 32, 32, 3\)"):
        check_up(pipe, clip()[:3])
    with pytest.raises(ValueError, match="latents of the clip are all alike"):
        check_up(pipe, np.full((FRAMES, SIZE, SIZE, 3), 128, np.uint8))


def test_latents_that_stand_for_several_frames_are_stills_and_nothing_is_decoded():
    class Slow(Scaled):
        frames_per_latent = 3

        def decode(self, latents):
            raise AssertionError

    schedule = schedule_of("x0")
    found = check_up(made(Gaussian(schedule), schedule, Slow()), clip())
    assert found.psnr is None and "dB" not in str(found)


OWN = """
import torch
from fvdm_core import NoiseSchedule, Pipeline
from fvdm_core.card import ModelCard
from fvdm_core.network import NetworkShape, PixelSpace

class Mine(torch.nn.Module):
    config = NetworkShape(16, 3, 32)
    def forward(self, x, t, y=None):
        {body}
def load():
    schedule = NoiseSchedule("cosine", prediction_type="x0")
    return Pipeline(Mine(), PixelSpace(), schedule, ModelCard(name="Mine", fps=8))
"""


def test_the_command_checks_a_model_with_a_video(tmp_path, capsys):
    file, video = tmp_path / "mine.py", tmp_path / "clip.mp4"
    file.write_text(OWN.format(body="return 0 * x"))
    write_video(video, np.repeat(clip(), 3, axis=0), 24)  # of 16 frames at 8 a second
    command = ["check", str(video), "--model", str(file), "--device", "cpu"]
    assert main(command) == 0
    said = capsys.readouterr().out
    assert "Missed of the clip" in said and "knows less of the clip than a guess" in said
    assert main([*command, "--label", "walk"]) == 1
    assert "label 'walk' is unknown" in capsys.readouterr().err
    write_video(video, clip(), 24)
    assert main(command) == 1
    said = capsys.readouterr().err
    assert "clip.mp4 has 5 frames at 8 a second, and Mine sees 16 at once" in said
    assert main(["check", str(tmp_path / "gone.mp4"), *command[2:]]) == 1
    assert "gone.mp4" in capsys.readouterr().err
