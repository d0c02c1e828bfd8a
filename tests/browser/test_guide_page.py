"""The guide, from the link in the header."""

from __future__ import annotations

from collections.abc import Callable

from playwright.sync_api import Page, expect


def test_the_link_in_the_header_opens_the_guide_with_its_pictures(
    new_page: Callable[..., Page], address: str
) -> None:
    page = new_page(address)
    page.wait_for_selector(".fvdm-editor[data-ready]")
    with page.context.expect_page() as opened:  # beside the painting, not in its place
        page.locator("#guide").click()
    guide = opened.value
    expect(guide.locator("#guide-text h1")).to_have_text("The canvas in five timelines")
    guide.wait_for_function(
        "() => { const all = [...document.querySelectorAll('#guide-text img')];"
        "return all.length > 8 && all.every(image => image.naturalWidth > 0); }"
    )
    for shown in (page, guide):  # gradio's bar of pages is not there twice
        expect(shown.get_by_role("link", name="Home")).not_to_be_visible()
