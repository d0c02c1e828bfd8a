"""The timeline: what it accepts, what it counts, and how it refuses the rest."""

import copy
import pickle
import time

import numpy as np
import pytest

from fvdm_core.timeline import MAX_LEVEL, Timeline, Window

SIMPLE = [[1000, 0], [500, 0], [0, 0]]


def standard(frames=4, steps=10):
    return Timeline.preset("standard", frames=frames, steps=steps)


def test_rows_are_states_and_columns_are_frames():
    timeline = Timeline(SIMPLE)
    assert (timeline.frames, timeline.num_steps) == (2, 2)
    assert timeline.levels.dtype == np.int64
    assert timeline.levels.tolist() == SIMPLE
    assert timeline.windows_at(0) == (Window((0, 1), (0, 1)),)
    assert timeline.window_size == 2


def test_a_timeline_cannot_change():
    source = np.array(SIMPLE)
    timeline = Timeline(source)
    source[0, 0] = 3
    assert timeline.levels[0, 0] == 1000
    with pytest.raises(ValueError):
        timeline.levels[0, 0] = 3
    with pytest.raises(AttributeError):
        timeline.prior = "mixed"
    with pytest.raises(TypeError):
        timeline.seen[0] = 3


def test_equal_by_content():
    assert Timeline(SIMPLE) == Timeline(np.array(SIMPLE, dtype=np.int16))
    assert hash(Timeline(SIMPLE)) == hash(Timeline(SIMPLE))
    assert Timeline(SIMPLE) != Timeline(SIMPLE, prior="mixed")
    assert Timeline(SIMPLE) != Timeline(SIMPLE, sources=("noise", "keyframe"))
    assert Timeline(SIMPLE) != Timeline(SIMPLE, seen={1: 3})
    assert Timeline([[1000, 0, 0], [0, 0, 0]]) != Timeline([[1000, 0], [0, 0], [0, 0]])
    assert Timeline(SIMPLE) != SIMPLE


def test_steps_are_shared_as_long_as_all_that_bears_on_them_is_the_same():
    ours = Timeline([[1000, 0], [800, 0], [500, 0], [200, 0], [0, 0]])
    assert ours.shared_steps(ours) == 4
    assert ours.shared_steps(Timeline([[1000, 0], [800, 0], [500, 0], [0, 0]])) == 2
    assert ours.shared_steps(Timeline([[1000, 0], [800, 0], [500, 0]])) == 2
    assert ours.shared_steps(Timeline([[1000, 0], [700, 0], [500, 0], [200, 0], [0, 0]])) == 0
    assert ours.shared_steps(Timeline([[900, 0], [800, 0], [500, 0], [200, 0], [0, 0]])) == -1
    assert ours.shared_steps(Timeline([[1000, 0, 0]] * 5)) == -1
    for other in ({"prior": "mixed"}, {"prior_alpha": 2.0}, {"seen": {1: 9}}):
        assert ours.shared_steps(Timeline(ours.levels, **other)) == -1
    assert ours.shared_steps(Timeline(ours.levels, sources=("noise", "hold"))) == -1

    both, each = (Window((0, 1), (0, 1)),), (Window((0, 1), (0,)), Window((0, 1), (1,)))
    first = Timeline(ours.levels, windows=(both, each, both, each))
    assert first.shared_steps(first) == 4
    assert first.shared_steps(Timeline(ours.levels, windows=(both, each, each, each))) == 2
    assert first.shared_steps(Timeline(ours.levels, windows=(each,) * 4)) == 0
    assert ours.shared_steps(Timeline(ours.levels, windows=(both,) * 4)) == 4  # one of all frames
    alone = (Window((0,), (0,)), Window((1,), (1,)))
    for prior, steps in (("independent", 3), ("shuffled", -1)):  # by the largest window
        one = Timeline(ours.levels, windows=(alone,) * 4, prior=prior)
        other = Timeline(ours.levels, windows=(*(alone,) * 3, both), prior=prior)
        assert one.shared_steps(other) == steps


def test_survives_pickle_and_copy():
    timeline = Timeline(
        SIMPLE,
        windows=((Window((0, 1), (0,)),),) * 2,
        sources=("noise", "hold"),
        prior="mixed",
        prior_alpha=2.0,
        seen={1: 40},
    )
    for other in (pickle.loads(pickle.dumps(timeline)), copy.deepcopy(timeline)):
        assert other == timeline
        assert not other.levels.flags.writeable


@pytest.mark.parametrize(
    "levels, calls",
    [
        ([[1000, 1000], [500, 500], [0, 0]], 2),
        ([[1000, 1000], [1000, 1000], [0, 0]], 1),  # a row in which nothing moves is free
        ([[500, 500], [1000, 500], [0, 500]], 1),  # so is one that only adds noise
        ([[1000, 0], [500, 500], [0, 0]], 2),  # one up and one down is a call
        ([[0, 0], [0, 0]], 0),
    ],
)
def test_model_calls_count_steps_in_which_a_frame_goes_down(levels, calls):
    timeline = Timeline(levels)
    assert timeline.model_calls == calls
    assert sum(len(timeline.active_windows(s)) for s in range(timeline.num_steps)) == calls


def with_cell(value):
    rows = [[1000] * 4 for _ in range(3)]
    rows[2][1] = value
    return rows


@pytest.mark.parametrize(
    "levels, words",
    [
        (with_cell(-1), r"row 2, frame 2 \(index 1\) is -1; a level is a whole number from 0"),
        (with_cell(1001), r"row 2, frame 2 \(index 1\) is 1001"),
        (with_cell(10**5000), r"row 2, frame 2 \(index 1\) is an integer of \d+ bits"),
        (with_cell(0.5), r"row 2, frame 2 \(index 1\) is 0.5"),
        (with_cell(3.0), r"row 2, frame 2 \(index 1\) is 3.0"),
        (with_cell(float("nan")), r"row 2, frame 2 \(index 1\) is nan"),
        (with_cell(float("inf")), r"row 2, frame 2 \(index 1\) is inf"),
        (with_cell(True), r"row 2, frame 2 \(index 1\) is True"),
        (with_cell(None), r"row 2, frame 2 \(index 1\) is None"),
        (with_cell("5"), r"row 2, frame 2 \(index 1\) is '5'"),
        (with_cell([5]), r"row 2, frame 2 \(index 1\) is \[5\]"),
        (np.array(with_cell(-7)), r"row 2, frame 2 \(index 1\) is -7"),
        (np.array(with_cell(1 << 40)), r"row 2, frame 2 \(index 1\) is 1099511627776"),
        (np.array(with_cell(np.nan)), r"row 2, frame 2 \(index 1\) is nan"),
        (np.array(with_cell(np.inf)), r"row 2, frame 2 \(index 1\) is inf"),
        (np.array(with_cell(5), dtype=object), None),
        (np.array(with_cell(5), dtype=float), "must be integers, got float64"),
        (np.array(SIMPLE) > 3, "must be integers, got bool"),
        (np.array(with_cell("5")), "must be integers, got <U"),
        ([[1000, 0], [0]], "row 1 has 1 frames, but row 0 has 2"),
        ([[1000], 0], "row 1 must be a list of levels, got 0"),
        ([[1000], "0"], "row 1 must be a list of levels, got '0'"),
        ([], "0 rows, allowed are 2 to 4096"),
        ([[1000]], "1 rows, allowed are 2 to 4096"),
        ([[], []], "0 frames, allowed are 1 to 1024"),
        (np.zeros((0, 4), int), "0 rows"),
        (np.zeros((4, 0), int), "0 frames"),
        (np.zeros(4, int), r"two dimensions, rows and frames \(M\+1, F\), got shape \(4,\)"),
        (np.zeros((2, 2, 2), int), "got shape"),
        (np.zeros((4097, 1), int), "4097 rows, allowed are 2 to 4096"),
        (np.zeros((2, 1025), int), "1025 frames, allowed are 1 to 1024"),
        (np.zeros((977, 1024), int), "1000448 cells; at most 1000000"),
        ([[0]] * 4097, "4097 rows"),
        ([[0] * 1025] * 2, "1025 frames"),
        ([[0] * 1024] * 977, "1000448 cells"),
        ("1000", "must be a list of rows, got '1000'"),
        (None, "must be a list of rows, got None"),
        ({}, "must be a list of rows, got {}"),
        (7, "must be a list of rows, got 7"),
    ],
)
def test_levels_are_refused_by_row_frame_and_value(levels, words):
    if words is None:
        assert Timeline(levels).levels[2, 1] == 5
        return
    with pytest.raises(ValueError, match=words):
        Timeline(levels)


@pytest.mark.parametrize(
    "field, value, words",
    [
        ("sources", ("noise",), "one source for each of the 2 frames"),
        ("sources", "noise", "one source for each of the 2 frames, got 'noise'"),
        ("sources", ("noise", "film"), r"frame 2 \(index 1\) is 'film'; allowed are noise, key"),
        ("sources", ("noise", 3), r"frame 2 \(index 1\) is 3"),
        ("prior", "pink", "prior is 'pink'; allowed are independent, mixed"),
        ("prior", None, "prior is None"),
        ("prior_alpha", -1, "prior_alpha is -1; allowed is a number from 0 to 100"),
        ("prior_alpha", float("nan"), "prior_alpha is nan"),
        ("prior_alpha", float("inf"), "prior_alpha is inf"),
        ("prior_alpha", True, "prior_alpha is True"),
        ("prior_alpha", "1", "prior_alpha is '1'"),
        ("seen", [1], r"seen must map frames to levels, got \[1\]"),
        ("seen", {2: 5}, "seen: frame must be a whole number from 0 to 1, got 2"),
        ("seen", {1: 1001}, r"seen: frame 2 \(index 1\) must be a whole number from 0 to 1000"),
        ("seen", {0: 5}, r"frame 1 \(index 0\) moves in step 0; only a frame that never moves"),
    ],
)
def test_other_fields_are_refused_by_name_and_value(field, value, words):
    with pytest.raises(ValueError, match=words):
        Timeline(SIMPLE, **{field: value})


@pytest.mark.parametrize("step", [-1, 2, 1.0, True, None])
def test_steps_out_of_range_are_refused(step):
    with pytest.raises(ValueError, match="step must be a whole number from 0 to 1"):
        Timeline(SIMPLE).windows_at(step)


def test_needs_picture_names_frames_that_have_nothing_to_start_from():
    levels = [[1000, 0, 400, 0], [0, 0, 0, 0]]
    assert Timeline(levels).needs_picture() == [1, 2, 3]
    assert Timeline(levels).needs_picture({1}) == [2, 3]
    held = Timeline(levels, sources=("noise", "keyframe", "hold", "noise"))
    assert held.needs_picture() == [1, 2, 3]
    assert held.needs_picture({1}) == [3]
    assert held.needs_picture({1, 3}) == []


def test_a_held_frame_takes_no_picture_of_a_frame_that_is_made_from_noise():
    loop = Timeline.preset("loop", frames=8, steps=4)
    assert loop.starts_from([0, 5]) == {0: 0, 7: 0}  # and so it closes
    assert loop.unused_pictures([0, 5]) == [5]
    late = Timeline.preset("late-start", frames=4, steps=4)
    assert late.starts_from([2]) == {0: 2, 1: 2, 2: 2, 3: 2}
    assert loop.needs_picture([0, 8]) == []  # nobody has a frame 9: who reads the picture says so
    alone = Timeline([[1000, 500], [0, 0]], sources=("noise", "hold"))
    assert alone.starts_from([0]) == {1: 0}  # the only one there is


class TestResampled:
    def test_same_size_is_the_same_timeline(self):
        timeline = standard()
        assert timeline.resampled(4, 10) is timeline

    @pytest.mark.parametrize("steps", [1, 5, 7, 20, 33])
    def test_rows_are_interpolated(self, steps):
        wanted = np.rint(MAX_LEVEL * (1 - np.arange(steps + 1) / steps))
        levels = standard(3, 10).resampled(3, steps).levels
        assert (np.abs(levels - wanted[:, None]) <= 1).all()
        assert (levels[0] == 1000).all()
        assert (levels[-1] == 0).all()

    @pytest.mark.parametrize("frames", [4, 8, 16, 23, 32, 64])
    def test_kept_frames_stay_kept_and_are_not_multiplied(self, frames):
        timeline = Timeline.preset("interpolation", frames=16, steps=10).resampled(frames, 10)
        assert timeline == Timeline.preset("interpolation", frames=frames, steps=10, window=frames)

    def test_a_kept_frame_in_the_middle_moves_with_its_place(self):
        timeline = Timeline.preset("any-frame", frames=16, steps=10, keep=[5])
        longer = timeline.resampled(31, 7)
        assert longer.needs_picture() == [10]
        assert (longer.levels[:, 10] == 0).all()

    def test_a_held_frame_that_stands_is_not_repeated(self):
        longer = Timeline.preset("loop", frames=16, steps=10).resampled(32, 10)
        assert np.flatnonzero((longer.levels == 0).all(axis=0)).tolist() == [0, 31]

    def test_columns_are_repeated_where_all_stand_for_pictures(self):
        timeline = Timeline.preset("edit", frames=4, steps=10).resampled(8, 10)
        assert timeline == Timeline.preset("edit", frames=8, steps=10)

    def test_sources_and_seen_levels_go_along(self):
        timeline = Timeline(
            [[0, 1000, 500], [0, 0, 0]], sources=("keyframe", "noise", "hold"), seen={0: 30}
        )
        longer = timeline.resampled(5, 4)
        assert longer.sources == ("keyframe", "noise", "noise", "noise", "hold")
        assert longer.seen == {0: 30}

    def test_windows_are_laid_out_anew_within_their_size(self):
        timeline = Timeline.preset("extend", frames=40, steps=6).resampled(50, 31)
        assert timeline.window_size == 16
        assert timeline.num_steps == 31

    def test_one_frame_and_back(self):
        timeline = standard(5, 10)
        assert timeline.resampled(1, 10).resampled(5, 10) == timeline

    @pytest.mark.parametrize("size", [(0, 5), (5, 0), (1025, 5), (1024, 1000), (2.5, 5)])
    def test_size_is_checked(self, size):
        with pytest.raises(ValueError, match="timeline"):
            standard().resampled(*size)


def test_a_million_cells_are_checked_quickly():
    levels = np.random.default_rng(0).integers(0, MAX_LEVEL + 1, (976, 1024))
    one_by_one = timed(lambda: sum(level > 0 for level in levels.flat))
    assert min(timed(Timeline, levels) for _ in range(5)) < one_by_one


def timed(call, *arguments):
    start = time.perf_counter()
    call(*arguments)
    return time.perf_counter() - start


@pytest.mark.parametrize("name", ["extend", "diagonal", "hierarchical"])
def test_a_long_timeline_can_begin_with_frames_that_are_there(name):
    whole = Timeline.preset(name, frames=40, steps=6, window=16)
    timeline = whole.keeping(range(16))
    assert not timeline.levels[:, :16].any()
    assert timeline.levels[0, 16:].tolist() == [MAX_LEVEL] * 24
    assert not timeline.levels[-1].any()
    assert (timeline.levels[1:] != timeline.levels[:-1]).any(axis=1).all()  # no idle step
    assert timeline.model_calls < whole.model_calls
    assert timeline.window_size <= 16
    first = timeline.active_windows(0)[0]
    assert set(first.frames) & set(range(16)), "the first window sees what is there"


def test_keeping_removes_idle_steps_wherever_they_are():
    levels = [[1000, 1000], [0, 1000], [0, 1000], [0, 0], [0, 0]]
    timeline = Timeline(levels, sources=("hold", "noise"), seen={})
    assert timeline.keeping([0]).levels.tolist() == [[0, 1000], [0, 0]]
    assert timeline.keeping([0]).sources == ("keyframe", "noise")
    assert timeline.keeping([1]).levels.tolist() == [[1000, 0], [0, 0]]
    with pytest.raises(ValueError, match="every frame is kept"):
        timeline.keeping([0, 1])
    with pytest.raises(ValueError, match="from 0 to 1, got 2"):
        timeline.keeping([2])
