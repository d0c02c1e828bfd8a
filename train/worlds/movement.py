"""How the figure of `figures` moves, with bones that keep their length."""

from __future__ import annotations

import numpy as np

from train.worlds.base import wave

GROUND = 0.905  # height of the ground line that the feet stand on
TORSO = 0.205
JOINTS = (
    "hip", "neck", "head", "left_elbow", "left_hand", "right_elbow", "right_hand",
    "left_knee", "left_foot", "right_knee", "right_foot",
)  # fmt: skip
_UPPER_ARM, _FOREARM, _THIGH, _SHIN = 0.125, 0.125, 0.165, 0.165


def bend(a: np.ndarray, b: np.ndarray, first: float, second: float, side: float) -> np.ndarray:
    """The joint (F, 2) of two bones from ``a`` to ``b``, bent towards ``side`` (-1 or 1)."""
    gap = b - a
    reach = np.clip(np.linalg.norm(gap, axis=-1, keepdims=True), 1e-6, first + second)
    along = (first**2 - second**2 + reach**2) / (2 * reach)
    out = np.sqrt(np.maximum(first**2 - along**2, 0.0))
    unit = gap / np.linalg.norm(gap, axis=-1, keepdims=True).clip(1e-6)
    normal = np.stack([-unit[..., 1], unit[..., 0]], -1)
    return a + unit * along + normal * out * side


def _within(a: np.ndarray, b: np.ndarray, reach: float) -> np.ndarray:
    """``b``, pulled towards ``a`` where it is further than ``reach``."""
    gap = b - a
    length = np.linalg.norm(gap, axis=-1, keepdims=True).clip(1e-6)
    return a + gap * np.minimum(1.0, reach / length)


def draw_movement(rng: np.random.Generator, times: np.ndarray) -> dict[str, np.ndarray]:
    """The joints of a slow flowing movement, each (F, 2)."""
    pace, phase = rng.uniform(0.20, 0.32), rng.uniform(0, 2 * np.pi)

    def swing(shift: float, harmonic: float = 1.0) -> np.ndarray:
        return wave(times, pace * harmonic, phase * harmonic + shift)

    stance = rng.uniform(0.12, 0.18)
    shift = rng.uniform(0.045, 0.08) * swing(0.0)
    sink = 0.025 + 0.022 * swing(0.0) ** 2 + rng.uniform(0, 0.03)
    hip = np.stack([0.5 + shift, GROUND - 0.325 + sink], -1)
    lean = 0.10 * swing(0.5) + rng.uniform(-0.03, 0.03)
    neck = hip + TORSO * np.stack([np.sin(lean), -np.cos(lean)], -1)
    nod = lean * 0.4 + 0.10 * swing(1.2)
    head = neck + 0.078 * np.stack([np.sin(nod), -np.cos(nod)], -1)
    joints = {"hip": hip, "neck": neck, "head": head}

    together = rng.random() < 0.4  # both arms float alike, or take turns like cloud hands
    arm_phase, wide, tall = rng.uniform(0, 6.28), rng.uniform(0.05, 0.09), rng.uniform(0.08, 0.14)
    step = rng.uniform(0.0, 0.055) if rng.random() < 0.6 else 0.0
    for name, side in (("left", -1), ("right", 1)):
        shoulder = neck + np.array([0.055 * side, 0.032])
        offset = arm_phase if together or side > 0 else arm_phase + np.pi * rng.uniform(0.7, 1.0)
        out = 0.145 + wide * swing(offset)
        reach = np.stack([side * out + 0.3 * shift, 0.01 + tall * swing(offset + 1.4)], -1)
        hand = _within(shoulder, shoulder + reach, 0.97 * (_UPPER_ARM + _FOREARM))
        joints[f"{name}_elbow"] = bend(shoulder, hand, _UPPER_ARM, _FOREARM, side)
        joints[f"{name}_hand"] = hand
        socket = hip + np.array([0.036 * side, 0.012])
        lifted = step * np.maximum(0.0, -side * swing(0.0)) ** 2  # the unloaded foot may rise
        foot = np.stack([0.5 + side * stance + 0.35 * side * lifted, GROUND - 0.016 - lifted], -1)
        foot = _within(socket, foot, 0.995 * (_THIGH + _SHIN))
        joints[f"{name}_knee"] = bend(socket, foot, _THIGH, _SHIN, -side)
        joints[f"{name}_foot"] = foot
    return joints
