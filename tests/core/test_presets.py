"""Each preset against its closed form, written out cell by cell."""

import math

import numpy as np
import pytest

from fvdm_core.presets import GROUPS, PRESETS, build
from fvdm_core.timeline import Timeline
from fvdm_core.windows import out_of_sight


def matrix(frames, rows, tau):
    """Levels of τ(i, m), i = 1 … N and m = 0 … M, one cell at a time."""
    return [
        [round(1000 * min(1.0, max(0.0, tau(i, m)))) for i in range(1, frames + 1)]
        for m in range(rows + 1)
    ]


def preset(name, frames, steps, **params):
    return Timeline.preset(name, frames=frames, steps=steps, **params)


N, S = 16, 30


def t(m):
    return 1 - m / S


CLOSED_FORMS = [
    ("standard", {}, lambda i, m: t(m)),
    ("image-to-video", {}, lambda i, m: 0 if i == 1 else t(m)),
    ("interpolation", {}, lambda i, m: 0 if i in (1, N) else t(m)),
    ("loop", {}, lambda i, m: 0 if i in (1, N) else t(m)),
    ("any-frame", {}, lambda i, m: 0 if i == 9 else t(m)),
    ("any-frame", {"keep": [2, 5]}, lambda i, m: 0 if i in (3, 6) else t(m)),
    ("next-frame", {}, lambda i, m: t(m) if i == N else 0),
    ("transition", {}, lambda i, m: 0 if i <= 4 or i > 12 else t(m)),
    ("transition", {"head": 1, "tail": 6}, lambda i, m: 0 if i == 1 or i > 10 else t(m)),
    ("ramp", {}, lambda i, m: min(0.2 * i * t(m), t(m))),
    ("ramp", {"rate": 0.05}, lambda i, m: min(0.05 * i * t(m), t(m))),
    ("soft-keyframes", {}, lambda i, m: 0.2 * t(m) if i == 1 else t(m)),
    ("soft-keyframes", {"softness": {15: 0.5}}, lambda i, m: 0.5 * t(m) if i == 16 else t(m)),
    ("capped-keyframes", {}, lambda i, m: min(t(m), 0.1) if i == 1 else t(m)),
    ("capped-keyframes", {"strength": {3: 0.25}}, lambda i, m: min(t(m), 0.75 if i == 4 else 1)),
    ("edit", {}, lambda i, m: min(t(m), 0.6)),
    ("edit", {"strength": 0.3}, lambda i, m: min(t(m), 0.3)),
    ("edit", {"strength": {4: 0.7}}, lambda i, m: min(t(m), 0.7) if i == 5 else 0),
    (
        "edit",
        {"strength": [0.05 * i for i in range(1, 17)]},
        lambda i, m: min(t(m), 0.05 * i),
    ),
    ("staggered", {}, lambda i, m: 1 + 0.5 * (abs(i - 8.5) - 0.5) / 7 - 1.5 * m / S),
    ("staggered", {"delay": 0}, lambda i, m: t(m)),
    (
        "staggered",
        {"delay": 2, "keep": [0, 15]},
        lambda i, m: i not in (1, 16) and 1 + 2 * (min(i - 1, 16 - i) - 1) / 6 - 3 * m / S,
    ),
    ("staggered", {"keep": list(range(16))}, lambda i, m: 0),
    ("late-start", {}, lambda i, m: 0.94 * t(m)),
    ("late-start", {"start": 0.5, "keep": [0]}, lambda i, m: 0 if i == 1 else 0.5 * t(m)),
]


@pytest.mark.parametrize("name, params, tau", CLOSED_FORMS)
def test_levels_follow_their_formula(name, params, tau):
    timeline = preset(name, N, S, **params)
    assert timeline.levels.tolist() == matrix(N, S, tau)
    assert timeline.windows is None


LAGGING = [
    ("pyramid", {}, lambda i: i - 1, 7.5),
    ("pyramid", {"lag": 2}, lambda i: i - 1, 2),
    ("pyramid", {"lag": 0}, lambda i: i - 1, 0),
    ("pyramid", {"lag": 0.1}, lambda i: i - 1, 0.1),
    ("trapezoid", {}, lambda i: min(i, N + 1 - i) - 1, 7.5),
    ("trapezoid", {"lag": 5}, lambda i: min(i, N + 1 - i) - 1, 5),
    ("autoregressive", {}, lambda i: i - 1, 30),
    ("blocks", {}, lambda i: (i - 1) // 4, 15),
    ("blocks", {"block": 5, "lag": 10}, lambda i: (i - 1) // 5, 10),
    ("diagonal", {}, lambda i: i - 1, 30 / 16),
]


@pytest.mark.parametrize("name, params, place, lag", LAGGING)
def test_each_frame_lags_behind_those_before(name, params, place, lag):
    timeline = preset(name, N, S, **params)
    rows = S + math.ceil(max(place(i) for i in range(1, N + 1)) * lag - 1e-9)
    assert timeline.num_steps == rows
    assert timeline.levels.tolist() == matrix(N, rows, lambda i, m: 1 + (place(i) * lag - m) / S)


def test_trapezoid_of_an_odd_number_of_frames_meets_in_the_middle():
    timeline = preset("trapezoid", 5, 10, lag=3)
    assert timeline.num_steps == 10 + 2 * 3
    starts = (timeline.levels == 1000).sum(axis=0) - 1  # rows before each frame first moves
    assert starts.tolist() == [0, 3, 6, 3, 0]


def test_autoregressive_finishes_a_frame_before_the_next_begins():
    timeline = preset("autoregressive", 6, 10)
    assert timeline.num_steps == 60
    moving = timeline.levels[1:] != timeline.levels[:-1]
    assert (moving.sum(axis=1) == 1).all()
    assert timeline.model_calls == 60


@pytest.mark.parametrize("steps", [16, 32, 30, 10, 5])
def test_diagonal_slides_a_window_of_fixed_size(steps):
    timeline = preset("diagonal", 40, steps, window=16)
    lag = steps / 16
    rows = steps + math.ceil(39 * lag)
    assert timeline.levels.tolist() == [
        [round(1000 * min(1, max(0, 1 + ((i - 1) * lag - m) / steps))) for i in range(1, 41)]
        for m in range(rows + 1)
    ]
    assert all(len(w.frames) == 16 for step in timeline.windows for w in step)
    finished = (timeline.levels[-1] == 0).all()
    assert finished
    if steps % 16 == 0:  # exactly 16 frames move: one call per row
        assert timeline.model_calls == rows
        after_warm_up = timeline.levels[steps : steps + 20 * (steps // 16) + 1 : steps // 16]
        assert np.diff((after_warm_up == 0).sum(axis=1)).tolist() == [1] * 20


def test_diagonal_that_fits_the_window_needs_none():
    assert preset("diagonal", 16, 16).windows is None


@pytest.mark.parametrize(
    "frames, context, starts",
    [
        (64, 8, [0, 8, 16, 24, 32, 40, 48]),
        (64, 4, [0, 12, 24, 36, 48]),
        (20, 8, [0, 4]),
        (17, 15, [0, 1]),
    ],
)
def test_extend_hops_window_after_window(frames, context, starts):
    steps = 6
    timeline = preset("extend", frames, steps, context=context)
    assert timeline.num_steps == steps * len(starts)
    done = context  # frames that are clean when a window begins
    for number, start in enumerate(starts):
        rows = timeline.levels[number * steps : (number + 1) * steps + 1]
        for row, levels in enumerate(rows):
            level = round(1000 * (1 - row / steps))
            assert levels.tolist() == (
                [0] * done + [level] * (start + 16 - done) + [1000] * (frames - start - 16)
            )
        for step in range(number * steps, (number + 1) * steps):
            (window,) = timeline.windows_at(step)
            assert window.frames == tuple(range(start, start + 16))
            assert window.updates == tuple(range(done, start + 16))
        done = start + 16
    assert (timeline.levels[-1] == 0).all()
    assert timeline.model_calls == steps * len(starts)


def test_extend_can_begin_from_one_picture_or_from_nothing():
    one = preset("extend", 40, 10, given=1)
    assert (one.levels[0] == 0).tolist() == [True] + [False] * 39
    nothing = preset("extend", 40, 10, given=0)
    assert (nothing.levels[0] == 1000).all()
    assert nothing.model_calls == one.model_calls == 40
    assert nothing.needs_picture() == []


@pytest.mark.parametrize("given", [1, 8, 9, 15, 16, 17, 20, 24, 25, 31, 39])
@pytest.mark.parametrize("context", [4, 8])
def test_extend_goes_on_from_as_many_frames_as_are_there(given, context):
    """As if the clip began with the last of them that are context, in as few windows."""
    timeline = preset("extend", 40, 5, given=given, context=context)
    before = max(0, given - context)
    alone = preset("extend", 40 - before, 5, given=given - before, context=context)
    if 40 - before >= 16:
        assert timeline.levels[:, before:].tolist() == alone.levels.tolist()
    assert timeline.kept == tuple(range(given))
    hops = -(-(40 - max(given, context)) // (16 - context)) if given < 40 - 16 + context else 1
    assert timeline.model_calls == timeline.num_steps == 5 * hops
    for step in range(timeline.num_steps):
        (window,) = timeline.windows_at(step)
        assert len(window.frames) == 16 and min(window.updates) >= given
        known = timeline.levels[step, list(window.frames)] == 0
        assert known[: min(context, given)].all()


def test_a_long_clip_is_extended_by_a_little():
    """Of what is there no step is made, so it is not too large."""
    timeline = preset("extend", 1024, 30, given=1000)
    assert timeline.model_calls == timeline.num_steps == 90  # three hops of 8
    assert timeline.kept == tuple(range(1000))


def test_extend_of_one_window_is_a_plain_condition():
    assert preset("extend", 16, 10, context=3) == preset("any-frame", 16, 10, keep=[0, 1, 2])


@pytest.mark.parametrize("frames, every", [(16, 4), (64, 4), (61, 4), (40, 15), (18, 2), (3, 2)])
def test_hierarchical_does_anchors_first_then_the_gaps(frames, every):
    steps = 5
    timeline = preset("hierarchical", frames, steps, every=every)
    assert timeline.num_steps == 2 * steps
    anchors = {*range(0, frames, every), frames - 1}
    for m, row in enumerate(timeline.levels):
        for frame, level in enumerate(row):
            begin = 0 if frame in anchors else steps
            assert level == round(1000 * min(1, max(0, 1 - (m - begin) / steps)))
    for step in range(steps):
        assert all(set(window.frames) <= anchors for window in timeline.windows_at(step))
    for step in range(steps, 2 * steps):
        for window in timeline.windows_at(step):
            for frame in window.updates:  # both ends of the gap are in sight
                assert max(a for a in anchors if a < frame) in window.frames
                assert min(a for a in anchors if a > frame) in window.frames


def walked(frames, steps, jump, repeats):
    """RePaint's walk, one move at a time, with the way up in one row."""
    place, path, jumped = 0, [0], {}
    while place < steps:
        place += 1
        path.append(place)
        if place % jump == 0 and place > jump and jumped.get(place, 0) < repeats:
            jumped[place] = jumped.get(place, 0) + 1
            place -= jump
            path.append(place)
    return [[round(1000 * (1 - place / steps))] * frames for place in path]


@pytest.mark.parametrize(
    "steps, jump, repeats", [(30, 3, 2), (10, 5, 1), (10, 3, 3), (7, 7, 2), (20, 2, 0), (9, 1, 2)]
)
def test_resample_walks_down_and_up_again(steps, jump, repeats):
    timeline = preset("resample", 4, steps, jump=jump, repeats=repeats)
    assert timeline.levels.tolist() == walked(4, steps, jump, repeats)
    segments = steps // jump
    assert timeline.model_calls == steps + (segments - 1) * repeats * jump  # the way up is free
    assert (timeline.levels[1:] < 1000).all()  # never back to where nothing is left


def test_resample_defaults_and_kept_frames():
    timeline = preset("resample", 4, 30, keep=[1])
    other = preset("resample", 4, 30, jump=3, repeats=2)
    assert timeline.num_steps == other.num_steps
    assert (timeline.levels[:, 1] == 0).all()
    assert (timeline.levels[:, 0] == other.levels[:, 0]).all()


def test_restart_goes_back_up_at_an_even_slope():
    levels = preset("restart", 4, 30, keep=[1]).levels
    first, again, last = range(1000, 499, -50), range(700, 499, -50), range(700, -1, -50)
    assert levels[:, 0].tolist() == [*first, *again, *last]
    assert (levels[:, 1] == 0).all()
    assert preset("restart", 4, 30, times=0) == preset("standard", 4, 30)


@pytest.mark.parametrize("steps, times, low, high", [(7, 3, 0.4, 0.9), (100, 5, 0.25, 0.5)])
def test_restarts_take_the_steps_that_there_are(steps, times, low, high):
    timeline = preset("restart", 2, steps, times=times, low=low, high=high)
    levels = timeline.levels[:, 0]
    assert timeline.num_steps == steps and timeline.model_calls == steps - times
    back = np.flatnonzero(np.diff(levels) > 0)
    assert levels[back].tolist() == [1000 * low] * times
    assert levels[back + 1].tolist() == [1000 * high] * times
    down = -np.diff(levels)[np.diff(levels) < 0]
    assert steps < 100 or down.max() < 2 * down.min()


def test_sources_say_what_a_frame_starts_from():
    assert preset("ramp", 4, 10).sources == ("keyframe", "hold", "hold", "hold")
    assert preset("loop", 4, 10).sources == ("keyframe", "noise", "noise", "hold")
    assert preset("late-start", 3, 10).sources == ("hold",) * 3
    assert preset("interpolation", 4, 10).sources is None


@pytest.mark.parametrize("name", PRESETS)
@pytest.mark.parametrize("frames, steps", [(16, 30), (50, 7), (3, 1), (17, 20)])
def test_every_preset_is_a_whole_timeline(name, frames, steps):
    timeline = preset(name, frames, steps)
    down = timeline.levels[1:] < timeline.levels[:-1]
    assert timeline.frames == frames
    assert (timeline.levels[-1] == 0).all()
    assert down.any()
    for step in range(timeline.num_steps):
        if timeline.windows is not None:
            assert all(len(window.frames) <= 16 for window in timeline.windows[step])
        updated = [f for window in timeline.active_windows(step) for f in window.updates]
        moving = set(np.flatnonzero(down[step]))
        assert len(updated) == len(set(updated))
        assert moving <= set(updated)


@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_has_a_form_whose_defaults_build_it(name):
    chosen = PRESETS[name]
    assert chosen.name == name
    assert chosen.group in GROUPS
    assert chosen.title and chosen.summary.endswith(".")
    form = chosen.form(24, 20)
    for field in form:
        assert field["minimum"] <= field["maximum"]
        if field["kind"] in ("integer", "number"):
            assert field["minimum"] <= field["default"] <= field["maximum"]
    defaults = {field["name"]: field["default"] for field in form}
    assert preset(name, 24, 20, **defaults) == preset(name, 24, 20)


@pytest.mark.parametrize("end", ["minimum", "maximum"])
@pytest.mark.parametrize("name", PRESETS)
def test_both_ends_of_every_slider_build_or_say_why_not(name, end):
    for field in PRESETS[name].form(20, 12):
        if field["kind"] in ("integer", "number"):
            try:
                preset(name, 20, 12, **{field["name"]: field[end]})
            except ValueError as error:
                assert field["name"] in str(error)


def test_keys_of_json_objects_name_frames():
    assert preset("soft-keyframes", 8, 4, softness={"3": 0.5}) == preset(
        "soft-keyframes", 8, 4, softness={3: 0.5}
    )


@pytest.mark.parametrize(
    "name, size, params, words",
    [
        ("interpolatoin", (16, 30), {}, "did you mean interpolation"),
        (None, (16, 30), {}, "unknown preset None"),
        (["standard"], (16, 30), {}, "unknown preset"),
        ("standard", (16, 30), {"lag": 2}, "no parameter 'lag'; it takes none"),
        ("pyramid", (16, 30), {"log": 2}, "no parameter 'log'; it takes lag"),
        ("pyramid", (16, 30), {"lag": -1}, "lag must be a number from 0 to 30, got -1"),
        ("pyramid", (16, 30), {"lag": float("nan")}, "got nan"),
        ("pyramid", (16, 30), {"lag": True}, "got True"),
        ("pyramid", (16, 30), {"lag": "3"}, "got '3'"),
        ("ramp", (16, 30), {"rate": 2}, "rate must be a number from 0 to 1, got 2"),
        ("any-frame", (16, 30), {"keep": [16]}, "from 0 to 15, got 16"),
        ("any-frame", (16, 30), {"keep": [-1]}, "from 0 to 15, got -1"),
        ("any-frame", (16, 30), {"keep": ["x"]}, "got 'x'"),
        ("any-frame", (16, 30), {"keep": [0] * 17}, "lists 17 frames"),
        ("edit", (16, 30), {"strength": [0.5] * 3}, "lists 3 numbers"),
        ("edit", (16, 30), {"strength": {2: 7}}, r"strength of frame 3 \(index 2\)"),
        ("edit", (16, 30), {"strength": "strong"}, "got 'strong'"),
        ("transition", (6, 30), {"head": 3, "tail": 3}, "head 3 and tail 3"),
        ("blocks", (16, 30), {"block": 0}, "block must be a whole number from 1 to 16, got 0"),
        ("extend", (64, 30), {"context": 16}, "from 1 to 15, got 16"),
        ("hierarchical", (64, 30), {"every": 16}, "from 2 to 15, got 16"),
        ("restart", (16, 30), {"low": 0.7}, "from 0.7 .low. up to 0.7 .high., which is not above"),
        ("restart", (16, 4), {"times": 2}, "times must be a whole number from 0 to 1, got 2"),
        ("interpolation", (2, 30), {}, "at least 3 frames, got 2"),
        ("standard", (0, 30), {}, "frames must be a whole number from 1 to 1024, got 0"),
        ("standard", (16, 0), {}, "steps must be a whole number from 1 to 4095, got 0"),
        ("standard", (16.0, 30), {}, "got 16.0"),
        ("standard", (True, 30), {}, "got True"),
        ("standard", (1024, 1000), {}, "at most 1000000"),
        ("autoregressive", (1024, 900), {}, "from 1 to 4095, got 921600"),
        ("extend", (1024, 30), {}, "at most 1000000"),
        ("standard", (10**30, 30), {}, "frames must be"),
    ],
)
def test_refusals_name_the_parameter_and_what_is_allowed(name, size, params, words):
    with pytest.raises(ValueError, match=words):
        build(name, *size, **params)


def test_window_must_be_a_size():
    with pytest.raises(ValueError, match="window must be a whole number from 1 to 1024, got 0"):
        build("extend", 64, 30, 0)
    with pytest.raises(ValueError, match="context can have no value for 64 frames in windows of 1"):
        build("extend", 64, 30, 1)


KEEPING = {
    "interpolation": {},
    "loop": {},
    "transition": {"head": 3, "tail": 2},
    "any-frame": {"keep": [9, 30]},
    "image-to-video": {},
}


@pytest.mark.parametrize("frames", [17, 31, 32, 64, 226, 227, 700])
@pytest.mark.parametrize("name", KEEPING)
def test_longer_than_the_window_every_frame_is_made_in_sight_of_a_known_one(name, frames):
    params = KEEPING[name] if frames > 30 or name != "any-frame" else {"keep": [9]}
    timeline = Timeline.preset(name, frames=frames, steps=3, window=16, **params)
    levels = timeline.levels
    kept = np.flatnonzero(~levels.any(axis=0))
    expected = Timeline.preset(name, frames=frames, steps=3, window=frames, **params)
    assert np.array_equal(kept, np.flatnonzero(~expected.levels.any(axis=0)))
    moves = levels[1:] != levels[:-1]
    assert set(moves.sum(axis=0)) == {0, 3} and (levels[-1] == 0).all()
    narrow = timeline.with_windows(16)
    assert narrow.window_size <= 16 and narrow.sources == expected.sources
    assert out_of_sight(narrow.windows, narrow.levels).size == 0
    assert timeline.windows is None or timeline == narrow  # windows of a preset's own fit


def test_coarse_to_fine_is_one_clip_of_frames_far_apart_and_then_what_lies_between():
    timeline = Timeline.preset("interpolation", frames=64, steps=5, window=16)
    assert timeline.num_steps == 10
    (first,) = timeline.windows[0]
    assert first.frames == (*range(0, 64, 5), 63) and first.updates == first.frames[1:-1]
    assert timeline.model_calls == 5 + 5 * len(timeline.windows[5])
    assert timeline.levels[5].nonzero()[0].tolist() == sorted(set(range(64)) - {*first.frames})


@pytest.mark.parametrize("name", ["image-to-video", "interpolation", "loop", "transition"])
@pytest.mark.parametrize("window", [1, 2])
def test_a_window_of_two_frames_has_no_stages(name, window):
    timeline = preset(name, 12, 5, window=window)
    assert timeline.num_steps == 5
    assert all(len(w.frames) <= window for w in timeline.with_windows(window).windows_at(0))


@pytest.mark.parametrize("frames, window, params", [(24, 8, {}), (64, 16, {"head": 12, "tail": 4})])
def test_no_stage_passes_in_which_nothing_moves(frames, window, params):
    levels = preset("transition", frames, 10, window=window, **params).levels
    assert (levels[1:] != levels[:-1]).any(axis=1).all()


@pytest.mark.parametrize("frames, params", [(1, {}), (2, {}), (3, {"keep": [1]})])
def test_frames_that_are_equally_far_take_all_steps(frames, params):
    levels = preset("staggered", frames, 6, **params).levels
    assert (levels[1:] != levels[:-1]).any(axis=1).all()


def test_more_kept_frames_than_the_model_sees_leave_one_stage():
    keep = list(range(0, 64, 2))
    timeline = Timeline.preset("any-frame", frames=64, steps=5, window=16, keep=keep)
    assert timeline.windows is None and timeline.num_steps == 5
