"""The page: layout, and which part talks to which."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import gradio as gr
from anyio.to_thread import run_sync
from gradio.data_classes import FileData
from gradio.processing_utils import save_file_to_cache
from gradio.utils import get_upload_folder
from starlette.middleware import Middleware

from fvdm_core.timeline import Timeline
from ui import editing
from ui.costs import Costs, in_words
from ui.filmstrip import Filmstrip
from ui.guard import Guard
from ui.jobs import JobRegistry, QueueFull, Snapshot, Status
from ui.loading import LoadingModel
from ui.outputs import Outputs, Saved, is_name, new_name, trim
from ui.pieces import (
    ClipFiles,
    ClipView,
    Example,
    Examples,
    ExampleShelf,
    Lines,
    PresetPicker,
    Progress,
)
from ui.requests import (
    MAX_SEED,
    EditorValue,
    FormulaRequest,
    GenerateRequest,
    KeyframeValue,
    PresetRequest,
    RequestError,
    SizeRequest,
    checked,
    local_file,
)
from ui.runs import kind_of_call, make_work, planned
from ui.timeline_editor import TimelineEditor

HERE = Path(__file__).parent
STORAGE: dict[str, Any] = {
    "secret": "fvdm-studio-in-this-browser"
}  # fixed, so that a restart can read it again
UPLOAD_QUOTA = 2 * 2**30
MAX_UPLOAD = "64mb"
SOLVERS = [("DPM-Solver++ (2M)", "dpmpp_2m"), ("DDIM", "ddim"), ("DDPM, ancestral", "ddpm")]
WELCOME = "faces"  # the example that a first visit finds on frame 1
ANY = ""  # the label of no label
PHOTOGRAPHS = (
    "A photograph is kept exactly on frozen frames, but the model was only trained on such worlds."
)
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


class Unchecked:
    """A gradio input that hands on what arrives: our request models check it all in one place.

    Gradio's own checks let NaN pass and their messages do not name the field.
    """

    def preprocess(self, payload: Any) -> Any:
        return payload

    def get_block_name(self) -> str:
        return type(self).__name__.lower()  # else gradio looks for a frontend of our own


class Dropdown(Unchecked, gr.Dropdown):
    def postprocess(self, value: Any) -> Any:
        return value  # a label that the browser kept arrives before the model's labels do

    def api_info(self) -> dict[str, Any]:
        return {"type": "string"}  # the labels are known when the model is


class Number(Unchecked, gr.Number):
    pass


class Slider(Unchecked, gr.Slider):
    pass


class Checkbox(Unchecked, gr.Checkbox):
    pass


class Canvas(TimelineEditor):
    """The editor, which fetches nothing: gradio would download a URL given as a picture's path."""

    async def async_move_resource_to_block_cache(
        self, url_or_file_path: str | Path | None
    ) -> str | None:
        if "://" in str(url_or_file_path):
            raise RequestError("A picture's path is a web address: save the picture and drop it.")
        return await super().async_move_resource_to_block_cache(url_or_file_path)


class Studio:
    """What the handlers share: the model, the jobs, and where things are kept."""

    def __init__(
        self, load_pipeline: Callable[[], Any], outputs: Path, examples: Path | None
    ) -> None:
        self.outputs = Outputs(outputs)
        self.costs = Costs(self.outputs.root / "costs.json")
        self.jobs = JobRegistry()
        self.model = LoadingModel(load_pipeline)
        self.examples = _examples(examples)
        self.uploads = Path(get_upload_folder())
        self._spared = frozenset(Path(e.file.path).resolve() for e in self.examples.examples)

    def room_for_upload(self) -> bool:
        """Whether the upload folder has room, after the oldest files were removed."""
        if not self.uploads.exists():
            return True
        return trim(self.uploads, UPLOAD_QUOTA, self._spared) <= UPLOAD_QUOTA

    @property
    def window(self) -> int:
        return self.model.get().num_frames if self.model.ready else editing.WINDOW

    # ── What the page says about a timeline ──────────────────────────────────────────────────

    def summary(self, editor: EditorValue, request: GenerateRequest) -> list[dict[str, str]]:
        """What the painted timeline does, what it costs, and what to look out for."""
        timeline = editor.timeline()
        pictures = [keyframe.frame for keyframe in editor.keyframes]
        lines = [{"kind": "says", "text": timeline.describe()}]
        lines.append({"kind": "cost", "text": self._cost(timeline, request)})
        lines += [{"kind": "warning", "text": text} for text in timeline.warnings(pictures)]
        return lines

    def _cost(self, timeline: Timeline, request: GenerateRequest) -> str:
        if not self.model.ready:
            calls = timeline.with_windows(self.window).model_calls
            return f"{calls} model calls"
        pipeline = self.model.get()
        timeline = planned(timeline, pipeline)
        calls = timeline.model_calls
        text = f"{calls} model call{'' if calls == 1 else 's'}"
        seconds = self.costs.seconds_per_call(kind_of_call(timeline, pipeline, request))
        return text if seconds is None else f"{text} · {in_words(calls * seconds)}"

    # ── Runs ─────────────────────────────────────────────────────────────────────────────────

    def submit(self, editor: EditorValue, request: GenerateRequest, session: str) -> str:
        """Queue a run and return its id.

        Raises:
            RequestError: the request is refused, or the queue is full.
        """
        job = new_name()
        pipeline = checked(self.model.get)
        work = make_work(
            pipeline,
            editor,
            request,
            outputs=self.outputs,
            costs=self.costs,
            session=session,
            job=job,
        )
        try:
            return self.jobs.submit(work, job)
        except QueueFull as error:
            raise RequestError(str(error)) from None

    def model_lines(self) -> list[dict[str, str]]:
        """What the header says about the model."""
        if self.model.error:
            text = f"The model could not be loaded: {self.model.error}"
            return [{"kind": "wrong", "text": text}]
        return [{"kind": "note", "text": f"model: {self.model.get().name}"}]

    # ── The first visit ──────────────────────────────────────────────────────────────────────

    def welcome(self) -> EditorValue:
        """An image-to-video with an example picture in place, so that one click makes a video."""
        request = PresetRequest(name="image-to-video", frames=editing.FRAMES, steps=editing.STEPS)
        editor = editing.with_preset(None, request, self.window)
        examples = self.examples.examples
        for example in [e for e in examples if WELCOME in e.name][:1] or examples[:1]:
            editor.keyframes = [KeyframeValue(frame=0, file=example.file)]
        return editor

    def fitting_label(self, editor: EditorValue) -> str:
        """The label in the name of the first picture, which holds for the examples."""
        names = [keyframe.file.orig_name or "" for keyframe in editor.keyframes[:1]]
        labels = self.model.get().labels if self.model.ready else []
        return next((label for label in labels for name in names if label in name), ANY)


def _examples(folder: Path | None) -> Examples:
    """The example pictures, copied to where uploads lie, so that they are treated as uploads."""
    paths = sorted(folder.glob("*.png")) if folder is not None else []
    uploads = get_upload_folder()
    return Examples(
        examples=[
            Example(
                name=path.stem.replace("_", " ").replace("-", " "),
                file=FileData(path=save_file_to_cache(path, uploads), orig_name=path.name),
            )
            for path in paths
        ]
    )


def session_of(value: Any) -> dict[str, Any]:
    """What the browser kept of its session: only names of our own making, else a new one."""
    kept = value if isinstance(value, dict) else {}
    session, job = kept.get("session"), kept.get("job")
    if not is_name(session):
        return {"session": new_name(), "job": None}
    return {"session": session, "job": job if is_name(job) else None}


def strip_value(snapshot: Snapshot, seen_step: int) -> dict[str, Any]:
    """A run for the strip; the sheet is left out when the page has it, and keeps its own step."""
    preview = snapshot.preview
    fresh = preview is not None and preview.step != seen_step
    return {
        "job": snapshot.job,
        "frames": snapshot.frames,
        "steps": snapshot.steps,
        "status": snapshot.status.value,
        "message": snapshot.message,
        "eta": snapshot.eta,
        "step": preview.step if preview is not None and fresh else snapshot.step,
        "levels": list(preview.levels if preview is not None and fresh else snapshot.levels),
        "sheet": preview.sheet.data_url if preview is not None and fresh else None,
        "columns": preview.sheet.columns if preview is not None else 1,
        "tile": list(preview.sheet.tile) if preview is not None else [1, 1],
    }


def progress_value(snapshot: Snapshot) -> dict[str, Any]:
    status, step, steps = snapshot.status, snapshot.step, snapshot.steps
    left = "" if snapshot.eta is None else f" · {snapshot.eta:.1f} s left"
    words = {
        Status.QUEUED: "Next in the queue"
        if snapshot.ahead < 2
        else f"{snapshot.ahead} runs ahead",
        Status.RUNNING: f"step {step}/{steps}{left}" if snapshot.levels else "Starting…",
        Status.DONE: f"Done · {steps} steps",
        Status.STOPPED: snapshot.message,
        Status.FAILED: snapshot.message,
    }
    return {"fraction": step / max(1, steps), "text": words[status], "status": status.value}


def buttons(over: bool) -> tuple[gr.Button, gr.Button]:
    """Generate and Stop, of which one can be pressed.

    Whole values: gradio sends what a generator yields as differences, and mixes up partial ones.
    """
    return gr.Button("Generate", interactive=over), gr.Button("Stop", interactive=not over)


def clip_files(saved: Saved, caption: str = "") -> ClipFiles:
    return ClipFiles(
        video=FileData(path=str(saved.video), orig_name="clip.mp4"),
        gif=FileData(path=str(saved.gif), orig_name="clip.gif"),
        recipe=FileData(path=str(saved.recipe), orig_name="recipe.json"),
        caption=caption,
    )


def restore(kept: Any) -> dict[str, Any] | None:
    """The painting and settings that a browser kept, or None where they are no longer valid."""
    if not isinstance(kept, dict) or not isinstance(kept.get("settings"), list):
        return None
    settings = kept["settings"]
    try:
        editor = EditorValue.model_validate(kept.get("editor"))
        label, seed, cfg, solver, eta, fps, exact = settings
        checked(
            lambda: GenerateRequest(
                label=label or None,
                seed=seed,
                cfg_scale=cfg,
                solver=solver,
                eta=eta,
                fps=fps,
                splice_exact=exact,
            )
        )
    except (ValueError, TypeError):
        return None
    present = [keyframe for keyframe in editor.keyframes if is_present(keyframe)]
    return {"editor": editor.model_copy(update={"keyframes": present}), "settings": settings}


def is_present(keyframe: KeyframeValue) -> bool:
    """Whether the picture is still on the server."""
    try:
        local_file(keyframe.file, "")
    except RequestError:
        return False
    return True


def _only(value: Any, *names: str) -> dict[str, Any]:
    """The named fields of a value that a page sent."""
    return {name: value[name] for name in names if name in value} if isinstance(value, dict) else {}


def build_studio(
    load_pipeline: Callable[[], Any], *, outputs: Path, examples: Path | None = None
) -> gr.Blocks:
    """The page, not yet launched; the model loads meanwhile.

    Args:
        load_pipeline: returns a `fvdm_core.Pipeline`; it is called once, in a thread.
        outputs: the folder in which runs are kept.
        examples: a folder of PNG pictures to offer as keyframes.
    """
    studio = Studio(load_pipeline, outputs, examples)
    quick: dict[str, Any] = {"queue": False, "show_progress": "hidden"}
    tasks: dict[str, Any] = {"concurrency_limit": None, "show_progress": "hidden"}
    unlisted: dict[str, Any] = {"api_visibility": "private"}

    with gr.Blocks(title="FVDM Studio", analytics_enabled=False, fill_width=True) as demo:
        session = gr.BrowserState({}, storage_key="fvdm-session", **STORAGE)
        painting = gr.BrowserState(None, storage_key="fvdm-painting", **STORAGE)

        with gr.Row(elem_id="header"):
            gr.HTML('<h1 class="brand">FVDM <b>Studio</b></h1>', padding=False)
            model = Lines([{"kind": "note", "text": "The model is loading…"}], elem_id="model")
            theme = gr.Button("◐", elem_id="theme", size="sm", min_width=0, scale=0)
        picker = PresetPicker(None, presets=editing.preset_table(), elem_id="presets")
        summary = Lines(None, elem_id="summary")

        with gr.Row(elem_id="desk", equal_height=False):
            with gr.Column(elem_id="work", scale=1, min_width=0):
                with gr.Row(elem_id="shelf-row", visible=bool(studio.examples.examples)):
                    shelf = ExampleShelf(studio.examples, elem_id="shelf")
                    gr.HTML(f'<p class="photographs">{PHOTOGRAPHS}</p>', padding=False)
                editor = Canvas(studio.welcome(), label="timeline", elem_id="editor")
                strip = Filmstrip(None, elem_id="strip")
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
                    check = Lines(None, elem_id="formula-check")
                    use = gr.Button("Use", size="sm", min_width=0, scale=0, elem_id="use-formula")

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
                    eta = Slider(0, 1, 0, step=0.05, label="Fresh noise η (DDIM)", elem_id="eta")
                    fps = Slider(1, 30, 8, step=1, label="Frames per second", elem_id="fps")
                    exact = Checkbox(True, label="Kept pictures pixel for pixel", elem_id="exact")
                with gr.Row(elem_classes="pair", elem_id="go"):
                    run = gr.Button("Generate", variant="primary", min_width=0, elem_id="generate")
                    stop = gr.Button(
                        "Stop", min_width=0, scale=0, interactive=False, elem_id="stop"
                    )
                progress = Progress({}, elem_id="progress")
                clip = ClipView(None, elem_id="clip-view")

        settings: list[Any] = [label, seed, cfg, solver, eta, fps, exact]
        showing = [strip, progress, clip, run, stop]

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

        def place_example(timeline: EditorValue, event: gr.EventData) -> tuple[Any, Any]:
            """Put a clicked example on the first slot that wants a picture."""
            wanted = event._data.get("name") if isinstance(event._data, dict) else None
            for example in studio.examples.examples:
                if example.name == wanted:
                    placed = editing.with_picture(timeline, example.file)
                    return placed, studio.fitting_label(placed) or gr.skip()
            return gr.skip(), gr.skip()

        def check_formula(text: str, frames: Any, steps: Any) -> list[dict[str, str]]:
            if not text.strip():
                return []
            try:
                checked(lambda: FormulaRequest(formula=text, frames=frames, steps=steps)).timeline()
            except RequestError as error:
                return [{"kind": "wrong", "text": str(error.message)}]
            return [{"kind": "right", "text": "✓"}]

        def preview_timeline(
            timeline: EditorValue, label: str | None = None, guidance: Any = 1.5
        ) -> list[dict[str, str]]:
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
                editing.steps_of(timeline, window),
                timeline.formula,
            )

        def presets() -> list[dict[str, Any]]:
            """The presets with their parameters at 16 frames and 30 steps."""
            return editing.preset_list(studio.window)

        reading: dict[str, Any] = {
            "fn": read,
            "inputs": [editor, label, cfg],
            "outputs": [summary, picker, frames, steps, formula],
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
        changes = [
            picker.pick(
                pick,
                [picker, editor, *size],
                [editor],
                trigger_mode="always_last",
                **quick,
                **unlisted,
            ),
            picker.tune(
                pick,
                [picker, editor, *size],
                [editor],
                trigger_mode="always_last",
                **quick,
                **unlisted,
            ),
            gr.on(
                [frames.submit, frames.blur, steps.submit, steps.blur],
                resize,
                [editor, *size],
                [editor],
                **quick,
                **unlisted,
            ),
            gr.on(
                [formula.submit, use.click],
                apply_formula,
                [formula, editor, *size],
                [editor],
                **quick,
                **unlisted,
            ),
        ]
        changes.append(shelf.choose(place_example, [editor], [editor, label], **quick, **unlisted))
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
            check_formula,
            [formula, *size],
            [check],
            trigger_mode="always_last",
            **quick,
            **unlisted,
        )
        gr.api(presets, api_name="presets")
        dice.click(None, None, [seed], js=DICE, **unlisted)
        theme.click(None, None, None, js=TOGGLE_THEME, **unlisted)

        # ── Runs ─────────────────────────────────────────────────────────────────────────────

        async def watch(kept: dict[str, Any]) -> AsyncIterator[tuple[Any, ...]]:
            """What the page shows of the session's run, up to its end."""
            seen_step = -1
            async for snapshot in studio.jobs.follow(kept["job"]):
                value = strip_value(snapshot, seen_step)
                if snapshot.preview is not None:
                    seen_step = snapshot.preview.step
                files = None if snapshot.result is None else clip_files(snapshot.result)
                yield value, progress_value(snapshot), files, *buttons(snapshot.status.over)

        async def generate(
            timeline: EditorValue,
            label: str | None,
            seed: Any,
            guidance: Any,
            solver: str,
            eta: Any,
            fps: Any,
            splice_exact: Any,
            session: Any,
        ) -> AsyncIterator[tuple[Any, ...]]:
            """Make a clip from a timeline; the last update has its files."""
            request = checked(
                lambda: GenerateRequest(
                    label=label or None,
                    seed=seed,
                    cfg_scale=guidance,
                    solver=solver,  # type: ignore[arg-type]
                    eta=eta,
                    fps=fps,
                    splice_exact=splice_exact,
                )
            )
            await studio.model.wait()
            kept = session_of(session)
            kept["job"] = await run_sync(studio.submit, timeline, request, kept["session"])
            async for shown in watch(kept):
                yield *shown, kept

        def ask_to_stop(session: Any) -> dict[str, Any]:
            """End the session's run after its current step and keep what it has."""
            kept = session_of(session)
            snapshot = studio.jobs.get(kept["job"])
            studio.jobs.stop(kept["job"])
            if snapshot is None or snapshot.status.over:
                return gr.skip()
            return {**progress_value(snapshot), "text": "Stopping after this step…"}

        generation = run.click(
            generate,
            [editor, *settings, session],
            [*showing, session],
            api_name="generate",
            **tasks,
        )
        generation.then(**reading)
        stop.click(ask_to_stop, [session], [progress], api_name="stop", **quick)

        # ── A visit begins ───────────────────────────────────────────────────────────────────

        def greet(kept_painting: Any, kept_session: Any) -> tuple[Any, ...]:
            """Bring back what this browser painted, or show what the first visit begins with."""
            kept = session_of(kept_session)
            restored = restore(kept_painting)
            if restored is None:
                return studio.welcome(), *[gr.skip()] * len(settings), kept
            return restored["editor"], *restored["settings"], kept

        async def name_model(timeline: EditorValue, label: str | None) -> tuple[Any, Any]:
            """Name the model and its labels once it is there."""
            if not await studio.model.wait():
                return gr.skip(), studio.model_lines()
            labels = studio.model.get().labels
            chosen = label if label in (ANY, *labels) else studio.fitting_label(timeline)
            choices = [("any", ANY), *((name, name) for name in labels)]
            return gr.update(choices=choices, value=chosen), studio.model_lines()

        async def find_again(kept_session: Any) -> AsyncIterator[tuple[Any, ...]]:
            """Go on showing the run of this browser, still going or done."""
            kept = session_of(kept_session)
            if studio.jobs.get(kept["job"]) is not None:
                async for shown in watch(kept):
                    yield shown
            elif (saved := studio.outputs.find(kept["session"], kept["job"])) is not None:
                yield None, {}, clip_files(saved), *buttons(over=True)
            else:  # a generator that yields nothing would empty its outputs
                yield None, {}, None, *buttons(over=True)

        visit = demo.load(
            greet, [painting, session], [editor, *settings, session], **quick, **unlisted
        )
        visit.then(name_model, [editor, label], [label, model], **quick, **unlisted).then(**reading)
        demo.load(find_again, [session], showing, **tasks, **unlisted)

    demo.queue(max_size=16)
    demo.studio = studio
    return demo


def launch_options(demo: gr.Blocks) -> dict[str, Any]:
    """The arguments of `launch()` that belong to the page, whoever launches it."""
    studio: Studio = demo.studio  # type: ignore[attr-defined]
    return {
        "theme": gr.themes.Base(
            primary_hue="orange",
            neutral_hue="slate",
            font=["system-ui", "sans-serif"],
            font_mono=["ui-monospace", "monospace"],
        ),
        "css_paths": [HERE / "studio.css"],
        "js": START,
        "footer_links": [],
        "run_history": False,
        "enable_monitoring": False,
        "max_file_size": MAX_UPLOAD,
        "allowed_paths": [str(studio.outputs.root)],
        "ssr_mode": False,
        "app_kwargs": {"middleware": [Middleware(Guard, room_for_upload=studio.room_for_upload)]},
    }
