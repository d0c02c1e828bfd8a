"""Take the pictures, and the film of a run, of README and guide from the studio as it runs.

    python docs/pictures.py             all of them
    python docs/pictures.py phone ramp  some of them

It needs Playwright and a Chromium, like the browser tests, and a POSIX system: the server is
stopped for a moment where a picture shows the middle of a run.
"""

from __future__ import annotations

import argparse
import io
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from PIL import Image
from playwright.sync_api import Browser, Page, expect, sync_playwright

ROOT = Path(__file__).resolve().parents[1]
BROWSERS = ("chromium-headless-shell", "chromium", "chromium-browser")
FLAGS = ["--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-sync"]
PATIENCE_MS = 180_000
COLORS = 256
NO_DITHER = Image.Dither.NONE
STEPS = 30
FRAME_MS, LAST_FRAME_MS = 120, 2000
MARGIN = 8  # pixels around what is shown

STILL = """() => {
  const clip = document.querySelector("#clip");
  clip.pause();
  clip.currentTime = 0.2;
}"""

# Strokes of the brush, from (frame, row) to (frame, row), both from 0: the middle waits, and the
# frames beside the pictures come down early. Each is (level, frames, steps, softness, path).
HILL = [
    (1000, 4, 10, 100, [(5, 0), (10, 0)]),
    (1000, 4, 12, 100, [(7, 0), (7, 7), (8, 7), (8, 0)]),
    (0, 2, 12, 100, [(1, 24), (1, 36)]),
    (0, 2, 12, 100, [(13, 24), (13, 36)]),
]


# ── The server ───────────────────────────────────────────────────────────────────────────────


@contextmanager
def studio() -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    """A studio of our own on a free port: its address and its process."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with tempfile.TemporaryDirectory() as outputs:
        process = subprocess.Popen(
            [sys.executable, "app.py", "--port", str(port), "--outputs", outputs], cwd=ROOT
        )
        address = f"http://127.0.0.1:{port}"
        try:
            wait_for(address, process)
            yield address, process
        finally:
            process.terminate()
            process.wait(20)


def wait_for(address: str, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + PATIENCE_MS / 1000
    while time.monotonic() < deadline and process.poll() is None:
        try:
            urllib.request.urlopen(address, timeout=2).close()
            return
        except OSError:
            time.sleep(0.2)
    raise RuntimeError(f"the studio did not answer at {address}")


# ── What a person does ───────────────────────────────────────────────────────────────────────


@dataclass
class Visit:
    """One page of the studio, and what a person does on it."""

    page: Page
    server: subprocess.Popen[bytes]

    def settle(self) -> None:
        """Let the panel follow the canvas: both travel to the server and back."""
        self.page.wait_for_timeout(700)

    def number(self, box: str, value: int) -> None:
        entry = self.page.locator(f"#{box} input")
        entry.fill(str(value))
        entry.press("Enter")
        self.settle()

    def preset(self, name: str) -> None:
        self.page.locator(f"#preset-{name}").click()
        self.page.wait_for_function(
            "name => window.fvdmEditor.value.preset?.name === name", arg=name
        )
        self.settle()

    def example(self, name: str) -> None:
        """Click an example picture; it goes to the first frame that waits for one."""
        self.page.locator(f'#shelf button[title^="{name}:"]').click()
        self.settle()

    def set_range(self, testid: str, value: float) -> None:
        self.page.get_by_test_id(testid).evaluate(
            "(input, value) => { input.value = value; input.dispatchEvent(new Event('input')); }",
            value,
        )

    def paint(self, strokes: list[tuple[int, int, int, int, list[tuple[int, int]]]]) -> None:
        page = self.page
        page.get_by_test_id("tool-brush").click()
        for level, frames, steps, softness, path in strokes:
            for testid, value in (
                ("level", level),
                ("brush-width", frames),
                ("brush-height", steps),
                ("brush-soft", softness),
            ):
                self.set_range(testid, value)
            page.mouse.move(*self.cell(*path[0]))
            page.mouse.down()
            for place in path[1:]:
                page.mouse.move(*self.cell(*place), steps=8)
            page.mouse.up()
        page.mouse.move(4, 4)
        self.settle()

    def cell(self, frame: int, row: int) -> tuple[float, float]:
        """The middle of a cell on the page."""
        box = self.page.get_by_test_id("timeline-canvas").bounding_box()
        assert box is not None
        rows = self.page.evaluate("window.fvdmEditor.value.levels.length")
        column = self.page.evaluate("window.fvdmGeometry.column")
        return box["x"] + (frame + 0.5) * column, box["y"] + (row + 0.5) * box["height"] / rows

    def generate(self) -> None:
        self.page.locator("#generate").click()
        self.page.wait_for_selector("#stop:enabled")
        self.page.wait_for_selector(".fvdm-strip[data-status=done]")
        self.page.wait_for_function("document.querySelector('#clip')?.readyState >= 2")
        self.page.evaluate(STILL)  # the same frame in every picture
        self.settle()

    def generate_until(self, step: int) -> None:
        """Start a run and hold the server when the strip shows `step` or more: it moves on some
        times a second, by several steps where the machine is quick."""
        self.page.locator("#generate").click()
        self.page.wait_for_selector(".fvdm-strip[data-status=running]")
        self.page.wait_for_function(
            # of this run: the last step is of the one before
            "([step, last]) => {"
            " const { status, step: now } = document.querySelector('.fvdm-strip').dataset;"
            " return status === 'running' && Number(now) >= step && Number(now) < last; }",
            arg=[step, STEPS],
            polling=20,
        )
        self.server.send_signal(signal.SIGSTOP)
        self.page.wait_for_timeout(400)

    def scrub(self, step: int) -> None:
        self.set_range("scrubber", step)
        self.settle()

    def drop(self, frame: int, path: Path) -> None:
        """Drop a file on a slot, through the browser's own drag events."""
        box = self.page.get_by_test_id(f"slot-{frame}").bounding_box()
        assert box is not None
        place = {"x": box["x"] + box["width"] / 2, "y": box["y"] + box["height"] / 2}
        data = {"items": [], "files": [str(path)], "dragOperationsMask": 1}
        devtools = self.page.context.new_cdp_session(self.page)
        for kind in ("dragEnter", "dragOver", "drop"):
            devtools.send("Input.dispatchDragEvent", {"type": kind, **place, "data": data})

    def download(self, path: Path) -> None:
        with self.page.expect_download() as download:
            self.page.locator("#download-mp4").click()
        download.value.save_as(path)


# ── The pictures ─────────────────────────────────────────────────────────────────────────────


def between(visit: Visit) -> None:
    visit.preset("interpolation")
    visit.example("faces 1 last")


def in_the_middle_of_a_run(visit: Visit) -> None:
    between(visit)
    visit.generate()
    visit.paint(HILL)
    visit.generate_until(8)


def animated(visit: Visit) -> None:
    visit.generate()


def in_between(visit: Visit) -> None:
    between(visit)
    visit.generate()


def continued(visit: Visit) -> None:
    visit.number("steps", 12)
    visit.generate()
    visit.number("steps", 30)
    clip = Path(tempfile.mkdtemp()) / "clip.mp4"
    visit.download(clip)
    visit.number("frames", 24)
    visit.preset("extend")
    visit.drop(0, clip)
    visit.page.wait_for_selector("[data-testid=clip-fill]")
    visit.set_range("clip-from", 1.0)
    visit.settle()


def continued_and_done(visit: Visit) -> None:
    continued(visit)
    visit.page.get_by_test_id("clip-fill").click()
    visit.page.wait_for_function("window.fvdmEditor.value.keyframes.length === 8")
    visit.settle()
    visit.generate()


def ramp(visit: Visit) -> None:
    visit.preset("ramp")
    visit.generate()


def of_ones_own(visit: Visit) -> None:
    between(visit)
    visit.paint(HILL)
    visit.generate()
    visit.scrub(16)


def curves(visit: Visit) -> None:
    between(visit)
    visit.paint(HILL)
    visit.page.get_by_test_id("mode-curves").click()
    x, y = visit.cell(0, 0)
    visit.page.mouse.move(x, y - 200)
    visit.page.wait_for_timeout(4000)  # until what it said has faded


def painted_on(visit: Visit) -> None:
    """A stroke below row 17 of a run: what is above it is known."""
    between(visit)
    visit.generate()
    visit.paint([(800, 3, 4, 100, [(5, 21), (10, 21)])])
    visit.page.mouse.move(4, 4)
    expect(visit.page.locator("#summary")).to_contain_text("known from a run before")
    visit.page.wait_for_timeout(4000)  # until what it said has faded


def compared(visit: Visit) -> None:
    """What the hill changes: the painted canvas beside the preset that it was painted on."""
    between(visit)
    visit.paint(HILL)
    page = visit.page
    page.get_by_test_id("compare-b").select_option("preset:interpolation")
    page.get_by_test_id("compare-go").click()
    page.wait_for_selector("#compare .stage:not([hidden])")
    page.get_by_test_id("compare-scrubber").fill("7")
    visit.settle()


def painted(visit: Visit) -> None:
    between(visit)
    visit.paint(HILL)
    visit.generate()


def row_by_row(visit: Visit) -> Iterator[None]:
    """The run again, from noise to the clip: the playhead stops at every row."""
    visit.page.mouse.move(4, 4)
    for step in range(STEPS + 1):
        visit.set_range("scrubber", step)
        visit.page.wait_for_timeout(150)
        yield


@dataclass(frozen=True)
class Picture:
    """A picture: what is done first, what is shown, and how the browser is set.

    With `film` it is a GIF, of one frame each time that `film` yields.
    """

    path: str
    scene: Callable[[Visit], None]
    parts: tuple[str, ...] = ("#presets", "#desk")  # the whole view where empty
    scale: float = 1.25
    options: dict[str, Any] = field(default_factory=dict)
    film: Callable[[Visit], Iterator[None]] | None = None


PHONE = {"viewport": {"width": 390, "height": 844}, "is_mobile": True, "has_touch": True}


def swept(visit: Visit) -> None:
    """Guidance by seed, of the picture that the first visit finds, at a frame in its middle."""
    page = visit.page
    page.get_by_test_id("sweep-columns").select_option("cfg_scale")
    page.get_by_test_id("sweep-columns-values").fill("0, 1.5, 3, 6")
    page.get_by_test_id("sweep-rows").select_option("seed")
    page.get_by_test_id("sweep-rows-values").fill("1…3")
    page.get_by_test_id("sweep-go").click()
    page.wait_for_selector(".sweep[data-status=done]", timeout=4 * PATIENCE_MS)  # of twelve runs
    expect(page.locator(".sweep .cell:enabled")).to_have_count(12)
    page.get_by_test_id("sweep-scrubber").fill("10")
    page.locator("#sweep").scroll_into_view_if_needed()


PICTURES = {
    "studio": Picture("studio.png", in_the_middle_of_a_run, (), 1.5),
    "run": Picture("images/run.gif", painted, ("#work",), 0.75, film=row_by_row),
    "animate": Picture("images/animate.png", animated),
    "in-between": Picture("images/in-between.png", in_between),
    "video": Picture("images/video.png", continued),
    "continue": Picture("images/continue.png", continued_and_done),
    "ramp": Picture("images/ramp.png", ramp),
    "own": Picture("images/own.png", of_ones_own),
    "curves": Picture(
        "images/curves.png",
        curves,
        ("[data-testid=step-axis]", "[data-testid=editor-scroller]"),
    ),
    "paint-on": Picture("images/paint-on.png", painted_on, ("#summary", "#editor", "#strip")),
    "compare": Picture("images/compare.png", compared, ("#compare",)),
    "sweep": Picture("images/sweep.png", swept, ("#sweep",)),
    "dark": Picture("images/dark.png", painted, (), 1.25, {"color_scheme": "dark"}),
    "phone": Picture("images/phone.png", animated, (), 1.5, PHONE),
}


def take(
    browser: Browser, address: str, server: subprocess.Popen[bytes], what: Picture
) -> list[bytes]:
    """The picture as PNG, or the frames of the film."""
    context = browser.new_context(
        **{"viewport": {"width": 1280, "height": 800}, **what.options},
        device_scale_factor=what.scale,
    )
    context.set_default_timeout(PATIENCE_MS)
    page = context.new_page()
    try:
        page.goto(address)
        page.wait_for_selector(".fvdm-editor[data-ready]")
        expect(page.locator("#label input")).to_have_value("faces", timeout=PATIENCE_MS)
        visit = Visit(page, server)
        what.scene(visit)
        page.evaluate("document.activeElement?.blur()")
        boxes = [box for part in what.parts if (box := page.locator(part).first.bounding_box())]
        if not boxes:
            return [page.screenshot()]
        left, top = (min(box[side] for box in boxes) - MARGIN for side in ("x", "y"))
        width = max(box["x"] + box["width"] for box in boxes) + MARGIN - left
        height = max(box["y"] + box["height"] for box in boxes) + MARGIN - top
        scrolled_x, scrolled_y = page.evaluate("[scrollX, scrollY]")
        place = {"x": left + scrolled_x, "y": top + scrolled_y}
        clip: Any = {**place, "width": width, "height": height}
        moments = iter([None]) if what.film is None else what.film(visit)
        return [page.screenshot(full_page=True, clip=clip) for _ in moments]
    finally:
        server.send_signal(signal.SIGCONT)
        context.close()


def save(shots: list[bytes], path: Path) -> None:
    """Write a PNG, or a GIF of several, of few colours: the page has few, and files stay small."""
    path.parent.mkdir(parents=True, exist_ok=True)
    last = _of_few_colours(Image.open(io.BytesIO(shots[-1])).convert("RGB"))
    if len(shots) == 1:
        last.save(path, optimize=True)
        return
    frames = [
        Image.open(io.BytesIO(shot)).convert("RGB").quantize(palette=last, dither=NO_DITHER)
        for shot in shots
    ]
    durations = [FRAME_MS] * (len(frames) - 1) + [LAST_FRAME_MS]
    frames[0].save(
        path, save_all=True, append_images=frames[1:], duration=durations, loop=0, optimize=True
    )


def _of_few_colours(image: Image.Image) -> Image.Image:
    return image.quantize(COLORS, method=Image.Quantize.MEDIANCUT, dither=NO_DITHER)


def main() -> None:
    flags = argparse.ArgumentParser(description="Take the pictures of the README and the guide.")
    flags.add_argument("names", nargs="*", metavar="NAME", help=f"some of {', '.join(PICTURES)}")
    names = flags.parse_args().names or list(PICTURES)
    if unknown := [name for name in names if name not in PICTURES]:
        flags.error(f"{unknown[0]!r} is not a picture: use {', '.join(PICTURES)}")
    executable = next(filter(None, map(shutil.which, BROWSERS)), None)
    with studio() as (address, server), sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable, args=FLAGS)
        for name in names:
            path = Path(__file__).parent / PICTURES[name].path
            save(take(browser, address, server, PICTURES[name]), path)
            print(f"{path.relative_to(ROOT)}  {os.path.getsize(path) / 1000:.0f} kB")
        browser.close()


if __name__ == "__main__":
    main()
