"""Against the truth: figures by hand, and clips whose faults are known."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from toys import Frozen, LosesBalls, RealClips

from fvdm_core.timeline import Timeline
from train.evaluation import constancy, long, truth
from train.evaluation.common import figure
from train.evaluation.constancy import (
    ball_tracks,
    color_change,
    momentum_change,
    number_kept,
    size_change,
)
from train.evaluation.inbetween import cross_fade, flow, hold
from train.evaluation.long import drift, seam_change, seams
from train.evaluation.truth import ssim
from train.worlds import UNSEEN, render


def same(video):
    return video


def flat(*levels, size=16):
    """One grey picture per level, uint8 (F, size, size, 3)."""
    grey = np.array(levels, np.uint8)[:, None, None, None]
    return np.broadcast_to(grey, (len(levels), size, size, 3)).copy()


def sliding(frames, size=64):
    """Soft noise that moves two pixels to the right per frame."""
    rng = np.random.default_rng(0)
    x = np.arange(size)[None, :] - 2 * np.arange(frames)[:, None]
    y = np.arange(size)
    waves = rng.uniform(-0.35, 0.35, (12, 2))
    phases = rng.uniform(0, 6.28, 12)
    picture = np.zeros((frames, size, size))
    for (u, v), phase in zip(waves, phases, strict=True):
        picture += np.sin(u * x[:, None, :] + v * y[None, :, None] + phase)
    grey = np.clip(128 + 25 * picture, 0, 255).astype(np.uint8)
    return np.repeat(grey[..., None], 3, -1)


def test_ssim_in_closed_form():
    a, b = 60, 120
    c1 = (0.01 * 255) ** 2
    expected = (2 * a * b + c1) / (a * a + b * b + c1)  # flat pictures have no variance
    assert ssim(flat(a), flat(b)) == pytest.approx(expected)
    clip = render("sky", UNSEEN, 2, 32).video
    assert ssim(clip, clip) == pytest.approx(1)
    # the same contrast the other way round, about the same mean: the covariance changes sign
    grid = np.where(np.indices((1, 32, 32)).sum(0) % 2, 96, 160).astype(np.uint8)
    grid = np.repeat(grid[..., None], 3, -1)
    assert ssim(grid, 255 - grid + 1) == pytest.approx(-1, abs=0.06)
    with pytest.raises(ValueError, match="SSIM needs 11"):
        ssim(clip[:, :8], clip[:, :8])


def test_holding_and_fading_by_hand():
    video = flat(10, 0, 0, 0, 50, 0, 0)
    levels = {fill: fill(video, (0, 4))[:, 0, 0, 0].tolist() for fill in (hold, cross_fade)}
    assert levels[hold] == [10, 10, 10, 50, 50, 50, 50]
    assert levels[cross_fade] == [10, 20, 30, 40, 50, 50, 50]


def test_optical_flow_follows_what_moves():
    video = sliding(5)
    damaged = video.copy()
    damaged[1:4] = 0  # the answers are not looked at
    moved = flow(damaged, (0, 4))
    assert np.array_equal(moved[[0, 4]], video[[0, 4]])
    inner = np.s_[1:4, 12:-12, 12:-12]
    error = {fill: np.abs(fill(damaged, (0, 4))[inner].astype(int) - video[inner]).mean()
             for fill in (hold, cross_fade, flow)}  # fmt: skip
    assert error[flow] < 0.25 * min(error[hold], error[cross_fade])
    damaged = video.copy()
    damaged[4] = 0
    edge = np.s_[4, 12:-12, 12:-12]
    ahead = np.abs(flow(damaged, (0, 1, 2, 3))[edge].astype(int) - video[edge]).mean()
    still = np.abs(hold(damaged, (0, 1, 2, 3))[edge].astype(int) - video[edge]).mean()
    assert ahead < 0.25 * still


def test_a_figure_is_a_mean_with_its_standard_error():
    assert figure([1, 2, 3, np.nan]) == (2.0, pytest.approx(1 / np.sqrt(3)), 3)
    assert figure([1, 2, 3]).show(1) == "2.0 ± 0.6"
    assert figure([2.0]).show(1) == "2.0"
    assert figure([np.nan]).show(1) == ""


def test_a_perfect_model_has_the_truth_and_the_others_have_not():
    rows = truth.measure(RealClips("figures"), same, seeds=1)
    assert [row.task for row in rows] == ["interpolation", "next-frame"]
    for row in rows:
        assert (row.psnr["model"].mean, row.ssim["model"].mean) == (100.0, pytest.approx(1))
        assert row.psnr["hold"].mean < 40 and row.ssim["hold"].mean < 0.99
    assert "cross-fade" not in rows[1].psnr
    lines = truth.table(rows).splitlines()
    assert len(lines) == 6 and len({len(line) for line in lines}) == 1
    # only frames that were made are compared: of a clip that is held, no kept one counts
    frozen = truth.measure(Frozen("figures"), same, seeds=1)
    assert frozen[1].psnr["model"].mean < rows[1].psnr["hold"].mean


def test_balls_that_only_meet_each_other_keep_their_momentum():
    found = []
    for seed in range(6):
        factors = render("collisions", UNSEEN + seed, 16, 16).factors
        places, radii = factors["positions"], np.tile(factors["radii"], (16, 1))
        found.append(momentum_change(places, radii))
    known = [value for value in found if not np.isnan(value)]
    assert len(known) >= 4 and max(known) < 1e-9


def test_a_slow_clip_has_more_time_to_meet_a_wall_between_two_frames():
    found = []
    for seed in range(12):
        factors = render("collisions", UNSEEN + seed, 16, 16, fps=4).factors
        places, radii = factors["positions"], np.tile(factors["radii"], (16, 1))
        found.append(momentum_change(places, radii, fps=4))
    known = [value for value in found if not np.isnan(value)]
    assert len(known) >= 4 and max(known) < 1e-9


def test_momentum_by_hand():
    radii = np.full((5, 1), 0.1)
    places = np.full((5, 1, 2), 0.5)
    places[:, 0, 0] = [0.40, 0.42, 0.44, 0.42, 0.40]  # turns in the middle of nowhere
    # three steps from one to the next: no change, twice the momentum, no change
    assert momentum_change(places, radii) == pytest.approx(2 / 3)
    places[:, 0, 0] -= 0.28  # the same at the wall
    assert np.isnan(momentum_change(places, radii))
    places[:, 0, 0] += 0.28
    radii[2] = np.nan  # not seen when it turns
    assert np.isnan(momentum_change(places, radii))


def test_balls_are_measured_on_pictures():
    clip = render("collisions", UNSEEN + 1)
    places, radii = ball_tracks(clip.video)
    colors = clip.factors["colors"]
    assert np.abs(places[:, colors] - clip.factors["positions"]).max() < 0.02
    assert number_kept(clip.video) == 1 and size_change(radii) < 0.05
    gone = LosesBalls().change(clip.video, 1)
    assert number_kept(gone) == pytest.approx(14 / 15)
    growing = np.linspace(0.1, 0.2, 16)[:, None]
    assert size_change(growing) == pytest.approx(growing.std() / growing.mean())
    assert np.isnan(size_change(np.full((4, 6), np.nan)))
    jumbled = places[np.random.default_rng(0).permutation(16)]
    real, wrong = momentum_change(places, radii), momentum_change(jumbled, radii)
    assert wrong > 3 * real


def test_a_face_that_changes_colour_is_seen_and_one_that_talks_is_not():
    for seed in range(4):
        video = render("faces", UNSEEN + seed, 8).video
        assert max(color_change(video).values()) < 6
    tinted = video.copy()
    tinted[4:, 50:, 15:50] = 255 - tinted[4:, 50:, 15:50]  # another shirt half way through
    still, changed = color_change(video), color_change(tinted)
    assert changed["shirt"] > still["shirt"] + 10
    assert (changed["skin"], changed["background"]) == (still["skin"], still["background"])


def test_a_colour_distance_by_hand():
    """Greys differ in lightness alone: L* is 0 for black and 100 for white."""
    video = flat(0, 255, 0)
    assert color_change(video)["skin"] == pytest.approx(50, abs=0.1)


def test_constancy_of_a_real_model_is_that_of_real_clips():
    rows = constancy.measure(RealClips("sky", "faces", "collisions"), same, seeds=1)
    assert {row.world for row in rows} == {"faces", "collisions"}
    by_world = {row.world: [] for row in rows}
    for row in rows:
        by_world[row.world].append(row.figures)
    for figures in by_world.values():
        assert len(figures) == 5 and all(str(f) == str(figures[0]) for f in figures)
    shown = constancy.table(rows)
    assert "| collisions " in shown and "| skin ΔE" in shown and "after autoencoder" in shown


def test_seams_lie_where_windows_hop():
    extend = Timeline.preset("extend", frames=32, steps=2, window=16, given=0)
    assert seams(extend) == [16, 24]
    given = Timeline.preset("extend", frames=24, steps=2, window=16, given=8)
    assert seams(given) == [8, 16]
    assert seams(Timeline.preset("diagonal", frames=32, steps=16, window=16)) == []
    sparse = Timeline.preset("hierarchical", frames=9, steps=2, window=16, every=4)
    assert seams(sparse) == [1, 4, 5, 8]


def test_seams_and_drift_by_hand():
    video = flat(0, 1, 2, 12, 13, 14)
    assert seam_change(video, [3]) == pytest.approx(10)
    assert np.isnan(seam_change(video, []))
    latents = np.random.default_rng(0).standard_normal((8, 2, 3, 3))
    window = latents[:2] - latents[:2].mean((0, 2, 3), keepdims=True)
    deviation = window.std(axis=(0, 2, 3), keepdims=True)
    moved = [window, window + 2 * deviation, 3 * window, window[:1]]
    shift, spread = drift(np.concatenate(moved), 2)
    assert shift == pytest.approx([0, 2, 0], abs=1e-9)
    assert spread == pytest.approx([1, 1, 3])


def test_long_clips_beside_real_ones():
    def encode(video):
        return video[:, ::16, ::16].transpose(0, 3, 1, 2).astype(float)

    rows = long.measure(RealClips("figures"), encode, seeds=1, frames=40)
    real, extend, diagonal, hierarchical = rows
    assert [row.order for row in rows] == ["real", *long.ORDERS]
    assert real.shift == extend.shift == diagonal.shift  # this model makes the real clip
    assert len(real.shift) == 2 and real.shift[0].mean == 0 and real.shift[1].mean > 0
    assert real.seam.clips == diagonal.seam.clips == 0
    assert 0.5 < extend.seam.mean < 2 and hierarchical.seam.clips == 1
    assert len(long.table(rows).splitlines()) == 2 + 2 * 4
    with pytest.raises(ValueError, match="long_frames is 16"):
        long.measure(RealClips("figures"), encode, seeds=1, frames=16)


def test_long_clips_start_from_the_models_own_noise():
    model = RealClips("figures")
    model.card = replace(model.card, prior="mixed", prior_alpha=2.5)
    long.measure(model, lambda video: np.zeros((len(video), 2, 3, 3)), 1, 40, prior="mixed")
    assert {(each.prior, each.prior_alpha) for each in model.timelines} == {("mixed", 2.5)}


def test_a_length_that_one_order_cannot_have_is_refused_before_any_work():
    def encode(video):
        raise AssertionError("a clip was rendered already")

    model = RealClips("figures")
    with pytest.raises(ValueError, match="524"):
        long.measure(model, encode, seeds=1, frames=524)
    assert model.asked == []
