"""What changes the painting from beside it: presets, sizes, formula, examples, files; and back."""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import gradio as gr

from fvdm_core.limits import SAMPLING
from ui import editing
from ui.refusals import RequestError, checked
from ui.requests import (
    BringRequest,
    EditorValue,
    FormulaRequest,
    PresetRequest,
    SizeRequest,
)
from ui.service import Studio, session_of
from ui.settings import FIELDS, LIKED, request_of, usable

AT_ONCE = 4  # of what is said about paintings, without gradio's queue
# One after another, whoever asks: of two changes asked for soon after each other, the later one
# must stay. Only for what takes milliseconds: it makes everybody wait.
IN_TURN: dict[str, Any] = {
    "concurrency_id": "painting",
    "concurrency_limit": 1,
    "show_progress": "hidden",
    "api_visibility": "private",
}

# Of `page.js`, which is in the page's head.
KEEP, OF_THIS_TAB, SETTLE, READING, CHANGING, CHANGED, TUNING, ALL_CHANGED, IN_PLACE = (
    f"(...values) => window.fvdmPage.{name}(...values)"
    for name in (
        *("keep", "ofThisTab", "settle", "reading", "changing", "changed", "tuning"),
        *("allChanged", "inPlace"),  # what changes it whatever it was waits first
    )
)

# what the cost of a step depends on
SAID = ("label", "cfg_scale", "conditioning", "step_cache", "size", *SAMPLING)


@dataclass(frozen=True)
class PaintingParts:
    """The components of the page that read or change the painting."""

    editor: Any
    picker: Any
    shelf: Any
    frames: Any
    steps: Any
    formula: Any
    use: Any
    check: Any
    prior: Any
    summary: Any
    settings: list[Any]
    painting: Any
    session: Any


Follow = Callable[[Callable[..., Any]], Any]


def as_typed(
    timeline: EditorValue, panel: Any, frames: Any, steps: Any, window: int
) -> EditorValue | None:
    """The painting in the size that somebody has just typed, or None where it has that size.

    A press on Generate is quicker than the box that it leaves. `panel` is what the painting last
    said of the boxes: where the painting is another one by now, they only have not followed yet.

    Raises:
        RequestError: the typed size is not one.
    """
    told = (panel or {}).get("frames"), (panel or {}).get("steps")
    now = timeline.frames, editing.steps_of(timeline, window)
    if now != told or (frames, steps) == now:
        return None
    size = checked(lambda: SizeRequest(frames=frames, steps=steps))
    return editing.with_size(timeline, size, window)


def is_waiting(timeline: EditorValue, panel: Any, formula: Any) -> bool:
    """Whether somebody has typed a formula that is not the painting's, and has not entered it."""
    told = (panel or {}).get("formula")
    known = panel is None or formula in (told, timeline.formula)
    return isinstance(formula, str) and bool(formula.strip()) and not known


def wire_painting(studio: Studio, parts: PaintingParts) -> tuple[Follow, dict[str, Any], list[Any]]:
    """Connect the parts, and give what must follow whatever else changes the painting.

    The first takes an event's `then` or `success` and brings the panel in line with the painting
    after it; the second is the event that keeps the painting in the browser; the third are the
    components that `as_typed` and `is_waiting` are told of.
    """
    few = threading.BoundedSemaphore(AT_ONCE)

    def sketched(work: Callable[..., Any]) -> Callable[..., Any]:
        """Only so many at once: each may take a million cells, and nothing else holds them back."""

        @functools.wraps(work)
        def one_of_few(*values: Any) -> Any:
            with few:
                return work(*values)

        return one_of_few

    # Gradio shows no errors of what skips its queue: quick is for what does not fail.
    quick: dict[str, Any] = {"queue": False, "show_progress": "hidden"}
    unlisted: dict[str, Any] = {"api_visibility": "private"}

    def pick(chosen: dict[str, Any], timeline: EditorValue, frames: Any, steps: Any) -> EditorValue:
        """Put a preset in place of the painting; pictures are kept."""
        steps = editing.steps_for_preset(timeline, steps, studio.window)
        request = checked(
            lambda: PresetRequest(**_only(chosen, "name", "params"), frames=frames, steps=steps)
        )
        return editing.with_preset(timeline, request, studio.window)

    def resize(timeline: EditorValue, frames: Any, steps: Any) -> EditorValue:
        """Give the painting another number of frames and steps."""
        size = checked(lambda: SizeRequest(frames=frames, steps=steps))
        now = timeline.frames, editing.steps_of(timeline, studio.window)
        if (size.frames, size.steps) == now:
            return gr.skip()  # a box was only left: what is being painted must stay
        return editing.with_size(timeline, size, studio.window)

    def apply_formula(text: str, timeline: EditorValue, frames: Any, steps: Any) -> EditorValue:
        """Put a formula's levels in place of the painting."""
        request = checked(lambda: FormulaRequest(formula=text, frames=frames, steps=steps))
        return editing.with_formula(timeline, request)

    def set_prior(timeline: EditorValue, prior: Any) -> EditorValue:
        """Give the painting another kind of starting noise, the model's own as it learned it."""
        alpha = 1.0
        if studio.model.ready and studio.model.get().card.prior == prior:
            alpha = studio.model.get().card.prior_alpha
        return editing.with_prior(timeline, str(prior), alpha)

    def bring(timeline: EditorValue, frames: Any, steps: Any, event: gr.EventData) -> EditorValue:
        """Put an example, a preset of the person's own or a file in place of the painting."""
        brought = checked(lambda: BringRequest(**_only(event._data, "kind", "name", "text")))
        size = checked(lambda: SizeRequest(frames=frames, steps=steps))
        return editing.with_brought(timeline, brought, studio.timelines, size, studio.window)

    def place_example(timeline: EditorValue, event: gr.EventData) -> tuple[Any, Any]:
        """Put a clicked example on the first slot that wants a picture."""
        wanted = event._data.get("name") if isinstance(event._data, dict) else None
        for example in studio.examples.examples:
            if example.name == wanted:
                placed = editing.with_picture(timeline, example.file)
                return placed, studio.fitting_label(placed) or gr.skip()
        return gr.skip(), gr.skip()

    def preview_timeline(
        timeline: EditorValue, label: str | None = None, guidance: Any = 1.5
    ) -> list[dict[str, Any]]:
        """Say what a timeline does, what it costs and what to look out for."""
        return studio.summary(timeline, request_of([label, guidance], SAID[:2]))

    def summarise(timeline: EditorValue, *rest: Any) -> list[dict[str, Any]]:
        *settings, kept_session = rest
        settings = usable(settings)
        try:
            request, session = request_of(settings), session_of(kept_session)["session"]
        except RequestError:  # a seed that is being typed, say: nothing is there for that
            known = [settings[FIELDS.index(field)] for field in SAID]
            request, session = request_of(known, SAID), ""
        return studio.summary(timeline, request, session)

    def liked(label: Any) -> list[Any]:
        """Say in the boxes that are left to the model what it takes for a label."""
        if not studio.model.ready:
            return [gr.skip()] * len(SAMPLING)
        own = studio.model.get().card.sampling.of(label if isinstance(label, str) else None)
        return [gr.update(placeholder=f"{LIKED}: {own[field]:g}") for field in SAMPLING]

    def read(timeline: EditorValue, *rest: Any) -> tuple[Any, ...]:
        """Bring the panel in line with the painting."""
        window = studio.window
        return (
            summarise(timeline, *rest),
            editing.picker_value(timeline, window),
            {
                "frames": timeline.frames,
                "steps": editing.steps_of(timeline, window),
                "steps_label": editing.steps_words(timeline, window),
                "formula": timeline.formula,
                "prior": timeline.prior,
                "mark": timeline.reading_mark,
            },
            *liked(rest[FIELDS.index("label")]),
        )

    def presets() -> list[dict[str, Any]]:
        """The presets with their parameters at 16 frames and 30 steps."""
        return editing.preset_list(studio.window)

    panel = gr.JSON(visible="hidden")  # what the painting says of the boxes beside it
    boxes = [parts.frames, parts.steps, parts.formula]
    has = dict(zip(FIELDS, parts.settings, strict=True))
    label, sampling = has["label"], [has[field] for field in SAMPLING]
    asked = [parts.editor, *parts.settings, parts.session]

    def reading(then: Callable[..., Any]) -> Any:
        read_panel = then(
            sketched(read),
            asked,
            [parts.summary, parts.picker, panel, *sampling],
            js=READING,
            trigger_mode="always_last",
            **quick,
            **unlisted,
        )
        settled = read_panel.then(
            None, [panel, *boxes], [*boxes, parts.prior], js=SETTLE, **unlisted
        )
        for ended in (settled.then, read_panel.failure):
            ended(None, js=CHANGED, **unlisted)
        return settled

    keeping: dict[str, Any] = {
        "fn": None,
        "inputs": [parts.editor, *parts.settings],
        "outputs": [parts.painting],
        "js": KEEP,
        **unlisted,
    }
    size = [parts.frames, parts.steps]
    turn = IN_TURN | {"js": CHANGING}
    # The last of what happens meanwhile is done too: a box that is left for the next one fires.
    changing: dict[str, Any] = {**turn, "trigger_mode": "always_last"}
    # but what says in its own data what it is about would be given the first one's data then
    each: dict[str, Any] = {**turn, "trigger_mode": "multiple"}
    changes = [
        parts.picker.pick(pick, [parts.picker, parts.editor, *size], [parts.editor], **changing),
        parts.picker.tune(
            pick, [parts.picker, parts.editor, *size], [parts.editor], **changing | {"js": TUNING}
        ),
        gr.on(
            [parts.frames.submit, parts.frames.blur, parts.steps.submit, parts.steps.blur],
            resize,
            [parts.editor, *size],
            [parts.editor],
            **changing,
        ),
        gr.on(
            [parts.formula.submit, parts.use.click],
            apply_formula,
            [parts.formula, parts.editor, *size],
            [parts.editor],
            **changing,
        ),
        parts.shelf.choose(place_example, [parts.editor], [parts.editor, label], **each),
        parts.prior.input(set_prior, [parts.editor, parts.prior], [parts.editor], **changing),
        parts.picker.bring(bring, [parts.editor, *size], [parts.editor], **each),
    ]
    for change in changes:
        follow_change(change, reading, keeping)
    for refused in changes[:3]:  # picker and boxes show what was asked for already
        reading(refused.failure)
    reading(parts.editor.edited).then(**keeping)
    reading(parts.editor.reread)
    label.input(liked, [label], sampling, trigger_mode="always_last", **quick, **unlisted)
    typed = [has[name].input for name in ("conditioning", "size", *SAMPLING)]
    moved = [has[name].input for name in ("cfg_scale", "step_cache", "eta")]  # its number box too
    gr.on(
        [
            *typed,
            *moved,
            has["label"].change,
            has["seed"].change,
            has["solver"].change,
        ],  # prompts, the dice and restored runs too
        sketched(summarise),
        asked,
        [parts.summary],
        trigger_mode="always_last",  # of what is typed too
        **quick,
        **unlisted,
    )
    gr.Button(visible=False).click(
        sketched(preview_timeline),
        [parts.editor, label, has["cfg_scale"]],
        [parts.summary],
        api_name="preview_timeline",
        **quick,
    )
    gr.on([setting.change for setting in parts.settings], **keeping)
    parts.formula.change(
        sketched(editing.formula_preview),
        [parts.formula, *size],
        [parts.check],
        trigger_mode="always_last",
        **quick,
        **unlisted,
    )
    presets.__annotations__["return"] = list[dict[str, Any]]  # gradio reads no quoted types
    gr.api(presets, api_name="presets")
    return reading, keeping, [panel, *boxes]


def follow_change(change: Any, reading: Follow, keeping: dict[str, Any]) -> None:
    """What comes after an event that changes the painting and has CHANGING in its `js`."""
    for ended in (change.success, change.failure):
        ended(None, js=CHANGED, api_visibility="private")
    reading(change.success).then(**keeping)


def _only(value: Any, *names: str) -> dict[str, Any]:
    """The named fields of a value that a page sent."""
    return {name: value[name] for name in names if name in value} if isinstance(value, dict) else {}
