"""Distances between generated and unseen clips, beside those of unseen clips among themselves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from .common import (
    FROM_NOISE,
    TASKS,
    VideoModel,
    check_counts,
    check_worlds,
    generate,
    markdown,
    possible,
    preset,
    samples,
    unseen,
)
from .distances import Distance, frechet_distance, kernel_distance
from .features import Extractor, extract

SOURCES = ("real", *FROM_NOISE, *TASKS)
ALL = "all worlds"


@dataclass(frozen=True)
class SetScores:
    """How far each source's clips are from unseen ones of a world, or of all worlds together.

    "real" is the distance of two sets of unseen clips: what a perfect model would have. KID is
    given with its standard error over clips, which two clips do not have.
    """

    world: str
    frechet: dict[str, float]
    kernel: dict[str, Distance]


def measure(model: VideoModel, extractor: Extractor, seeds: int) -> list[SetScores]:
    """Every world and all together, `seeds` clips of each a set.

    The reference are the unseen clips 0 … seeds − 1. The clips after them are the second real set,
    and it is their frames that image-to-video and interpolation are given, so that no model is
    compared with clips that it was shown. Raises `ValueError` for a model whose labels are not
    worlds, and for fewer than 2 seeds.
    """
    check_worlds(model)
    check_counts(seeds=seeds)
    if seeds < 2:
        raise ValueError("seeds is 1; a distance needs sets of at least 2 clips")
    reference, others = [], []
    for world in model.card.labels:
        known, made = _features(model, extractor, world, seeds)
        reference.append(known)
        others.append(made)
    scores = [
        _compare(world, known, made)
        for world, known, made in zip(model.card.labels, reference, others, strict=True)
    ]
    if len(scores) > 1:
        joined = {source: np.concatenate([made[source] for made in others]) for source in others[0]}
        scores.append(_compare(ALL, np.concatenate(reference), joined, strata=len(others)))
    return scores


def _features(
    model: VideoModel, extractor: Extractor, world: str, seeds: int
) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Of the reference, and {source: those of its clips}; one set of clips is held beside the real
    ones, as each may take gigabytes."""
    reference = extract(extractor, [unseen(model, world, seed) for seed in range(seeds)])
    second = [unseen(model, world, seeds + seed) for seed in range(seeds)]
    features = {"real": extract(extractor, second)}
    for name in FROM_NOISE:
        clips = samples(model, preset(name, model), world, range(seeds))
        features[name] = extract(extractor, clips)
    for task in possible(TASKS, model.num_frames):
        clips = generate(model, task, world, range(seeds), second)
        features[task] = extract(extractor, clips)
    return reference, features


def _compare(
    world: str, reference: np.ndarray, made: dict[str, np.ndarray], strata: int = 1
) -> SetScores:
    return SetScores(
        world,
        frechet={source: frechet_distance(reference, clips) for source, clips in made.items()},
        kernel={
            source: kernel_distance(reference, clips, strata) for source, clips in made.items()
        },
    )


def table(scores: Sequence[SetScores], distance: str) -> str:
    """Two rows, Fréchet and KID, for each world; `distance` is what the first is called."""
    rows = []
    for score in scores:
        frechet = {source: f"{value:.2f}" for source, value in score.frechet.items()}
        kernel = {source: distance.show(4) for source, distance in score.kernel.items()}
        for name, cells in ((distance, frechet), ("KID", kernel)):
            rows.append([score.world, name, *(cells.get(source, "") for source in SOURCES)])
    return markdown(("world", "distance", *SOURCES), rows)
