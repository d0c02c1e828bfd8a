"""The flags of `python -m fvdm_core`, and what their words mean."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from fvdm_core.options import (
    CONDITIONINGS,
    MAX_STEP_CACHE,
    SOLVERS,
    USUAL_ETA,
    RunOptions,
    parse_size,
)
from fvdm_core.pictures import FITS
from fvdm_core.presets import PRESETS
from fvdm_core.timeline_checks import PRIORS

ENDINGS = (".mp4", ".webm", ".gif")
DEFAULT_STEPS = 30
AT_ONCE = 8  # clips that are made together


def parser(about: str, default: RunOptions | None = None) -> argparse.ArgumentParser:
    """All flags; `about` says what the program does, `default` has the options of runs where they
    are not given."""
    default = default or RunOptions()
    top = argparse.ArgumentParser(prog="python -m fvdm_core", description=about)
    commands = top.add_subparsers(dest="command", required=True, metavar="command")
    # --guidance would be taken for --guidance-from
    whole: dict[str, Any] = {"allow_abbrev": False}

    make = commands.add_parser("generate", help="make a clip", description="Make a clip.", **whole)
    what = make.add_mutually_exclusive_group()
    what.add_argument(
        "--preset", choices=PRESETS, metavar="NAME", help="a named timeline (default: standard)"
    )
    what.add_argument("--formula", help='a level for frame i at time t, such as "min(0.2*i*t, t)"')
    what.add_argument("--timeline", type=Path, metavar="FILE", help="a timeline's JSON")
    what.add_argument(
        "--recipe",
        type=Path,
        metavar="FILE",
        help="repeat a clip that was made here, or its recipe.json, but for what else is given",
    )
    what.add_argument(
        "--continue",
        type=Path,
        dest="continued",
        metavar="FILE",
        help="keep a whole video, at its own rate, and go on to --frames",
    )
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
    make.add_argument(
        "--frames",
        type=int,
        help="(default: what the model was trained on; half of that more than in a video that is "
        "continued)",
    )
    make.add_argument("--steps", type=int, help=f"(default: {DEFAULT_STEPS})")
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
        help="how the frames' starting noise hangs together (default: that of the --timeline or "
        "--recipe, or what the model was trained with)",
    )
    run.add_argument("--solver", choices=SOLVERS, help=f"(default: {default.solver})")
    usual = ", ".join(f"{eta:g} for {solver}" for solver, eta in USUAL_ETA.items())
    run.add_argument("--eta", type=float, help=f"fresh noise, 0 to 1 (default: {usual})")
    run.add_argument("--fps", type=float, help="frames per second (default: the model's)")
    run.add_argument("--fit", choices=FITS, help=f"(default: {default.fit})")
    run.add_argument(
        "--exact",
        action=argparse.BooleanOptionalAction,
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
    make.set_defaults(**vars(default), repeated=None)
    _add_model(make)
    make.add_argument("-o", "--output", type=_output, required=True, metavar="FILE")

    check = commands.add_parser(
        "check",
        help="find out whether a model's parts fit together",
        description="Noises a clip and says how much of it the network knows at each level.",
        **whole,
    )
    check.add_argument("video", type=Path, help="a clip such as the model was trained on")
    check.add_argument("--label", help="of the clip, one of the model's labels")
    check.add_argument("--seed", type=int, default=0, help="of the noise")
    _add_model(check)

    commands.add_parser("presets", help="list presets, their parameters, and example timelines")

    convert = commands.add_parser(
        "convert", help="turn a published checkpoint into a model folder", **whole
    )
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
