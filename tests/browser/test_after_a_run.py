"""What follows a run, in a real browser: history, restoring, downloads, going on from a clip."""

from __future__ import annotations

import io
import json
import re
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from playwright.sync_api import Page, expect

from fvdm_core.media import read_metadata, read_video

Open = Callable[..., Page]
DELETE_FOR_GOOD = """() => {
  const button = document.querySelector("#remove-run");
  if (button.textContent !== "Delete for good?") button.click();  // a slow test let it be forgotten
  if (button.textContent === "Delete for good?") button.click();
}"""


def ready(page: Page) -> Page:
    page.wait_for_selector(".fvdm-editor[data-ready]")
    expect(page.locator("#summary")).to_contain_text("generated")  # the visit has begun
    return page


def value(page: Page) -> dict[str, Any]:
    return page.evaluate("window.fvdmEditor.value")


def wait_for(page: Page, condition: str, argument: Any = None) -> None:
    page.wait_for_function(
        f"(x) => {{ const v = window.fvdmEditor.value; return {condition}; }}", arg=argument
    )


def generate(page: Page, seed: int, runs: int) -> None:
    """Make a clip, which becomes the newest of `runs` runs."""
    page.locator("#seed input").fill(str(seed))
    page.locator("#seed input").press("Enter")
    page.locator("#generate").click()
    expect(page.locator("#history .run")).to_have_count(runs)
    expect(page.locator("#history .run").first).to_have_attribute(
        "title", re.compile(rf"faces-{seed}\n")
    )


def drop_file(page: Page, selector: str, file: Path) -> None:
    """A real drop of a file on an element, through the browser's own drag events."""
    page.locator(selector).scroll_into_view_if_needed()
    box = page.locator(selector).bounding_box()
    assert box
    cdp = page.context.new_cdp_session(page)
    place = {"x": box["x"] + box["width"] / 2, "y": box["y"] + box["height"] / 2}
    data = {"items": [], "files": [str(file)], "dragOperationsMask": 1}
    for kind in ("dragEnter", "dragOver", "drop"):
        cdp.send("Input.dispatchDragEvent", {"type": kind, **place, "data": data})


def download(page: Page, selector: str, path: Path) -> Path:
    with page.expect_download() as begun:
        page.locator(selector).click()
    begun.value.save_as(path)
    return path


def test_runs_are_kept_opened_restored_and_deleted(
    new_page: Open, address: str, folder: Path, tmp_path: Path
) -> None:
    page = ready(new_page(address))
    expect(page.locator("#history .status")).to_contain_text("kept here")
    page.locator("#steps input").fill("4")
    page.locator("#steps input").press("Enter")
    wait_for(page, "v.levels.length === 5")
    generate(page, 311, 1)
    mp4 = download(page, "#download-mp4", tmp_path / "faces-311.mp4")

    # another painting, another seed; then the first one comes back, but for the seed
    page.locator("#preset-standard").click()
    wait_for(page, "v.levels[0][0] === 1000")
    generate(page, 322, 2)
    page.locator("#history .run").nth(1).click()
    expect(page.locator("#download-mp4")).to_have_attribute("download", re.compile("faces-311.mp4"))
    expect(page.locator("#runs .run.shown")).to_contain_text("seed 311")  # its steps too
    caption = page.get_by_test_id("strip-caption")
    expect(caption).to_have_text("step 4 of 4 · the canvas has changed since")
    expect(page.get_by_test_id("playhead")).to_be_hidden()
    page.locator("#restore-no-seed").check()
    page.locator("#restore-run").click()
    wait_for(page, "v.levels[0][0] === 0 && v.keyframes.length === 1")
    expect(page.locator("#seed input")).to_have_value("322")
    expect(caption).to_have_text("step 4 of 4")
    expect(page.get_by_test_id("playhead")).to_be_visible()
    levels, picture = value(page)["levels"], value(page)["keyframes"][0]["file"]["path"]
    page.get_by_test_id("slot-remove-0").dispatch_event("click")
    page.locator("#shelf button").nth(1).click()
    wait_for(page, "v.keyframes.length && v.keyframes[0].file.path !== x", picture)
    assert value(page)["levels"] == levels  # only the picture is another one
    expect(caption).to_have_text("step 4 of 4 · the canvas has changed since")
    expect(page.get_by_test_id("playhead")).to_be_hidden()
    page.locator("#restore-no-seed").uncheck()

    # a reload finds them again, and nobody else does
    page.reload()
    ready(page)
    expect(page.locator("#history .run img")).to_have_count(2)
    stranger = ready(new_page(address))
    expect(stranger.locator("#history .status")).to_contain_text("kept here")
    expect(stranger.locator("#history .run")).to_have_count(0)

    # the video that was saved brings everything to the stranger's page, pictures included
    stranger.locator("#preset-interpolation").click()
    wait_for(stranger, "v.levels[0][15] === 0")
    drop_file(stranger, "#clip-view", mp4)
    wait_for(stranger, "v.levels.length === 5 && v.levels[0][15] === 1000")
    expect(stranger.locator("#seed input")).to_have_value("311")
    assert [keyframe["frame"] for keyframe in value(stranger)["keyframes"]] == [0]
    stranger.locator("#generate").click()
    expect(stranger.locator("#history .run")).to_have_count(1)
    again = download(stranger, "#download-mp4", tmp_path / "again.mp4")
    assert again.read_bytes() == mp4.read_bytes(), "the same recipe gives the same bytes"

    # what carries no recipe is refused in words, and nothing changes
    plain = tmp_path / "notes.json"
    plain.write_text("{}")
    before = value(stranger)["levels"]
    drop_file(stranger, "#clip-view", plain)
    expect(
        stranger.locator(".toast-body").filter(has_text="no recipe of the studio")
    ).to_be_visible()
    assert value(stranger)["levels"] == before

    # deleting asks once more, and takes the files with it
    jobs = {path.name for path in (folder / "outputs").glob("*/*faces-311.*")}
    assert len(jobs) == 2
    page.locator("#history .run").nth(1).click()
    page.locator("#remove-run").click()
    expect(page.locator("#history .run")).to_have_count(2)
    page.evaluate(DELETE_FOR_GOOD)
    expect(page.locator("#history .run")).to_have_count(1)
    assert len(list((folder / "outputs").glob("*/*faces-311.*"))) == 1
    page.reload()  # what is gone is not shown as if it were there
    ready(page)
    expect(page.locator("#runs .run")).to_have_count(1)
    expect(page.locator("#runs .run")).to_contain_text("seed 322")


def test_a_browser_that_cannot_play_the_clip_plays_its_webm(new_page: Open, address: str) -> None:
    page = ready(new_page(address))
    page.route("**/clip.mp4", lambda route: route.abort())
    generate(page, 7, 1)
    page.wait_for_function("document.getElementById('clip').currentSrc.endsWith('/clip.webm')")
    page.wait_for_function("document.getElementById('clip').currentTime > 0")


def test_a_clip_is_continued_extended_and_downloaded(
    new_page: Open, address: str, tmp_path: Path
) -> None:
    page = ready(new_page(address, permissions=["clipboard-read", "clipboard-write"]))
    page.locator("#steps input").fill("4")
    page.locator("#steps input").press("Enter")
    wait_for(page, "v.levels.length === 5")
    generate(page, 7, 1)

    page.locator("#continue-clip").click()
    wait_for(page, "v.keyframes.length === 8 && v.levels[0][7] === 0 && v.levels[0][8] === 1000")
    expect(page.locator("#summary")).to_contain_text("Frames 1–8 are kept")
    page.locator("#more button").click()
    expect(page.locator("#exact input")).to_be_checked()
    expect(page.locator(".toast-body")).to_contain_text("“Splice kept pictures exactly”")

    # the frame under the video's playhead, onto the one slot that waits
    page.locator("#preset-interpolation").click()
    wait_for(page, "v.levels[0][15] === 0 && !v.keyframes.some((k) => k.frame === 15)")
    page.locator("#clip").focus()
    page.evaluate(
        "() => { const v = document.getElementById('clip'); v.pause(); v.currentTime = 0.05; }"
    )
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    page.wait_for_function("Math.floor(document.getElementById('clip').currentTime * 8) === 2")
    page.locator("#use-frame").click()
    wait_for(page, "v.keyframes.some((k) => k.frame === 15)")
    name = next(k for k in value(page)["keyframes"] if k["frame"] == 15)["file"]["orig_name"]
    assert name == "frame 3.png"

    page.evaluate("Object.defineProperty(window.fvdmEditor, 'perColumn', { value: 3 })")
    page.locator("#continue-more").click()  # of another model, which came meanwhile
    expect(page.get_by_label("Last columns")).to_be_focused()
    page.get_by_label("Last columns").fill("2")
    expect(page.locator("label", has=page.locator("#clip-tail"))).to_contain_text("= 4 frames")
    expect(page.get_by_label("Columns", exact=True)).to_have_attribute("min", "7")
    expect(page.locator("label", has=page.locator("#extend-frames"))).to_contain_text("= 94 frames")
    page.get_by_role("heading", name="FVDM Studio").click()
    expect(page.locator("#clip-tail")).to_be_hidden()
    page.evaluate("delete window.fvdmEditor.perColumn")
    page.locator("#continue-more").click()
    expect(page.locator("#extend-frames")).to_have_value("32")
    page.locator("#extend-frames").fill("64")
    page.locator("#extend-way").select_option("diagonal")
    page.locator("#extend-clip").click()
    wait_for(page, "v.levels[0].length === 64 && v.keyframes.length === 16")
    assert all(len(w["frames"]) <= 16 for step in value(page)["windows"] for w in step)

    page.locator("#save-more").click()
    page.locator("#save-fps").fill("12")
    page.locator("#save-fps").press("Enter")
    webm = download(page, "#download-webm", tmp_path / "clip.webm")
    assert (read_video(webm).fps, len(read_video(webm).frames)) == (12, 16)
    frame = download(page, "#download-frame", tmp_path / "frame.png")
    assert json.loads(read_metadata(frame) or "")["seed"] == 7
    page.locator("#copy-python").click()
    expect(page.locator("#copy-python")).to_have_text("Copied")
    code = page.evaluate("navigator.clipboard.readText()")
    assert "Timeline.preset('image-to-video', frames=16, steps=4)" in code
    page.keyboard.press("Escape")
    archive = download(page, "#download-png", tmp_path / "frames.zip")
    names = zipfile.ZipFile(io.BytesIO(archive.read_bytes())).namelist()
    assert len([name for name in names if name.startswith("frames/")]) == 16
