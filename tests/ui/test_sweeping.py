"""Sweeps: what is asked for, which runs that makes, how they are queued, stopped and written."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from fake import FakePipeline, on_its_own_loop
from starlette.applications import Starlette
from starlette.testclient import TestClient

from fvdm_core.card import ModelCard
from fvdm_core.grid_paper import GAP, NO_CLIP, PAPER
from fvdm_core.media import read_video
from fvdm_core.pictures import write_png
from fvdm_core.recipe import read_recipe
from ui import downloads as downloads_module
from ui import editing, grids
from ui.afterwards import Afterwards
from ui.costs import in_words
from ui.downloads import Downloads
from ui.grids import grid
from ui.outputs import Outputs
from ui.refusals import RequestError
from ui.requests import EditorValue, GenerateRequest, PresetRequest
from ui.runs import kind_of_call
from ui.saved import home_name, new_name
from ui.service import Studio
from ui.settings import ANY, FIELDS, settings_of
from ui.sweep_panel import AHEAD, Sweeping, wire_sweep
from ui.sweeping import (
    NOT_RUN,
    SETTINGS,
    AxisRequest,
    Sweep,
    SweepRequest,
    axis_of,
    setting_table,
    sweep_of,
)

ANN = new_name()
LABELS = ("sky", "faces")


def painting(steps: int = 3, frames: int = 4) -> EditorValue:
    request = PresetRequest(name="standard", frames=frames, steps=steps)
    return editing.with_preset(None, request, 16)


def axis(setting: str, values: str) -> AxisRequest:
    return AxisRequest(setting=setting, values=values)


def swept(columns: AxisRequest, rows: AxisRequest | None = None, **asked: Any) -> Sweep:
    request = GenerateRequest(**asked)
    return sweep_of(SweepRequest(columns=columns, rows=rows), painting(), request, LABELS, 16)


def cells(sweep: Sweep) -> list[tuple[EditorValue, GenerateRequest]]:
    return [sweep.cell(place) for place in range(len(sweep.chosen))]


# ── What is asked ────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("setting", "text", "values", "names"),
    [
        ("seed", "1, 5,9", (1, 5, 9), ("Seed 1", "Seed 5", "Seed 9")),
        ("seed", "3…5", (3, 4, 5), ("Seed 3", "Seed 4", "Seed 5")),
        ("seed", "3..4, 4, 8", (3, 4, 8), ("Seed 3", "Seed 4", "Seed 8")),
        ("cfg_scale", "1.0,1, 2.50,", (1, 2.5), ("Guidance 1", "Guidance 2.5")),
        ("solver", "ddim, DPM-Solver++ (2M)", ("ddim", "dpmpp_2m"), ("DDIM", "DPM-Solver++ (2M)")),
        ("label", "", LABELS, LABELS),
        ("label", "Any, FACES", (None, "faces"), ("any", "faces")),
        ("preset", "generate, restart", ("standard", "restart"), ("Generate", "Restart")),
    ],
)
def test_values_are_read_as_people_write_them(
    setting: str, text: str, values: tuple[Any, ...], names: tuple[str, ...]
) -> None:
    found = axis_of(axis(setting, text), LABELS)
    assert (found.setting, found.values, found.names) == (setting, values, names)


@pytest.mark.parametrize(
    ("setting", "text", "says"),
    [
        ("seed", "", "Seed: name at least one value"),
        ("seed", "1…9", "Seed: 8 values are the most"),
        ("seed", "0…4000000000", "Seed: 8 values are the most"),
        ("seed", "1, 5…3", "5…3 runs backwards: write 3…5"),
        ("cfg_scale", "much", "Guidance: 'much' is not a number; write 1, 2, 5 or"),
        ("cfg_scale", "nan", "Guidance: 'nan' is not a number that it can have"),
        ("solver", "euler", r"Solver: 'euler' is none of DPM-Solver\+\+ \(2M\), DDIM, DDPM"),
        ("label", "dragons", "Label: 'dragons' is none of any, sky, faces"),
        ("fps", "3", "setting is 'fps': it cannot be swept"),
    ],
)
def test_other_values_are_refused(setting: str, text: str, says: str) -> None:
    with pytest.raises(RequestError, match=says):
        axis_of(axis(setting, text), LABELS)


@pytest.mark.parametrize("name", SETTINGS)
def test_what_the_page_proposes_can_be_swept(name: str) -> None:
    usual = next(each["usual"] for each in setting_table() if each["name"] == name)
    sweep = swept(axis(name, usual))
    made = cells(sweep)
    assert len(made) == len(sweep.columns) >= 2 and sweep.rows == ("",)
    if name not in ("steps", "preset"):
        values = [getattr(request, name) for _, request in made]
        assert len(set(values)) == len(values)
    else:
        assert len({str(editor.levels) for editor, _ in made}) == len(made)


class Limited:
    """What a model may lack."""

    def __init__(self, *skills: str, labels: tuple[str, ...] = ()) -> None:
        self.skills, self.card = frozenset(skills), ModelCard("Limited", labels)


@pytest.mark.parametrize(
    ("pipeline", "lacks"),
    [
        (Limited("temporal_scale", "step_cache", labels=LABELS), set()),
        (Limited(labels=LABELS), {"temporal_scale", "step_cache"}),
        (Limited("prompts", "step_cache"), {"temporal_scale"}),
        (Limited("temporal_scale", "step_cache"), {"label", "cfg_scale"}),
        (Limited("step_cache"), {"label", "cfg_scale", "temporal_scale", "guidance_from"}),
    ],
)
def test_a_model_is_offered_what_it_has(pipeline: Limited, lacks: set[str]) -> None:
    offered = [each["name"] for each in setting_table(pipeline)]
    assert offered == [name for name in SETTINGS if name not in lacks]
    titles = {each["name"]: each["title"] for each in setting_table(pipeline)}
    if "label" in titles:
        assert titles["label"] == ("Prompt" if "prompts" in pipeline.skills else "Label")


def test_prompts_may_have_commas() -> None:
    both = axis("label", " A cat, asleep. | A dog 1…3|any| FACES ")
    found = axis_of(both, LABELS, prompts=True)
    assert found.values == ("A cat, asleep.", "A dog 1…3", None, "faces")
    assert found.names == ("A cat, asleep.", "A dog 1…3", "any", "faces")
    long = "A very long prompt, " * 20
    sweep = sweep_of(
        SweepRequest(columns=axis("label", f"{long}|a cat"), rows=axis("seed", "1, 2")),
        *(painting(), GenerateRequest(), (), 16),
        prompts=True,
    )
    assert [request.label for _, request in cells(sweep)] == [long.strip(), "a cat"] * 2
    assert all(len(name) <= 40 for name in sweep.columns)
    with pytest.raises(RequestError, match=r"Prompt: name at least one value, with \| between"):
        axis_of(axis("label", " | "), (), prompts=True)
    with pytest.raises(RequestError, match="Label: 'A cat' is none of"):
        axis_of(axis("label", "A cat"), LABELS)


def test_cells_come_row_by_row_and_all_else_is_the_panels() -> None:
    sweep = swept(axis("cfg_scale", "1, 3"), axis("seed", "8, 9"), label="sky", fps=5)
    assert sweep.columns == ("Guidance 1", "Guidance 3") and sweep.rows == ("Seed 8", "Seed 9")
    asked = [(request.seed, request.cfg_scale) for _, request in cells(sweep)]
    assert asked == [(8, 1.0), (8, 3.0), (9, 1.0), (9, 3.0)]
    for editor, request in cells(sweep):
        assert editor == painting() and (request.label, request.fps) == ("sky", 5)


def test_settings_that_change_others_come_first() -> None:
    for columns, rows in (("steps", "preset"), ("preset", "steps")):
        values = {"steps": "5, 7", "preset": "Generate, Restart"}
        sweep = swept(axis(columns, values[columns]), axis(rows, values[rows]))
        sizes = {(editor.preset.name, editor.steps) for editor, _ in cells(sweep) if editor.preset}
        expected = {("standard", 5), ("standard", 7)}
        restarts = {
            (name, editing.with_preset(None, PresetRequest(name=name, frames=4, steps=n), 16).steps)
            for name in ("restart",)
            for n in (5, 7)
        }
        assert sizes == expected | restarts
    sweep = swept(axis("eta", "1"), axis("solver", "ddim, ddpm"))
    assert [(r.solver, r.eta) for _, r in cells(sweep)] == [("ddim", 1.0), ("ddpm", 1.0)]
    sweep = swept(axis("solver", "ddim, ddpm"))
    assert [(r.solver, r.eta) for _, r in cells(sweep)] == [("ddim", 0.0), ("ddpm", 1.0)]
    sweep = swept(axis("solver", "ddim, ddpm"), eta=0.4)  # chosen by hand: it stays
    assert [r.eta for _, r in cells(sweep)] == [0.4, 0.4]


@pytest.mark.parametrize(
    ("columns", "rows", "says"),
    [
        (axis("seed", "1…8"), axis("cfg_scale", "1, 2, 3"), "These are 24 runs"),
        (axis("seed", "1"), axis("seed", "2"), "Rows and columns are of one setting"),
        (axis("cfg_scale", "99"), None, r"Guidance \(cfg_scale\) is 99"),
        (axis("steps", "0"), None, "steps is 0"),
        (axis("steps", "2.5"), None, "steps is 2.5"),
        (axis("seed", "1.5"), None, "seed is 1.5"),
        (axis("seed", "-1"), None, "seed is -1"),
    ],
)
def test_what_cannot_be_run_is_said_before_anything_runs(
    columns: AxisRequest, rows: AxisRequest | None, says: str
) -> None:
    with pytest.raises(RequestError, match=says):
        swept(columns, rows)


# ── Its runs ─────────────────────────────────────────────────────────────────────────────────


class Place:
    """A studio whose runs stand still until the gate opens."""

    def __init__(self, folder: Path) -> None:
        pipeline = FakePipeline()
        self.gate = pipeline.gate = threading.Event()
        self.studio = Studio(lambda: pipeline, Outputs(folder / "outputs"), None)
        self.studio.model.get()

    def sweeping(self, columns: AxisRequest, rows: AxisRequest | None = None) -> Sweeping:
        return Sweeping(self.studio, swept(columns, rows, label="sky"), ANN)

    def ended(self, sweeping: Sweeping) -> dict[str, Any]:
        """Open the gate and look until all is done, as the page does."""
        self.gate.set()
        end = time.monotonic() + 120
        while (value := sweeping.look())["status"] != "done":
            assert time.monotonic() < end
            while sweeping.queue_next():
                pass
            time.sleep(0.01)
        return value


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Place]:
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path / "uploads"))
    place = Place(tmp_path)
    yield place
    place.gate.set()
    place.studio.jobs.close()


def queue_all(sweeping: Sweeping) -> int:
    queued = 0
    while sweeping.queue_next():
        queued += 1
    return queued


def test_a_sweep_leaves_the_queue_to_others_and_goes_on_as_there_is_room(place: Place) -> None:
    place.studio.jobs.max_kept = 3  # of all visitors: what is done is forgotten meanwhile
    sweeping = place.sweeping(axis("cfg_scale", "1, 2, 3, 4"), axis("seed", "1…4"))
    queue_all(sweeping)
    while place.studio.jobs.get(sweeping.jobs[0]).status.value == "queued":  # type: ignore[union-attr]
        time.sleep(0.01)
    queue_all(sweeping)
    assert len(sweeping.added) == AHEAD + 1  # one of them goes on
    for seed in range(place.studio.jobs.max_per_owner - AHEAD):  # there is room for others
        place.studio.submit(painting(), GenerateRequest(seed=100 + seed), ANN)
    assert not sweeping.queue_next()
    value = sweeping.look()
    assert value["status"] == "working" and value["text"] == "0 of 16 are done"
    assert value["cells"][15] == {"job": "", "text": "waits", "wrong": False, "whole": False}
    value = place.ended(sweeping)
    assert len(value["sheets"]) == 16 and len({cell["job"] for cell in value["cells"]}) == 16
    assert all(cell["text"] == "" and not cell["wrong"] for cell in value["cells"])
    assert all(cell["whole"] for cell in value["cells"])
    assert value["text"] == "Click a clip to see its run above."
    part = value["sheets"]["5"]
    assert (part["frames"], part["tile"], part["columns"]) == (4, [16, 16], 2)
    recipes = [place.studio.outputs.find(ANN, cell["job"]) for cell in value["cells"]]
    asked = [read_recipe(saved.recipe).options for saved in recipes if saved]
    assert [(options.seed, options.cfg_scale) for options in asked] == [
        (seed, scale) for seed in (1, 2, 3, 4) for scale in (1, 2, 3, 4)
    ]


def test_runs_that_are_there_are_not_run_again(place: Place) -> None:
    first = place.ended(place.sweeping(axis("seed", "1, 2")))
    more = place.sweeping(axis("seed", "2, 3"))
    second = place.ended(more)
    assert second["cells"][0]["job"] == first["cells"][1]["job"] and len(more.added) == 1


def test_what_a_sweep_costs_is_said_before_it_is_begun(place: Place) -> None:
    asked = axis("cfg_scale", "1, 3"), axis("steps", "2, 5")
    assert place.sweeping(*asked).cost() == "4 runs"  # nothing is known of such runs yet
    request, pipeline = GenerateRequest(label="sky"), place.studio.model.get()
    plain, guided = (request.model_copy(update={"cfg_scale": scale}) for scale in (1.0, 3.0))
    line = painting().timeline()
    place.studio.costs.learn(kind_of_call(line, pipeline, plain), 2.0)
    assert place.sweeping(*asked).cost() == "4 runs"  # of two of them
    place.studio.costs.learn(kind_of_call(line, pipeline, guided), 3.0)
    assert place.sweeping(*asked).cost() == "4 runs · about 35 s"  # (2 + 5) · (2 + 3)

    place.ended(place.sweeping(axis("cfg_scale", "1"), axis("steps", "5")))
    seconds = place.studio.costs.seconds_per_call(kind_of_call(line, pipeline, plain))
    assert seconds is not None
    expected = in_words(2 * seconds + 7 * 3.0)
    assert place.sweeping(*asked).cost() == f"4 runs, 1 there already · {expected}"
    one = place.sweeping(axis("cfg_scale", "1"), axis("steps", "5"))
    assert one.cost() == "1 run, all there already" and not one.added
    both = SweepRequest(columns=axis("preset", "Generate, Ramp"))  # which needs two frames
    still = sweep_of(both, painting(frames=1), plain, LABELS, 16)
    line = painting(frames=1).timeline()
    place.studio.costs.learn(kind_of_call(line, pipeline, plain), 4.0)
    assert Sweeping(place.studio, still, ANN).cost() == "2 runs, 1 cannot be · about 12 s"


def wired(studio: Studio) -> dict[str, Any]:
    """The handlers of the page's events, by name."""
    handlers: dict[str, Any] = {}

    class View:
        def __getattr__(self, event: str) -> Any:
            # one without a handler only ends another
            return lambda handler, *_, **__: handler and handlers.setdefault(event, handler)

    wire_sweep(studio, SimpleNamespace(editor=None, settings=[], session=None), View())  # type: ignore[arg-type]
    return handlers


def test_the_page_asks_for_the_cost_and_nobody_waits_for_a_model(tmp_path: Path) -> None:
    loaded = threading.Event()

    def load() -> FakePipeline:
        loaded.wait(60)
        return FakePipeline()

    studio = Studio(load, Outputs(tmp_path / "outputs"), None)
    handlers = wired(studio)
    settings, kept = settings_of(GenerateRequest(label="sky")), {"session": ANN}

    def asked(data: Any) -> str:
        event = SimpleNamespace(_data=data)
        work = asyncio.wait_for(handlers["weigh"](event, painting(), *settings, kept), 30)
        return on_its_own_loop(work)["cost"]

    seeds = {"columns": {"setting": "seed", "values": "1, 2"}, "rows": None}
    try:
        assert asked(seeds) == ""
        loaded.set()
        studio.model.get()
        assert asked(seeds) == "2 runs"
        for wrong in (
            None,
            {},
            {"columns": {"setting": "seed", "values": "x"}},
            seeds | {"more": 1},
        ):
            assert asked(wrong) == ""
        assert not studio.jobs.runs_of(ANN)
    finally:
        loaded.set()
        studio.jobs.close()


def test_of_the_costs_that_a_session_waits_for_only_the_newest_is_worked_out(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    goes_on, worked = threading.Event(), []

    def slow(sweeping: Sweeping) -> str:
        worked.append(sweeping.session)
        goes_on.wait(60)
        return sweeping.sweep.columns[0]

    monkeypatch.setattr(Sweeping, "cost", slow)
    handlers, bob = wired(place.studio), new_name()
    settings = settings_of(GenerateRequest(label="sky"))

    async def asked() -> list[Any]:
        def ask(session: str, seed: int) -> asyncio.Task[Any]:
            data = {"columns": {"setting": "seed", "values": str(seed)}, "rows": None}
            event, kept = SimpleNamespace(_data=data), {"session": session}
            return asyncio.ensure_future(handlers["weigh"](event, painting(), *settings, kept))

        waiting = [ask(ANN, 1)]
        while not worked:
            await asyncio.sleep(0.01)
        waiting += [ask(ANN, 2), ask(ANN, 3), ask(bob, 4), ask(ANN, 5)]
        await asyncio.sleep(0.05)
        goes_on.set()
        return [each.get("cost") for each in await asyncio.gather(*waiting)]

    costs = on_its_own_loop(asyncio.wait_for(asked(), 60))
    assert costs == ["Seed 1", None, None, "Seed 4", "Seed 5"]
    assert worked == [ANN, bob, ANN]


def test_a_sweep_is_ended_by_its_own_session_and_there_are_not_too_many(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ui.sweep_panel.MOST", 1)
    handlers, kept = wired(place.studio), {"session": ANN}
    seeds = {"columns": {"setting": "seed", "values": "1, 2, 3, 4"}, "rows": None}
    asked = painting(), *settings_of(GenerateRequest(label="sky")), kept

    def begun() -> Any:
        return handlers["sweep"](SimpleNamespace(_data=seeds), *asked)

    def ended(session: str, sweep: str) -> bool:
        handlers["end"]({"session": session}, SimpleNamespace(_data={"id": sweep}))
        return all(run.stopping for run in place.studio.jobs.runs_of(ANN))

    async def watched() -> dict[str, Any]:
        sweep, second = begun(), begun()
        value = await anext(sweep)
        assert "Other sweeps go on here" in (await anext(second))["text"]
        assert not ended(new_name(), value["id"])
        assert ended(ANN, value["id"])
        place.gate.set()
        seen = [value async for value in sweep]
        assert (await anext(begun()))["status"] == "working"  # there is room again
        return seen[-1]

    value = on_its_own_loop(asyncio.wait_for(watched(), 120))
    assert value["status"] == "done"
    assert [cell["text"] for cell in value["cells"][1:]] == [NOT_RUN] * 3


@pytest.mark.parametrize(("sent", "label"), [(None, "sky"), (ANY, None), ("faces", "faces")])
def test_a_page_that_does_not_know_the_labels_yet_means_the_one_that_fits(
    place: Place, monkeypatch: pytest.MonkeyPatch, sent: str | None, label: str | None
) -> None:
    """Sweep may be pressed before the model is there, as Generate may."""
    monkeypatch.setattr(place.studio, "fitting_label", lambda editor: "sky")
    asked, real = [], place.studio.submit

    def submit(editor: EditorValue, request: GenerateRequest, *rest: Any, **more: Any) -> str:
        asked.append(request.label)
        return real(editor, request, *rest, **more)

    monkeypatch.setattr(place.studio, "submit", submit)
    settings = [sent, *settings_of(GenerateRequest())[1:]]
    seeds = SimpleNamespace(_data={"columns": {"setting": "seed", "values": "1"}, "rows": None})

    async def watched() -> None:
        await anext(wired(place.studio)["sweep"](seeds, painting(), *settings, {"session": ANN}))

    on_its_own_loop(asyncio.wait_for(watched(), 60))
    assert asked == [label] and FIELDS[0] == "label"


def test_runs_of_before_a_restart_are_found_on_the_disk(place: Place, tmp_path: Path) -> None:
    first = place.ended(place.sweeping(axis("seed", "1, 2")))
    stopped = next(s for s in place.studio.outputs.runs(ANN) if s.job == first["cells"][1]["job"])
    about = stopped.about() | {"stopped": True}
    (stopped.folder / "about.json").write_text(json.dumps(about))
    again = Place(tmp_path)
    try:
        shown = Sweeping(again.studio, swept(axis("seed", "1, 2, 3"), label="sky"), ANN, again=True)
        assert queue_all(shown) == 3 and not shown.added and not again.studio.jobs.runs_of(ANN)
        value = shown.look()
        assert value["status"] == "done" and list(value["sheets"]) == ["0"]
        assert [cell["text"] for cell in value["cells"]] == ["", NOT_RUN, NOT_RUN]
        assert value["cells"][0] | {"text": ""} == first["cells"][0]
        assert value["sheets"]["0"] == first["sheets"]["0"]

        more = again.sweeping(axis("seed", "1, 2, 3"))
        value = again.ended(more)
        assert len(more.added) == 2 and value["cells"][0]["job"] == first["cells"][0]["job"]
        other = Sweeping(
            again.studio, swept(axis("seed", "1"), label="sky"), new_name(), again=True
        )
        assert queue_all(other) == 1 and not any(other.jobs)  # of somebody else
        again.studio.model.get().model_hash = "f" * 16
        later = Sweeping(again.studio, swept(axis("seed", "1"), label="sky"), ANN, again=True)
        assert queue_all(later) == 1 and not any(later.jobs)
    finally:
        again.gate.set()
        again.studio.jobs.close()


def test_a_sweep_is_stopped_with_what_waits_and_what_goes_on(place: Place) -> None:
    kept = place.studio.submit(painting(), GenerateRequest(seed=77, label="sky"), ANN)
    sweeping = place.sweeping(axis("cfg_scale", "1.5, 2, 3, 4"), axis("seed", "77, 1, 2, 3"))
    queue_all(sweeping)
    assert sweeping.jobs[0] == kept  # which was there before the sweep
    sweeping.stop()
    assert not sweeping.queue_next()
    value = place.ended(sweeping)
    assert value["text"] == "1 of 16 are done."
    assert value["cells"][15] == {"job": "", "text": "not run", "wrong": True, "whole": False}
    assert {cell["text"] for cell in value["cells"][1:]} == {"not run"}
    assert list(value["sheets"]) == ["0"]
    end = time.monotonic() + 60
    while not place.studio.jobs.get(kept).status.over:  # type: ignore[union-attr]
        assert time.monotonic() < end
        time.sleep(0.01)
    assert [run.job for run in place.studio.jobs.runs_of(ANN)] == [kept]
    assert place.studio.jobs.get(kept).status.value == "done"  # type: ignore[union-attr]


def test_a_sweep_that_is_shown_again_is_stopped_with_what_of_it_goes_on(place: Place) -> None:
    before = place.sweeping(axis("seed", "1…8"))
    queue_all(before)
    place.studio.jobs.max_per_owner = AHEAD  # the queue is full, and nothing is queued for it
    asked = swept(axis("seed", "1…8"), label="sky")
    shown = Sweeping(place.studio, asked, ANN, again=True)
    assert queue_all(shown) == 8 and shown.jobs == before.jobs
    shown.stop()
    value = place.ended(shown)
    assert value["text"] == "0 of 8 are done."
    assert all(run.status.value == "stopped" for run in map(place.studio.jobs.get, before.added))  # type: ignore[union-attr]


def test_a_sweep_that_is_shown_again_ends_no_run_that_none_has_queued(place: Place) -> None:
    own = place.studio.submit(painting(), GenerateRequest(seed=1, label="sky"), ANN)
    place.studio.submit(painting(), GenerateRequest(seed=2, label="sky"), ANN)
    before = place.sweeping(axis("seed", "1, 3"))
    queue_all(before)
    shown = Sweeping(place.studio, swept(axis("seed", "1, 2, 3"), label="sky"), ANN, again=True)
    assert queue_all(shown) == 3 and all(shown.jobs) and shown.added == before.added
    shown.stop()
    going = [run.about.settings for run in place.studio.jobs.runs_of(ANN) if not run.status.over]
    assert len(going) == 2 and shown.jobs[0] == own


def test_a_cell_that_cannot_run_keeps_none_from_being_shown_again(place: Place) -> None:
    both = SweepRequest(columns=axis("preset", "Ramp, Generate"))  # the one needs two frames
    asked = sweep_of(both, painting(frames=1), GenerateRequest(), LABELS, 16)
    first = place.ended(Sweeping(place.studio, asked, ANN))
    assert first["cells"][0]["wrong"] and first["sheets"].keys() == {"1"}
    place.studio.jobs.max_per_owner = 0  # the queue is full
    shown = Sweeping(place.studio, asked, ANN, again=True)
    assert queue_all(shown) == 2 and shown.look()["sheets"].keys() == {"1"}


def test_a_cell_that_cannot_run_is_said_in_its_place(place: Place) -> None:
    sweeping = place.sweeping(axis("preset", "Generate, Loop, Restart"))
    value = place.ended(sweeping)
    assert list(value["sheets"]) == ["0", "2"] and value["status"] == "done"
    assert value["cells"][1]["wrong"] and "no picture" in value["cells"][1]["text"]
    assert value["text"].startswith("2 of 3 are done. Frames 1 and 4 start below full noise")


def test_a_clip_that_was_deleted_meanwhile_ends_nothing(place: Place) -> None:
    sweeping = place.sweeping(axis("seed", "1, 2"))
    place.gate.set()
    queue_all(sweeping)
    end = time.monotonic() + 60
    while len(place.studio.outputs.runs(ANN)) < 2:
        assert time.monotonic() < end
        time.sleep(0.01)
    job = sweeping.jobs[0]
    while not place.studio.jobs.get(job).status.over:  # type: ignore[union-attr]
        time.sleep(0.01)
    place.studio.outputs.delete(ANN, job)
    place.studio.jobs._jobs.pop(str(job))
    value = place.ended(sweeping)
    assert value["cells"][0]["text"] == "This run is no longer known: it was deleted."
    assert list(value["sheets"]) == ["1"]


# ── All clips in one ─────────────────────────────────────────────────────────────────────────


def clip(folder: Path, shade: int, frames: int = 3, size: tuple[int, int] = (16, 24)) -> list[Path]:
    folder.mkdir(parents=True)
    for frame in range(frames):
        picture = np.full((*size, 3), shade + frame, np.uint8)
        write_png(folder / f"{frame:04d}.png", picture)
    return sorted(folder.iterdir())


def test_clips_lie_in_rows_and_columns_and_play_together(tmp_path: Path) -> None:
    clips = [
        clip(tmp_path / "a", 10),
        clip(tmp_path / "b", 60, frames=5),
        [],
        clip(tmp_path / "d", 160),
    ]
    film = grid(clips, ("", ""), ("", ""))
    assert film.shape == (3, GAP + 2 * (16 + GAP), GAP + 2 * (24 + GAP), 3)
    for frame in range(3):
        for place, shade in ((0, 10), (1, 60), (3, 160)):
            top = GAP + (place // 2) * (16 + GAP)
            left = GAP + (place % 2) * (24 + GAP)
            tile = film[frame, top : top + 16, left : left + 24]
            assert (tile == shade + frame).all()
        assert (film[frame, GAP + 16 + GAP : -GAP, GAP : GAP + 24] == NO_CLIP).all()
        assert (film[frame, :GAP] == PAPER).all() and (film[frame, :, :GAP] == PAPER).all()
    assert np.array_equal(grid(clips, ("", ""), ("", ""), frame=1), film[1:2])
    assert np.array_equal(grid(clips, ("", ""), ("", ""), frame=99), film[2:])

    named = grid(clips, ("Guidance 1", "W" * 60), ("Seed 1", "Seed 2"))
    height, width = named.shape[1:3]
    assert height > film.shape[1] and width > film.shape[2]
    assert (named[0, :, :GAP] == PAPER).all()  # names stay inside
    assert np.array_equal(named[:, -16 - GAP : -GAP, -24 - GAP : -GAP], film[:, -22:-GAP, -30:-GAP])
    words = named[0, : height - film.shape[1], width - film.shape[2] :]
    assert (words < 128).any()


def test_what_makes_no_grid_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one, other = clip(tmp_path / "a", 10), clip(tmp_path / "b", 10, size=(8, 8))
    for clips, columns, says in (
        ([[], []], ("", ""), "none of these clips is there"),
        ([one], ("", ""), "none of these clips is there"),
        ([one, other], ("", ""), "not of one size"),
        ([one, [tmp_path / "gone.png"] * 3], ("", ""), "gone.png is missing"),
    ):
        with pytest.raises(ValueError, match=says):
            grid(clips, columns, ("",))
    for limit in ("MAX_BYTES", "MAX_PICTURES"):
        with monkeypatch.context() as patch:
            patch.setattr(grids, limit, 2)
            with pytest.raises(ValueError, match="3 frames of 1 clips are too many for one film"):
                grid([one], ("",), ("",))


def test_large_frames_are_made_smaller_and_smaller_where_there_are_many(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clips = [clip(tmp_path / "a", 10, frames=2, size=(300, 600))]
    film = grid(clips, ("",), ("",))
    assert film.shape[1:3] == (128 + 2 * GAP, 256 + 2 * GAP)
    monkeypatch.setattr(grids, "MAX_BYTES", film.nbytes - 1)
    assert grid(clips, ("",), ("",)).shape[1:3] == (96 + 2 * GAP, 192 + 2 * GAP)


@pytest.fixture
def client(place: Place) -> TestClient:
    routes = Downloads(place.studio.outputs, Afterwards(place.studio).code).routes()
    return TestClient(Starlette(routes=routes))


def test_a_sweep_is_downloaded_as_film_or_picture(
    place: Place, client: TestClient, tmp_path: Path
) -> None:
    value = place.ended(place.sweeping(axis("seed", "1, 2")))
    jobs = [cell["job"] for cell in value["cells"]]
    query = {"job": [*jobs], "column": value["columns"], "row": value["rows"]}
    address = f"/{value['address']}/grid"
    for ending, kind in (("mp4", "video/mp4"), ("webm", "video/webm"), ("gif", "image/gif")):
        answer = client.get(f"{address}.{ending}", params=query)
        assert answer.status_code == 200 and answer.headers["content-type"] == kind
        assert answer.headers["x-content-type-options"] == "nosniff"
        (tmp_path / f"grid.{ending}").write_bytes(answer.content)
        video = read_video(tmp_path / f"grid.{ending}")
        assert (len(video.frames), video.fps) == (4, 8)
    picture = client.get(f"{address}.png", params=query | {"frame": "2"})
    assert picture.headers["content-type"] == "image/png"
    assert 'filename="sweep.png"' in picture.headers["content-disposition"]

    elsewhere = f"/runs/{home_name(new_name())}/grid.png"  # of somebody else, these are not there
    assert client.get(elsewhere, params=query).status_code == 507
    wrong = (
        {"job": [], "column": [], "row": []},
        query | {"column": ["one"]},
        query | {"job": jobs * 20, "column": ["x"] * 40},
        query | {"column": ["x" * 61, "y"]},
        query | {"frame": "-1"},
        query | {"frame": "9" * 99},
    )
    for other in wrong:
        assert client.get(f"{address}.png", params=other).status_code == 404
    assert client.get(f"{address}.exe", params=query).status_code == 404
    assert not list(place.studio.outputs.root.glob(".unfinished-*"))


def test_a_full_disk_is_said(
    place: Place, client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any, **__: Any) -> None:
        raise OSError(28, "No space left on device")

    value = place.ended(place.sweeping(axis("seed", "1")))
    monkeypatch.setattr(downloads_module, "write_png", full)
    query = {"job": [value["cells"][0]["job"]], "column": ["a"], "row": ["b"]}
    answer = client.get(f"/{value['address']}/grid.png", params=query)
    assert answer.status_code == 507 and "No space left" in answer.text
