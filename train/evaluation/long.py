"""Long videos: how much shows where windows meet, and how far windows drift from the first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from fvdm_core.timeline import PRIORS, Timeline

from .common import (
    STEPS,
    Encode,
    Figure,
    VideoModel,
    check_counts,
    check_worlds,
    figure,
    markdown,
    progress,
    samples,
    unseen,
)

ORDERS = ("extend", "diagonal", "hierarchical")


@dataclass(frozen=True)
class LongScores:
    """The figures of one world's long clips, made in one order; "real" for rendered ones.

    seam: the change between neighbours that no window made together ÷ that between others.
    shift, spread: for each window of F frames, how far the mean of the latents is from the first
    window's, in deviations of that, and their deviation ÷ the first's.
    """

    world: str
    order: str
    frames: int
    seam: Figure
    shift: list[Figure]
    spread: list[Figure]


def seams(timeline: Timeline) -> list[int]:
    """The frames that no window moves together with the frame before them.

    Frames that were given are no seam to each other.
    """
    together = np.asarray(~timeline.levels.any(axis=0))  # (N,) frames that were given
    joined = together[1:] & together[:-1]
    for step in range(timeline.num_steps):
        for window in timeline.windows_at(step):
            moved = np.zeros(timeline.frames, bool)
            moved[list(window.updates)] = True
            joined |= moved[1:] & moved[:-1]
    return (np.flatnonzero(~joined) + 1).tolist()


def seam_change(video: np.ndarray, at: Sequence[int]) -> float:
    """Change of uint8 (N, H, W, 3) into the frames `at` ÷ that into others; NaN without any."""
    change = np.abs(np.diff(video.astype(np.int16), axis=0)).mean(axis=(1, 2, 3))  # (N - 1,)
    is_seam = np.isin(np.arange(1, len(video)), at)
    if not is_seam.any() or is_seam.all():
        return float("nan")
    return float(change[is_seam].mean() / max(change[~is_seam].mean(), 1e-9))


def drift(latents: np.ndarray, window: int) -> tuple[np.ndarray, np.ndarray]:
    """Shift and spread (W,) of the windows of `window` frames of latents (N, C, h, w).

    By channel, then the root mean square over channels; the first window has 0 and 1. A last
    window that is not whole is left out.
    """
    parts = [latents[k : k + window] for k in range(0, len(latents) - window + 1, window)]
    mean = np.stack([part.mean(axis=(0, 2, 3)) for part in parts])  # (W, C)
    deviation = np.stack([part.std(axis=(0, 2, 3)) for part in parts]).clip(1e-9)
    shift = np.sqrt(np.square((mean - mean[0]) / deviation[0]).mean(1))
    spread = np.sqrt(np.square(deviation / deviation[0]).mean(1))
    return shift, spread


def measure(
    model: VideoModel, encode: Encode, seeds: int, frames: int, prior: str = PRIORS[0]
) -> list[LongScores]:
    """Every world and order over seeds 0 … seeds − 1, from the label alone, beside real clips.

    `prior` is of the noise that they are made from.

    Raises `ValueError` for a model whose labels are not worlds, and for `frames` below two windows.
    """
    check_worlds(model)
    check_counts(seeds=seeds)
    if frames < 2 * model.num_frames:
        raise ValueError(
            f"long_frames is {frames}; drift needs two windows, {2 * model.num_frames} or more"
        )
    # before any clip is rendered: a length may be too much for one of them
    window = model.num_frames
    alpha = model.card.prior_alpha
    orders = {order: _timeline(order, frames, window, prior, alpha) for order in ORDERS}
    return [
        _measure(model, encode, world, order, seeds, frames, timeline)
        for world in model.card.labels
        for order, timeline in ({"real": None} | orders).items()
    ]


def _measure(
    model: VideoModel,
    encode: Encode,
    world: str,
    order: str,
    seeds: int,
    frames: int,
    timeline: Timeline | None,
) -> LongScores:
    at = seams(timeline) if timeline else []
    jumps, shifts, spreads = [], [], []
    if timeline:
        videos = samples(model, timeline, world, range(seeds))
    else:
        videos = [unseen(model, world, seed, frames) for seed in range(seeds)]
    for video in progress(videos, f"{world}: {frames} frames, {order}"):
        jumps.append(seam_change(video, at))
        shift, spread = drift(encode(video), model.num_frames)
        shifts.append(shift)
        spreads.append(spread)
    return LongScores(
        world,
        order,
        frames,
        seam=figure(jumps),
        shift=[figure(values) for values in np.stack(shifts, 1)],
        spread=[figure(values) for values in np.stack(spreads, 1)],
    )


def _timeline(order: str, frames: int, window: int, prior: str, alpha: float) -> Timeline:
    given = {"given": 0} if order == "extend" else {}
    timeline = Timeline.preset(order, frames=frames, steps=STEPS, window=window, **given)
    return replace(timeline, prior=prior, prior_alpha=alpha)


def table(scores: Sequence[LongScores]) -> str:
    """A row per world and order with its seam, then its drift window by window."""
    windows = max((len(score.shift) for score in scores), default=0)
    head = ["world", "order", "seam ×", "drift", *(f"window {k + 1}" for k in range(windows))]
    rows = []
    for score in scores:
        first = [score.world, score.order, score.seam.show(2)]
        rows.append([*first, "shift σ", *(cell.show(2) for cell in score.shift)])
        rows.append([*first[:2], "", "spread ×", *(cell.show(2) for cell in score.spread)])
    return markdown(head, rows)
