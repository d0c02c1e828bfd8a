"""A recipe, of a run of this session or out of a dropped file, back onto the page."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gradio.data_classes import FileData
from gradio.processing_utils import save_bytes_to_cache, save_file_to_cache
from gradio.utils import get_upload_folder
from pydantic import ValidationError

from fvdm_core.formula import MAX_FORMULA
from fvdm_core.limits import SAMPLING, frame_names
from fvdm_core.options import written_size
from fvdm_core.pictures import Picture, png_bytes
from fvdm_core.recipe import Recipe, read_recipe
from ui import editing
from ui.outputs import Outputs
from ui.refusals import RequestError, checked
from ui.requests import MOST_FPS, EditorValue, GenerateRequest, KeyframeValue, PresetValue
from ui.saved import Saved

# settings that not every model can carry out: what the page calls them, and their value without
OPTIONAL: dict[str, tuple[str, Any]] = {
    "temporal_scale": ("Coherence", None),
    "step_cache": ("Step caching", 0.0),
    "splice_exact": ("Splice kept pictures exactly", False),
}


@dataclass(frozen=True)
class Restored:
    """What goes back onto the page, and what a person should know about it."""

    editor: EditorValue
    request: GenerateRequest
    notes: tuple[str, ...] = ()


def restored(
    recipe: Recipe, pictures: dict[int, FileData], pipeline: Any | None, lent: bool = False
) -> Restored:
    """The page's value of a recipe.

    pictures: an upload for each frame that has one. pipeline: the loaded model, None before that.
    lent: it runs on another device than the one it was loaded on, so that its precision says
    nothing.

    Raises:
        RequestError: the recipe asks for what the page cannot be set to.
    """
    options = recipe.options
    named = {name: getattr(options, name) for name in GenerateRequest.model_fields}
    notes = []
    if options.fps is None:
        del named["fps"]
    else:
        named["fps"] = min(MOST_FPS, max(1, round(options.fps)))
        if options.fps > MOST_FPS:
            notes.append(f"It played at {options.fps:g} frames per second; here at {MOST_FPS}.")
    labels = None if pipeline is None else pipeline.card.labels
    if isinstance(options.label, int):
        known = labels is not None and 0 <= options.label < len(labels)
        named["label"] = labels[options.label] if labels is not None and known else None
    named["size"] = None if options.size is None else written_size(options.size)
    named["cfg_scale"], named["eta"] = float(options.cfg_scale), float(options.fresh_noise)
    for key in SAMPLING:
        if named[key] is not None:
            named[key] = float(named[key])
    request = checked(lambda: GenerateRequest(**named))
    if pipeline is not None:
        request, changed = fitted(request, pipeline)
        notes += changed
    if (
        pipeline is not None
        and recipe.model_hash
        and (recipe.model_name, recipe.model_hash) != (pipeline.card.name, pipeline.model_hash)
    ):
        notes.append(
            f"This was made with {recipe.model_name or 'a model'} ({recipe.model_hash[:8]}); "
            f"here is {pipeline.card.name} ({pipeline.model_hash[:8]}), so the clip will differ."
        )
    elif pipeline is not None and (
        why := recipe.rounding(recipe.dtype if lent else pipeline.precision)
    ):
        notes.append(f"{why}, so details may differ.")
    if missing := sorted(recipe.keyframes.keys() - pictures.keys()):
        what, are, them = (
            ("picture", "is", "it") if len(missing) == 1 else ("pictures", "are", "them")
        )
        notes.append(
            f"The {what} of {frame_names(missing)} {are} not in this file: drop {them} again."
        )
    if recipe.stopped_after_step is not None:
        notes.append(
            f"That run was stopped after step {recipe.stopped_after_step}; here it goes to the end."
        )
    editor = editing.painted(
        recipe.timeline,
        keyframes=[KeyframeValue(frame=f, file=file) for f, file in sorted(pictures.items())],
        preset=_preset(recipe.page.get("preset")),
        formula=_formula(recipe.page.get("formula")),
    )
    return Restored(editor, request, tuple(notes))


def fitted(request: GenerateRequest, pipeline: Any) -> tuple[GenerateRequest, list[str]]:
    """The request as the loaded model can take it, and what a person should know of that."""
    notes: list[str] = []
    changes: dict[str, Any] = {}
    known = request.label in (None, *pipeline.card.labels)
    if not known and "prompts" not in pipeline.skills:
        notes.append(f"This model does not know {request.label!r}, so any label is chosen.")
        changes["label"] = None
    # what the model does by itself is left to it, also when another label is chosen
    own = pipeline.card.sampling.of(changes.get("label", request.label))
    changes |= {key: None for key, value in own.items() if getattr(request, key) == value}
    if request.size not in (None, *map(written_size, pipeline.sizes)):
        notes.append(f"This model does not know {request.size}, so its usual size is chosen.")
        changes["size"] = None
    if pipeline.card.timesteps != "scalar" and request.conditioning is not None:
        if request.conditioning == "replacement":
            notes.append("This model is shown kept frames as they are, not noised again.")
        changes["conditioning"] = None  # nor does its page offer anything else
    for option, (title, without) in OPTIONAL.items():
        if option not in pipeline.skills:
            if changes.get(option, getattr(request, option)):
                notes.append(f"This model cannot be run with “{title}”, so that is off.")
            changes[option] = without
    return request.model_copy(update=changes), notes


def of_run(saved: Saved) -> tuple[Recipe, dict[int, FileData]]:
    """The recipe of a run on disk, and its pictures as uploads."""
    recipe = checked(lambda: read_recipe(saved.recipe))
    kept = {frame: path for frame, path in saved.keyframes.items() if frame in recipe.keyframes}
    return recipe, {frame: as_upload(path, frame) for frame, path in kept.items()}


def of_file(path: Path, outputs: Outputs, session: str) -> tuple[Recipe, dict[int, FileData]]:
    """The recipe inside a file that anyone may have made, and its pictures as uploads.

    Pictures that are not in the file are looked for among this session's own runs, by their hash.

    Raises:
        RequestError: the file carries no recipe, or one that is wrong; the text says what.
    """
    recipe = checked(lambda: read_recipe(path))
    pictures = {frame: written_upload(each, frame) for frame, each in recipe.pictures.items()}
    wanted = {recipe.keyframes[frame] for frame in recipe.missing}
    for saved in outputs.runs(session) if wanted else []:
        for known, file in _pictures_of(saved, wanted).items():
            wanted.discard(known)
            for frame in recipe.missing:
                if recipe.keyframes[frame] == known:
                    pictures[frame] = as_upload(file, frame)
        if not wanted:
            break
    return recipe, pictures


@contextmanager
def uploading() -> Iterator[None]:
    """Says in words why a picture could not be put among the uploads."""
    try:
        yield
    except FileNotFoundError:
        raise RequestError(
            "A picture of this run is not here, or no longer: it may have been deleted to make "
            "room. Your timeline is unchanged."
        ) from None
    except OSError as error:
        folder = Path(get_upload_folder())
        room = next(place for place in (folder, *folder.parents) if place.exists())
        raise RequestError(
            f"A picture could not be written to {folder.name} ({error.strerror or 'no reason'}; "
            f"{shutil.disk_usage(room).free >> 20} MB are free). Make room in the outputs folder, "
            "then try again. Your timeline is unchanged."
        ) from None


def as_upload(path: Path, frame: int) -> FileData:
    """A picture of a run, copied to where uploads lie, so that it is treated as one.

    Raises:
        RequestError: it is gone, or there is no room; `written_upload` says the latter too.
    """
    with uploading():
        file = save_file_to_cache(path, get_upload_folder())
        os.utime(file)  # it is as old as the run, and the oldest uploads go first
    return FileData(path=file, orig_name=_name(frame))


def written_upload(picture: Picture, frame: int) -> FileData:
    """A picture that is in no file, written to where uploads lie."""
    data = png_bytes(picture)
    with uploading():
        file = save_bytes_to_cache(data, _name(frame), get_upload_folder())
    return FileData(path=file, orig_name=_name(frame))


def _pictures_of(saved: Saved, wanted: set[str]) -> dict[str, Path]:
    """Which of the wanted pictures, by hash, a run has beside it."""
    files = saved.keyframes
    if not files:
        return {}
    try:
        hashes = read_recipe(saved.recipe).keyframes
    except ValueError:
        return {}
    return {h: files[f] for f, h in hashes.items() if h in wanted and f in files}


def _preset(value: Any) -> PresetValue | None:
    try:
        return None if value is None else PresetValue.model_validate(value)
    except ValidationError:
        return None  # only the highlight in the list of presets is lost


def _formula(value: Any) -> str:
    return value if isinstance(value, str) and len(value) <= MAX_FORMULA else ""


def _name(frame: int) -> str:
    return f"frame {frame + 1}.png"
