"""The settings beside the canvas: what a run is told besides its timeline and pictures."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import gradio as gr

from fvdm_core.limits import MAX_FRAMES, MAX_ROWS
from fvdm_core.options import USUAL_ETA
from ui import editing
from ui.inputs import Checkbox, Dropdown, Number, Slider, Textbox
from ui.model_panel import MAX_RATE
from ui.queue_panel import MAX_VARIATIONS
from ui.requests import MAX_PROMPT, MAX_SEED, USUAL_FPS, GenerateRequest
from ui.settings import ANY, FIELDS, LIKED, USUAL

SOLVERS = [("DPM-Solver++ (2M)", "dpmpp_2m"), ("DDIM", "ddim"), ("DDPM, ancestral", "ddpm")]
PRIORS = [
    ("each frame its own", "independent"),
    ("partly shared", "mixed"),
    ("from frame to frame", "progressive"),
    ("repeated, shuffled", "shuffled"),
]
CONDITIONINGS = [("noised again at each step", "replacement"), ("clean", "clean")]
MAX_NUMBER = 20  # characters
PROMPT = 'document.querySelector("#prompt textarea")'
PROMPTED = f"(text) => window.fvdmPage.prompted(text, Boolean({PROMPT}))"
LABELLED = f"(label) => window.fvdmPage.labelled(label, {PROMPT}?.value ?? '')"
DICE = f"() => Math.floor(Math.random() * {MAX_SEED + 1})"


@dataclass(frozen=True)
class SettingsPanel:
    """The components; `fields` has those of a `GenerateRequest` by their names there, and `prompt`
    is another box for the label, of models that take any text."""

    fields: dict[str, Any]
    prompt: Any
    frames: Any
    steps: Any
    prior: Any
    variations: Any

    @property
    def settings(self) -> list[Any]:
        """In the order in which the page sends them."""
        return [self.fields[name] for name in FIELDS]


def settings_panel() -> SettingsPanel:
    """Draw the settings where gradio is drawing now."""
    fields: dict[str, Any] = {}
    fields["label"] = Dropdown([("any", ANY)], value=None, label="Label", elem_id="label")
    prompt = Textbox(
        label="Prompt",
        placeholder="What the clip shows",
        lines=3,
        max_lines=8,
        max_length=MAX_PROMPT,
        visible=False,
        elem_id="prompt",
    )
    with gr.Row(elem_classes="pair"):
        fields["seed"] = Number(
            7,
            label="Seed",
            precision=0,
            minimum=0,
            maximum=MAX_SEED,
            min_width=80,
            elem_id="seed",
        )
        dice = gr.Button("⚄", min_width=0, scale=0, elem_id="dice")
    with gr.Row(elem_classes="pair"):
        frames = Number(
            editing.FRAMES,
            label="Frames",
            precision=0,
            minimum=1,
            maximum=MAX_FRAMES,
            min_width=60,
            elem_id="frames",
        )
        steps = Number(
            editing.STEPS,
            label="Steps",
            precision=0,
            minimum=1,
            maximum=MAX_ROWS - 1,
            min_width=60,
            elem_id="steps",
        )
    fields["cfg_scale"] = Slider(0, 8, 1.5, step=0.1, label="Guidance", elem_id="guidance")
    with gr.Accordion("Solver and speed", open=False, elem_id="more"):
        fields["temporal_scale"] = _left_to_the_model(
            "Coherence", "How firmly frames hold together, 0 to 5", "temporal-scale"
        )
        fields["guidance_from"] = _left_to_the_model(
            "Guide above",
            "Frames below this level, 0 to 1000, follow neither guidance nor coherence",
            "guidance-from",
        )
        fields["solver"] = solver = Dropdown(
            SOLVERS, value="dpmpp_2m", label="Solver", elem_id="solver"
        )
        fields["eta"] = eta = Slider(
            0,
            1,
            GenerateRequest().eta,
            step=0.05,
            label="Fresh noise η",
            elem_id="eta",
        )
        prior = Dropdown(PRIORS, value="independent", label="Noise", elem_id="prior")
        fields["fps"] = Slider(
            1,
            MAX_RATE,
            USUAL_FPS,
            step=1,
            label="Frames per second",
            elem_id="fps",
        )
        fields["splice_exact"] = Checkbox(
            False,
            label="Splice kept pictures exactly",
            elem_id="exact",
        )
        fields["conditioning"] = Dropdown(
            CONDITIONINGS,
            value=None,
            label="Kept frames, to the model",
            visible=False,  # a model with a timestep for each frame takes them clean
            elem_id="conditioning",
        )
        fields["size"] = Dropdown(
            [("usual", USUAL)],
            value=USUAL,
            label="Size",
            visible=False,  # a model mostly has one
            elem_id="size",
        )
        variations = Number(
            1,
            label="Variations",
            info="Runs to queue, each with the next seed",
            precision=0,
            minimum=1,
            maximum=MAX_VARIATIONS,
            elem_id="variations",
        )
        fields["step_cache"] = Slider(
            0,
            0.5,
            0,
            step=0.01,
            label="Step caching",
            info="0.2: twice as fast, somewhat different. 0: off",
            elem_id="step-cache",
        )

    for name, field in fields.items():
        field.told_as(name)
    unlisted: dict[str, Any] = {"api_visibility": "private"}
    solver.input(None, [solver], [eta], js=f"(solver) => ({USUAL_ETA})[solver]", **unlisted)
    prompt.change(None, [prompt], [fields["label"]], js=PROMPTED, **unlisted)
    fields["label"].change(None, [fields["label"]], [prompt], js=LABELLED, **unlisted)
    dice.click(None, None, [fields["seed"]], js=DICE, **unlisted)
    return SettingsPanel(fields, prompt, frames, steps, prior, variations)


def _left_to_the_model(label: str, info: str, elem_id: str) -> Textbox:
    """The box of a number; empty, the model decides."""
    return Textbox(
        label=label,
        info=info,
        placeholder=LIKED,
        max_lines=1,
        max_length=MAX_NUMBER,
        elem_id=elem_id,
    )
