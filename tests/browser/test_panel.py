"""The boxes beside the canvas follow the painting, but never what somebody is typing."""

from __future__ import annotations

import re
from collections.abc import Callable

from playwright.sync_api import Page, Route, expect


def test_a_late_answer_leaves_a_box_alone_that_is_typed_in(
    new_page: Callable[..., Page], address: str
) -> None:
    page = new_page(address)
    page.wait_for_selector(".fvdm-editor[data-ready]")
    expect(page.locator("#label input")).to_have_value("faces")  # the visit has begun
    held: list[Route] = []
    page.route(re.compile(r"/gradio_api/run/"), lambda route: held.append(route))
    frames, summary = page.locator("#frames input"), page.locator("#summary")
    before = summary.inner_text()
    page.get_by_test_id("head-3").click()  # the panel is asked for what the painting says now
    while not held:
        page.wait_for_timeout(50)
    frames.fill("20")
    for route in held:
        route.continue_()
    page.unroute(re.compile(r"/gradio_api/run/"))
    expect(summary).not_to_have_text(before)  # the answer is there
    expect(frames).to_have_value("20")
    frames.press("Enter")
    page.wait_for_function("window.fvdmEditor.value.levels[0].length === 20")
    expect(page.locator(".fvdm-strip .tile")).to_have_count(20)
