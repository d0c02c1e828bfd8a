"""The panel's settings in the order in which the page sends them, and as a request."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fvdm_core.limits import SAMPLING
from ui.refusals import checked
from ui.requests import GenerateRequest

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
    "size",
    *SAMPLING,
)
ANY = ""  # the label of no label
USUAL = ""  # the size that a model makes where no other is chosen


def request_of(settings: Sequence[Any], fields: Sequence[str] = FIELDS) -> GenerateRequest:
    """The request that the panel's values make, of all fields or of some with the rest as usual.

    Raises:
        RequestError: a value is not allowed.
    """
    asked: dict[str, Any] = dict(zip(fields, settings, strict=True))
    for field in ("label", "size"):
        if field in asked:
            asked[field] = asked[field] or None
    return checked(lambda: GenerateRequest(**asked))


def settings_of(request: GenerateRequest) -> list[Any]:
    """The values that the panel shows for a request."""
    asked = request.model_dump() | {"label": request.label or ANY, "size": request.size or USUAL}
    return [asked[field] for field in FIELDS]


def completed(settings: Sequence[Any]) -> list[Any]:
    """What a browser kept before there were as many settings as now, with the rest as usual."""
    return [*settings, *settings_of(GenerateRequest())[len(settings) :]]
