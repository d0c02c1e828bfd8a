"""What all sections of the evaluation share: the model as it is called, unseen clips, tables."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple, Protocol

import numpy as np
import torch
from tqdm import tqdm

from fvdm_core.card import ModelCard
from fvdm_core.network import Coder
from fvdm_core.pipeline import Pipeline
from fvdm_core.pixels import decode_frames, encode_frames
from fvdm_core.presets import PRESETS
from fvdm_core.state import Clip
from fvdm_core.timeline import Timeline
from train.worlds import UNSEEN, WORLDS, render

STEPS = 30
FROM_NOISE = ("standard", "restart", "staggered")  # presets that make all of a clip
TASKS = ("image-to-video", "interpolation")  # those that are given pictures of an unseen clip
BATCH = 8  # clips that are sampled at once
IDENTICAL = 100.0  # dB: what equal pictures get, instead of infinity
Autoencode = Callable[[np.ndarray], np.ndarray]  # uint8 (F, H, W, 3) -> the same, encoded, decoded
Encode = Callable[[np.ndarray], np.ndarray]  # uint8 (F, H, W, 3) -> latents float64 (F, C, h, w)


class VideoModel(Protocol):
    """What is measured: a `Pipeline`, or anything that is called like one."""

    card: ModelCard
    num_frames: int
    image_size: tuple[int, int]

    def __call__(self, timeline: Timeline, **options: Any) -> Clip: ...


class Figure(NamedTuple):
    """A mean over clips with its standard error; NaN where nothing could be measured.

    `clips` is the number of clips with a value; of one clip alone there is no error (NaN).
    """

    mean: float
    error: float
    clips: int

    def show(self, digits: int) -> str:
        """As a cell of a table: "31.2 ± 0.4", or nothing."""
        if not self.clips:
            return ""
        spread = "" if np.isnan(self.error) else f" ± {self.error:.{digits}f}"
        return f"{self.mean:.{digits}f}{spread}"


def figure(values: Iterable[float]) -> Figure:
    """Mean and standard error of the values that are numbers."""
    known = np.array([value for value in values if not np.isnan(value)], np.float64)
    if not len(known):
        return Figure(np.nan, np.nan, 0)
    error = known.std(ddof=1) / np.sqrt(len(known)) if len(known) > 1 else np.nan
    return Figure(float(known.mean()), float(error), len(known))


def unseen(model: VideoModel, world: str, seed: int, frames: int | None = None) -> np.ndarray:
    """A real clip that training has not seen, of the model's size, uint8 (F, H, W, 3)."""
    length = frames or model.num_frames
    return render(world, UNSEEN + seed, length, model.image_size[0], model.card.fps).video


def check_worlds(model: VideoModel) -> None:
    """Raise `ValueError` unless each label of the model is a world."""
    foreign = [label for label in model.card.labels if label not in WORLDS]
    if foreign or not model.card.labels:
        raise ValueError(
            f"the model's labels are {', '.join(model.card.labels) or 'none'}; only models of the "
            f"worlds {', '.join(WORLDS)} can be held against the truth"
        )


def check_counts(**counts: int) -> None:
    """Raise `ValueError` for a number of clips below 1."""
    for name, value in counts.items():
        if value < 1:
            raise ValueError(f"{name} is {value}; it must be at least 1")


def preset(name: str, model: VideoModel, steps: int = STEPS) -> Timeline:
    """A named timeline for a model, which sees all its frames at once, however many they are, and
    starts from noise of the kind that it was trained with."""
    frames = model.num_frames
    timeline = Timeline.preset(name, frames=frames, steps=steps, window=frames)
    return model.with_own_noise(timeline) if isinstance(model, Pipeline) else timeline


def possible(names: Iterable[str], frames: int) -> list[str]:
    """Those of the presets that can be built for so many frames."""
    return [name for name in names if PRESETS[name].min_frames <= frames]


def samples(
    model: VideoModel,
    timeline: Timeline,
    world: str,
    seeds: Sequence[int],
    keyframes: Sequence[dict[int, np.ndarray]] | None = None,
    batch: int = BATCH,
    **options: Any,
) -> list[np.ndarray]:
    """A clip per seed, uint8 (F, H, W, 3): of a pipeline `batch` at a time, else one by one."""
    given = [{} for _ in seeds] if keyframes is None else list(keyframes)
    made: list[np.ndarray] = []
    for first in progress(range(0, len(seeds), batch), f"{world}: batches"):
        part, pictures = seeds[first : first + batch], given[first : first + batch]
        if isinstance(model, Pipeline):
            clips = model.batch(timeline, part, pictures, label=world, **options)
            made += [clip.frames for clip in clips]
            continue
        for seed, known in zip(part, pictures, strict=True):
            chosen = {"keyframes": known} if known else {}
            made.append(model(timeline, label=world, seed=seed, **chosen, **options).frames)
    return made


def generate(
    model: VideoModel, task: str, world: str, seeds: Sequence[int], truth: Sequence[np.ndarray]
) -> list[np.ndarray]:
    """What a preset makes of the true clips' kept frames, uint8 (F, H, W, 3) each."""
    timeline = preset(task, model)
    kept = timeline.kept
    keyframes = [{frame: video[frame] for frame in kept} for video in truth]
    return samples(model, timeline, world, seeds, keyframes)


def psnr(truth: np.ndarray, other: np.ndarray) -> float:
    """Peak signal-to-noise ratio of uint8 arrays of one shape, in dB; 100 where they are equal."""
    error = np.square(truth.astype(np.float64) - other).mean()
    return float(10 * np.log10(255**2 / error)) if error else IDENTICAL


def autoencoder_of(pipe: Pipeline) -> Autoencode:
    """A clip through the pipeline's autoencoder and back."""
    return through(pipe.autoencoder, pipe.num_frames, pipe.device)


def through(codec: Coder, at_once: int, device: torch.device | str) -> Autoencode:
    """A clip through an autoencoder and back, so many frames at once."""

    @torch.no_grad()
    def autoencode(video: np.ndarray) -> np.ndarray:
        latents = encode_frames(codec.encode, video, at_once, device)
        return decode_frames(codec.decode, latents, at_once, device)

    return autoencode


def encoder_of(pipe: Pipeline) -> Encode:
    """A clip's latents, window by window, so that a long one needs no more memory."""
    return lambda video: pipe.encode(video).double().numpy()


def markdown(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table whose columns are as wide as their widest cell."""
    lines = [list(head), ["---"] * len(head), *map(list, rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(head))]
    padded = [
        [c.ljust(w, "-" if set(c) == {"-"} else " ") for c, w in zip(line, widths, strict=True)]
        for line in lines
    ]
    return "\n".join(f"| {' | '.join(line)} |" for line in padded)


def progress(items: Sequence[Any], what: str) -> Iterable[Any]:
    return tqdm(items, desc=what, unit="clip", leave=False, disable=None)
