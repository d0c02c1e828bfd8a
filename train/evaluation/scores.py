"""The first section: how good pictures are after the autoencoder, how much moves, what is kept."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from fvdm_core.measures import changes
from train.worlds.measure import BALLS_FROM, balls_are_constant, motion_energy

from .common import (
    FROM_NOISE,
    TASKS,
    Autoencode,
    VideoModel,
    check_counts,
    check_worlds,
    generate,
    markdown,
    possible,
    preset,
    progress,
    psnr,
    samples,
    unseen,
)

BALLS = "collisions"  # the world whose balls are counted


@dataclass(frozen=True)
class WorldScores:
    """The figures of one world; None where they do not apply, NaN where nothing can be measured.

    Tasks that the model has too few frames for are left out, and so are balls on small pictures.

    psnr: of unseen clips after the autoencoder, in dB, mean over clips.
    motion: {preset: mean change from frame to frame of samples ÷ that of unseen clips}.
    balls: {preset: share of samples whose balls keep number and colours}.
    balls_ceiling: that share of unseen clips after the autoencoder; samples cannot do better.
    kept_psnr: {preset: dB at the frames that are kept}, against the pictures that were given.
    jump: {preset: change next to a kept frame ÷ change elsewhere in the clip}; 1 shows no seam.
    """

    world: str
    psnr: float
    motion: dict[str, float]
    balls: dict[str, float] | None
    balls_ceiling: float | None
    kept_psnr: dict[str, float]
    jump: dict[str, float]


def evaluate(
    model: VideoModel,
    autoencode: Autoencode,
    seeds: int = 64,
    keyframe_seeds: int = 16,
    worlds: Collection[str] = (),
) -> list[WorldScores]:
    """Measure every world of a model, or those named, over seeds 0 … seeds − 1.

    Image-to-video and interpolation take the frames of the first `keyframe_seeds` unseen clips.
    Raises `ValueError` for a model whose labels are not worlds, or that lacks one of those named.
    """
    check_worlds(model)
    check_counts(seeds=seeds, keyframe_seeds=keyframe_seeds)
    if missing := [world for world in worlds if world not in model.card.labels]:
        raise ValueError(
            f"the model has no label {', '.join(missing)}; its labels are "
            f"{', '.join(model.card.labels)}"
        )
    chosen = [world for world in model.card.labels if not worlds or world in worlds]
    return [_measure(model, autoencode, world, seeds, keyframe_seeds) for world in chosen]


def _measure(
    model: VideoModel, autoencode: Autoencode, world: str, seeds: int, keyframe_seeds: int
) -> WorldScores:
    real = [unseen(model, world, seed) for seed in range(seeds)]
    coded = [autoencode(video) for video in progress(real, f"{world}: autoencoder")]
    made = {name: samples(model, preset(name, model), world, range(seeds)) for name in FROM_NOISE}
    moving = _motion(real)
    counts_balls = world == BALLS and model.image_size[1] >= BALLS_FROM
    tasks = {
        task: _keyframe_task(model, world, task, keyframe_seeds)
        for task in possible(TASKS, model.num_frames)
    }
    return WorldScores(
        world=world,
        psnr=_mean(psnr(a, b) for a, b in zip(real, coded, strict=True)),
        motion={name: _motion(clips) / moving for name, clips in made.items()},
        balls={name: _mean(map(balls_are_constant, clips)) for name, clips in made.items()}
        if counts_balls
        else None,
        balls_ceiling=_mean(map(balls_are_constant, coded)) if counts_balls else None,
        kept_psnr={task: kept for task, (kept, _) in tasks.items()},
        jump={task: jump for task, (_, jump) in tasks.items()},
    )


def _motion(clips: Sequence[np.ndarray]) -> float:
    """Mean change from frame to frame; NaN of single frames."""
    return _mean(map(motion_energy, clips)) if len(clips[0]) > 1 else float("nan")


def _keyframe_task(model: VideoModel, world: str, task: str, seeds: int) -> tuple[float, float]:
    """Fidelity of the kept frames in dB, and the jump beside them, over unseen clips."""
    kept = preset(task, model).kept
    fidelity, beside, elsewhere = [], [], []
    truth = [unseen(model, world, seed) for seed in range(seeds)]
    made = generate(model, task, world, range(seeds), truth)
    for true, video in zip(truth, made, strict=True):
        fidelity.append(psnr(true[list(kept)], video[list(kept)]))
        change = changes(video, kept)
        beside.append(change.beside)
        elsewhere.append(change.elsewhere)
    return _mean(fidelity), _mean(beside) / max(_mean(elsewhere), 1e-9)


def table(scores: Sequence[WorldScores]) -> str:
    """The figures as a Markdown table, one row per world."""
    head = ["world", "autoencoder dB", "balls constant after it"]
    for name in FROM_NOISE:
        head += [f"{name}: motion ×", "balls constant"]
    for task in TASKS:
        head += [f"{task}: kept dB", "jump ×"]
    rows = []
    for score in scores:
        cells = [score.world, f"{score.psnr:.1f}", _percent(score.balls_ceiling)]
        for name in FROM_NOISE:
            balls = None if score.balls is None else score.balls[name]
            cells += [_cell(score.motion[name], 2), _percent(balls)]
        for task in TASKS:
            cells += [_cell(score.kept_psnr.get(task), 1), _cell(score.jump.get(task), 2)]
        rows.append(cells)
    return markdown(head, rows)


def _percent(share: float | None) -> str:
    return "" if share is None else f"{share:.0%}"


def _cell(value: float | None, digits: int) -> str:
    """Empty where nothing was measured."""
    return "" if value is None or np.isnan(value) else f"{value:.{digits}f}"


def _mean(values: Iterable[float]) -> float:
    """NaN of no values."""
    several = list(values)
    return float(np.mean(several)) if several else float("nan")
