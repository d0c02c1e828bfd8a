"""A cartoon head that talks, blinks and turns a little."""

from __future__ import annotations

import numpy as np

from train.worlds.base import WHITE, mix, pick, pixel_centres
from train.worlds.canvas import Drawing, curve, ellipse, ribbon, spline, supersampling
from train.worlds.cast import BACKGROUNDS, Character, Pose, draw_character, draw_motion
from train.worlds.head import EYE_PLACE, NOSE_LIFT, NOSE_PLACE, draw_back_hair, draw_head


def _background(rng: np.random.Generator, size: int) -> np.ndarray:
    """A softly lit wall with a few large quiet shapes, supersampled, uint8."""
    _, color = pick(rng, BACKGROUNDS)
    side = size * supersampling(size)
    at = pixel_centres(side)
    shine = 1.06 - 0.16 * at[:, None] - 0.10 * (at[None, :] - 0.35) ** 2
    wall = np.clip(color * shine[..., None], 0, 255).astype(np.uint8)
    decor = Drawing()
    kind = rng.integers(3)
    pale, deep = mix(color, WHITE, 0.28), color * 0.93
    if kind == 0:  # a halo of two discs
        centre = np.array([0.5 + rng.uniform(-0.06, 0.06), 0.44])
        decor.fill(ellipse(centre, 0.46, 0.46, corners=64), mix(color, pale, 0.55))
        decor.fill(ellipse(centre, 0.37, 0.37, corners=64), pale)
    elif kind == 1:  # wide diagonal bands
        lean = rng.choice([-0.5, 0.5])
        for k in range(-1, 4):
            left = 0.36 * k + rng.uniform(-0.02, 0.02)
            top, bottom = np.array([left, -0.1]), np.array([left + lean, 1.1])
            band = np.array([top, top + (0.16, 0), bottom + (0.16, 0), bottom])
            decor.fill(band, mix(color, pale, 0.6))
    else:  # quiet spots
        for _ in range(7):
            centre, radius = rng.random(2), rng.uniform(0.05, 0.13)
            tone = deep if rng.random() < 0.4 else mix(color, pale, 0.7)
            decor.fill(ellipse(centre, radius, radius, corners=40), tone)
    decor.paint_frame(wall)
    return wall


def _clothes(drawing: Drawing, who: Character, pose: Pose) -> None:
    """Neck and shoulders; they follow the head's sway a little."""
    kind, shirt, skin = who.clothes, who.shirt, who.skin
    follow = np.zeros((len(pose.sway), 1, 2))
    follow[:, 0, 0] = 0.45 * pose.sway
    dark, light = shirt * 0.78, mix(shirt, WHITE, 0.22)

    def put(points: np.ndarray, color: np.ndarray) -> None:
        drawing.fill(points + follow, color)

    if kind == "hoodie":
        put(spline(np.array([(0.24, 0.86), (0.33, 0.70), (0.5, 0.66), (0.67, 0.70), (0.76, 0.86),
                             (0.5, 0.98)]), 6, closed=True), dark)  # fmt: skip
    neck = np.array([(0.425, 0.6), (0.575, 0.6), (0.59, 0.83), (0.5, 0.90), (0.41, 0.83)])
    put(neck, skin * 0.84)
    shoulders = np.array(
        [(-0.02, 1.2), (0.03, 1.0), (0.11, 0.885), (0.27, 0.825), (0.40, 0.785), (0.445, 0.845),
         (0.5, 0.868), (0.555, 0.845), (0.60, 0.785), (0.73, 0.825), (0.89, 0.885), (0.97, 1.0),
         (1.02, 1.2)])  # fmt: skip
    put(spline(shoulders, 5), shirt)
    put(spline(np.array([(1.02, 1.2), (0.97, 1.0), (0.89, 0.885), (0.80, 0.85), (0.84, 0.96),
                         (0.85, 1.2)]), 4), dark)  # fmt: skip
    drawing.glow(np.array([0.24, 0.93]), 0.16, 0.12, light, 0.55)
    if kind == "stripes":
        for y in (0.90, 0.97):
            put(ribbon(curve((0.06, y + 0.04), (0.3, y), (0.5, y + 0.015), (0.7, y),
                              (0.94, y + 0.04)), 0.026), light)  # fmt: skip
    if kind in ("crew", "stripes"):
        put(ribbon(curve((0.395, 0.79), (0.44, 0.85), (0.5, 0.873), (0.56, 0.85), (0.605, 0.79)),
                   0.03), dark)  # fmt: skip
    elif kind == "collar":
        for s in (-1, 1):
            wing = [(0.09, 0.765), (0.0, 0.885), (0.085, 0.94), (0.145, 0.83)]
            put(np.array([(0.5 + s * x, y) for x, y in wing]), light)
        for y in (0.93, 0.98):
            put(ellipse(np.array([0.5, y]), 0.009, 0.009, corners=12), light)
    elif kind == "hoodie":
        for s in (-1, 1):
            cord = [(0.050, 0.87), (0.058, 0.95), (0.054, 1.0)]
            put(ribbon(curve(*[(0.5 + s * x, y) for x, y in cord]), 0.014), light)


def render(
    rng: np.random.Generator, times: np.ndarray, size: int
) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """See ``train.worlds.render``; colours are indices into the palettes of ``cast``."""
    wall = _background(rng, size)
    who = draw_character(rng)
    pose, face = draw_motion(rng, times)

    drawing = Drawing()
    draw_back_hair(drawing, who, pose)
    _clothes(drawing, who, pose)
    draw_head(drawing, who, pose, face)
    video = drawing.paint(wall, len(times), size)
    eye_u, eye_v = EYE_PLACE
    factors = {
        "yaw": pose.yaw,
        "pitch": pose.pitch,
        "roll": pose.roll,
        "mouth_opening": face.mouth,
        "eye_opening": face.eyes,
        "gaze": face.gaze,
        "mouth": pose.at(0.0, 0.585 + 0.10 * face.mouth),  # the middle of the opening, (F, 2)
        "eyes": np.stack([pose.at(side * eye_u, eye_v) for side in (-1, 1)], 1),  # (F, 2, 2)
        "nose": pose.at(*NOSE_PLACE, NOSE_LIFT),
        "skin": np.array(who.skin_id),
        "hair": np.array(who.hair_id),
        "shirt": np.array(who.shirt_id),
        "style": np.array(who.style_id),
    }
    return video, factors
