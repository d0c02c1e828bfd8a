"""Names of runs: patterns are checked, and nothing that is filled in can leave its folder."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest

from ui.naming import Naming, slug

MADE = datetime(2026, 3, 4, 5, 6, 7)
RECIPE: dict[str, Any] = {
    "label": "sky",
    "seed": 7,
    "timeline": {"levels": [[1], [1], [0]]},
    "model": {"name": "Miniature Worlds"},
}


@pytest.mark.parametrize(
    ("pattern", "name"),
    [
        ("{date}-{label}-{seed}", "2026-03-04-sky-7"),
        ("{model} {time} {frames}x{steps}", "Miniature-Worlds-050607-16x2"),
        ("plain", "plain"),
        ("..", "clip"),
        ("", "clip"),
    ],
)
def test_patterns_are_filled(pattern: str, name: str) -> None:
    assert Naming(pattern).name(RECIPE, 16, MADE) == name


@pytest.mark.parametrize(
    "pattern",
    [
        "{user}",
        "{seed.__class__}",
        "{seed[0]}",
        "{seed!r}",
        "{seed:>9999999}",
        "{",
        "{}",
        "x" * 200,
    ],
)
def test_other_patterns_are_refused(pattern: str) -> None:
    with pytest.raises(ValueError, match="pattern"):
        Naming(pattern)


@pytest.mark.parametrize("label", ["../../etc/passwd", "a\0b", "<b>", "Ünïcode ☃", "x" * 500, "."])
def test_what_is_filled_in_stays_one_plain_name(label: str) -> None:
    name = Naming("{label}").name({"label": label}, 1, MADE)
    assert name and name == slug(name) and len(name) <= 80
    assert not set(name) & set("./\\<>\0 ")
