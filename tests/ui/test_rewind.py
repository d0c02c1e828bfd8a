"""Going back over a run: what is kept of it, within which room, and who gets to see it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from fake import FakePipeline, FakeState

from fvdm_core.options import RunOptions
from fvdm_core.timeline import Timeline
from ui import registry
from ui.jobs import Work
from ui.refusals import RequestError, checked
from ui.registry import JobRegistry
from ui.requests import LookRequest
from ui.rewind import Rewind
from ui.watching import rows_value

TIMELINE = Timeline.preset("standard", frames=4, steps=12)


def states() -> list[FakeState]:
    return list(FakePipeline().stream(TIMELINE, {}, RunOptions(seed=3)))


def work(pause: float = 0.0) -> Work:
    def walk() -> Iterator[Any]:
        for state in states():
            time.sleep(pause)
            yield state

    return Work(walk, lambda state, stopped: "files", [1] * 12, TIMELINE.frames)


def wait(jobs: JobRegistry, job: str) -> None:
    deadline = time.monotonic() + 180
    while not jobs.get(job).status.over:  # type: ignore[union-attr]
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.fixture
def jobs() -> Iterator[JobRegistry]:
    jobs = JobRegistry()
    yield jobs
    jobs.close()


def test_every_row_of_a_run_can_be_seen_afterwards_in_both_views(jobs: JobRegistry) -> None:
    job = jobs.submit(work(), owner="me")
    wait(jobs, job)
    rewind = jobs.rewind(job, owner="me")
    assert rewind is not None
    for state in states():
        kept = rewind.nearest(state.step)
        assert kept is not None and kept.step == state.step
        assert np.array_equal(kept.preview, state.preview)
        assert np.array_equal(kept.noisy, 255 - state.preview)
    rows = rows_value(LookRequest(job=job, view="noisy", steps=[7, 3, 7]), rewind)
    assert [row["step"] for row in rows["rows"]] == [3, 7] and rows["job"] == job
    assert rows["rows"][0]["levels"] == TIMELINE.levels[3].tolist()
    assert rows["rows"][0]["sheet"].startswith("data:image/jpeg") and rows["rows"][0]["tile"] == [
        16,
        16,
    ]


def test_another_session_sees_nothing(jobs: JobRegistry) -> None:
    job = jobs.submit(work(0.02), owner="me")
    jobs.show(job, "noisy", owner="you")
    assert jobs.rewind(job, owner="you") is None and jobs.rewind("x", owner="me") is None
    wait(jobs, job)
    assert jobs.get(job).preview.view == "clean"  # type: ignore[union-attr]


def test_previews_show_the_chosen_view(jobs: JobRegistry) -> None:
    job = jobs.submit(work(0.02), owner="me")
    jobs.show(job, "noisy", owner="me")
    wait(jobs, job)
    assert jobs.get(job).preview.view == "noisy"  # type: ignore[union-attr]


@dataclass
class Large:
    step: int
    nbytes: int = 10

    def light(self) -> Large:
        return self


def test_a_long_run_is_kept_coarsely_and_within_its_room() -> None:
    rewind = Rewind(budget=100)
    for step in range(1000):
        rewind.add(Large(step))
    assert rewind.nbytes <= 100
    assert rewind.nearest(0).step == 0  # type: ignore[union-attr]
    found = [rewind.nearest(step).step for step in range(0, 1000, 50)]  # type: ignore[union-attr]
    assert all(abs(found[k] - 50 * k) <= 128 for k in range(20)) and len(set(found)) >= 5
    rewind = Rewind(budget=5)  # not even one
    rewind.add(Large(0))
    rewind.add(object())  # of another pipeline: it cannot be kept
    assert rewind.nearest(0) is None


def test_what_is_looked_at_is_not_kept() -> None:
    """It may take ten times what is counted."""
    rewind = Rewind()
    rewind.add(Large(0))
    looked = rewind.nearest(0)
    looked.pictures = 1  # type: ignore[union-attr]
    assert not hasattr(rewind.nearest(0), "pictures")


def test_runs_that_are_over_share_a_room(
    jobs: JobRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    size = sum(state.nbytes for state in states())
    monkeypatch.setattr(registry, "REWIND_BUDGET", 2 * size)
    ids = []
    for _ in range(4):
        ids.append(jobs.submit(work(), owner="me"))
        wait(jobs, ids[-1])
    jobs.submit(work(), owner="me")
    kept = [jobs.rewind(job, owner="me").nearest(0) is not None for job in ids]  # type: ignore[union-attr]
    assert kept == [False, False, True, True]


@pytest.mark.parametrize(
    "asked",
    [
        {"job": "j", "view": "x"},
        {"job": "j", "view": "clean", "steps": [0] * 9},
        {"job": "j", "view": "clean", "steps": [-1]},
        {"job": "j" * 99, "view": "clean"},
        {"job": "j", "view": "clean", "path": "/etc"},
    ],
)
def test_bad_requests_are_refused(asked: dict[str, Any]) -> None:
    with pytest.raises(RequestError):
        checked(lambda: LookRequest(**asked))
