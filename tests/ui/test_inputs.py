"""The inputs reach the page with what they were built with, and programs with what is checked."""

from __future__ import annotations

import re
from pathlib import Path

import gradio as gr
import pytest

from ui.inputs import Checkbox, Dropdown, Number, Slider
from ui.settings import FIELDS
from ui.settings_panel import settings_panel


def test_the_page_is_sent_what_an_input_was_built_with() -> None:
    with gr.Blocks():
        slider = Slider(0, 8, 1.5, step=0.1, label="Guidance")
        number = Number(7, precision=0)
        choice = Dropdown([("any", "")], value="")
        box = Checkbox(True, label="Exactly")
        for part, field in ((slider, "cfg_scale"), (number, "seed"), (choice, "label")):
            part.told_as(field)
    sent = slider.get_config()
    assert [sent[name] for name in ("minimum", "maximum", "value", "label")] == [
        0,
        8,
        1.5,
        "Guidance",
    ]
    assert (number.get_config()["value"], number.get_config()["precision"]) == (7, 0)
    assert choice.get_config()["choices"] == [("any", "")]
    assert box.get_config()["value"] is True


@pytest.mark.parametrize(("field", "most"), [("cfg_scale", 20), ("eta", 1), ("fps", 60)])
def test_programs_are_told_the_range_that_is_checked(field: str, most: float) -> None:
    with gr.Blocks():
        slider = Slider(0, 8, 1.5)
        slider.told_as(field)
    assert slider.api_info()["maximum"] == most


def test_the_page_notes_what_is_typed_at_its_place_among_the_settings() -> None:
    script = (Path(__file__).parents[2] / "ui/page.js").read_text("utf-8")
    table = script.partition("const BOXES = {")[2].partition("}")[0]
    noted = {name: int(place) for name, place in re.findall(r'([\w-]+)"?: (\d+)', table)}
    with gr.Blocks():
        panel = settings_panel()
    typed = {
        field.elem_id: FIELDS.index(name)
        for name, field in panel.fields.items()
        if not isinstance(field, gr.Dropdown)
    }
    assert noted == typed | {panel.prompt.elem_id: FIELDS.index("label")}
