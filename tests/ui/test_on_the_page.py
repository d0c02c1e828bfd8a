"""What a page is told, by the handlers that its events call."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import gradio as gr
import pytest
from fake import FakePipeline, example_pictures

from ui import editing
from ui.loading import LoadingModel
from ui.model_list import ModelList
from ui.model_panel import FOLLOWERS
from ui.refusals import RequestError
from ui.requests import USUAL_FPS, EditorValue, GenerateRequest
from ui.service import Studio, session_of
from ui.settings import USUAL
from ui.studio import build_studio


class Page:
    """A studio whose model is loaded once `gate` is set, and the handlers of its page."""

    def __init__(self, folder: Path) -> None:
        self.gate = threading.Event()
        self.pipeline = FakePipeline()

        def load(source: str | None) -> FakePipeline:
            self.gate.wait(60)
            return self.pipeline

        examples = example_pictures(folder / "examples")
        models = ModelList(load)
        self.demo = build_studio(models, outputs=folder / "outputs", examples=examples)
        self.studio: Studio = self.demo.studio  # type: ignore[attr-defined]
        self.handlers: dict[str, Callable[..., Any]] = {
            event.name: event.fn for event in self.demo.fns.values() if event.fn is not None
        }

    def hear(self, name: str, data: Any, *values: Any) -> Any:
        return self.handlers[name](gr.EventData(None, data), *values)

    def arrive(self) -> None:
        self.gate.set()
        until = time.monotonic() + 60
        while not self.studio.model.version and time.monotonic() < until:
            time.sleep(0.01)


@pytest.fixture
def page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Page]:
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path / "uploads"))
    page = Page(tmp_path)
    yield page
    page.gate.set()
    page.studio.jobs.close()
    page.demo.close()


FIRST = {"window": editing.WINDOW, "resample": False, "first": True, "welcome": False}


def test_a_visit_is_answered_before_the_model_is_there_and_the_page_then_looks(page: Page) -> None:
    named = page.handlers["name_model"](None)
    assert named["coming"] and named["text"] == "The model is loading…" and not named["loads"]
    with pytest.raises(RequestError, match="A model is being loaded"):
        page.studio.change_model(page.studio.model.key)
    seen = {"version": named["version"]}
    assert page.hear("look", seen) == gr.skip()
    page.arrive()
    there = page.hear("look", seen)
    assert (there["coming"], there["loads"]) == (False, 1)
    assert there["text"] == "model: Test <b>worlds</b>"


def test_whoever_has_the_version_of_the_first_model_knows_that_it_is_decided() -> None:
    """Or a page that was told that it is coming would look for ever."""
    pending: list[bool] = []

    class Watched(LoadingModel):
        def __setattr__(self, name: str, value: Any) -> None:
            super().__setattr__(name, value)
            if name == "version" and value:
                pending.append(self.pending)

    Watched(FakePipeline).get()
    until = time.monotonic() + 30
    while not pending and time.monotonic() < until:
        time.sleep(0.01)
    assert pending == [False]


def test_a_run_put_on_the_canvas_lets_the_page_follow_what_another_tab_has_queued(
    page: Page,
) -> None:
    page.arrive()
    kept = session_of(None)
    painting = page.studio.plain_welcome()
    old = page.studio.submit(painting, GenerateRequest(), kept["session"])
    until = time.monotonic() + 60
    while not page.studio.jobs.get(old).status.over and time.monotonic() < until:  # type: ignore[union-attr]
        time.sleep(0.01)

    def taken() -> dict[str, Any]:
        return page.handlers["take_up"](kept, gr.EventData(None, {"job": old}))[-1]

    assert taken()["followed"]  # nothing goes on
    go = page.pipeline.gate = threading.Event()
    page.studio.submit(painting, GenerateRequest(seed=8), kept["session"])
    assert not taken()["followed"]
    go.set()


def test_the_first_model_leaves_the_rate_that_was_chosen_and_another_has_its_own(
    page: Page,
) -> None:
    page.arrive()
    welcome = page.studio.welcome()

    def followed(rate: int, **had: Any) -> tuple[Any, Any]:
        values = page.hear("follow", FIRST | had, welcome, None, None, rate, USUAL)
        by_name = dict(zip(FOLLOWERS, values[1:], strict=False))
        assert values[0]["picture_size"] == [16, 16] and "value" not in values[0]
        return by_name["label"]["value"], by_name["fps"]

    assert followed(5) == ("faces", gr.skip())
    assert followed(USUAL_FPS)[1]["value"] == followed(5, first=False)[1]["value"] == USUAL_FPS


def test_what_was_painted_while_an_own_model_loaded_is_not_resampled(page: Page) -> None:
    page.pipeline.num_frames = 8
    page.arrive()
    welcome = page.studio.welcome()
    painted = welcome.model_copy(deep=True)
    painted.levels[3][3] = 5
    had = FIRST | {"resample": True, "welcome": True}

    def fitted(painting: EditorValue) -> dict[str, Any]:
        return page.hear("follow", had, painting, None, None, USUAL_FPS, USUAL)[0]

    assert fitted(welcome)["value"].frames == 8  # of worlds that this model knows too
    assert "value" not in fitted(painted)
