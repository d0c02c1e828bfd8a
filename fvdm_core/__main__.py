"""`python -m fvdm_core`: makes a clip, checks a model, lists presets or converts a checkpoint."""

from __future__ import annotations

import argparse
import json
import os
import sys
from dataclasses import fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fvdm_core.limits import MAX_FPS
from fvdm_core.options import (
    CONDITIONINGS,
    MAX_STEP_CACHE,
    SOLVERS,
    USUAL_ETA,
    RunOptions,
    parse_size,
)
from fvdm_core.pictures import FITS, MAX_GIF_FPS, check_fps
from fvdm_core.presets import PRESETS
from fvdm_core.timeline_checks import PRIORS

if TYPE_CHECKING:
    from fvdm_core.pipeline import Pipeline
    from fvdm_core.timeline import Timeline

ENDINGS = (".mp4", ".webm", ".gif")
DEFAULT_STEPS = 30
MAX_VARIATIONS = 64  # clips of one call
AT_ONCE = 8  # clips that are made together


def parser() -> argparse.ArgumentParser:
    top = argparse.ArgumentParser(prog="python -m fvdm_core", description=__doc__)
    commands = top.add_subparsers(dest="command", required=True, metavar="command")

    make = commands.add_parser("generate", help="make a clip", description="Make a clip.")
    what = make.add_mutually_exclusive_group()
    what.add_argument(
        "--preset", choices=PRESETS, metavar="NAME", help="a named timeline (default: standard)"
    )
    what.add_argument("--formula", help='a level for frame i at time t, such as "min(0.2*i*t, t)"')
    what.add_argument("--timeline", type=Path, metavar="FILE", help="a timeline's JSON")
    make.add_argument(
        "--set",
        action="append",
        default=[],
        type=_setting,
        metavar="NAME=VALUE",
        help="a parameter of the preset, such as rate=0.3 or keep=0,7; see the command presets",
    )
    make.add_argument(
        "--keyframe",
        action="append",
        default=[],
        type=_keyframe,
        metavar="FRAME=FILE",
        help="a picture for a frame; frames count from 0",
    )
    make.add_argument("--frames", type=int, help="(default: what the model was trained on)")
    make.add_argument("--steps", type=int, help=f"(default: {DEFAULT_STEPS})")
    default = RunOptions()
    run = make.add_argument_group("the run")
    run.add_argument("--label", help="one of the model's labels")
    run.add_argument("--seed", type=int)
    run.add_argument("--cfg-scale", type=float, help=f"guidance (default: {default.cfg_scale})")
    run.add_argument(
        "--temporal-scale",
        type=float,
        help="temporal guidance, 0 (off) to 5: how firmly frames hold together (default: "
        "the model's)",
    )
    run.add_argument(
        "--guidance-from",
        type=float,
        help="guide frames only above this noise level, 0 to 1000 (default: the model's)",
    )
    run.add_argument(
        "--prior",
        choices=PRIORS,
        help="how the frames' starting noise hangs together (default: that of the --timeline, or "
        "what the model was trained with)",
    )
    run.add_argument("--solver", choices=SOLVERS, help=f"(default: {default.solver})")
    usual = ", ".join(f"{eta:g} for {solver}" for solver, eta in USUAL_ETA.items())
    run.add_argument("--eta", type=float, help=f"fresh noise, 0 to 1 (default: {usual})")
    run.add_argument("--fps", type=float, help="frames per second (default: the model's)")
    run.add_argument("--fit", choices=FITS, help=f"(default: {default.fit})")
    run.add_argument(
        "--exact",
        action="store_true",
        dest="splice_exact",
        help="frozen frames are the picture itself, pixel for pixel",
    )
    run.add_argument(
        "--conditioning",
        choices=CONDITIONINGS,
        help="what the model is shown of frames that stand still: themselves, or noised again in "
        "each step to the level of the others (default: what it was trained for)",
    )
    run.add_argument(
        "--size",
        type=_size,
        metavar="WIDTHxHEIGHT",
        help="of the frames, for a model of several (default: its usual one)",
    )
    run.add_argument(
        "--step-cache",
        type=float,
        metavar="SHARE",
        help="run only the first block where it has changed by no more than this since the last "
        f"whole step, 0 to {MAX_STEP_CACHE:g}; faster and less exact (default: 0, never)",
    )
    make.add_argument(
        "--variations",
        type=int,
        default=1,
        metavar="N",
        help=f"clips of N seeds from --seed on, {AT_ONCE} made together, in FILE-SEED each",
    )
    make.set_defaults(**vars(default))
    _add_model(make)
    make.add_argument("-o", "--output", type=_output, required=True, metavar="FILE")

    check = commands.add_parser(
        "check",
        help="find out whether a model's parts fit together",
        description="Noises a clip and says how much of it the network knows at each level.",
    )
    check.add_argument("video", type=Path, help="a clip such as the model was trained on")
    check.add_argument("--label", help="of the clip, one of the model's labels")
    check.add_argument("--seed", type=int, default=0, help="of the noise")
    _add_model(check)

    commands.add_parser("presets", help="list presets, their parameters, and example timelines")

    convert = commands.add_parser("convert", help="turn a published checkpoint into a model folder")
    convert.add_argument("source", help="a .pt or .safetensors file")
    convert.add_argument("folder", help="the model folder to write")
    convert.add_argument("--num-heads", type=int, help="where the file does not tell")
    return top


def _add_model(command: argparse.ArgumentParser) -> None:
    """Which model, and where it runs."""
    command.add_argument(
        "--model",
        help="a model folder or file, owner/name or owner/name/file.pt on the Hub, or a Python "
        "file whose load() makes a pipeline",
    )
    command.add_argument(
        "--vae",
        help="for a model without an autoencoder: a folder or owner/name of an AutoencoderKL "
        "(default: Stable Diffusion's)",
    )
    command.add_argument("--device", help="cpu, cuda, cuda:1 or mps (default: cuda or else cpu)")


def _opened(options: argparse.Namespace) -> Pipeline:
    from fvdm_core.autoencoder import Autoencoder
    from fvdm_core.own import open_pipeline

    pipe = open_pipeline(options.model, options.device, options.vae)
    if options.vae and isinstance(pipe.autoencoder, Autoencoder):
        raise ValueError(f"{pipe.card.name} has an autoencoder of its own; leave out --vae")
    return pipe


def _setting(text: str) -> tuple[str, Any]:
    """NAME=VALUE, where the value is JSON, a list without brackets, or a word."""
    name, equals, value = text.partition("=")
    if not equals or not name:
        raise argparse.ArgumentTypeError(f"{text!r} is not NAME=VALUE, such as rate=0.3")
    for candidate in (value, f"[{value}]"):
        try:
            return name, json.loads(candidate)
        except (ValueError, RecursionError):
            continue
    return name, value


def _keyframe(text: str) -> tuple[int, str]:
    frame, equals, file = text.partition("=")
    if not equals or not file or not frame.isascii() or not frame.isdigit() or len(frame) > 4:
        raise argparse.ArgumentTypeError(f"{text!r} is not FRAME=FILE, such as 0=first.png")
    return int(frame), file


def _size(text: str) -> tuple[int, int]:
    try:
        return parse_size(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _output(text: str) -> Path:
    path = Path(text)
    if path.suffix.lower() not in ENDINGS:
        raise argparse.ArgumentTypeError(f"{text!r} must end in {', '.join(ENDINGS)}")
    return path


def generate(options: argparse.Namespace) -> str:
    """Make the clip that the options ask for; says what was written."""
    from tqdm import tqdm

    from fvdm_core.files import file_name

    parent = options.output.parent  # what follows is said before the work, not after it
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
    if options.set and (options.formula is not None or options.timeline):
        raise ValueError("--set is for the parameters of a --preset; leave it out")
    keyframes = dict(options.keyframe)
    if len(keyframes) < len(options.keyframe):
        raise ValueError("--keyframe gives two pictures for one frame; leave one of them out")

    pipe = _opened(options)
    gif = options.output.suffix.lower() == ".gif"
    fps = pipe.card.fps if options.fps is None else options.fps
    check_fps(fps, MAX_GIF_FPS if gif else MAX_FPS)
    timeline = timeline_from(options, pipe.num_frames).with_windows(pipe.num_frames)
    if options.prior and options.prior != timeline.prior:
        timeline = replace(timeline, prior=options.prior, prior_alpha=pipe.card.prior_alpha)
    elif not (options.prior or options.timeline):  # which says what noise it wants
        timeline = pipe.with_own_noise(timeline)
    asked = {each.name: getattr(options, each.name) for each in fields(RunOptions)}
    notes = [f"Note: {warning}\n" for warning in timeline.warnings(keyframes, pipe.card.prior)]
    if options.variations > 1:
        sys.stderr.writelines(notes)
        first = asked.pop("seed")
        name, most = options.output, first + options.variations
        for begin in range(first, most, AT_ONCE):
            seeds = range(begin, min(begin + AT_ONCE, most))
            clips = pipe.batch(timeline, seeds, [keyframes] * len(seeds), **asked)
            for seed, clip in zip(seeds, clips, strict=True):
                clip.save(name.with_stem(f"{name.stem}-{seed}"))
        return f"{options.variations} clips of {timeline.frames} frames beside {name}"
    states = pipe.stream(timeline, keyframes=keyframes, options=RunOptions(**asked))
    sys.stderr.writelines(notes)  # after what is refused
    with tqdm(total=timeline.num_steps, unit="step", disable=None) as progress:
        for state in states:
            progress.update(state.step - progress.n)
    assert state.clip is not None
    state.clip.save(options.output)
    seconds = len(state.clip.frames) / state.clip.fps
    return f"{options.output}: {len(state.clip.frames)} frames, {seconds:g} s"


def timeline_from(options: argparse.Namespace, window: int) -> Timeline:
    """The timeline that the options ask for, on a model that sees `window` frames."""
    from fvdm_core.timeline import Timeline

    if options.timeline:
        painted = _read_timeline(options.timeline)
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
    if stray := {"frames", "steps", "window"} & chosen.keys():
        raise ValueError(f"--set {min(stray)} is not a parameter; use --frames and --steps")
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
    each, wanted = pipe.frames_per_latent, pipe.num_frames
    clip = read_video(
        options.video, pipe.image_size, stride=each, max_frames=wanted, fps=pipe.card.fps
    ).frames
    if len(clip) < wanted:
        raise ValueError(
            f"{options.video.name} has {len(clip)} frames at {pipe.card.fps / each:g} a second, "
            f"and {pipe.card.name} sees {wanted} at once; take a longer video"
        )
    return str(check_up(pipe, clip, options.label, options.seed))


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
        f"The model is in {options.folder}; it has no autoencoder, so it cannot make pictures yet"
    )


COMMANDS = {"generate": generate, "check": check, "presets": presets, "convert": convert}


def main(arguments: list[str] | None = None) -> int:
    options = parser().parse_args(arguments)
    try:
        said = COMMANDS[options.command](options)
    except (ValueError, ArithmeticError, OSError) as error:
        return _failed(str(error))
    except (MemoryError, RuntimeError) as error:
        if isinstance(error, RuntimeError) and "memory" not in str(error).lower():
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
