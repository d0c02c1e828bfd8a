"""One or two settings at several values each: the runs of a sweep, and how they are shown."""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from pydantic import Field

from fvdm_core.limits import shown
from fvdm_core.options import SOLVERS, USUAL_ETA
from fvdm_core.presets import PRESETS
from ui import editing
from ui.jobs import Snapshot, Status
from ui.orders import SOLVER_NAMES, shortened
from ui.refusals import RequestError, checked
from ui.requests import (
    MAX_PROMPT,
    EditorValue,
    GenerateRequest,
    PresetRequest,
    SizeRequest,
    Strict,
)
from ui.restoring import OPTIONAL

MAX_VALUES = 8  # of a setting
MAX_RUNS = 16
NOT_RUN = "not run"  # of cells whose sweep was stopped before their turn, or is shown again
REAL = ("cfg_scale", "temporal_scale", "guidance_from", "eta", "step_cache")  # numbers


@dataclass(frozen=True)
class Setting:
    """What may be swept: its title, the values that the page proposes, a hint, and what an empty
    box shows."""

    title: str
    usual: str
    hint: str = "Numbers with commas between them; 1…5 is all from 1 to 5"
    placeholder: str = ""


ALL_SOLVERS = ", ".join(SOLVER_NAMES[name] for name in SOLVERS)
SETTINGS = {
    "seed": Setting("Seed", "1, 2, 3, 4"),
    "cfg_scale": Setting("Guidance", "0, 1.5, 3, 5"),
    "temporal_scale": Setting("Coherence", "0, 0.5, 1, 2"),
    "guidance_from": Setting("Guide above", "0, 200, 400, 600"),
    "eta": Setting("Fresh noise η", "0, 0.5, 1"),
    "steps": Setting("Steps", "10, 20, 30, 50"),
    "step_cache": Setting("Step caching", "0, 0.05, 0.1, 0.2"),
    "solver": Setting("Solver", ALL_SOLVERS, f"Any of {ALL_SOLVERS}"),
    "preset": Setting(
        "Preset",
        "Generate, Staggered, Restart",
        f"Any of {', '.join(preset.title for preset in PRESETS.values())}",
    ),
    "label": Setting("Label", "", "Labels of the model, or any; without a name all of them", "all"),
}


PROMPTS = Setting(
    "Prompt", "", "Prompts with | between them; any is none", "A cat asleep. | A dog runs."
)


def setting_table(pipeline: Any | None = None) -> list[dict[str, str]]:
    """What may be swept with a model, for the page; all that there is before one is loaded."""
    return [{"name": name} | asdict(setting) for name, setting in _settings_of(pipeline).items()]


def _settings_of(pipeline: Any | None) -> dict[str, Setting]:
    if pipeline is None:
        return SETTINGS
    skills: Collection[str] = pipeline.skills
    prompts = "prompts" in skills
    without = {option for option in OPTIONAL if option not in skills}
    if not (pipeline.card.labels or prompts):
        without |= {"label", "cfg_scale"}
    if {"cfg_scale", "temporal_scale"} <= without:
        without |= {"guidance_from"}
    own = {"label": PROMPTS} if prompts else {}
    return {name: own.get(name, SETTINGS[name]) for name in SETTINGS if name not in without}


class AxisRequest(Strict):
    """A setting and its values as they were typed."""

    setting: str = Field(max_length=20)
    values: str = Field(max_length=MAX_VALUES * MAX_PROMPT)


class SweepRequest(Strict):
    """A row of runs, or rows and columns; `again`: shown once more, so nothing is run for it."""

    columns: AxisRequest
    rows: AxisRequest | None = None
    again: bool = False


@dataclass(frozen=True)
class Axis:
    """A setting and its values; `names` is what each is called on the page."""

    setting: str
    values: tuple[Any, ...]
    names: tuple[str, ...]


@dataclass(frozen=True)
class Sweep:
    """The runs of a sweep, row by row, and what their columns and rows are called.

    `chosen` has the settings of each; its painting is made when its turn comes, as sixteen of a
    million cells would fill the memory.
    """

    columns: tuple[str, ...]
    rows: tuple[str, ...]
    chosen: tuple[dict[str, Any], ...]
    editor: EditorValue
    request: GenerateRequest
    window: int

    def cell(self, place: int) -> tuple[EditorValue, GenerateRequest]:
        """The painting and settings of a run.

        Raises:
            RequestError: the painting cannot be made like that.
        """
        chosen = self.chosen[place]
        painting = self.editor
        if "preset" in chosen:
            steps = editing.preset_steps(painting, self.window)
            preset = _preset(chosen["preset"], painting.frames, steps)
            painting = editing.with_preset(painting, preset, self.window)
        if "steps" in chosen:
            size = _size(painting.frames, chosen["steps"])
            painting = editing.with_size(painting, size, self.window)
        return painting, _settled(self.request, chosen)


def axis_of(asked: AxisRequest, labels: Sequence[str], prompts: bool = False) -> Axis:
    """The values of a setting; `labels` are those of the model. prompts: any text is one, too.

    Raises:
        RequestError: there is no such setting, or a value that it cannot have.
    """
    if asked.setting not in SETTINGS:
        raise RequestError(f"setting is {shown(asked.setting)}: it cannot be swept.")
    texts = prompts and asked.setting == "label"
    title, mark = (PROMPTS.title, "|") if texts else (SETTINGS[asked.setting].title, ",")
    typed = [part for each in asked.values.split(mark) if (part := each.strip())]
    if not texts:
        typed = [part for each in typed for part in _counted(each)]
    if not typed and asked.setting == "label":
        typed = list(labels)
    if not typed:
        between = "|" if texts else "commas"
        raise RequestError(f"{title}: name at least one value, with {between} between them.")
    if len(typed) > MAX_VALUES:
        raise RequestError(f"{title}: {MAX_VALUES} values are the most; name fewer.")
    known = _names(asked.setting, labels)
    values, names = [], []
    for text in typed:
        unknown = texts and text.lower() not in known
        value, name = (text, shortened(text)) if unknown else _value(title, text, known)
        if value not in values:
            values.append(value)
            names.append(name)
    return Axis(asked.setting, tuple(values), tuple(names))


def sweep_of(
    asked: SweepRequest,
    editor: EditorValue,
    request: GenerateRequest,
    labels: Sequence[str],
    window: int,
    prompts: bool = False,
) -> Sweep:
    """The runs that a sweep asks for, of what is painted with the panel's settings; `labels` are
    those of the model, of which `window` is what it sees, and with `prompts` any text is one.

    Raises:
        RequestError: a value is not allowed, both axes are of one setting, or there are too many.
    """
    axes = [
        axis_of(each, labels, prompts) for each in (asked.rows, asked.columns) if each is not None
    ]
    settings = [axis.setting for axis in axes]
    if len(set(settings)) < len(settings):
        raise RequestError("Rows and columns are of one setting: choose another for one of them.")
    count = math.prod(len(axis.values) for axis in axes)
    if count > MAX_RUNS:
        raise RequestError(f"These are {count} runs; a sweep has {MAX_RUNS} at most.")
    chosen = [
        dict(zip(settings, values, strict=True))
        for values in itertools.product(*(axis.values for axis in axes))
    ]
    for each in chosen:
        _settled(request, each)
        if "steps" in each:
            _size(editor.frames, each["steps"])
    rows = axes[0].names if asked.rows is not None else ("",)
    return Sweep(axes[-1].names, rows, tuple(chosen), editor, request, window)


def _counted(text: str) -> list[str]:
    """The numbers of a range such as 3…6, at most one more than is allowed; else the text."""
    found = re.fullmatch(r"([0-9]{1,10})\s*(?:…|\.{2,3})\s*([0-9]{1,10})", text)
    if not found:
        return [text]
    low, high = int(found[1]), int(found[2])
    if low > high:
        raise RequestError(f"{text} runs backwards: write {high}…{low}.")
    return [str(number) for number in range(low, min(high, low + MAX_VALUES) + 1)]


def _names(setting: str, labels: Sequence[str]) -> dict[str, tuple[Any, str]]:
    """What a value may be called, in small letters: the value and its name; {} for numbers."""
    if setting == "label":
        return {"any": (None, "any")} | {label.lower(): (label, label) for label in labels}
    if setting == "solver":
        titles: dict[Any, str] = dict(SOLVER_NAMES)
    elif setting == "preset":
        titles = {name: preset.title for name, preset in PRESETS.items()}
    else:
        return {}
    called = {title.lower(): (name, title) for name, title in titles.items()}
    return {str(name).lower(): (name, title) for name, title in titles.items()} | called


def _value(title: str, text: str, names: dict[str, tuple[Any, str]]) -> tuple[Any, str]:
    if names:
        if text.lower() not in names:
            choice = ", ".join(dict.fromkeys(name for _, name in names.values()))
            raise RequestError(f"{title}: {shown(text)} is none of {choice}.")
        return names[text.lower()]
    try:
        number = float(text)
    except ValueError:
        raise RequestError(
            f"{title}: {shown(text)} is not a number; write 1, 2, 5 or, for all between, 1…5."
        ) from None
    if not math.isfinite(number):
        raise RequestError(f"{title}: {shown(text)} is not a number that it can have.")
    value = int(number) if number.is_integer() else number
    return value, f"{title} {value}"


def _preset(name: str, frames: int, steps: int) -> PresetRequest:
    return checked(lambda: PresetRequest(name=name, frames=frames, steps=steps))


def _size(frames: int, steps: Any) -> SizeRequest:
    return checked(lambda: SizeRequest(frames=frames, steps=steps))


def _settled(request: GenerateRequest, chosen: Mapping[str, Any]) -> GenerateRequest:
    """The panel's settings with some of them as chosen."""
    asked = request.model_dump()
    if "solver" in chosen and request.eta == USUAL_ETA[request.solver]:
        asked["eta"] = USUAL_ETA[chosen["solver"]]  # as the panel does when another one is chosen
    for name in asked.keys() & chosen.keys():
        asked[name] = float(chosen[name]) if name in REAL else chosen[name]
    return checked(lambda: GenerateRequest(**asked))


def sweep_value(
    sweep: Sweep, runs: Sequence[Snapshot | None], refused: Mapping[int, str]
) -> dict[str, Any]:
    """How far a sweep is, for the page. A cell has no run before it is queued; `refused` says of
    those that cannot run, or were not, why."""
    known = [None if place in refused else run for place, run in enumerate(runs)]
    left = sum(
        place not in refused and (run is None or not run.status.over)
        for place, run in enumerate(known)
    )
    done = sum(run is not None and run.status is Status.DONE for run in known)
    text = f"{done} of {len(runs)} are done"
    if not left:
        why = next((said for _, said in sorted(refused.items()) if said != NOT_RUN), "")
        text = (
            "Click a clip to see its run above." if done == len(runs) else f"{text}. {why}".strip()
        )
    return {
        "status": "working" if left else "done",
        "text": text,
        "columns": list(sweep.columns),
        "rows": list(sweep.rows),
        "cells": [
            {
                "job": "",
                "text": refused.get(place, "waits"),
                "wrong": place in refused,
                "whole": False,
            }
            if run is None
            else {
                "job": run.job,
                "text": _words(run),
                "wrong": run.status is Status.FAILED,
                "whole": run.status is Status.DONE,
            }
            for place, run in enumerate(known)
        ],
    }


def _words(run: Snapshot) -> str:
    if run.status is Status.QUEUED:
        return "queued"
    if run.status is Status.RUNNING:
        return f"step {run.step} of {run.steps}"
    if run.status is Status.STOPPED and run.result is None:
        return NOT_RUN
    return run.message
