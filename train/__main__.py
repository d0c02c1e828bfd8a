"""`python -m train`: from nothing to a model folder that the studio opens."""

from __future__ import annotations

import os
import sys
from dataclasses import replace
from pathlib import Path

import torch

from fvdm_core.autoencoder import Autoencoder
from fvdm_core.checkpoint import ModelFolder, load_model_folder, resolve_source
from fvdm_core.files import place
from fvdm_core.kl_autoencoder import KLAutoencoder
from fvdm_core.model import VideoDiT
from fvdm_core.schedule import NoiseSchedule

from . import parallel
from .clips import Clips, prepare_worlds
from .config import TrainConfig
from .export import export
from .loop import Diverged
from .options import configure, parse, run_folder
from .published import FixedCoder
from .run import Run, Stopped
from .stages import device, encode_clips, train_autoencoder, train_transformer

AGAIN = "The same command goes on from there."
LATENT_LAYERS = ("x_embedder.", "pos_embed", "final_layer.linear.")
IDENTITY = ("seed", "data", "autoencoder", "transformer", "schedule", "decoder_only")


def train(config: TrainConfig, out: Path, export_to: Path) -> None:
    """Run every stage that is not finished yet, then write the model folder."""
    used = [] if config.decoder_only else [config.optim]
    if not config.vae and config.autoencoder_optim.steps:
        used.append(config.autoencoder_optim)
    for optim in used:
        parallel.share(optim.batch_size, 0, optim.accumulate)  # refused now and not hours later
    run = Run(out, writes=parallel.is_first())
    run.catch_signals()
    everything = config.to_dict()
    start = load_model_folder(resolve_source(config.init)) if config.init else None
    if start is not None and start.autoencoder is None and not config.vae:
        raise ValueError(
            f"{place(config.init)} works on latents of an autoencoder that it does not hold, and "
            "training makes its own; name that autoencoder with --vae, or start from a model "
            "folder with autoencoder.safetensors"
        )
    fixed = FixedCoder.open(config) if config.vae else None
    identity = {key: everything[key] for key in IDENTITY}
    if fixed is not None:
        identity["vae"] = fixed.key
    if parallel.is_first():
        run.claim(identity | {"init": start.model_hash if start else ""})
        _check_writable(export_to)
    parallel.check_same(out)
    run.log(
        event="start",
        config=everything,
        device=str(device()),
        threads=torch.get_num_threads(),
        processes=parallel.processes(),
        torch=torch.__version__,
    )
    clips = parallel.first_then_others(lambda: _prepare(config, run))
    config = config.with_labels(len(clips.label_names))
    if config.decoder_only:
        transformer = _kept_transformer(config, start, clips.label_names)
    autoencoder: Autoencoder | KLAutoencoder
    exported: Autoencoder | Path
    if fixed is None:
        autoencoder = exported = trained = _train_coder(config, clips, run, start)
    else:
        autoencoder, exported = fixed.network, fixed.folder
    if not config.decoder_only:
        if fixed is None:
            latents = encode_clips(config, trained, clips, run)
        else:
            latents = fixed.encode_clips(config, clips, run)
        fresh = _learned_anew(start, config, clips.label_names) if start else ()
        transformer = train_transformer(
            *(config, latents, clips, autoencoder, run), start.transformer if start else None, fresh
        )
    if parallel.is_first():
        export(config, exported, transformer, export_to, clips.label_names, clips.sizes_in_use)
        run.log(event="exported")
        print(f"The model is in {export_to}. Open it with: python app.py --model {export_to}")


def _train_coder(
    config: TrainConfig, clips: Clips, run: Run, start: ModelFolder | None
) -> Autoencoder:
    """An autoencoder of its own for the run: fresh, or that of `start`, trained on or as it is."""
    begun = start.autoencoder if start is not None and _same_coder(start, config) else None
    if begun is None and config.decoder_only:
        raise ValueError(
            "decoder_only keeps the latents of the model to start from, and its autoencoder has "
            "another shape; only its detail and the pictures' size may differ"
        )
    if config.autoencoder_optim.steps:
        return train_autoencoder(config, clips, run, begun)
    if begun is None:
        raise ValueError(
            "autoencoder_optim.steps is 0, which keeps the autoencoder of the model to start "
            "from; there is none of this shape"
        )
    return begun.to(device())


def _kept_transformer(
    config: TrainConfig, start: ModelFolder | None, names: tuple[str, ...]
) -> VideoDiT:
    """That of the model to start from. Raises `ValueError` where the run describes another."""
    assert start is not None  # or the config would have been refused
    same = (
        start.transformer.config == config.transformer
        and tuple(start.config["labels"]) == names
        and _parts(start.schedule) == _parts(config.noise_schedule())
        and start.config.get("prior", config.optim.prior) == config.optim.prior
    )
    if not same:
        raise ValueError(
            "decoder_only keeps the transformer of the model to start from, and the run asks for "
            "another, or for other labels, another schedule or prior"
        )
    return start.transformer


def _parts(schedule: NoiseSchedule) -> tuple[str, str, int]:
    return schedule.name, schedule.prediction_type, schedule.num_train_timesteps


def _same_coder(start: ModelFolder, config: TrainConfig) -> bool:
    """Whether the run goes on with the autoencoder of the model that it starts from."""
    if config.vae:
        return True  # the model was made for its latents
    if start.autoencoder is None or config.autoencoder is None:
        return False
    known, wanted = start.autoencoder.config, config.autoencoder
    if config.decoder_only and known.latent_size == wanted.latent_size and not known.detail:
        known = replace(known, image_size=wanted.image_size, detail=wanted.detail)
    return known == wanted


def _learned_anew(
    start: ModelFolder, config: TrainConfig, names: tuple[str, ...]
) -> tuple[str, ...]:
    """The parts of the transformer that mean something else now: labels, or the latents' layers."""
    fresh: tuple[str, ...] = ()
    known = start.transformer.config.num_classes == len(names)
    if not known or tuple(start.config["labels"]) != names:  # published files do not name theirs
        fresh += ("y_embedder.",)
    return fresh if _same_coder(start, config) else fresh + LATENT_LAYERS


def _prepare(config: TrainConfig, run: Run) -> Clips:
    if config.data.folder:
        from .folder import prepare_folder  # needs Pillow and the decoder, which worlds do without

        stop, sizes = lambda: run.stop_requested, config.sizes
        return prepare_folder(config.data, run.folder, stop=stop, sizes=sizes)
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
    arguments = sys.argv[1:] if arguments is None else arguments
    if arguments[:1] == ["prepare"]:
        return _prepare_alone(arguments[1:])
    options = parse(arguments, __doc__)
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
        print(f"{stopped}. {AGAIN}")
    except KeyboardInterrupt:
        print(f"Stopped at once; the last saved state is whole. {AGAIN}", file=sys.stderr)
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
            f"larger --accumulate, a smaller --batch-size or a smaller --size. {AGAIN}",
            file=sys.stderr,
        )
        return 1
    finally:
        parallel.stop()
    return 0


def _prepare_alone(arguments: list[str]) -> int:
    from .prepare import prepare  # needs Pillow and the decoder, as above

    try:
        prepare(arguments)
    except Stopped as stopped:
        print(f"{stopped}. {AGAIN}")
    except KeyboardInterrupt:
        print(f"Stopped at once. {AGAIN}", file=sys.stderr)
        return 130
    except (ValueError, OSError) as error:
        print(f"train prepare: {error}", file=sys.stderr)
        return 1
    return 0


def _is_out_of_memory(error: BaseException) -> bool:
    known = isinstance(error, MemoryError | torch.OutOfMemoryError)
    return known or "not enough memory" in str(error) or "can't allocate memory" in str(error)


if __name__ == "__main__":
    sys.exit(main())
