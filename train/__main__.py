"""`python -m train`: from nothing to a model folder that the studio opens."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from typing import Any

import torch

from fvdm_core.checkpoint import load_model_folder
from fvdm_core.files import place

from . import parallel
from .clips import Clips, prepare_worlds
from .config import TrainConfig, load_config
from .export import export
from .loop import Diverged
from .run import Run, Stopped
from .stages import device, encode_clips, train_autoencoder, train_transformer


def parse(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m train", description=__doc__)
    parser.add_argument("config", nargs="?", default="default", help="a TOML file or shipped name")
    parser.add_argument("--data", metavar="DIR", help="train on the videos below this folder")
    parser.add_argument("--init", metavar="MODEL", help="go on from the weights of a model folder")
    parser.add_argument("--out", type=Path, help="the run's folder (default: runs/<its name>)")
    parser.add_argument("--export", type=Path, help="the model folder (default: <out>/model)")
    parser.add_argument("--steps", type=int, help="steps of the transformer")
    parser.add_argument("--batch-size", type=int, help="clips in a step of the transformer")
    parser.add_argument("--lr", type=float, help="learning rate of the transformer")
    parser.add_argument("--size", type=int, help="pictures are size x size pixels")
    parser.add_argument("--frames", type=int, help="frames of a clip")
    parser.add_argument("--fps", type=float, help="frames per second at which clips play")
    parser.add_argument("--stride", type=int, help="with --data: take every stride-th frame")
    parser.add_argument("--fit", choices=("crop", "contain", "stretch"), help="with --data")
    parser.add_argument("--seed", type=int)
    parser.add_argument("--threads", type=int, help="processor threads (default: all cores)")
    return parser.parse_args(arguments)


OVERRIDES = {
    "init": "init",
    "steps": "optim.steps",
    "batch_size": "optim.batch_size",
    "lr": "optim.lr",
    "size": "data.image_size",
    "frames": "data.frames",
    "fps": "data.fps",
    "stride": "data.stride",
    "fit": "data.fit",
    "seed": "seed",
}


IDENTITY = ("seed", "data", "autoencoder", "transformer", "schedule")


def configure(options: argparse.Namespace) -> TrainConfig:
    overrides: dict[str, Any] = {
        key: getattr(options, name)
        for name, key in OVERRIDES.items()
        if getattr(options, name) is not None
    }
    if options.data:
        overrides |= {"data.folder": options.data, "data.worlds": {}}
        overrides |= {"name": _folder_name(options.data), "trained_on": "a folder of videos"}
    return load_config(options.config, overrides)


def run_folder(options: argparse.Namespace) -> Path:
    """--out, or a folder below runs/ named after the videos or the config."""
    if options.out is not None:
        return options.out
    name = _folder_name(options.data) if options.data else Path(options.config).stem
    return Path("runs") / name


def _folder_name(folder: str) -> str:
    return Path(folder).resolve().name[:100] or "videos"


def train(config: TrainConfig, out: Path, export_to: Path) -> None:
    """Run every stage that is not finished yet, then write the model folder."""
    run = Run(out, writes=parallel.is_first())
    run.catch_signals()
    everything = config.to_dict()
    start = load_model_folder(config.init) if config.init else None
    identity = {key: everything[key] for key in IDENTITY}
    if parallel.is_first():
        run.claim(identity | {"init": start.model_hash if start else ""})
        _check_writable(export_to)
    run.log(
        event="start",
        config=everything,
        device=str(device()),
        threads=torch.get_num_threads(),
        processes=parallel.processes(),
        torch=torch.__version__,
    )
    clips = parallel.first_then_others(lambda: _prepare(config, run))
    autoencoder = train_autoencoder(config, clips, run, start.autoencoder if start else None)
    latents = parallel.first_then_others(lambda: encode_clips(config, autoencoder, clips, run))
    transformer = train_transformer(
        config, latents, clips, autoencoder, run, start.transformer if start else None
    )
    if parallel.is_first():
        export(config, autoencoder, transformer, export_to)
        run.log(event="exported")
        print(f"The model is in {export_to}. Open it with: python app.py --model {export_to}")


def _prepare(config: TrainConfig, run: Run) -> Clips:
    if config.data.folder:
        from .folder import prepare_folder  # needs Pillow and the decoder, which worlds do without

        return prepare_folder(config.data, run.folder, stop=lambda: run.stop_requested)
    return prepare_worlds(config.data, run.folder, stop=lambda: run.stop_requested)


def _check_writable(folder: Path) -> None:
    """Find out at the start, and not hours later, that a model could not be written there."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        writable = os.access(folder, os.W_OK | os.X_OK)
    except OSError:
        writable = False
    if not writable:
        raise ValueError(f"the model cannot be written to {place(folder)}; choose another --export")


def main(arguments: list[str] | None = None) -> int:
    options = parse(sys.argv[1:] if arguments is None else arguments)
    again = "The same command goes on from there."
    try:
        if options.threads is not None:
            if options.threads < 1:
                raise ValueError(f"--threads is {options.threads}; it must be at least 1")
            torch.set_num_threads(options.threads)
        out = run_folder(options)
        config = configure(options)
        parallel.start()
        train(config, out, options.export or out / "model")
    except Stopped as stopped:
        print(f"{stopped}. {again}")
    except KeyboardInterrupt:
        print(f"Stopped at once; the last saved state is whole. {again}", file=sys.stderr)
        return 130
    except (ValueError, Diverged, OSError) as error:
        print(f"train: {error}", file=sys.stderr)
        return 1
    except (MemoryError, RuntimeError) as error:
        if not _is_out_of_memory(error):
            raise
        print(
            f"train: out of memory with {config.optim.batch_size} clips of {config.data.frames} "
            f"frames of {config.data.image_size}x{config.data.image_size} in a step; try a "
            f"smaller --batch-size or a smaller --size. {again}",
            file=sys.stderr,
        )
        return 1
    finally:
        parallel.stop()
    return 0


def _is_out_of_memory(error: BaseException) -> bool:
    known = isinstance(error, MemoryError | torch.OutOfMemoryError)
    return known or "not enough memory" in str(error) or "can't allocate memory" in str(error)


if __name__ == "__main__":
    sys.exit(main())
