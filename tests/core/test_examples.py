"""The example timelines are good ones: they can be read, run, and say what they teach."""

import json

import numpy as np
import pytest

from fvdm_core.examples import FOLDER, example_timelines
from fvdm_core.timeline import Timeline
from fvdm_core.timeline_json import labels

EXAMPLES = example_timelines()


def test_there_are_examples_and_no_two_are_alike():
    assert len(EXAMPLES) >= 8
    assert len(EXAMPLES) == len(list(FOLDER.glob("*.json")))
    for some in (
        {example.title for example in EXAMPLES},
        {example.timeline for example in EXAMPLES},
    ):
        assert len(some) == len(EXAMPLES)


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.name)
def test_an_example_teaches_and_ends_clean(example):
    assert 3 <= len(example.title) <= 22  # under a small picture
    assert 40 <= len(example.about) <= 200 and example.about.endswith(".")
    assert not example.timeline.levels[-1].any()
    needs = example.timeline.needs_picture()
    every = "all slots" in example.about
    pictures = range(example.timeline.frames) if every else [0] if needs else []
    assert example.timeline.warnings(pictures) == []  # nothing that a person would have to mend
    assert bool(needs) == ("picture on frame 1" in example.about or every)


def test_the_paper_s_ramp_is_the_paper_s_ramp():
    ramp = next(example.timeline for example in EXAMPLES if example.name == "paper-ramp")
    size = {"frames": ramp.frames, "steps": ramp.num_steps}
    assert np.array_equal(ramp.levels, Timeline.preset("ramp", **size).levels)


def test_a_file_says_its_title_and_the_timeline_does_not_keep_it():
    text = json.dumps({"version": 1, "title": "T", "about": "A", "levels": [[1000], [0]]})
    assert labels(text) == ("T", "A")
    assert Timeline.from_json(text) == Timeline([[1000], [0]])
    assert labels('{"version": 1}') == ("", "")


@pytest.mark.parametrize(
    "changes", [{"title": "x" * 61}, {"title": 7}, {"about": "x" * 401}, {"about": ["x"]}]
)
def test_a_title_is_short_text(changes):
    text = json.dumps({"version": 1, "levels": [[1000], [0]], **changes})
    with pytest.raises(ValueError, match=f"{next(iter(changes))} must be text of at most"):
        Timeline.from_json(text)


def test_a_broken_example_is_named(tmp_path):
    assert example_timelines(tmp_path / "nowhere") == []
    (tmp_path / "bad.json").write_text("{")
    with pytest.raises(ValueError, match=r"bad\.json: not JSON"):
        example_timelines(tmp_path)
