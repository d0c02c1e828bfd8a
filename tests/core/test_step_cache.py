"""Step caching: exact where nothing changed, cheaper where little does, off unless asked for."""

import numpy as np
import pytest
import torch
from tiny import load, randomised, save_tiny

from fvdm_core import Timeline
from fvdm_core import step_cache as step_cache_module
from fvdm_core.model import VideoDiT
from fvdm_core.options import RunOptions
from fvdm_core.shape import VideoDiTConfig
from fvdm_core.step_cache import StepCache


def counted(blocks):
    """A list that grows with every run of one of the blocks."""
    runs = []
    for block in blocks:
        block.register_forward_hook(lambda *_: runs.append(1))
    return runs


@pytest.mark.parametrize("attention", ["joint", "interleaved"])
@torch.no_grad()
def test_an_equal_step_runs_the_first_block_alone_and_gives_the_same(attention):
    config = VideoDiTConfig(16, 4, 2, 1, 2, 3, 4, attention=attention)
    model = randomised(VideoDiT(config), 0.15)
    every = [block for block, _ in model.blocks_in_order()]
    first, others = counted(every[:1]), counted(every[1:])
    x, t = torch.randn(1, 4, 3, 2, 2), torch.tensor([[0, 300, 600, 900]])
    cache = StepCache(0.1)
    whole = model(x, t, None, cache)
    assert (len(first), len(others), cache.reused) == (1, 3, 0)
    torch.testing.assert_close(whole, model(x, t), rtol=0, atol=0)
    again = model(x, t, None, cache)
    assert (len(first), len(others), cache.reused) == (3, 6, 1)
    torch.testing.assert_close(again, whole, rtol=1e-5, atol=1e-6)


def test_the_change_is_taken_from_the_last_whole_step_so_that_small_ones_add_up():
    """Steps of 4 % of the first size each: at most two in a row are within 10 %."""
    cache, ran = StepCache(0.1), []
    before = torch.zeros(8)
    for step in range(7):
        rest = lambda x, step=step: ran.append(step) or 2 * x  # noqa: E731
        cache(before, torch.full((8,), 1 + 0.04 * step), rest)
    assert ran == [0, 3, 6]
    assert (cache.calls, cache.reused) == (7, 4)


def test_what_is_reused_is_added_to_the_present_first_block():
    cache = StepCache(0.5)
    before = torch.zeros(4)
    cache(before, torch.ones(4), lambda x: x + 5)
    out = cache(before, torch.full((4,), 1.25), lambda x: pytest.fail("not close"))
    torch.testing.assert_close(out, torch.full((4,), 6.25))


def test_only_so_many_windows_are_kept(monkeypatch):
    monkeypatch.setattr(step_cache_module, "MOST_BYTES", 5 * 4 * 4)  # two windows of two tensors
    cache = StepCache(0.5)
    for step in range(3):
        for window in ([0], [1], [2]):
            cache.turn_to(window, step)
            cache(torch.zeros(4), torch.ones(4), lambda x: x + 5)
    assert (cache.calls, cache.reused) == (9, 4)  # of the third window nothing


def test_another_number_of_frames_is_another_step():
    cache = StepCache(1.0)
    for frames in (4, 3):
        out = cache(torch.zeros(frames), torch.ones(frames), lambda x: x + 1)
        assert out.tolist() == [2] * frames
    assert cache.reused == 0


def test_each_window_is_compared_with_itself_and_forgotten_without_a_turn():
    cache, ran = StepCache(0.1), []

    def call(window, step, size):
        cache.turn_to(window, step)
        cache(torch.zeros(4), torch.full((4,), size), lambda x: ran.append((window, step)) or x)

    for step in range(3):
        call((0, 1), step, 1.0)
        call((2, 3), step, 9.0)
    assert ran == [((0, 1), 0), ((2, 3), 0)]  # side by side, neither hides the other
    call((0, 1), 3, 1.0)
    call((0, 1), 4, 1.0)
    call((2, 3), 5, 9.0)  # it had no turn in steps 3 and 4
    assert ran[2:] == [((2, 3), 5)]


def test_a_run_tells_the_cache_whose_turn_it_is(tmp_path, monkeypatch):
    turns = []
    monkeypatch.setattr(StepCache, "turn_to", lambda _, frames, step: turns.append((step, frames)))
    pipe = load(save_tiny(tmp_path / "tiny"))
    timeline = Timeline.preset("standard", frames=24, steps=2).with_windows(16)
    pipe(timeline, step_cache=0.1)
    wanted = [(s, w.frames) for s in range(2) for w in timeline.active_windows(s)]
    assert turns == wanted and len(turns) == 4


def test_a_run_is_cheaper_by_it_and_a_run_without_it_is_as_ever(tmp_path):
    pipe = load(save_tiny(tmp_path / "tiny"))
    later = counted(block for block, _ in pipe.model.blocks_in_order()[1:])
    timeline = Timeline.preset("standard", frames=16, steps=40)

    def run(**options):
        del later[:]
        return pipe(timeline, label="sky", seed=3, **options), len(later)

    usual, of_usual = run()
    assert of_usual == 40
    off, of_off = run(step_cache=0.0)
    assert of_off == 40 and np.array_equal(off.frames, usual.frames)
    fast, of_fast = run(step_cache=1.0)
    assert 1 <= of_fast < 40
    again, _ = run(step_cache=1.0)
    assert np.array_equal(fast.frames, again.frames)
    assert fast.recipe["step_cache"] == 1.0


@pytest.mark.parametrize("value", [-0.1, 1.1, float("nan"), True, "0.1"])
def test_other_shares_are_refused(value):
    with pytest.raises(ValueError, match="step_cache is"):
        RunOptions(step_cache=value)
