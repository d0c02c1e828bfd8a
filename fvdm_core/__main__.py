"""`python -m fvdm_core`: makes a clip, checks a model, lists presets or converts a checkpoint."""

from __future__ import annotations

import argparse
import json
import os
import sys
from dataclasses import fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fvdm_core.flags import AT_ONCE, DEFAULT_STEPS, parser
from fvdm_core.limits import MAX_FPS, MAX_FRAMES, frame_names
from fvdm_core.memory import out_of_memory
from fvdm_core.options import USUAL_ETA, RunOptions
from fvdm_core.pictures import MAX_GIF_FPS, check_fps
from fvdm_core.presets import PRESETS
from fvdm_core.recipe import read_recipe

if TYPE_CHECKING:
    from fvdm_core.pipeline import Pipeline
    from fvdm_core.timeline import Timeline

MAX_VARIATIONS = 64  # clips of one call


def _opened(options: argparse.Namespace) -> Pipeline:
    from fvdm_core.autoencoder import Autoencoder
    from fvdm_core.own import open_pipeline

    pipe = open_pipeline(options.model, options.device, options.vae)
    if options.vae and isinstance(pipe.autoencoder, Autoencoder):
        raise ValueError(f"{pipe.card.name} has an autoencoder of its own; leave out --vae")
    return pipe


def generate(options: argparse.Namespace) -> str:
    """Make the clip that the options ask for; says what was written."""
    from tqdm import tqdm

    _check_flags(options)
    keyframes = dict(options.keyframe)
    if len(keyframes) < len(options.keyframe):
        raise ValueError("--keyframe gives two pictures for one frame; leave one of them out")

    notes = _repeats(options, keyframes) if options.repeated else []
    _check_rate(options)

    pipe = _opened(options)
    if options.continued:
        timeline = _continuing(options, pipe, keyframes, notes)
    else:
        timeline = timeline_from(options, pipe.num_frames)
    timeline = timeline.with_windows(pipe.num_frames)
    options.fps = pipe.card.fps if options.fps is None else options.fps
    _check_rate(options)
    if options.repeated and options.repeated.model_hash != pipe.model_hash:
        made_with = options.repeated.model_name or "another model"
        notes.append(f"It was made with {made_with}, so the clip will differ.")
        notes += _fit_recipe(options, pipe, keyframes)
    elif options.repeated and (why := options.repeated.rounding(pipe.precision)):
        notes.append(f"{why}, so details may differ.")
    if options.prior and options.prior != timeline.prior:
        timeline = replace(timeline, prior=options.prior, prior_alpha=pipe.card.prior_alpha)
    elif not (options.prior or options.timeline or options.repeated):  # which say what they want
        timeline = pipe.with_own_noise(timeline)
    asked = {each.name: getattr(options, each.name) for each in fields(RunOptions)}
    notes += timeline.warnings(keyframes, pipe.card.prior)
    said = [f"Note: {note}\n" for note in notes]
    if options.variations > 1:
        sys.stderr.writelines(said)
        _vary(pipe, timeline, keyframes, asked, options)
        return f"{options.variations} clips of {timeline.frames} frames beside {options.output}"
    states = pipe.stream(timeline, keyframes=keyframes, options=RunOptions(**asked))
    sys.stderr.writelines(said)  # after what is refused
    with tqdm(total=timeline.num_steps, unit="step", disable=None) as progress:
        for state in states:
            progress.update(state.step - progress.n)
    assert state.clip is not None
    state.clip.save(options.output)
    seconds = len(state.clip.frames) / state.clip.fps
    return f"{options.output}: {len(state.clip.frames)} frames, {seconds:g} s"


def _vary(
    pipe: Pipeline,
    timeline: Timeline,
    keyframes: dict[int, Any],
    asked: dict[str, Any],
    options: argparse.Namespace,
) -> None:
    """Write a clip for each seed that follows, a few made at once."""
    first, name = asked.pop("seed"), options.output
    end = first + options.variations
    for begin in range(first, end, AT_ONCE):
        seeds = range(begin, min(begin + AT_ONCE, end))
        clips = pipe.batch(timeline, seeds, [keyframes] * len(seeds), **asked)
        for seed, clip in zip(seeds, clips, strict=True):
            clip.save(name.with_stem(f"{name.stem}-{seed}"))


def _check_flags(options: argparse.Namespace) -> None:
    """Raises `ValueError` for what is known to fail before the work, so as not to say it after."""
    from fvdm_core.files import file_name

    parent = options.output.parent
    if not parent.is_dir():
        raise ValueError(f"{file_name(options.output)}: its folder does not exist; make it first")
    if not os.access(parent, os.W_OK):
        raise ValueError(f"{file_name(options.output)}: its folder cannot be written to")
    if options.output.is_dir():
        raise ValueError(f"{file_name(options.output)} is a folder; give the name of a file in it")
    if not 1 <= options.variations <= MAX_VARIATIONS:
        raise ValueError(
            f"--variations is {options.variations}; it must be from 1 to {MAX_VARIATIONS}"
        )
    painted = options.timeline or options.recipe or options.continued
    if options.set and (options.formula is not None or painted):
        raise ValueError("--set is for the parameters of a --preset; leave it out")


def _check_rate(options: argparse.Namespace) -> None:
    """Raises `ValueError` for frames per second that the file cannot have."""
    if options.fps is None:
        return
    gif = options.output.suffix.lower() == ".gif"
    try:
        check_fps(options.fps, MAX_GIF_FPS if gif else MAX_FPS)
    except ValueError as error:
        raise ValueError(f"{options.output.name}: {error}; --fps gives it another") from None


def _repeats(options: argparse.Namespace, keyframes: dict[int, Any]) -> list[str]:
    """Fill in the pictures of the recipe; says in what the run is none of it."""
    from fvdm_core.files import file_name

    recipe, notes = options.repeated, []
    if recipe.keyframes and options.frames not in (None, recipe.timeline.frames):
        raise ValueError(
            f"{file_name(options.recipe)} has pictures on some of its {recipe.timeline.frames} "
            "frames, so it cannot have another number of them: leave out --frames"
        )
    if missing := [frame for frame in recipe.missing if frame not in keyframes]:
        raise ValueError(
            f"{file_name(options.recipe)} has no room for the pictures of {frame_names(missing)}: "
            f"give them, as --keyframe {missing[0]}=FILE (frames count from 0 there)"
        )
    for frame, picture in recipe.pictures.items():
        keyframes.setdefault(frame, picture)
    if recipe.stopped_after_step is not None:
        notes.append(
            f"It was stopped after step {recipe.stopped_after_step}; this goes to its end."
        )
    return notes


def _fit_recipe(
    options: argparse.Namespace, pipe: Pipeline, keyframes: dict[int, Any]
) -> list[str]:
    """Leave out of another model's recipe what this one cannot do; says what is noticed of it."""
    notes = []
    label = options.repeated.options.label
    known = label in (None, *pipe.card.labels) or "prompts" in pipe.skills
    if not known and options.label == label:
        notes.append(f"This model does not know {label!r}, so any label is chosen.")
        options.label = None
    for frame, picture in options.repeated.pictures.items():
        moves = pipe.frames_per_picture if frame else 1
        if keyframes[frame] is picture and picture.ndim == 4 and len(picture) != moves:
            keyframes[frame] = picture[-1]
    return notes


def _continuing(
    options: argparse.Namespace, pipe: Pipeline, keyframes: dict[int, Any], notes: list[str]
) -> Timeline:
    """A timeline that begins with a whole video, whose frames are filled in as pictures."""
    from fvdm_core.files import file_name
    from fvdm_core.media import read_video
    from fvdm_core.timeline import Timeline

    name, each = file_name(options.continued), pipe.frames_per_latent
    size = options.size or pipe.image_size
    video = read_video(options.continued, size, options.fit, max_frames=each * MAX_FRAMES)
    options.fps = video.fps if options.fps is None else options.fps
    pictures = pipe.pictures_of(video.frames)
    there, half = len(pictures), max(1, pipe.num_frames // 2)
    frames = min(there + half, MAX_FRAMES) if options.frames is None else options.frames
    if there == MAX_FRAMES or frames <= there:
        takes = f"takes {there} columns" if each > 1 else f"has {there} frames"
        what = f"columns, of {each} frames each but the first" if each > 1 else "frames"
        raise ValueError(
            f"{name} {takes} already: --frames must be more than that, and at most {MAX_FRAMES} "
            f"{what}"
        )
    if surplus := len(video.frames) - 1 - each * (there - 1):
        which = "frame is" if surplus == 1 else f"{surplus} frames are"
        notes.append(f"Its first {which} left out, as 1 + {each} n frames can be kept.")
    if each > pipe.frames_per_picture:
        notes.append("Of what is kept there are stills, as the autoencoder takes pictures only.")
    for column, picture in pictures.items():
        keyframes.setdefault(column, picture)
    steps = DEFAULT_STEPS if options.steps is None else options.steps
    return Timeline.preset(
        "extend", frames=frames, steps=steps, window=pipe.num_frames, given=there
    )


def timeline_from(options: argparse.Namespace, window: int) -> Timeline:
    """The timeline that the options ask for, on a model that sees `window` frames."""
    from fvdm_core.timeline import Timeline

    if options.timeline or options.repeated:
        painted = (
            options.repeated.timeline if options.repeated else _read_timeline(options.timeline)
        )
        window, default_steps = painted.frames, painted.num_steps
    else:
        painted, default_steps = None, DEFAULT_STEPS
    frames = window if options.frames is None else options.frames
    steps = default_steps if options.steps is None else options.steps
    if painted:
        return painted.resampled(frames, steps)
    if options.formula is not None:
        return Timeline.formula(options.formula, frames=frames, steps=steps)
    name, chosen = options.preset or "standard", dict(options.set)
    if stray := {"cls", "name", "frames", "steps", "window"} & chosen.keys():
        use = "--preset, --frames and --steps"
        raise ValueError(f"--set {min(stray)} is not a parameter; use {use}")
    return Timeline.preset(name, frames=frames, steps=steps, window=window, **chosen)


def _read_timeline(path: Path) -> Timeline:
    from fvdm_core.files import file_name, open_plain
    from fvdm_core.limits import MAX_JSON_BYTES
    from fvdm_core.timeline import Timeline

    with open_plain(path, "timeline") as file:
        content = file.read(MAX_JSON_BYTES + 1)
    try:
        return Timeline.from_json(content)
    except ValueError as error:
        raise ValueError(f"{file_name(path)}: {error}") from None


def check(options: argparse.Namespace) -> str:
    """What a model knows of a clip at each level, and what to look at in it."""
    from fvdm_core.checkup import check_up
    from fvdm_core.media import read_video

    pipe = _opened(options)
    stride = pipe.frames_per_latent // pipe.frames_per_picture  # stills, where it takes no clips
    wanted = 1 + pipe.frames_per_picture * (pipe.num_frames - 1)
    clip = read_video(
        options.video, pipe.image_size, stride=stride, max_frames=wanted, fps=pipe.card.fps
    ).frames
    if len(clip) < wanted:
        raise ValueError(
            f"{options.video.name} has {_counted(len(clip))} at {pipe.card.fps / stride:g} a "
            f"second, and {pipe.card.name} sees {wanted} at once; take a longer video"
        )
    return str(check_up(pipe, clip, options.label, options.seed))


def _counted(frames: int) -> str:
    return "1 frame" if frames == 1 else f"{frames} frames"


def presets(_: argparse.Namespace) -> str:
    """Every preset with its parameters, at 16 frames and 30 steps, and the example timelines."""
    from fvdm_core.examples import FOLDER, example_timelines

    lines = []
    for preset in PRESETS.values():
        lines.append(f"{preset.name:18}{preset.summary}")
        for field in preset.form(frames=16, steps=DEFAULT_STEPS):
            setting = f"--set {field['name']}={_as_typed(field['default'])}"
            allowed = f"{field['minimum']:g} to {field['maximum']:g}"
            lines.append(f"{'':20}{setting:24}{field['title']}, {allowed}")
    if examples := example_timelines():
        lines.append(f"\nExample timelines, in {FOLDER}, for --timeline FILE:")
        lines += [f"{example.name + '.json':26}{example.about}" for example in examples]
    return "\n".join(lines)


def _as_typed(default: Any) -> str:
    """A default as --set takes it: a number, numbers with commas, or the value of some frames."""
    if isinstance(default, dict):
        default = next(iter(default.values()))
    return json.dumps(default).strip("[]").replace(" ", "")


def convert(options: argparse.Namespace) -> str:
    from fvdm_core.checkpoint import convert

    convert(options.source, options.folder, options.num_heads)
    return (
        f"The model is in {options.folder}, without an autoencoder: put one of diffusers into its "
        "folder vae, or Stable Diffusion's is fetched, which needs pip install diffusers"
    )


COMMANDS = {"generate": generate, "check": check, "presets": presets, "convert": convert}


def main(arguments: list[str] | None = None) -> int:
    about = str(__doc__)
    options = parser(about).parse_args(arguments)
    try:
        if vars(options).get("recipe"):
            recipe = read_recipe(options.recipe)
            asked = recipe.options
            if asked.eta == USUAL_ETA[asked.solver]:  # as it is with another solver, too
                asked = replace(asked, eta=None)
            options = parser(about, asked).parse_args(arguments)
            options.repeated = recipe
        said = COMMANDS[options.command](options)
    except (ValueError, ArithmeticError, OSError) as error:
        return _failed(str(error))
    except (MemoryError, RuntimeError) as error:
        if not out_of_memory(error):
            raise
        return _failed(
            "there is not enough memory; use fewer frames or --variations, or --device cpu"
        )
    except KeyboardInterrupt:
        _failed("stopped; no file is half written")
        return 130
    sys.stdout.write(f"{said}\n")
    return 0


def _failed(message: str) -> int:
    sys.stderr.write(f"fvdm_core: {' '.join(message.split())}\n")
    return 1


if __name__ == "__main__":
    sys.exit(main())
