"""What a visit brings along: a painting and settings that the browser kept, and typed sizes."""

from __future__ import annotations

from typing import Any

import pytest

from ui import editing
from ui.painting_panel import as_typed, is_waiting
from ui.refusals import RequestError
from ui.requests import EditorValue, GenerateRequest, PresetRequest
from ui.service import restore
from ui.settings import FIELDS, settings_of

WINDOW = 16


def painting(frames: int = 4, steps: int = 3) -> EditorValue:
    request = PresetRequest(name="standard", frames=frames, steps=steps)
    return editing.with_preset(None, request, WINDOW)


def kept(settings: list[Any], **editor: Any) -> dict[str, Any]:
    return {"editor": painting().model_dump() | editor, "settings": settings}


def test_what_was_kept_comes_back() -> None:
    settings = settings_of(GenerateRequest(seed=99, cfg_scale=2.0))
    found = restore(kept(settings))
    assert found is not None and found["settings"] == settings
    assert found["editor"] == painting()


@pytest.mark.parametrize("seed", [None, 99_999_999_999, "many", -1])
def test_a_setting_that_was_never_finished_costs_no_painting(seed: Any) -> None:
    settings = settings_of(GenerateRequest())
    broken = [seed if value == GenerateRequest().seed else value for value in settings]
    found = restore(kept(broken))
    assert found is not None and found["editor"] == painting()
    assert found["settings"] == settings


@pytest.mark.parametrize("seed", [None, 99_999_999_999, "many", [1]])
def test_a_setting_that_was_never_finished_costs_no_other(seed: Any) -> None:
    settings = settings_of(GenerateRequest(label="faces", cfg_scale=2.5, fps=12))
    place = FIELDS.index("seed")
    found = restore(kept([*settings[:place], seed, *settings[place + 1 :]]))
    assert found is not None and found["settings"] == settings


def test_a_browser_that_kept_settings_of_a_later_version_is_welcome() -> None:
    settings = settings_of(GenerateRequest(seed=99))
    found = restore(kept([*settings, 0.5, "new"]))
    assert found is not None and found["settings"] == settings


@pytest.mark.parametrize(
    "value", [None, {}, {"settings": []}, kept([]) | {"editor": {"levels": [[1]]}}]
)
def test_a_painting_that_is_none_is_not_brought_back(value: Any) -> None:
    assert restore(value) is None


def told(timeline: EditorValue) -> dict[str, Any]:
    return {"frames": timeline.frames, "steps": editing.steps_of(timeline, WINDOW)}


def test_a_size_that_was_just_typed_counts() -> None:
    timeline = painting(4, 3)
    sized = as_typed(timeline, told(timeline), 6, 5, WINDOW)
    assert sized is not None and told(sized) == {"frames": 6, "steps": 5}


def test_boxes_that_follow_late_change_nothing() -> None:
    timeline = painting(4, 3)
    assert as_typed(timeline, told(timeline), 4, 3, WINDOW) is None
    # a run of six frames was taken up; the boxes still say what the painting before it had
    assert as_typed(painting(6, 3), told(timeline), 4, 3, WINDOW) is None
    assert as_typed(timeline, None, 6, 5, WINDOW) is None  # a page that was told nothing yet


def test_a_formula_that_waits_to_be_entered_is_noticed() -> None:
    timeline = painting().model_copy(update={"formula": "t"})
    panel = {"formula": "t"}
    assert is_waiting(timeline, panel, "t*t")
    assert not is_waiting(timeline, panel, "t")
    assert not is_waiting(timeline, panel, "  ")
    assert not is_waiting(timeline, None, "t*t")  # a page that was told nothing yet
    # another painting was taken up; the box still says what the painting before it had
    assert not is_waiting(timeline, {"formula": "min(t, 1)"}, "min(t, 1)")


@pytest.mark.parametrize("frames", [None, 0, 1.5, 100_000])
def test_a_typed_size_that_is_none_is_refused(frames: Any) -> None:
    timeline = painting()
    with pytest.raises(RequestError):
        as_typed(timeline, told(timeline), frames, 3, WINDOW)
