"""The training loss: statistics of the timestep draw, and values against closed forms."""

import math
from fractions import Fraction

import pytest
import torch
from torch.distributions import Normal, kl_divergence

from fvdm_core.loss import (
    diffusion_loss,
    keep_frames,
    lone_frames,
    sample_timesteps,
    shift_levels,
    stagger_frames,
    variational_term,
)
from fvdm_core.schedule import NoiseSchedule

SHAPE = (4, 5, 2, 3, 3)  # B, F, C, H, W


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def batch(seed=0):
    """Clean latents, noise, and levels in 1…1000."""
    generator = seeded(seed)
    x_start, noise = torch.randn(2, *SHAPE, generator=generator)
    return x_start, noise, torch.randint(1, 1001, SHAPE[:2], generator=generator)


def one_level(levels):
    """Whether all frames of each sample have one level, (B,)."""
    return (levels == levels[:, :1]).all(dim=1)


def wide(values):
    return values[..., None, None, None]


@pytest.mark.parametrize("p", [0.2, 0.5])
def test_ptss_gives_the_share_1_minus_p_of_the_clips_one_timestep(p):
    levels = sample_timesteps(10_000, 8, p, generator=seeded())
    assert one_level(levels).float().mean().item() == pytest.approx(1 - p, abs=0.02)  # 4 sigma


def test_ptss_is_exact_at_its_ends():
    assert one_level(sample_timesteps(2000, 8, 0.0, generator=seeded())).all()
    assert not one_level(sample_timesteps(2000, 8, 1.0, generator=seeded())).any()


def test_ptss_is_drawn_for_each_sample_of_a_batch():
    levels = sample_timesteps(200, 8, 0.5, generator=seeded())
    shared = one_level(levels)
    assert shared.any() and not shared.all()
    assert levels[shared, 0].unique().numel() > 50


@pytest.mark.parametrize("p", [0.0, 0.2, 1.0])
def test_ptss_marginals_are_uniform(p):
    levels = sample_timesteps(20_000, 3, p, generator=seeded(1))
    assert levels.min() == 1 and levels.max() == 1000
    for frame in range(3):
        counts = torch.histc(levels[:, frame].float(), bins=20, min=0.5, max=1000.5)
        chi_square = ((counts - 1000) ** 2 / 1000).sum().item()
        assert chi_square < 43.8  # 19 degrees of freedom, p = 0.001


def test_stratified_levels_lie_one_in_each_part_and_are_as_likely_as_before():
    batches = [
        sample_timesteps(8, 3, 0.0, 1000, stratified=True, generator=seeded(s)) for s in range(2000)
    ]
    firsts = torch.stack(batches)[..., 0]  # (2000, 8)
    assert ((firsts - 1) * 8 // 1000).sort(dim=1).values.eq(torch.arange(8)).all()
    assert firsts.min() == 1 and firsts.max() == 1000
    for sample in range(8):  # the parts change hands, so every sample sees all levels
        assert firsts[:, sample].float().mean().item() == pytest.approx(500.5, abs=26)  # 4 sigma


def test_ptss_frames_of_an_independent_clip_do_not_correlate():
    levels = sample_timesteps(20_000, 2, 1.0, generator=seeded()).double()
    assert abs(torch.corrcoef(levels.T)[0, 1].item()) < 0.03


def test_ptss_repeats_with_its_generator_and_takes_another_range():
    draws = [sample_timesteps(50, 4, generator=seeded(3)) for _ in range(2)]
    assert torch.equal(*draws)
    few = sample_timesteps(500, 4, num_train_timesteps=7, generator=seeded())
    assert few.unique().tolist() == [1, 2, 3, 4, 5, 6, 7]


@pytest.mark.parametrize("p", [-0.1, 1.1, math.nan])
def test_ptss_refuses_what_is_no_probability(p):
    with pytest.raises(ValueError, match="p_independent is"):
        sample_timesteps(2, 2, p)


def test_shifted_levels_follow_their_formula_and_keep_the_whole_range():
    levels = torch.arange(1, 1001)
    assert shift_levels(levels, 1.0) is levels
    for shift in (Fraction(1, 10), Fraction(1, 2), Fraction(3)):
        moved = shift_levels(levels, float(shift))
        expected = [shift * n / (1 + (shift - 1) * n / 1000) for n in range(1, 1001)]
        assert moved.tolist() == [math.ceil(level) for level in expected]
        assert moved[-1] == 1000 and moved[0] >= 1
    assert shift_levels(torch.tensor([500]), 3.0) == 750


def test_a_shift_draws_more_of_the_noisy_levels_shared_or_not():
    for p in (0.0, 1.0):
        levels = sample_timesteps(20_000, 2, p, shift=3.0, generator=seeded())
        assert (levels > 750).double().mean() == pytest.approx(0.5, abs=0.02)
        assert one_level(levels).all() == (p == 0.0)


@pytest.mark.parametrize("shift", [0.0, -1.0, math.nan])
def test_a_shift_that_is_none_is_refused(shift):
    with pytest.raises(ValueError, match="shift is"):
        sample_timesteps(2, 2, shift=shift)


def test_staggered_frames_come_down_from_one_frame_outwards():
    levels = sample_timesteps(4000, 16, 0.0, generator=seeded())
    staggered = stagger_frames(levels, 1.0, generator=seeded())
    assert staggered.amin() == 0 and staggered.amax() == 1000
    assert (staggered > 0).any(dim=1).all()
    for row in staggered.tolist():
        first = row.index(min(row))
        assert row[:first] == sorted(row[:first], reverse=True)
        assert row[first:] == sorted(row[first:])
    # the first frame is clean where less than u = d / (1 + d) of its way is left
    started = 1 - (staggered.amin(dim=1) == 0).double().mean()
    assert started == pytest.approx(math.log(3) / 2, abs=0.03)  # E 1 / (1 + d)


def test_staggered_frames_are_as_far_as_the_level_of_their_clip_says():
    def at(level):
        return stagger_frames(torch.full((2000, 16), level), 1.0, generator=seeded())

    assert (at(1000) == 1000).all()  # none has set off
    for level in (900, 500, 100):  # the last frame is (1 + d) u, not above 1; d is below 2
        last = at(level).amax(dim=1)
        assert (last >= level).all() and (last <= min(1000, 3 * level)).all()
        assert (at(level).amin(dim=1) <= level).all()


def test_staggered_levels_rise_evenly_as_those_of_a_pyramid():
    levels = sample_timesteps(20_000, 16, 0.0, generator=seeded(1))
    levels = stagger_frames(levels, 1.0, generator=seeded())
    rises = levels.diff(dim=1)
    from_left = levels[(rises >= 0).all(dim=1) & (levels[:, 0] < levels[:, -1])]
    assert len(from_left) > 200
    for row in from_left.tolist():
        between = [level for level in row if 0 < level < 1000]
        slopes = [b - a for a, b in zip(between, between[1:], strict=False)]
        assert max(slopes, default=0) - min(slopes, default=0) <= 1  # rounding


def test_staggering_keeps_its_share_and_does_nothing_without_one():
    levels = torch.full((20_000, 6), 500)
    changed = (stagger_frames(levels, 0.3, generator=seeded()) != levels).any(dim=1)
    assert changed.double().mean() == pytest.approx(0.3, abs=0.013)  # 4 sigma
    assert stagger_frames(levels, 0.0) is levels
    assert torch.equal(stagger_frames(levels[:, :1], 1.0), levels[:, :1])


@pytest.mark.parametrize("frames", [2, 3, 16])
def test_keep_frames_leaves_a_noisy_frame_and_touches_nothing_else(frames):
    levels = torch.randint(1, 1001, (5000, frames), generator=seeded())
    kept = keep_frames(levels, 1.0, generator=seeded(1))
    assert (kept > 0).any(dim=1).all()
    assert torch.equal(kept[kept > 0], levels[kept > 0])


def kept_frames(p=1.0, frames=16, count=20_000):
    """Which frames are given, (count, frames)."""
    return keep_frames(torch.full((count, frames), 500), p, generator=seeded()) == 0


def test_clips_whose_frames_come_down_in_turn_keep_a_noisy_frame_too():
    staggered = stagger_frames(torch.full((20_000, 16), 500), 1.0, generator=seeded())
    assert (keep_frames(staggered, 1.0, generator=seeded(1)) > 0).any(dim=1).all()


def test_keep_frames_keeps_its_share():
    """Runs always keep a frame; picking with a rate uniform in [0, 1/2] picks none of F frames in
    2 / (F + 1) * (1 - 2^-(F + 1)) of the cases."""
    p, frames = 0.4, 16
    share = kept_frames(p, frames).any(dim=1).float().mean().item()
    none = 2 / (frames + 1) * (1 - 0.5 ** (frames + 1))
    assert share == pytest.approx(p * (1 - none / 3), abs=0.015)  # 4 sigma


def length_share(length, frames=16):
    """The share of runs of a length: ceil(u^2 F / 2) for u uniform in [0, 1]."""
    return (length / (frames / 2)) ** 0.5 - ((length - 1) / (frames / 2)) ** 0.5


def test_keep_frames_draws_runs_from_an_end_as_image_to_video_and_extension_ask():
    clean = kept_frames()
    for run in (clean, clean.flip(1)):
        lengths = run.int().cumprod(dim=1).sum(dim=1)
        only_run = lengths == run.sum(dim=1)
        for length in (1, 3, 8):
            share = (only_run & (lengths == length)).float().mean().item()
            assert share == pytest.approx(length_share(length) / 6, abs=0.012), length
        assert lengths[only_run].max() <= 8


def test_keep_frames_draws_runs_from_both_ends_as_interpolation_asks():
    clean = kept_frames()
    first = clean.int().cumprod(dim=1).sum(dim=1)
    last = clean.flip(1).int().cumprod(dim=1).sum(dim=1)
    for a, b in ((1, 1), (1, 2), (4, 1)):
        share = ((first == a) & (last == b) & (clean.sum(dim=1) == a + b)).float().mean().item()
        assert share == pytest.approx(length_share(a) * length_share(b) / 3, abs=0.009), (a, b)


def test_keep_frames_also_picks_frames_one_by_one():
    clean = kept_frames()
    middle = clean[:, 5:11].any(dim=1) & ~clean[:, 0] & ~clean[:, -1]
    assert 0.1 < middle.float().mean() < 1 / 3


def test_keep_frames_does_nothing_without_a_share_or_a_second_frame():
    levels = torch.randint(1, 1001, (50, 6), generator=seeded())
    assert torch.equal(keep_frames(levels, 0.0), levels)
    assert torch.equal(keep_frames(levels[:, :1], 1.0), levels[:, :1])


def toy(x, t, y=None):
    return torch.tanh(x) + wide(t.float() / 1000)


def by_hand(kind, x_start, noise, levels):
    """Mean square errors of `toy`, sample by sample and frame by frame, in float64."""
    beta = torch.linspace(1e-4, 0.02, 1000, dtype=torch.float64)
    alpha_bar = (1 - beta).cumprod(0)
    losses = []
    for b in range(SHAPE[0]):
        errors = []
        for f in range(SHAPE[1]):
            level = int(levels[b, f])
            if kind == "flow":
                s, n, t = 1 - level / 1000, level / 1000, level
            else:
                a = alpha_bar[level - 1]
                s, n, t = a.sqrt(), (1 - a).sqrt(), level - 1
            clean, eps = x_start[b, f].double(), noise[b, f].double()
            target = {
                "eps": eps,
                "x0": clean,
                "v": s * eps - n * clean,
                "flow": eps - clean,
            }[kind]
            errors.append(((torch.tanh(s * clean + n * eps) + t / 1000 - target) ** 2).mean())
        losses.append(torch.stack(errors).mean())
    return torch.stack(losses).float()


@pytest.mark.parametrize("kind", ["eps", "x0", "v", "flow"])
def test_the_loss_is_the_mean_square_error_written_by_hand(kind):
    schedule = NoiseSchedule("flow" if kind == "flow" else "linear", prediction_type=kind)
    x_start, noise, levels = batch()
    loss = diffusion_loss(toy, x_start, levels, noise, schedule)
    torch.testing.assert_close(loss, by_hand(kind, x_start, noise, levels), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("kind", ["eps", "x0", "v"])
def test_a_perfect_model_has_no_loss(kind):
    """It is told x and t, and knows x_start: everything else follows."""
    schedule = NoiseSchedule("cosine", prediction_type=kind)
    x_start, noise, levels = batch()
    levels = levels.clamp(min=50, max=950)  # so that the division below is exact enough

    def perfect(x, t, y=None):
        s, n = (wide(part) for part in (schedule.signal(t + 1), schedule.noise(t + 1)))
        eps = (x - s * x_start) / n
        return {"eps": eps, "x0": x_start, "v": (eps - n * x) / s}[kind]

    loss = diffusion_loss(perfect, x_start, levels, noise, schedule)
    torch.testing.assert_close(loss, torch.zeros(SHAPE[0]), rtol=0, atol=1e-6)


def test_labels_and_one_timestep_per_frame_reach_the_model():
    x_start, noise, levels = batch()
    levels[:, 1] = 0
    given = []

    def spy(x, t, y=None):
        given.append((x, t, y))
        return toy(x, t)

    y = torch.arange(4)
    diffusion_loss(spy, x_start, levels, noise, NoiseSchedule(), y)
    x, t, labels = given[0]
    assert torch.equal(labels, y) and torch.equal(t, (levels - 1).clamp(min=0))
    assert torch.equal(x[:, 1], x_start[:, 1])  # a given frame is shown as it is


@pytest.mark.parametrize("outputs", [1, 2])
def test_clean_frames_count_for_nothing(outputs):
    schedule = NoiseSchedule(prediction_type="v")
    x_start, noise, levels = batch()
    levels[:, [0, 3]] = 0
    levels[3] = 0  # a sample of which every frame is given

    def model(offset):
        def call(x, t, y=None):
            out = torch.cat([toy(x, t)] * outputs, dim=2)
            return out + wide(offset * (levels == 0))

        return call

    loss = diffusion_loss(model(0.0), x_start, levels, noise, schedule)
    assert torch.equal(loss, diffusion_loss(model(9.0), x_start, levels, noise, schedule))
    assert loss[3] == 0 and (loss[:3] > 0).all()
    if outputs == 1:  # the mean is over the noisy frames alone
        noisy = [1, 2, 4]
        fewer = diffusion_loss(
            toy, x_start[:3, noisy], levels[:3, noisy], noise[:3, noisy], schedule
        )
        torch.testing.assert_close(loss[:3], fewer)


def gaussian_bound(x, x_start, prediction, variance, levels):
    """The bound's terms for eps on the linear schedule from their definition, float64, (B, F)."""
    beta = torch.linspace(1e-4, 0.02, 1000, dtype=torch.float64)
    alpha_bar = torch.cat([torch.ones(1, dtype=torch.float64), (1 - beta).cumprod(0)])
    posterior = beta * (1 - alpha_bar[:-1]) / (1 - alpha_bar[1:])  # of level 1 … 1000
    posterior[0] = posterior[1]
    x, x_start, prediction, variance = (
        part.double() for part in (x, x_start, prediction, variance)
    )
    terms = torch.empty(levels.shape, dtype=torch.float64)
    for place in torch.cartesian_prod(*map(torch.arange, levels.shape)).tolist():
        at = tuple(place)
        n = int(levels[at])
        now, to, b, low = alpha_bar[n], alpha_bar[n - 1], beta[n - 1], posterior[n - 1]
        guess = (x[at] - (1 - now).sqrt() * prediction[at]) / now.sqrt()

        def mean(clean, x_now=x[at], now=now, to=to, b=b):  # Ho et al. 2020, eq. 7
            return (to.sqrt() * b * clean + (1 - b).sqrt() * (1 - to) * x_now) / (1 - now)

        share = (variance[at] + 1) / 2
        std = (share * b.log() + (1 - share) * low.log()).exp().sqrt()
        if n == 1:
            term = -Normal(mean(guess), std).log_prob(x_start[at])
        else:
            term = kl_divergence(Normal(mean(x_start[at]), low.sqrt()), Normal(mean(guess), std))
        terms[at] = term.mean() / math.log(2)
    return terms.float()


def test_the_variational_term_is_the_kl_of_two_gaussians_in_bits():
    schedule = NoiseSchedule("linear")
    x_start, noise, levels = batch()
    levels[0] = torch.tensor([1, 2, 3, 999, 1000])
    levels[1, 0] = 1
    x = schedule.q_sample(x_start, levels, noise)
    prediction = noise + 0.3 * torch.randn(SHAPE, generator=seeded(5))
    variance = 2 * torch.rand(SHAPE, generator=seeded(6)) - 1
    term = variational_term(x, x_start, prediction, variance, levels, schedule)
    expected = gaussian_bound(x, x_start, prediction, variance, levels)
    torch.testing.assert_close(term, expected, rtol=5e-3, atol=1e-4)


def test_the_hybrid_loss_adds_the_variational_term():
    schedule = NoiseSchedule("linear")
    x_start, noise, levels = batch()
    output = torch.randn(SHAPE, generator=seeded(5)), torch.rand(SHAPE, generator=seeded(6))
    loss = diffusion_loss(
        lambda x, t, y: torch.cat(output, dim=2), x_start, levels, noise, schedule
    )
    x = schedule.q_sample(x_start, levels, noise)
    expected = ((output[0] - noise) ** 2).mean(dim=(1, 2, 3, 4))
    expected = expected + gaussian_bound(x, x_start, *output, levels).mean(dim=1)
    torch.testing.assert_close(loss, expected, rtol=5e-3, atol=1e-4)


def test_the_variational_term_teaches_the_variance_alone():
    schedule = NoiseSchedule("linear")
    x_start, noise, levels = batch()
    output = torch.zeros(4, 5, 4, 3, 3, requires_grad=True)
    diffusion_loss(lambda x, t, y: output, x_start, levels, noise, schedule).sum().backward()
    prediction, variance = output.grad.chunk(2, dim=2)
    plain = torch.zeros(SHAPE, requires_grad=True)
    diffusion_loss(lambda x, t, y: plain, x_start, levels, noise, schedule).sum().backward()
    torch.testing.assert_close(prediction, plain.grad)
    assert (variance != 0).all()


@pytest.mark.parametrize(
    "name, kind",
    [("linear", "eps"), ("linear-continuous", "v"), ("cosine", "x0"), ("flow", "flow")],
)
def test_the_variational_term_is_finite_at_every_level(name, kind):
    schedule = NoiseSchedule(name, prediction_type=kind)
    levels = torch.arange(1, 1001)[None]
    x_start = torch.randn(1, 1000, 1, 1, 2, generator=seeded())
    noise = torch.randn(x_start.shape, generator=seeded(1))
    x = schedule.q_sample(x_start, levels, noise)
    right = schedule.target(x_start, levels, noise)
    for variance in (-1.0, 0.0, 1.0):
        term = variational_term(x, x_start, right, torch.full_like(x, variance), levels, schedule)
        assert torch.isfinite(term).all()
        if variance == -1.0:  # the true posterior itself: no divergence
            assert term[0, 1:].abs().max() < 1e-3


def test_a_picture_is_one_frame_among_unknown_ones():
    generator = torch.Generator().manual_seed(0)
    levels = torch.full((3000, 4), 7)
    still = torch.arange(3000) % 3 > 0
    given = torch.arange(12000).view(3000, 4) % 50 + 1
    drawn, counted = lone_frames(levels, still, given, 100, generator=generator)
    assert torch.equal(drawn[~still], levels[~still]) and counted[~still].all()
    one = counted[still]
    assert (one.sum(dim=1) == 1).all() and (drawn[still][~one] == 100).all()
    assert one.float().mean(dim=0) == pytest.approx([0.25] * 4, abs=0.05)  # at any place
    assert torch.equal(drawn[still][one], given[still][one])


def test_without_pictures_nothing_is_drawn():
    generator = torch.Generator().manual_seed(0)
    before = generator.get_state()
    levels = torch.randint(0, 9, (5, 4))
    still = torch.zeros(5, dtype=torch.bool)
    drawn, counted = lone_frames(levels, still, levels, generator=generator)
    assert torch.equal(drawn, levels) and counted.all()
    assert torch.equal(generator.get_state(), before)


def test_the_unknown_frames_of_a_picture_count_for_nothing():
    """Whatever the model says of them: neither the loss nor its gradient sees it."""
    schedule = NoiseSchedule()
    x, noise = torch.randn(2, 3, 1, 2, 2), torch.randn(2, 3, 1, 2, 2)
    levels = torch.tensor([[1000, 30, 1000], [5, 5, 5]])
    counted = torch.tensor([[False, True, False], [True, True, True]])
    said = torch.randn(2, 3, 1, 2, 2, requires_grad=True)
    losses = diffusion_loss(lambda *_: said, x, levels, noise, schedule, None, counted)
    error = (said - schedule.target(x, levels, noise)).square().mean(dim=(2, 3, 4))
    assert torch.allclose(losses, torch.stack([error[0, 1], error[1].mean()]))
    losses.sum().backward()
    assert (said.grad[0, [0, 2]] == 0).all() and (said.grad[0, 1] != 0).all()
