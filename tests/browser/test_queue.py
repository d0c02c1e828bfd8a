"""Runs that queue, in a real browser: order, changes, following, a reload, and two sessions."""

from __future__ import annotations

import re
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from playwright.sync_api import Locator, Page, Route, expect

sys.path.insert(0, str(Path(__file__).parents[1] / "ui"))
from fake import example_pictures  # noqa: E402

FAKE_STUDIO = Path(__file__).parent / "fake_studio.py"
Open = Callable[..., Page]


def studio(new_page: Open, address: str, **options: object) -> Page:
    page = new_page(address, **options)
    page.wait_for_selector(".fvdm-editor[data-ready]")
    expect(page.locator("#label input")).to_have_value("faces")  # the first visit is complete
    return page


def queue(page: Page, *seeds: int) -> None:
    """Press Generate once for each seed."""
    count = runs(page).count()
    for seed in seeds:
        page.locator("#seed input").fill(str(seed))
        page.locator("#seed input").press("Enter")
        page.locator("#generate").click()
        count += 1
        expect(runs(page)).to_have_count(count)


def runs(page: Page) -> Locator:
    return page.get_by_test_id("run")


def expect_seeds(page: Page, *seeds: int) -> None:
    wanted = [re.compile(rf"seed {seed} ") for seed in seeds]
    expect(runs(page).locator(".settings")).to_have_text(wanted)


def test_runs_queue_and_are_moved_changed_cloned_and_removed(
    new_page: Open, address: str, hold: Path
) -> None:
    page = studio(new_page, address)
    queue(page, 1, 2, 3, 4)
    expect(page.locator("#generate")).to_have_text("Queue another")
    expect(page.locator("#progress")).to_contain_text("3 queued")
    expect(runs(page).nth(3)).to_contain_text("3 before it")

    runs(page).nth(3).get_by_test_id("run-up").click()
    expect_seeds(page, 1, 2, 4, 3)
    runs(page).nth(1).get_by_test_id("run-show").focus()
    page.keyboard.press("Alt+ArrowDown")
    expect_seeds(page, 1, 4, 2, 3)
    expect(runs(page).nth(2).get_by_test_id("run-show")).to_be_focused()  # it goes with its run
    runs(page).nth(3).drag_to(runs(page).nth(1))
    expect_seeds(page, 1, 3, 4, 2)
    runs(page).nth(1).get_by_test_id("run-clone").click()
    expect_seeds(page, 1, 3, 4, 2, 3)
    runs(page).nth(3).get_by_test_id("run-show").focus()
    page.keyboard.press("Delete")
    expect_seeds(page, 1, 3, 4, 3)

    # a queued run goes to the canvas, is painted upon, and keeps its place and its id
    job = runs(page).nth(2).get_attribute("data-job")
    page.locator("#preset-standard").click()
    page.wait_for_function("window.fvdmEditor.value.preset.name === 'standard'")
    runs(page).nth(2).get_by_test_id("run-edit").click()
    page.wait_for_function("window.fvdmEditor.value.preset.name === 'image-to-video'")
    expect(page.locator("#seed input")).to_have_value("4")
    assert len(page.evaluate("window.fvdmEditor.value.keyframes")) == 1
    page.locator("#seed input").fill("44")
    page.locator("#seed input").press("Enter")
    page.locator("#frames input").fill("12")  # typed, and not entered: the click is quicker
    runs(page).nth(2).get_by_test_id("run-update").click()
    expect_seeds(page, 1, 3, 44, 3)
    expect(runs(page).nth(2).locator(".settings")).to_contain_text("12 × ")
    expect(page.get_by_test_id("run-update").nth(2)).to_be_hidden()
    assert runs(page).nth(2).get_attribute("data-job") == job

    page.reload()
    page.wait_for_selector(".fvdm-editor[data-ready]")
    expect_seeds(page, 1, 3, 44, 3)
    hold.unlink()
    expect(page.locator(".run[data-status=done]")).to_have_count(4)
    expect(page.locator("#generate")).to_have_text("Generate")
    expect(page.locator("#clip")).to_be_visible()
    expect_seeds(page, 3, 44, 3, 1)  # the newest on top
    expect(runs(page).nth(0)).to_have_class(re.compile("shown"))  # it followed to the last


def test_of_two_runs_taken_up_at_once_the_second_is_on_the_canvas_and_marked(
    new_page: Open, address: str, hold: Path
) -> None:
    page = studio(new_page, address)
    queue(page, 1, 2, 3)
    page.evaluate(
        """() => {
          const edit = document.querySelectorAll("[data-testid=run-edit]");
          edit[1].click();
          edit[2].click();
        }"""
    )
    expect(page.get_by_test_id("run-update").nth(2)).to_be_visible()
    expect(page.get_by_test_id("run-update").nth(1)).to_be_hidden()
    expect(page.locator("#seed input")).to_have_value("3")


def test_a_press_before_the_model_is_there_says_that_it_waits(
    new_page: Open, serve: Callable[..., str], tmp_path: Path
) -> None:
    wait = tmp_path / "hold-model"
    wait.touch()
    page = new_page(serve(FAKE_STUDIO, str(tmp_path)))
    page.wait_for_selector(".fvdm-editor[data-ready]")
    page.wait_for_function("window.fvdmEditor.value.preset?.name")  # the visit has begun
    page.locator("#preset-standard").click()
    page.wait_for_function("window.fvdmEditor.value.preset.name === 'standard'")
    page.locator("#generate").click()
    expect(page.locator("#progress")).to_contain_text("waits for the model")
    expect(runs(page)).to_have_count(0)
    seed = int(page.locator("#seed input").input_value())
    for more in (1, 2):
        page.locator("#seed input").fill(str(seed + more))
        page.locator("#generate").click()
        page.wait_for_timeout(130)  # they do not ask at once whether it is there
    wait.unlink()
    expect(page.locator(".run[data-status=done]")).to_have_count(3)
    # the label that the example picture has, which the page could not know when it was pressed
    words = [re.compile(rf"faces · seed {seed + more} ") for more in (2, 1, 0)]
    expect(runs(page).locator(".settings")).to_have_text(words)


def test_a_press_counts_while_what_was_shown_before_a_reload_is_looked_for(
    new_page: Open, serve: Callable[..., str], tmp_path: Path
) -> None:
    wait = tmp_path / "hold-model"
    wait.touch()
    page = new_page(serve(FAKE_STUDIO, str(tmp_path)))
    page.evaluate(
        """() => {
          const columns = { setting: "seed", values: "1, 2" };
          sessionStorage.setItem("fvdm-sweep", JSON.stringify({ columns, rows: null }));
          const sides = [{ job: "one", title: "One" }, { job: "two", title: "Two" }];
          sessionStorage.setItem("fvdm-compared", JSON.stringify(sides));
        }"""
    )
    joined: list[Any] = []
    cancelled: list[str] = []
    page.on("request", lambda request: "/queue/join" in request.url and joined.append(request))
    page.on("request", lambda request: "/cancel" in request.url and cancelled.append(request.url))
    page.reload()
    expect(page.get_by_test_id("sweep-columns-values")).to_have_value("1, 2")
    expect(page.get_by_test_id("compare-b")).to_have_value("run:two")
    until = time.monotonic() + 150
    while len([each for each in joined if '"again":true' in (each.post_data or "")]) < 2:
        assert time.monotonic() < until
        page.wait_for_timeout(50)
    page.wait_for_timeout(500)  # gradio has been told which these are
    assert not cancelled
    page.get_by_test_id("sweep-columns-values").fill("3, 4")
    page.get_by_test_id("sweep-go").click()
    page.get_by_test_id("compare-a").select_option("canvas:")
    page.get_by_test_id("compare-b").select_option("preset:standard")
    page.get_by_test_id("compare-go").click()
    page.wait_for_timeout(500)
    wait.unlink()
    expect(page.locator(".sweep .cell:enabled")).to_have_count(2)
    assert len(cancelled) == 2, cancelled  # or what was looked for could come in place of these
    expect(page.locator(".sweep .head")).to_have_text(["Seed 3", "Seed 4"])
    expect(page.get_by_test_id("compare-text")).to_contain_text("Both with faces, seed 7")


def test_what_is_asked_for_just_before_generate_is_the_run_s(
    new_page: Open, address: str, hold: Path, folder: Path
) -> None:
    """The click is quicker than the box that it leaves, and than the answer of a preset."""
    page = studio(new_page, address)
    page.locator("#frames input").fill("12")
    page.locator("#generate").click()
    expect(runs(page)).to_have_count(1)
    expect(runs(page).locator(".settings")).to_contain_text("12 × ")
    page.wait_for_function("window.fvdmGeometry.frames === 12", polling=100)

    held: list[Route] = []
    page.route("**/upload*", lambda route: held.append(route))
    face = example_pictures(folder / "to-upload") / "faces-1.png"
    page.get_by_test_id("slot-2").click()
    page.get_by_test_id("keyframe-input").set_input_files(face)
    page.locator(".slot.waiting").wait_for()
    page.locator("#generate").click()
    expect(page.locator("#progress")).to_contain_text("Queueing…")
    page.wait_for_timeout(300)
    expect(runs(page)).to_have_count(1)
    held[0].continue_()
    page.unroute("**/upload*")
    expect(runs(page)).to_have_count(2)
    page.get_by_test_id("undo").click()
    expect(page.get_by_test_id("slot-2")).to_have_attribute("aria-label", re.compile("no picture"))
    runs(page).nth(1).get_by_test_id("run-edit").click()
    expect(page.get_by_test_id("slot-2")).to_have_attribute("aria-label", re.compile("faces-1"))
    page.get_by_test_id("undo").click()
    runs(page).nth(1).get_by_test_id("run-show").focus()
    page.keyboard.press("Delete")
    expect(runs(page)).to_have_count(1)

    presets = folder / "hold-presets"
    presets.touch()
    page.locator("#preset-next-frame").click()
    page.locator("#generate").click()
    page.wait_for_timeout(500)
    expect(runs(page)).to_have_count(1)
    presets.unlink()
    expect(page.locator(".toast-body")).to_contain_text("Frames 2–11 start below full noise")
    assert page.evaluate("window.fvdmEditor.value.preset.name") == "next-frame"
    page.locator("#preset-ramp").click()
    page.locator("#generate").click()
    expect(runs(page)).to_have_count(2)
    runs(page).nth(1).get_by_test_id("run-edit").click()
    page.wait_for_function("window.fvdmEditor.value.preset.name === 'ramp'")
    presets.touch()
    page.locator("#preset-image-to-video").click()
    runs(page).nth(1).get_by_test_id("run-update").click()
    page.wait_for_timeout(500)
    presets.unlink()
    expect(runs(page).nth(1).locator(".title")).to_have_text("Image to video")


def test_a_formula_that_was_not_entered_is_asked_for_and_kept(
    new_page: Open, address: str, hold: Path
) -> None:
    page = studio(new_page, address)
    box = page.locator("#formula textarea, #formula input").first
    box.fill("t*t")
    page.locator("#generate").click()
    expect(page.locator(".toast-body").first).to_contain_text("press Use")
    expect(runs(page)).to_have_count(0)
    page.get_by_test_id("head-3").click()  # nor does a change of the painting take it away
    page.wait_for_timeout(2000)
    expect(box).to_have_value("t*t")
    page.locator("#use-formula").click()
    page.wait_for_function("window.fvdmEditor.value.formula === 't*t'", polling=100)
    page.locator("#generate").click()
    expect(runs(page)).to_have_count(1)


def test_a_run_that_is_not_shown_comes_to_the_history_when_it_ends(
    new_page: Open, address: str, hold: Path
) -> None:
    page = studio(new_page, address)
    before = page.locator(".history .run:not(.more)").count()
    queue(page, 71, 72)
    runs(page).nth(1).get_by_test_id("run-show").click()
    hold.unlink()
    expect(page.locator(".history .run:not(.more)")).to_have_count(before + 2)


def test_variations_queue_runs_of_the_seeds_that_follow(
    new_page: Open, address: str, hold: Path
) -> None:
    page = studio(new_page, address)
    page.locator("#seed input").fill("5")
    page.locator("#seed input").press("Enter")
    page.locator("#more button").first.click()
    expect(page.locator("#variations input")).to_have_value("1")
    page.wait_for_timeout(1000)  # gradio fills what it has just unfolded once more
    page.locator("#variations input").fill("3")
    page.locator("#variations input").press("Enter")
    page.locator("#generate").click()
    expect_seeds(page, 5, 6, 7)
    assert not page.locator("#variations input:invalid").count()
    page.locator("#variations input").fill("9")
    assert page.locator("#variations input:invalid").count()  # marked, as long as it is so
    page.locator("#variations input").press("Control+Enter")  # the same as a press on Generate
    toast = page.locator(".toast-body")
    expect(toast.first).to_contain_text("variations is 9: it must be at most 8.")
    expect_seeds(page, 5, 6, 7)
    page.locator("#variations input").fill("2")
    page.locator("#seed input").fill(str(2**32 - 1))
    page.locator("#seed input").press("Control+Enter")
    expect(toast.filter(has_text="1 of 2: 4294967295 is the last seed")).to_be_visible()
    expect_seeds(page, 5, 6, 7, 2**32 - 1)
    page.locator("#variations input").fill("1")
    page.locator("#seed input").fill("6")
    page.locator("#seed input").press("Control+Enter")
    expect(toast.filter(has_text="A run with seed 6 and all the same settings")).to_be_visible()
    expect_seeds(page, 5, 6, 7, 2**32 - 1, 6)
    hold.unlink()
    # to their end: the tests after this one share its server and its queue
    expect(page.locator(".run[data-status=done]")).to_have_count(5)
    expect(page.locator("#runs .older")).to_be_visible()


def test_on_a_phone_the_end_of_a_run_is_said_beside_generate(new_page: Open, address: str) -> None:
    page = studio(new_page, address, viewport={"width": 390, "height": 844})
    page.locator("#generate").click()
    words = page.locator("#progress p").first
    expect(words).to_have_text("Done")
    expect(words).to_be_in_viewport()
    expect(page.locator("#clip")).not_to_be_in_viewport()
    words.click()
    expect(page.locator("#clip")).to_be_in_viewport()


def test_a_run_of_the_list_is_watched_and_stopped_while_another_session_is_busy(
    new_page: Open, address: str, hold: Path
) -> None:
    mine, other = studio(new_page, address), studio(new_page, address)
    queue(other, 11, 12)
    queue(mine, 21, 22)
    expect_seeds(mine, 21, 22)  # and nothing of the other's
    expect(runs(mine).nth(0)).to_contain_text("1 before it")  # turns alternate
    expect(runs(other).nth(1)).to_contain_text("2 before it")
    runs(mine).nth(1).get_by_test_id("run-show").click()
    expect(mine.locator("#progress")).to_contain_text("Queued, 3 before it")
    runs(mine).nth(0).get_by_test_id("run-remove").click()
    expect_seeds(mine, 22)
    other.locator("#stop").click()
    expect(other.locator("#progress")).to_contain_text("Stopping after this step")
    runs(other).nth(1).get_by_test_id("run-clone").click()  # the page is told of its runs anew
    expect(runs(other)).to_have_count(3)
    expect(other.locator("#progress")).to_contain_text("Stopping after this step… · 2 queued")
    expect(other.locator("#stop")).to_be_disabled()
    expect(runs(other).nth(0)).to_contain_text("stopping…")
    runs(other).nth(2).get_by_test_id("run-remove").click()
    runs(other).nth(0).get_by_test_id("run-clone").click()
    expect(runs(other)).to_have_count(3)
    choices = other.get_by_test_id("compare-b").locator("optgroup[label=Runs] option")
    said = "Image to video · faces · seed 11 · 16 × 30"
    expect(choices.nth(0)).to_have_text(re.compile(rf"{said} · .*\d:\d\d:\d\d"))
    expect(choices.nth(2)).to_have_text(re.compile(rf"{said} · .*\d:\d\d:\d\d"))
    hold.unlink()
    expect(runs(other).nth(2)).to_have_attribute("data-status", "stopped")
    expect(runs(other).nth(0)).to_have_attribute("data-status", "done")
    expect(runs(mine).nth(0)).to_have_attribute("data-status", "done")
    expect(choices.filter(has_text="seed 11")).to_have_text([f"{said} · stopped", said])
    runs(other).nth(2).get_by_test_id("run-show").click()
    expect(other.locator("#progress")).to_contain_text("Stopped after step")
    expect(other.locator("#history .run")).to_have_text(["", "", "stopped"])
    expect(other.locator(".fvdm-strip")).to_have_attribute("data-status", "stopped")


def test_the_run_that_was_chosen_in_the_history_stays_when_another_ends(
    new_page: Open, address: str, hold: Path
) -> None:
    page = studio(new_page, address)
    detail, clip = page.locator(".history .detail"), page.locator("#download-recipe")
    hold.unlink()
    queue(page, 1)
    expect(detail).to_contain_text("faces-1")  # nothing was chosen, so it is the clip's
    runs(page).get_by_test_id("run-remove").click()  # of those that are listed the page shows one
    expect(runs(page)).to_have_count(0)
    hold.touch()
    queue(page, 2)
    page.locator(".history .run").click()
    page.mouse.move(5, 5)
    hold.unlink()
    expect(page.locator(".history .run")).to_have_count(2)
    expect(clip).to_have_attribute("download", re.compile("faces-2"))
    expect(detail).to_contain_text("faces-1")
    page.locator(".history .run").last.click()
    expect(clip).to_have_attribute("download", re.compile("faces-1"))
    runs(page).get_by_test_id("run-show").click()
    expect(detail).to_contain_text("faces-2")
    hold.touch()
    queue(page, 3)
    page.locator("#remove-run").click()
    expect(page.locator("#remove-run")).to_have_text("Delete for good?")
    hold.unlink()
    expect(page.locator(".history .run")).to_have_count(3)
    expect(clip).to_have_attribute("download", re.compile("faces-3"))
    expect(detail).to_contain_text("faces-2")  # which is under the pointer
    runs(page).filter(has_text="seed 3").get_by_test_id("run-show").click()
    expect(detail).to_contain_text("faces-3")  # though its clip is there, so that none comes


def test_the_focus_stays_when_runs_come_and_leave(new_page: Open, address: str, hold: Path) -> None:
    page, stranger = studio(new_page, address), studio(new_page, address)
    done = page.locator(".run[data-status=done]")
    hold.unlink()
    queue(page, 1)
    expect(done).to_have_count(1)
    noisy = page.get_by_test_id("view-noisy")
    noisy.focus()
    hold.touch()
    queue(stranger, 2)
    page.keyboard.press("Control+Enter")
    expect(page.locator(".fvdm-strip")).to_have_attribute("data-status", "queued")  # no frames yet
    page.wait_for_timeout(200)
    expect(noisy).to_be_focused()
    hold.unlink()
    expect(done).to_have_count(2)
    shows = page.get_by_test_id("run-show")
    shows.first.press("Delete")
    expect(runs(page)).to_have_count(1)
    expect(shows).to_be_focused()


def test_two_timelines_are_compared_in_step(new_page: Open, address: str) -> None:
    page = studio(new_page, address)
    go, text = page.get_by_test_id("compare-go"), page.get_by_test_id("compare-text")
    scrubber, says = page.get_by_test_id("compare-scrubber"), page.get_by_test_id("compare-says")
    page.get_by_test_id("compare-b").select_option("preset:late-start")
    go.click()
    expect(text).to_contain_text("Both with faces, seed 7")
    expect_seeds(page, 7, 7)
    expect(go).to_be_focused()
    page.get_by_test_id("compare-play").click()
    expect(page.get_by_test_id("compare-play")).to_have_text("Play")
    scrubber.focus()
    page.keyboard.press("Home")
    expect(says).to_contain_text("Frame 1 of 16")

    def pictures() -> list[bytes]:
        names = ("picture-a", "picture-b", "difference")
        return [page.get_by_test_id(f"compare-{name}").screenshot() for name in names]

    first = pictures()
    page.keyboard.press("ArrowRight")
    expect(says).to_contain_text("Frame 2 of 16")
    assert scrubber.get_attribute("aria-valuetext") == says.inner_text()
    page.wait_for_function("document.querySelector('.compare .stage').dataset.frame === '1'")
    assert first[0] != pictures()[0]  # frame 1 is the picture, frame 2 is not
    page.get_by_test_id("compare-play").click()
    page.wait_for_function("document.querySelector('.compare .stage').dataset.frame > 3")

    # the run that the list names is compared with the canvas, which still has the same timeline
    runs(page).nth(1).get_by_test_id("run-compare").click()
    expect(go).to_be_focused()
    go.click()
    expect(text).to_contain_text("Both sides are the same timeline")
    page.locator("#preset-standard").click()
    page.wait_for_function("window.fvdmEditor.value.preset.name === 'standard'")
    go.click()
    expect(page.get_by_test_id("compare-text")).to_contain_text("Both with faces")
    expect(page.get_by_test_id("run")).to_have_count(3)  # one of the two was there already
    page.set_viewport_size({"width": 390, "height": 844})
    boxes = [page.get_by_test_id(f"compare-{name}").bounding_box() for name in ("a", "b")]
    assert boxes[0] and boxes[1] and boxes[0]["y"] < boxes[1]["y"]
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")


def test_a_sweep_shows_its_clips_in_step_in_rows_and_columns(
    new_page: Open, address: str, hold: Path
) -> None:
    page = studio(new_page, address)
    go, text = page.get_by_test_id("sweep-go"), page.get_by_test_id("sweep-text")
    values = page.get_by_test_id("sweep-columns-values")
    page.get_by_test_id("sweep-columns").select_option("seed")
    expect(values).to_have_value("1, 2, 3, 4")  # what is proposed for it
    expect(page.get_by_test_id("sweep-rows-values")).to_be_hidden()
    values.fill("1, 2 dragons")
    go.click()
    expect(text).to_contain_text("Seed: '2 dragons' is not a number")
    go.click()  # the same once more, of which the page is told once more
    expect(text).to_contain_text("Seed: '2 dragons' is not a number")
    expect(page.locator(".sweep .cell")).to_have_count(0)

    cost = page.get_by_test_id("sweep-cost")
    values.fill("7..9")
    expect(cost).to_contain_text("3 runs")  # said before anything is run
    page.get_by_test_id("sweep-rows").select_option("preset")
    page.get_by_test_id("sweep-rows-values").fill("Image to video, Loop")
    expect(cost).to_contain_text("6 runs")
    values.fill("7..")
    expect(cost).to_be_empty()
    values.fill("7..9")
    values.press("Enter")
    cells = page.locator(".sweep .cell")
    expect(cells).to_have_count(6)
    expect(page.locator(".sweep .head")).to_have_text(
        ["", "Seed 7", "Seed 8", "Seed 9", "Image to video", "Loop"]
    )
    expect(cells.nth(0)).to_have_text("step 0 of 30")
    expect(cells.nth(1)).to_have_text("queued")
    expect(cells.nth(1)).to_be_disabled()
    expect(page.get_by_test_id("run")).to_have_count(3)  # the queue is for others too
    expect(page.locator(".sweep .controls")).to_be_hidden()
    expect(cost).to_be_hidden()
    hold.unlink()
    expect(text).to_have_text("Click a clip to see its run above.")
    expect(go).to_have_text("Sweep")
    expect(cost).to_have_text("6 runs, all there already")
    expect(page.locator(".sweep .cell:enabled")).to_have_count(6)
    page.get_by_test_id("sweep-play").click()
    scrubber, says = page.get_by_test_id("sweep-scrubber"), page.get_by_test_id("sweep-says")
    scrubber.focus()
    page.keyboard.press("Home")
    expect(says).to_have_text("Frame 1")
    page.keyboard.press("ArrowRight")
    expect(says).to_have_text("Frame 2")
    picture = cells.nth(4).locator("canvas")
    expect(picture).to_have_attribute("aria-label", "Loop, Seed 8, frame 2")
    drawn = picture.evaluate("n => n.getContext('2d').getImageData(8, 8, 1, 1).data[3]")
    assert drawn == 255
    cells.nth(1).click()  # an older run than the list shows
    expect(page.locator(".history .detail")).to_contain_text("faces-8")
    with page.expect_download() as download:
        page.get_by_test_id("sweep-png").click()
    assert download.value.suggested_filename == "sweep.png"
    answer = page.request.get(page.get_by_test_id("sweep-mp4").evaluate("n => n.href"))
    assert answer.status == 200 and answer.headers["content-type"] == "video/mp4"

    go.click()  # all of them are there
    expect(text).to_have_text("Click a clip to see its run above.")
    expect(page.locator(".sweep .cell:enabled")).to_have_count(6)
    expect(runs(page)).to_have_count(5)

    page.reload()  # it comes back, and nothing is run for it
    expect(page.locator(".sweep .cell:enabled")).to_have_count(6)
    expect(text).to_have_text("Click a clip to see its run above.")
    expect(runs(page)).to_have_count(5)

    values.fill("dragons")
    go.click()
    expect(text).to_contain_text("'dragons' is not a number")
    with page.expect_download() as download:  # of the clips that are still shown
        page.get_by_test_id("sweep-gif").click()
    assert download.value.suggested_filename == "sweep.gif"

    hold.touch()
    values.fill("11..14")
    go.click()
    expect(cells).to_have_count(8)
    expect(cells.nth(0)).to_have_text("step 0 of 30")
    go.click()  # it says Stop now
    hold.unlink()
    expect(text).to_contain_text("of 8 are done.")
    expect(cells.nth(7)).to_have_text("not run")
    expect(cells.nth(7).locator(".note")).to_have_css("opacity", "1")
    expect(cells.nth(7)).to_have_css("opacity", "1")
    page.reload()
    expect(values).to_have_value("11..14")
    expect(page.get_by_test_id("sweep-rows")).to_have_value("preset")
    page.set_viewport_size({"width": 390, "height": 844})
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    page.wait_for_function(  # Generate does not lie over the end of the page
        """() => {
            scrollTo(0, document.documentElement.scrollHeight);
            const box = (name) => document.querySelector(name).getBoundingClientRect();
            return box("[data-testid=sweep-go]").bottom <= box("#generate").top;
        }"""
    )
