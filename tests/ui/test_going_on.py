"""A run goes on from what its session's earlier runs have walked, and gives what it would give."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fake import example_pictures
from tiny import save_tiny

from fvdm_core import Pipeline
from fvdm_core.media import load_image
from ui import editing
from ui.jobs import Snapshot, Work
from ui.orders import rows_of, shared_steps
from ui.outputs import Outputs
from ui.registry import JobRegistry
from ui.requests import EditorValue, GenerateRequest, KeyframeValue, PresetRequest
from ui.rewind import Rewind
from ui.saved import new_name
from ui.service import Studio
from ui.watching import progress_value

ANN, BOB = new_name(), new_name()
STEPS = 6


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny(tmp_path_factory.mktemp("model") / "tiny")


class Place:
    """A studio with a small real model; `calls` counts the frames that its network was given."""

    def __init__(self, model: Path, folder: Path) -> None:
        self.pipeline = Pipeline.from_pretrained(model, device="cpu")
        self.calls: list[int] = []
        self.pipeline.model.register_forward_pre_hook(lambda _, x: self.calls.append(1))
        self.studio = Studio(
            lambda: self.pipeline, Outputs(folder / "outputs"), folder / "examples"
        )
        self.studio.model.get()

    def run(
        self, editor: EditorValue, session: str = ANN, stop_at: int | None = None, **asked: Any
    ) -> Snapshot:
        """A whole run, or one that is stopped after a step."""
        prepared = self.studio.prepare(editor, GenerateRequest(**asked), session)
        walk = prepared.work.states

        def stopping() -> Iterator[Any]:
            for state in walk():
                if state.step == stop_at:
                    self.studio.jobs.stop(prepared.job, owner=session)
                yield state

        object.__setattr__(prepared.work, "states", stopping)
        self.calls.clear()
        job = self.studio.enqueue(prepared, session)
        end = time.monotonic() + 120
        while not (snapshot := self.studio.jobs.get(job)).status.over:  # type: ignore[union-attr]
            assert time.monotonic() < end
            time.sleep(0.005)
        assert snapshot is not None
        return snapshot

    def cost(self, editor: EditorValue, session: str = ANN, **asked: Any) -> tuple[int, str]:
        line = self.studio.summary(editor, GenerateRequest(**asked), session)[1]
        assert line["kind"] == "cost"
        return line.get("known", 0), line["text"]


@pytest.fixture
def place(model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Place]:
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path / "uploads"))
    example_pictures(tmp_path / "examples")
    place = Place(model, tmp_path)
    yield place
    place.studio.jobs.close()


def painting(steps: int = STEPS, name: str = "standard") -> EditorValue:
    return editing.with_preset(None, PresetRequest(name=name, frames=16, steps=steps), 16)


def painted(editor: EditorValue, row: int, level: int = 123) -> EditorValue:
    """The same with another level in a row."""
    levels = [list(levels) for levels in editor.levels]
    levels[row][3] = level
    return editor.model_copy(update={"levels": levels})


def frames(snapshot: Snapshot) -> list[np.ndarray]:
    return [load_image(path, (8, 8)) for path in snapshot.result.frames]


def test_a_repainted_run_takes_only_the_steps_that_are_new(place: Place, tmp_path: Path) -> None:
    first = place.run(painting())
    assert first.first == 0 and len(place.calls) == STEPS
    again = place.run(painted(painting(), row=5))
    assert (again.first, len(place.calls), again.steps) == (4, 2, STEPS)
    assert progress_value(again)["text"] == "Done · went on from step 4"
    assert progress_value(first)["text"] == "Done"

    fresh = place.run(painted(painting(), row=5), BOB)  # of somebody else, who sees no run of Ann's
    assert fresh.first == 0 and len(place.calls) == STEPS
    for ours, theirs in zip(frames(again), frames(fresh), strict=True):
        assert np.array_equal(ours, theirs)
    assert not np.array_equal(frames(again), frames(first))

    rewind = place.studio.jobs.rewind(again.job, owner=ANN)
    assert rewind is not None
    rows = [state.levels.tolist() for state in rewind.until(STEPS)]
    assert rows == painted(painting(), row=5).levels  # one may go back to what it took over


def test_a_run_that_was_stopped_is_gone_on_with(place: Place) -> None:
    stopped = place.run(painting(), stop_at=3)
    assert stopped.status.value == "stopped" and stopped.step == 3
    assert place.cost(painting()) == (3, "3 model calls · steps 1–3 known from a run before")
    whole = place.run(painting())
    assert whole.first == 3 and len(place.calls) == 3 and whole.step == STEPS
    assert np.array_equal(frames(whole), frames(place.run(painting(), BOB)))
    once_more = place.run(painting())
    assert once_more.first == STEPS and not place.calls and once_more.status.value == "done"
    assert np.array_equal(frames(once_more), frames(whole))


def test_the_cost_says_what_is_known_already(place: Place) -> None:
    assert place.cost(painting()) == (0, "6 model calls")
    place.run(painting(), label="sky", cfg_scale=2.0, seed=5)
    asked = {"label": "sky", "cfg_scale": 2.0, "seed": 5}
    known, text = place.cost(painting(), **asked)
    assert known == STEPS
    assert text == "Every step is known from a run before: the same clip needs no computing"
    known, text = place.cost(painted(painting(), row=2), **asked)
    assert known == 1 and text.startswith("5 model calls (10 predictions with guidance) · less")
    assert text.endswith(" · step 1 known from a run before")
    assert place.cost(painted(painting(), row=1), **asked)[0] == 0
    assert place.cost(painting(), BOB, **asked)[0] == 0
    assert place.cost(painting(), "", **asked)[0] == 0
    for other in ({"seed": 6}, {"label": "faces"}, {"cfg_scale": 1.0}, {"solver": "ddim"}):
        assert place.cost(painting(), **asked | other)[0] == 0
    assert place.cost(painting(), **asked, fps=3, splice_exact=True)[0] == STEPS
    assert place.cost(painting(), **asked, step_cache=0.1)[0] == 0
    place.studio.jobs.forget_states()
    assert place.cost(painting(), **asked)[0] == 0


def test_other_pictures_are_another_run(place: Place) -> None:
    one, other = (example.file for example in place.studio.examples.examples)

    def with_picture(file: Any, fit: Any = "crop") -> EditorValue:
        editor = painting(name="image-to-video")
        keyframes = [KeyframeValue(frame=0, file=file, fit=fit)]
        return editor.model_copy(update={"keyframes": keyframes})

    place.run(with_picture(one))
    assert place.cost(with_picture(one))[0] == STEPS
    assert place.cost(with_picture(other))[0] == 0
    assert place.cost(with_picture(one, "stretch"))[0] == 0
    place.run(with_picture(other))
    assert len(place.calls) == STEPS


def test_nothing_is_known_of_runs_with_step_caching_or_in_another_process(place: Place) -> None:
    place.run(painting(), step_cache=0.2)
    assert place.cost(painting(), step_cache=0.2)[0] == 0
    assert place.run(painting(), step_cache=0.2).first == 0
    place.run(painting())
    place.studio.lent = True
    assert place.cost(painting())[0] == 0


def test_rows_are_alike_as_long_as_all_that_bears_on_them_is() -> None:
    request, editor = GenerateRequest(), painting()
    rows = rows_of(editor, request, 16, "model")
    assert len(set(rows)) == STEPS + 1
    assert shared_steps(rows, rows) == STEPS
    for row in range(STEPS + 1):
        other = rows_of(painted(editor, row), request, 16, "model")
        assert shared_steps(rows, other) == row - 1
        assert shared_steps(rows, rows[:row]) == row - 1
    assert shared_steps(rows, rows_of(editor, request, 16, "another")) == -1
    windows = [[{"frames": list(range(16)), "updates": list(range(16))}]] * STEPS
    split = [
        {"frames": list(range(8 * k, 8 * k + 8)), "updates": list(range(8 * k, 8 * k + 8))}
        for k in range(2)
    ]
    ours = rows_of(EditorValue(levels=editor.levels, windows=windows), request, 16, "model")
    windows = [*windows[:4], split, split]
    theirs = rows_of(EditorValue(levels=editor.levels, windows=windows), request, 16, "model")
    assert shared_steps(ours, theirs) == 4
    assert shared_steps(ours, rows) == STEPS  # one window of all is what there is without any


@pytest.mark.parametrize("seed", range(12))
def test_the_page_and_the_library_agree_on_what_is_shared(seed: int) -> None:
    """Else the cost promises steps that a run takes all the same."""
    rng = np.random.default_rng(seed)
    frames, window = 12, 8

    def halves(size: int) -> list[dict[str, list[int]]]:
        starts = range(0, frames, size)
        parts = [list(range(start, min(frames, start + size))) for start in starts]
        return [{"frames": part, "updates": part} for part in parts]

    levels = np.sort(rng.integers(0, 1001, (STEPS + 1, frames)), axis=0)[::-1].tolist()
    windows = [halves(int(size)) for size in rng.choice([4, 6, 12], STEPS)]
    prior = str(rng.choice(["independent", "shuffled", "mixed"]))
    one = EditorValue(levels=levels, windows=windows, prior=prior)
    changed = [list(row) for row in levels]
    changed[int(rng.integers(1, STEPS + 1))][3] = 0
    regrouped = [*windows[:-1], halves(int(rng.choice([2, 6, 12])))]
    for other in (
        EditorValue(levels=changed, windows=windows, prior=prior),
        EditorValue(levels=levels, windows=regrouped, prior=prior),
        EditorValue(levels=levels[: STEPS - 1], windows=windows[: STEPS - 2], prior=prior),
        EditorValue(levels=levels, prior=prior),
        EditorValue(levels=levels, windows=windows, prior="progressive"),
    ):
        rows = [rows_of(each, GenerateRequest(), window, "model") for each in (one, other)]
        mine, theirs = (each.timeline().with_windows(window) for each in (one, other))
        assert shared_steps(*rows) == mine.shared_steps(theirs)


class Slow:
    """States from a step on, each of which takes a while; what is kept of them says which run."""

    def __init__(self, first: int, run: str) -> None:
        self.first, self.run = first, run

    def states(self) -> Iterator[Any]:
        for step in range(self.first, 11):
            time.sleep(0.02 if step > self.first else 0)
            yield _State(step, self.run)


class _State:
    def __init__(self, step: int, run: str) -> None:
        self.step, self.run, self.nbytes = step, run, 10
        self.levels = [1000 - step]
        self.preview = np.zeros((1, 8, 8, 3), np.uint8)

    def light(self) -> _State:
        return self


def test_what_a_call_takes_is_measured_on_the_steps_that_were_taken() -> None:
    registry, learned = JobRegistry(), []

    def done(first: int, earlier: Any = tuple) -> Rewind:
        slow = Slow(first, f"from {first}")
        ended = threading.Event()
        work = Work(
            slow.states,
            lambda *_: ended.set(),
            [100] * 6 + [1] * 4,  # of the first steps there are many more
            frames=1,
            learned=learned.append,
            earlier=earlier,
        )
        job = registry.submit(work, owner="me", about=first)
        assert ended.wait(60)
        return registry.rewind(job, owner="me")  # type: ignore[return-value]

    try:
        rewind = done(6, lambda: [_State(step, "before") for step in range(9)])
        assert 0.02 < learned[0] < 0.2
        kept = [(state.step, state.run) for state in rewind.until(10)]  # type: ignore[attr-defined]
        assert kept == [(step, "before" if step < 6 else "from 6") for step in range(11)]
        done(10, lambda: [_State(step, "before") for step in range(11)])
        assert len(learned) == 1  # nothing was computed
    finally:
        registry.close()


def test_of_several_runs_the_one_that_went_furthest_along_is_gone_on_from() -> None:
    registry = JobRegistry()
    try:
        for run, shares in (("a", 3), ("b", 7), ("c", 5)):
            ended = threading.Event()
            work = Work(Slow(0, run).states, lambda *_, e=ended: e.set(), [0] * 10, frames=1)
            registry.submit(work, owner="me", about=shares)
            assert ended.wait(60)
        found: list[Any] = registry.earlier("me", lambda about: about)
        assert [(state.step, state.run) for state in found] == [(step, "b") for step in range(8)]
        assert registry.earlier("you", lambda about: about) == []
        assert registry.earlier("me", lambda about: 0) == []  # row 0 alone saves nothing
    finally:
        registry.close()
