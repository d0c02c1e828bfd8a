"""Whatever arrives is either a valid request or a message that says what to change."""

from __future__ import annotations

import json
import os
import re
from dataclasses import fields
from pathlib import Path
from typing import Any

import gradio as gr
import pytest
from gradio.data_classes import FileData

from fvdm_core.options import RunOptions
from fvdm_core.timeline import Timeline
from ui.refusals import RequestError, checked
from ui.requests import (
    MAX_SEED,
    EditorValue,
    FormulaRequest,
    GenerateRequest,
    PresetRequest,
    SizeRequest,
    local_file,
)

GOOD: dict[str, Any] = {"version": 1, "levels": [[0, 1000, 1000], [0, 500, 400], [0, 0, 0]]}


def refused(value: Any) -> str:
    """The message with which an editor value is refused, through the door that gradio uses."""
    with pytest.raises(gr.Error) as caught:
        EditorValue.model_validate(value, context={"validate_meta": True}).timeline()
    assert isinstance(caught.value, RequestError)
    return str(caught.value.message)


def picture(path: object, frame: int = 0) -> dict[str, Any]:
    meta = {"_type": "gradio.FileData"}
    return {"frame": frame, "file": {"path": str(path), "meta": meta}, "fit": "crop"}


@pytest.fixture
def uploads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "uploads"
    folder.mkdir()
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(folder))
    return folder


def test_the_painted_cells_become_the_timeline_one_by_one() -> None:
    value = EditorValue.model_validate(GOOD)
    assert value.timeline() == Timeline(GOOD["levels"])
    assert (value.frames, value.steps) == (3, 2)
    assert EditorValue.model_validate(json.loads(value.model_dump_json())) == value


def test_windows_that_do_not_fit_are_refused_in_words() -> None:
    windows = [[{"frames": [0], "updates": [1]}]]
    value = EditorValue(levels=[[1000, 1000], [0, 0]], windows=windows)
    with pytest.raises(RequestError, match="window"):
        value.timeline()


def test_windows_and_sources_travel() -> None:
    window = [{"frames": [0, 1, 2], "updates": [1, 2]}]
    sources = ["keyframe", "hold", "noise"]
    value = EditorValue.model_validate({**GOOD, "windows": [window] * 2, "sources": sources})
    timeline = value.timeline()
    assert timeline.sources == tuple(sources)
    assert timeline.windows is not None and timeline.windows[1][0].updates == (1, 2)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"levels": [[0.5, 1], [0, 0]]}, "row 0, frame 1"),
        ({"levels": [[float("nan"), 1], [0, 0]]}, "row 0, frame 1"),
        ({"levels": [[float("inf"), 1], [0, 0]]}, "row 0, frame 1"),
        ({"levels": [["Infinity", 1], [0, 0]]}, "row 0, frame 1"),
        ({"levels": [[True, 1], [0, 0]]}, "row 0, frame 1"),
        ({"levels": [[0, 1], [0, -1]]}, "row 1, frame 2"),
        ({"levels": [[0, 1001], [0, 0]]}, "1001"),
        ({"levels": [[0, 1], [0]]}, "row 1 has 1 frames"),
        ({"levels": []}, "0 rows"),
        ({"levels": [[0, 1]]}, "1 rows"),
        ({"levels": [[], []]}, "0 frames"),
        ({"levels": [[0] * 1025] * 2}, "1025"),
        ({"levels": [[0]] * 4097}, "4097"),
        ({"levels": [[0] * 1000] * 1001}, "1001000 cells"),
        ({"levels": "abc"}, "levels"),
        ({"levels": {"0": [1]}}, "levels"),
        ({"levels": None}, "levels"),
        ({"version": 999}, "version is 999"),
        ({"sources": ["file:///etc/passwd"] * 3}, "sources"),
        ({"sources": ["noise"]}, "sources"),
        ({"windows": [[{"frames": [0, 99], "updates": [0]}]] * 2}, "99"),
        ({"windows": [[{"frames": [0, -1], "updates": [0]}]] * 2}, "windows"),
        ({"formula": "t" * 257}, "formula"),
        ({"server": "x"}, "server is not a known field"),
        ({"keyframes": [picture("a", 3)]}, "frame 4, but the timeline has 3 frames"),
        ({"keyframes": [picture("a", 1), picture("b", 1)]}, "two pictures lie on frame 2"),
        ({"keyframes": [{**picture("a"), "fit": "zoom"}]}, "fit"),
        ({"keyframes": [{"frame": 0, "file": {"path": "/etc/passwd"}}]}, "meta"),
        ({"keyframes": [{"frame": float("nan"), "file": {"path": "a"}}]}, "frame"),
    ],
)
def test_a_bad_painting_is_refused_with_field_and_value(change: dict, says: str) -> None:
    message = refused({**GOOD, **change})
    assert says in message and len(message) < 400


@pytest.mark.parametrize("value", [{}, [], "x", 7, [[1]]])
def test_what_is_no_painting_at_all_is_refused(value: Any) -> None:
    assert refused(value)


def test_deep_nesting_is_refused() -> None:
    deep: Any = 0
    for _ in range(5000):
        deep = [deep]
    assert "row 0" in refused({**GOOD, "levels": [deep, deep]})


def test_messages_cannot_carry_markup() -> None:
    message = refused({**GOOD, "<img src=x onerror=alert(1)>": 1})
    assert "<" not in message and "onerror" in message


def test_pictures_lie_in_the_upload_folder(uploads: Path) -> None:
    inside = uploads / "hash" / "a.png"
    inside.parent.mkdir()
    inside.write_bytes(b"x")
    value = EditorValue.model_validate({**GOOD, "keyframes": [picture(inside, 2)]})
    assert value.pictures() == {2: (inside.resolve(), "crop")}


def test_every_other_path_is_refused_in_the_same_words(uploads: Path, tmp_path: Path) -> None:
    outside = tmp_path / "secret.png"
    outside.write_bytes(b"x")
    (uploads / "link.png").symlink_to(outside)
    os.mkfifo(uploads / "pipe")
    bad = [
        outside,
        uploads / ".." / "secret.png",
        uploads / "link.png",
        uploads / "absent.png",
        uploads / "pipe",
        uploads,
        "http://169.254.169.254/latest/meta-data",
        f"file://{outside}",
        "a\0b",
        "x" * 5000,
        "",
        "/etc/passwd",
    ]
    messages = set()
    for path in bad:
        with pytest.raises(RequestError) as caught:
            local_file(FileData(path=str(path)), "frame 1")
        messages.add(caught.value.message)
    assert len(messages) == 1


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"seed": 2**70}, "seed"),
        ({"seed": -1}, "seed is -1: it must be at least 0."),
        ({"seed": float("nan")}, "seed is nan"),
        ({"seed": 1.5}, "seed is 1.5: it must be a whole number."),
        ({"seed": "abc"}, "seed is 'abc'"),
        ({"seed": None}, "seed: it is empty"),
        ({"cfg_scale": float("inf")}, "Guidance (cfg_scale) is inf"),
        ({"cfg_scale": float("nan")}, "Guidance (cfg_scale) is nan"),
        ({"cfg_scale": 21}, "Guidance (cfg_scale) is 21: it must be at most 20."),
        ({"cfg_scale": None}, "cfg_scale"),
        ({"solver": "euler"}, "solver is 'euler': it must be 'dpmpp_2m', 'ddim' or 'ddpm'."),
        ({"eta": 1.1}, "Fresh noise η (eta) is 1.1"),
        ({"step_cache": -0.1}, "Step caching (step_cache) is -0.1"),
        ({"step_cache": 1.1}, "Step caching (step_cache) is 1.1"),
        ({"fps": 0}, "fps is 0"),
        ({"fps": 1000}, "fps is 1000"),
        ({"label": "x" * 2001}, "label"),
        ({"model": "/etc"}, "model is not a known field"),
    ],
)
def test_bad_settings_are_refused_with_field_and_value(change: dict, says: str) -> None:
    with pytest.raises(RequestError, match=re.escape(says)):
        checked(lambda: GenerateRequest(**change))


def test_good_settings() -> None:
    request = GenerateRequest(seed=7.0, label="sky")  # type: ignore[arg-type]
    assert request.seed == 7 and request.known_label(["sky"]) is request
    assert GenerateRequest(seed=MAX_SEED).seed == 2**32 - 1
    with pytest.raises(RequestError, match="label is 'sky': the model knows faces, figures"):
        request.known_label(["faces", "figures"])


def test_the_page_offers_every_option_of_a_run_but_the_fit_which_each_picture_has() -> None:
    page = {name: field.default for name, field in GenerateRequest.model_fields.items()}
    usual = RunOptions()
    core = {option.name: getattr(usual, option.name) for option in fields(RunOptions)}
    core["eta"] = usual.fresh_noise  # a slider has to stand somewhere
    assert page.keys() == core.keys() - {"fit"}
    assert {name for name in page if page[name] != core[name]} == {"fps"}  # a page has to name one
    assert GenerateRequest(seed=3, label="sky").options() == RunOptions(
        seed=3, label="sky", fps=8, eta=1.0
    )


@pytest.mark.parametrize(("frames", "steps"), [(0, 1), (1, 0), (1025, 1), (1, 4096), (1000, 1000)])
def test_sizes_have_caps(frames: int, steps: int) -> None:
    with pytest.raises(RequestError):
        checked(lambda: SizeRequest(frames=frames, steps=steps))


def test_presets_and_formulas_become_timelines_or_messages() -> None:
    preset = PresetRequest(name="ramp", params={"rate": 0.3}, frames=4, steps=5)
    assert preset.timeline(16) == Timeline.preset("ramp", frames=4, steps=5, rate=0.3)
    formula = FormulaRequest(formula="t", frames=4, steps=5)
    assert formula.timeline() == Timeline.formula("t", frames=4, steps=5)
    for bad in ({"name": "rmp"}, {"name": "ramp", "params": {"rate": float("nan")}}):
        with pytest.raises(RequestError):
            PresetRequest(**bad, frames=4, steps=5).timeline(16)
    for params in ({"window": 10**9}, {"name": "ramp"}, {"cls": 1}, {"self": 1}):
        with pytest.raises(RequestError, match="none of a preset.s parameters"):
            PresetRequest(name="ramp", params=params, frames=4, steps=5).timeline(16)
    for text in ("__import__('os').system('x')", "().__class__", "9**9**9**9", "1/0", "t.real"):
        with pytest.raises(RequestError):
            FormulaRequest(formula=text, frames=4, steps=5).timeline()
