"""The canvas as the server sees it: its value is checked both ways, its schema is honest."""

from __future__ import annotations

import pytest

from ui.filmstrip import Filmstrip
from ui.refusals import RequestError
from ui.requests import EditorValue
from ui.timeline_editor import SCRIPTS, TimelineEditor

VALUE = {"version": 1, "levels": [[1000, 0], [0, 0]]}


def test_a_dict_becomes_a_checked_value() -> None:
    assert TimelineEditor().postprocess(VALUE) == EditorValue.model_validate(VALUE)
    assert TimelineEditor(VALUE).value["levels"] == [[1000, 0], [0, 0]]


def test_a_painting_has_the_mark_that_the_page_gives_it() -> None:
    value = EditorValue.model_validate({"levels": [[1000, 0], [500, 3], [0, 700]]})
    assert value.mark == 1035844552  # tests/js/core.test.js has the same
    assert value.reading_mark == "1035844552 independent"
    changes = {"sources": ["noise", "hold"], "prior": "mixed"}
    assert value.model_copy(update=changes).reading_mark == "1035844552 mixed noise hold"
    assert value.mark != value.model_copy(update={"levels": [[1000, 0, 500], [3, 0, 700]]}).mark
    pictures = [
        {"frame": 1, "file": {"path": "ü.png"}},
        {"frame": 0, "file": {"path": "a.png"}, "fit": "contain"},
    ]
    value = EditorValue.model_validate({"levels": [[0, 0], [0, 0]], "keyframes": pictures})
    assert value.mark == 1123627402


@pytest.mark.parametrize("levels", [[], [[1000], [0, 0]], [[1001], [0]], [[float("nan")], [0]]])
def test_a_value_that_no_page_would_send_is_refused(levels: list[list[float]]) -> None:
    with pytest.raises(RequestError):
        TimelineEditor().postprocess({"version": 1, "levels": levels})


def test_the_schema_names_the_fields_and_the_example_fits_it() -> None:
    editor = TimelineEditor()
    properties = editor.api_info()["properties"]
    assert {"levels", "windows", "sources", "preset", "formula", "keyframes"} <= set(properties)
    EditorValue.model_validate(editor.example_payload())


@pytest.mark.parametrize("component", [TimelineEditor(VALUE), Filmstrip()])
def test_templates_are_static(component: TimelineEditor | Filmstrip) -> None:
    # gradio runs whatever stands between ${ } and {{ }} of a template.
    for template in (component.html_template, component.css_template):
        assert "${" not in template and "{{" not in template and "`" not in template


def test_the_event_is_known() -> None:
    assert "mount.js" == SCRIPTS[-1]
    assert callable(TimelineEditor().edited)
