"""Gradio's inputs as this page uses them: they hand on what arrives, fetch and keep nothing."""

from __future__ import annotations

from typing import Any, NoReturn

import gradio as gr
from gradio import processing_utils
from gradio.exceptions import InvalidPathError
from gradio.state_holder import SessionState

from ui.refusals import RequestError
from ui.requests import GenerateRequest


def _fetch_nothing(url: str, cache_dir: str) -> NoReturn:
    raise RequestError("A file's path is a web address: save the file and drop it.")


# Whatever arrives for any input and looks like a file at an address, gradio would download whole
# before it asks anybody: to memory and to the uploads, past every limit.
processing_utils.async_ssrf_protected_download = _fetch_nothing  # type: ignore[assignment]
processing_utils.ssrf_protected_download = _fetch_nothing
processing_utils.save_url_to_cache = _fetch_nothing


_check_allowed = processing_utils._check_allowed


def _check_quietly(path: Any, check_in_upload_folder: bool) -> None:
    """Gradio's own check; its error would write the path, whatever is in it, into the log."""
    try:
        _check_allowed(path, check_in_upload_folder)
    except InvalidPathError:
        raise RequestError("A file is not among the uploads: drop it again.") from None


processing_utils._check_allowed = _check_quietly


def _count_inputs(blocks: gr.Blocks, function: Any, inputs: list[Any]) -> None:
    """Gradio's own would write all that was sent into the log: 16 MB a time."""
    if len(inputs) < len(function.inputs):
        raise RequestError(f"The call has {len(inputs)} values and needs {len(function.inputs)}.")


gr.Blocks.validate_inputs = _count_inputs  # type: ignore[assignment,method-assign]


def _keep_nothing(state: SessionState, key: int, value: Any) -> None:
    """Instead of the last value of every input, which gradio keeps of a hundred visits for links
    that are not offered here: a canvas may take 40 MB, and whatever is sent in its place more."""


SessionState._update_value_in_config = _keep_nothing  # type: ignore[assignment]


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


class Textbox(Unchecked, gr.Textbox):
    """Also of a number that may be left out: on the page gradio's `Number` turns nothing into 0."""


class Slider(Unchecked, gr.Slider):
    pass


class Checkbox(Unchecked, gr.Checkbox):
    pass
