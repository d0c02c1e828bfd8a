"""The options of `python -m train` and `python -m train prepare`, and the config they give."""

from __future__ import annotations

import argparse
import shlex
from pathlib import Path
from typing import Any

from .config import FITS, PICTURES, TrainConfig, build_config, read_raw
from .labels import readable
from .published import filled

OVERRIDES = {  # option -> where it goes in the config
    "init": "init",
    "vae": "vae",
    "steps": "optim.steps",
    "batch_size": "optim.batch_size",
    "accumulate": "optim.accumulate",
    "lr": "optim.lr",
    "seed": "seed",
}
DATA = {  # what the clips on the disk depend on
    "size": "data.image_size",
    "frames": "data.frames",
    "stride": "data.stride",
    "hop": "data.hop",
    "fit": "data.fit",
    "labels": "data.labels",
    "pictures": "data.pictures",
    "max_clips": "data.max_clips",
    "fps": "data.fps",
    "aspects": "data.aspects",
}


def add_data_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--size", type=int, help="pictures are size x size pixels")
    parser.add_argument("--frames", type=int, help="frames of a clip")
    parser.add_argument("--fps", type=float, help="frames per second at which clips play")
    own = parser.add_argument_group("a folder of your own")
    own.add_argument("--stride", type=int, help="take every stride-th frame of a video")
    own.add_argument("--hop", type=int, help="a clip begins every so many frames of a video")
    own.add_argument("--fit", choices=FITS, help="how a video becomes a square")
    own.add_argument("--labels", metavar="folders|CSV", help="subfolders, or a CSV of file,label")
    own.add_argument(
        "--pictures", choices=PICTURES, help="clips of one frame, or folders of a video's frames"
    )
    own.add_argument(
        "--aspects",
        type=lambda text: text.split(","),
        metavar="W:H,W:H",
        help="keep frames in the nearest of these aspects, such as 1:1,16:9, not in squares",
    )
    own.add_argument("--max-clips", type=int, help="stop after so many clips")


def parse(arguments: list[str], description: str | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m train",
        description=description,
        epilog="python -m train prepare DIR reads a folder beforehand and says what it skipped",
    )
    parser.add_argument("config", nargs="?", help="a TOML file or shipped name")
    parser.add_argument("--data", metavar="DIR", help="train on the videos below this folder")
    parser.add_argument(
        "--init", metavar="MODEL", help="go on from the weights of a model: its folder or file"
    )
    parser.add_argument(
        "--vae",
        metavar="FOLDER",
        help="of a published model: diffusers' AutoencoderKL, or owner/name of it on the Hub",
    )
    parser.add_argument("--out", type=Path, help="the run's folder (default: runs/<its name>)")
    parser.add_argument("--export", type=Path, help="the model folder (default: <out>/model)")
    parser.add_argument("--steps", type=int, help="steps of the transformer")
    parser.add_argument("--batch-size", type=int, help="clips in a step of the transformer")
    parser.add_argument("--accumulate", type=int, help="take a batch in so many pieces")
    parser.add_argument("--lr", type=float, help="learning rate of the transformer")
    parser.add_argument("--seed", type=int)
    parser.add_argument(
        "--threads",
        type=int,
        help="processor threads of each process (default: all cores; 1 under torchrun)",
    )
    add_data_options(parser)
    options = parser.parse_args(arguments)
    options.config = options.config or ("published" if options.vae else "default")
    return options


def configure(options: argparse.Namespace) -> TrainConfig:
    """The config that the options name, with what they change. Raises `ValueError`."""
    overrides: dict[str, Any] = {
        key: getattr(options, name)
        for name, key in (OVERRIDES | DATA).items()
        if getattr(options, name, None) is not None
    }
    if options.data == "":  # such as a variable of a shell that is not set
        raise ValueError("the folder of videos is an empty path; give its name")
    if options.data is not None:
        overrides |= {"data.folder": options.data, "data.worlds": {}}
    raw = read_raw(options.config, overrides)
    if options.data is not None:
        own = {"name": _folder_name(options.data), "trained_on": "a folder of videos"}
        worlds = read_raw("default")  # what it says is of the worlds, also in a copy
        raw |= {key: value for key, value in own.items() if raw.get(key) in (None, worlds[key])}
    return build_config(filled(raw) if raw.get("vae") else raw)


def run_folder(options: argparse.Namespace) -> Path:
    """--out, or a folder below runs/ named after the videos or the config."""
    if options.out is not None:
        return options.out
    name = Path(options.config).stem if options.data is None else _folder_name(options.data)
    return Path("runs") / name


def training_command(options: argparse.Namespace) -> str:
    """The command that trains on what `prepare` read with these options."""
    words = ["python", "-m", "train", options.config, "--data", options.data]
    for name in ("out", *DATA):
        value = getattr(options, name)
        if value is not None:
            said = ",".join(value) if isinstance(value, list) else str(value)
            words += [f"--{name.replace('_', '-')}", said]
    return shlex.join(words)


def _folder_name(folder: str) -> str:
    return readable(Path(folder).resolve().name)[:100] or "videos"
