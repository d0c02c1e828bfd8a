"""The worlds' factors as one vector of targets, and how much of their variance is explained."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np

from train.worlds import WORLDS, Clip
from train.worlds.cast import HAIR_STYLES, HAIRS, SHIRTS, SKINS
from train.worlds.collisions import BALL_COLORS
from train.worlds.figures import HAIRS as FIGURE_HAIRS
from train.worlds.figures import ROBES, SCENES, TROUSERS
from train.worlds.figures import SKINS as FIGURE_SKINS
from train.worlds.movement import JOINTS
from train.worlds.sky import PALETTES

MOMENTS = 4  # a factor that changes is asked for at so many frames, the first to the last
_BALLS = len(BALL_COLORS)
_HIDDEN_HAIR = [HAIR_STYLES.index(style) for style in ("bald", "beanie")]

GROUPS: dict[str, int] = {  # "world/factor" -> how many targets
    "all/world": len(WORLDS),
    "sky/palette": len(PALETTES),
    "sky/sun": 2,
    "sky/horizon": 1,
    "sky/cloud_velocity": 2,
    "sky/cloud_cover": MOMENTS,
    **{f"faces/{name}": 3 for name in ("skin", "hair", "shirt")},
    "faces/style": len(HAIR_STYLES),
    **{
        f"faces/{name}": MOMENTS
        for name in ("yaw", "pitch", "roll", "mouth_opening", "eye_opening", "gaze")
    },
    "faces/nose": 2 * MOMENTS,
    "faces/mouth": 2 * MOMENTS,
    "faces/eyes": 4 * MOMENTS,
    "collisions/present": _BALLS,
    "collisions/radius": _BALLS,
    "collisions/position": _BALLS * 2 * MOMENTS,
    "collisions/velocity": _BALLS * 2 * MOMENTS,
    "figures/joints": len(JOINTS) * 2 * MOMENTS,
    "figures/lean": MOMENTS,
    **{f"figures/{name}": 3 for name in ("skin", "hair", "robe", "trousers")},
    "figures/scene": 6,
}
TARGETS = sum(GROUPS.values())


def slices() -> dict[str, slice]:
    """Where each group lies in the vector of targets."""
    ends = np.cumsum(list(GROUPS.values())).tolist()
    return {
        name: slice(end - size, end) for (name, size), end in zip(GROUPS.items(), ends, strict=True)
    }


SLICES = slices()
SIZES = [float(size) for size in GROUPS.values() for _ in range(size)]  # of each target's group


def targets(clip: Clip) -> np.ndarray:
    """The targets of a clip, float64 (TARGETS,); NaN where it says nothing of one.

    Colours are RGB from 0 to 1, kinds are one-hot, places in widths of the picture.
    """
    values = np.full(TARGETS, np.nan)
    values[SLICES["all/world"]] = _one_hot(WORLDS[clip.world].label, len(WORLDS))
    moments = np.linspace(0, len(clip.video) - 1, MOMENTS).round().astype(int)
    for name, part in _PARTS[clip.world](clip.factors, moments):
        values[SLICES[f"{clip.world}/{name}"]] = np.ravel(part)
    return values


Parts = Iterator[tuple[str, np.ndarray]]


def _sky(factors: Mapping[str, np.ndarray], moments: np.ndarray) -> Parts:
    yield "palette", _one_hot(int(factors["palette"]), len(PALETTES))
    for name in ("sun", "horizon", "cloud_velocity"):
        yield name, factors[name]
    yield "cloud_cover", factors["cloud_cover"][moments]


def _faces(factors: Mapping[str, np.ndarray], moments: np.ndarray) -> Parts:
    yield "skin", SKINS[factors["skin"]] / 255
    yield "shirt", SHIRTS[factors["shirt"]] / 255
    if factors["style"] not in _HIDDEN_HAIR:
        yield "hair", HAIRS[factors["hair"]] / 255
    yield "style", _one_hot(int(factors["style"]), len(HAIR_STYLES))
    for name in ("yaw", "pitch", "roll", "mouth_opening", "eye_opening", "gaze"):
        yield name, factors[name][moments]
    for name in ("nose", "mouth", "eyes"):
        yield name, factors[name][moments]


def _collisions(factors: Mapping[str, np.ndarray], moments: np.ndarray) -> Parts:
    """By colour, which tells balls apart; NaN for colours that are not there."""
    colors = factors["colors"]
    present = np.zeros(_BALLS)
    radius = np.full(_BALLS, np.nan)
    place, speed = np.full((2, _BALLS, MOMENTS, 2), np.nan)
    present[colors] = 1
    radius[colors] = factors["radii"]
    place[colors] = factors["positions"][moments].swapaxes(0, 1)
    speed[colors] = factors["velocities"][moments].swapaxes(0, 1)
    yield from (("present", present), ("radius", radius), ("position", place), ("velocity", speed))


def _figures(factors: Mapping[str, np.ndarray], moments: np.ndarray) -> Parts:
    yield "joints", factors["joints"][moments]
    yield "lean", factors["lean"][moments]
    palettes = {"skin": FIGURE_SKINS, "hair": FIGURE_HAIRS, "robe": ROBES, "trousers": TROUSERS}
    for name, palette in palettes.items():
        yield name, palette[factors[name]] / 255
    yield "scene", SCENES[factors["scene"]] / 255


_PARTS = {"sky": _sky, "faces": _faces, "collisions": _collisions, "figures": _figures}


def _one_hot(index: int, size: int) -> np.ndarray:
    return np.eye(size)[index]


def explained(truth: np.ndarray, predicted: np.ndarray) -> dict[str, float]:
    """R² of every group, of (N, TARGETS) each; NaN in `truth` is left out.

    Each target is divided by its own deviation first, so that all of a group weigh alike; targets
    that do not vary are left out, and a group without any other is NaN.
    """
    known = ~np.isnan(truth)
    count = known.sum(0)
    mean = np.where(known, truth, 0).sum(0) / np.maximum(count, 1)
    spread = (np.where(known, truth - mean, 0) ** 2).sum(0)
    error = (np.where(known, truth - predicted, 0) ** 2).sum(0)
    varies = spread > 1e-9 * np.maximum(count, 1)
    share = np.where(varies, error / np.where(varies, spread, 1), np.nan)
    scores = {}
    for name, where in SLICES.items():
        column = share[where][varies[where]]
        scores[name] = float(1 - column.mean()) if len(column) else float("nan")
    return scores
