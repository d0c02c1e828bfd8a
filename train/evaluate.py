"""Hold a model of the miniature worlds against the truth, in numbers: `python -m train.evaluate`.

Samples are those that the studio makes at its defaults (guidance 1.5, DPM-Solver++(2M), 30 steps),
for seeds 0, 1, 2, …, none of them selected. Real clips have seeds that no training run has seen.
The same model, machine and number of threads give the same numbers.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from einops import rearrange
from tqdm import tqdm

from fvdm_core.pipeline import Clip, Pipeline, to_pixels
from fvdm_core.timeline import Timeline

from .worlds import UNSEEN, WORLDS, render
from .worlds.measure import balls_are_constant, motion_energy

STEPS = 30
TASKS = ("image-to-video", "interpolation")
BALLS = "collisions"  # the world whose balls are counted
IDENTICAL = 100.0  # dB: what equal pictures get, instead of infinity
Autoencode = Callable[[np.ndarray], np.ndarray]  # uint8 (F, H, W, 3) -> the same, encoded, decoded


class VideoModel(Protocol):
    """What is measured: a `Pipeline`, or anything that is called like one."""

    labels: list[str]
    num_frames: int
    image_size: tuple[int, int]
    fps: float

    def __call__(self, timeline: Timeline, **options: Any) -> Clip: ...


@dataclass(frozen=True)
class WorldScores:
    """The figures of one world; None where they do not apply.

    psnr: of unseen clips after the autoencoder, in dB, mean over clips.
    motion: mean change from frame to frame of samples ÷ that of unseen clips.
    balls, balls_ceiling: share of clips whose balls keep number and colours, of samples and of
    unseen clips after the autoencoder; samples cannot do better than the second.
    kept_psnr: {preset: dB at the frames that are kept}, against the pictures that were given.
    jump: {preset: change next to a kept frame ÷ change elsewhere in the clip}; 1 shows no seam.
    """

    world: str
    psnr: float
    motion: float
    balls: float | None
    balls_ceiling: float | None
    kept_psnr: dict[str, float]
    jump: dict[str, float]


def evaluate(
    model: VideoModel, autoencode: Autoencode, seeds: int = 64, keyframe_seeds: int = 16
) -> list[WorldScores]:
    """Measure every world of a model over seeds 0 … seeds − 1.

    Image-to-video and interpolation take the frames of the first `keyframe_seeds` unseen clips.
    Raises `ValueError` for a model whose labels are not worlds.
    """
    check_worlds(model)
    for name, value in (("seeds", seeds), ("keyframe_seeds", keyframe_seeds)):
        if value < 1:
            raise ValueError(f"{name} is {value}; it must be at least 1")
    return [_measure(model, autoencode, world, seeds, keyframe_seeds) for world in model.labels]


def _measure(
    model: VideoModel, autoencode: Autoencode, world: str, seeds: int, keyframe_seeds: int
) -> WorldScores:
    real = [unseen(model, world, seed) for seed in range(seeds)]
    coded = [autoencode(video) for video in _progress(real, f"{world}: autoencoder")]
    standard = Timeline.preset("standard", frames=model.num_frames, steps=STEPS)
    made = [
        model(standard, label=world, seed=seed).frames
        for seed in _progress(range(seeds), f"{world}: samples")
    ]
    counts_balls = world == BALLS
    tasks = {task: _keyframe_task(model, world, task, keyframe_seeds) for task in TASKS}
    return WorldScores(
        world=world,
        psnr=_mean(psnr(a, b) for a, b in zip(real, coded, strict=True)),
        motion=_mean(map(motion_energy, made)) / _mean(map(motion_energy, real)),
        balls=_mean(map(balls_are_constant, made)) if counts_balls else None,
        balls_ceiling=_mean(map(balls_are_constant, coded)) if counts_balls else None,
        kept_psnr={task: kept for task, (kept, _) in tasks.items()},
        jump={task: jump for task, (_, jump) in tasks.items()},
    )


def _keyframe_task(model: VideoModel, world: str, task: str, seeds: int) -> tuple[float, float]:
    """Fidelity of the kept frames in dB, and the jump beside them, over unseen clips."""
    timeline = Timeline.preset(task, frames=model.num_frames, steps=STEPS)
    kept = kept_frames(timeline)
    fidelity, beside, elsewhere = [], [], []
    for seed in _progress(range(seeds), f"{world}: {task}"):
        truth = unseen(model, world, seed)
        keyframes = {frame: truth[frame] for frame in kept}
        made = model(timeline, keyframes=keyframes, label=world, seed=seed).frames
        fidelity.append(psnr(truth[list(kept)], made[list(kept)]))
        near, far = changes(made, kept)
        beside.append(near)
        elsewhere.append(far)
    return _mean(fidelity), _mean(beside) / max(_mean(elsewhere), 1e-9)


def kept_frames(timeline: Timeline) -> tuple[int, ...]:
    """The frames that stay at level 0 from the first row to the last."""
    return tuple(np.flatnonzero(~timeline.levels.any(axis=0)).tolist())


def changes(video: np.ndarray, kept: Sequence[int]) -> tuple[float, float]:
    """Mean change of uint8 (F, H, W, 3) between neighbours of which one is kept, and elsewhere."""
    change = np.abs(np.diff(video.astype(np.int16), axis=0)).mean(axis=(1, 2, 3))  # (F - 1,)
    is_kept = np.isin(np.arange(len(video)), kept)
    near = is_kept[:-1] != is_kept[1:]
    far = ~(is_kept[:-1] | is_kept[1:])
    return float(change[near].mean()), float(change[far].mean())


def psnr(truth: np.ndarray, other: np.ndarray) -> float:
    """Peak signal-to-noise ratio of uint8 arrays of one shape, in dB; 100 where they are equal."""
    error = np.square(truth.astype(np.float64) - other).mean()
    return float(10 * np.log10(255**2 / error)) if error else IDENTICAL


def unseen(model: VideoModel, world: str, seed: int) -> np.ndarray:
    """A real clip that training has not seen, of the model's size, uint8 (F, H, W, 3)."""
    return render(world, UNSEEN + seed, model.num_frames, model.image_size[0], model.fps).video


def check_worlds(model: VideoModel) -> None:
    """Raise `ValueError` unless each label of the model is a world."""
    foreign = [label for label in model.labels if label not in WORLDS]
    if foreign or not model.labels:
        raise ValueError(
            f"the model's labels are {', '.join(model.labels) or 'none'}; only models of the "
            f"worlds {', '.join(WORLDS)} can be held against the truth"
        )


def autoencoder_of(pipe: Pipeline) -> Autoencode:
    """A clip through the pipeline's autoencoder and back."""

    @torch.no_grad()
    def autoencode(video: np.ndarray) -> np.ndarray:
        pictures = rearrange(torch.from_numpy(video).to(pipe.device), "f h w c -> f c h w")
        codec = pipe.autoencoder
        return to_pixels(codec.decode(codec.encode(pictures.float() / 127.5 - 1)))

    return autoencode


def table(scores: Sequence[WorldScores]) -> str:
    """The figures as a Markdown table, one row per world."""
    head = ["world", "autoencoder dB", "motion ×", "balls constant", "… after autoencoder"]
    for task in TASKS:
        head += [f"{task}: kept dB", "jump ×"]
    rows = [head, ["---"] * len(head)]
    for score in scores:
        cells = [score.world, f"{score.psnr:.1f}", f"{score.motion:.2f}"]
        cells += [_percent(score.balls), _percent(score.balls_ceiling)]
        for task in TASKS:
            cells += [f"{score.kept_psnr[task]:.1f}", f"{score.jump[task]:.2f}"]
        rows.append(cells)
    widths = [max(len(row[column]) for row in rows) for column in range(len(head))]
    padded = [
        [c.ljust(w, "-" if set(c) == {"-"} else " ") for c, w in zip(row, widths, strict=True)]
        for row in rows
    ]
    return "\n".join(f"| {' | '.join(row)} |" for row in padded)


def _percent(share: float | None) -> str:
    return "" if share is None else f"{share:.0%}"


def _mean(values: Iterable[float]) -> float:
    return float(np.mean(list(values)))


def _progress(items: Sequence[Any], what: str) -> Iterable[Any]:
    return tqdm(items, desc=what, unit="clip", leave=False, disable=None)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m train.evaluate", description=__doc__)
    parser.add_argument("--model", help="a model folder (default: the shipped one)")
    parser.add_argument("--seeds", type=int, default=64, help="samples of each world")
    parser.add_argument(
        "--keyframe-seeds", type=int, default=16, help="clips of each world per keyframe task"
    )
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    options = parser.parse_args(arguments)
    try:
        pipe = Pipeline.from_pretrained(options.model)
        scores = evaluate(pipe, autoencoder_of(pipe), options.seeds, options.keyframe_seeds)
    except (ValueError, ArithmeticError, OSError) as error:
        print(f"evaluate: {error}", file=sys.stderr)
        return 1
    facts = {
        "model": {"name": pipe.name, "sha256": pipe.model_hash},
        "seeds": options.seeds,
        "keyframe_seeds": options.keyframe_seeds,
        "steps": STEPS,
        "dtype": str(pipe.dtype).removeprefix("torch."),
    }
    if options.json:
        worlds = [dataclasses.asdict(score) for score in scores]
        print(json.dumps({**facts, "worlds": worlds}, indent=2))
    else:
        print(
            f"{pipe.name} ({pipe.model_hash}): seeds 0 to {options.seeds - 1} of each world, "
            f"unselected; {STEPS} steps, guidance 1.5; keyframes of {options.keyframe_seeds} "
            "unseen clips\n"
        )
        print(table(scores))
    return 0


if __name__ == "__main__":
    sys.exit(main())
