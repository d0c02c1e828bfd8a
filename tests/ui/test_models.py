"""The models that a page may choose from, and what a change of the model does to runs and page."""

from __future__ import annotations

import re
import threading
import time
import weakref
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from fake import FakePipeline
from tiny import save_tiny

from fvdm_core import Pipeline, Timeline
from fvdm_core.presets import PRESETS
from ui import editing
from ui.jobs import Work
from ui.loading import LoadingModel
from ui.model_list import OF_FOLDER, SHIPPED, ModelList
from ui.model_panel import SCALAR, panel_value
from ui.outputs import Outputs
from ui.refusals import RequestError
from ui.requests import EditorValue, GenerateRequest, PresetRequest
from ui.runs import predictions
from ui.service import Studio

SESSION = "a-session-of-somebody"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two models, one of them as training leaves it, a broken one, and what is no model."""
    folder = tmp_path_factory.mktemp("models")
    save_tiny(folder / "first")
    save_tiny(folder / "run" / "model", labels=["rain"], frames=8)
    (folder / "broken").mkdir()
    (folder / "broken" / "config.json").write_text("<html>")
    (folder / "empty").mkdir()
    (folder / "notes.txt").write_text("nothing")
    (folder / ".hidden.pt").write_bytes(b"1234567")
    (folder / "page.pt").write_text("<!DOCTYPE html>")
    return folder


def listed(folder: Path, given: str | None = None) -> ModelList:
    return ModelList(lambda source: Pipeline.from_pretrained(source, device="cpu"), folder, given)


@pytest.fixture
def studio(folder: Path, tmp_path: Path) -> Any:
    studio = Studio(listed(folder, "first"), Outputs(tmp_path / "outputs"), None)
    studio.model.get()
    yield studio
    studio.jobs.close()


def until(done: Any, seconds: float = 120) -> None:
    end = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.02)


def choose(studio: Studio, name: str) -> None:
    """Choose a model of the folder and wait until that is decided."""
    studio.change_model(OF_FOLDER + name)
    until(lambda: not studio.model.coming)


# ── The list ─────────────────────────────────────────────────────────────────────────────────────


def test_the_list_has_what_may_be_a_model_and_says_what_it_knows(folder: Path) -> None:
    entries = {entry.key: entry for entry in listed(folder).entries()}
    names = ["broken", "first", "page.pt", "run"]
    assert list(entries) == [SHIPPED, *(OF_FOLDER + name for name in names)]
    assert entries[OF_FOLDER + "first"].title == "Tiny"
    assert entries[OF_FOLDER + "run"].about.startswith("run · 8 frames · ")
    assert entries[OF_FOLDER + "broken"].about.startswith("config.json is a web page")
    save_tiny(folder / "second")
    try:
        assert OF_FOLDER + "second" in [entry.key for entry in listed(folder).entries()]
    finally:
        for file in (folder / "second").iterdir():
            file.unlink()
        (folder / "second").rmdir()


@pytest.mark.parametrize(
    "key",
    [
        *("folder:../models", "folder:notes.txt", "folder:.hidden.pt", "/etc/passwd", "", "given"),
        *("first", "folder:first/config.json", "owner/repo", None, ["folder:first"]),
    ],
)
def test_only_entries_may_be_named_in_the_same_words_for_all_others(folder: Path, key: Any) -> None:
    with pytest.raises(ValueError, match=r"There is no model .* here: choose one from the list"):
        listed(folder).entry(key)


def test_what_was_given_at_the_start_is_an_entry(folder: Path, tmp_path: Path) -> None:
    by_name, by_path = listed(folder, "first"), listed(folder, str(folder / "run" / "model"))
    assert (by_name.first, by_path.first) == (OF_FOLDER + "first", OF_FOLDER + "run")
    elsewhere = listed(folder, str(tmp_path / "secret" / "mine"))
    first = elsewhere.entry(elsewhere.first)
    assert first.source == str(tmp_path / "secret" / "mine")
    assert (first.title, first.about) == ("mine", "given by --model")
    assert listed(folder, "owner/repo@v1").entries()[0].title == "owner/repo@v1"


def test_a_folder_that_goes_away_leaves_the_rest(tmp_path: Path) -> None:
    assert [entry.key for entry in listed(tmp_path / "gone").entries()] == [SHIPPED]


# ── Changing ─────────────────────────────────────────────────────────────────────────────────────


def parts_of(pipeline: Any) -> list[weakref.ref[Any]]:
    return [weakref.ref(part) for part in (pipeline, pipeline.model, pipeline.autoencoder)]


def idle(studio: Studio) -> None:
    until(lambda: studio.jobs.hold("a moment"))
    studio.jobs.release()


def test_another_model_takes_the_place_and_the_memory_of_the_one_before(studio: Studio) -> None:
    before = parts_of(studio.model.get())
    assert studio.window == 16
    job = studio.submit(painting(), GenerateRequest(), SESSION)  # its steps are kept, to be seen
    until(lambda: studio.jobs.get(job).status.value == "done")
    idle(studio)
    choose(studio, "run")
    pipeline = studio.model.get()
    assert pipeline.card.labels == ("rain",)
    assert (studio.window, studio.model.key) == (8, OF_FOLDER + "run")
    until(lambda: [part() for part in before] == [None] * 3)  # by itself: nothing is collected here
    assert studio.jobs.get(job).result.video.is_file()


@pytest.mark.parametrize("ends", ["stopped", "failed", "removed"])
def test_no_run_that_is_over_keeps_the_model_it_was_made_with(studio: Studio, ends: str) -> None:
    """Not even one that a page still looks at, through its snapshot and what is kept of it."""
    pipeline = studio.model.get()
    before = parts_of(pipeline)
    if ends == "failed":
        pipeline.model.final_layer.linear.weight.fill_(float("nan"))
    del pipeline
    job = studio.submit(painting(steps=300), GenerateRequest(), SESSION)
    rewind = studio.jobs.rewind(job, owner=SESSION)
    other = studio.submit(painting(), GenerateRequest(), SESSION)
    assert studio.jobs.remove(other, owner=SESSION)  # it may not have begun yet
    if ends != "failed":
        until(lambda: studio.jobs.get(job).step > 0)
        (studio.jobs.stop if ends == "stopped" else studio.jobs.remove)(job, owner=SESSION)
    until(lambda: studio.jobs.get(job).status.over)
    seen = studio.jobs.get(job)
    assert seen.status.value == ("failed" if ends == "failed" else "stopped")
    idle(studio)
    choose(studio, "run")
    until(lambda: [part() for part in before] == [None] * 3)
    assert rewind.nearest(0) is None and studio.jobs.get(job) is seen


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("broken", "broken could not be loaded: config.json is a"),
        ("page.pt", "page.pt could not be loaded: page.pt is"),
    ],
)
def test_a_wrong_file_leaves_the_model_in_place_and_says_why(
    studio: Studio, folder: Path, name: str, says: str
) -> None:
    before = studio.model.get()
    choose(studio, name)
    assert studio.model.get() is before and studio.model.key == OF_FOLDER + "first"
    value = panel_value(studio)
    assert says in value["said"] and value["said"].endswith("Tiny stays in place.")
    assert str(folder) not in str(value) and value["text"] == "model: Tiny"
    choose(studio, "run")
    assert panel_value(studio)["said"] == ""


def work(gate: threading.Event) -> Work:
    def states() -> Any:
        gate.wait(30)
        yield SimpleNamespace(step=1, levels=[0], preview=np.zeros((1, 8, 8, 3), np.uint8))

    return Work(states, lambda state, stopped: None, calls=[1], frames=1)


def test_the_model_stays_while_runs_need_it(studio: Studio) -> None:
    gate = threading.Event()
    job = studio.jobs.submit(work(gate), owner=SESSION)
    with pytest.raises(RequestError, match="Runs are queued or going on"):
        studio.change_model(OF_FOLDER + "run")
    gate.set()
    until(lambda: studio.jobs.get(job).status.over)
    until(lambda: studio.jobs.hold("now") or studio.jobs.release())
    studio.jobs.release()
    choose(studio, "run")
    assert studio.window == 8


def painting(steps: int = 2) -> EditorValue:
    return editing.with_preset(None, PresetRequest(name="standard", frames=16, steps=steps), 16)


def test_nothing_queues_while_a_model_comes(folder: Path, tmp_path: Path) -> None:
    gate, loads = threading.Event(), []

    def load(source: str | None) -> FakePipeline:
        loads.append(source)
        if len(loads) > 1:
            gate.wait(30)
        return FakePipeline()

    studio = Studio(ModelList(load, folder), Outputs(tmp_path / "outputs"), None)
    studio.model.get()
    studio.change_model(OF_FOLDER + "run")
    try:
        with pytest.raises(RequestError, match="Tiny is being loaded: generate again"):
            studio.submit(painting(), GenerateRequest(), SESSION)
        with pytest.raises(RequestError, match="A model is being loaded"):
            studio.change_model(SHIPPED)
        value = panel_value(studio)
        assert value["text"] == "loading Tiny…" and value["coming"]
    finally:
        gate.set()
    until(lambda: not studio.model.coming)
    assert loads == [None, str(folder / "run" / "model")]
    job = studio.submit(painting(), GenerateRequest(), SESSION)
    until(lambda: studio.jobs.get(job).status.over)
    assert studio.jobs.get(job).status.value == "done"
    studio.jobs.close()


def test_a_run_never_goes_with_a_model_that_it_was_not_checked_for(studio: Studio) -> None:
    work = studio.prepare(painting(), GenerateRequest(), SESSION).work
    choose(studio, "run")
    with pytest.raises(ValueError, match="The model was changed meanwhile: generate again"):
        next(iter(work.states()))


def test_what_is_known_of_runs_stays_when_their_model_is_not_loaded_anew(
    studio: Studio, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = studio.submit(painting(), GenerateRequest(), SESSION)
    until(lambda: studio.jobs.get(job).status.over)
    rewind = studio.jobs.rewind(job, owner=SESSION)
    assert rewind is not None and rewind.nbytes

    def broken(entry: object) -> None:
        raise ValueError("the disk is full")

    with monkeypatch.context() as patch:
        patch.setattr(studio.models, "load", broken)
        choose(studio, "first")  # which is the present one
    assert rewind.nbytes
    choose(studio, "first")
    assert not rewind.nbytes  # they were the other pipeline's


def test_on_zerogpu_the_model_stays(studio: Studio) -> None:
    studio.lent = True
    with pytest.raises(RequestError, match="On ZeroGPU the model cannot be changed"):
        studio.change_model(OF_FOLDER + "run")
    value = panel_value(studio)
    assert value["entries"] == [] and "ZeroGPU" in value["hint"]


@pytest.mark.parametrize(
    ("error", "says"),
    [
        (MemoryError(), "There is not enough memory for it."),
        (PermissionError(13, "Permission denied", "/home/somebody/x.pt"), "Permission denied"),
        (KeyError("secret"), "KeyError; see the server's log"),
    ],
)
def test_whatever_goes_wrong_while_loading_is_said_without_paths(
    error: Exception, says: str
) -> None:
    def load() -> Any:
        raise error

    model = LoadingModel(load)
    with pytest.raises(ValueError, match="The model could not be loaded") as raised:
        model.get()
    assert model.error == says and "secret" not in str(raised.value)
    released = threading.Event()
    model.replace(FakePipeline, "other", released.set)
    assert released.wait(30) and model.get().card == FakePipeline.card and model.error == ""


# ── What the page is told ────────────────────────────────────────────────────────────────────────


def test_the_panel_says_what_is_loaded(studio: Studio) -> None:
    value = panel_value(studio)
    facts = dict(value["facts"])
    assert facts["Trained on"] == "nothing" and facts["Licence"] == "not stated"
    assert facts["Frames"] == "16 of 8×8, 8 per second"
    assert facts["Labels"] == "sky, faces, collisions"
    count = sum(p.numel() for p in studio.model.get().model.parameters())
    assert count < int(facts["Size"].split()[0].replace(",", "")) < 100_000
    assert re.search(r"^\d+,\d{3} parameters, \d\.\d MB in memory$", facts["Size"])
    assert value["notice"] == ""
    here = [entry["key"] for entry in value["entries"] if entry["here"]]
    assert here == [OF_FOLDER + "first"]
    told = {"key", "title", "about", "here", "coming", "again"}
    assert all(set(entry) == told for entry in value["entries"])


def test_a_model_with_one_timestep_for_the_clip_is_said_to_be_one(
    studio: Studio, monkeypatch: pytest.MonkeyPatch
) -> None:
    request = GenerateRequest()
    ramp = editing.with_preset(None, PresetRequest(name="diagonal", frames=16, steps=8), 16)
    said = [studio.summary(timeline, request) for timeline in (painting(), ramp)]
    pipeline = studio.model.get()
    monkeypatch.setattr(pipeline, "card", replace(pipeline.card, timesteps="scalar"))
    assert panel_value(studio)["notice"] == SCALAR
    assert studio.summary(painting(), request) == said[0]
    now = studio.summary(ramp, request)
    assert [line for line in now if line not in said[1]] == [now[-1]]
    assert "trained on frames of equal noise" in now[-1]["text"]


# ── The painting under another model ─────────────────────────────────────────────────────────────


@pytest.mark.parametrize("name", ["standard", "diagonal", "image-to-video"])
def test_a_preset_that_filled_the_window_fills_the_new_one(name: str) -> None:
    before = editing.with_preset(None, PresetRequest(name=name, frames=16, steps=10), 16)
    after = editing.with_window(before, 16, 8)
    wanted = editing.with_preset(None, PresetRequest(name=name, frames=8, steps=10), 8)
    assert after.levels == wanted.levels and editing.is_preset(after, 8)


@pytest.mark.parametrize("name", PRESETS)
@pytest.mark.parametrize("window", [8, 4, 3, 2, 1])
def test_a_preset_whose_settings_do_not_fit_is_resampled(name: str, window: int) -> None:
    params = {field["name"]: field["default"] for field in PRESETS[name].form(16, 10)}
    request = PresetRequest(name=name, params=params, frames=16, steps=10)
    after = editing.with_window(editing.with_preset(None, request, 16), 16, window)
    assert after.frames == window


def test_a_painting_is_resampled_or_keeps_its_length() -> None:
    levels = [[1000] * 16, [500] * 8 + [900] * 8, [0] * 16]
    filled = editing.with_window(EditorValue(levels=levels), 16, 8)
    assert filled.levels[1] == [500] * 4 + [900] * 4
    longer = EditorValue(levels=[[1000] * 40, [400] * 40, [0] * 40])
    assert editing.with_window(longer, 16, 8) == longer


@pytest.mark.parametrize(
    ("label", "guidance", "temporal", "above", "calls"),
    [
        (None, 1.5, 0.0, 0, 8),
        ("sky", 1.0, 0.0, 0, 8),
        ("sky", 0.0, 0.0, 0, 8),
        ("sky", 1.5, 0.0, 0, 16),
        ("sky", 1.5, 2.0, 0, 24),
        ("sky", 1.5, 2.0, 500, 16),
        (None, 1.5, 2.0, 500, 12),
    ],
)
def test_the_cost_counts_what_the_network_is_asked_for(
    studio: Studio, label: str | None, guidance: float, temporal: float, above: int, calls: int
) -> None:
    request = GenerateRequest(
        label=label, cfg_scale=guidance, temporal_scale=temporal, guidance_from=above
    )
    timeline = Timeline.preset("standard", frames=16, steps=8)
    pipe = studio.model.get()
    counted: list[int] = []
    hook = pipe.model.register_forward_pre_hook(lambda _, x: counted.append(len(x[0])))
    try:
        list(pipe.stream(timeline, None, request.options()))
    finally:
        hook.remove()
    assert predictions(timeline, pipe, request) == (8, calls) and sum(counted) == calls
    cost = studio.summary(painting(8), request)[1]["text"]
    assert ("predictions" in cost) == (calls > 8)
