"""Windows: each frame is updated once, seen with its neighbours, and never too many at once."""

from itertools import pairwise

import numpy as np
import pytest

from fvdm_core.timeline import Timeline, Window
from fvdm_core.windows import narrowed, overlapping, whole


@pytest.mark.parametrize("frames", range(1, 60))
@pytest.mark.parametrize("size", [1, 2, 3, 7, 16])
def test_overlapping_windows_update_every_frame_once(frames, size):
    windows = overlapping(range(frames), size)
    assert [f for window in windows for f in window.updates] == list(range(frames))
    for window in windows:
        assert len(window.frames) == min(size, frames)
        assert window.frames == tuple(range(window.frames[0], window.frames[-1] + 1))


@pytest.mark.parametrize("frames", [17, 24, 40, 64, 100])
def test_inner_windows_see_context_on_both_sides(frames):
    windows = overlapping(range(frames), 16)
    for left, right in pairwise(windows):
        assert left.frames[-1] > left.updates[-1]  # context right of what is updated …
        assert right.frames[0] < right.updates[0]  # … and left of it
    assert windows[0].updates[0] == 0
    assert windows[-1].updates[-1] == frames - 1


def test_a_large_step_that_is_repeated_often_is_refused():
    """A file says it once, and how often; the page writes every step out."""
    step = tuple(Window(tuple(range(500)), (frame,)) for frame in range(500))
    levels = np.repeat(np.linspace(1000, 0, 101).round().astype(int)[:, None], 500, axis=1)
    with pytest.raises(
        ValueError, match="windows of 16 steps list 4008000 frames, at most 4000000"
    ):
        Timeline(levels, windows=(step,) * 100)


def test_windows_of_frames_far_apart():
    windows = overlapping([0, 4, 8, 12, 15], 3)
    assert windows == (
        Window((0, 4, 8), (0, 4)),
        Window((4, 8, 12), (8,)),
        Window((8, 12, 15), (12, 15)),
    )


def test_narrowing_keeps_what_fits_and_what_is_updated():
    small = Window((0, 1), (1,))
    large = Window(tuple(range(2, 12)), (4, 9))
    step = narrowed((small, large), 4)
    assert step[0] is small
    assert [f for window in step[1:] for f in window.updates] == [4, 9]
    assert all(len(window.frames) <= 4 for window in step)


@pytest.mark.parametrize(
    "frames, updates, words",
    [
        ((), (), "frames is empty"),
        ((0, 2, 1), (0,), "must be increasing, got 1 after 2"),
        ((0, 1, 1), (0,), "must be increasing, got 1 after 1"),
        ((0, 1), (2,), r"updates frame 3 \(index 2\), which is not among"),
        ((0, -1), (0,), "got -1"),
        ((0, 1024), (0,), "from 0 to 1023, got 1024"),
        ((0, 1.0), (0,), "got 1.0"),
        ((0, True), (0,), "got True"),
        ("01", (0,), "must be a list of frame indices"),
        (3, (0,), "must be a list of frame indices, got 3"),
        (tuple(range(1025)), (0,), "lists 1025 frames"),
    ],
)
def test_a_window_refuses_what_it_cannot_be(frames, updates, words):
    with pytest.raises(ValueError, match=words):
        Window(frames, updates)


LEVELS = [[1000, 1000, 0], [500, 1000, 0], [0, 500, 0], [0, 0, 0]]
ALL = whole(3)


@pytest.mark.parametrize(
    "windows, words",
    [
        ((ALL, ALL), "each of the 3 steps, got 2"),
        (7, "each of the 3 steps, got 7"),
        ((ALL, ALL, 5), "step 2 must be a list of windows, got 5"),
        ((ALL, ALL, (5,)), "step 2 must be a list of windows"),
        (
            (ALL, (Window((0, 1), (0,)),), ALL),
            r"in step 1, frame 2 \(index 1\) goes from 1000 to 500",
        ),
        ((ALL, (), ALL), r"in step 1, frame 1 \(index 0\) goes from 500 to 0 but no window"),
        ((ALL, ALL, ALL + ALL), r"in step 2, frame 1 \(index 0\) is updated by two windows"),
        ((ALL * 4, ALL, ALL), r"step 0 has 4 windows, more than the 3 frames"),
        ((whole(4), ALL, ALL), r"step 0 has a window with frame 4 \(index 3\)"),
    ],
)
def test_a_timeline_refuses_windows_that_do_not_fit(windows, words):
    with pytest.raises(ValueError, match=words):
        Timeline(LEVELS, windows=windows)


def test_only_windows_in_which_a_frame_goes_down_are_active():
    left, right = Window((0, 1), (0,)), Window((0, 1, 2), (1, 2))
    timeline = Timeline(LEVELS, windows=((left, right),) * 3)
    assert timeline.windows_at(0) == (left, right)
    assert timeline.active_windows(0) == (left,)
    assert timeline.active_windows(1) == (left, right)
    assert timeline.active_windows(2) == (right,)
    assert timeline.model_calls == 4


def test_steps_given_as_lists_become_tuples():
    first, other = list(whole(3)), [Window((0, 1), (0,)), Window((1, 2), (1, 2))]
    timeline = Timeline(LEVELS, windows=[first, other, first])
    assert timeline.windows == (tuple(first), tuple(other), tuple(first))


def test_a_long_painting_gets_windows_for_the_model():
    timeline = Timeline.preset("interpolation", frames=64, steps=10, window=64)
    windowed = timeline.with_windows(16)
    assert windowed.window_size == 16
    assert windowed.levels.tolist() == timeline.levels.tolist()
    for step in range(10):
        updates = [f for window in windowed.windows_at(step) for f in window.updates]
        assert sorted(updates) == list(range(64))
    assert windowed.model_calls == 10 * len(windowed.windows_at(0))
    assert timeline.with_windows(64) is timeline
    assert windowed.with_windows(16) is windowed


def test_windows_of_a_preset_can_be_narrowed_further():
    timeline = Timeline.preset("extend", frames=40, steps=4).with_windows(8)
    assert timeline.window_size == 8
    for step in range(timeline.num_steps):
        down = np.flatnonzero(timeline.levels[step + 1] < timeline.levels[step])
        updates = [f for window in timeline.active_windows(step) for f in window.updates]
        assert sorted(updates) == down.tolist()


@pytest.mark.parametrize("size", [0, -1, 1.5, True, 2000])
def test_window_size_must_be_a_number_of_frames(size):
    with pytest.raises(ValueError, match="window size must be a whole number from 1 to 1024"):
        Timeline(LEVELS).with_windows(size)
