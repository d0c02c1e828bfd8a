"""Timelines that the page brings: examples, a person's own presets, files; and what is wrong."""

from __future__ import annotations

import json
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from gradio.data_classes import FileData
from pydantic import ValidationError

from fvdm_core.examples import example_timelines
from fvdm_core.limits import MAX_JSON_BYTES
from fvdm_core.presets import PRESETS
from fvdm_core.timeline import Timeline, Window
from tests.js.test_node import find_node
from ui import editing
from ui.mending import mends
from ui.refusals import RequestError, checked
from ui.requests import (
    BringRequest,
    EditorValue,
    FormulaRequest,
    KeyframeValue,
    PresetRequest,
    SizeRequest,
)

ROOT = Path(__file__).parents[2]
EXAMPLES = example_timelines()
PAINTING = editing.painted(
    Timeline.preset("image-to-video", frames=8, steps=10),
    keyframes=[KeyframeValue(frame=0, file=FileData(path="a.png"))],
)


def bring(
    kind: str,
    name: str,
    text: str = "",
    frames: int = 8,
    steps: int = 10,
    onto: EditorValue = PAINTING,
) -> EditorValue:
    brought = checked(lambda: BringRequest(kind=kind, name=name, text=text))  # type: ignore[arg-type]
    size = SizeRequest(frames=frames, steps=steps)
    return editing.with_brought(onto, brought, EXAMPLES, size, 16)


def test_an_example_comes_at_its_own_size_and_keeps_the_pictures() -> None:
    ramp = next(example for example in EXAMPLES if example.name == "paper-ramp")
    value = bring("example", "paper-ramp")
    assert value.timeline() == ramp.timeline
    assert [keyframe.frame for keyframe in value.keyframes] == [0]


def test_an_own_preset_takes_on_the_present_size_and_a_file_keeps_its_own() -> None:
    text = Timeline.preset("interpolation", frames=16, steps=30).to_json()
    own, file = bring("own", "mine", text), bring("file", "a.json", text)
    assert (own.frames, own.steps) == (8, 10)
    assert not np.array(own.levels)[:, [0, 7]].any() and np.array(own.levels)[0, 1:7].all()
    assert (file.frames, file.steps) == (16, 30)


def test_an_own_preset_takes_all_steps_of_a_canvas_whose_box_counts_those_of_a_window() -> None:
    request = PresetRequest(name="extend", frames=24, steps=30)
    canvas = editing.with_preset(None, request, 16)
    assert editing.steps_of(canvas, 16) == 30 and canvas.steps == 60
    text = canvas.timeline().to_json()
    assert bring("own", "mine", text, 24, 30, canvas).levels == canvas.levels
    assert bring("own", "mine", text, 24, 12, canvas).steps == 12  # what somebody asks for


def test_the_rows_of_an_example_are_not_the_steps_of_the_next_preset() -> None:
    pulse = bring("example", EXAMPLES[0].name)
    rows = pulse.steps
    assert rows != 10 and editing.steps_for_preset(pulse, rows, 16) == 10
    assert editing.steps_for_preset(pulse, 50, 16) == 50  # what somebody asks for
    other = bring("example", EXAMPLES[1].name, steps=rows, onto=pulse)
    assert editing.steps_for_preset(other, other.steps, 16) == 10
    resized = editing.with_size(other, SizeRequest(frames=other.frames, steps=25), 16)
    assert editing.steps_for_preset(resized, 25, 16) == 25  # typed since
    shorter = editing.with_size(other, SizeRequest(frames=9, steps=other.steps), 16)
    assert editing.steps_for_preset(shorter, shorter.steps, 16) == 10


@pytest.mark.parametrize(
    ("kind", "name", "text", "says"),
    [
        ("example", "nothing", "", "no example timeline 'nothing'"),
        ("file", "a.json", "", "a.json cannot be used: not JSON"),
        ("file", "a.json", "[]", "must be a JSON object"),
        ("file", "<b>.json", "[]", "‹b›.json"),
        ("file", "a.json", '{"version": 9, "levels": [[1], [0]]}', "version is 9"),
        ("file", "a.json", '{"version": 1, "levels": [[1], [0, 0]]}', "row 1 has 2 frames"),
        ("file", "a.json", '{"version": 1, "levels": [[NaN], [0]]}', "NaN"),
        ("own", "mine", '{"version": 1, "levels": [[2000], [0]]}', "Your preset “mine”"),
        ("own", "mine", " " * (MAX_JSON_BYTES + 1), "text"),
        ("folder", "/etc", "", "kind"),
    ],
)
def test_what_is_wrong_is_said(kind: str, name: str, text: str, says: str) -> None:
    with pytest.raises(RequestError, match=says):
        bring(kind, name, text)


def test_prior_and_seen_levels_travel_with_the_painting() -> None:
    timeline = Timeline([[0, 1000], [0, 500], [0, 0]], prior="mixed", prior_alpha=0.5, seen={0: 30})
    value = bring("file", "a.json", timeline.to_json())
    assert value.timeline() == timeline
    again = EditorValue.model_validate(json.loads(value.model_dump_json()))
    assert again.timeline() == timeline
    with pytest.raises(ValidationError):
        BringRequest(kind="file", name="a", text="{}", path="/etc/passwd")  # type: ignore[call-arg]


def test_another_starting_noise_is_set_and_an_unknown_one_refused() -> None:
    assert editing.with_prior(PAINTING, "mixed").timeline().prior == "mixed"
    preset = PresetRequest(name="standard", frames=4, steps=3)
    chosen = editing.with_preset(editing.with_prior(PAINTING, "mixed"), preset, 16)
    assert chosen.timeline().prior == "mixed"
    shorter = editing.with_size(chosen, SizeRequest(frames=4, steps=2), 16)
    assert (shorter.timeline().prior, shorter.steps) == ("mixed", 2)
    formula = FormulaRequest(formula="1 - m / M", frames=4, steps=2)
    assert editing.with_formula(chosen, formula).timeline().prior == "mixed"
    with pytest.raises(RequestError, match="prior is 'pink'; allowed are independent"):
        editing.with_prior(PAINTING, "pink")


def test_a_formula_is_shown_while_it_is_typed() -> None:
    shown = editing.formula_preview("min(0.2*i*t, t)", 16, 30)
    assert (
        shown["levels"] == Timeline.formula("min(0.2*i*t, t)", frames=16, steps=30).levels.tolist()
    )
    large = editing.formula_preview("t", 500, 1000)["levels"]
    assert (len(large), len(large[0])) == (64, 64) and (large[0][0], large[-1][-1]) == (1000, 0)
    assert editing.formula_preview("  ", 16, 30) == {}
    wrong = editing.formula_preview("foo(t)", 16, 30)
    assert wrong["wrong"] and "foo" in wrong["text"] and "levels" not in wrong
    assert editing.formula_preview("t", "x", 30)["wrong"]


def test_what_a_formula_has_beyond_noise_and_clean_is_said() -> None:
    assert "cut" not in editing.formula_preview("clip(2*t, 0, 1)", 16, 30)["text"]
    assert "3 % lie outside" in editing.formula_preview("where(i == 1, t + 0.5, t)", 16, 30)["text"]
    assert "97 % lie outside" in editing.formula_preview("1000*t", 16, 30)["text"]  # t is 0 at last
    assert "97 % lie outside" in editing.formula_preview("-t", 16, 30)["text"]
    long = editing.formula_preview("t" + "+0" * 200, 16, 30)
    assert long["wrong"] and "at most 256 characters" in long["text"]


def test_what_mends_a_timeline_names_its_frames() -> None:
    levels = np.full((4, 16), 1000)
    levels[-1] = 0
    levels[:, [6, 11]] = 500
    texts = [line["text"] for line in mends(Timeline(levels), [0])]
    assert texts == [
        "Let frames 7 and 12 hold the nearest picture",
        "Make frames 7 and 12 from noise",
        "Keep the picture of frame 1",
        "Remove the picture",
        "Let frames 7 and 12 end clean",
    ]


def test_frames_hold_the_nearest_picture_only_where_there_is_one() -> None:
    timeline = Timeline.preset("interpolation", frames=4, steps=3)
    assert [line["mend"] for line in mends(timeline, [])] == ["noise"]
    assert [(line["mend"], line["frames"]) for line in mends(timeline, [0])] == [
        ("hold", [3]),
        ("noise", [3]),
    ]
    held = replace(timeline, sources=("keyframe", "noise", "noise", "hold"))
    assert mends(held, [0]) == []


def encoded(value: EditorValue) -> Any:
    """The editor's value as the page writes it to a file."""
    script = ROOT / "ui/pieces/own_presets.js"
    code = """
      const { encode } = require(process.argv[1]);
      const value = JSON.parse(require("fs").readFileSync(0, "utf8"));
      process.stdout.write(JSON.stringify(encode(value, "T")));"""
    node = find_node()
    assert node, "node is missing: install nodejs or Playwright"
    done = subprocess.run(
        [node, "-e", code, str(script)],
        input=value.model_dump_json(),
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("name", [*PRESETS, "windows"])
def test_what_the_page_exports_is_read_as_the_same_timeline(name: str) -> None:
    if name == "windows":
        steps = tuple((Window((0, 1), (1,)),) for _ in range(2))
        timeline = Timeline([[0, 1000], [0, 500], [0, 0]], windows=steps, prior="shuffled")
    else:
        timeline = Timeline.preset(name, frames=24, steps=6)
    assert Timeline.from_json(encoded(editing.painted(timeline))) == timeline
