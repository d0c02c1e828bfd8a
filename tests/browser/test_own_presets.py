"""The picker's shelf in a real browser: own presets, example timelines, a timeline as a file."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from playwright.sync_api import Page, expect

from fvdm_core.examples import example_timelines
from fvdm_core.timeline import Timeline

Open = Callable[..., Page]


def ready(page: Page) -> Page:
    page.wait_for_selector(".fvdm-editor[data-ready]")
    expect(page.locator("#summary")).to_contain_text("generated")  # the visit has begun
    return page


def size(page: Page, frames: int, steps: int) -> None:
    page.wait_for_function(
        "([f, s]) => window.fvdmEditor.value.levels.length === s + 1 "
        "&& window.fvdmEditor.value.levels[0].length === f",
        arg=[frames, steps],
    )


def levels(page: Page) -> Any:
    return page.evaluate("window.fvdmEditor.value.levels")


def test_own_presets_are_kept_resampled_renamed_and_deleted(
    new_page: Open, address: str, resize: Callable[[Page, int], None]
) -> None:
    page = ready(new_page(address))
    page.evaluate("localStorage.setItem('fvdm-presets', '{\"version\": 1, \"presets\": [7]}')")
    page.reload()
    ready(page)
    page.locator("#preset-interpolation").click()
    page.wait_for_function("window.fvdmEditor.value.levels[0][15] === 0")
    page.locator("#own-new").click()
    page.locator("#own-name").fill("Ends <b>kept</b>")
    page.keyboard.press("Enter")
    mine = page.locator("[data-own]")
    expect(mine).to_have_text("Ends <b>kept</b>")

    page.reload()
    ready(page)
    page.locator("#preset-standard").click()
    page.wait_for_function("window.fvdmEditor.value.levels[0][15] === 1000")
    resize(page, 9)
    mine.click()
    page.wait_for_function("window.fvdmEditor.value.levels[0][8] === 0")
    assert [row[0] + row[8] for row in levels(page)] == [0] * 31
    assert levels(page)[0][1:8] == [1000] * 7
    page.get_by_test_id("undo").click()
    assert levels(page)[0] == [1000] * 9

    mine.focus()
    page.keyboard.press("F2")
    page.locator("#own-name").fill("Two ends")
    page.keyboard.press("Enter")
    expect(mine).to_have_text("Two ends")
    mine.focus()
    page.keyboard.press("Delete")
    page.keyboard.press("Enter")
    expect(page.locator("#own-delete")).to_have_text("Really delete")
    expect(mine).to_have_count(1)
    page.keyboard.press("Enter")
    expect(mine).to_have_count(0)
    assert json.loads(page.evaluate("localStorage.getItem('fvdm-presets')"))["presets"] == []


def test_a_timeline_goes_out_as_a_file_and_comes_back(
    new_page: Open, address: str, folder: Path, tmp_path: Path
) -> None:
    page = ready(new_page(address))
    example = next(each for each in example_timelines() if each.name == "clean-wave")
    page.locator("#example-clean-wave").click()
    size(page, 16, example.timeline.num_steps)
    with page.expect_download() as download:
        page.locator("#timeline-export").click()
    path = tmp_path / download.value.suggested_filename
    download.value.save_as(path)
    assert Timeline.from_json(path.read_text()) == example.timeline

    # what is asked for last stays, however long the one before takes
    hold = folder / "hold-presets"
    hold.touch()
    joined = "**/queue/join**"
    with page.expect_response(joined):  # or on a busy machine the second might be the first there
        page.locator("#preset-standard").click()
    with page.expect_response(joined):
        page.locator("#timeline-file").set_input_files(path)
    page.wait_for_timeout(300)
    hold.unlink()
    page.evaluate("window.fvdmPage.allChanged()")  # both answers may come between two frames
    assert page.evaluate("window.fvdmEditor.value.preset") is None
    assert levels(page) == example.timeline.levels.tolist()

    wrong = tmp_path / "<i>wrong.json"
    wrong.write_text('{"version": 1, "levels": [[1000], [0, 0]]}')
    box = page.get_by_test_id("timeline-canvas").bounding_box()
    assert box
    session = page.context.new_cdp_session(page)
    data = {"items": [], "files": [str(wrong)], "dragOperationsMask": 1}
    for kind in ("dragEnter", "dragOver", "drop"):
        place = {"x": box["x"] + 90, "y": box["y"] + 90}
        session.send("Input.dispatchDragEvent", {"type": kind, **place, "data": data})
    toast = page.locator(".toast-body")
    expect(toast).to_contain_text("wrong.json cannot be used: levels: row 1 has 2 frames")
    assert levels(page) == example.timeline.levels.tolist()
