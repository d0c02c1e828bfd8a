"""The panel's settings in the order in which the page sends them, and as a request."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ui.refusals import checked
from ui.requests import USUAL_TEMPORAL_SCALE, GenerateRequest

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
    "temporal_scale",
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
    if request.temporal_scale is None:
        asked["temporal_scale"] = USUAL_TEMPORAL_SCALE
    return [asked[field] for field in FIELDS]


def completed(settings: Sequence[Any]) -> list[Any]:
    """What a browser kept before there were as many settings as now, with the rest as usual."""
    usual = settings_of(GenerateRequest())
    whole = [*settings, *usual[len(settings) :]]
    coherence = FIELDS.index("temporal_scale")
    if whole[coherence] is None:  # a slider's box that was cleared: a slider would show 0
        whole[coherence] = usual[coherence]
    return whole
