"""The model on the page: what is loaded, what else there is, and a page that follows a change."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import gradio as gr
from gradio.components import Component
from pydantic import Field

from fvdm_core.limits import MAX_FRAMES
from fvdm_core.options import written_size
from ui import editing
from ui.model_list import SHIPPED, megabytes
from ui.painting_panel import CHANGING, Follow, follow_change
from ui.refusals import checked
from ui.requests import USUAL_FPS, EditorValue, Strict
from ui.restoring import OPTIONAL
from ui.service import Studio
from ui.settings import ANY, USUAL
from ui.sweeping import setting_table

QUICK: dict[str, Any] = {"queue": False, "show_progress": "hidden", "api_visibility": "private"}
PHOTOGRAPHS = {  # beside the example pictures, which are of the shipped model's worlds
    True: "The model knows such worlds only; a kept photograph can be spliced in exactly.",
    False: "These are of the shipped model's worlds; this model has labels of the same names.",
}
SCALAR = (
    "It was trained with one timestep for the whole clip. Timelines whose frames come down "
    "together work as painted; frames that are kept are shown to it noised again at each step "
    "(RePaint's replacement), which “Kept frames” under “Solver and speed” changes. Where frames "
    "that move differ in noise, as on a ramp, it meets what it has never been trained on, and the "
    "result is poor. docs/train-your-own.md says how it learns a timestep for every frame."
)
ALONE = "Start the studio with --models FOLDER to choose among the models of a folder here."
# settings that differ from model to model
FOLLOWERS = ("label", "cfg_scale", "conditioning", "fps", "size", *OPTIONAL)
MAX_RATE = 30  # frames per second that the page offers
LENT = "On ZeroGPU the model stays the one that the Space was started with."


class ModelChoice(Strict):
    """The entry of the list that a person chose."""

    key: str = Field(max_length=300)


class ModelLook(Strict):
    """The version of the panel that a page has."""

    version: int = Field(ge=-1)


class ModelChange(Strict):
    """What a page that goes over to another model had: the frames that the one before saw.

    `resample`: whether a painting that filled them is to fill the new model's. `first`: whether
    there was no model before. `welcome`: whether the painting may be what a first visit finds,
    which is of the shipped model.
    """

    window: int = Field(ge=1, le=MAX_FRAMES)
    resample: bool
    first: bool = False
    welcome: bool = False


def photographs(shipped: bool = True) -> str:
    """The sentence beside the examples, as markup without anything from outside."""
    return f'<p class="photographs">{PHOTOGRAPHS[shipped]}</p>'


def panel_value(studio: Studio) -> dict[str, Any]:
    """The header's model panel. While a model is coming, the page looks until it is there."""
    model = studio.model
    version, pending = model.version, model.pending  # first: what changes from now on has a new one
    entries = studio.models.entries()
    titles = {entry.key: entry.title for entry in entries}
    coming = titles.get(model.coming, "a model") if model.coming else ""
    pipeline = model.get() if model.ready else None
    text, said = ("no model", "") if pipeline is None else (f"model: {pipeline.card.name}", "")
    if pending:
        text = "The model is loading…"
    elif coming:
        text = f"loading {coming}…"
    elif model.error:
        stays = "" if pipeline is None else f" {pipeline.card.name} stays in place."
        tried = titles.get(model.tried, "The model")
        why = model.error.removeprefix(f"{tried}: ").rstrip(".")
        said = f"{tried} could not be loaded: {why}.{stays}"
    others = len(entries) > 1
    return {
        "text": text,
        "said": said,
        "facts": [] if pipeline is None else facts(pipeline),
        "notice": SCALAR if pipeline is not None and pipeline.card.timesteps == "scalar" else "",
        "entries": [
            {
                "key": entry.key,
                "title": entry.title,
                "about": entry.about,
                "here": pipeline is not None and entry.key == model.key,
                "coming": entry.key == model.coming,
                "again": entry.again,
            }
            for entry in entries
        ]
        if others and not studio.lent
        else [],
        "hint": LENT if studio.lent else "" if others else ALONE,
        "coming": pending or bool(coming),
        "version": version,
        "loads": model.loads,
        "window": studio.window,
    }


def facts(pipeline: Any) -> list[tuple[str, str]]:
    """What there is to say about a loaded model: names and texts."""
    sizes = ", ".join(f"{width}×{height}" for height, width in pipeline.sizes)
    scalar = pipeline.card.timesteps == "scalar"
    each = pipeline.frames_per_latent
    stand = f"; each but the first stands for {each} of the clip's" if each > 1 else ""
    return [
        ("Trained on", pipeline.card.trained_on or "not stated"),
        ("Frames", f"{pipeline.num_frames} of {sizes}, {pipeline.card.fps:g} per second{stand}"),
        ("Labels", ", ".join(pipeline.card.labels) or "none"),
        (
            "Size",
            f"{_millions(pipeline.parameters)} parameters, "
            f"{megabytes(pipeline.memory_bytes)} in memory",
        ),
        ("Timesteps", "one for the whole clip" if scalar else "one for each frame"),
        ("Noise", f"{pipeline.schedule.name} schedule; it predicts {pipeline.schedule.predicts}"),
        ("Licence", pipeline.card.license or "not stated"),
    ]


def frames_of(pipeline: Any, size: Any) -> dict[str, Any]:
    """What the canvas has to know of a model's frames: their size, how they become noise, of how
    many the picture of a column may be, for how many one stands, and how long it lasts.

    `size` is what the panel says; one that the model does not know is its usual one.
    """
    known = {written_size(each): each for each in pipeline.sizes}
    height, width = known.get(size, pipeline.sizes[0])
    return {
        "picture_size": [width, height],
        "mixing": pipeline.schedule.mixing(),
        "moving": pipeline.frames_per_picture,
        "per_column": pipeline.frames_per_latent,
        "pace": pipeline.frames_per_latent / pipeline.card.fps,
    }


def _by(size: tuple[int, int]) -> str:
    return written_size(size).replace("x", "×")


def _millions(number: int) -> str:
    return f"{number / 1e6:.1f} million" if number >= 100_000 else f"{number:,}"


def rate_of(pipeline: Any) -> int:
    """Frames per second as the page's slider has them."""
    return min(MAX_RATE, max(1, round(pipeline.card.fps)))


def following(
    studio: Studio,
    editor: EditorValue,
    label: str | None,
    conditioning: Any,
    fps: Any,
    size: Any,
) -> dict[str, Any]:
    """The settings of `FOLLOWERS`, the prompt, the examples with their note, and what can be swept,
    as the present model has them. A rate that somebody has chosen stays."""
    pipeline = studio.model.get()
    usual, *others = pipeline.sizes
    choices_of_size = [(_by(usual), USUAL), *((_by(each), written_size(each)) for each in others)]
    labels = pipeline.card.labels
    prompts = "prompts" in pipeline.skills
    known = label in (ANY, *labels) or (prompts and isinstance(label, str))
    chosen = label if known else studio.fitting_label(editor)
    choices = [("any", ANY), *((name, name) for name in labels)]
    shipped = studio.model.key == SHIPPED
    scalar = pipeline.card.timesteps == "scalar"

    def skill(option: str) -> Any:
        """A setting that not every model can carry out, put back where this one cannot."""
        if option in pipeline.skills:
            return gr.update(visible=True)
        without = OPTIONAL[option][1]
        return gr.update(visible=False, value="" if without is None else without)

    return {
        # hidden, it still tells of a change, as what is not on the page does not
        "label": gr.update(
            choices=choices, value=chosen, visible="hidden" if prompts else bool(labels)
        ),
        "cfg_scale": gr.update(visible=bool(labels) or prompts),  # guidance is towards a label
        "conditioning": gr.update(
            visible=scalar, value=(conditioning or "replacement") if scalar else None
        ),
        "fps": gr.update(value=rate_of(pipeline)) if fps == USUAL_FPS else gr.skip(),
        "size": gr.update(
            visible=bool(others),
            choices=choices_of_size,
            value=size if size in map(written_size, others) else USUAL,
        ),
        **{option: skill(option) for option in OPTIONAL},
        "prompt": gr.update(visible=prompts, value=chosen),
        "note": photographs(shipped),
        "shelf": gr.update(visible=studio.knows_examples),
        "sweep": gr.update(settings=setting_table(pipeline)),
    }


def wire_models(
    studio: Studio,
    panel: Component,
    editor: Component,
    fields: Mapping[str, Component],
    prompt: Component,
    note: Component,
    shelf: Any,
    sweep: Component,
    reading: Follow,
    keeping: dict[str, Any],
    kept: Component,
) -> dict[str, Any]:
    """Bind the panel and the settings, `fields`, that follow it; returns the event that fills it
    for a visit. shelf: the row of the examples, with the note in it. sweep:
    where settings to be swept are chosen. kept: what this browser painted before, if anything."""

    def name_model(kept: Any) -> dict[str, Any]:
        """Name the model, or say that it is coming: an answer that waits for it would come with
        what the page had at the visit, and later than a proxy may wait."""
        welcome = kept is None and studio.model.key != SHIPPED
        return panel_value(studio) | {"visit": {"window": editing.WINDOW, "welcome": welcome}}

    def choose(event: gr.EventData) -> dict[str, Any]:
        """Begin to load another model; the page looks until it is there."""
        choice = checked(lambda: ModelChoice.model_validate(event._data))
        studio.change_model(choice.key)
        return panel_value(studio)

    def look(event: gr.EventData) -> dict[str, Any]:
        """The panel, where it is no longer what the page has."""
        seen = checked(lambda: ModelLook.model_validate(event._data))
        return gr.skip() if seen.version == studio.model.version else panel_value(studio)

    def follow(event: gr.EventData, timeline: EditorValue, *shown: Any) -> tuple[Any, ...]:
        """Fit the page to a model that came after the one it was made for, or is the first."""
        had = checked(lambda: ModelChange.model_validate(event._data))
        label, conditioning, fps, size = shown
        fps = fps if had.first else USUAL_FPS  # another model has a rate of its own
        fitted = frames_of(studio.model.get(), size)
        painted = had.welcome and not studio.is_welcome(timeline)  # on it, while the model loaded
        if had.welcome and studio.is_foreign_welcome(timeline):
            timeline = fitted["value"] = studio.plain_welcome()
        elif had.resample and not painted and had.window != studio.window:
            timeline = editing.with_window(timeline, had.window, studio.window)
            fitted["value"] = timeline
        followed = following(studio, timeline, label, conditioning, fps, size)
        return gr.update(**fitted), *followed.values()

    def resize(size: Any) -> Any:
        """Show how pictures are cut to another size."""
        return gr.update(**frames_of(studio.model.get(), size)) if studio.model.ready else gr.skip()

    size = fields["size"]
    followers = [*(fields[name] for name in FOLLOWERS), prompt, note, shelf, sweep]
    asked = [editor, *(fields[name] for name in ("label", "conditioning", "fps", "size"))]
    size.change(resize, [size], [editor], **QUICK)  # type: ignore[attr-defined]

    panel.choose(  # type: ignore[attr-defined]
        choose, None, [panel], show_progress="hidden", api_visibility="private"
    )
    panel.look(look, None, [panel], **QUICK)  # type: ignore[attr-defined]
    followed = panel.follow(  # type: ignore[attr-defined]
        follow,
        asked,
        [editor, *followers],
        trigger_mode="multiple",  # each says in its own data what the page had
        js=CHANGING,
        **QUICK,
    )
    follow_change(followed, reading, keeping)
    return {
        "fn": name_model,
        "inputs": [kept],
        "outputs": [panel],
        **QUICK,
    }
