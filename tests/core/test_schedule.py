"""NoiseSchedule: closed forms of the tables and round trips of every prediction type."""

import pytest
import torch

from fvdm_core.schedule import SCHEDULES, NoiseSchedule

LEVELS = torch.arange(0, 1001)


@pytest.mark.parametrize("name", ["linear", "linear-continuous", "cosine"])
def test_vp_keeps_unit_variance_and_runs_from_clean_to_noise(name):
    schedule = NoiseSchedule(name)
    signal, noise = schedule.signal(LEVELS).double(), schedule.noise(LEVELS).double()
    torch.testing.assert_close(
        signal**2 + noise**2, torch.ones(1001, dtype=torch.float64), rtol=0, atol=1e-6
    )
    assert signal[0] == 1 and noise[0] == 0
    assert (signal.diff() < 0).all() and signal[-1] < 0.01


def test_linear_betas_are_those_of_the_paper():
    alpha_bar = NoiseSchedule("linear").signal(LEVELS).double() ** 2
    beta = 1 - alpha_bar[1:] / alpha_bar[:-1]
    assert beta[0] == pytest.approx(1e-4, rel=1e-3) and beta[-1] == pytest.approx(0.02, rel=1e-3)
    assert beta[499] == pytest.approx(1e-4 + (0.02 - 1e-4) * 499 / 999, rel=1e-3)


def test_continuous_schedule_is_the_integral_of_its_rate():
    schedule = NoiseSchedule("linear-continuous")
    s = 0.3
    integral = sum(0.1 + 19.9 * (k + 0.5) * s / 10000 for k in range(10000)) * s / 10000
    assert schedule.signal(torch.tensor(300)).item() ** 2 == pytest.approx(
        torch.exp(torch.tensor(-integral)).item(), rel=1e-5
    )


def test_flow_is_a_straight_line():
    schedule = NoiseSchedule("flow", prediction_type="flow")
    assert schedule.signal(torch.tensor([0, 250, 1000])).tolist() == [1.0, 0.75, 0.0]
    assert schedule.noise(torch.tensor([0, 250, 1000])).tolist() == [0.0, 0.25, 1.0]
    assert schedule.mixing(5) == [(1, 0), (0.75, 0.25), (0.5, 0.5), (0.25, 0.75), (0, 1)]


def test_a_shifted_flow_is_noisier_between_its_ends():
    plain = NoiseSchedule("flow", prediction_type="flow")
    shifted = NoiseSchedule("flow", prediction_type="flow", shift=5.0)
    assert shifted.noise(torch.tensor([0, 1000])).tolist() == [0.0, 1.0]
    half = torch.tensor(500)
    # Esser et al. 2024, eq. 23: the odds of noise to signal are multiplied
    odds = [(s.noise(half) / s.signal(half)).item() for s in (plain, shifted)]
    assert odds[1] == pytest.approx(5 * odds[0])
    torch.testing.assert_close(shifted.timesteps(LEVELS), 1000 * shifted.noise(LEVELS))
    assert torch.equal(NoiseSchedule("flow", prediction_type="x0").timesteps(LEVELS), LEVELS)


def test_a_table_of_alphas_is_a_schedule():
    by_name = NoiseSchedule("linear", 1000, "v")
    table = by_name.signal(torch.arange(1, 1001)).double() ** 2
    by_table = NoiseSchedule.from_alphas_cumprod(table, "v")
    assert by_table.num_train_timesteps == 1000 and by_table.prediction_type == "v"
    torch.testing.assert_close(by_table.signal(LEVELS), by_name.signal(LEVELS))
    torch.testing.assert_close(by_table.noise(LEVELS), by_name.noise(LEVELS), atol=1e-4, rtol=1e-4)
    assert torch.equal(by_table.timesteps(LEVELS), by_name.timesteps(LEVELS))
    with pytest.raises(ValueError, match=r"alphas_cumprod\[1\] is 0.6 after 0.5; the table must"):
        NoiseSchedule.from_alphas_cumprod([0.5, 0.6, 0.1])
    for wrong in ([0.5, 0.5, 0.1], [0.5, 0.6], [1.0, 0.5], [0.5, -0.1], [0.5, torch.nan]):
        with pytest.raises(ValueError, match="must fall with each timestep"):
            NoiseSchedule.from_alphas_cumprod(wrong)
    for wrong in ([0.5], [[0.5, 0.4]]):
        with pytest.raises(ValueError, match="has the shape"):
            NoiseSchedule.from_alphas_cumprod(torch.tensor(wrong))
    assert NoiseSchedule.from_alphas_cumprod([0.5, 0.0], "v").num_train_timesteps == 2
    with pytest.raises(ValueError, match="ends at 0, without signal, where 'eps'"):
        NoiseSchedule.from_alphas_cumprod([0.5, 0.0], "eps")


def test_a_function_of_time_is_a_schedule_that_tells_the_level():
    schedule = NoiseSchedule.from_function(lambda s: (1 - s) ** 2 * 0.9 + 0.05, "x0")
    levels = torch.tensor([0, 1, 500, 1000])
    wanted = [1.0, 0.999**2 * 0.9 + 0.05, 0.25 * 0.9 + 0.05, 0.05]
    assert (schedule.signal(levels) ** 2).tolist() == pytest.approx(wanted, rel=1e-5)
    assert schedule.timesteps(levels).tolist() == [0, 1, 500, 1000]
    assert (schedule.prediction_type, schedule.predicts) == ("x0", "the clean clip")
    with pytest.raises(ValueError, match=r"alphas_cumprod\[0\] is 1 after 1"):
        NoiseSchedule.from_function(lambda s: 1.0)
    with pytest.raises(ValueError, match="'sigmoid' is unknown; .* with from_function or"):
        NoiseSchedule("sigmoid")


@pytest.mark.parametrize("shift", [0.08, 0.1, 0.2, 3.0, 100.0])
def test_no_shift_gives_less_than_no_signal(shift):
    schedule = NoiseSchedule("flow", prediction_type="x0", shift=shift)
    assert schedule.signal(LEVELS).min() == 0


@pytest.mark.parametrize("name, shift", [("flow", 0), ("flow", 101), ("cosine", 2.0)])
def test_a_shift_that_is_none_is_refused(name, shift):
    with pytest.raises(ValueError, match=f"shift is {shift}; it must be"):
        NoiseSchedule(name, prediction_type="x0", shift=shift)


def test_the_network_is_told_one_less_than_the_level():
    told = NoiseSchedule("linear").timesteps(torch.tensor([0, 1, 2, 1000]))
    assert told.tolist() == [0, 0, 1, 999]


@pytest.mark.parametrize(
    "name, prediction_type",
    [
        (name, kind)
        for name in SCHEDULES
        for kind in ("eps", "x0", "v", "flow")
        if name != "flow" or kind in ("x0", "flow")
    ],
)
def test_the_true_target_gives_back_x_start(name, prediction_type):
    schedule = NoiseSchedule(name, prediction_type=prediction_type)
    generator = torch.Generator().manual_seed(0)
    x_start, eps = torch.randn(2, 2, 5, 3, 4, 4, generator=generator)
    levels = torch.tensor([[0, 1, 100, 500, 800], [3, 700, 0, 250, 900]])
    x = schedule.q_sample(x_start, levels, eps)
    target = schedule.target(x_start, levels, eps)
    torch.testing.assert_close(
        schedule.pred_x_start(x, target, levels), x_start, rtol=1e-3, atol=1e-3
    )


def test_a_clean_frame_is_itself_whatever_is_predicted():
    x = torch.randn(1, 2, 3, 4, 4)
    for prediction_type in ("eps", "x0", "v"):
        schedule = NoiseSchedule(prediction_type=prediction_type)
        out = schedule.pred_x_start(x, torch.full_like(x, 9.0), torch.tensor([[0, 0]]))
        assert torch.equal(out, x)


@pytest.mark.parametrize(
    "arguments, words",
    [
        ({"name": "sigmoid"}, "sigmoid"),
        ({"prediction_type": "epsilon"}, "epsilon"),
        ({"num_train_timesteps": 1}, "num_train_timesteps is 1; it must be a whole number"),
        ({"num_train_timesteps": 1000.0}, "num_train_timesteps is 1000.0; it must be"),
        ({"num_train_timesteps": "1000"}, "num_train_timesteps is 1000; it must be"),
        ({"name": "flow", "prediction_type": "v"}, "flow"),
        ({"name": "flow", "prediction_type": "eps"}, "no signal"),
    ],
)
def test_what_does_not_exist_is_refused_by_name(arguments, words):
    with pytest.raises(ValueError, match=words):
        NoiseSchedule(**arguments)


@pytest.mark.parametrize(
    "levels, words",
    [
        ([3, -1], "level -1 is not one of 0"),
        ([[0, 1001]], r"level 1001 is not one of 0 \(clean\) to 1000"),
        ([0.5], "levels are of torch.float32"),
        ([True], "levels are of torch.bool"),
    ],
)
def test_what_is_no_level_is_refused_and_not_read_as_another(levels, words):
    schedule, levels = NoiseSchedule(), torch.tensor(levels)
    for ask in (schedule.signal, schedule.noise, schedule.pair):
        with pytest.raises(ValueError, match=words):
            ask(levels)


def test_levels_may_be_none_at_all_or_of_fewer_bits():
    schedule = NoiseSchedule()
    assert schedule.noise(torch.zeros(0, dtype=torch.long)).shape == (0,)
    assert torch.equal(
        schedule.noise(torch.tensor([9], dtype=torch.int16)), schedule.noise(LEVELS[9:10])
    )
