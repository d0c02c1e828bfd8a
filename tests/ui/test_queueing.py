"""The queue as a page sees it: what is shown, what may be changed, and by whom."""

from __future__ import annotations

import copy
import itertools
import json
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fake import FakePipeline, example_pictures, on_its_own_loop
from gradio.utils import diff

from fvdm_core.timeline import Timeline
from ui import editing, queueing
from ui.jobs import Status
from ui.orders import Order, picture_of, title_of
from ui.outputs import Outputs
from ui.queue_panel import Variations
from ui.queueing import FINISHED, View, queue_value
from ui.refusals import RequestError, checked
from ui.requests import MAX_SEED, EditorValue, GenerateRequest, PresetRequest
from ui.saved import new_name
from ui.service import Studio, restore
from ui.settings import FIELDS, request_of, settings_of, usable
from ui.watching import buttons, progress_value

ANN, BOB = new_name(), new_name()


class Place:
    """A studio whose runs stand still until the gate opens."""

    def __init__(self, folder: Path) -> None:
        self.pipeline = FakePipeline()
        self.gate = self.pipeline.gate = threading.Event()
        self.studio = Studio(
            lambda: self.pipeline, Outputs(folder / "outputs"), folder / "examples"
        )
        self.studio.model.get()

    def submit(self, session: str = ANN, preset: str = "standard", seed: int = 7) -> str:
        return self.studio.submit(painting(preset), GenerateRequest(seed=seed), session)

    def view(self, session: str = ANN) -> View:
        return self.studio.queue.view(session)

    def seeds(self, session: str = ANN) -> list[int]:
        orders = [self.studio.order_of(run.job, session) for run in self.view(session).runs]
        return [order.unpack()[1].seed for order in orders]

    def end(self, session: str = ANN) -> list[View]:
        """Open the gate and follow to the end, as a page does."""
        self.gate.set()

        async def follow() -> list[View]:
            return [view async for view in self.studio.queue.follow(session, interval=0.005)]

        return on_its_own_loop(follow())


def painting(preset: str = "standard", frames: int = 4, steps: int = 3) -> EditorValue:
    request = PresetRequest(name=preset, frames=frames, steps=steps)
    return editing.with_preset(None, request, 16)


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Place]:
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path / "uploads"))
    example_pictures(tmp_path / "examples")
    place = Place(tmp_path)
    yield place
    place.gate.set()
    place.studio.jobs.close()


def test_the_page_follows_one_run_after_the_other(place: Place) -> None:
    jobs = [place.submit(seed=seed) for seed in (1, 2, 3)]
    assert [run.job for run in place.view().runs] == jobs
    assert place.view().shown == place.view().runs[0]
    views = place.end()
    shown = [view.shown.job for view in views if view.shown]
    assert list(dict.fromkeys(shown)) == jobs  # each in its turn, and none again
    assert [run.status for run in views[-1].runs] == [Status.DONE] * 3
    assert not views[-1].going and views[-1].shown == views[-1].runs[-1]


def test_steps_alone_wait_for_their_turn_and_all_else_is_shown_at_once(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A page that takes its time over every view is not given one for each of a hundred steps."""
    place.submit(seed=1)
    first = place.view()
    (run,) = first.runs
    looks = [
        replace(run, step=1, version=run.version + 1),  # a step alone: waits
        replace(run, step=2, version=run.version + 2),
        replace(run, step=2, version=run.version + 3, message="held"),  # at once
        replace(run, step=3, version=run.version + 4, message="held"),  # waits till it is ripe
        replace(run, step=4, version=run.version + 5, message="held"),
        replace(
            run, step=4, version=run.version + 6, message="held", status=Status.DONE
        ),  # at once
    ]
    clock = iter([0.0, 0.01, 0.02, 0.03, 0.04, 0.29, 0.3])
    views = iter([first, *(View((look,), look) for look in looks)])
    monkeypatch.setattr(place.studio.queue, "view", lambda session: next(views))
    monkeypatch.setattr(queueing, "monotonic", lambda: next(clock))

    async def follow() -> list[int]:
        followed = place.studio.queue.follow(ANN, interval=0)
        return [view.runs[0].version - run.version async for view in followed]

    assert on_its_own_loop(follow()) == [0, 3, 5, 6]


def test_a_run_that_was_asked_to_stop_says_so_until_it_ends(place: Place) -> None:
    """A press that seems to be ignored is repeated, and would end the run after it."""
    first, second = place.submit(seed=1), place.submit(seed=2)
    until = time.monotonic() + 120
    while not (run := place.view().runs[0]).levels and time.monotonic() < until:
        time.sleep(0.005)
    assert progress_value(run)["text"].startswith("step 0/3")
    assert buttons(place.view().going)[1].interactive
    assert place.studio.jobs.stop(first, owner=ANN)
    (run, _) = place.view().going
    assert progress_value(run, 1)["text"] == "Stopping after this step… · 1 queued"
    assert not buttons(place.view().going)[1].interactive
    assert queue_value(place.view())["runs"][0]["stopping"]
    views = place.end()
    last = [view.going[0] for view in views if view.going][-1]
    assert last.job == second and not last.stopping
    assert [run.status for run in views[-1].runs] == [Status.STOPPED, Status.DONE]


def test_a_run_that_is_stopped_before_its_first_step_leaves_nothing(place: Place) -> None:
    """Else the history fills with pictures of noise."""
    outputs = place.studio.outputs
    place.gate.set()
    work = place.studio.prepare(painting(), GenerateRequest(), ANN).work
    first, second = itertools.islice(work.states(), 2)
    assert work.finish(first, True) is None and not outputs.runs(ANN)
    saved = work.finish(second, True)
    assert outputs.runs(ANN) == [saved] and saved.about()["stopped"]


def test_a_chosen_run_is_shown_until_another_is_queued(place: Place) -> None:
    first = place.submit()
    place.end()
    place.gate.clear()
    second, third = place.submit(), place.submit()
    for job in (first, third):
        assert place.studio.queue.choose(ANN, job)
        shown = place.view().shown
        assert shown is not None and shown.job == job
    place.submit()
    shown = place.view().shown
    assert shown is not None and shown.job == second
    place.studio.queue.choose(ANN, third)
    assert place.end()[-1].shown == place.view().runs[-1]  # the choice ended with its run


def test_sessions_neither_see_nor_touch_each_other_s_runs(place: Place) -> None:
    mine, other = place.submit(ANN), place.submit(BOB)
    studio = place.studio
    assert [run.job for run in place.view(ANN).runs] == [mine]
    assert not studio.queue.choose(ANN, other)
    assert place.view("").runs == () and place.view(new_name()).runs == ()
    with pytest.raises(RequestError, match="no longer listed"):
        studio.order_of(other, ANN)
    with pytest.raises(RequestError, match="no longer waits"):
        studio.change(other, painting(), GenerateRequest(seed=99), ANN)
    assert place.seeds(BOB) == [7]
    assert mine not in json.dumps(queue_value(place.view(BOB)))


def test_a_changed_run_keeps_its_place_and_gives_what_was_asked_for_last(place: Place) -> None:
    place.submit(seed=1)
    job = place.submit(seed=2)
    place.submit(seed=3)
    other = painting(steps=5)
    place.studio.change(job, other, GenerateRequest(seed=22, label="sky"), ANN)
    assert place.seeds() == [1, 22, 3]
    entry = queue_value(place.view())["runs"][1]
    assert (entry["title"], entry["settings"]) == ("Generate", "sky · seed 22 · 4 × 5")
    saved = {run.job: run.result for run in place.end()[-1].runs}
    recipe = json.loads(saved[job].recipe.read_text())
    assert (recipe["seed"], recipe["label"]) == (22, "sky")
    assert Timeline.from_json(json.dumps(recipe["timeline"])) == other.timeline()


def test_a_change_that_is_refused_leaves_the_run_as_it_was(place: Place) -> None:
    place.submit(seed=1)
    job = place.submit(seed=2)
    with pytest.raises(RequestError, match="start below full noise"):
        place.studio.change(job, painting("interpolation"), GenerateRequest(seed=5), ANN)
    with pytest.raises(RequestError, match="label is 'dragons'"):
        place.studio.change(job, painting(), GenerateRequest(label="dragons"), ANN)
    assert place.seeds() == [1, 2]


def test_one_session_cannot_fill_the_queue(place: Place) -> None:
    place.submit()
    while place.view().waiting:
        pass
    for _ in range(place.studio.jobs.max_per_owner):
        place.submit(ANN)
    with pytest.raises(RequestError, match="Your queue is full: 8 of your runs are waiting"):
        place.submit(ANN)
    place.submit(BOB)


def test_finished_runs_leave_the_list_in_time(place: Place) -> None:
    for seed in range(FINISHED + 2):
        place.submit(seed=seed)
    assert len(place.end()[-1].runs) == FINISHED
    assert place.seeds() == list(range(2, FINISHED + 2))


def test_an_older_run_that_is_chosen_is_shown(place: Place) -> None:
    oldest, *_, newest = [place.submit(seed=seed) for seed in range(FINISHED + 2)]
    place.end()
    assert place.studio.queue.choose(ANN, oldest)
    view = place.view()
    assert view.shown and view.shown.job == oldest
    assert [run.job for run in view.runs][:1] == [oldest] and len(view.runs) == FINISHED + 1
    place.studio.queue.follow_newest(ANN)
    view = place.view()
    assert view.shown and view.shown.job == newest and len(view.runs) == FINISHED


# ── Orders ───────────────────────────────────────────────────────────────────────────────────


def test_an_order_gives_back_what_was_asked_for() -> None:
    request = GenerateRequest(label="sky", seed=3, solver="ddim", eta=0.5, fps=12)
    order = Order.of(painting("diagonal", 20, 8), request, 16, "a")
    assert order.unpack() == (painting("diagonal", 20, 8), request)


def test_a_large_order_is_kept_small() -> None:
    rng = np.random.default_rng(0)
    levels = np.sort(rng.integers(0, 1001, (1000, 900)), axis=0)[::-1]
    order = Order.of(EditorValue(levels=levels.tolist()), GenerateRequest(), 16, "a")
    assert len(order._packed) < 2**21
    assert len(order.picture) <= 20 and len(order.picture[0]) <= 28


def test_orders_are_the_same_when_their_bytes_would_be() -> None:
    editor, request = painting(), GenerateRequest()
    key = Order.of(editor, request, 16, "a").key
    renamed = editor.model_copy(update={"preset": None, "formula": "t"})
    assert Order.of(renamed, request, 16, "a").key == key  # the cells decide, not their origin
    assert Order.of(editor, request, 16, "b").key != key  # another model
    assert Order.of(editor, GenerateRequest(seed=1), 16, "a").key != key
    levels = [list(row) for row in editor.levels]
    levels[1][1] -= 1
    other = editor.model_copy(update={"levels": levels})
    assert Order.of(other, request, 16, "a").key != key


def test_titles_say_preset_formula_or_painted() -> None:
    assert title_of(painting("ramp"), 16) == "Ramp"
    painted = painting("ramp")
    painted.levels[1][1] = 5
    assert title_of(painted, 16) == "Ramp, painted"
    assert title_of(EditorValue(levels=[[1000], [0]]), 16) == "Painted"
    formula = EditorValue(levels=[[1000, 1000], [0, 0]], formula="t")
    assert title_of(formula, 16) == "t"


def test_the_small_picture_has_both_ends() -> None:
    levels = [[1000 - row] * 50 for row in range(1001)]
    picture = picture_of(EditorValue(levels=levels))
    assert picture[0][0] == 1000 and picture[-1][-1] == 0


def test_settings_travel_to_the_page_and_back() -> None:
    request = GenerateRequest(
        **{"temporal_scale": 0.25, "guidance_from": 700.0},
        **{"label": None, "seed": 5, "cfg_scale": 2.0, "solver": "ddpm", "fps": 24},
    )
    assert len(settings_of(request)) == len(FIELDS)
    assert request_of(settings_of(request)) == request


def test_a_box_left_empty_leaves_it_to_the_model() -> None:
    place = FIELDS.index("temporal_scale")
    unsaid = settings_of(GenerateRequest())
    assert unsaid[place] == "" and request_of(unsaid).temporal_scale is None
    for text, value in (("2", 2.0), (" 0.5 ", 0.5), ("0", 0.0), ("  ", None), (1.5, 1.5)):
        asked = [*unsaid[:place], text, *unsaid[place + 1 :]]
        assert request_of(asked).temporal_scale == value
    for text in ("9", "nan", "-1", "much", "1,5"):
        with pytest.raises(RequestError, match="temporal_scale"):
            request_of([*unsaid[:place], text, *unsaid[place + 1 :]])


def test_what_follows_the_page_takes_a_half_typed_number_for_none() -> None:
    place = FIELDS.index("guidance_from")
    unsaid = settings_of(GenerateRequest(seed=5))
    for text, left in (("500", "500"), ("1001", ""), ("-", ""), ("nan", ""), ("", ""), (7.0, 7.0)):
        typed = [*unsaid[:place], text, *unsaid[place + 1 :]]
        assert usable(typed) == [*unsaid[:place], left, *unsaid[place + 1 :]]
    # nor is a visit begun anew over it
    kept = {"editor": painting("ramp").model_dump(mode="json"), "settings": typed[:-1] + ["much"]}
    assert request_of(restore(kept)["settings"]).seed == 5


def test_variations_are_the_seeds_that_follow_up_to_the_last():
    assert list(Variations(seed=7, variations=3).seeds) == [7, 8, 9]
    assert list(Variations(seed=MAX_SEED, variations=3).seeds) == [MAX_SEED]
    for wrong in (0, 9, 1.5, None, "x"):
        with pytest.raises(RequestError, match="variations"):
            checked(lambda wrong=wrong: Variations(seed=7, variations=wrong))


def test_the_list_says_of_a_run_what_is_not_as_usual() -> None:
    def said(**asked: object) -> str:
        return Order.of(painting(), GenerateRequest(**asked), 16, "model").settings  # type: ignore[arg-type]

    assert said(label="sky") == "sky · seed 0 · 4 × 3"
    assert said(cfg_scale=3.0, eta=0.0) == "any · seed 0 · 4 × 3 · guidance 3 · η 0"
    assert said(solver="ddim", eta=0.0) == "any · seed 0 · 4 × 3 · DDIM"
    left = {"temporal_scale": 0.5, "guidance_from": 200.0, "step_cache": 0.1}
    assert said(**left).endswith(" · coherence 0.5 · guided above 200 · step caching 0.1")


def applied(edits: list[Any], value: Any) -> Any:
    """What gradio's page makes of a value with its server's differences."""
    for action, path, new in edits:
        *way, last = path
        holder = value
        for key in way:
            holder = holder[key]
        if action == "append":
            holder[last] += new
        elif action == "delete":
            del holder[last]
        elif action == "add" and isinstance(holder, list):
            holder.insert(last, new)
        else:
            holder[last] = new
    return value


def test_the_list_comes_whole_by_gradios_differences(place: Place) -> None:
    """Runs of many steps give way to runs of few: a picture that is shorter must not come to the
    page in pieces, or the list stands still."""
    for steps, frames in ((40, 9), (3, 4), (30, 16), (2, 3)):
        editor = painting(frames=frames, steps=steps)
        place.studio.submit(editor, GenerateRequest(seed=steps), ANN)
    seen = [queue_value(place.view())]
    jobs = [run["job"] for run in seen[0]["runs"]]
    for job in (jobs[2], jobs[1], jobs[3], jobs[0]):
        place.studio.jobs.remove(job, owner=ANN)
        seen.append(queue_value(place.view()))
    place.gate.set()
    for before, after in itertools.pairwise(seen):
        assert applied(diff(before, after), copy.deepcopy(before)) == after
