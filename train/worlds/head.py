"""Draws the head of `faces`: skin, hair, eyes, brows, nose and mouth, from back to front."""

from __future__ import annotations

import numpy as np

from train.worlds.base import WHITE, mix, rgb
from train.worlds.canvas import Drawing, curve, ellipse, ribbon, spline
from train.worlds.cast import HALF_HEIGHT, HALF_WIDTH, Character, Expression, Pose

# in head coordinates; the other eye is mirrored
EYE_PLACE, NOSE_PLACE = (0.40, -0.06), (0.0, 0.215)
NOSE_LIFT = 1.32  # how far the nose's tip stands out, where the face around it is 1
_SQUASH = HALF_WIDTH / HALF_HEIGHT
_LASH = rgb(40, 26, 26)


def _oval(u: float, v: float, ru: float, rv: float | np.ndarray, corners: int = 20) -> np.ndarray:
    """An ellipse in head coordinates whose radii are given in half head widths."""
    return ellipse(np.array([u, v]), ru, np.asarray(rv) * _SQUASH, corners=corners)


def _outline(chin: float, jaw: float) -> np.ndarray:
    """The head's silhouette in head coordinates (N, 2)."""
    right = [(0.0, -1.0), (0.52, -0.90), (0.88, -0.55), (0.97, -0.08), (0.90, 0.34), (jaw, 0.70),
             (chin, 0.94)]  # fmt: skip
    ring = right + [(0.0, 1.0)] + [(-u, v) for u, v in right[:0:-1]]
    return spline(np.array(ring), 4, closed=True)


_BACK_HAIR = {
    "long": [(0, -1.16), (0.75, -1.0), (1.12, -0.4), (1.20, 0.4), (1.22, 1.25), (0.72, 1.5),
             (0, 1.3), (-0.72, 1.5), (-1.22, 1.25), (-1.20, 0.4), (-1.12, -0.4), (-0.75, -1.0)],
    "bob": [(0, -1.16), (0.75, -1.0), (1.14, -0.4), (1.24, 0.3), (1.12, 0.78), (0.6, 0.85),
            (-0.6, 0.85), (-1.12, 0.78), (-1.24, 0.3), (-1.14, -0.4), (-0.75, -1.0)],
}  # fmt: skip


def draw_back_hair(drawing: Drawing, who: Character, pose: Pose) -> None:
    """What hangs behind the neck and shoulders."""
    dark = who.hair * 0.78
    if who.style in _BACK_HAIR:
        shape = spline(np.array(_BACK_HAIR[who.style], float), 4, closed=True)
        drawing.fill(pose.place(shape, -0.35 if who.style == "long" else -0.3), dark)
    elif who.style == "curly":
        for k, turn in enumerate(np.linspace(-0.15, np.pi + 0.15, 9)):
            u, v = 1.02 * np.cos(turn), -0.30 - 0.78 * np.sin(turn)
            tone = dark if k % 2 else who.hair * 0.86
            drawing.fill(pose.place(_oval(u, v, 0.36, 0.36), -0.25), tone)
    elif who.style == "bun":
        drawing.fill(pose.place(_oval(0.0, -1.22, 0.40, 0.36, 26), -0.35), dark)
        drawing.fill(pose.place(_oval(-0.06, -1.26, 0.28, 0.24, 24), -0.35), who.hair)


_HAIRLINES = {
    "short": [(-0.96, -0.12), (-0.84, -0.42), (-0.52, -0.60), (0.0, -0.66), (0.52, -0.60),
              (0.84, -0.42), (0.96, -0.12)],
    "swept": [(-0.97, -0.05), (-0.86, -0.40), (-0.66, -0.66), (-0.40, -0.78), (0.1, -0.56),
              (0.62, -0.40), (0.97, -0.10)],
    "bob": [(-0.99, 0.35), (-0.88, -0.10), (-0.80, -0.40), (-0.35, -0.46), (0.35, -0.46),
            (0.80, -0.40), (0.88, -0.10), (0.99, 0.35)],
    "long": [(-1.0, 0.5), (-0.90, 0.05), (-0.78, -0.36), (-0.3, -0.66), (0.05, -0.80),
             (0.34, -0.60), (0.80, -0.34), (0.90, 0.05), (1.0, 0.5)],
    "curly": [(-0.97, -0.12), (-0.80, -0.48), (-0.4, -0.58), (0.0, -0.56), (0.4, -0.58),
              (0.80, -0.48), (0.97, -0.12)],
    "bun": [(-0.97, -0.05), (-0.86, -0.36), (-0.5, -0.68), (0.0, -0.76), (0.5, -0.68),
            (0.86, -0.36), (0.97, -0.05)],
    "spiky": [(-0.96, -0.10), (-0.80, -0.48), (-0.54, -0.40), (-0.36, -0.66), (-0.1, -0.44),
              (0.1, -0.68), (0.36, -0.44), (0.56, -0.66), (0.80, -0.44), (0.96, -0.10)],
}  # fmt: skip


_CROWN = [(-1.05, -0.02), (-1.09, -0.40), (-0.94, -0.78), (-0.58, -1.06), (0.0, -1.17),
          (0.58, -1.06), (0.94, -0.78), (1.09, -0.40), (1.05, -0.02)]  # fmt: skip
_SPIKES = [(-1.05, -0.05), (-1.2, -0.52), (-0.94, -0.62), (-0.98, -1.1), (-0.6, -0.98),
           (-0.44, -1.38), (-0.14, -1.1), (0.12, -1.44), (0.36, -1.08), (0.74, -1.28),
           (0.78, -0.92), (1.16, -0.86), (1.0, -0.5), (1.05, -0.05)]  # fmt: skip
_CAP = [(-1.02, -0.36), (-1.0, -0.75), (-0.62, -1.14), (0, -1.26), (0.62, -1.14), (1.0, -0.75),
        (1.02, -0.36)]  # fmt: skip
_BRIM = [(-1.0, -0.40), (-0.6, -0.50), (0, -0.54), (0.6, -0.50), (1.0, -0.40)]


def _front_hair(drawing: Drawing, who: Character, pose: Pose) -> None:
    """Hair from the crown to the hairline, with a shine, and a lock or curls in some styles."""
    hair, mirror = who.hair, who.mirror
    line = pose.surface(spline(np.array(_HAIRLINES[who.style]) * (mirror, 1.0), 4), 1.04)
    top = pose.place(np.array(_SPIKES) if who.style == "spiky" else curve(*_CROWN, steps=4), -0.05)
    if mirror < 0:
        line = line[:, ::-1]
    drawing.fill(np.concatenate([top, line[:, ::-1]], 1), hair)
    shine = curve((-0.70 * mirror, -0.72), (-0.42 * mirror, -0.90), (-0.02 * mirror, -0.95))
    taper = 0.13 * np.sin(np.linspace(0.15, np.pi - 0.15, len(shine)))
    drawing.fill(pose.place(ribbon(shine, taper), 0.30), mix(hair, WHITE, 0.24))
    if who.style in ("swept", "long"):
        lock = curve((0.30 * mirror, -0.66), (0.56 * mirror, -0.56), (0.80 * mirror, -0.34))
        drawing.fill(pose.surface(ribbon(lock, 0.05), 1.04), hair * 0.8)
    elif who.style == "curly":
        for k, u in enumerate(np.linspace(-0.78, 0.78, 6)):
            curl = _oval(u, -0.62 - 0.14 * np.cos(u * 1.6), 0.24, 0.22)
            drawing.fill(pose.surface(curl, 0.95), hair if k % 2 else hair * 0.9)


def _beanie(drawing: Drawing, color: np.ndarray, pose: Pose) -> None:
    drawing.fill(pose.place(curve(*_CAP), 0.0), color)
    drawing.fill(pose.place(_oval(0.0, -1.32, 0.2, 0.2), -0.1), mix(color, WHITE, 0.24))
    drawing.fill(pose.place(ribbon(curve(*_BRIM), 0.24), 0.12), color * 0.8)


def _eye(drawing: Drawing, side: int, who: Character, pose: Pose, face: Expression) -> None:
    """One eye; a lid closes it from above."""
    u, v = EYE_PLACE[0] * side, EYE_PLACE[1]
    size, skin = who.eye_size, who.skin
    ru, rv = 0.185 * size, 0.175 * size
    drawing.fill(pose.surface(_oval(u, v, ru * 1.16, rv * 1.2)), skin * 0.90)
    drawing.fill(pose.surface(_oval(u, v, ru, rv)), rgb(252, 252, 248))
    look = face.gaze[:, None]
    for radius, color in ((0.118, who.iris), (0.066, rgb(22, 18, 20))):
        ring = _oval(0, 0, radius * size, radius * size * 1.05, 20)
        spot = np.stack([ring[:, 0] + u + 0.05 * look, ring[:, 1] + v + 0.015 + 0 * look], -1)
        drawing.fill(pose.surface(spot, 1.02), color)
    glint = _oval(-0.035 * size, -0.045 * size, 0.036 * size, 0.036 * size, 12)
    glint = np.stack([glint[:, 0] + u + 0.05 * look, glint[:, 1] + v + 0 * look], -1)
    drawing.fill(pose.surface(glint, 1.02), WHITE)
    # the lid covers the ball from its upper rim down to an edge that rises with the opening
    across = np.cos(np.linspace(np.pi, 0, 12)) * ru * 1.10
    bow = np.sin(np.linspace(0, np.pi, 12)) * rv * _SQUASH
    edge = v + bow * (1.02 - 2.0 * face.eyes[:, None]) * 1.04
    lower = np.stack([np.broadcast_to(u + across, edge.shape), edge], -1)
    upper = np.stack([u + across, v - bow * 1.22], -1)[::-1]
    lid = np.concatenate([lower, np.broadcast_to(upper, lower.shape)], 1)
    drawing.fill(pose.surface(lid), skin * 0.93)
    drawing.fill(pose.surface(ribbon(lower, 0.055 * size)), _LASH)


def _mouth(drawing: Drawing, who: Character, pose: Pose, face: Expression) -> None:
    """Dark when open, with teeth above and a tongue below; a smiling line when shut."""
    lip = mix(who.skin * rgb(0.86, 0.52, 0.50), rgb(190, 60, 70), 0.25)
    width = who.mouth_width
    u = np.cos(np.linspace(np.pi, 0, 14)) * width
    bow = np.sin(np.linspace(0, np.pi, 14))
    gape = face.mouth[:, None]
    narrow = 1.0 - 0.22 * gape
    corner = -who.smile * 0.10 * (u / width) ** 2
    upper_v = 0.545 + corner - 0.045 * gape * bow + 0.02 * bow
    lower_v = 0.545 + corner + (0.035 + 0.27 * gape) * bow + 0.02 * bow
    x = u * narrow
    upper, lower = np.stack([x, upper_v], -1), np.stack([x, lower_v], -1)

    def between(above: np.ndarray, below: np.ndarray, color: np.ndarray) -> None:
        drawing.fill(pose.surface(np.concatenate([above, below[:, ::-1]], 1)), color)

    between(upper, lower, rgb(86, 26, 34))
    tongue_v = np.maximum(lower_v - (0.10 * gape) * bow, upper_v)
    tongue = np.stack([x * 0.68, tongue_v + 0.004], -1)
    between(tongue, np.stack([x * 0.68, lower_v], -1), rgb(214, 96, 100))
    teeth_v = np.minimum(upper_v + np.minimum(0.075, 0.34 * gape) * bow, lower_v)
    teeth = np.stack([x * 0.80, teeth_v], -1)
    between(np.stack([x * 0.80, upper_v], -1), teeth, rgb(250, 246, 238))
    drawing.fill(pose.surface(ribbon(upper, 0.042)), lip)
    drawing.fill(pose.surface(ribbon(lower, 0.048)), lip)


def _skin(drawing: Drawing, who: Character, pose: Pose) -> None:
    """The neck's shadow, ears and head, lit from the upper left, with rosy cheeks."""
    skin, outline = who.skin, _outline(who.chin, who.jaw)
    drawing.glow(pose.place(np.array([[0.0, 1.06]]), 0.1)[:, 0], 0.13, 0.08, skin * 0.5, 0.5)
    for side in (-1, 1):
        drawing.fill(pose.place(_oval(side * 1.0, 0.06, 0.17, 0.24), -0.1), skin * 0.9)
        drawing.fill(pose.place(_oval(side * 1.0, 0.07, 0.09, 0.14), -0.1), skin * 0.76)
    for k, tone in enumerate((0.86, 0.92, 0.965, 1.0)):
        shape = outline * (1 - 0.028 * k) + np.array([-0.026, -0.024]) * k
        depth = np.where(outline[:, 1] > 0.3, 0.16, 0.0)
        drawing.fill(pose.place(shape, depth), skin * tone)
    drawing.glow(pose.at(-0.30, -0.42), 0.14, 0.12, _warm(skin), 0.45)
    for side in (-1, 1):
        drawing.glow(pose.at(0.56 * side, 0.30), 0.075, 0.06, skin * rgb(1.02, 0.70, 0.66), 0.6)
    if who.freckles:
        for u, v in ((0.46, 0.20), (0.58, 0.24), (0.52, 0.31)):
            for side in (-1, 1):
                drawing.fill(pose.surface(_oval(u * side, v, 0.024, 0.024, 8)), skin * 0.78)


def _warm(skin: np.ndarray) -> np.ndarray:
    return mix(skin, rgb(255, 236, 206), 0.36)


def _beard(drawing: Drawing, who: Character, pose: Pose) -> None:
    rim = [(-0.95, 0.06), (-0.80, 0.34), (-0.46, 0.36), (-0.2, 0.33), (0.2, 0.33), (0.46, 0.36),
           (0.80, 0.34), (0.95, 0.06)]  # fmt: skip
    low = [(0.97, 0.06), (0.92, 0.40), (who.jaw + 0.03, 0.76), (who.chin, 1.0), (0, 1.06)]
    low += [(-u, v) for u, v in low[-2::-1]]
    inner, outer = pose.surface(curve(*rim, steps=4)), pose.place(curve(*low, steps=4), 0.1)
    color = mix(who.hair, who.skin, 0.12) * 0.92
    drawing.fill(np.concatenate([inner, outer], 1), color)


def _brow(drawing: Drawing, side: int, who: Character, pose: Pose, face: Expression) -> None:
    lift = 0.04 * (face.mouth - 0.4)  # brows rise with the voice
    path = curve((0.20 * side, -0.32), (0.40 * side, -0.40), (0.62 * side, -0.33))
    path = path[None] - np.stack([0 * lift, lift], -1)[:, None]
    width = 0.085 * np.sin(np.linspace(0.7, np.pi - 0.35, path.shape[1]))
    color = who.hair * 0.8 if who.hair.mean() > 60 else who.hair
    drawing.fill(pose.surface(ribbon(path, width), 1.03), color)


def _glasses(drawing: Drawing, pose: Pose) -> None:
    frame = rgb(44, 40, 52)
    for side in (-1, 1):
        ring = spline(_oval(0.41 * side, -0.04, 0.29, 0.27, 18), 2, closed=True)
        ring = np.concatenate([ring, ring[:2]])
        drawing.fill(pose.surface(ribbon(ring, 0.045), 1.08), frame)
    bridge = curve((-0.13, -0.08), (0.0, -0.12), (0.13, -0.08))
    drawing.fill(pose.surface(ribbon(bridge, 0.05), 1.1), frame)


def draw_head(drawing: Drawing, who: Character, pose: Pose, face: Expression) -> None:
    """Everything above the neck except the hair behind it."""
    _skin(drawing, who, pose)
    if who.beard:
        _beard(drawing, who, pose)
    _mouth(drawing, who, pose, face)
    for side in (-1, 1):
        _eye(drawing, side, who, pose, face)
        _brow(drawing, side, who, pose, face)
    u, v = NOSE_PLACE
    drawing.fill(pose.surface(_oval(u + 0.05, v + 0.035, 0.13, 0.10), 1.12), who.skin * 0.84)
    tip = mix(who.skin, _warm(who.skin), 0.25)
    drawing.fill(pose.surface(_oval(u, v, 0.125, 0.105), NOSE_LIFT), tip)
    if who.style == "beanie":
        _beanie(drawing, who.shirt[[2, 0, 1]], pose)
    elif who.style != "bald":
        _front_hair(drawing, who, pose)
    if who.glasses:
        _glasses(drawing, pose)
