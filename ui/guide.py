"""The guide as a second page of the studio: `docs/guide.md` and its pictures, at /guide."""

from __future__ import annotations

import re
from pathlib import Path

import gradio as gr
from starlette.routing import Mount
from starlette.staticfiles import StaticFiles

DOCS = Path(__file__).resolve().parents[1] / "docs"
GUIDE = DOCS / "guide.md"
PICTURES = "guide-pictures"  # the folder's name in addresses, beside the page's
LINK = '<a id="guide" href="guide" target="_blank" title="The canvas in five timelines">Guide</a>'


def add_guide(demo: gr.Blocks) -> None:
    """Give the studio its second page; where only the library is installed, there is none."""
    if not GUIDE.is_file():
        return
    with demo.route("Guide", "/guide"):
        gr.Markdown(written_for_page(GUIDE.read_text("utf-8")), elem_id="guide-text")


def written_for_page(text: str) -> str:
    """The guide's Markdown with addresses that work on the page.

    Pictures come from our own route; other documents have no page, so their names are left, and
    the contents go, as links to places on the page do not work there.
    """
    text = re.sub(r"(?<=[(\"])images/", f"{PICTURES}/", text)
    text = re.sub(r"(?m)^- \[[^]]*\]\(#.*\n", "", text)  # to gradio's pages "#" is the first page
    return re.sub(r"\[([^]]*)\]\((?:\.\./)?([\w-]+\.md)(?:#[\w-]*)?\)", r"\1 (\2)", text)


def picture_routes() -> list[Mount]:
    """The route of the guide's pictures."""
    if not GUIDE.is_file():
        return []
    return [Mount(f"/{PICTURES}", StaticFiles(directory=DOCS / "images"))]
