"""The JSON of a timeline: it comes back the same, and hostile text is refused before building."""

import json
import tracemalloc

import numpy as np
import pytest

from fvdm_core import timeline_json
from fvdm_core.presets import PRESETS
from fvdm_core.timeline import Timeline, Window

GOOD = {"version": 1, "levels": [[1000, 0], [0, 0]]}


def read(**changes):
    return Timeline.from_json(json.dumps(GOOD | changes))


@pytest.mark.parametrize("frames", [8, 40])
@pytest.mark.parametrize("name", PRESETS)
def test_presets_come_back_the_same(name, frames):
    timeline = Timeline.preset(name, frames=frames, steps=9)
    assert Timeline.from_json(timeline.to_json()) == timeline
    assert Timeline.from_json(timeline.to_json().encode()) == timeline


@pytest.mark.parametrize("seed", range(40))
def test_random_timelines_come_back_the_same(seed):
    rng = np.random.default_rng(seed)
    rows, frames = rng.integers(2, 40), rng.integers(1, 40)
    levels = rng.choice([0, 1000, *rng.integers(0, 1001, 3)], (rows, frames))
    if seed % 2:  # long runs
        levels = np.repeat(levels[:, :1], frames, axis=1)
    if seed % 3 == 0:
        levels[:, 0] = 7
    timeline = Timeline(
        levels,
        sources=tuple(rng.choice(["noise", "keyframe", "hold"], frames)) if seed % 5 else None,
        prior=str(rng.choice(["independent", "mixed", "progressive", "shuffled"])),
        prior_alpha=float(rng.random()),
        seen={0: 12} if seed % 3 == 0 else {},
    )
    if seed % 4:
        timeline = timeline.with_windows(int(rng.integers(1, 20)))
    assert Timeline.from_json(timeline.to_json()) == timeline


def test_written_as_documented():
    timeline = Timeline(
        [[0, 1000, 1000, 1000, 1000], [0, 9, 8, 7, 6], [0, 0, 0, 0, 0], [0, 0, 0, 0, 0]],
        windows=((Window((0, 1, 2, 3, 4), (1, 2, 3, 4)),),) * 3,
        sources=("keyframe",) + ("noise",) * 4,
        seen={0: 3},
    )
    assert json.loads(timeline.to_json()) == {
        "version": 1,
        "levels": [[[0, 1], [1000, 4]], [0, 9, 8, 7, 6], [[0, 5]], [[0, 5]]],
        "windows": [[{"frames": [0, 1, 2, 3, 4], "updates": [1, 2, 3, 4]}], 2],
        "sources": ["keyframe", "noise", "noise", "noise", "noise"],
        "seen": {"0": 3},
    }


def test_plain_lists_and_windows_of_every_step_are_read():
    window = [{"frames": [0, 1], "updates": [0]}]
    timeline = read(levels=[[1000, 0], [500, 0], [0, 0]], windows=[window, window])
    assert timeline.windows == ((Window((0, 1), (0,)),),) * 2
    assert read(windows=None, sources=None) == Timeline(GOOD["levels"])


def test_large_timelines_are_short():
    timeline = Timeline.preset("standard", frames=1024, steps=975).with_windows(16)
    text = timeline.to_json()
    assert len(text) < 50_000
    assert Timeline.from_json(text) == timeline


def test_a_timeline_too_large_to_be_read_is_not_written():
    levels = np.random.default_rng(0).integers(0, 1001, (976, 1024))
    with pytest.raises(ValueError, match="takes 38.* bytes as JSON, at most 2000000"):
        Timeline(levels).to_json()


@pytest.mark.parametrize(
    "text, words",
    [
        ("", "not JSON: Expecting value at line 1"),
        ("not json", "not JSON"),
        ('{"version": 1', "not JSON"),
        ("{}", "the field 'version' is missing"),
        ("[]", r"must be a JSON object, got \[\]"),
        ("null", "must be a JSON object, got None"),
        ("7", "must be a JSON object, got 7"),
        ('{"version": 1}', "the field 'levels' is missing"),
        ('{"version": 1, "version": 1, "levels": [[0], [0]]}', "the key 'version' is given twice"),
        ('{"version": 1, "levels": [[NaN], [0]]}', "NaN is not a number"),
        ('{"version": 1, "levels": [[Infinity], [0]]}', "Infinity is not a number"),
        ('{"version": 1, "levels": [[-Infinity], [0]]}', "-Infinity is not a number"),
        ('{"version": 1, "levels": [[1e999], [0]]}', r"row 0, frame 1 \(index 0\) is inf"),
        ('{"version": 1, "levels": [[' + "9" * 5000 + "], [0]]}", "number of 40 or more digits"),
        (b"\xff\xfe{}", "byte 0 is not UTF-8"),
        (b"\x80\x04K\x01.", "byte 0 is not UTF-8"),
        ('{"a": "\ud800"}', "unknown field 'a'"),
        ("\x00", "not JSON"),
        (None, "must be JSON text, got None"),
        (7, "must be JSON text, got 7"),
        ({"version": 1}, "must be JSON text"),
        ("[" * 5000, "5000 deep, a timeline is at most 8 deep"),
        ("[" * 5000 + "]" * 5000, "5000 deep"),
        ('{"a":' * 5000 + "1" + "}" * 5000, "5000 deep"),
        ('"' + "]" * 9000 + '",' + "[" * 5000, "5000 deep"),
        ('["' + "]" * 9000 + '",' + "[" * 5000, "5001 deep"),
        ('"' + '\\"' * 999_000, "not JSON: Unterminated string"),  # at once
        ('"' + "\\" * 999_001, "not JSON"),
        ('"é' + "é" * 1_000_000, "has 2000003 bytes, at most 2000000"),
    ],
)
def test_hostile_text_is_refused(text, words):
    with pytest.raises(ValueError, match=words):
        Timeline.from_json(text)


@pytest.mark.parametrize(
    "changes, words",
    [
        ({"version": 999}, "version is 999, this program reads version 1; update it"),
        ({"version": "1"}, "version is '1'"),
        ({"version": True}, "version is True"),
        ({"version": 1.0}, "version is 1.0"),
        ({"version": None}, "version is None"),
        ({"code": "import os"}, "unknown field 'code'; allowed are version, levels"),
        ({"levels": None}, "levels must be a list of rows, got None"),
        ({"levels": {}}, "levels must be a list of rows"),
        ({"levels": "[[0]]"}, "levels must be a list of rows"),
        ({"levels": []}, "levels has 0 rows"),
        ({"levels": [[0, 0]]}, "levels has 1 rows"),
        ({"levels": [[], []]}, r"row 0 must be a list of levels, got \[\]"),
        ({"levels": [[0], 3]}, "row 1 must be a list of levels, got 3"),
        ({"levels": [[0], "0"]}, "row 1 must be a list of levels, got '0'"),
        ({"levels": [[0, 0], [0]]}, "row 1 has 1 frames, but row 0 has 2"),
        ({"levels": [[[0, 2]], [[0, 3]]]}, "row 1 has 3 frames, but row 0 has 2"),
        ({"levels": [[0], ["0"]]}, r"row 1, frame 1 \(index 0\) is '0'"),
        ({"levels": [[0], [True]]}, r"row 1, frame 1 \(index 0\) is True"),
        ({"levels": [[0], [0.5]]}, r"row 1, frame 1 \(index 0\) is 0.5"),
        ({"levels": [[0], [None]]}, r"row 1, frame 1 \(index 0\) is None"),
        ({"levels": [[0], [-1]]}, r"row 1, frame 1 \(index 0\) is -1"),
        ({"levels": [[0], [1001]]}, r"row 1, frame 1 \(index 0\) is 1001"),
        ({"levels": [[[0, 1]], [[1001, 1]]]}, r"row 1, frame 1 \(index 0\) is 1001"),
        ({"levels": [[[0, 1]], [[True, 1]]]}, r"row 1, frame 1 \(index 0\) is True"),
        ({"levels": [[0, [0, 1]], [0, 0]]}, r"row 0, frame 2 \(index 1\) is \[0, 1\]"),
        ({"levels": [[[0, 1], 0], [0, 0]]}, "row 0 has the run 0; a run is"),
        ({"levels": [[[0, 0]], [[0, 0]]]}, r"the run \[0, 0\]"),
        ({"levels": [[[0, -1]], [[0, 1]]]}, r"the run \[0, -1\]"),
        ({"levels": [[[0, True]], [[0, 1]]]}, r"the run \[0, True\]"),
        ({"levels": [[[0, 1.0]], [[0, 1]]]}, r"the run \[0, 1.0\]"),
        ({"levels": [[[0, 1, 2]], [[0, 1]]]}, r"the run \[0, 1, 2\]"),
        ({"levels": [[[0, 10**30]], [[0, 1]]]}, "row 0 has an integer of 100 bits frames"),
        ({"levels": [[[0, 1025]]] * 2}, "row 0 has 1025 frames, at most 1024"),
        ({"levels": [[0] * 1025] * 2}, "row 0 has 1025 frames, at most 1024"),
        ({"levels": [[0]] * 4097}, "levels has 4097 rows"),
        ({"levels": [[[0, 1024]]] * 4096}, "row 976 brings the cells to 1000448"),
        ({"sources": "noise"}, "sources must name"),
        ({"sources": ["noise", "film"]}, "'film'"),
        ({"prior": None}, "prior is None"),
        ({"prior": []}, r"prior is \[\]"),
        ({"prior_alpha": "1"}, "prior_alpha is '1'"),
        ({"prior_alpha": 1e300}, "prior_alpha is 1e"),
        ({"seen": [0, 1]}, "seen must map frames to levels"),
        ({"seen": {"-1": 0}}, "seen: '-1' is not a frame index"),
        ({"seen": {"01": 0}}, "seen: '01' is not a frame index"),
        ({"seen": {"x": 0}}, "seen: 'x' is not a frame index"),
        ({"seen": {"5": 0}}, "from 0 to 1, got 5"),
        ({"seen": {"1": 0.5}}, "got 0.5"),
        ({"windows": {}}, "windows must be a list of steps"),
        ({"windows": []}, "each of the 1 steps, got 0"),
        ({"windows": [1]}, "windows: 1 repeats at step 0"),
        ({"windows": [[], 10**9]}, "1000000000 repeats at step 1"),
        ({"windows": [[], True]}, "step 1 must be a list of windows, got True"),
        ({"windows": [[7]]}, "step 0 has the window 7"),
        ({"windows": [[{"frames": [0]}]]}, "step 0 has the window"),
        ({"windows": [[{"frames": [0], "updates": [1]}]]}, "step 0: window updates frame 2"),
        ({"windows": [[{"frames": [0], "updates": ["0"]}]]}, "step 0: window updates must be"),
        ({"windows": [[]]}, r"in step 0, frame 1 \(index 0\) goes from 1000 to 0"),
    ],
)
def test_hostile_fields_are_refused(changes, words):
    with pytest.raises(ValueError, match=words):
        read(**changes)


@pytest.mark.parametrize("text", ["[" * 60_000_000, b"0" * 60_000_000], ids=["text", "bytes"])
def test_sixty_megabytes_are_refused_without_reading_them(text):
    tracemalloc.start()
    with pytest.raises(ValueError, match="60000000 bytes, at most 2000000"):
        Timeline.from_json(text)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1_000_000


def test_what_a_title_says_is_no_json():
    title, about = '[[[[[[[[[["{{{{', "9" * 200 + "\\"
    text = json.dumps(GOOD | {"title": title, "about": about})
    assert Timeline.from_json(text) == Timeline(GOOD["levels"])
    assert timeline_json.labels(text) == (title, about)


def test_a_short_bomb_of_runs_takes_no_memory():
    text = json.dumps({"version": 1, "levels": [[[0, 10**9]]] * 4000})
    tracemalloc.start()
    with pytest.raises(ValueError, match="at most 1024"):
        Timeline.from_json(text)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 10_000_000
