"""Watching and going back over a run, in a real browser: both views, every row, what is mended."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from playwright.sync_api import Page, Route, expect

MIDDLE = "n => [...n.getContext('2d').getImageData(0, 0, n.width, n.height).data]"
Open = Callable[..., Page]


@pytest.fixture
def studio(new_page: Open, address: str) -> Page:
    page = new_page(address)
    page.wait_for_selector(".fvdm-editor[data-ready]")
    expect(page.locator("#label input")).to_have_value("faces")  # the visit has begun
    return page


def tile(page: Page, frame: int) -> np.ndarray:
    pixels = page.get_by_test_id(f"tile-{frame}").evaluate(MIDDLE)
    return np.array(pixels).reshape(-1, 4)[:, :3].mean(axis=0)


def value(page: Page) -> dict[str, Any]:
    return page.evaluate("window.fvdmEditor.value")


def shown(page: Page, view: str, step: int) -> None:
    page.wait_for_selector(f".fvdm-strip[data-view={view}][data-step='{step}']")


def test_every_row_is_there_afterwards_in_both_views(
    studio: Page, resize: Callable[[Page, int], None]
) -> None:
    studio.locator("#generate").click()
    studio.wait_for_selector(".fvdm-strip[data-status=done]")
    shown(studio, "clean", 30)
    clean = tile(studio, 5)
    studio.get_by_test_id("view-noisy").click()
    shown(studio, "noisy", 30)
    assert tile(studio, 5) == pytest.approx(255 - clean, abs=6)  # the stand-in's noisy state
    scrubber = studio.get_by_test_id("scrubber")
    scrubber.focus()
    for step in (29, 28, 27):  # the live strip saw only some of them
        studio.keyboard.press("ArrowLeft")
        shown(studio, "noisy", step)
    assert scrubber.get_attribute("aria-valuetext") == "step 27 of 30"
    expect(studio.get_by_test_id("tile-5").locator("..")).to_have_attribute(
        "aria-label", "Frame 6, 10 % noise"
    )
    studio.get_by_test_id("view-clean").click()
    shown(studio, "clean", 27)

    studio.get_by_test_id("mode-curves").click()  # the other view of the canvas scrubs too
    box = studio.get_by_test_id("timeline-canvas").bounding_box()
    assert box
    studio.mouse.move(box["x"] + box["width"] / 2, box["y"] + 20)
    shown(studio, "clean", 15)

    resize(studio, 9)
    expect(studio.locator(".tile.drawn")).to_have_count(0)  # not the old run's pictures
    expect(studio.locator(".fvdm-strip .foot")).to_be_hidden()
    studio.get_by_test_id("undo").click()
    expect(studio.locator(".tile.drawn")).to_have_count(16)


def test_one_paints_on_from_a_step_of_a_run(studio: Page, folder: Path) -> None:
    (folder / "reuse").touch()
    bar, summary = studio.get_by_test_id("known-steps"), studio.locator("#summary")
    canvas = studio.get_by_test_id("timeline-canvas")
    box = canvas.bounding_box()
    assert box
    row = box["height"] / 31

    def ends_at(step: int) -> None:
        studio.wait_for_function(
            """([step, row]) => {
                const bar = document.querySelector("[data-testid=known-steps]");
                return Math.abs(bar.getBoundingClientRect().height - (step + 1) * row) < 1;
            }""",
            arg=[step, row],
        )

    try:
        expect(bar).to_be_hidden()
        studio.locator("#generate").click()
        expect(summary).to_contain_text("Every step is known from a run before")
        ends_at(30)
        studio.get_by_test_id("brush-height").fill("1")
        studio.mouse.click(box["x"] + box["width"] / 2, box["y"] + 20.5 * row)
        expect(summary).to_contain_text("steps 1–19 known from a run before")
        ends_at(19)
        assert bar.get_attribute("title") == "Steps 1 to 19 are known from a run before"
        studio.locator("#generate").click()
        expect(studio.locator("#progress")).to_contain_text("Done · went on from step 19")
        scrubber = studio.get_by_test_id("scrubber")
        scrubber.fill("4")
        shown(studio, "clean", 4)  # which the second run did not take

        seed = studio.locator("#seed input")
        seed.fill("8")
        seed.press("Tab")
        expect(bar).to_be_hidden()
        expect(summary).not_to_contain_text("known from a run before")
        seed.fill("7")
        seed.press("Tab")
        ends_at(30)
        studio.get_by_test_id("mode-curves").click()
        expect(bar).to_be_hidden()  # its axis is one of levels
    finally:
        (folder / "reuse").unlink()


def test_tiles_of_a_run_with_other_frames_than_the_canvas_go_when_it_ends(
    studio: Page, hold: Path, resize: Callable[[Page, int], None]
) -> None:
    caption = studio.get_by_test_id("strip-caption")
    studio.locator("#generate").click()
    shown(studio, "clean", 0)
    resize(studio, 20)
    expect(studio.locator(".fvdm-strip .tile")).to_have_count(20)
    expect(caption).to_have_text("This run has 16 frames")  # it goes on, and is still to be seen
    expect(studio.locator(".tile.drawn")).to_have_count(16)
    hold.unlink()
    studio.wait_for_selector(".fvdm-strip[data-status=done]")
    expect(studio.locator(".tile.drawn")).to_have_count(0)
    expect(studio.locator(".fvdm-strip .foot")).to_be_hidden()
    studio.get_by_test_id("undo").click()
    expect(studio.locator(".tile.drawn")).to_have_count(16)
    expect(caption).to_have_text("step 30 of 30")


def test_one_goes_back_over_a_run_while_the_next_one_goes_on(studio: Page, folder: Path) -> None:
    studio.locator("#generate").click()
    studio.wait_for_selector(".fvdm-strip[data-status=done]")
    held = folder / "hold"
    held.touch()
    try:
        studio.locator("#seed input").fill("8")
        studio.locator("#generate").click()
        expect(studio.get_by_test_id("run")).to_have_count(2)
        expect(studio.get_by_test_id("run").first).to_contain_text("seed 8")  # goes on: on top
        studio.get_by_test_id("run-show").nth(1).click()
        shown(studio, "clean", 30)
        studio.get_by_test_id("scrubber").fill("11")
        shown(studio, "clean", 11)
    finally:
        held.unlink()  # now the page is told of every step of the other one, to its end
    expect(studio.get_by_test_id("run").nth(0)).to_have_attribute("data-status", "done")
    studio.wait_for_timeout(500)
    shown(studio, "clean", 11)
    expect(studio.get_by_test_id("scrubber")).to_have_value("11")
    studio.locator("#clip").press(" ")
    assert studio.locator("#clip").evaluate("video => video.paused")
    studio.locator("#clip").press(" ")
    assert not studio.locator("#clip").evaluate("video => video.paused")


def test_a_run_is_watched_as_its_noisy_state(studio: Page, hold: Path) -> None:
    studio.locator("#generate").click()
    shown(studio, "clean", 0)
    with studio.expect_response(lambda answer: "/run/" in answer.url):  # the server knows
        studio.get_by_test_id("view-noisy").click()
    expect(studio.get_by_test_id("strip-caption")).to_have_text("as of step 0")
    hold.unlink()
    studio.wait_for_selector(".fvdm-strip[data-status=done]")
    shown(studio, "noisy", 30)


def test_a_picture_without_effect_is_said_in_place_and_mended(studio: Page) -> None:
    studio.locator("#preset-standard").click()
    studio.wait_for_function("window.fvdmEditor.value.levels[0][0] === 1000")
    head = studio.get_by_test_id("head-0")
    assert "no effect" in (head.get_attribute("aria-label") or "")
    mend = studio.locator("#summary .mend")
    expect(mend).to_have_text(["Keep the picture of frame 1", "Remove the picture"])
    mend.nth(1).click()
    expect(mend).to_have_count(0)
    assert not value(studio)["keyframes"] and value(studio)["levels"][0][0] == 1000
    studio.get_by_test_id("undo").click()
    mend.nth(0).focus()
    studio.keyboard.press("Enter")
    expect(mend).to_have_count(0)
    assert not any(row[0] for row in value(studio)["levels"])
    studio.get_by_test_id("undo").click()
    studio.get_by_test_id("slot-0").click()
    studio.get_by_test_id("slot-keep").click()
    assert not any(row[0] for row in value(studio)["levels"])


DROP = """([slot, name, bytes]) => {
  const dataTransfer = new DataTransfer();
  dataTransfer.items.add(new File([new Uint8Array(bytes)], name, { type: "image/png" }));
  const target = document.querySelector(`[data-testid=slot-${slot}]`);
  const { x: clientX, y: clientY } = target.getBoundingClientRect();
  const where = { clientX: clientX + 5, clientY: clientY + 5, bubbles: true, cancelable: true };
  target.dispatchEvent(new DragEvent("drop", { dataTransfer, ...where }));
}"""


def test_of_two_pictures_for_a_slot_the_later_one_stays(studio: Page) -> None:
    """Also where the upload of the first takes longer."""
    held: list[Route] = []

    def hold_first(route: Route) -> None:
        if held:
            route.continue_()
        else:
            held.append(route)

    studio.route("**/upload", hold_first)
    for name, shade in (("first.png", 40), ("second.png", 200)):
        _, png = cv2.imencode(".png", np.full((50, 50, 3), shade, np.uint8))
        studio.evaluate(DROP, [4, name, png.ravel().tolist()])
        studio.wait_for_timeout(200)  # it is on its way, and the first one held
    studio.wait_for_function("window.fvdmEditor.value.keyframes.length === 2")
    with studio.expect_response("**/upload"):
        held[0].continue_()
    studio.wait_for_timeout(300)
    names = [each["file"]["orig_name"] for each in value(studio)["keyframes"]]
    assert names[1] == "second.png"


def test_the_cut_of_a_picture_is_shown(studio: Page, tmp_path: Path) -> None:
    wide = tmp_path / "wide.png"
    cv2.imwrite(str(wide), np.full((50, 200, 3), 90, np.uint8))
    with studio.expect_file_chooser() as chooser:
        studio.get_by_test_id("slot-4").click()
    chooser.value.set_files(wide)
    studio.wait_for_function("window.fvdmEditor.value.keyframes.length === 2")
    studio.get_by_test_id("slot-4").click()
    cut = studio.get_by_test_id("slot-cut")
    expect(cut).to_have_text("200 × 50: 75 % of its width is cut off")
    outline = studio.locator(".outline").bounding_box()
    whole = studio.locator(".framed").bounding_box()
    assert outline and whole
    assert outline["width"] == pytest.approx(whole["width"] / 4, abs=1)
    studio.get_by_role("radio", name="Contain").click()
    studio.get_by_test_id("slot-4").click()
    expect(cut).to_have_text("200 × 50: black above and below it")
