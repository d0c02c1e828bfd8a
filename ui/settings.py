"""The panel's settings in the order in which the page sends them, and as a request."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fvdm_core.limits import SAMPLING
from ui.refusals import RequestError, checked
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
LIKED = "as the model likes it"  # in an empty box
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
    for field in SAMPLING:  # a box that may be empty, and what a program sends in its place
        if isinstance(asked.get(field), str):
            asked[field] = _number(asked[field])
    return checked(lambda: GenerateRequest(**asked))


def settings_of(request: GenerateRequest) -> list[Any]:
    """The values that the panel shows for a request."""
    asked = request.model_dump() | {"label": request.label or ANY, "size": request.size or USUAL}
    asked |= {field: _written(asked[field]) for field in SAMPLING}
    return [asked[field] for field in FIELDS]


def usable(settings: Sequence[Any], fields: Sequence[str] = FIELDS) -> list[Any]:
    """The panel's values, with the boxes of numbers empty in which something else is, or is being
    written: what only follows the page must not fail over it."""

    def known(field: str, value: Any) -> Any:
        number = _number(value) if field in SAMPLING and isinstance(value, str) else None
        right = number is None or (isinstance(number, float) and 0 <= number <= SAMPLING[field])
        return value if right else ""

    return [known(field, value) for field, value in zip(fields, settings, strict=True)]


def is_allowed(field: str, value: Any) -> bool:
    """Whether a field can have this value."""
    try:
        request_of([value], [field])
    except (RequestError, TypeError):
        return False
    return True


def _number(text: str) -> float | str | None:
    """What is written in a box, None where nothing is, and the text where it is no number."""
    try:
        return float(text) if text.strip() else None
    except ValueError:
        return text


def _written(value: float | None) -> str:
    return "" if value is None else str(value).removesuffix(".0")


def completed(settings: Sequence[Any]) -> list[Any]:
    """What a browser kept when there were fewer settings, or more, with the rest as usual."""
    kept = settings[: len(FIELDS)]
    whole = [*kept, *settings_of(GenerateRequest())[len(kept) :]]
    for place in map(FIELDS.index, SAMPLING):
        if not isinstance(whole[place], str):  # a slider, which always said something
            whole[place] = ""
    return whole
