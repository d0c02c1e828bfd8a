"""The runs of a session as the page lists them, from small files only."""

from __future__ import annotations

from typing import Any

from ui.outputs import Outputs
from ui.saved import Saved

PAGE = 40  # runs that are listed at first, and again with each "more"
MOST = 1000


def history_value(outputs: Outputs, session: object, count: int = PAGE) -> dict[str, Any]:
    """The newest `count` runs of a session, and how many can be listed in all."""
    runs = outputs.runs(session)[:MOST]
    return {"runs": [_entry(saved) for saved in runs[:count]], "total": len(runs)}


def listed_now(shown: object) -> int:
    """How many runs the page's value lists: what "more" has brought stays."""
    runs = shown.get("runs") if isinstance(shown, dict) else None
    return max(PAGE, len(runs)) if isinstance(runs, list) else PAGE


def _entry(saved: Saved) -> dict[str, Any]:
    about = saved.about()
    return {
        "job": saved.job,
        "name": saved.name,
        "address": saved.address,
        "thumb": saved.thumb.is_file(),
        "made": about.get("made"),
        "frames": about.get("frames"),
        "stopped": bool(about.get("stopped")),
        "says": str(about.get("says") or "")[:300],
    }
