"""What cannot be done, said so that a person knows what to change."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TypeVar

import gradio as gr
from pydantic import ValidationError

from fvdm_core.limits import shown

PLAINLY = {  # pydantic's way of speaking, and ours
    "^(Input|Value|String|List|Dictionary) should": "it must",
    "greater than or equal to": "at least",
    "less than or equal to": "at most",
    "a valid integer": "a whole number",
    "a valid boolean": "true or false",
    "a valid string": "text",
    "valid ": "",
}

ON_THE_PAGE = {  # what the page calls a field whose name is another
    "cfg_scale": "Guidance",
    "temporal_scale": "Coherence",
    "guidance_from": "Guide above",
    "eta": "Fresh noise η",
    "step_cache": "Step caching",
}

Built = TypeVar("Built")


class RequestError(gr.Error):
    """A request that cannot be carried out; its text is shown to the person as it is.

    It is a `gr.Error` because gradio shows the text of no other exception.
    """

    def __init__(self, message: str) -> None:
        super().__init__(plain(message), title="Not possible", print_exception=False)


def plain(message: str) -> str:
    """A message that stays text: gradio renders them as HTML."""
    return message.translate({ord("<"): "‹", ord(">"): "›"})


def explain(error: ValidationError) -> str:
    """The first problem of `error` in one sentence: field, value, what is allowed."""
    first = error.errors(include_url=False)[0]
    field = ".".join(str(part) for part in first["loc"]) or "request"
    named = f"{ON_THE_PAGE[field]} ({field})" if field in ON_THE_PAGE else field
    if first["type"] == "value_error":  # our own validators already say it all
        said = first["msg"].removeprefix("Value error, ")
        return said if not first["loc"] or said.startswith(field) else f"{field}: {said}"
    if first["type"] == "missing":
        return f"{field} is missing: send it."
    if first["type"] == "extra_forbidden":
        return f"{field} is not a known field: leave it out."
    wanted = first["msg"]
    for theirs, ours in PLAINLY.items():
        wanted = re.sub(theirs, ours, wanted)
    return f"{named} is {shown(first['input'])}: {wanted}."


def checked(build: Callable[[], Built]) -> Built:
    """`build()`, with every `ValueError`, pydantic's too, turned into a `RequestError`."""
    try:
        return build()
    except RequestError:
        raise
    except ValidationError as error:
        raise RequestError(explain(error)) from None
    except ValueError as error:
        raise RequestError(str(error)) from None
