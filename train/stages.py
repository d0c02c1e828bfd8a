"""The stages of a run: clips, autoencoder, latents, transformer. Each resumes by itself."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from fvdm_core.autoencoder import Autoencoder, halved
from fvdm_core.device import fast_bf16
from fvdm_core.files import atomic_write
from fvdm_core.kl_autoencoder import KLAutoencoder
from fvdm_core.loss import (
    diffusion_loss,
    keep_frames,
    lone_frames,
    sample_timesteps,
    stagger_frames,
)
from fvdm_core.model import VideoDiT
from fvdm_core.noise import training_noise
from fvdm_core.pixels import from_pixels

from . import parallel
from .aspects import Size
from .clips import Clips, texture
from .compiling import compiled
from .config import TrainConfig
from .latents import AT_ONCE, Latents, encode
from .loop import fit
from .run import Run
from .sheets import sample_sheet, write_sheet

TEXTURES = 4096
SHOWN = 4  # of them, on a sheet
VECTORISED = "vectorised"  # noted in the transformer's states
LABEL_TABLE = "y_embedder.embedding_table.weight"
LAST_OF_TIMES = "t_embedder.mlp.2.bias"  # what is added for the label is added to its output


def device() -> torch.device:
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def autocast() -> contextlib.AbstractContextManager:
    """bf16 where the processor multiplies it fast, fp32 elsewhere."""
    place = device()
    return torch.autocast(place.type, torch.bfloat16, enabled=fast_bf16(place))


def batch_threads() -> int:
    """How many threads make batches beforehand; on a CPU they would only take from the training."""
    return min(8, os.cpu_count() or 1) if device().type == "cuda" else 0


def there(batch: tuple[Tensor, ...]) -> list[Tensor]:
    """A batch on the device that trains."""
    return [tensor.to(device(), non_blocking=True) for tensor in batch]


def to_video(pictures: np.ndarray) -> Tensor:
    """uint8 (…, H, W, 3) -> float (…, 3, H, W) in [-1, 1]."""
    copied = np.array(pictures, order="C")  # clips are mapped read-only, which torch dislikes
    return from_pixels(torch.from_numpy(copied).to(device()))


def start_from(
    module: nn.Module,
    start: nn.Module | None,
    fresh: tuple[str, ...] = (),
    labels: Sequence[int] = (),
) -> None:
    """Give a fresh network the weights of a trained one of the same shape.

    Weights whose names begin with one of `fresh` stay as they are. `labels` are the rows of the
    table of labels there from which those here begin, "no label" last: without any label the
    network gives what `start` gives. Raises `ValueError` where the shapes of others differ.
    """
    if start is None:
        return
    check_start(module, start, fresh)
    theirs, own = start.state_dict(), module.state_dict()
    kept = {name: value for name, value in theirs.items() if not name.startswith(fresh)}
    if labels:
        times, table = theirs[LAST_OF_TIMES], theirs.get(LABEL_TABLE)
        # where `start` knows no labels, none has an effect yet
        rows = torch.zeros(len(labels), len(times)) if table is None else table[list(labels)]
        if LABEL_TABLE in own:
            kept[LABEL_TABLE] = rows
        else:
            kept[LAST_OF_TIMES] = times + rows[-1]
    module.load_state_dict(own | kept)


def check_start(module: nn.Module, start: nn.Module, fresh: tuple[str, ...] = ()) -> None:
    """Raise `ValueError` unless `start_from` can be done; `module` may be on the meta device."""
    own, its = (
        {k: tuple(v.shape) for k, v in each.state_dict().items() if not k.startswith(fresh)}
        for each in (module, start)
    )
    for name in sorted(own.keys() | its.keys()):
        if own.get(name) != its.get(name):
            here, there = (each.get(name, "nothing") for each in (own, its))
            raise ValueError(
                f"the model to start from has another {type(module).__name__}: {name} is {there} "
                f"there and {here} in this run"
            )


def train_autoencoder(
    config: TrainConfig, clips: Clips, run: Run, start: Autoencoder | None = None
) -> Autoencoder:
    """Learn pictures, single frames of the clips and textures; then fix the latents' scale.

    The loss is L1 + mean square + L1 of neighbouring differences (edges), of each size that the
    decoder makes. Noise on the latents and a small penalty on their size make them smooth and of a
    known scale, which diffusion needs. With `decoder_only` they stay as they are in `start`.
    """
    assert config.autoencoder is not None
    optim = config.autoencoder_optim
    torch.manual_seed(config.seed)
    model = Autoencoder(config.autoencoder)
    start_from(model, start, ("detail.",) if _gains_detail(config, start) else ())
    model = model.to(device())
    if config.decoder_only:
        model.encoder.requires_grad_(False)
    model = model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    forward = parallel.averaging(compiled(_Reconstruction(model), config))
    # at least one picture of the clips, which says what size all have
    texture_count = min(round(config.data.textures * optim.batch_size), optim.batch_size - 1)
    abstract = partial(texture, seed=config.seed)
    clip_count = optim.batch_size - texture_count

    def drawn(step: int) -> tuple[np.ndarray, np.random.Generator]:
        """Clips, each label as often: the simplest pictures may be most of the data."""
        rng = np.random.default_rng([config.seed, step])
        return clips.balanced(clip_count, step, rng), rng

    def batch_at(step: int, generator: torch.Generator, own: slice) -> tuple[Tensor, Tensor]:
        indices, rng = drawn(step)
        frames = rng.integers(clips.frames, size=clip_count)
        frames = np.where(clips.still(indices), 0, frames)
        pictures = [clips.video[i, f] for i, f in zip(indices, frames, strict=True)]
        size = pictures[0].shape[:2]
        textures = rng.integers(TEXTURES, size=texture_count)
        pictures += [abstract(int(index), size) for index in textures]
        x = torch.from_numpy(np.stack(pictures[own]))
        noise_shape = (len(pictures), *latent_shape(config, size))
        return x, torch.randn(noise_shape, generator=generator)[own]

    def losses_of(batch: tuple[Tensor, Tensor]) -> Tensor:
        pictures, noise = there(batch)
        x = from_pixels(pictures)
        with autocast():
            reconstructions, latents = forward(x, 0.1 * noise)
        loss = 1e-3 * latents.float().square().mean()
        for reconstruction in reversed(reconstructions):
            error = reconstruction.float() - x
            edges = error.diff(dim=-1).abs().mean() + error.diff(dim=-2).abs().mean()
            loss = loss + error.abs().mean() + error.square().mean() + 0.5 * edges
            x = halved(x)
        return loss

    def on_sample(module: nn.Module, path: Path) -> None:
        assert isinstance(module, Autoencoder)
        real = clips.video[clips.spread(12), 0]
        shown = [abstract(index, real.shape[1:3]) for index in range(SHOWN)]
        x = to_video(np.concatenate([real, shown]))
        with torch.no_grad(), autocast():
            y = module.decode(module.encode(x))
        write_sheet(path, torch.stack([x, y.float()]))

    averaged = fit(
        model,
        batch_at,
        losses_of,
        optim,
        run,
        "autoencoder",
        config.seed,
        optim.batch_size,
        "pictures",
        describe_batch=lambda step: ", ".join(clips.names[i] for i in drawn(step)[0]),
        on_sample=on_sample,
        forward=forward,
        threads=batch_threads(),
    )
    assert isinstance(averaged, Autoencoder)
    if not config.decoder_only:
        parallel.first_then_others(lambda: _fix_scale(averaged, clips, run))
    return averaged


def _gains_detail(config: TrainConfig, start: Autoencoder | None) -> bool:
    """Whether the run adds a detail to an autoencoder that has none."""
    assert config.autoencoder is not None
    return start is not None and bool(config.autoencoder.detail) and not start.config.detail


class _Reconstruction(nn.Module):
    """Encode, disturb, decode: the whole pass as one module, so that it compiles as one."""

    def __init__(self, model: Autoencoder) -> None:
        super().__init__()
        self.model = model

    def forward(self, x: Tensor, noise: Tensor) -> tuple[list[Tensor], Tensor]:
        latents = self.model.encode_raw(x)
        return self.model.decode_sizes(latents + noise), latents


class _Encoding(nn.Module):
    def __init__(self, model: Autoencoder) -> None:
        super().__init__()
        self.model = model

    def forward(self, video: Tensor) -> Tensor:
        return self.model.encode(video)


def latent_shape(config: TrainConfig, size: Size | None = None) -> tuple[int, int, int]:
    """(C, h, w) of a frame of a size in pixels, by default of the run's only one."""
    height, width = size or config.sizes[0]
    down = config.data.image_size // config.transformer.latent_size
    return config.transformer.latent_channels, height // down, width // down


@torch.no_grad()
def _fix_scale(model: Autoencoder, clips: Clips, run: Run) -> None:
    """Set mean and deviation per latent channel from pictures spread over the data.

    Noted beside the run: sums differ in their last bits with the number of threads, and with them
    every latent that was encoded.
    """
    path, key = run.folder / "latent-scale.json", _fingerprint(model)
    noted = json.loads(path.read_text("utf-8")) if path.exists() else {}
    if noted.get("weights") != key:
        values = []  # (C, every place of every picture)
        for group in range(len(clips.by_size)):
            size = len(clips.by_size[group])
            if not size:
                continue
            share = max(1, round(2048 * size / len(clips)))  # as they are met in training
            chosen = clips.spread(share, group)
            height, width = clips.video[chosen[:1], :1].shape[2:4]
            most = max(1, min(64, AT_ONCE // (height * width)))
            parts = [chosen[first : first + most] for first in range(0, len(chosen), most)]
            with autocast():
                latents = torch.cat(
                    [model.encode_raw(to_video(clips.video[part, 0])).float() for part in parts]
                )
            values.append(latents.transpose(0, 1).flatten(1))
        every = torch.cat(values, dim=1)
        mean, std = every.mean(dim=1), every.std(dim=1)
        noted = {"weights": key, "mean": mean.tolist(), "std": std.tolist()}
        if run.writes:
            with atomic_write(path) as temporary:
                temporary.write_text(json.dumps(noted), "utf-8")
    model.latent_mean.copy_(torch.tensor(noted["mean"])[:, None, None])
    model.latent_std.copy_(torch.tensor(noted["std"])[:, None, None])


def encode_clips(config: TrainConfig, model: Autoencoder, clips: Clips, run: Run) -> Latents:
    """All clips as latents on disk, in shards; each process encodes its own part of them."""
    encode_all = compiled(_Encoding(model.eval()), config)

    def encoder(pictures: np.ndarray) -> Tensor:
        with autocast():
            return encode_all(to_video(pictures)).float()

    return encode(clips, encoder, latent_shapes(config), _fingerprint(model), run)


def latent_shapes(config: TrainConfig) -> list[tuple[int, int, int]]:
    """(C, h, w) of each of the run's sizes."""
    return [latent_shape(config, size) for size in config.sizes]


def _fingerprint(module: nn.Module) -> str:
    """A short hash of all weights."""
    digest = hashlib.sha256()
    for name, tensor in module.state_dict().items():
        digest.update(name.encode() + tensor.detach().float().cpu().numpy().tobytes())
    return digest.hexdigest()[:16]


def train_transformer(
    config: TrainConfig,
    latents: Latents | np.ndarray,
    clips: Clips,
    autoencoder: Autoencoder | KLAutoencoder,
    run: Run,
    start: VideoDiT | None = None,
    fresh: tuple[str, ...] = (),
    labels: Sequence[int] = (),
    on_sample: Callable[[nn.Module, Path], None] | None = None,
) -> VideoDiT:
    """FVDM: latents -> levels by PTSS -> diffusion loss, with labels dropped for guidance.

    What lies below the names `fresh` is learned from nothing, also where there is a `start`, but
    for the table of labels where `start_from` is told `labels`.
    Every `optim.sample_every` steps `on_sample` gets the averaged model and the path of a picture
    named after the step; by default it draws one.
    """
    optim, schedule = config.optim, config.noise_schedule()
    torch.manual_seed(config.seed + 1)
    model = VideoDiT(config.transformer)
    start_from(model, start, fresh, labels)
    model = model.to(device())
    model.recompute = config.recompute
    forward = compiled(model, config)
    if not config.shard:
        forward = parallel.averaging(forward)
    labelled = config.transformer.num_classes > 0

    def batch_at(step: int, generator: torch.Generator, own: slice) -> tuple[Tensor, ...]:
        indices = clips.batch(optim.batch_size, config.seed, step)
        x_start = torch.from_numpy(latents[indices[own]].astype(np.float32))
        drawn = sample_timesteps(
            len(indices),
            x_start.shape[1],
            optim.p_independent,
            schedule.num_train_timesteps,
            stratified=optim.stratified,
            shift=optim.shift,
            generator=generator,
        )
        levels = stagger_frames(
            drawn, optim.p_staggered, schedule.num_train_timesteps, generator=generator
        )
        levels = keep_frames(levels, optim.p_condition, generator=generator)
        noise = training_noise(
            *((len(indices), *x_start.shape[1:]), optim.prior, optim.prior_alpha),
            generator=generator,
        )[own]
        dropped = torch.rand(len(indices), generator=generator) < optim.label_dropout
        y = torch.from_numpy(clips.labels[indices]).masked_fill(dropped, model.null_label)[own]
        still = torch.from_numpy(clips.still(indices))
        levels, counted = lone_frames(
            levels, still, drawn, schedule.num_train_timesteps, generator=generator
        )
        alone = torch.rand(len(indices), generator=generator) < optim.p_alone
        return x_start, levels[own], noise, y, counted[own], alone[own]

    def losses_of(batch: tuple[Tensor, ...]) -> Tensor:
        x_start, levels, noise, y, counted, alone = there(batch)
        label = y if labelled else None
        with autocast():
            return diffusion_loss(
                *(forward, x_start, levels, noise, schedule, label, counted),
                alone=alone if optim.p_alone else None,
            )

    shape = latent_shape(config, next(iter(clips.sizes_in_use), None))

    def draw(module: nn.Module, path: Path) -> None:
        assert isinstance(module, VideoDiT)
        with autocast():
            noise = optim.prior, optim.prior_alpha
            sample_sheet(path, module, autoencoder, schedule, shape, *noise)

    averaged = fit(
        model,
        batch_at,
        losses_of,
        optim,
        run,
        "transformer",
        config.seed + 1,
        optim.batch_size,
        "clips",
        describe_batch=lambda step: ", ".join(
            clips.names[i] for i in clips.batch(optim.batch_size, config.seed, step)
        ),
        on_sample=on_sample or draw,
        forward=forward,
        threads=batch_threads(),
        units=_block_names(model) if config.shard else (),
        notes={VECTORISED: optim.vectorised},
    )
    assert isinstance(averaged, VideoDiT)
    return averaged


def _block_names(model: VideoDiT) -> list[str]:
    blocks = {id(block) for block, _ in model.blocks_in_order()}
    return [name for name, module in model.named_modules() if id(module) in blocks]
