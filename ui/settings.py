"""The panel's settings in the order in which the page sends them, and as a request."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ui.requests import GenerateRequest, checked

FIELDS = (
    "label",
    "seed",
    "cfg_scale",
    "solver",
    "eta",
    "fps",
    "splice_exact",
    "conditioning",
    "step_cache",
)
ANY = ""  # the label of no label


def request_of(settings: Sequence[Any]) -> GenerateRequest:
    """The request that the panel's values make.

    Raises:
        RequestError: a value is not allowed.
    """
    asked = dict(zip(FIELDS, settings, strict=True))
    return checked(lambda: GenerateRequest(**asked | {"label": asked["label"] or None}))


def settings_of(request: GenerateRequest) -> list[Any]:
    """The values that the panel shows for a request."""
    asked = request.model_dump() | {"label": request.label or ANY}
    return [asked[field] for field in FIELDS]


def completed(settings: Sequence[Any]) -> list[Any]:
    """What a browser kept before there were as many settings as now, with the rest as usual."""
    return [*settings, *settings_of(GenerateRequest())[len(settings) :]]
