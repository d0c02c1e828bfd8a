"""Small parts of the page that gradio has no component for; each draws its value as plain text."""

from __future__ import annotations

import functools
import json
from pathlib import Path
from typing import Any

import gradio as gr
from gradio.data_classes import FileData, GradioModel

__all__ = [
    "ClipFiles",
    "ClipView",
    "CompareView",
    "ExampleShelf",
    "Example",
    "FormulaCheck",
    "History",
    "Lines",
    "ModelPanel",
    "PresetPicker",
    "Progress",
    "RunList",
    "SweepView",
]

HERE = Path(__file__).parent


@functools.cache
def _script(name: str) -> str:
    return (HERE / f"{name}.js").read_text(encoding="utf-8")


def _text(table: list[dict[str, Any]]) -> str:
    """A table that never changes, as JSON: gradio's page copies what it is given again and again,
    number by number."""
    return json.dumps(table)


class _Piece(gr.HTML):
    """A static template with a script that builds the inside from the value.

    Templates never contain the value: gradio would run what it holds.
    """

    SCRIPT = ""
    SCRIPTS: tuple[str, ...] = ()  # where it needs more than its own
    LOOK = ""  # a class for what it looks like, where others look like it

    def __init__(self, value: Any = None, *, elem_id: str, **kwargs: Any) -> None:
        super().__init__(
            value,
            html_template=f'<div class="piece {self.SCRIPT} {self.LOOK}"></div>',
            js_on_load="\n".join(map(_script, self.SCRIPTS or (self.SCRIPT,))),
            apply_default_css=False,
            elem_id=elem_id,
            **kwargs,
        )

    def postprocess(self, value: Any) -> Any:
        return value

    def api_info(self) -> dict[str, Any]:
        return {"type": "object"}

    def example_payload(self) -> Any:
        return None

    def example_value(self) -> Any:
        return None


class Lines(_Piece):
    """Lines of text: a list of {"kind", "text"}; the kind becomes a CSS class."""

    SCRIPT = "lines"

    def api_info(self) -> dict[str, Any]:
        line = {
            "type": "object",
            "properties": {"kind": {"type": "string"}, "text": {"type": "string"}},
        }
        return {"type": "array", "items": line}


class Progress(_Piece):
    """How far a run is: {"fraction": 0…1, "text", "status"}."""

    SCRIPT = "progress"


class ModelPanel(_Piece):
    """The model: its value is that of `ui.model_panel.panel_value`.

    It fires "look" with the {version} it has, "choose" with a {key}, and "follow" with {window,
    resample, first, welcome} when the page should be fitted to a model: the first, or one that took
    the place of another. At a visit the value also has "visit": what the page was made for.
    """

    SCRIPT = "model_panel"
    SCRIPTS = ("../timeline_editor/dom", "model_panel")


class PresetPicker(_Piece):
    """The presets as pictures of their matrix, with the parameters of the chosen one below.

    Its value is {"name", "params"}; it fires "pick" when a preset is chosen and "tune" when a
    parameter moves. `presets` and `timelines` are tables that `ui.editing` makes. The person's own
    presets stay in the browser; those, an example or a file of a timeline come with "bring":
    {"kind": "own" | "example" | "file", "name", "text"}, where an example has no text.
    """

    SCRIPT = "preset_picker"
    SCRIPTS = (
        "../timeline_editor/core",
        "../timeline_editor/colours",
        "../timeline_editor/dom",
        "matrix",
        "own_presets",
        "preset_picker",
        "picker_own",
    )

    def __init__(
        self,
        value: Any,
        *,
        presets: list[dict[str, Any]],
        timelines: list[dict[str, Any]],
        **kwargs: Any,
    ) -> None:
        super().__init__(value, presets=_text(presets), timelines=_text(timelines), **kwargs)

    def api_info(self) -> dict[str, Any]:
        return {
            "type": "object",
            "properties": {"name": {"type": "string"}, "params": {"type": "object"}},
            "required": ["name"],
        }


class FormulaCheck(_Piece):
    """What a formula gives, or what is wrong: {"text", "wrong", "levels"}; and what may be written.

    `names` is {"variables": [[name, meaning]], "functions": [name]}.
    """

    SCRIPT = "formula_check"
    SCRIPTS = (
        "../timeline_editor/core",
        "../timeline_editor/colours",
        "../timeline_editor/dom",
        "matrix",
        "formula_check",
    )

    def __init__(self, *, names: dict[str, Any], **kwargs: Any) -> None:
        super().__init__(None, names=names, **kwargs)


class Example(GradioModel):
    """A picture that may be dragged onto a slot."""

    name: str
    file: FileData


class Examples(GradioModel):
    examples: list[Example]


class ExampleShelf(_Piece):
    """A row of pictures to drag onto a slot, or to click; a click fires "choose" with the file."""

    SCRIPT = "example_shelf"
    data_model = Examples


class ClipFiles(GradioModel):
    """The files of a finished run, and where those lie that are made on demand."""

    video: FileData
    gif: FileData
    recipe: FileData
    job: str
    address: str  # of the run, below that of the page; see ui.downloads
    name: str
    frames: int
    fps: int
    loops: bool = False  # the last frame is the first again
    motion: float | None = None  # mean change from frame to frame, of 255
    seam: float | None = None  # the change beside kept frames ÷ that elsewhere


class ClipView(_Piece):
    """The clip, playing in a loop, with its downloads and ways to go on from it.

    It fires "continue_clip" {job, tail}, "extend_clip" {job, frames, way} and "use_frame" {job,
    frame}; frames count from 0.
    """

    SCRIPT = "clip_view"
    SCRIPTS = ("../timeline_editor/dom", "clip_menus", "clip_view")
    data_model = ClipFiles

    async def async_move_resource_to_block_cache(
        self, url_or_file_path: str | Path | None
    ) -> str | None:
        # Runs are served from where they are kept; gradio would copy each into its own folder.
        return None if url_or_file_path is None else str(url_or_file_path)

    def api_info(self) -> dict[str, Any]:
        return ClipFiles.model_json_schema()


class RunList(_Piece):
    """The session's runs: its value is that of `ui.queueing.queue_value`.

    It fires "act" with {action, job, place}, "take_up" and "renew" with {job}, "ended" when a run
    is over, and "follow" when its value should be brought up to date from now on.
    """

    SCRIPT = "run_list"
    SCRIPTS = (
        "../timeline_editor/core",
        "../timeline_editor/colours",
        "../timeline_editor/dom",
        "matrix",
        "run_list",
    )


class CompareView(_Piece):
    """Two timelines side by side, in step, with their difference: see `ui.comparing`.

    It fires "compare" with {a, b}, each {kind, name}, and "again" with those before a reload, which
    a press on the button ends before their first value; from then on it does nothing until they
    are done. The runs to choose from come from `RunList` by an event on the window; `presets` is
    the table that `ui.editing.preset_table` makes.
    """

    SCRIPT = "compare"
    LOOK = "in-step"
    SCRIPTS = (
        "../timeline_editor/core",
        "../timeline_editor/colours",
        "../timeline_editor/dom",
        "matrix",
        "player",
        "in_step",
        "compare",
    )

    def __init__(self, value: Any, *, presets: list[dict[str, Any]], **kwargs: Any) -> None:
        named = [{key: preset[key] for key in ("name", "title")} for preset in presets]
        super().__init__(value, presets=_text(named), **kwargs)


class SweepView(_Piece):
    """One or two settings at several values each, and the clips in step: see `ui.sweeping`.

    `settings` is [{"name", "title", "usual", "hint", "placeholder"}], of the present model, and
    `cost` what the chosen runs would cost. It fires "sweep" with {columns, rows}, each {setting,
    values} and rows null where there are none, "again" with those before a reload, which a press
    on the button ends, "weigh" with the same to be told the cost, and "end" with the {id} of its
    value to stop that one.
    """

    SCRIPT = "sweep"
    LOOK = "in-step"
    SCRIPTS = ("../timeline_editor/dom", "player", "in_step", "sweep")

    def __init__(
        self, value: Any = None, *, settings: list[dict[str, str]], cost: str = "", **kwargs: Any
    ) -> None:
        super().__init__(value, settings=settings, cost=cost, **kwargs)
        # or gradio takes them for events, as the script has their names in quotes
        self.settings, self.cost = settings, cost


class History(_Piece):
    """The runs of this browser's session as thumbnails: what `ui.history.history_value` makes.

    It fires "open_run", "remove_run" and "restore_run" with {job}, the last also with {seed:
    whether it is restored too}, "more_runs" {count}, and "restore_file" {path, seed} for a file
    dropped beside the slots.
    """

    SCRIPT = "history"
    SCRIPTS = ("../timeline_editor/dom", "history")
