"""The page: layout, and which part talks to which."""

from __future__ import annotations

from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

import gradio as gr
from starlette.middleware import Middleware

from ui import afterwards, editing
from ui.compare_panel import wire_compare
from ui.downloads import Downloads
from ui.filmstrip import Filmstrip
from ui.guard import Guard
from ui.inputs import Canvas, Checkbox, Dropdown, Number, Slider
from ui.model_list import ModelList
from ui.model_panel import photographs, wire_models
from ui.outputs import Outputs
from ui.pieces import (
    ClipView,
    CompareView,
    ExampleShelf,
    FormulaCheck,
    History,
    Lines,
    ModelPanel,
    PresetPicker,
    Progress,
    RunList,
)
from ui.programs import wire_programs
from ui.queue_panel import Parts, wire_queue
from ui.requests import (
    MAX_SEED,
    BringRequest,
    EditorValue,
    FormulaRequest,
    GenerateRequest,
    PresetRequest,
    SizeRequest,
    checked,
)
from ui.rewinding import wire_rewinding
from ui.service import Studio, restore, session_of
from ui.settings import ANY, FIELDS

HERE = Path(__file__).parent
STORAGE: dict[str, Any] = {
    "secret": "fvdm-studio-in-this-browser"
}  # fixed, so that a restart can read it again
MAX_UPLOAD = "64mb"
SOLVERS = [("DPM-Solver++ (2M)", "dpmpp_2m"), ("DDIM", "ddim"), ("DDPM, ancestral", "ddpm")]
PRIORS = [
    ("each frame its own", "independent"),
    ("partly shared", "mixed"),
    ("from frame to frame", "progressive"),
    ("repeated, shuffled", "shuffled"),
]
TOGGLE_THEME = """() => {
  const dark = document.body.classList.toggle("dark");
  localStorage.setItem("fvdm-theme", dark ? "dark" : "light");
}"""
START = """() => {
  const kept = localStorage.getItem("fvdm-theme");
  if (kept) document.body.classList.toggle("dark", kept === "dark");
  const names = { dice: "Roll a new seed", theme: "Light or dark" };
  for (const [id, name] of Object.entries(names)) {
    const button = document.getElementById(id);
    button?.setAttribute("aria-label", name);
    button?.setAttribute("title", name);
  }
}"""
KEEP = """(editor, ...settings) => {
  const cells = editor.levels.length * editor.levels[0].length;
  return cells > 100000 ? null : { editor, settings }; // a browser keeps about 5 MB
}"""
DICE = f"() => Math.floor(Math.random() * {MAX_SEED + 1})"


def _only(value: Any, *names: str) -> dict[str, Any]:
    """The named fields of a value that a page sent."""
    return {name: value[name] for name in names if name in value} if isinstance(value, dict) else {}


def build_studio(
    models: Callable[[], Any] | ModelList,
    *,
    outputs: Path | Outputs,
    examples: Path | None = None,
) -> gr.Blocks:
    """The page, not yet launched; the model loads meanwhile.

    Args:
        models: the list to choose from, or what returns the one `fvdm_core.Pipeline` there is.
        outputs: the folder in which runs are kept, or what keeps them.
        examples: a folder of PNG pictures to offer as keyframes.
    """
    kept = outputs if isinstance(outputs, Outputs) else Outputs(outputs)
    studio = Studio(models, kept, examples)
    # Gradio shows no errors of what skips its queue: quick is for what does not fail.
    quick: dict[str, Any] = {"queue": False, "show_progress": "hidden"}
    tasks: dict[str, Any] = {"concurrency_limit": None, "show_progress": "hidden"}
    unlisted: dict[str, Any] = {"api_visibility": "private"}

    with gr.Blocks(title="FVDM Studio", analytics_enabled=False, fill_width=True) as demo:
        session = gr.BrowserState({}, storage_key="fvdm-session", **STORAGE)
        painting = gr.BrowserState(None, storage_key="fvdm-painting", **STORAGE)

        with gr.Row(elem_id="header"):
            gr.HTML('<h1 class="brand">FVDM <b>Studio</b></h1>', padding=False)
            model = ModelPanel(None, elem_id="model")
            theme = gr.Button("◐", elem_id="theme", size="sm", min_width=0, scale=0)
        picker = PresetPicker(
            None,
            presets=editing.preset_table(),
            timelines=editing.timeline_table(studio.timelines),
            elem_id="presets",
        )
        summary = Lines(None, label="summary", elem_id="summary")

        with gr.Row(elem_id="desk", equal_height=False):
            with gr.Column(elem_id="work", scale=1, min_width=0):
                with gr.Row(elem_id="shelf-row", visible=bool(studio.examples.examples)):
                    shelf = ExampleShelf(studio.examples, elem_id="shelf")
                    note = gr.HTML(photographs(), padding=False)
                editor = Canvas(studio.welcome(), label="timeline", elem_id="editor")
                strip = Filmstrip(None, label="strip", elem_id="strip")
                with gr.Row(elem_id="formula-row"):
                    formula = gr.Textbox(
                        label="formula",
                        show_label=False,
                        container=False,
                        max_lines=1,
                        max_length=256,
                        placeholder="A formula of your own, such as min(0.2*i*t, t)",
                        elem_id="formula",
                    )
                    use = gr.Button("Use", size="sm", min_width=0, scale=0, elem_id="use-formula")
                check = FormulaCheck(names=editing.formula_names(), elem_id="formula-check")

            with gr.Column(elem_id="panel", scale=0, min_width=264):
                label = Dropdown([("any", ANY)], value=None, label="World", elem_id="label")
                with gr.Row(elem_classes="pair"):
                    seed = Number(7, label="Seed", precision=0, min_width=80, elem_id="seed")
                    dice = gr.Button("⚄", min_width=0, scale=0, elem_id="dice")
                with gr.Row(elem_classes="pair"):
                    frames = Number(
                        editing.FRAMES, label="Frames", precision=0, min_width=60, elem_id="frames"
                    )
                    steps = Number(
                        editing.STEPS, label="Steps", precision=0, min_width=60, elem_id="steps"
                    )
                cfg = Slider(0, 8, 1.5, step=0.1, label="Guidance", elem_id="guidance")
                with gr.Accordion("Solver and speed", open=False, elem_id="more"):
                    solver = Dropdown(SOLVERS, value="dpmpp_2m", label="Solver", elem_id="solver")
                    eta = Slider(
                        0,
                        1,
                        0,
                        step=0.05,
                        label="Fresh noise η (DDIM)",
                        elem_id="eta",
                    )
                    prior = Dropdown(PRIORS, value="independent", label="Noise", elem_id="prior")
                    fps = Slider(1, 30, 8, step=1, label="Frames per second", elem_id="fps")
                    exact = Checkbox(
                        False,
                        label="Splice kept pictures exactly",
                        elem_id="exact",
                    )
                with gr.Row(elem_classes="pair", elem_id="go"):
                    run = gr.Button("Generate", variant="primary", min_width=0, elem_id="generate")
                    stop = gr.Button(
                        "Stop", min_width=0, scale=0, interactive=False, elem_id="stop"
                    )
                progress = Progress({}, label="progress", elem_id="progress")
                clip = ClipView(None, label="clip", elem_id="clip-view")
                runs = RunList(None, elem_id="runs")
            history = History(None, elem_id="history")

        compare = CompareView(None, presets=editing.preset_table(), elem_id="compare")

        settings: list[Any] = [label, seed, cfg, solver, eta, fps, exact]
        for setting, field in zip(settings, FIELDS, strict=True):
            setting.told_as(field)

        # ── The panel changes the painting ───────────────────────────────────────────────────

        def pick(
            chosen: dict[str, Any], timeline: EditorValue, frames: Any, steps: Any
        ) -> EditorValue:
            """Put a preset in place of the painting; pictures are kept."""
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
            """Give the painting another kind of starting noise."""
            return editing.with_prior(timeline, str(prior))

        def bring(
            timeline: EditorValue, frames: Any, steps: Any, event: gr.EventData
        ) -> EditorValue:
            """Put an example, a preset of the person's own or a file in place of the painting."""
            brought = checked(lambda: BringRequest(**_only(event._data, "kind", "name", "text")))
            size = checked(lambda: SizeRequest(frames=frames, steps=steps))
            return editing.with_brought(timeline, brought, studio.timelines, size)

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
            request = checked(lambda: GenerateRequest(label=label or None, cfg_scale=guidance))
            return studio.summary(timeline, request)

        def read(timeline: EditorValue, label: str | None, guidance: Any) -> tuple[Any, ...]:
            """Bring the panel in line with the painting."""
            window = studio.window
            return (
                preview_timeline(timeline, label, guidance),
                editing.picker_value(timeline, window),
                timeline.frames,
                gr.update(
                    value=editing.steps_of(timeline, window),
                    label=editing.steps_words(timeline, window),
                ),
                timeline.formula,
                timeline.prior,
            )

        def presets() -> list[dict[str, Any]]:
            """The presets with their parameters at 16 frames and 30 steps."""
            return editing.preset_list(studio.window)

        reading: dict[str, Any] = {
            "fn": read,
            "inputs": [editor, label, cfg],
            "outputs": [summary, picker, frames, steps, formula, prior],
            "trigger_mode": "always_last",
            **quick,
            **unlisted,
        }
        keeping: dict[str, Any] = {
            "fn": None,
            "inputs": [editor, *settings],
            "outputs": [painting],
            "js": KEEP,
            **unlisted,
        }
        size = [frames, steps]
        # The last of what happens meanwhile is done too: a box that is left for the next one fires.
        changing: dict[str, Any] = {**tasks, **unlisted, "trigger_mode": "always_last"}
        changes = [
            picker.pick(
                pick,
                [picker, editor, *size],
                [editor],
                **changing,
            ),
            picker.tune(
                pick,
                [picker, editor, *size],
                [editor],
                **changing,
            ),
            gr.on(
                [frames.submit, frames.blur, steps.submit, steps.blur],
                resize,
                [editor, *size],
                [editor],
                **changing,
            ),
            gr.on(
                [formula.submit, use.click],
                apply_formula,
                [formula, editor, *size],
                [editor],
                **changing,
            ),
        ]
        changes.append(shelf.choose(place_example, [editor], [editor, label], **changing))
        changes.append(prior.input(set_prior, [editor, prior], [editor], **changing))
        changes.append(picker.bring(bring, [editor, *size], [editor], **changing))
        for change in changes:
            change.success(**reading).then(**keeping)
        editor.edited(**reading).then(**keeping)
        gr.on(
            [cfg.release, label.input],
            preview_timeline,
            [editor, label, cfg],
            [summary],
            api_name="preview_timeline",
            **quick,
        )
        gr.on([setting.change for setting in settings], **keeping)
        formula.input(
            editing.formula_preview,
            [formula, *size],
            [check],
            trigger_mode="always_last",
            **quick,
            **unlisted,
        )
        presets.__annotations__["return"] = list[dict[str, Any]]  # gradio reads no quoted types
        gr.api(presets, api_name="presets")
        dice.click(None, None, [seed], js=DICE, **unlisted)
        theme.click(None, None, None, js=TOGGLE_THEME, **unlisted)

        parts = Parts(session, editor, settings, strip, progress, clip, run, stop, runs)
        wire_queue(studio, parts, demo.load, reading, keeping)
        wire_programs(studio, parts)
        wire_compare(studio, parts, compare)
        wire_rewinding(studio, strip, session)

        # ── A visit begins ───────────────────────────────────────────────────────────────────

        def greet(kept_painting: Any, kept_session: Any) -> tuple[Any, ...]:
            """Bring back what this browser painted, or show what the first visit begins with."""
            kept = session_of(kept_session)
            restored = restore(kept_painting)
            if restored is None:
                return studio.welcome(), *[gr.skip()] * len(settings), kept
            return restored["editor"], *restored["settings"], kept

        async def name_size() -> Any:
            """Tell the canvas the size of the model's frames once it is there."""
            if not await studio.model.wait():
                return gr.skip()
            height, width = studio.model.get().image_size
            return gr.update(picture=[width, height])

        visit = demo.load(
            greet, [painting, session], [editor, *settings, session], **quick, **unlisted
        )
        afterwards.wire(
            studio,
            clip=clip,
            history=history,
            editor=editor,
            settings=settings,
            session=session,
            begun=visit,
            reading=reading,
            keeping=keeping,
        )
        naming = wire_models(studio, model, editor, label, cfg, note, reading, keeping)
        visit.then(**naming).then(**reading)

        demo.load(name_size, None, [editor], **quick, **unlisted)

    demo.queue(max_size=16)
    demo.studio = studio
    return demo


def launch_options(demo: gr.Blocks, hosts: Collection[str] | None = ()) -> dict[str, Any]:
    """The arguments of `launch()` that belong to the page, whoever launches it.

    `hosts` are the names it is served under beside those of this machine; None is any.
    """
    studio: Studio = demo.studio  # type: ignore[attr-defined]
    return {
        "theme": gr.themes.Base(
            primary_hue="orange",
            neutral_hue="slate",
            font=["system-ui", "sans-serif"],
            font_mono=["ui-monospace", "monospace"],
        ),
        "css_paths": [HERE / f"{name}.css" for name in ("studio", "queue", "afterwards", "models")],
        "js": START,
        "footer_links": [],
        "run_history": False,
        "enable_monitoring": False,
        "max_file_size": MAX_UPLOAD,
        "allowed_paths": [str(studio.outputs.root)],
        "ssr_mode": False,
        "app_kwargs": {
            "routes": Downloads(studio.outputs, afterwards.Afterwards(studio).code).routes(),
            "middleware": [Middleware(Guard, room_for_upload=studio.room_for_upload, hosts=hosts)],
        },
    }
