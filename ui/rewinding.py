"""The strip asks for rows of a run: of one that goes on it says which view, of one that is over it
gets the rows that it has not seen."""

from __future__ import annotations

from typing import Any

import gradio as gr

from ui.filmstrip import Filmstrip
from ui.refusals import checked
from ui.requests import LookRequest
from ui.service import Studio, session_of
from ui.watching import rows_value


def wire_rewinding(studio: Studio, strip: Filmstrip, session: gr.BrowserState) -> None:
    """Answer the strip's "look": {"job", "view", "steps"}, for runs of this session alone."""

    def look(kept_session: Any, event: gr.EventData) -> Any:
        asked = event._data if isinstance(event._data, dict) else {}
        wanted = checked(lambda: LookRequest(**{str(name): asked[name] for name in asked}))
        owner = session_of(kept_session)["session"]
        studio.jobs.show(wanted.job, wanted.view, owner=owner)
        rewind = studio.jobs.rewind(wanted.job, owner=owner)
        return gr.skip() if rewind is None or not wanted.steps else rows_value(wanted, rewind)

    strip.look(  # type: ignore[attr-defined]
        look,
        [session],
        [strip],
        queue=False,
        show_progress="hidden",
        trigger_mode="multiple",  # each asks for rows of its own
        api_visibility="private",
    )
