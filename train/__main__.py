"""`python -m train`: from nothing to a model folder that the studio opens."""

from __future__ import annotations

import argparse
import dataclasses
import sys
from pathlib import Path
from typing import Any

import torch

from .clips import prepare_worlds
from .config import TrainConfig, load_config
from .export import export
from .loop import Diverged
from .run import Run, Stopped
from .stages import encode_clips, train_autoencoder, train_transformer


def parse(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m train", description=__doc__)
    parser.add_argument("config", nargs="?", default="default", help="a TOML file or shipped name")
    parser.add_argument("--data", metavar="DIR", help="train on the videos below this folder")
    parser.add_argument("--out", type=Path, help="the run's folder (default runs/<config>)")
    parser.add_argument("--export", type=Path, help="the model folder (default <out>/model)")
    parser.add_argument("--steps", type=int, help="steps of the transformer")
    parser.add_argument("--batch-size", type=int, help="clips in a step of the transformer")
    parser.add_argument("--lr", type=float, help="learning rate of the transformer")
    parser.add_argument("--size", type=int, help="pictures are size x size pixels")
    parser.add_argument("--frames", type=int, help="frames of a clip")
    parser.add_argument("--stride", type=int, help="with --data: take every stride-th frame")
    parser.add_argument("--fit", choices=("crop", "contain", "stretch"), help="with --data")
    parser.add_argument("--seed", type=int)
    parser.add_argument("--threads", type=int, help="processor threads (default: all cores)")
    return parser.parse_args(arguments)


OVERRIDES = {
    "steps": "optim.steps",
    "batch_size": "optim.batch_size",
    "lr": "optim.lr",
    "size": "data.image_size",
    "frames": "data.frames",
    "stride": "data.stride",
    "fit": "data.fit",
    "seed": "seed",
}


def configure(options: argparse.Namespace) -> TrainConfig:
    overrides: dict[str, Any] = {
        key: getattr(options, name)
        for name, key in OVERRIDES.items()
        if getattr(options, name) is not None
    }
    if options.data:
        overrides |= {"data.folder": options.data, "data.worlds": {}}
        overrides |= {"name": Path(options.data).resolve().name, "trained_on": "a folder of videos"}
    return load_config(options.config, overrides)


def train(config: TrainConfig, out: Path, export_to: Path) -> None:
    """Run every stage that is not finished yet, then write the model folder."""
    run = Run(out)
    run.catch_signals()
    run.log(event="start", config=dataclasses.asdict(config), device=str(torch.get_num_threads()))
    if config.data.folder:
        from .folder import prepare_folder  # needs the video decoder, which worlds do without

        clips = prepare_folder(config.data, out)
    else:
        clips = prepare_worlds(config.data, out)
    autoencoder = train_autoencoder(config, clips, run)
    latents = encode_clips(config, autoencoder, clips, run)
    transformer = train_transformer(config, latents, clips, autoencoder, run)
    export(config, autoencoder, transformer, export_to)
    run.log(event="exported")
    print(f"The model is in {export_to}. Open it with: python app.py --model {export_to}")


def main(arguments: list[str] | None = None) -> int:
    options = parse(sys.argv[1:] if arguments is None else arguments)
    if options.threads is not None:
        torch.set_num_threads(max(1, options.threads))
    out = options.out or Path("runs") / Path(options.config).stem
    try:
        train(configure(options), out, options.export or out / "model")
    except Stopped as stopped:
        print(f"{stopped}. The same command goes on from there.")
        return 0
    except (ValueError, Diverged, OSError) as error:
        print(f"train: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
