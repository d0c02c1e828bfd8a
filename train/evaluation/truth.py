"""Generated frames against the true ones, where what was given determines them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from .common import (
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
    psnr,
    unseen,
)
from .inbetween import Fill, cross_fade, flow, hold

# a next frame has no second side to fade to
WAYS: dict[str, dict[str, Fill]] = {
    "interpolation": {"hold": hold, "cross-fade": cross_fade, "optical flow": flow},
    "next-frame": {"hold": hold, "optical flow": flow},
}
COLUMNS = ("model", "autoencoder", "hold", "cross-fade", "optical flow")
_WINDOW, _SIGMA = 11, 1.5  # of SSIM
_C1, _C2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2


@dataclass(frozen=True)
class TruthScores:
    """PSNR in dB and SSIM of the frames that were not given, by who made them.

    "autoencoder": the true frames encoded and decoded; the model cannot do better.
    """

    world: str
    task: str
    psnr: dict[str, Figure]
    ssim: dict[str, Figure]


def ssim(truth: np.ndarray, other: np.ndarray) -> float:
    """Structural similarity of uint8 (F, H, W, 3), mean over frames and colours; 1 where equal.

    Wang et al. (2004), equation (13), Gaussian windows of 11 pixels. Raises `ValueError` for
    pictures that are smaller.
    """
    if min(truth.shape[1:3]) < _WINDOW:
        raise ValueError(f"frames are {truth.shape[1:3]}; SSIM needs {_WINDOW} pixels a side")
    return float(np.mean([_ssim(a, b) for a, b in zip(truth, other, strict=True)]))


def _ssim(truth: np.ndarray, other: np.ndarray) -> float:
    x, y = truth.astype(np.float64), other.astype(np.float64)
    mean_x, mean_y = _blur(x), _blur(y)
    var_x, var_y = _blur(x * x) - mean_x**2, _blur(y * y) - mean_y**2
    covariance = _blur(x * y) - mean_x * mean_y
    likeness = (2 * mean_x * mean_y + _C1) * (2 * covariance + _C2)
    likeness /= (mean_x**2 + mean_y**2 + _C1) * (var_x + var_y + _C2)
    return float(likeness.mean())


def _blur(picture: np.ndarray) -> np.ndarray:
    """Means over the windows that lie inside the picture."""
    edge = _WINDOW // 2
    return cv2.GaussianBlur(picture, (_WINDOW, _WINDOW), _SIGMA)[edge:-edge, edge:-edge]


def measure(model: VideoModel, autoencode: Autoencode, seeds: int) -> list[TruthScores]:
    """Every world and task that the model has frames for, over the unseen clips 0 … seeds − 1.

    Raises `ValueError` for a model whose labels are not worlds.
    """
    check_worlds(model)
    check_counts(seeds=seeds)
    return [
        _measure(model, autoencode, world, task, seeds)
        for world in model.card.labels
        for task in possible(WAYS, model.num_frames)
    ]


def _measure(
    model: VideoModel, autoencode: Autoencode, world: str, task: str, seeds: int
) -> TruthScores:
    kept = preset(task, model).kept
    made = [frame for frame in range(model.num_frames) if frame not in kept]
    values: dict[str, list[tuple[float, float]]] = {}
    clips = [unseen(model, world, seed) for seed in range(seeds)]
    generated = generate(model, task, world, range(seeds), clips)
    for truth, video_made in zip(clips, generated, strict=True):
        others = {"model": video_made}
        others["autoencoder"] = autoencode(truth)
        others |= {name: fill(truth, kept) for name, fill in WAYS[task].items()}
        for name, video in others.items():
            pair = truth[made], video[made]
            values.setdefault(name, []).append((psnr(*pair), ssim(*pair)))
    return TruthScores(
        world,
        task,
        psnr={name: figure(p for p, _ in pairs) for name, pairs in values.items()},
        ssim={name: figure(s for _, s in pairs) for name, pairs in values.items()},
    )


def table(scores: Sequence[TruthScores]) -> str:
    """Two rows, PSNR and SSIM, for each world and task."""
    rows = []
    for score in scores:
        for name, figures, digits in (("PSNR dB", score.psnr, 1), ("SSIM", score.ssim, 3)):
            cells = [figures[c].show(digits) if c in figures else "" for c in COLUMNS]
            rows.append([score.world, score.task, name, *cells])
    return markdown(("world", "frames made", "measure", *COLUMNS), rows)
