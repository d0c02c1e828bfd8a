"""The boxes beside the canvas follow the painting, but never what somebody is typing."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

from playwright.sync_api import Page, Route, expect

KEPT = "window.fvdmPage.unpack(JSON.parse(sessionStorage.getItem('fvdm-painting')))"


def opened(page: Page) -> Page:
    page.wait_for_selector(".fvdm-editor[data-ready]")
    expect(page.locator("#label input")).to_have_value("faces")  # the visit has begun
    return page


def test_a_late_answer_leaves_a_box_alone_that_is_typed_in(
    new_page: Callable[..., Page], address: str
) -> None:
    page = opened(new_page(address))
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


def test_an_answer_that_comes_after_a_newer_one_does_not_stay(
    new_page: Callable[..., Page], address: str
) -> None:
    page = opened(new_page(address))
    summary, frames = page.locator("#summary"), page.locator("#frames input")
    held: list[Route] = []
    page.route(re.compile(r"/gradio_api/run/"), lambda route: held.append(route), times=1)
    page.get_by_test_id("head-3").click()
    while not held:
        page.wait_for_timeout(50)
    late = held[0].fetch()  # of the painting as it is now
    frames.fill("5")
    frames.press("Enter")
    expect(page.locator(".fvdm-strip .tile")).to_have_count(5)
    expect(summary).to_contain_text("3 frames are generated")
    held[0].fulfill(response=late)
    page.wait_for_timeout(500)  # it would stay
    expect(summary).to_contain_text("3 frames are generated")
    expect(frames).to_have_value("5")


def test_each_tab_brings_its_own_painting_back_and_a_new_one_the_newest(
    new_page: Callable[..., Page], address: str
) -> None:
    def resized(page: Page, frames: int) -> None:
        page.locator("#frames input").fill(str(frames))
        page.locator("#frames input").press("Enter")
        page.wait_for_function("n => window.fvdmEditor.value.levels[0].length === n", arg=frames)
        page.wait_for_function(
            f"n => {KEPT}?.editor.levels[0].length === n", arg=frames, polling=100
        )

    def comes_back(page: Page, frames: int) -> None:
        page.wait_for_function(
            "n => window.fvdmEditor?.value.levels[0].length === n", arg=frames, polling=100
        )

    first = opened(new_page(address))
    resized(first, 7)
    second = first.context.new_page()
    second.goto(address)
    comes_back(opened(second), 7)
    resized(second, 9)
    first.reload()
    comes_back(first, 7)


def test_a_stroke_and_what_is_typed_are_kept_when_the_server_is_gone(
    new_page: Callable[..., Page], address: str
) -> None:
    page = opened(new_page(address))
    page.wait_for_function(f"{KEPT}?.settings[0] === 'faces'")
    away = re.compile("/queue/|/run/|/app_id")
    page.route(away, lambda route: route.abort())
    page.locator("[data-testid=timeline-canvas]").focus()
    for key in ("ArrowRight", "ArrowRight", "3", "Enter"):  # frame 1 is frozen
        page.keyboard.press(key)
    page.wait_for_function(f"{KEPT}.editor.levels[0][1] === 300")
    painted = page.evaluate("window.fvdmEditor.value.levels")
    expect(page.get_by_text("was lost")).to_be_visible()  # gradio does nothing any more
    page.locator("#seed input").fill("4321")
    with page.expect_navigation():
        page.unroute(away)  # it is there again, and the page is loaded anew
    page.wait_for_function("window.fvdmEditor?.value.levels[0][1] === 300")
    assert page.evaluate("window.fvdmEditor.value.levels") == painted
    expect(page.locator("#seed input")).to_have_value("4321")


def test_a_refused_preset_is_not_left_chosen_and_undo_moves_the_sliders_back(
    new_page: Callable[..., Page], address: str
) -> None:
    page = opened(new_page(address))
    page.locator("#preset-extend").click()
    given = page.locator("#presets input[type=range]").first
    before = given.input_value()
    page.wait_for_timeout(2000)  # what follows soon is undone together
    given.focus()
    page.keyboard.press("ArrowRight")
    after = given.input_value()
    assert after != before
    told = "now => JSON.stringify(window.fvdmEditor.value.preset?.params ?? {}).includes(now)"
    page.wait_for_function(told, arg=after)
    page.keyboard.press("Control+z")
    expect(given).to_have_value(before)
    page.locator("#frames input").fill("2")
    page.locator("#frames input").press("Enter")
    page.wait_for_function("window.fvdmEditor.value.levels[0].length === 2")
    page.locator("#preset-standard").click()
    expect(page.locator("#preset-standard")).to_have_attribute("aria-checked", "true")
    page.locator("#preset-interpolation").click()  # which needs three frames
    expect(page.get_by_text("at least 3")).to_be_visible()
    expect(page.locator("#preset-interpolation")).to_have_attribute("aria-checked", "false")
    expect(page.locator("#preset-standard")).to_have_attribute("aria-checked", "true")


def test_the_canvas_follows_a_slider_to_where_it_is_let_go(
    new_page: Callable[..., Page], address: str
) -> None:
    page = opened(new_page(address))
    page.locator("#preset-ramp").click()
    rise = page.locator("#presets input[type=range]").first
    rise.focus()
    told = "now => JSON.stringify(window.fvdmEditor.value.preset?.params ?? {}).includes(now)"
    for key in ["ArrowRight", "ArrowLeft", "ArrowRight", "ArrowLeft"]:
        for k in range(9):  # answers to the first of them come while it goes on
            page.keyboard.press(key)
            page.wait_for_timeout(20 + 50 * (k % 4))
        page.wait_for_function(told, arg=rise.input_value(), timeout=20_000)
        page.wait_for_timeout(500)
        assert page.evaluate(told, rise.input_value())


def test_a_refused_place_of_a_slider_goes_back_and_the_last_one_is_asked_for(
    new_page: Callable[..., Page], address: str, folder: Path
) -> None:
    page = opened(new_page(address))
    page.locator("#preset-restart").click()
    page.wait_for_function("window.fvdmEditor.value.preset?.name === 'restart'")
    low = page.get_by_role("slider", name="Back from")
    before = low.input_value()
    low.focus()
    page.keyboard.press("End")  # not below the other
    expect(page.get_by_text("which is not above it")).to_be_visible()
    expect(low).to_have_value(before)
    expect(low).to_be_focused()
    hold = folder / "hold-presets"
    hold.touch()
    page.keyboard.press("End")
    page.wait_for_timeout(300)
    page.keyboard.press("Home")  # which gradio forgets over the refusal
    page.wait_for_timeout(300)
    hold.unlink()
    page.wait_for_function("window.fvdmEditor.value.preset.params.low === 0.01", timeout=20_000)
    expect(low).to_have_value("0.01")


def test_a_kept_picture_that_lies_elsewhere_costs_only_itself(
    new_page: Callable[..., Page], address: str
) -> None:
    """As after the outputs were moved, or the studio was started on another folder."""
    page = opened(new_page(address))
    page.locator("#frames input").fill("7")
    page.locator("#frames input").press("Enter")
    page.wait_for_function(f"{KEPT}?.editor.levels[0].length === 7")
    page.evaluate(
        """() => {
          const kept = JSON.parse(sessionStorage.getItem("fvdm-painting"));
          const file = { path: "/elsewhere/a.png", meta: { _type: "gradio.FileData" } };
          kept.editor.keyframes = [{ frame: 0, fit: "crop", file }];
          sessionStorage.setItem("fvdm-painting", JSON.stringify(kept));
        }"""
    )
    page.reload()
    page.wait_for_function("window.fvdmEditor?.value.levels[0].length === 7")
    assert page.evaluate("window.fvdmEditor.value.keyframes") == []


def test_two_example_pictures_in_a_row_are_undone_one_by_one(
    new_page: Callable[..., Page], address: str
) -> None:
    page = opened(new_page(address))
    page.locator("#preset-interpolation").click()
    page.wait_for_function("window.fvdmEditor.value.preset?.name === 'interpolation'")
    page.wait_for_timeout(2000)  # what follows soon is undone together
    pictures = "JSON.stringify(window.fvdmEditor.value.keyframes)"
    before = []
    for name in ("faces 1", "sky 2"):
        before.append(page.evaluate(pictures))
        page.get_by_title(f"{name}: drag onto a slot, or click to use it").click()
        page.wait_for_function(f"before => {pictures} !== before", arg=before[-1])
    for expected in reversed(before):
        page.keyboard.press("Control+z")
        assert page.evaluate(pictures) == expected


def test_two_example_pictures_at_once_go_to_two_frames(
    new_page: Callable[..., Page], address: str
) -> None:
    page = opened(new_page(address))
    page.evaluate(
        """() => {
          document.getElementById("preset-interpolation").click();
          const [one, two] = document.querySelectorAll("#shelf button");
          one.click();
          setTimeout(() => two.click(), 50);
        }"""
    )
    frames = "JSON.stringify(window.fvdmEditor.value.keyframes.map((k) => k.frame)) === '[0,15]'"
    page.wait_for_function(f"window.fvdmEditor.value.preset?.name === 'interpolation' && {frames}")


def test_a_refused_number_gives_way_to_the_one_that_counts(
    new_page: Callable[..., Page], address: str
) -> None:
    page = opened(new_page(address))
    typed = {"99999": ("frames", "16"), "2.7": ("frames", "16"), "0": ("steps", "30")}
    for wrong, (box, right) in typed.items():
        field = page.locator(f"#{box} input")
        field.fill(wrong)
        field.press("Tab")
        expect(page.locator(".toast-body").filter(has_text=f"{box} is {wrong}")).to_be_visible()
        expect(field).to_have_value(right)
    page.locator("#preset-any-frame").click()
    kept, said = page.locator("#presets .frames-box"), page.locator("#presets .wrong")
    expect(kept).to_have_value("9")
    for wrong in ("1,99", "abc"):
        kept.fill(wrong)
        kept.press("Tab")
        expect(kept).to_have_value("9")
        expect(said).to_contain_text(f"“{wrong}”: write frames from 1 to 16")
    kept.fill("1, 16")
    kept.press("Tab")
    page.wait_for_function("window.fvdmEditor.value.levels[0][15] === 0")
    expect(said).to_be_empty()


def test_a_wrong_number_is_red_while_it_is_typed(
    new_page: Callable[..., Page], address: str
) -> None:
    page = opened(new_page(address))
    seed = page.locator("#seed input")
    seed.fill("-1")
    expect(seed).to_have_css("outline-color", "rgb(185, 28, 28)")
    seed.fill("1")
    expect(seed).to_have_css("outline-color", "rgb(194, 65, 12)")


def test_what_is_left_to_the_model_stays_empty_and_a_number_comes_back(
    new_page: Callable[..., Page], address: str
) -> None:
    """Gradio's own box of a number would turn nothing into 0 as soon as it is seen."""
    page = opened(new_page(address))
    coherence, above = page.locator("#temporal-scale input"), page.locator("#guidance-from input")
    for _ in range(2):
        page.locator("#more").get_by_role("button", name="Solver and speed").click()
        expect(coherence).to_have_value("")
        expect(coherence).to_have_attribute("placeholder", "as the model likes it: 0.75")
        expect(above).to_have_attribute("placeholder", "as the model likes it: 250")
        page.wait_for_timeout(2000)
        expect(coherence).to_have_value("")
        expect(above).to_have_value("")
        page.reload()
        opened(page)
    page.locator("#more").get_by_role("button", name="Solver and speed").click()
    page.wait_for_timeout(3000)  # gradio fills the boxes of an opened part once more
    for label, number in {"sky": "0.25", "faces": "0.75"}.items():
        page.locator("#label input").click()
        page.get_by_role("option", name=label, exact=True).click()
        expect(coherence).to_have_attribute("placeholder", f"as the model likes it: {number}")
        expect(coherence).to_have_value("")
    coherence.fill("0.7")
    page.get_by_test_id("head-3").click()  # the page is told of the number for the label once more
    page.wait_for_function("sessionStorage.getItem('fvdm-painting')?.includes('\"0.7\"')")
    page.reload()
    opened(page)
    page.locator("#more").get_by_role("button", name="Solver and speed").click()
    expect(coherence).to_have_value("0.7")
    expect(above).to_have_value("")


def test_generate_stays_in_sight_when_the_settings_are_long(
    new_page: Callable[..., Page], address: str
) -> None:
    page = opened(new_page(address))
    page.locator("#more").get_by_role("button", name="Solver and speed").click()
    expect(page.locator("#step-cache")).to_be_visible()
    expect(page.locator("#step-cache")).not_to_be_in_viewport()
    expect(page.locator("#generate")).to_be_in_viewport(ratio=1)


def test_another_solver_brings_its_usual_fresh_noise(
    new_page: Callable[..., Page], address: str
) -> None:
    page = opened(new_page(address))
    page.locator("#more").get_by_role("button", name="Solver and speed").click()
    eta = page.locator("#eta input[type=number]")
    expect(eta).to_have_value("1")
    page.wait_for_timeout(3000)  # gradio fills the boxes of an opened part once more
    for solver, usual in (("DDIM", "0"), ("DPM-Solver++ (2M)", "1")):
        page.locator("#solver input").click()
        page.get_by_role("option", name=solver, exact=True).click()
        expect(eta).to_have_value(usual)


def test_all_frames_of_the_longest_timeline_are_in_sight_at_once(
    new_page: Callable[..., Page], address: str
) -> None:
    page = opened(new_page(address))
    page.locator("#steps input").fill("3")
    page.locator("#frames input").fill("1024")
    page.locator("#frames input").press("Enter")
    page.wait_for_function("window.fvdmEditor.value.levels[0].length === 1024")
    page.get_by_test_id("fit-all").click()
    page.wait_for_function("window.fvdmGeometry.column < 2")
    widths = page.evaluate(
        """() => {
          const scroller = document.querySelector("[data-testid=editor-scroller]");
          const tiles = [...document.querySelectorAll(".fvdm-strip .tile .picture")];
          return [scroller.scrollWidth - scroller.clientWidth,
            ...tiles.map((tile) => tile.getBoundingClientRect().width)];
        }"""
    )
    assert widths[0] <= 1 and len(widths) == 1025
    assert all(0 < width <= 2 for width in widths[1:])
