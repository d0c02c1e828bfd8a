"""Gradio's inputs as this page uses them: they hand on what arrives, and fetch nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gradio as gr

from ui.refusals import RequestError
from ui.requests import GenerateRequest
from ui.timeline_editor import TimelineEditor


class Unchecked:
    """A gradio input that hands on what arrives: our request models check it all in one place.

    Gradio's own checks let NaN pass and their messages do not name the field. Its constructor stays
    gradio's own: what that names is what gradio sends to the page.
    """

    option = ""

    def told_as(self, option: str) -> None:
        """Tell programs the schema of this field of `GenerateRequest`: a slider's ends are not what
        is allowed."""
        self.option = option

    def preprocess(self, payload: Any) -> Any:
        return payload

    def get_block_name(self) -> str:
        return type(self).__name__.lower()  # else gradio looks for a frontend of our own

    def api_info(self) -> dict[str, Any]:
        if not self.option:
            return super().api_info()  # type: ignore[misc]
        return GenerateRequest.model_json_schema()["properties"][self.option]


class Dropdown(Unchecked, gr.Dropdown):
    def postprocess(self, value: Any) -> Any:
        return value  # a label that the browser kept arrives before the model's labels do


class Number(Unchecked, gr.Number):
    pass


class Slider(Unchecked, gr.Slider):
    pass


class Checkbox(Unchecked, gr.Checkbox):
    pass


class Canvas(TimelineEditor):
    """The editor, which fetches nothing: gradio would download a URL given as a picture's path."""

    async def async_move_resource_to_block_cache(
        self, url_or_file_path: str | Path | None
    ) -> str | None:
        if "://" in str(url_or_file_path):
            raise RequestError("A picture's path is a web address: save the picture and drop it.")
        return await super().async_move_resource_to_block_cache(url_or_file_path)
