"""The whole studio as a person uses it: `python app.py`, the shipped model, a real browser."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlparse

import cv2
import numpy as np
import pytest
from playwright.sync_api import Page, Request, TimeoutError, expect

from fvdm_core import Pipeline, Timeline
from fvdm_core.media import load_image, read_video

ROOT = Path(__file__).parents[2]
FRAMES, STEPS = 16, 12
PICTURES = {
    0: ROOT / "assets/keyframes/faces-1-first.png",
    15: ROOT / "assets/keyframes/faces-1-last.png",
}
Open = Callable[..., Page]


@pytest.fixture(scope="module")
def address(serve: Callable[..., str], tmp_path_factory: pytest.TempPathFactory) -> str:
    return serve(ROOT / "app.py", "--outputs", str(tmp_path_factory.mktemp("outputs")))


def studio(new_page: Open, address: str, **options: object) -> Page:
    return ready(new_page(address, **options))


def ready(page: Page) -> Page:
    page.wait_for_selector(".fvdm-editor[data-ready]")
    expect(page.locator("#model")).to_contain_text("Miniature Worlds")
    expect(page.locator("#label input")).to_have_value("faces")  # the first visit is complete
    return page


def value(page: Page) -> dict:
    return page.evaluate("window.fvdmEditor.value")


def resize_steps(page: Page, steps: int) -> None:
    page.locator("#steps input").fill(str(steps))
    page.locator("#steps input").press("Enter")
    page.wait_for_function(f"window.fvdmEditor.value.levels.length === {steps + 1}")


def paint(page: Page, start: tuple[int, int], end: tuple[int, int]) -> None:
    """Drag the brush from one (frame, row) to another."""
    rows = len(value(page)["levels"])
    box = page.get_by_test_id("timeline-canvas").bounding_box()
    assert box
    column = page.evaluate("window.fvdmGeometry.column")

    def place(frame: int, row: int) -> tuple[float, float]:
        return box["x"] + (frame + 0.5) * column, box["y"] + (row + 0.5) * box["height"] / rows

    page.mouse.move(*place(*start))
    page.mouse.down()
    page.mouse.move(*place(*end), steps=10)
    page.mouse.up()


def tiles(page: Page) -> list[str]:
    """What every canvas of the strip shows, as data URLs."""
    return page.evaluate(
        "[...document.querySelectorAll('.fvdm-strip canvas')].map((c) => c.toDataURL())"
    )


def drop(page: Page, frame: int, picture: Path) -> None:
    """A real drop of a picture on a slot, through the browser's own drag events."""
    box = let_go(page, frame, picture)
    try:
        page.wait_for_function(
            "f => window.fvdmEditor.value.keyframes.some((k) => k.frame === f)", arg=frame
        )
    except TimeoutError as error:
        said = page.get_by_test_id("editor-live").text_content()
        now = page.get_by_test_id(f"slot-{frame}").bounding_box()
        raise AssertionError(
            f"no picture on slot {frame}: it was at {box}, is at {now}; "
            f"the editor said {said!r} and has {value(page)['keyframes']}"
        ) from error


def let_go(page: Page, frame: int, file: Path) -> dict[str, float]:
    """Drag a file over a slot and let it go there; gives where that was."""
    slot = page.get_by_test_id(f"slot-{frame}")
    slot.hover()  # waits until the page holds still: the drop itself goes to a place, not to a slot
    box = slot.bounding_box()
    assert box
    cdp = page.context.new_cdp_session(page)
    place = {"x": box["x"] + box["width"] / 2, "y": box["y"] + box["height"] / 2}
    data = {"items": [], "files": [str(file)], "dragOperationsMask": 1}
    for kind in ("dragEnter", "dragOver", "drop"):
        cdp.send("Input.dispatchDragEvent", {"type": kind, **place, "data": data})
    return {**box}


def test_from_two_pictures_and_a_stroke_to_a_file(
    new_page: Open, address: str, tmp_path: Path
) -> None:
    outside: list[str] = []

    def note(request: Request) -> None:
        url = urlparse(request.url)
        if url.scheme in ("http", "https", "ws", "wss") and url.hostname != "127.0.0.1":
            outside.append(request.url)

    page = new_page("about:blank")
    page.on("request", note)
    page.goto(address)
    ready(page)
    resize_steps(page, STEPS)
    page.locator("#preset-interpolation").click()
    page.wait_for_function("window.fvdmEditor.value.levels.every((r) => r[0] === 0 && r[15] === 0)")
    if page.get_by_test_id("slot-remove-0").count():
        page.get_by_test_id("slot-0").hover()
        page.get_by_test_id("slot-remove-0").click()
    for frame, picture in PICTURES.items():
        drop(page, frame, picture)
    expect(page.locator("#summary")).to_contain_text("Frames 1 and 16 are kept")

    before = np.array(value(page)["levels"])
    paint(page, (5, 4), (9, 6))
    painted = value(page)
    levels = np.array(painted["levels"])
    assert levels.shape == (STEPS + 1, FRAMES) and not np.array_equal(levels, before)

    seen: list[set[str]] = [set() for _ in range(FRAMES)]
    page.locator("#seed input").fill("7")
    page.locator("#seed input").press("Enter")
    page.locator("#generate").click()
    done = page.locator(".fvdm-strip[data-status=done]")
    page.wait_for_selector(".fvdm-strip[data-status=running], .fvdm-strip[data-status=done]")
    for _ in range(600):
        for known, tile in zip(seen, tiles(page)[-FRAMES:], strict=True):
            known.add(tile)
        if done.count():
            break
        page.wait_for_timeout(100)
    page.wait_for_selector("#clip")
    moving = [f for f in range(FRAMES) if f not in PICTURES]
    assert all(len(seen[f]) >= 2 for f in moving), [len(known) for known in seen]

    with page.expect_download() as download:
        page.locator("#download-mp4").click()
    download.value.save_as(tmp_path / "clip.mp4")
    with page.expect_download() as download:
        page.locator("#download-recipe").click()
    download.value.save_as(tmp_path / "recipe.json")

    # the recipe's levels are the painted cells, one by one
    recipe = json.loads((tmp_path / "recipe.json").read_text())
    timeline = Timeline.from_json(json.dumps(recipe["timeline"]))
    assert np.array_equal(timeline.levels, levels)
    assert recipe["seed"] == 7 and sorted(recipe["keyframes"], key=int) == ["0", "15"]

    # the file has all frames at the model's size, and the kept frames show the dropped pictures
    clip = read_video(tmp_path / "clip.mp4")
    pipe = Pipeline.from_pretrained()
    assert clip.frames.shape == (FRAMES, *pipe.image_size, 3)
    for frame, picture in PICTURES.items():
        wanted = load_image(picture, pipe.image_size).astype(float)
        error = np.mean((clip.frames[frame] - wanted) ** 2)
        other = np.mean((clip.frames[frame] - wanted[:, ::-1]) ** 2)
        assert 10 * np.log10(255**2 / error) > 24 and error < other

    # and the same recipe gives the same clip through the library
    again = pipe(
        timeline,
        keyframes=PICTURES,
        label=recipe["label"],
        seed=7,
        cfg_scale=recipe["cfg_scale"],
        solver=recipe["solver"],
    )
    difference = np.abs(again.frames.astype(float) - clip.frames).mean()
    assert difference < 4, f"mean difference {difference}: more than H.264 explains"
    assert not outside, f"the page asked for {outside}"


def test_a_long_timeline_is_stopped_and_the_next_one_runs(
    new_page: Open, address: str, resize: Callable[[Page, int], None]
) -> None:
    page = studio(new_page, address)
    resize(page, 64)
    page.locator("#preset-standard").click()
    expect(page.locator("#summary")).to_contain_text("64 frames")
    page.locator("#generate").click()
    expect(page.locator("#progress")).to_contain_text("step ")  # before, there is nothing to keep
    page.locator("#stop button, button#stop").first.click()
    page.wait_for_selector(".fvdm-strip[data-status=stopped], .fvdm-strip[data-status=done]")
    page.wait_for_selector("#clip")  # the partial clip is kept
    expect(page.locator("button#generate, #generate button").first).to_be_enabled()


def test_a_missing_picture_is_refused_in_words(new_page: Open, address: str) -> None:
    page = studio(new_page, address)
    page.locator("#preset-interpolation").click()
    expect(page.locator("#summary")).to_contain_text("Frames 1 and 16")
    page.locator("#generate").click()
    toast = page.locator(".toast-body").first
    expect(toast).to_contain_text("16")
    expect(toast).to_contain_text("picture")


def test_a_file_that_is_no_picture_is_refused_and_nothing_is_lost(
    new_page: Open, address: str, tmp_path: Path
) -> None:
    page = studio(new_page, address)
    page.locator("#preset-interpolation").click()
    page.wait_for_function("window.fvdmEditor.value.levels.every((r) => r[15] === 0)")
    wrong = tmp_path / "notes.png"
    wrong.write_text("not a picture")
    before = value(page)
    let_go(page, 15, wrong)
    expect(page.get_by_test_id("editor-status")).to_contain_text("notes.png is not a picture")
    assert value(page) == before


@pytest.mark.parametrize("width", [390, 1280])
def test_columns_line_up_and_nothing_overflows(new_page: Open, address: str, width: int) -> None:
    page = studio(new_page, address, viewport={"width": width, "height": 844})
    resize_steps(page, 3)
    page.locator("#generate").scroll_into_view_if_needed()
    page.locator("#generate").click()
    page.wait_for_selector(".fvdm-strip[data-status=done]", timeout=120_000)
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
        for frame in (0, 7):
            slot = page.get_by_test_id(f"slot-{frame}").bounding_box()
            tile = page.get_by_test_id(f"tile-{frame}").bounding_box()
            assert slot and tile
            middle = (slot["x"] + slot["width"] / 2, tile["x"] + tile["width"] / 2)
            assert abs(middle[0] - middle[1]) < 1.5


def test_example_pictures_are_real_pictures() -> None:
    for path in sorted((ROOT / "assets/keyframes").glob("*.png")):
        picture = cv2.imread(str(path))
        assert picture is not None and picture.std() > 5
