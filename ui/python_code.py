"""A run as a Python program that makes the same clip with `fvdm_core` alone."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from fvdm_core.files import is_program
from fvdm_core.options import RunOptions
from fvdm_core.recipe import Recipe
from fvdm_core.timeline import Timeline
from ui.saved import Saved

HUB = re.compile(r"[\w.-]+/[\w.-]+(@[\w.-]+)?(/[\w.-]+)?")
MAX_INLINE = 20_000  # characters of a timeline's JSON in the program; longer ones are read


def python_code(saved: Saved, recipe: Recipe, model: str | None, window: int) -> str:
    """The program. It reads the pictures, and a very long timeline, from the run's zip.

    model: the source of the run's model; None is the model that ships. window: the frames that
    the model sees, which presets of long clips depend on.
    """
    lines = []
    pictures = [f'    {f}: "keyframes/{path.name}",' for f, path in saved.keyframes.items()]
    if pictures:
        lines.append('# The folder "keyframes" is in the zip of frames, "PNG zip" in the studio.')
    if len(recipe.timeline.to_json()) > MAX_INLINE:
        lines += ["import json", ""]
    pipeline, own = _pipeline(recipe, model)
    lines.append(f"from fvdm_core import {'' if own else 'Pipeline, '}Timeline")
    if recipe.stopped_after_step is not None:
        lines.append("from fvdm_core.media import write_video")
    if own:
        lines.append("from fvdm_core.own import load_own")
    lines.append("")
    lines += [pipeline, f"timeline = {_timeline(recipe, window)}"]
    arguments = ["timeline", *_options(recipe.options)]
    if pictures:
        lines += ["keyframes = {", *pictures, "}"]
        arguments.insert(1, "keyframes=keyframes")
    if recipe.stopped_after_step is None:
        lines.append(f"clip = pipe({', '.join(arguments)})")
        lines.append('clip.save("clip.mp4")')
    else:
        fps = recipe.options.fps or 8
        lines += [
            f"for state in pipe.stream({', '.join(arguments)}):",
            f"    if state.step == {recipe.stopped_after_step}:  # where it was stopped",
            f'        write_video("clip.mp4", state.frames, {fps:g})',
            "        break",
        ]
    return "\n".join(lines) + "\n"


def _pipeline(recipe: Recipe, model: str | None) -> tuple[str, bool]:
    """The line that opens the model, and whether a Python file of its own makes it."""
    made_by = f"{_one_line(recipe.model_name)}, {_one_line(recipe.model_hash)[:12]}"
    if model is None:
        return f"pipe = Pipeline.from_pretrained()  # {made_by}", False
    # a folder is this machine's own business
    if is_program(model):
        return f"pipe = load_own({Path(model).name!r})  # {made_by}", True
    source = model if HUB.fullmatch(model) and not model.startswith(".") else "the model's folder"
    return f"pipe = Pipeline.from_pretrained({source!r})  # {made_by}", False


def _timeline(recipe: Recipe, window: int) -> str:
    timeline, page = recipe.timeline, recipe.page
    for build, text in (_by_preset(page, timeline, window), _by_formula(page, timeline)):
        try:
            if text and build().with_windows(window) == timeline:
                return text
        except (ValueError, TypeError):
            continue  # it was painted over, or the file says what is not so
    text = timeline.to_json()
    if len(text) > MAX_INLINE:
        read = 'json.load(open("recipe.json"))["timeline"]'
        return f'Timeline.from_json(json.dumps({read}, separators=(",", ":")))'
    return f"Timeline.from_json({text!r})"


def _by_preset(page: dict[str, Any], timeline: Timeline, window: int) -> tuple[Any, str]:
    preset = page.get("preset")
    if not isinstance(preset, dict):
        return None, ""
    name, params = preset.get("name"), preset.get("params")
    if not isinstance(name, str) or not isinstance(params, dict):
        return None, ""
    size = {"frames": timeline.frames, "steps": preset.get("steps") or timeline.num_steps}
    if window != 16:
        size["window"] = window
    if not params.keys().isdisjoint(size) or not all(str(key).isidentifier() for key in params):
        return None, ""
    named: dict[str, Any] = {**size, **params}
    said = ", ".join(f"{key}={value!r}" for key, value in named.items())
    return lambda: Timeline.preset(name, **named), f"Timeline.preset({name!r}, {said})"


def _by_formula(page: dict[str, Any], timeline: Timeline) -> tuple[Any, str]:
    formula = page.get("formula")
    if not isinstance(formula, str) or not formula:
        return None, ""
    size = {"frames": timeline.frames, "steps": timeline.num_steps}
    said = ", ".join(f"{name}={value}" for name, value in size.items())
    return lambda: Timeline.formula(formula, **size), f"Timeline.formula({formula!r}, {said})"


def _options(options: RunOptions) -> list[str]:
    """The options that are not the library's own defaults; pictures are fitted already."""
    usual = RunOptions()
    return [
        f"{name}={getattr(options, name)!r}"
        for name in vars(usual)
        if name == "seed" or (name != "fit" and getattr(options, name) != getattr(usual, name))
    ]


def _one_line(text: str) -> str:
    return re.sub(r"[^\w .()-]", "", text, flags=re.ASCII)
