"""The sampler against references written here: scalar samplers, closed forms, invariants."""

import numpy as np
import pytest
import torch

from fvdm_core.noise import frame_noise
from fvdm_core.sampler import NotFinite, sample
from fvdm_core.schedule import NoiseSchedule
from fvdm_core.solvers import ddim_step, dpmpp_2m_step
from fvdm_core.timeline import PRIORS, Timeline, Window

SOLVERS = ("ddim", "ddpm", "dpmpp_2m")
LATENT = (3, 4, 4)


def start(frames, batch=1, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(batch, frames, *LATENT, generator=generator)


def last(states):
    return list(states)[-1].x


def grid(steps):
    return np.rint(np.linspace(1000, 0, steps + 1)).astype(int)


def toy(x, t):
    """A frame-independent network whose output depends on the state and on the timestep."""
    return torch.tanh(x * 0.7) + 0.1 * torch.cos(t.float() / 100)[..., None, None, None]


def mixing(x, t):
    """A network in which every frame sees every other."""
    return (
        torch.tanh(x + x.mean(dim=1, keepdim=True)) * (1 + t.float() / 1000)[..., None, None, None]
    )


def random_levels(steps, frames, seed):
    """Falling columns, each with its own pace and its own rests."""
    rng = np.random.default_rng(seed)
    columns = []
    for _ in range(frames):
        inner = np.sort(rng.integers(0, 1001, steps - 1))[::-1]
        columns.append(np.concatenate([[1000], inner, [0]]))
    return np.stack(columns, axis=1)


def test_equal_levels_in_every_frame_are_a_scalar_ddim_sampler():
    schedule, levels = NoiseSchedule("linear"), grid(10)
    timeline = Timeline(np.repeat(levels[:, None], 4, axis=1))
    x = start(4)
    got = last(sample(mixing, x, timeline, schedule, "ddim"))

    beta = torch.linspace(1e-4, 0.02, 1000, dtype=torch.float64)
    alpha_bar = torch.cat([torch.ones(1, dtype=torch.float64), (1 - beta).cumprod(0)])
    for now, to in zip(levels[:-1], levels[1:], strict=True):
        eps = mixing(x, torch.full((1, 4), max(now - 1, 0)))
        a, b = alpha_bar[now], alpha_bar[to]
        x_start = (x - (1 - a).sqrt() * eps) / a.sqrt()
        x = (b.sqrt() * x_start + (1 - b).sqrt() * eps).float()
    torch.testing.assert_close(got, x, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("name", ["linear", "flow"])
def test_a_frozen_frame_is_bit_identical_after_the_whole_run(solver, name):
    levels = random_levels(8, 5, seed=1)
    levels[:, [0, 3]] = [0, 400]  # one clean, one held half noisy
    schedule = NoiseSchedule(name, prediction_type="x0")
    x = start(5)
    for state in sample(mixing, x, Timeline(levels), schedule, solver, eta=1.0, seed=3):
        assert torch.equal(state.x[:, [0, 3]], x[:, [0, 3]])
    assert not torch.equal(state.x[:, 1], x[:, 1])


@pytest.mark.parametrize("solver", SOLVERS)
def test_with_a_frame_independent_model_a_frame_gets_what_it_would_get_alone(solver):
    levels = random_levels(9, 4, seed=2)
    levels[4, 2], levels[5, 2] = 200, 600  # and one of them goes up again
    schedule, x = NoiseSchedule("cosine", prediction_type="v"), start(4)
    together = last(sample(toy, x, Timeline(levels), schedule, solver, eta=0.5, seed=5))
    frame = 0  # noise belongs to the frame's index, so the frame alone must keep its index
    alone = last(sample(toy, x[:, :1], Timeline(levels[:, :1]), schedule, solver, eta=0.5, seed=5))
    torch.testing.assert_close(together[:, frame], alone[:, 0], rtol=1e-5, atol=1e-5)
    other = levels.copy()
    other[:, 0] = grid(9)
    changed = last(sample(toy, x, Timeline(other), schedule, solver, eta=0.5, seed=5))
    torch.testing.assert_close(together[:, 1:], changed[:, 1:], rtol=1e-5, atol=1e-5)


def gaussian(mean, std, schedule):
    """The optimal eps for data N(mean, std^2), in closed form, at any level per frame."""

    def denoise(x, t):
        levels = t + 1
        s = schedule.signal(levels)[..., None, None, None].double()
        n = schedule.noise(levels)[..., None, None, None].double()
        return n * (x.double() - s * mean) / (s**2 * std**2 + n**2)

    return denoise


@pytest.mark.parametrize("uniform", [True, False])
@pytest.mark.parametrize(
    "solver, eta, tolerance",
    [
        *(("ddim", 0.0, 0.06), ("ddpm", 0.0, 0.06)),
        *(("dpmpp_2m", 0.0, 0.02), ("dpmpp_2m", 0.5, 0.03), ("dpmpp_2m", 1.0, 0.03)),
    ],
)
def test_gaussian_data_are_recovered_in_mean_and_deviation(solver, eta, tolerance, uniform):
    mean, std, steps, frames = 1.5, 0.5, 64, 4
    schedule = NoiseSchedule("linear")
    levels = np.repeat(grid(steps)[:, None], frames, axis=1)
    if not uniform:
        levels = random_levels(steps, frames, seed=4)
    x = torch.randn(100, frames, 1, 16, 16, generator=torch.Generator().manual_seed(0))
    out = last(
        sample(gaussian(mean, std, schedule), x, Timeline(levels), schedule, solver, eta, seed=0)
    )
    slack = tolerance if uniform else 3 * tolerance
    for frame in range(frames):
        assert out[:, frame].mean().item() == pytest.approx(mean, abs=slack)
        assert out[:, frame].std().item() == pytest.approx(std, abs=slack)


def test_second_order_beats_first_order_on_gaussian_data():
    """Against the exact flow map x -> mean + std * x of a standard normal start."""
    mean, std, schedule = 1.5, 0.5, NoiseSchedule("linear")
    x = start(3, batch=8)
    exact_scale = std / (schedule.signal(torch.tensor(1000)) ** 2 * std**2 + 1) ** 0.5
    exact = mean + exact_scale * (x - schedule.signal(torch.tensor(1000)) * mean)
    for levels in (np.repeat(grid(64)[:, None], 3, axis=1), random_levels(64, 3, seed=7)):
        errors = {
            solver: (
                last(sample(gaussian(mean, std, schedule), x, Timeline(levels), schedule, solver))
                - exact
            )
            .abs()
            .mean()
            .item()
            for solver in ("ddim", "dpmpp_2m")
        }
        assert errors["dpmpp_2m"] < errors["ddim"] / 2


@pytest.mark.parametrize("to", [0, 300])
def test_without_memory_the_sde_step_is_ddims_with_as_much_noise(to):
    """Both are the posterior q(x_to | x_now, x_start) then (Song et al. 2021, section 4.1)."""
    schedule = NoiseSchedule("linear")
    now, to = ((schedule.signal(t), schedule.noise(t)) for t in torch.tensor([[700], [to]]))
    x, x_start, noise = (start(2, seed=k) for k in range(3))
    wanted = ddim_step(x, x_start, now, to, 1.0, noise)
    got = dpmpp_2m_step(x, x_start, now, to, None, 1.0, noise)
    assert torch.allclose(got, wanted, atol=1e-5)
    half = dpmpp_2m_step(x, x_start, now, to, None, 0.5, noise)
    assert to[1] == 0 or not torch.allclose(half, wanted, atol=1e-2)
    none = dpmpp_2m_step(x, x_start, now, to, None, 1e-9, noise)
    assert torch.allclose(none, dpmpp_2m_step(x, x_start, now, to), atol=1e-3)


@pytest.mark.parametrize("eta", [0.3, 1.0])
def test_the_sde_step_keeps_the_marginal_of_a_known_clip(eta):
    """With the true x_start, x_to is distributed as the forward process has it."""
    schedule, x_start = NoiseSchedule("linear"), torch.full((200_000,), 2.0)
    now, to = ((schedule.signal(t), schedule.noise(t)) for t in torch.tensor([[700], [400]]))
    e, z = torch.randn(2, 200_000, generator=torch.Generator().manual_seed(0))
    x = dpmpp_2m_step(now[0] * x_start + now[1] * e, x_start, now, to, None, eta, z)
    assert x.mean().item() == pytest.approx(2 * to[0].item(), abs=0.01)
    assert x.std().item() == pytest.approx(to[1].item(), rel=0.01)


HALVES = (Window((0, 1), (0, 1)), Window((2, 3), (2, 3)))


@pytest.mark.parametrize(
    ("rows", "windows", "second_order"),
    [
        ([1000, 600, 300], (HALVES, HALVES), True),
        ([1000, 600, 300], ((Window(range(4), range(4)),), HALVES), False),
        ([800, 400, 700, 300], None, False),
    ],
)
def test_a_step_is_first_order_after_a_rise_and_in_other_company(rows, windows, second_order):
    schedule = NoiseSchedule("linear", prediction_type="v")
    timeline = Timeline(np.repeat(np.array(rows)[:, None], 4, axis=1), windows)
    *_, before, after = sample(mixing, start(4), timeline, schedule, "dpmpp_2m")
    now, to = (schedule.pair(torch.tensor(level)) for level in rows[-2:])
    first_order = dpmpp_2m_step(before.x, after.pred_x_start, now, to)
    assert torch.allclose(after.x, first_order, atol=1e-5) is not second_order


@pytest.mark.parametrize("level", [0, 400])
def test_a_frame_that_is_shown_as_another_level_is_taken_at_its_own(level):
    told = []

    def recording(x, t):
        told.append(t.tolist())
        return torch.tanh(x)

    rows, schedule, x = [[level, 1000], [level, 500], [level, 0]], NoiseSchedule("linear"), start(2)
    plain = list(sample(recording, x, Timeline(rows), schedule))
    told.clear()
    shown = list(sample(recording, x, Timeline(rows, seen={0: 300}), schedule))
    assert told == [[[299, 999]], [[299, 499]]]
    for ours, theirs in zip(shown, plain, strict=True):
        assert torch.equal(ours.x[:, 0], x[:, 0]) and torch.equal(ours.x, theirs.x)
        assert torch.equal(ours.pred_x_start, theirs.pred_x_start)


def test_ddim_on_a_flow_is_the_euler_step():
    schedule = NoiseSchedule("flow", prediction_type="flow")
    levels = np.stack([grid(5), np.rint(np.linspace(1000, 0, 6) ** 2 / 1000).astype(int)], axis=1)
    x = start(2)
    got = last(sample(toy, x, Timeline(levels), schedule, "ddim"))
    for now, to in zip(levels[:-1], levels[1:], strict=True):
        velocity = toy(x, torch.tensor(now)[None])
        x = x + torch.tensor((to - now) / 1000).float()[None, :, None, None, None] * velocity
    torch.testing.assert_close(got, x, rtol=1e-4, atol=1e-4)


def test_going_up_follows_the_forward_process_and_costs_no_call():
    schedule = NoiseSchedule("linear")
    levels = np.array([[300, 300], [300, 700]])
    calls = []
    x = torch.zeros(2000, 2, 1, 2, 2) + 0.8
    out = last(sample(lambda *a: calls.append(a), x, Timeline(levels), schedule, "ddim", seed=1))
    assert not calls and torch.equal(out[:, 0], x[:, 0])
    a, b = (schedule.signal(torch.tensor(k)).item() ** 2 for k in (300, 700))
    assert out[:, 1].mean().item() == pytest.approx((b / a) ** 0.5 * 0.8, abs=0.03)
    assert out[:, 1].var().item() == pytest.approx(1 - b / a, abs=0.03)


@pytest.mark.parametrize("solver", SOLVERS)
def test_a_sample_does_not_depend_on_its_batch(solver):
    timeline, schedule = Timeline(random_levels(6, 3, seed=3)), NoiseSchedule("linear")
    x = start(3, batch=3)
    together = last(sample(mixing, x, timeline, schedule, solver, eta=1.0, seed=[4, 9, 2]))
    alone = last(sample(mixing, x[1:2], timeline, schedule, solver, eta=1.0, seed=9))
    torch.testing.assert_close(together[1:2], alone, rtol=1e-5, atol=1e-5)


def test_seeds_may_be_numbers_of_numpy():
    timeline, schedule, x = Timeline(random_levels(6, 3, seed=3)), NoiseSchedule("linear"), start(3)
    plain = last(sample(mixing, x, timeline, schedule, "ddpm", seed=3))
    for seed in (np.int64(3), np.array([3])):
        assert torch.equal(last(sample(mixing, x, timeline, schedule, "ddpm", seed=seed)), plain)


def test_windows_see_only_their_frames_and_update_only_their_own():
    levels = np.stack([grid(2)] * 6, axis=1)
    step = (Window((0, 1, 2, 3), (0, 1)), Window((2, 3, 4, 5), (2, 3, 4, 5)))
    seen = []

    def denoise(x, t):
        seen.append((x.shape[1], t.shape))
        return mixing(x, t)

    schedule, x = NoiseSchedule("linear"), start(6)
    got = list(sample(denoise, x, Timeline(levels, windows=(step, step)), schedule, "ddim"))
    assert seen == [(4, (1, 4))] * 4
    # both windows read the state before the step: frame 0 comes out as from its window alone
    alone = list(sample(mixing, x[:, :4], Timeline(levels[:, :4]), schedule, "ddim"))
    torch.testing.assert_close(got[0].x[:, :2], alone[0].x[:, :2])


def wandering(steps, frames, seed):
    """Columns that fall, rest and rise, seen through windows that change now and then."""
    rng = np.random.default_rng(seed)
    rows = [rng.choice([400, 700, 1000], frames)]
    for _ in range(steps - 1):
        rows.append(np.clip(rows[-1] + rng.choice([-250, -90, 0, 0, 300], frames), 0, 1000))
    edges = rng.integers(1, frames, -(-steps // 4)).repeat(4)[:steps]
    halves = [(range(edge), range(edge, frames)) for edge in edges]
    windows = [tuple(Window(tuple(half), tuple(half)) for half in both) for both in halves]
    return Timeline(np.array([*rows, np.zeros(frames, int)]), windows=tuple(windows))


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("solver", SOLVERS)
def test_what_follows_a_state_is_the_same_whoever_walked_to_it(solver, seed):
    timeline, schedule = wandering(12, 6, seed), NoiseSchedule("linear", prediction_type="v")
    settings = {"solver": solver, "eta": 0.5, "seed": 5}
    whole = list(sample(mixing, start(6), timeline, schedule, **settings))
    for begun in whole:
        kept = [tensor.clone() for tensor in (begun.x, begun.pred_x_start, begun.last_x_start)]
        again = list(sample(mixing, begun, timeline, schedule, **settings))
        assert [state.step for state in again] == list(range(begun.step + 1, 13))
        for ours, theirs in zip(again, whole[begun.step :], strict=True):
            assert torch.equal(ours.x, theirs.x)
            assert torch.equal(ours.pred_x_start, theirs.pred_x_start)
        assert torch.equal(begun.x, kept[0]) and torch.equal(begun.pred_x_start, kept[1])
        assert torch.equal(begun.last_x_start, kept[2])


def test_only_what_rests_on_its_way_needs_more_to_be_kept():
    schedule = NoiseSchedule("linear")
    falling = Timeline(np.stack([grid(4)] * 2, axis=1))
    resting = Timeline(np.array([[1000, 0], [600, 0], [600, 0], [300, 0], [0, 0]])[:, [0, 0, 1]])
    uneven = Timeline(np.array([[1000, 1000], [600, 800], [600, 400], [300, 200], [0, 0]]))
    for timeline, kept in ((falling, ()), (resting, (2,)), (uneven, (2,))):
        states = list(sample(mixing, start(timeline.frames), timeline, schedule, "dpmpp_2m"))
        more = [state.step for state in states if state.last_x_start is not state.pred_x_start]
        assert tuple(more) == kept


def test_a_state_that_a_timeline_does_not_come_through_is_refused():
    schedule, timeline = NoiseSchedule("linear"), Timeline(np.stack([grid(4)] * 2, axis=1))
    state = next(iter(sample(mixing, start(2), timeline, schedule)))
    for other in ([[1000, 1000], [700, 750], [0, 0]], [[0, 0], [0, 0]]):
        with pytest.raises(ValueError, match="does not come through the state of step 1"):
            next(sample(mixing, state, Timeline(other), schedule))


def test_learned_variance_interpolates_between_the_pairs_own_bounds():
    """One step from 600 to 300 of 4000 equal samples: the spread tells the variance used."""
    schedule = NoiseSchedule("linear")
    a, b = (schedule.signal(torch.tensor(k)).double().item() ** 2 for k in (600, 300))
    beta = 1 - a / b
    posterior = (1 - b) / (1 - a) * beta
    x = torch.zeros(4000, 1, 1, 2, 2)
    for output, expected in ((-1.0, posterior), (1.0, beta), (0.0, (posterior * beta) ** 0.5)):

        def denoise(x, t, output=output):
            return torch.cat([torch.zeros_like(x), torch.full_like(x, output)], dim=2)

        out = last(sample(denoise, x, Timeline(np.array([[600], [300]])), schedule, "ddpm"))
        assert out.var().item() == pytest.approx(expected, rel=0.05)


def test_ddim_ignores_a_learned_variance():
    schedule, timeline, x = NoiseSchedule("linear"), Timeline(random_levels(5, 2, 0)), start(2)

    def with_variance(x, t):
        return torch.cat([toy(x, t), torch.randn_like(x)], dim=2)

    for solver in ("ddim", "dpmpp_2m"):
        a = last(sample(toy, x, timeline, schedule, solver))
        assert torch.equal(a, last(sample(with_variance, x, timeline, schedule, solver)))


def test_nan_stops_the_run_and_names_step_and_frame():
    def denoise(x, t):
        out = toy(x, t)
        out[:, 1] = torch.nan if t[0, 1] < 250 else 0
        return out

    timeline = Timeline(np.stack([grid(4)] * 3, axis=1))
    with pytest.raises(NotFinite, match="step 4 .*frame 2"):
        list(sample(denoise, start(3), timeline, NoiseSchedule("linear"), "ddim"))


@pytest.mark.parametrize(
    "change, words",
    [
        ({"solver": "euler"}, "euler"),
        ({"eta": 2.0}, "eta"),
        ({"x": torch.zeros(1, 2, *LATENT)}, "needs"),
        ({"seed": [1, 2]}, "2 seeds"),
        ({"x": start(3)[:0]}, "x is an empty batch"),
        ({"x": start(3).half()}, r"x is of torch.float16; give x.float\(\)"),
        ({"x": start(3).long()}, "x is of torch.int64"),
    ],
)
def test_what_does_not_fit_is_refused(change, words):
    arguments = {"x": start(3), "solver": "ddim", "eta": 0.0, "seed": 0} | change
    with pytest.raises(ValueError, match=words):
        list(
            sample(
                toy,
                arguments.pop("x"),
                Timeline(np.stack([grid(2)] * 3, axis=1)),
                NoiseSchedule(),
                **arguments,
            )
        )


def test_noise_belongs_to_seed_row_and_frame():
    all_frames = frame_noise(5, range(8), 0, LATENT)
    assert torch.equal(frame_noise(5, [6, 2], 0, LATENT), all_frames[[6, 2]])
    assert torch.equal(frame_noise(5, range(20), 0, LATENT)[:8], all_frames)
    for other in (frame_noise(6, range(8), 0, LATENT), frame_noise(5, range(8), 1, LATENT)):
        assert not torch.isclose(other, all_frames).all(dim=(1, 2, 3)).any()


@pytest.mark.parametrize("prior", PRIORS)
@pytest.mark.parametrize("solver", ["ddim", "ddpm"])
def test_a_step_draws_the_noise_of_the_row_after_it_and_of_the_prior(solver, prior):
    """With an x_start of 0 both solvers draw from the posterior: mean + deviation * noise."""
    related = {"prior": prior, "alpha": 2.0, "window": 8}
    begun, drawn = (frame_noise(5, range(12), row, LATENT, **related)[None] for row in (0, 1))
    levels = np.repeat([[1000], [500]], 12, axis=1)
    timeline = Timeline(levels, prior=prior, prior_alpha=2.0).with_windows(8)
    schedule = NoiseSchedule("linear", prediction_type="x0")
    x = last(sample(lambda x, t: 0 * x, begun, timeline, schedule, solver, eta=1.0, seed=5))
    (signal, noise), (signal_to, noise_to) = map(schedule.pair, torch.tensor([1000, 500]))
    ratio, fall = signal / signal_to, noise_to / noise
    deviation = fall * (noise**2 - (ratio * noise_to) ** 2).sqrt()
    torch.testing.assert_close((x - ratio * fall**2 * begun) / deviation, drawn)


@pytest.mark.parametrize("prior", PRIORS)
def test_every_prior_is_unit_gaussian_in_each_frame(prior):
    noise = frame_noise(1, range(20), 0, (40, 40), prior=prior, window=16)
    assert noise.mean(dim=(1, 2)).abs().max() < 0.1
    assert (noise.std(dim=(1, 2)) - 1).abs().max() < 0.1


def test_priors_correlate_frames_as_their_papers_say():
    def correlation(prior, a, b):
        noise = frame_noise(1, range(20), 0, (100, 100), prior=prior, alpha=2.0, window=16)
        return (noise[a] * noise[b]).mean().item()

    assert correlation("independent", 0, 1) == pytest.approx(0, abs=0.03)
    assert correlation("mixed", 0, 5) == pytest.approx(4 / 5, abs=0.03)  # a^2 / (1 + a^2)
    assert correlation("progressive", 3, 4) == pytest.approx((4 / 5) ** 0.5, abs=0.03)
    shuffled = frame_noise(1, range(32), 0, (4, 4), prior="shuffled", window=16)
    assert torch.equal(
        shuffled[:16].sum(dim=(1, 2)).sort().values, shuffled[16:].sum(dim=(1, 2)).sort().values
    )
