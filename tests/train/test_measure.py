"""Balls are found through blur and noise; a clip that loses, gains or recolours one is caught."""

import cv2
import numpy as np
import pytest

from train.worlds import UNSEEN, render
from train.worlds.collisions import BALL_COLORS
from train.worlds.measure import balls_are_constant, detect_balls, motion_energy


def degraded(video: np.ndarray, seed: int = 0) -> np.ndarray:
    """Blurred, noisy and JPEG-compressed, at about 30 dB, like an autoencoder's reconstruction."""
    rng = np.random.default_rng(seed)
    frames = []
    for frame in video:
        soft = cv2.GaussianBlur(frame, (0, 0), 0.7)
        noisy = np.clip(soft + rng.normal(0, 5, frame.shape), 0, 255).astype(np.uint8)
        _, packed = cv2.imencode(".jpg", noisy, [cv2.IMWRITE_JPEG_QUALITY, 80])
        frames.append(cv2.imdecode(packed, cv2.IMREAD_COLOR))
    return np.stack(frames)


@pytest.fixture(scope="module")
def clips():
    return [render("collisions", UNSEEN + seed) for seed in range(40)]


def without_ball(clip, ball: int, frames: slice) -> np.ndarray:
    """The clip with one ball's disc replaced by floor."""
    return painted(clip, ball, frames, np.median(clip.video[0].reshape(-1, 3), axis=0))


def painted(clip, ball: int, frames: slice, color: np.ndarray) -> np.ndarray:
    """The clip with one ball's disc in another, flat colour."""
    video = clip.video.copy()
    at = (np.arange(64) + 0.5) / 64
    for frame in range(*frames.indices(len(video))):
        x, y = clip.factors["positions"][frame, ball]
        reach = clip.factors["radii"][ball] + 0.01
        inside = (at[None, :] - x) ** 2 + (at[:, None] - y) ** 2 < reach**2
        video[frame][inside] = color
    return video


def test_real_clips_pass(clips):
    assert all(balls_are_constant(clip.video) for clip in clips)


def test_real_clips_pass_through_blur_noise_and_jpeg(clips):
    worn = [degraded(clip.video, clip.seed % 1000) for clip in clips]
    error = np.mean([(w.astype(float) - c.video) ** 2 for w, c in zip(worn, clips, strict=True)])
    assert 27 < -10 * np.log10(error / 255**2) < 32
    assert all(balls_are_constant(video) for video in worn)


@pytest.mark.parametrize("size", [64, 128])
def test_detection_agrees_with_the_factors(size):
    for seed in range(6):
        clip = render("collisions", seed, 4, size=size)
        factors = clip.factors
        for frame, places in zip(clip.video, factors["positions"], strict=True):
            found = detect_balls(frame)
            order = np.argsort(factors["colors"])
            assert [ball.colour for ball in found] == factors["colors"][order].tolist()
            for ball, k in zip(found, order, strict=True):
                assert np.hypot(ball.x - places[k, 0], ball.y - places[k, 1]) < 0.02
                assert abs(ball.radius - factors["radii"][k]) < 0.015


@pytest.mark.parametrize("frames", [slice(14, 16), slice(7, 9), slice(4, 16)])
def test_a_ball_that_vanishes_is_caught(clips, frames):
    assert not any(balls_are_constant(without_ball(clip, 0, frames)) for clip in clips[:10])


@pytest.mark.parametrize("frames", [slice(14, 16), slice(0, 2), slice(8, 16)])
def test_a_ball_that_changes_colour_is_caught(clips, frames):
    for clip in clips[:10]:
        unused = next(k for k in range(len(BALL_COLORS)) if k not in clip.factors["colors"])
        assert not balls_are_constant(painted(clip, 1, frames, BALL_COLORS[unused]))
        neighbour = BALL_COLORS[clip.factors["colors"][0]]  # a swap to a colour already there
        assert not balls_are_constant(painted(clip, 1, frames, neighbour))


def test_a_ball_that_appears_is_caught(clips):
    for clip in clips[:10]:
        assert not balls_are_constant(without_ball(clip, 0, slice(0, 13)))


def test_a_ball_that_fades_away_is_caught(clips):
    """Half way to the floor it may still count; nearly gone it does not."""
    for clip in clips[:6]:
        gone = without_ball(clip, 0, slice(0, 16)).astype(float)
        fade = np.linspace(0, 1, 16)[:, None, None, None]
        assert not balls_are_constant((clip.video * (1 - fade) + gone * fade).astype(np.uint8))


def test_a_second_ball_of_the_same_colour_counts(clips):
    clip = clips[2]  # two balls that come far apart: where they touch they would be one blob
    first = BALL_COLORS[clip.factors["colors"][0]]
    gap = np.linalg.norm(np.diff(clip.factors["positions"], axis=1)[:, 0], axis=-1)
    apart = int(gap.argmax())
    assert len(clip.factors["radii"]) == 2 and gap[apart] > 0.45
    found = detect_balls(painted(clip, 1, slice(apart, apart + 1), first)[apart])
    assert [ball.colour for ball in found] == [clip.factors["colors"][0]] * 2


def test_an_empty_floor_has_no_balls():
    floor = np.full((4, 64, 64, 3), (206, 214, 222), np.uint8)
    assert detect_balls(floor[0]) == []
    assert not balls_are_constant(floor)


@pytest.mark.parametrize(
    ("frame", "named"),
    [
        (np.zeros((32, 32, 3), np.uint8), "32 pixels"),
        (np.zeros((64, 64, 3), np.float32), "float32"),
        (np.zeros((64, 64), np.uint8), r"\(64, 64\)"),
    ],
)
def test_detection_refuses_what_it_cannot_read(frame, named):
    with pytest.raises(ValueError, match=named):
        detect_balls(frame)


def test_motion_energy_is_the_mean_change():
    video = np.zeros((3, 8, 8, 3), np.uint8)
    video[1] = 51  # up by a fifth of the range, then down again
    assert motion_energy(video) == pytest.approx(0.2)
    assert motion_energy(np.repeat(video[:1], 4, 0)) == 0.0
    with pytest.raises(ValueError, match="1 frames"):
        motion_energy(video[:1])
