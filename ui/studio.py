"""The page: layout, and which part talks to which."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

import gradio as gr
from starlette.middleware import Middleware

from fvdm_core.formula import MAX_FORMULA
from ui import afterwards, editing
from ui.compare_panel import wire_compare
from ui.downloads import Downloads
from ui.filmstrip import Filmstrip
from ui.guard import MAX_BODY, Guard
from ui.guide import GUIDE, LINK, add_guide, picture_routes
from ui.model_list import ModelList
from ui.model_panel import photographs, wire_models
from ui.outputs import Outputs
from ui.painting_panel import OF_THIS_TAB, PaintingParts, wire_painting
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
    SweepView,
)
from ui.programs import wire_programs
from ui.queue_panel import Parts, wire_queue
from ui.rewinding import wire_rewinding
from ui.service import Studio, restore, session_of
from ui.settings_panel import settings_panel
from ui.sweep_panel import wire_sweep
from ui.sweeping import setting_table
from ui.timeline_editor import TimelineEditor
from ui.unread import Unread

HERE = Path(__file__).parent
STORAGE: dict[str, Any] = {
    "secret": "fvdm-studio-in-this-browser"
}  # fixed, so that a restart can read it again
MAX_UPLOAD = 64 * 2**20  # bytes of a file
MAX_VISITS = 100
MAX_EVENTS = 400  # at once; a follower of runs is one, and has no thread
QUEUE_REST = 0.02  # seconds between looks at the queue; gradio's 1 ms keeps a slow core half busy
TAGLINE = "Paint how noisy each frame of a video is while it is denoised."


def build_studio(
    models: Callable[[], Any] | ModelList,
    *,
    outputs: Path | Outputs,
    examples: Path | None = None,
    run_limit: float = math.inf,
) -> gr.Blocks:
    """The page, not yet launched; the model loads meanwhile.

    Args:
        models: the list to choose from, or what returns the one `fvdm_core.Pipeline` there is.
        outputs: the folder in which runs are kept, or what keeps them.
        examples: a folder of PNG pictures to offer as keyframes.
        run_limit: seconds after which a run is stopped, and keeps what there is.
    """
    kept = outputs if isinstance(outputs, Outputs) else Outputs(outputs)
    studio = Studio(models, kept, examples, run_limit)
    quick: dict[str, Any] = {"queue": False, "show_progress": "hidden"}  # for what does not fail
    unlisted: dict[str, Any] = {"api_visibility": "private"}

    with gr.Blocks(title="FVDM Studio", analytics_enabled=False, fill_width=True) as demo:
        session = gr.BrowserState({}, storage_key="fvdm-session", **STORAGE)
        painting = gr.BrowserState(None, storage_key="fvdm-painting", **STORAGE)

        with gr.Row(elem_id="header"):
            gr.HTML(f'<h1 class="brand">FVDM <b>Studio</b></h1><p>{TAGLINE}</p>', padding=False)
            model = ModelPanel(None, elem_id="model")
            gr.HTML(LINK if GUIDE.is_file() else "", padding=False)
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
                has_examples = bool(studio.examples.examples)
                with gr.Row(elem_id="shelf-row", visible=has_examples) as shelf_row:
                    shelf = ExampleShelf(studio.examples, elem_id="shelf")
                    note = gr.HTML(photographs(), padding=False)
                editor = TimelineEditor(studio.welcome(), label="timeline", elem_id="editor")
                strip = Filmstrip(None, label="strip", elem_id="strip")
                with gr.Row(elem_id="formula-row"):
                    formula = gr.Textbox(
                        label="formula",
                        show_label=False,
                        container=False,
                        max_lines=1,
                        max_length=4 * MAX_FORMULA,  # what is too long is refused, not cut
                        placeholder="A formula of your own, such as min(0.2*i*t, t)",
                        elem_id="formula",
                    )
                    use = gr.Button("Use", size="sm", min_width=0, scale=0, elem_id="use-formula")
                check = FormulaCheck(names=editing.formula_names(), elem_id="formula-check")

            with gr.Column(elem_id="panel", scale=0, min_width=264):
                panel = settings_panel()
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
            sweep = SweepView(None, settings=setting_table(), elem_id="sweep")

        settings = panel.settings
        reading, keeping, boxes = wire_painting(
            studio,
            PaintingParts(
                editor=editor,
                picker=picker,
                shelf=shelf,
                frames=panel.frames,
                steps=panel.steps,
                formula=formula,
                use=use,
                check=check,
                prior=panel.prior,
                summary=summary,
                settings=settings,
                painting=painting,
                session=session,
            ),
        )
        theme.click(None, None, None, js="() => window.fvdmPage.toggleTheme()", **unlisted)

        parts = Parts(
            *(session, editor, settings, panel.variations, strip, progress, clip, run, stop, runs),
            boxes,
        )
        wire_queue(studio, parts, demo.load, reading, keeping)
        wire_programs(studio, parts)
        wire_compare(studio, parts, compare)
        wire_sweep(studio, parts, sweep)
        wire_rewinding(studio, strip, session)

        # ── A visit begins ───────────────────────────────────────────────────────────────────

        def greet(kept_painting: Any, kept_session: Any) -> tuple[Any, ...]:
            """Bring back what this browser painted, if anything."""
            kept = session_of(kept_session)
            restored = restore(kept_painting)
            if restored is None:  # the page shows the welcome, or what was painted on it already
                foreign = studio.model.ready and studio.is_foreign_welcome(studio.welcome())
                first = studio.plain_welcome() if foreign else gr.skip()
                return first, *[gr.skip()] * len(settings), kept
            return restored["editor"], *restored["settings"], kept

        visit = demo.load(
            greet,
            [painting, session],
            [editor, *settings, session],
            js=OF_THIS_TAB,
            **quick,
            **unlisted,
        )
        visit.then(None, js="() => window.fvdmPage.restored()", **unlisted)
        afterwards.wire(
            studio,
            clip=clip,
            runs=runs,
            history=history,
            editor=editor,
            settings=settings,
            variations=panel.variations,
            session=session,
            begun=visit,
            reading=reading,
            keeping=keeping,
        )
        naming = wire_models(
            *(studio, model, editor, panel.fields, panel.prompt, note, shelf_row),
            *(sweep, reading, keeping, painting),
        )
        reading(visit.then).then(**naming)  # the rest follows when the model is there

    add_guide(demo)
    for event in demo.fns.values():
        # Whatever an event may show its progress on, gradio's page reads whole at every status of
        # any event: canvas, presets and lists took half of a processor during a run.
        event.show_progress_on = [theme]
    demo.queue(max_size=64, api_open=False)  # else a call to gradio may pass the queue by
    demo._queue.sleep_when_free = QUEUE_REST
    demo.studio = studio
    return demo


def launch_options(demo: gr.Blocks, hosts: Collection[str] | None = ()) -> dict[str, Any]:
    """The arguments of `launch()` that belong to the page, whoever launches it.

    `hosts` are the names it is served under beside those of this machine; None is any.
    """
    studio: Studio = demo.studio  # type: ignore[attr-defined]
    return {
        "_frontend": False,  # no look at itself: a busy machine is given up on after 3 s
        "theme": gr.themes.Base(
            primary_hue="orange",
            neutral_hue="slate",
            font=["system-ui", "sans-serif"],
            font_mono=["ui-monospace", "monospace"],
        ).set(  # the theme's own are too faint to read (WCAG 2.2, 1.4.3)
            body_text_color_subdued="*neutral_500",
            button_primary_background_fill="*primary_700",
            button_primary_background_fill_hover="*primary_800",
            button_primary_background_fill_dark="*primary_700",
            button_primary_background_fill_hover_dark="*primary_800",
        ),
        "css_paths": [HERE / f"{name}.css" for name in ("studio", "queue", "afterwards", "models")],
        "js": "() => window.fvdmPage.begin()",
        "head": f"<script>{(HERE / 'page.js').read_text('utf-8')}</script>",
        "footer_links": [],
        "run_history": False,
        "enable_monitoring": False,
        # of each visit gradio keeps 450 KB, which none needs: what a page has comes with its calls
        "state_session_capacity": MAX_VISITS,
        "max_threads": MAX_EVENTS,  # or the followers of 40 tabs are all that there is room for
        "max_file_size": MAX_UPLOAD,
        "allowed_paths": [str(studio.outputs.root)],
        "ssr_mode": False,
        "app_kwargs": {
            "routes": [
                *Downloads(studio.outputs, afterwards.Afterwards(studio).code).routes(),
                *picture_routes(),
            ],
            "middleware": [
                Middleware(
                    Guard,
                    room_for_upload=studio.room_for_upload,
                    max_upload=MAX_UPLOAD + MAX_BODY,  # a file and what is written around it
                    comes_in=Unread(demo._queue).drop,
                    hosts=hosts,
                    serves=studio.serves,
                )
            ],
        },
    }
