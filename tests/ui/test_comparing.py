"""Comparing: the difference itself, which runs are made or used again, and what is refused."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fake import FakePipeline
from gradio.data_classes import FileData
from pydantic import ValidationError

from ui import editing
from ui.comparing import (
    LEGEND,
    Choices,
    compared_value,
    difference,
    legend,
    orders,
    read_frames,
    run_of,
    submit_both,
)
from ui.jobs import Snapshot, Status
from ui.outputs import Outputs
from ui.refusals import RequestError
from ui.requests import (
    EditorValue,
    GenerateRequest,
    KeyframeValue,
    PresetRequest,
)
from ui.saved import new_name
from ui.service import Studio

ANN, BOB = new_name(), new_name()
PANEL = GenerateRequest(seed=7, label="sky", temporal_scale=2.0)


def clip(frames: int = 3, value: int = 100, size: int = 8) -> np.ndarray:
    return np.full((frames, size, size, 3), value, np.uint8)


# ── The difference ───────────────────────────────────────────────────────────────────────────


def test_the_mean_is_the_mean_absolute_difference_of_each_frame() -> None:
    rng = np.random.default_rng(0)
    a, b = rng.integers(0, 256, (2, 5, 8, 9, 3), dtype=np.uint8)
    wanted = np.abs(a.astype(float) - b.astype(float)).mean((1, 2, 3))
    assert difference(a, b).mean == pytest.approx(wanted)
    assert difference(b, a).mean == pytest.approx(wanted)


def test_the_same_clip_differs_nowhere() -> None:
    apart = difference(clip(), clip())
    assert apart.mean == [0, 0, 0] and len(np.unique(apart.heat.reshape(-1, 3), axis=0)) == 1


def test_the_picture_is_brightest_where_the_clips_differ_most() -> None:
    other = clip()
    other[1, 2, 3] = 110
    other[1, 5, 6] = 130
    other[2] = 108
    apart = difference(clip(), other)
    light = apart.heat.astype(int).sum(-1)
    assert light[0].max() < light[2].min() < light[1, 2, 3] < light[1, 5, 6] == light[1].max()
    assert apart.scale == 16  # one pixel in two hundred may lie above it


@pytest.mark.parametrize(("apart", "scale"), [(1, 8), (30, 32), (100, 128), (155, 255)])
def test_the_colours_cover_the_differences_that_there_are(apart: int, scale: int) -> None:
    assert difference(clip(), clip(value=100 + apart)).scale == scale


def test_clips_of_two_lengths_are_compared_as_far_as_both_go() -> None:
    assert len(difference(clip(3), clip(5)).mean) == 3


def test_frames_of_two_sizes_are_refused() -> None:
    with pytest.raises(ValueError, match="8×8 and 16×16 pixels"):
        difference(clip(), clip(size=16))


def test_the_legend_runs_from_the_darkest_to_the_brightest() -> None:
    light = [sum(map(int, color[4:-1].split())) for color in legend()]
    assert len(light) == LEGEND and light == sorted(light) and len(set(light)) == LEGEND


# ── The two runs ─────────────────────────────────────────────────────────────────────────────


class Place:
    """A studio with a session, and the runs of a comparison."""

    def __init__(self, folder: Path) -> None:
        self.pipeline = FakePipeline()
        self.pipeline.gate = threading.Event()
        self.studio = Studio(lambda: self.pipeline, Outputs(folder / "outputs"), None)
        self.studio.model.get()

    def compare(self, a: str, b: str, session: str = ANN, canvas: Any = None) -> list[str]:
        sides = {side: dict(zip(("kind", "name"), text.split(":"), strict=True))
                 for side, text in (("a", a), ("b", b))}  # fmt: skip
        choices = Choices.model_validate(sides)
        both = orders(self.studio, choices, canvas or painting(), PANEL, session)
        return submit_both(self.studio, both, session)

    def end(self, jobs: list[str]) -> list[Snapshot]:
        assert self.pipeline.gate is not None
        self.pipeline.gate.set()
        while True:
            runs = [run for job in jobs if (run := self.studio.jobs.get(job))]
            if all(run.status.over for run in runs):
                return runs

    def listed(self, session: str = ANN) -> list[str]:
        return [run.job for run in self.studio.jobs.runs_of(session)]


def painting(preset: str = "standard", frames: int = 4, steps: int = 3) -> EditorValue:
    request = PresetRequest(name=preset, frames=frames, steps=steps)
    return editing.with_preset(None, request, 16)


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    place = Place(tmp_path)
    yield place
    assert place.pipeline.gate is not None
    place.pipeline.gate.set()
    place.studio.jobs.close()


def test_both_sides_run_with_the_panel_s_seed_and_are_shown(place: Place) -> None:
    jobs = place.compare("canvas:", "preset:pyramid")
    runs = place.end(jobs)
    assert [run.status for run in runs] == [Status.DONE] * 2
    recipes = [run.about.unpack()[1] for run in runs]
    assert recipes == [PANEL, PANEL]
    value = compared_value(runs)
    assert value["text"] == "Both with sky, seed 7, guidance 1.5, coherence 2, DPM-Solver++ (2M)."
    assert [side["title"] for side in value["sides"]] == ["Generate", "Pyramid"]
    clips = [read_frames(run.result.frames) for run in runs]
    wanted = difference(*clips).mean
    assert value["difference"]["mean"] == pytest.approx(wanted, abs=0.006)
    assert value["frames"] == 4 and value["fps"] == 8


def test_a_run_of_the_same_order_is_used_again(place: Place) -> None:
    first = place.compare("canvas:", "preset:pyramid")
    assert place.compare("preset:pyramid", "canvas:") == first[::-1]  # also while they wait
    place.end(first)
    assert place.compare("canvas:", "preset:pyramid") == first
    assert place.listed() == first
    assert place.listed(BOB) == []
    assert set(place.compare("canvas:", "preset:pyramid", BOB)).isdisjoint(first)


def test_a_picture_that_no_frame_starts_from_makes_no_other_order(place: Place) -> None:
    first = place.compare("canvas:", "preset:pyramid")
    picture = KeyframeValue(frame=1, file=FileData(path="other.png"))
    with_picture = painting().model_copy(update={"keyframes": [picture]})
    assert place.compare("canvas:", "preset:pyramid", canvas=with_picture) == first
    kept, other = (
        painting("image-to-video").model_copy(update={"keyframes": [each]})
        for each in (KeyframeValue(frame=0, file=FileData(path=path)) for path in ("a", "b"))
    )
    assert place.studio.order(kept, PANEL).key != place.studio.order(other, PANEL).key


def test_without_a_model_an_earlier_run_is_refused_in_words(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    jobs = place.end(place.compare("canvas:", "preset:pyramid"))
    studio = Studio(_no_model, place.studio.outputs, None)
    with pytest.raises(RequestError, match="There is no model"):
        run_of(studio, jobs[0].job, ANN)
    studio.jobs.close()


def _no_model() -> Any:
    raise ValueError("There is no model.")


def test_a_run_that_was_stopped_is_made_anew(place: Place) -> None:
    jobs = place.compare("canvas:", "preset:pyramid")
    place.studio.jobs.remove(jobs[1], owner=ANN)
    again = place.compare("canvas:", "preset:pyramid")
    assert again[0] == jobs[0] and again[1] != jobs[1]


def test_a_run_brings_its_settings_to_the_other_side(place: Place) -> None:
    asked = GenerateRequest(seed=99, solver="ddim", fps=12)
    job = place.studio.submit(painting(), asked, ANN)
    jobs = place.compare("preset:pyramid", f"run:{job}")
    assert jobs[1] == job
    runs = place.end(jobs)
    assert [run.about.unpack()[1] for run in runs] == [asked, asked]
    assert compared_value(runs)["fps"] == 12


def test_two_lengths_are_compared_and_said(place: Place) -> None:
    job = place.studio.submit(painting(frames=6), PANEL, ANN)
    value = compared_value(place.end(place.compare(f"run:{job}", "canvas:")))
    assert value["text"].startswith("The first 4 frames of both.") and value["frames"] == 4


def test_a_run_from_before_a_restart_is_compared_without_making_it_anew(
    place: Place, tmp_path: Path
) -> None:
    jobs = place.compare("canvas:", "preset:pyramid")
    wanted = compared_value(place.end(jobs))
    restarted = Studio(lambda: place.pipeline, Outputs(tmp_path / "outputs"), None)
    restarted.model.get()
    try:
        sides = {side: {"kind": "run", "name": job} for side, job in zip("ab", jobs, strict=True)}
        both = orders(restarted, Choices.model_validate(sides), painting(), PANEL, ANN)
        assert submit_both(restarted, both, ANN, again=True) == jobs
        assert compared_value([run_of(restarted, job, ANN) for job in jobs]) == wanted
        assert not restarted.jobs.runs_of(ANN)
        with pytest.raises(RequestError, match="no longer listed"):
            run_of(restarted, jobs[0], BOB)
        # what is gone is only made anew where that was asked for
        sides["b"] = {"kind": "preset", "name": "diagonal"}
        both = orders(restarted, Choices.model_validate(sides), painting(), PANEL, ANN)
        with pytest.raises(RequestError, match="no longer there"):
            submit_both(restarted, both, ANN, again=True)
        first, second = submit_both(restarted, both, ANN)
        assert first == jobs[0] and second not in jobs
    finally:
        restarted.jobs.close()


@pytest.mark.parametrize("listed", [True, False])
def test_a_whole_run_of_another_model_is_compared_as_it_is(
    place: Place, tmp_path: Path, listed: bool
) -> None:
    """So that two models can be told apart: the same timeline and seed by both."""
    asked = PANEL.model_copy(update={"seed": 41})
    before = place.studio.submit(painting(), asked, ANN)
    place.end([before])
    if not listed:
        place.studio.jobs.remove(before, owner=ANN)  # it is in the history
    place.pipeline.model_hash = "f" * 16
    place.pipeline.card = replace(place.pipeline.card, name="Later")
    jobs = place.compare("canvas:", f"run:{before}")
    assert jobs[1] == before != jobs[0]
    runs = [*place.end(jobs[:1]), run_of(place.studio, before, ANN)]
    assert [run.about.model_hash for run in runs] == ["f" * 16, "0123456789abcdef"]
    assert [run.about.unpack()[1].seed for run in runs] == [41, 41]
    value = compared_value(runs)
    name = "Test <b>worlds</b>"
    assert value["text"].startswith(f"A is by Later. B is by {name}. Both with sky, seed 41")
    assert [side["title"] for side in value["sides"]] == [
        "Generate · Later",
        f"Generate · {name}",
    ]
    # a checkpoint of the same name
    place.pipeline.card = replace(place.pipeline.card, name=name)
    place.pipeline.model_hash = "e" * 16
    jobs = place.compare(f"run:{before}", "canvas:")
    runs = [run_of(place.studio, before, ANN), *place.end(jobs[1:])]
    assert compared_value(runs)["text"].startswith(f"A is by {name} (01234567). B is by {name} (ee")
    # one that was stopped is made anew by the present model
    stopped = place.studio.outputs.find(ANN, before)
    recipe = json.loads(stopped.recipe.read_text()) | {"stopped_after_step": 1}
    stopped.recipe.write_text(json.dumps(recipe))
    if not listed:
        assert before not in place.compare(f"run:{before}", "preset:pyramid")
        with pytest.raises(RequestError, match="Both sides are the same"):
            place.compare(f"run:{before}", "canvas:")


def test_what_cannot_be_compared_is_refused_and_nothing_is_queued(place: Place) -> None:
    with pytest.raises(RequestError, match="Both sides are the same"):
        place.compare("canvas:", "preset:standard")
    with pytest.raises(RequestError, match="unknown preset"):
        place.compare("canvas:", "preset:nonsense")
    with pytest.raises(RequestError, match="start below full noise and have no picture"):
        place.compare("canvas:", "preset:interpolation")
    other = place.studio.submit(painting(), PANEL, BOB)
    with pytest.raises(RequestError, match="no longer listed"):
        place.compare("canvas:", f"run:{other}")
    assert place.listed() == []


def test_choices_are_checked() -> None:
    side = {"kind": "canvas", "name": ""}
    for wrong in ({}, {"a": side}, {"a": side, "b": {"kind": "path", "name": "/etc/passwd"}}):
        with pytest.raises(ValidationError):
            Choices.model_validate(wrong)


def test_frames_that_are_gone_are_said(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no longer on disk"):
        read_frames([tmp_path / "0001.png"])
    with pytest.raises(ValueError, match="no longer on disk"):
        read_frames([])
