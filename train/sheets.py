"""Contact sheets: rows of clips as one PNG, to look at while a model learns."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path

import cv2
import numpy as np
import torch
from einops import rearrange
from torch import Tensor

from fvdm_core.autoencoder import Autoencoder
from fvdm_core.files import atomic_write
from fvdm_core.kl_autoencoder import KLAutoencoder
from fvdm_core.model import VideoDiT
from fvdm_core.noise import frame_noise
from fvdm_core.pixels import to_pixels
from fvdm_core.sampler import sample
from fvdm_core.schedule import NoiseSchedule
from fvdm_core.timeline import Timeline

PER_LABEL = 2
MOST_LABELS = 8
CLIPS_AT_ONCE = 4  # or a network that is trained on one at a time has no room for them
STEPS = 20
AT_ONCE = 4  # pictures that are decoded at once


def write_sheet(path: Path, video: Tensor) -> None:
    """(rows, columns, 3, H, W) in [-1, 1] -> one PNG of rows x columns tiles."""
    pixels = to_pixels(rearrange(video, "r n c h w -> c (r h) (n w)"))
    encoded = cv2.imencode(".png", np.ascontiguousarray(pixels[..., ::-1]))[1].tobytes()
    with atomic_write(path) as temporary:
        temporary.write_bytes(encoded)


@torch.no_grad()
def sample_sheet(
    path: Path,
    model: VideoDiT,
    autoencoder: Autoencoder | KLAutoencoder,
    schedule: NoiseSchedule,
    shape: tuple[int, int, int],
    prior: str = "independent",
    prior_alpha: float = 1.0,
) -> None:
    """Seeds 0 and 1 of every label, unguided, in 20 DPM-Solver++(2M) steps, a clip per row.

    Of more than `MOST_LABELS` labels so many are drawn, from the first to the last. `shape` is
    (C, h, w) of a frame's latents, `prior` that of the noise that the model was trained with.
    """
    config = model.config
    place = next(model.parameters()).device
    frames = config.num_frames
    timeline = Timeline.preset("standard", frames=frames, steps=STEPS, window=frames)
    timeline = replace(timeline, prior=prior, prior_alpha=prior_alpha)
    classes = max(1, config.num_classes)
    chosen = torch.linspace(0, classes - 1, min(classes, MOST_LABELS)).round().long()
    labels = chosen.repeat_interleave(PER_LABEL)
    seeds = [k % PER_LABEL for k in range(len(labels))]
    first = [
        frame_noise(s, range(frames), 0, shape, prior=prior, alpha=prior_alpha, window=frames)
        for s in seeds
    ]
    x = torch.stack(first).to(place)
    y = labels.to(place) if config.num_classes else None
    made = []
    for k in range(0, len(seeds), CLIPS_AT_ONCE):
        some = slice(k, k + CLIPS_AT_ONCE)
        denoise = partial(model, y=None if y is None else y[some])
        for state in sample(denoise, x[some], timeline, schedule, "dpmpp_2m", seed=seeds[some]):
            last = state.x
        made.append(last)
    parts = torch.cat(made).flatten(0, 1).split(AT_ONCE)
    video = torch.cat([autoencoder.decode(part).float().cpu() for part in parts])
    write_sheet(path, rearrange(video, "(r n) c h w -> r n c h w", n=frames))
