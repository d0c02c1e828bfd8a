"""Jobs: order, previews only when watched, stopping, failing, forgetting, finding again."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from fake import on_its_own_loop

from ui.jobs import PREVIEW_SHARE, Job, Snapshot, Status, Work
from ui.registry import HasBegun, JobRegistry, QueueFull

PATIENCE = 120.0  # seconds; a busy machine takes long for everything


@dataclass
class FakeState:
    step: int
    levels: list[int]
    made: list[int]

    @property
    def preview(self) -> np.ndarray:
        self.made.append(self.step)
        return np.full((4, 8, 8, 3), self.step, np.uint8)


class Recorder:
    """A run of `steps` states that waits at `gate` before each step and notes what happens."""

    def __init__(self, steps: int = 5, gate: threading.Event | None = None, pause: float = 0.0):
        self.steps, self.gate, self.pause = steps, gate, pause
        self.reached: list[int] = []
        self.previews: list[int] = []
        self.closed = False
        self.finished: list[tuple[int, bool]] = []

    def states(self) -> Iterator[FakeState]:
        try:
            for step in range(self.steps + 1):
                if step and self.gate is not None:
                    assert self.gate.wait(PATIENCE)
                time.sleep(self.pause)
                self.reached.append(step)
                yield FakeState(step, [1000 - step] * 4, self.previews)
        finally:
            self.closed = True

    def finish(self, state: FakeState, stopped: bool) -> str:
        self.finished.append((state.step, stopped))
        return f"result {state.step}"

    def work(self, **more: Any) -> Work:
        return Work(self.states, self.finish, [1] * self.steps, frames=4, **more)


@pytest.fixture
def registry() -> Iterator[JobRegistry]:
    registry = JobRegistry(max_waiting=2)
    yield registry
    registry.close()


def wait_for(
    registry: JobRegistry, job: str, *wanted: Status, seconds: float = PATIENCE
) -> Snapshot:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        snapshot = registry.get(job)
        assert snapshot is not None
        if snapshot.status in (wanted or (Status.DONE, Status.STOPPED, Status.FAILED)):
            return snapshot
        time.sleep(0.005)
    raise AssertionError(f"still {snapshot}")


def test_a_run_ends_with_its_result_and_the_last_preview(registry: JobRegistry) -> None:
    run = Recorder()
    end = wait_for(registry, registry.submit(run.work()))
    assert (end.status, end.step, end.steps, end.result) == (Status.DONE, 5, 5, "result 5")
    assert end.levels == (995,) * 4
    assert end.preview is not None and end.preview.sheet.frames == 4
    assert (end.preview.step, end.preview.levels) == (5, end.levels)
    assert run.finished == [(5, False)] and run.closed


def test_ids_are_long_and_differ(registry: JobRegistry) -> None:
    ids = set()
    for _ in range(5):
        ids.add(job := registry.submit(Recorder(1).work()))
        wait_for(registry, job)
    assert len(ids) == 5 and all(len(job) >= 22 for job in ids)
    assert registry.get("x") is None and registry.get({"a": 1}) is None
    assert registry.stop("x") is False


def test_jobs_run_one_at_a_time_in_order_and_the_queue_is_bounded(registry: JobRegistry) -> None:
    gate = threading.Event()
    runs = [Recorder(2, gate) for _ in range(3)]
    first = registry.submit(runs[0].work())
    wait_for(registry, first, Status.RUNNING)
    second, third = (registry.submit(run.work()) for run in runs[1:])
    with pytest.raises(QueueFull, match="queue is full"):
        registry.submit(Recorder().work())
    waiting = registry.get(third)
    assert waiting is not None and (waiting.status, waiting.ahead) == (Status.QUEUED, 2)
    assert runs[1].reached == []
    gate.set()
    for job in (first, second, third):
        assert wait_for(registry, job).status is Status.DONE


def test_stop_ends_within_one_step_and_keeps_the_partial_result(registry: JobRegistry) -> None:
    gate = threading.Event()
    run = Recorder(50, gate)
    job = registry.submit(run.work())
    wait_for(registry, job, Status.RUNNING)
    assert registry.stop(job)
    assert run.reached in ([], [0])  # asking does not wait for the step, which is held up
    gate.set()
    end = wait_for(registry, job)
    assert end.status is Status.STOPPED
    assert run.reached[-1] <= 1 and run.closed
    assert run.finished == [(run.reached[-1], True)]
    assert end.result == f"result {run.reached[-1]}" and end.preview is not None
    assert end.preview.step == end.step
    assert wait_for(registry, registry.submit(Recorder().work())).status is Status.DONE


def test_a_queued_job_is_stopped_at_once(registry: JobRegistry) -> None:
    gate = threading.Event()
    first = registry.submit(Recorder(1, gate).work())
    wait_for(registry, first, Status.RUNNING)
    run = Recorder()
    second = registry.submit(run.work())
    assert registry.stop(second)
    stopped = registry.get(second)
    assert stopped is not None and stopped.status is Status.STOPPED and run.reached == []
    gate.set()
    wait_for(registry, first)


@pytest.mark.parametrize(
    ("error", "says"),
    [
        (ValueError("frame 3 became NaN at step 2"), "frame 3 became NaN at step 2"),
        (MemoryError(), "not enough memory for 4 frames of 8×8"),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory: 9 bytes"), "not enough memory"),
        (KeyError("/home/someone/secret"), "KeyError"),
    ],
)
def test_an_error_fails_this_job_only_and_shows_no_paths(
    registry: JobRegistry, error: Exception, says: str
) -> None:
    def states() -> Iterator[FakeState]:
        yield FakeState(0, [1000] * 4, [])
        raise error

    job = registry.submit(Work(states, lambda *_: None, [1] * 3, frames=4, size="4 frames of 8×8"))
    end = wait_for(registry, job)
    assert end.status is Status.FAILED and says in end.message and "/home" not in end.message
    assert wait_for(registry, registry.submit(Recorder().work())).status is Status.DONE


def test_nobody_watching_means_no_previews_but_the_last(registry: JobRegistry) -> None:
    gate = threading.Event()
    run = Recorder(20, gate)
    job = registry.submit(run.work())
    wait_for(registry, job, Status.RUNNING)
    registry._jobs[job].watched_at -= 60
    gate.set()
    wait_for(registry, job)
    assert run.previews in ([20], [0, 20])  # the first may come before the clock is set back


def test_previews_are_throttled(registry: JobRegistry) -> None:
    run = Recorder(60, pause=0.01)
    before = time.monotonic()
    wait_for(registry, registry.submit(run.work()))
    seconds = time.monotonic() - before
    assert 3 <= len(run.previews) <= seconds * 10 + 4


def test_previews_take_their_share_of_the_time_and_no_more(monkeypatch: Any) -> None:
    clock, took, made = [0.0], 0.085, 0.15  # what a preview and a step of the default model take

    class State(FakeState):
        @property
        def preview(self) -> np.ndarray:
            clock[0] += took
            return super().preview

    def states() -> Iterator[State]:
        for step in range(31):
            job.look()
            yield State(step, [1000 - step] * 4, previews)
            clock[0] += made

    previews: list[int] = []
    monkeypatch.setattr("ui.jobs.time", SimpleNamespace(monotonic=lambda: clock[0]))
    job = Job(Work(states, lambda state, stopped: None, [1] * 30, frames=4), "shown")
    job.run(unwatched_limit=1e9)
    assert job.snapshot.status is Status.DONE
    assert previews[:2] == [0, 1] and previews[-1] == 30
    seconds, showing = clock[0] - made, took * (len(previews) - 1)  # the last one is always made
    assert PREVIEW_SHARE * seconds - 2 * took < showing <= PREVIEW_SHARE * seconds
    assert max(np.diff(previews[1:])) <= 15  # spread over the run


def test_follow_sees_it_through_and_finds_a_finished_run_again(registry: JobRegistry) -> None:
    run = Recorder(10, pause=0.01)
    job = registry.submit(run.work())

    async def watch() -> list[Snapshot]:
        return [snapshot async for snapshot in registry.follow(job, interval=0.005)]

    seen = on_its_own_loop(watch())
    assert seen[-1].status is Status.DONE
    assert [s.step for s in seen] == sorted(s.step for s in seen)
    again = on_its_own_loop(watch())
    assert len(again) == 1 and again[0].result == "result 10"


def test_the_eta_counts_model_calls_not_steps(registry: JobRegistry) -> None:
    gate = threading.Event()
    run = Recorder(4, gate)
    work = Work(run.states, run.finish, [1, 0, 0, 3], frames=4, seconds_per_call=2.0)
    job = registry.submit(work)
    until = time.monotonic() + PATIENCE
    while (snapshot := registry.get(job)) and not snapshot.levels and time.monotonic() < until:
        time.sleep(0.005)
    assert snapshot is not None and snapshot.eta == pytest.approx(8.0)
    gate.set()
    wait_for(registry, job)


def test_what_a_call_takes_is_learned_from_whole_runs(registry: JobRegistry) -> None:
    learned: list[float] = []
    run = Recorder(10, pause=0.01)
    before = time.monotonic()
    wait_for(registry, registry.submit(run.work(learned=learned.append)))
    assert len(learned) == 1 and 0.009 < learned[0] < time.monotonic() - before


@pytest.mark.parametrize(("stop_at", "expected"), [(None, [1.0]), (2, [])])
def test_neither_what_comes_before_a_run_nor_a_stopped_one_says_what_a_call_takes(
    monkeypatch: Any, stop_at: int | None, expected: list[float]
) -> None:
    clock, learned = [0.0], list[float]()

    def states() -> Iterator[FakeState]:
        clock[0] += 100  # loading
        for step in range(4):
            if step == stop_at:
                job.stopping.set()
            yield FakeState(step, [1000 - step] * 4, [])
            clock[0] += 1

    monkeypatch.setattr("ui.jobs.time", SimpleNamespace(monotonic=lambda: clock[0]))
    work = Work(states, lambda *_: None, [1] * 3, frames=4, learned=learned.append)
    job = Job(work, "timed")
    job.run(unwatched_limit=1e9)
    assert job.snapshot.status.over and learned == expected


def test_old_jobs_are_forgotten_by_count_and_by_age() -> None:
    registry = JobRegistry(max_kept=3)
    jobs = []
    for _ in range(6):
        jobs.append(registry.submit(Recorder(1).work()))
        wait_for(registry, jobs[-1])
    assert [registry.get(job) is not None for job in jobs] == [False] * 3 + [True] * 3
    registry.max_age = 0
    registry.submit(Recorder(1).work())
    assert all(registry.get(job) is None for job in jobs)
    registry.close()


def test_what_ends_last_is_forgotten_last_whenever_it_was_queued() -> None:
    registry = JobRegistry(max_kept=2)
    gate = threading.Event()
    first = registry.submit(Recorder(1, gate=gate).work(), owner="me")
    moved, *others = [registry.submit(Recorder(1).work(), owner="me") for _ in range(4)]
    assert registry.move(moved, len(others), owner="me")
    gate.set()
    wait_for(registry, moved)
    until = time.monotonic() + PATIENCE
    while registry.get(others[0]) and time.monotonic() < until:
        time.sleep(0.005)
    assert registry.get(moved) and not registry.get(first)
    registry.close()


def test_a_run_that_nobody_looks_at_ends_and_keeps_what_it_has() -> None:
    registry = JobRegistry(unwatched_limit=0.06)
    run = Recorder(1000, pause=0.005)
    end = wait_for(registry, registry.submit(run.work()))
    assert end.status is Status.STOPPED and end.result is not None and end.step < 1000
    why = "Nobody looked at it for 0.001 minutes."
    assert end.message == f"Stopped after step {end.step} of 1000. {why}"
    registry.close()


def test_a_run_that_takes_longer_than_it_may_ends_and_says_so() -> None:
    registry = JobRegistry(run_limit=0.06)
    end = wait_for(registry, registry.submit(Recorder(1000, pause=0.005).work()))
    assert end.status is Status.STOPPED and end.result is not None and end.step < 1000
    assert (
        end.message == f"Stopped after step {end.step} of 1000. A run may take 0.001 minutes here."
    )
    quick = wait_for(registry, registry.submit(Recorder(1).work()))
    assert quick.status is Status.DONE  # its turn is its own
    registry.close()


def test_closing_ends_the_running_job() -> None:
    registry = JobRegistry()
    run = Recorder(1000, pause=0.005)
    job = registry.submit(run.work())
    wait_for(registry, job, Status.RUNNING)
    registry.close()
    end = registry.get(job)
    assert end is not None and end.status is Status.STOPPED


# ── Owners and their lines ───────────────────────────────────────────────────────────────────


class Held:
    """A registry whose worker is held up by a run of nobody's, so that lines can be looked at."""

    def __init__(self, **limits: int) -> None:
        self.registry = JobRegistry(**limits)  # type: ignore[arg-type]
        self.gate = threading.Event()
        self.order: list[str] = []
        self.blocker = self.registry.submit(Recorder(5, self.gate).work())
        wait_for(self.registry, self.blocker, Status.RUNNING)

    def queue(self, owner: str, name: str) -> str:
        return self.registry.submit(self.work(name), owner=owner, about=name)

    def work(self, name: str, steps: int = 1) -> Work:
        def states() -> Iterator[FakeState]:
            self.order.append(name)
            yield from Recorder(steps).states()

        return Work(states, lambda *_: name, [1] * steps, frames=4)

    def names(self, owner: str) -> list[str]:
        return [snapshot.about for snapshot in self.registry.runs_of(owner)]

    def finish(self, *jobs: str) -> list[str]:
        self.gate.set()
        for job in (self.blocker, *jobs):
            wait_for(self.registry, job)
        return self.order


@pytest.fixture
def held() -> Iterator[Held]:
    held = Held()
    yield held
    held.gate.set()
    held.registry.close()


def test_owners_take_turns_and_see_how_many_are_before_them(held: Held) -> None:
    jobs = [held.queue("ann", f"a{n}") for n in range(3)] + [held.queue("bob", "b0")]
    ahead = [snapshot.ahead for job in jobs if (snapshot := held.registry.get(job))]
    assert ahead == [1, 3, 4, 2]
    assert held.finish(*jobs) == ["a0", "b0", "a1", "a2"]


def test_an_owner_sees_and_touches_their_own_runs_only(held: Held) -> None:
    mine, other = held.queue("ann", "mine"), held.queue("bob", "other")
    assert held.names("ann") == ["mine"] and held.names("cy") == []
    assert not held.registry.move(other, 0, owner="ann")
    assert not held.registry.remove(other, owner="ann")
    assert not held.registry.stop(other, owner="ann")
    assert not held.registry.stop(held.blocker, owner="ann")
    with pytest.raises(HasBegun, match="Generate queues your changes"):
        held.registry.renew(other, held.work("stolen"), owner="ann")
    assert held.finish(mine, other) == ["mine", "other"]


def test_one_owner_cannot_fill_the_queue(held: Held) -> None:
    for n in range(held.registry.max_per_owner):
        held.queue("ann", f"a{n}")
    with pytest.raises(QueueFull, match="Your queue is full: 8 of your runs"):
        held.queue("ann", "one more")
    held.queue("bob", "b0")


def test_waiting_runs_are_moved_renewed_and_removed(held: Held) -> None:
    first, second, third = (held.queue("ann", f"a{n}") for n in range(3))
    assert held.registry.move(third, 0, owner="ann")
    assert held.names("ann") == ["a2", "a0", "a1"]
    held.registry.renew(first, held.work("new", steps=3), owner="ann", about="new")
    renewed = held.registry.get(first)
    assert renewed is not None and (renewed.about, renewed.steps) == ("new", 3)
    assert held.names("ann") == ["a2", "new", "a1"]
    assert held.registry.remove(second, owner="ann")
    assert held.names("ann") == ["a2", "new"]
    removed = held.registry.get(second)
    assert removed is not None and removed.status is Status.STOPPED  # whoever follows it is told
    assert held.finish(first, third) == ["a2", "new"]
    assert held.names("ann") == ["a2", "new"]
    assert held.registry.remove(third, owner="ann") and held.names("ann") == ["new"]


def test_a_run_that_has_begun_is_neither_moved_nor_renewed_but_stopped() -> None:
    held = Held()
    registry, blocker = held.registry, held.blocker
    assert not registry.move(blocker, 0, owner="")
    with pytest.raises(HasBegun):
        registry.renew(blocker, held.work("late"), owner="")
    assert registry.remove(blocker, owner="")
    held.gate.set()
    assert wait_for(registry, blocker).status is Status.STOPPED
    assert [snapshot.job for snapshot in registry.runs_of("")] == [blocker]  # with what it has
    registry.close()


def test_changes_race_with_the_worker_and_every_run_runs_once_or_never() -> None:
    """Three people move, renew and remove while the worker takes: each run's last accepted work
    runs exactly once, and a removed run never."""
    held = Held(max_waiting=400, max_per_owner=400, max_kept=400)
    registry = held.registry
    expected: dict[str, set[str]] = {owner: set() for owner in ("ann", "bob", "cy")}

    def meddle(owner: str) -> None:
        for n in range(60):
            job = held.queue(owner, name := f"{owner}{n}")
            registry.move(job, n % 3, owner=owner)
            try:
                registry.renew(job, held.work(f"{name}!"), owner=owner)
                name += "!"
            except HasBegun:
                pass
            if n % 4 == 0:
                registry.remove(job, owner=owner)
                snapshot = registry.get(job)
                assert snapshot is not None
                if snapshot.message == "Removed from the queue.":
                    continue
            expected[owner].add(name)

    threads = [threading.Thread(target=meddle, args=(owner,)) for owner in expected]
    held.gate.set()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE)
    for job in list(registry._jobs):
        wait_for(registry, job)
    registry.close()
    # one that was removed between being taken and beginning counts as run: it keeps its state
    assert sorted(held.order) == sorted(set().union(*expected.values()))


def test_waiting_for_its_turn_is_not_being_unwatched() -> None:
    registry = JobRegistry(unwatched_limit=0.3)
    gate = threading.Event()
    first = registry.submit(Recorder(1, gate).work())
    second = registry.submit(Recorder(3).work())
    wait_for(registry, first, Status.RUNNING)
    registry._jobs[second].expected_at -= 60
    registry._jobs[first].expected_at = time.monotonic()
    gate.set()
    assert wait_for(registry, second).status is Status.DONE
    registry.close()
