"""What a network sees of frames that stand still, and that the frames themselves never change."""

from dataclasses import replace

import numpy as np
import pytest
import tiny
import torch

from fvdm_core import Pipeline
from fvdm_core.conditioning import _ROWS, replacement
from fvdm_core.noise import frame_noise
from fvdm_core.sampler import sample
from fvdm_core.schedule import NoiseSchedule
from fvdm_core.timeline import PRIORS, Timeline, Window

SCHEDULE = NoiseSchedule("linear")
LATENT = (3, 16, 16)


def start(frames, batch=1):
    return torch.randn(batch, frames, *LATENT, generator=torch.Generator().manual_seed(0))


def run(timeline, x, seeds=(5,), denoise=None, solver="ddim"):
    """The last state, and what the network was given in each call: x and t."""
    given = []

    def network(x, t):
        given.append((x.clone(), t.clone()))
        return torch.tanh(x) if denoise is None else denoise(x, t)

    show = replacement(timeline, SCHEDULE, seeds)
    states = sample(network, x, timeline, SCHEDULE, solver, seed=list(seeds), show=show)
    return list(states)[-1].x, given


@pytest.mark.parametrize("name", ["image-to-video", "interpolation", "next-frame", "transition"])
@pytest.mark.parametrize("solver", ["ddim", "ddpm", "dpmpp_2m"])
def test_the_network_is_told_one_timestep_and_kept_frames_stay_bit_for_bit(name, solver):
    timeline = Timeline.preset(name, frames=10, steps=5)
    x = start(10)
    end, given = run(timeline, x, solver=solver)
    kept = [frame for frame in range(10) if not timeline.levels[:, frame].any()]
    assert kept and torch.equal(end[:, kept], x[:, kept])
    assert len(given) == 5
    for step, (_, t) in enumerate(given):
        assert (t == timeline.levels[step].max() - 1).all()


def test_a_kept_frame_is_shown_with_the_noise_of_the_level_of_the_others():
    """(x_shown - signal x) / noise is unit Gaussian, fresh in every step."""
    timeline = Timeline.preset("image-to-video", frames=3, steps=4)
    x = start(3)
    _, given = run(timeline, x)
    noise = []
    for step, (shown, _) in enumerate(given):
        level = torch.tensor(timeline.levels[step, 1])
        eps = (shown[:, 0] - SCHEDULE.signal(level) * x[:, 0]) / SCHEDULE.noise(level)
        assert abs(eps.mean()) < 0.15 and abs(eps.std() - 1) < 0.1  # of 768 values
        noise.append(eps.flatten())
    assert torch.corrcoef(torch.stack(noise)).fill_diagonal_(0).abs().max() < 0.15


def test_the_noise_belongs_to_seed_row_and_frame():
    """A batch and windows show a kept frame just as a run of one sample and one window does."""
    levels = np.array([[0, 1000, 1000, 0], [0, 500, 500, 0], [0, 0, 0, 0]])
    alone, windowed = Timeline(levels), Timeline(levels)
    windows = [[Window([0, 1], [0, 1]), Window([2, 3], [2, 3])]] * 2
    windowed = Timeline(levels, windows=windows)
    x = start(4, batch=2)
    _, both = run(alone, x, seeds=(7, 8))
    _, second = run(alone, x[1:], seeds=(8,))
    _, parts = run(windowed, x, seeds=(7, 8))
    assert torch.equal(both[0][0][1:], second[0][0])
    assert torch.equal(torch.cat([parts[0][0], parts[1][0]], dim=1), both[0][0])


@pytest.mark.parametrize("prior", PRIORS)
def test_the_noise_is_of_the_prior(prior):
    levels = np.array([[1000] * 11 + [0], [0] * 12])
    timeline = Timeline(levels, prior=prior, prior_alpha=2.0).with_windows(8)
    x = start(12)
    _, given = run(timeline, x)
    signal, noise = SCHEDULE.pair(torch.tensor(1000))
    drawn = (given[-1][0][:, -1] - signal * x[:, 11]) / noise
    wanted = frame_noise(5, [11], _ROWS, LATENT, prior=prior, alpha=2.0, window=8)
    torch.testing.assert_close(drawn, wanted)


def test_what_is_predicted_of_a_frame_that_waits_is_of_what_the_network_saw_of_it():
    """A network that knows the clean clip predicts it in each step, of waiting frames too."""
    levels = np.array([[1000, 300, 0], [700, 300, 0], [400, 300, 0], [200, 200, 0], [0, 0, 0]])
    timeline = Timeline(levels=levels)
    clean, eps = start(3), start(3).flip(-1)
    x = SCHEDULE.q_sample(clean, torch.tensor(levels[:1]), eps)

    def knows(x, t):
        level = torch.where(t > 0, t + 1, 0)
        signal, noise = SCHEDULE.pair(level)
        return torch.where(noise > 0, (x - signal * clean) / noise.clamp(min=1e-9), 0.0)

    show = replacement(timeline, SCHEDULE, [5])
    for state in sample(knows, x, timeline, SCHEDULE, seed=[5], show=show):
        torch.testing.assert_close(state.pred_x_start, clean, rtol=1e-3, atol=1e-3)


def test_frames_that_move_and_noisier_ones_are_shown_as_they_are():
    levels = np.array([[1000, 600, 800, 800], [500, 600, 800, 800], [0, 600, 800, 400]])
    timeline = Timeline(levels)
    x = start(4)
    _, given = run(timeline, x)
    (first, told), (second, told_then) = given
    assert told.tolist() == [[999, 999, 999, 999]]
    assert torch.equal(first[:, 0], x[:, 0]) and not torch.equal(first[:, 1], x[:, 1])
    # in step 1 frames 0 and 3 come down from 500 and 800; frame 2 stands at 800 already
    assert told_then.tolist() == [[499, 799, 799, 799]]
    assert torch.equal(second[:, 2:], x[:, 2:])


def test_a_gaussian_clip_is_made_to_fit_the_kept_frame():
    """Clips whose frames are all alike: the best network with one timestep for the clip makes a
    frame that agrees with the one that is given, which it only ever sees noised.
    """

    def best(x, t):  # eps of x_start = one N(0, 1) value shared by all frames, each with its noise
        level = t + 1
        signal, noise = (f(level)[..., None, None, None] for f in (SCHEDULE.signal, SCHEDULE.noise))
        frames = x.shape[1]
        gain = signal / (noise**2 + frames * signal**2)  # E[x_start | x], all frames at one level
        x_start = gain * x.sum(dim=1, keepdim=True)
        return (x - signal * x_start) / noise

    x = start(3)
    given = x[:, :1]
    kept = Timeline.preset("image-to-video", frames=2, steps=50)
    made, _ = run(kept, x[:, :2], denoise=best)
    free, _ = run(Timeline.preset("standard", frames=2, steps=50), x[:, 1:], denoise=best)

    def agreement(end, frame):  # correlation of a frame with the one that is given
        return float(torch.corrcoef(torch.stack([end[0, frame].flatten(), given.flatten()]))[0, 1])

    assert abs(agreement(free, 0)) < 0.15
    assert agreement(made, 1) > 0.6


@pytest.fixture(scope="module")
def pipe(tmp_path_factory):
    return tiny.load(tiny.save_tiny(tmp_path_factory.mktemp("tiny")))


PICTURE = {0: np.full((8, 8, 3), 200, np.uint8)}


def test_a_model_with_one_timestep_for_the_clip_has_its_kept_frames_noised(pipe, monkeypatch):
    timeline = Timeline.preset("image-to-video", frames=4, steps=3)
    clean = pipe(timeline, keyframes=PICTURE, seed=1)
    asked = pipe(timeline, keyframes=PICTURE, seed=1, conditioning="replacement")
    monkeypatch.setattr(pipe, "card", replace(pipe.card, timesteps="scalar"))
    usual = pipe(timeline, keyframes=PICTURE, seed=1)
    chosen = pipe(timeline, keyframes=PICTURE, seed=1, conditioning="clean")
    assert clean.recipe["conditioning"] == chosen.recipe["conditioning"] == "clean"
    assert usual.recipe["conditioning"] == asked.recipe["conditioning"] == "replacement"
    assert np.array_equal(clean.frames, chosen.frames)
    assert np.array_equal(asked.frames, usual.frames)
    assert not np.array_equal(clean.frames, asked.frames)
    assert np.array_equal(clean.frames[0], asked.frames[0])


def test_what_makes_no_sense_is_refused(pipe: Pipeline):
    timeline = Timeline.preset("image-to-video", frames=4, steps=3)
    with pytest.raises(ValueError, match="conditioning is 'noisy'; it must be one of clean, repl"):
        pipe.stream(timeline, keyframes=PICTURE, conditioning="noisy")
    seen = Timeline(timeline.levels, seen={0: 100})
    with pytest.raises(ValueError, match="frame 1.*leave out one"):
        pipe.stream(seen, keyframes=PICTURE, conditioning="replacement")


@pytest.mark.parametrize(
    ("levels", "together"),
    [
        ([[1000, 1000, 0], [500, 500, 0], [0, 0, 0]], True),
        ([[1000, 1000], [0, 1000], [0, 0]], True),  # one after the other
        ([[1000, 500], [500, 0]], False),
        ([[1000, 700], [500, 700], [700, 700]], True),  # up again, while another rests
    ],
)
def test_whether_what_moves_stands_at_one_level(levels, together):
    assert Timeline(np.array(levels)).moves_together is together


def test_clips_of_a_batch_are_conditioned_as_each_alone(pipe):
    timeline = Timeline.preset("image-to-video", frames=4, steps=3)
    for conditioning in ("clean", "replacement"):
        options = {"conditioning": conditioning, "label": "sky"}
        both = pipe.batch(timeline, [3, 4], [PICTURE, PICTURE], **options)
        for seed, clip in zip([3, 4], both, strict=True):
            alone = pipe(timeline, keyframes=PICTURE, seed=seed, **options)
            assert np.abs(clip.frames.astype(int) - alone.frames).max() <= 1
            assert clip.recipe == {**alone.recipe, "batch": 2} and clip.fps == alone.fps
