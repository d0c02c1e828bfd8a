"""`python -m benchmarks.page`: what a person waits for on the page, in a real browser.

Needs the test requirements (Playwright's Python package and a Chromium).
"""

from __future__ import annotations

import shutil
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from playwright.sync_api import Page, sync_playwright

ROOT = Path(__file__).resolve().parent.parent
BROWSERS = ("chromium-headless-shell", "chromium", "chromium-browser")
FLAGS = ["--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run"]
FRAMES, STEPS = 64, 200
STEPS_PER_FRAME = 100  # 64 frames take two windows of the shipped model one after the other
DONE = "() => document.querySelector('.fvdm-strip[data-status=done]')"
FIRST_STEP = """() => document.querySelector(".fvdm-strip[data-status=running]")
  && Number(document.querySelector(".fvdm-strip").dataset.step) > 0"""


def wait_for_page(page: Page, address: str, server: subprocess.Popen) -> None:
    """Load until the canvas can be painted; the server may still be starting."""
    while True:
        try:
            page.goto(address)
            break
        except Exception as error:  # refused until the server listens
            if "ERR_CONNECTION_REFUSED" not in str(error) or server.poll() is not None:
                raise
            time.sleep(0.1)
    page.wait_for_selector(".fvdm-editor[data-ready]")


def first_frames(page: Page) -> tuple[float, float]:
    """Seconds from the click on Generate to the first live frames, and to the finished clip."""
    start = time.perf_counter()
    page.locator("#generate").click()
    # not at every frame of the screen, as Playwright would: the page would be busy with being asked
    page.wait_for_function(FIRST_STEP, polling=50)
    live = time.perf_counter() - start
    page.wait_for_function(DONE, polling=50, timeout=300_000)
    return live, time.perf_counter() - start


def stroke(page: Page) -> list[float]:
    """Milliseconds of each redraw while a stroke crosses 64 frames and 200 steps."""
    page.locator("#frames input").fill(str(FRAMES))
    page.locator("#frames input").press("Enter")
    page.wait_for_function(f"window.fvdmEditor.value.levels[0].length === {FRAMES}")
    page.locator("#steps input").fill(str(STEPS_PER_FRAME))
    page.locator("#steps input").press("Enter")
    page.wait_for_function(f"window.fvdmEditor.value.levels.length === {STEPS + 1}")
    canvas = page.get_by_test_id("timeline-canvas").bounding_box()
    view = page.evaluate("window.fvdmGeometry.view")
    assert canvas
    times = []
    page.mouse.move(canvas["x"] + 20, canvas["y"] + 20)
    page.mouse.down()
    for part in np.linspace(0, 1, 60):
        x = canvas["x"] + 20 + part * (min(view, canvas["width"]) - 40)
        page.mouse.move(x, canvas["y"] + 20 + part * (canvas["height"] - 40))
        page.wait_for_timeout(20)
        times.append(page.evaluate("window.fvdmEditor.lastDrawMs"))
    page.mouse.up()
    return times


def main() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with tempfile.TemporaryDirectory() as outputs, sync_playwright() as playwright:
        executable = next(filter(None, map(shutil.which, BROWSERS)), None)
        browser = playwright.chromium.launch(executable_path=executable, args=FLAGS)
        page = browser.new_page(viewport={"width": 1280, "height": 900})
        page.set_default_timeout(120_000)
        command = [sys.executable, "app.py", "--port", str(port), "--outputs", outputs]
        start = time.perf_counter()
        server = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL)
        try:
            wait_for_page(page, f"http://127.0.0.1:{port}", server)
            print(f"page ready after `python app.py`: {time.perf_counter() - start:.1f} s")
            page.wait_for_function("document.querySelector('#label input')?.value === 'faces'")
            page.wait_for_timeout(1000)
            first_frames(page)
            live, done = zip(*(first_frames(page) for _ in range(3)), strict=True)
            print(f"first live frames after Generate: {np.median(live):.2f} s")
            print(f"image-to-video, 16 frames, 30 steps, watched: {np.median(done):.2f} s")
            times = stroke(page)
            print(
                f"redraw during a stroke over {FRAMES} frames x {STEPS} steps: "
                f"median {np.median(times):.1f} ms, slowest {max(times):.1f} ms"
            )
        finally:
            browser.close()
            server.terminate()
            server.wait(timeout=30)


if __name__ == "__main__":
    main()
