"""What a clip must not change: the balls' number, size and momentum, and a face's colours."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from train.worlds.collisions import BALL_COLORS, FPS, MARGIN, MAX_SPEED
from train.worlds.measure import BALLS_FROM, detect_balls

from .common import (
    TASKS,
    Autoencode,
    Figure,
    VideoModel,
    check_counts,
    check_worlds,
    figure,
    generate,
    markdown,
    possible,
    preset,
    progress,
    samples,
    unseen,
)

REGIONS = {  # of a face, in widths of the picture: left, top, right, bottom
    "skin": ((0.40, 0.50, 0.60, 0.58),),  # the nose and the cheeks beside it
    "shirt": ((0.30, 0.93, 0.70, 1.0),),
    "background": ((0.0, 0.05, 0.10, 0.25), (0.90, 0.05, 1.0, 0.25)),
}


@dataclass(frozen=True)
class Constancy:
    """The figures of one world's clips from one source, by measure."""

    world: str
    source: str
    figures: dict[str, Figure]


def ball_tracks(video: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Places (F, colours, 2) and radii (F, colours) of the balls of uint8 (F, H, W, 3), in widths.

    NaN where a colour is not there, and on frames with two balls of one colour, which could be
    taken for each other.
    """
    places = np.full((len(video), len(BALL_COLORS), 2), np.nan)
    radii = np.full((len(video), len(BALL_COLORS)), np.nan)
    for frame, picture in enumerate(video):
        balls = detect_balls(picture)
        if max(Counter(ball.colour for ball in balls).values(), default=0) > 1:
            continue
        for ball in balls:
            places[frame, ball.colour] = ball.x, ball.y
            radii[frame, ball.colour] = ball.radius
    return places, radii


def number_kept(video: np.ndarray) -> float:
    """The share of later frames that show as many balls as the first; 0 where that shows none."""
    counts = [len(detect_balls(frame)) for frame in video]
    return float(np.mean(np.equal(counts[1:], counts[0]))) if counts[0] else 0.0


def size_change(radii: np.ndarray) -> float:
    """How much radii (F, n) vary over time: deviation ÷ mean, mean over balls; NaN without any."""
    seen = radii[:, (~np.isnan(radii)).sum(0) > 1]
    if not seen.size:
        return float("nan")
    return float((np.nanstd(seen, axis=0) / np.nanmean(seen, axis=0)).mean())


def momentum_change(places: np.ndarray, radii: np.ndarray, fps: float = FPS) -> float:
    """How much the balls' total momentum changes from step to step ÷ how much there is of it.

    Places (F, n, 2) and radii (F, n) in widths; a mass is a radius squared. Balls that meet keep
    their sum, also when they meet between two frames. Walls do not: so each direction counts only
    while no ball is near a wall that turns it. NaN where there is no such moment.
    """
    there = ~np.isnan(radii)
    mass = np.array([np.median(r[known]) ** 2 if known.any() else np.nan
                     for r, known in zip(radii.T, there.T, strict=True)])  # fmt: skip
    near_wall = MARGIN + MAX_SPEED * FPS / fps / 2 + 0.01  # it may have turned between two frames
    changes, amounts = [], []
    for t in range(len(radii) - 2):
        balls = there[t]
        if not balls.any() or (there[t : t + 3] != balls).any():
            continue
        x, r = places[t : t + 3, balls], radii[t : t + 3, balls, None]
        free = (np.minimum(x - r, 1 - r - x) > near_wall).all(axis=(0, 1))  # (2,)
        moved = mass[balls, None] * np.diff(x, axis=0)  # (2, n, 2)
        momentum = moved.sum(1)
        changes += np.abs(momentum[1] - momentum[0])[free].tolist()
        amounts += np.abs(moved).sum(1).mean(0)[free].tolist()
    return float(np.sum(changes) / np.sum(amounts)) if np.sum(amounts) else float("nan")


def color_change(video: np.ndarray) -> dict[str, float]:
    """Mean distance in CIELAB (ΔE 1976) of a face's colours in uint8 (F, H, W, 3) to frame 1's.

    A region's colour is its median, so that a nose that moves or a strand of hair does not count.
    """
    height, width = video.shape[1:3]
    changed = {}
    for name, boxes in REGIONS.items():
        parts = [
            video[
                :,
                int(top * height) : max(int(bottom * height), int(top * height) + 1),
                int(left * width) : max(int(right * width), int(left * width) + 1),
            ].reshape(len(video), -1, 3)
            for left, top, right, bottom in boxes
        ]
        colors = np.median(np.concatenate(parts, 1), axis=1).astype(np.float32) / 255  # (F, 3)
        lab = cv2.cvtColor(colors[None], cv2.COLOR_RGB2LAB)[0]
        changed[name] = float(np.linalg.norm(lab[1:] - lab[0], axis=1).mean())
    return changed


def _balls(video: np.ndarray, fps: float) -> dict[str, float]:
    places, radii = ball_tracks(video)
    return {
        "number": number_kept(video),
        "size": size_change(radii),
        "momentum": momentum_change(places, radii, fps),
    }


MEASURES: dict[str, Callable[[np.ndarray, float], dict[str, float]]] = {
    "collisions": _balls,
    "faces": lambda video, fps: color_change(video),
}
HEADS = {
    "collisions": {"number": "number kept", "size": "size change", "momentum": "momentum change"},
    "faces": {name: f"{name} ΔE" for name in REGIONS},
}


def measure(model: VideoModel, autoencode: Autoencode, seeds: int) -> list[Constancy]:
    """The balls and faces of unseen clips, the same after the autoencoder, and of samples.

    Balls are left out of pictures that are too small to find them.

    Raises `ValueError` for a model whose labels are not worlds.
    """
    check_worlds(model)
    check_counts(seeds=seeds)
    tasks = possible(TASKS, model.num_frames)
    small = model.image_size[1] < BALLS_FROM
    found = []
    for world in model.card.labels:
        if world not in MEASURES or (small and MEASURES[world] is _balls):
            continue
        values: dict[str, list[dict[str, float]]] = {}
        clips = [unseen(model, world, seed) for seed in range(seeds)]
        made = {"standard": samples(model, preset("standard", model), world, range(seeds))}
        made |= {task: generate(model, task, world, range(seeds), clips) for task in tasks}
        for seed, truth in enumerate(progress(clips, f"{world}: what stays")):
            videos = {"real": truth, "after autoencoder": autoencode(truth)}
            videos |= {source: several[seed] for source, several in made.items()}
            for source, video in videos.items():
                values.setdefault(source, []).append(MEASURES[world](video, model.card.fps))
        for source, rows in values.items():
            figures = {name: figure(row[name] for row in rows) for name in HEADS[world]}
            found.append(Constancy(world, source, figures))
    return found


def table(scores: Sequence[Constancy]) -> str:
    """One table per world, a row per source."""
    tables = []
    for world, heads in HEADS.items():
        rows = [
            [score.source, *(score.figures[name].show(2) for name in heads)]
            for score in scores
            if score.world == world
        ]
        if rows:
            tables.append(markdown((world, *heads.values()), rows))
    return "\n\n".join(tables) or (
        f"The model has no faces, and no balls in pictures of {BALLS_FROM} pixels or more."
    )
