"""`python -m train`: from nothing to a model folder that the studio opens."""

from __future__ import annotations

import argparse
import json
import os
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from fvdm_core.autoencoder import Autoencoder
from fvdm_core.checkpoint import ModelFolder, load_model_folder, resolve_source
from fvdm_core.files import place
from fvdm_core.kl_autoencoder import KLAutoencoder
from fvdm_core.memory import out_of_memory
from fvdm_core.model import VideoDiT
from fvdm_core.timeline_checks import PRIORS

from . import parallel
from .clips import Clips, prepare_worlds
from .config import TrainConfig
from .export import export, model_config
from .loop import Diverged
from .options import configure, parse, run_folder
from .published import FixedCoder
from .run import Run, Stopped
from .stages import (
    VECTORISED,
    check_start,
    device,
    encode_clips,
    train_autoencoder,
    train_transformer,
)

AGAIN = "The same command goes on from there."
KEPT = (
    "decoder_only keeps the transformer of the model to start from, and the run asks for "
    "another, or for other labels or another prior"
)
LABELS = "y_embedder."
LATENT_LAYERS = ("x_embedder.", "pos_embed", "final_layer.linear.")
# of a model's config.json, what says how its transformer was trained and is sampled
OF_TRANSFORMER = ("timesteps", "prior", "prior_alpha", "sampling")
IDENTITY = ("seed", "data", "autoencoder", "transformer", "schedule", "decoder_only")


def train(config: TrainConfig, out: Path, export_to: Path) -> None:
    """Run every stage that is not finished yet, then write the model folder."""
    run, start, begun, fixed = parallel.first_then_others(lambda: _open(config, out))
    everything = config.to_dict()
    identity = {key: everything[key] for key in IDENTITY}
    prior, alpha = config.optim.prior, config.optim.prior_alpha  # which the model will say
    identity["prior"] = {"prior": prior, "alpha": alpha} if prior != PRIORS[0] else {}
    if fixed is not None:
        identity["vae"] = fixed.key
    identity["init"] = start.model_hash if start else ""
    parallel.first_then_others(lambda: _check(run, config, identity, export_to))
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
    if start is not None and config.decoder_only:
        transformer = _kept_transformer(start, clips.label_names)
    if run.writes:  # only now: a start that was refused shall not decide what the folder is of
        run.claim(identity)
    autoencoder: Autoencoder | KLAutoencoder
    exported: Autoencoder | Path
    if fixed is None:
        autoencoder = exported = trained = _train_coder(config, clips, run, begun)
    else:
        autoencoder, exported = fixed.network, fixed.folder
    if not config.decoder_only:
        if fixed is None:
            latents = encode_clips(config, trained, clips, run)
        else:
            latents = fixed.encode_clips(config, clips, run)
        fresh = _learned_anew(start, config, clips.label_names) if start else ()
        transformer = train_transformer(
            *(config, latents, clips, autoencoder, run),
            start=start.transformer if start else None,
            fresh=fresh,
            labels=_begun_labels(start, clips.label_names) if start and LABELS in fresh else (),
        )
    kept: dict[str, Any] = {}
    if start is not None and config.decoder_only:  # what belongs to the transformer that is kept
        kept = {key: start.config.get(key) for key in OF_TRANSFORMER}
    elif VECTORISED in (noted := run.notes["transformer"]):  # older states do not say
        kept = {"timesteps": "vectorised" if noted[VECTORISED] else "scalar"}
    if parallel.is_first():
        about = model_config(config, clips.label_names, clips.sizes_in_use) | kept
        about = {key: value for key, value in about.items() if value is not None}
        export(about, exported, transformer, export_to)
        run.log(event="exported")
        print(f"The model is in {export_to}. Open it with: python app.py --model {export_to}")


def _open(
    config: TrainConfig, out: Path
) -> tuple[Run, ModelFolder | None, Autoencoder | None, FixedCoder | None]:
    """The run, and of what it begins: a model, an autoencoder to go on with, one that stays.

    Raises `ValueError` where these do not fit together.
    """
    used = [] if config.decoder_only else [config.optim]
    if not config.vae and config.autoencoder_optim.steps:
        used.append(config.autoencoder_optim)
    for optim in used:
        parallel.share(optim.batch_size, 0, optim.accumulate)  # refused now and not hours later
    run = Run(out, writes=parallel.is_first())
    run.catch_signals()
    start = load_model_folder(resolve_source(config.init)) if config.init else None
    if start is not None and start.autoencoder is None and not config.vae:
        raise ValueError(
            f"{place(config.init)} works on latents of an autoencoder that it does not hold, and "
            "training makes its own; name that autoencoder with --vae, or start from a model "
            "folder with autoencoder.safetensors"
        )
    begun = _begun_coder(start, config)
    if start is not None:
        if not run.begun:  # or what was done of it before this was asked would be lost
            _check_schedule(start, config)
        _check_transformer(start, config)
    return run, start, begun, FixedCoder.open(config) if config.vae else None


def _begun_coder(start: ModelFolder | None, config: TrainConfig) -> Autoencoder | None:
    """The autoencoder with which the run begins, None for a fresh one.

    Raises `ValueError` where the run is to keep one, or a part of it, that is not there.
    """
    begun = start.autoencoder if start is not None and _same_coder(start, config) else None
    if begun is None and config.decoder_only:
        raise ValueError(
            "decoder_only keeps the latents of the model to start from, and its autoencoder has "
            "another shape; only its detail and the pictures' size may differ"
        )
    if begun is None and not config.vae and not config.autoencoder_optim.steps:
        raise ValueError(
            "autoencoder_optim.steps is 0, which keeps the autoencoder of the model to start "
            "from; there is none of this shape"
        )
    return begun


def _check_transformer(start: ModelFolder, config: TrainConfig) -> None:
    """Refuse another transformer than that of `start` now; labels are known once clips are."""
    if config.decoder_only:
        labels = start.transformer.config.num_classes
        same = (
            start.transformer.config == replace(config.transformer, num_classes=labels)
            and start.config.get("prior", PRIORS[0]) == config.optim.prior
        )
        if not same:
            raise ValueError(KEPT)
        return
    own, its = config.transformer.num_heads, start.transformer.config.num_heads
    if own != its:  # which no weight tells
        raise ValueError(f"the model to start from has {its} heads; transformer.num_heads is {own}")
    learned_anew = () if _same_coder(start, config) else LATENT_LAYERS
    with torch.device("meta"):
        outline = VideoDiT(config.transformer)
    check_start(outline, start.transformer, (LABELS, *learned_anew))


def _check_schedule(start: ModelFolder, config: TrainConfig) -> None:
    """Refuse another schedule: what blocks have learned is of theirs, and no shape tells."""
    its, own = start.schedule.written(), config.noise_schedule().written()
    if own != its:
        said = ", ".join(f"{name} = {json.dumps(value)}" for name, value in its.items())
        raise ValueError(
            f"the model to start from has another schedule than the run; write {said} below "
            "[schedule] in the config, and nothing else there"
        )


def _train_coder(
    config: TrainConfig, clips: Clips, run: Run, begun: Autoencoder | None
) -> Autoencoder:
    """An autoencoder of its own for the run: fresh or the begun one, trained on or as it is."""
    if config.autoencoder_optim.steps:
        return train_autoencoder(config, clips, run, begun)
    assert begun is not None  # or it would have been refused
    return begun.to(device())


def _kept_transformer(start: ModelFolder, names: tuple[str, ...]) -> VideoDiT:
    """That of the model to start from. Raises `ValueError` where the clips have other labels."""
    if _labels(start) != names:
        raise ValueError(KEPT)
    return start.transformer


def _labels(start: ModelFolder) -> tuple[str, ...]:
    return tuple(start.config.get("labels", ()))


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
    if not known or _labels(start) != names:  # published files do not name theirs
        fresh += (LABELS,)
    return fresh if _same_coder(start, config) else fresh + LATENT_LAYERS


def _begun_labels(start: ModelFolder, names: tuple[str, ...]) -> list[int]:
    """The rows of `start` from which the run's labels begin, and "no label" last: that of the same
    name, else "no label", which the model was trained on too."""
    null = start.transformer.null_label
    there = {name: row for row, name in enumerate(_labels(start))}
    return [*(there.get(name, null) for name in names), null]


def _prepare(config: TrainConfig, run: Run) -> Clips:
    """The clips; raises `ValueError` where [sampling] names a label that they do not have."""
    if config.data.folder:
        from .folder import prepare_folder  # needs Pillow and the decoder, which worlds do without

        stop, sizes = lambda: run.stop_requested, config.sizes
        clips = prepare_folder(config.data, run.folder, stop=stop, say=run.writes, sizes=sizes)
    else:
        clips = prepare_worlds(config.data, run.folder, stop=lambda: run.stop_requested)
    config.sampling.check_labels(clips.label_names)
    return clips


def _check(run: Run, config: TrainConfig, identity: dict[str, Any], folder: Path) -> None:
    """Find out at the start, and not hours later, that the run's folder is of another run or that
    a model could not be written there."""
    if not run.writes:
        return
    run.check(identity)
    known = run.newest("autoencoder")
    if run.newest("transformer") and 0 < known < config.autoencoder_optim.steps:
        raise ValueError(
            f"the transformer in {place(run.folder)} has learned from the autoencoder as it is, "
            f"after {known} steps; delete transformer-* there to train it anew, or set "
            f"autoencoder_optim.steps back to {known}"
        )
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
        parallel.start()
        config = parallel.first_then_others(lambda: _configure(options))  # which says what is wrong
        out = run_folder(options)
        train(config, out, options.export or out / "model")
    except parallel.Ended as ended:
        return ended.code
    except Stopped as stopped:
        print(f"{stopped}. {AGAIN}")
    except KeyboardInterrupt:
        print(f"Stopped at once; the last saved state is whole. {AGAIN}", file=sys.stderr)
        return 130
    except (ValueError, Diverged, OSError) as error:
        print(f"train: {error}", file=sys.stderr)
        return 1
    except (MemoryError, RuntimeError) as error:
        if not out_of_memory(error):
            raise
        print(
            "train: out of memory; try a larger --accumulate, a smaller --batch-size (both are the "
            "transformer's; [autoencoder_optim] has its own) or a smaller --size. "
            f"{AGAIN}",
            file=sys.stderr,
        )
        return 1
    finally:
        parallel.stop()
    return 0


def _configure(options: argparse.Namespace) -> TrainConfig:
    if options.threads is not None:
        if options.threads < 1:
            raise ValueError(f"--threads is {options.threads}; it must be at least 1")
        torch.set_num_threads(options.threads)
    return configure(options)


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


if __name__ == "__main__":
    sys.exit(main())
