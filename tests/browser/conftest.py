"""A server in a process of its own and a real Chromium, for the tests that need both."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import (
    Browser,
    BrowserContext,
    Page,
    expect,
    sync_playwright,
)

ROOT = Path(__file__).parents[2]
FAKE_STUDIO = Path(__file__).parent / "fake_studio.py"
# of Debian; the first has no windows and opens a page in two thirds of the time
BROWSERS = ("chromium-headless-shell", "chromium", "chromium-browser")
FLAGS = [
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
START_SECONDS = 600  # a busy machine imports slowly
STEP_MS = 150_000  # and opens a page in a minute
VIEWPORT: Any = {"width": 1280, "height": 900}
expect.set_options(timeout=STEP_MS)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@contextmanager
def starting(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., str]]:
    """Gives start(script, *arguments), which starts a Python script with its port in
    GRADIO_SERVER_PORT and gives its address once it answers; all of them end with the block."""
    running: list[subprocess.Popen[bytes]] = []

    def start(script: Path, *arguments: str) -> str:
        port = free_port()
        log = tmp_path_factory.mktemp("server") / "log.txt"
        environment = {
            **os.environ,
            "GRADIO_SERVER_PORT": str(port),
            "GRADIO_SERVER_NAME": "127.0.0.1",
            "GRADIO_ANALYTICS_ENABLED": "False",
            "PYTHONPATH": str(ROOT),
            "OMP_NUM_THREADS": "1",
        }
        with log.open("wb") as sink:
            process = subprocess.Popen(
                [sys.executable, str(script), *arguments],
                cwd=ROOT,
                env=environment,
                stdout=sink,
                stderr=subprocess.STDOUT,
            )
        running.append(process)
        address = f"http://127.0.0.1:{port}"
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            if process.poll() is not None:
                raise RuntimeError(f"{script.name} ended early:\n{log.read_text()[-4000:]}")
            try:
                urllib.request.urlopen(address, timeout=120).close()
                return address
            except OSError:
                time.sleep(0.2)
        raise RuntimeError(f"{script.name} did not answer:\n{log.read_text()[-4000:]}")

    try:
        yield start
    finally:
        for process in running:
            process.terminate()
        for process in running:
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()


@pytest.fixture(scope="module")
def serve(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., str]]:
    """serve(script, *arguments) gives the address of a server that ends with the module: an idle
    one, too, takes some of a small machine."""
    with starting(tmp_path_factory) as start:
        yield start


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the studio at `address` keeps runs and uploads."""
    return tmp_path_factory.mktemp("studio")


@pytest.fixture(scope="session")
def address(tmp_path_factory: pytest.TempPathFactory, folder: Path) -> Iterator[str]:
    """A studio with a stand-in for the model, which tests share, each as another visitor; a module
    that wants another studio has an own `address`."""
    with starting(tmp_path_factory) as start:
        yield start(FAKE_STUDIO, str(folder))


@pytest.fixture
def hold(folder: Path) -> Iterator[Path]:
    """While this file is there, runs at `address` stand still."""
    hold = folder / "hold"
    hold.touch()
    yield hold
    hold.unlink(missing_ok=True)


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    executable = next(filter(None, map(shutil.which, BROWSERS)), None)
    with sync_playwright() as playwright:
        # Without a system Chromium, Playwright's own is used where it is installed.
        browser = playwright.chromium.launch(executable_path=executable, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def usual(browser: Browser) -> Iterator[BrowserContext]:
    """The context of the first page of each test: it has the page's scripts in its cache, which
    halves the time that a slow machine takes to open it."""
    context = browser.new_context(viewport=VIEWPORT)
    context.set_default_timeout(STEP_MS)
    yield context
    context.close()


@pytest.fixture
def new_page(browser: Browser, usual: BrowserContext) -> Iterator[Callable[..., Page]]:
    """new_page(address, **context options): a page that knows nothing of any before it; errors on
    it fail the test. The first without options is in the usual context, its storage emptied."""
    contexts: list[BrowserContext] = []
    errors: list[str] = []

    def open_page(address: str, **options: Any) -> Page:
        if options or usual.pages:
            context = browser.new_context(**{"viewport": VIEWPORT, **options})
            context.set_default_timeout(STEP_MS)
            contexts.append(context)
            page = context.new_page()
        else:
            page = usual.new_page()
            forget(page, address)
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.on(
            "console",
            lambda message: errors.append(message.text) if "js_on_load" in message.text else None,
        )
        page.goto(address)
        return page

    yield open_page
    for context in contexts:
        context.close()
    for page in usual.pages:
        page.close()
    assert not errors, errors


def forget(page: Page, address: str) -> None:
    """Empty what a browser has stored for the address: a module's tests share their server."""
    usual = page.context
    usual.clear_cookies()
    if address.startswith("http"):
        parts = urlsplit(address)
        session = usual.new_cdp_session(page)
        origin, kinds = f"{parts.scheme}://{parts.netloc}", "cookies,local_storage,indexeddb"
        session.send("Storage.clearDataForOrigin", {"origin": origin, "storageTypes": kinds})
        session.detach()


@pytest.fixture
def resize() -> Callable[[Page, int], None]:
    """resize(page, frames) enters a number of frames and waits until the timeline has them."""

    def enter(page: Page, frames: int) -> None:
        box = page.locator("#frames input")
        box.fill(str(frames))
        box.press("Enter")
        page.wait_for_function(
            "frames => window.fvdmEditor.value.levels[0].length === frames", arg=frames
        )

    return enter
