"""What a run is called on disk and in downloads: a pattern such as {date}-{label}-{seed}."""

from __future__ import annotations

import re
import string
import unicodedata
from collections.abc import Mapping
from datetime import datetime
from typing import Any

FIELDS = ("date", "time", "label", "seed", "frames", "steps", "model")
PATTERN = "{date}-{time}-{label}-{seed}"  # the time tells runs of one label and seed apart
MAX_PATTERN = 120
MAX_NAME = 80


class Naming:
    """Fills a pattern; whatever is in it, a name is letters, digits, - and _ only.

    Raises `ValueError` for a pattern with other fields than `FIELDS`.
    """

    def __init__(self, pattern: str = PATTERN) -> None:
        allowed = ", ".join(f"{{{name}}}" for name in FIELDS)
        if len(pattern) > MAX_PATTERN:
            raise ValueError(
                f"the pattern has {len(pattern)} characters; at most {MAX_PATTERN} are allowed"
            )
        try:
            parts = list(string.Formatter().parse(pattern))
        except ValueError as error:
            raise ValueError(
                f"the pattern {pattern!r} is wrong: {error}; fields are {allowed}"
            ) from None
        for _, name, form, conversion in parts:
            if name is not None and (name not in FIELDS or form or conversion):
                raise ValueError(
                    f"the pattern {pattern!r} has the field {{{name}}}; fields are {allowed}"
                )
        self.pattern = pattern

    def name(self, recipe: Mapping[str, Any], frames: int, made: datetime) -> str:
        """The name of a run, by its recipe."""
        timeline = recipe.get("timeline") or {}
        facts = {
            "date": made.strftime("%Y-%m-%d"),
            "time": made.strftime("%H%M%S"),
            "label": recipe.get("label") or "any",
            "seed": recipe.get("seed", 0),
            "frames": frames,
            "steps": max(0, len(timeline.get("levels") or ()) - 1),
            "model": (recipe.get("model") or {}).get("name") or "model",
        }
        return slug(self.pattern.format(**facts)) or "clip"


def slug(text: str) -> str:
    """Text as a part of a file name: ASCII letters, digits, - and _, at most 80 of them."""
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode("ascii")
    return re.sub(r"[^A-Za-z0-9_]+", "-", plain).strip("-")[:MAX_NAME]
