"""A cartoon head that talks, blinks and turns a little."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from train.worlds.base import mix, pick, pixel_centres, wave
from train.worlds.canvas import Drawing, ellipse, ribbon, spline, supersampling

SKINS = np.array(
    [(255, 224, 200), (246, 204, 172), (234, 184, 144), (210, 152, 110), (176, 118, 80),
     (136, 88, 60), (100, 64, 46)], np.float32)  # fmt: skip
HAIRS = np.array(
    [(34, 28, 32), (66, 42, 32), (112, 70, 42), (164, 104, 52), (226, 182, 98), (196, 82, 42),
     (150, 150, 160), (84, 64, 132), (46, 110, 128), (222, 110, 140)], np.float32)  # fmt: skip
SHIRTS = np.array(
    [(214, 68, 66), (238, 164, 52), (78, 152, 92), (52, 120, 190), (116, 84, 172), (240, 232, 220),
     (48, 58, 84), (222, 118, 150), (56, 158, 160)], np.float32)  # fmt: skip
BACKGROUNDS = np.array(
    [(250, 214, 160), (170, 214, 226), (190, 220, 180), (232, 190, 200), (196, 190, 226),
     (244, 232, 208), (120, 150, 176), (240, 176, 140)], np.float32)  # fmt: skip
IRISES = np.array(
    [(74, 46, 30), (48, 96, 150), (62, 116, 72), (110, 76, 40), (84, 96, 108)], np.float32
)
HAIR_STYLES = ("short", "swept", "bob", "long", "curly", "bun", "spiky", "bald", "beanie")
CLOTHES = ("crew", "collar", "hoodie", "stripes")

_HALF_WIDTH, _HALF_HEIGHT = 0.236, 0.278  # of the head, in widths of the picture
_NECK = np.array([0.5, 0.82])  # the head tilts around this point


@dataclass(frozen=True)
class _Pose:
    """Where the head is in each frame; all arrays are (F,)."""

    yaw: np.ndarray
    pitch: np.ndarray
    roll: np.ndarray
    sway: np.ndarray

    def place(self, points: np.ndarray, depth: float | np.ndarray) -> np.ndarray:
        """Head coordinates (N, 2) or (F, N, 2) at ``depth`` -> the picture (F, N, 2).

        Head coordinates run from -1 to 1 across the head's width and from its top (-1) to its chin
        (1). ``depth`` points at the viewer, in half head widths: what is nearer moves further.
        """
        u, v = np.broadcast_arrays(points[..., 0], points[..., 1])
        depth = np.broadcast_to(depth, u.shape)
        yaw, pitch, roll = (a[:, None] for a in (self.yaw, self.pitch, self.roll))
        x = _HALF_WIDTH * (u + depth * np.sin(yaw)) + 0.5 + self.sway[:, None]
        y = _HALF_HEIGHT * v + 0.462 + _HALF_WIDTH * depth * np.sin(pitch)
        dx, dy = x - _NECK[0], y - _NECK[1]
        cos, sin = np.cos(roll), np.sin(roll)
        return np.stack([_NECK[0] + dx * cos - dy * sin, _NECK[1] + dx * sin + dy * cos], -1)

    def surface(self, points: np.ndarray, lift: float = 1.0) -> np.ndarray:
        """Points that lie on the rounded front of the head, which narrows as it turns away."""
        u, v = points[..., 0], points[..., 1]
        depth = np.sqrt(np.maximum(1.0 - u**2 - 0.55 * v**2, 0.0))
        shrink = np.cos(self.yaw)[:, None]
        squeezed = np.stack([u * shrink, np.broadcast_to(v, np.shape(u * shrink))], -1)
        return self.place(squeezed, 0.72 * lift * depth)


def _oval(u: float, v: float, ru: float, rv: float | np.ndarray, corners: int = 20) -> np.ndarray:
    """An ellipse in head coordinates whose radii are given in half head widths."""
    squash = _HALF_WIDTH / _HALF_HEIGHT
    return ellipse(np.array([u, v]), ru, np.asarray(rv) * squash, corners=corners)


def _curve(*points: tuple[float, float]) -> np.ndarray:
    return spline(np.array(points, np.float64), 5)


def _background(rng: np.random.Generator, size: int) -> tuple[np.ndarray, np.ndarray]:
    """A softly lit wall with a few large quiet shapes, and its colour."""
    _, color = pick(rng, BACKGROUNDS)
    side = size * supersampling(size)
    at = pixel_centres(side)
    shine = 1.06 - 0.16 * at[:, None] - 0.10 * (at[None, :] - 0.35) ** 2
    wall = np.clip(color * shine[..., None], 0, 255).astype(np.uint8)
    decor = Drawing()
    kind = rng.integers(3)
    pale, deep = mix(color, np.float32(255), 0.28), color * 0.93
    if kind == 0:  # a halo of two discs
        centre = np.array([0.5 + rng.uniform(-0.06, 0.06), 0.44])
        decor.fill(ellipse(centre, 0.46, 0.46, corners=64), mix(color, pale, 0.55))
        decor.fill(ellipse(centre, 0.37, 0.37, corners=64), pale)
    elif kind == 1:  # wide diagonal bands
        lean = rng.choice([-0.5, 0.5])
        for k in range(-1, 4):
            left = 0.36 * k + rng.uniform(-0.02, 0.02)
            band = [(left, -0.1), (left + 0.16, -0.1), (left + 0.16 + lean, 1.1), (left + lean, 1.1)]
            decor.fill(np.array(band), mix(color, pale, 0.6))
    else:  # quiet spots
        for _ in range(7):
            centre, radius = rng.random(2), rng.uniform(0.05, 0.13)
            decor.fill(ellipse(centre, radius, radius, corners=40), deep if rng.random() < 0.4 else
                       mix(color, pale, 0.7))  # fmt: skip
    decor.paint_frame(wall)
    return wall, color


def _clothes(drawing: Drawing, kind: str, shirt: np.ndarray, skin: np.ndarray, pose: _Pose) -> None:
    """Neck and shoulders; they follow the head's sway a little."""
    follow = np.zeros((len(pose.sway), 1, 2))
    follow[:, 0, 0] = 0.45 * pose.sway
    dark, light = shirt * 0.78, mix(shirt, np.float32(255), 0.22)

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
            put(ribbon(_curve((0.06, y + 0.04), (0.3, y), (0.5, y + 0.015), (0.7, y),
                              (0.94, y + 0.04)), 0.026), light)  # fmt: skip
    if kind in ("crew", "stripes"):
        put(ribbon(_curve((0.395, 0.79), (0.44, 0.85), (0.5, 0.873), (0.56, 0.85), (0.605, 0.79)),
                   0.03), dark)  # fmt: skip
    elif kind == "collar":
        for s in (-1, 1):
            wing = [(0.09, 0.765), (0.0, 0.885), (0.085, 0.94), (0.145, 0.83)]
            put(np.array([(0.5 + s * x, y) for x, y in wing]), light)
        for y in (0.93, 0.98):
            put(ellipse(np.array([0.5, y]), 0.009, 0.009, corners=12), light)
    elif kind == "hoodie":
        for s in (-1, 1):
            put(ribbon(_curve((0.5 + s * 0.05, 0.87), (0.5 + s * 0.058, 0.95), (0.5 + s * 0.054, 1.0)),
                       0.014), light)  # fmt: skip


def _outline(chin: float, jaw: float) -> np.ndarray:
    """The head's silhouette in head coordinates (N, 2)."""
    right = [(0.0, -1.0), (0.52, -0.90), (0.88, -0.55), (0.97, -0.08), (0.90, 0.34), (jaw, 0.70),
             (chin, 0.94)]  # fmt: skip
    ring = right + [(0.0, 1.0)] + [(-u, v) for u, v in right[:0:-1]]
    return spline(np.array(ring), 4, closed=True)


def _hair_back(drawing: Drawing, style: str, hair: np.ndarray, pose: _Pose) -> None:
    dark = hair * 0.78
    if style == "long":
        shape = [(0, -1.16), (0.75, -1.0), (1.12, -0.4), (1.20, 0.4), (1.22, 1.25), (0.72, 1.5),
                 (0, 1.3), (-0.72, 1.5), (-1.22, 1.25), (-1.20, 0.4), (-1.12, -0.4),
                 (-0.75, -1.0)]  # fmt: skip
        drawing.fill(pose.place(spline(np.array(shape, float), 4, closed=True), -0.35), dark)
    elif style == "bob":
        shape = [(0, -1.16), (0.75, -1.0), (1.14, -0.4), (1.24, 0.3), (1.12, 0.78), (0.6, 0.85),
                 (-0.6, 0.85), (-1.12, 0.78), (-1.24, 0.3), (-1.14, -0.4), (-0.75, -1.0)]  # fmt: skip
        drawing.fill(pose.place(spline(np.array(shape, float), 4, closed=True), -0.3), dark)
    elif style == "curly":
        for k, turn in enumerate(np.linspace(-0.15, np.pi + 0.15, 9)):
            u, v = 1.02 * np.cos(turn), -0.30 - 0.78 * np.sin(turn)
            drawing.fill(pose.place(_oval(u, v, 0.36, 0.36), -0.25), dark if k % 2 else hair * 0.86)
    elif style == "bun":
        drawing.fill(pose.place(_oval(0.0, -1.22, 0.40, 0.36, 26), -0.35), dark)
        drawing.fill(pose.place(_oval(-0.06, -1.26, 0.28, 0.24, 24), -0.35), hair)


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


def _hair_front(drawing: Drawing, style: str, hair: np.ndarray, mirror: int, pose: _Pose) -> None:
    light, dark = mix(hair, np.float32(255), 0.24), hair * 0.8
    if style == "bald":
        return
    if style == "beanie":
        cap = [(-1.02, -0.36), (-1.0, -0.75), (-0.62, -1.14), (0, -1.26), (0.62, -1.14),
               (1.0, -0.75), (1.02, -0.36)]  # fmt: skip
        drawing.fill(pose.place(spline(np.array(cap, float), 5), 0.0), hair)
        drawing.fill(pose.place(_oval(0.0, -1.32, 0.2, 0.2), -0.1), light)
        brim = spline(np.array([(-1.0, -0.40), (-0.6, -0.50), (0, -0.54), (0.6, -0.50),
                                (1.0, -0.40)]), 5)  # fmt: skip
        drawing.fill(pose.place(ribbon(brim, 0.24), 0.12), dark)
        return
    flip = np.array([mirror, 1.0])
    line = pose.surface(spline(np.array(_HAIRLINES[style]) * flip, 4), 1.04)
    sides = [(-1.05, -0.02), (-1.09, -0.40), (-0.94, -0.78), (-0.58, -1.06), (0.0, -1.17)]
    crown = np.array(sides + [(-u, v) for u, v in sides[-2::-1]])
    if style == "spiky":
        spikes = [(-1.05, -0.05), (-1.2, -0.52), (-0.94, -0.62), (-0.98, -1.1), (-0.6, -0.98),
                  (-0.44, -1.38), (-0.14, -1.1), (0.12, -1.44), (0.36, -1.08), (0.74, -1.28),
                  (0.78, -0.92), (1.16, -0.86), (1.0, -0.5), (1.05, -0.05)]  # fmt: skip
        top = pose.place(np.array(spikes), -0.05)
    else:
        top = pose.place(spline(crown, 4), -0.05)
    if mirror < 0:
        line = line[:, ::-1]
    drawing.fill(np.concatenate([top, line[:, ::-1]], 1), hair)
    shine = _curve((-0.70 * mirror, -0.72), (-0.42 * mirror, -0.90), (-0.02 * mirror, -0.95))
    taper = 0.13 * np.sin(np.linspace(0.15, np.pi - 0.15, len(shine)))
    drawing.fill(pose.place(ribbon(shine, taper), 0.30), light)
    if style in ("swept", "long"):
        lock = _curve((0.30 * mirror, -0.66), (0.56 * mirror, -0.56), (0.80 * mirror, -0.34))
        drawing.fill(pose.surface(ribbon(lock, 0.05), 1.04), dark)
    elif style == "curly":
        for k, u in enumerate(np.linspace(-0.78, 0.78, 6)):
            v = -0.62 - 0.14 * np.cos(u * 1.6)
            drawing.fill(pose.surface(_oval(u, v, 0.24, 0.22), 0.95), hair if k % 2 else hair * 0.9)


def _eye(
    drawing: Drawing, side: int, opening: np.ndarray, gaze: np.ndarray, iris: np.ndarray,
    skin: np.ndarray, lash: np.ndarray, size: float, pose: _Pose,
) -> None:
    """One eye; a lid closes it from above."""  # fmt: skip
    u, v = 0.40 * side, -0.06
    squash = _HALF_WIDTH / _HALF_HEIGHT
    ru, rv = 0.185 * size, 0.175 * size
    drawing.fill(pose.surface(_oval(u, v, ru * 1.16, rv * 1.2)), skin * 0.90)
    drawing.fill(pose.surface(_oval(u, v, ru, rv)), np.float32([252, 252, 248]))
    look = gaze[:, None]
    for radius, color in ((0.118, iris), (0.066, np.float32([22, 18, 20]))):
        ring = _oval(0, 0, radius * size, radius * size * 1.05, 20)
        spot = np.stack([ring[:, 0] + u + 0.05 * look, ring[:, 1] + v + 0.015 + 0 * look], -1)
        drawing.fill(pose.surface(spot, 1.02), color)
    glint = _oval(-0.035 * size, -0.045 * size, 0.036 * size, 0.036 * size, 12)
    glint = np.stack([glint[:, 0] + u + 0.05 * look, glint[:, 1] + v + 0 * look], -1)
    drawing.fill(pose.surface(glint, 1.02), np.float32([255, 255, 255]))
    # the lid covers the ball from its upper rim down to an edge that rises with the opening
    across = np.cos(np.linspace(np.pi, 0, 12)) * ru * 1.10
    bow = np.sin(np.linspace(0, np.pi, 12)) * rv * squash
    edge = v + bow * (1.02 - 2.0 * opening[:, None]) * 1.04
    lower = np.stack([np.broadcast_to(u + across, edge.shape), edge], -1)
    upper = np.stack([u + across, v - bow * 1.22], -1)[::-1]
    lid = np.concatenate([lower, np.broadcast_to(upper, lower.shape)], 1)
    drawing.fill(pose.surface(lid), skin * 0.93)
    drawing.fill(pose.surface(ribbon(lower, 0.055 * size)), lash)


def _mouth(
    drawing: Drawing, opening: np.ndarray, smile: float, lip: np.ndarray, width: float, pose: _Pose
) -> None:
    """Dark when open, with teeth above and a tongue below; a smiling line when shut."""
    u = np.cos(np.linspace(np.pi, 0, 14)) * width
    bow = np.sin(np.linspace(0, np.pi, 14))
    gape = opening[:, None]
    narrow = 1.0 - 0.22 * gape
    corner = -smile * 0.10 * (u / width) ** 2
    upper_v = 0.545 + corner - 0.045 * gape * bow + 0.02 * bow
    lower_v = 0.545 + corner + (0.035 + 0.27 * gape) * bow + 0.02 * bow
    x = u * narrow
    upper, lower = np.stack([x, upper_v], -1), np.stack([x, lower_v], -1)
    whole = np.concatenate([upper, lower[:, ::-1]], 1)
    drawing.fill(pose.surface(whole), np.float32([86, 26, 34]))
    tongue_v = np.maximum(lower_v - (0.10 * gape) * bow, upper_v)
    tongue = np.stack([x * 0.68, tongue_v + 0.004], -1)
    lower_in = np.stack([x * 0.68, lower_v], -1)
    drawing.fill(
        pose.surface(np.concatenate([tongue, lower_in[:, ::-1]], 1)), np.float32([214, 96, 100])
    )
    teeth_v = np.minimum(upper_v + np.minimum(0.075, 0.34 * gape) * bow, lower_v)
    teeth = np.stack([x * 0.80, teeth_v], -1)
    upper_in = np.stack([x * 0.80, upper_v], -1)
    drawing.fill(
        pose.surface(np.concatenate([upper_in, teeth[:, ::-1]], 1)), np.float32([250, 246, 238])
    )
    drawing.fill(pose.surface(ribbon(upper, 0.042)), lip)
    drawing.fill(pose.surface(ribbon(lower, 0.048)), lip)


def render(
    rng: np.random.Generator, times: np.ndarray, size: int
) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """See ``train.worlds.render``."""
    wall, _ = _background(rng, size)
    skin_id, skin = pick(rng, SKINS)
    hair_id, hair = pick(rng, HAIRS)
    shirt_id, shirt = pick(rng, SHIRTS)
    _, iris = pick(rng, IRISES)
    style_id = int(rng.integers(len(HAIR_STYLES)))
    style, clothes = HAIR_STYLES[style_id], CLOTHES[int(rng.integers(len(CLOTHES)))]
    mirror = 1 if rng.random() < 0.5 else -1
    eye_size, smile = rng.uniform(1.0, 1.28), rng.uniform(0.25, 1.0)
    mouth_width = rng.uniform(0.32, 0.42)
    glasses, freckles = rng.random() < 0.25, rng.random() < 0.2
    beard = style in ("short", "swept", "spiky", "bald", "beanie") and rng.random() < 0.35
    jaw, chin = rng.uniform(0.66, 0.76), rng.uniform(0.30, 0.42)

    yaw = rng.uniform(0.28, 0.48) * wave(times, rng.uniform(0.22, 0.38), rng.uniform(0, 6.28))
    pose = _Pose(
        yaw=yaw,
        pitch=rng.uniform(0.04, 0.14) * wave(times, rng.uniform(0.3, 0.6), rng.uniform(0, 6.28)),
        roll=rng.uniform(0.02, 0.09) * wave(times, rng.uniform(0.2, 0.4), rng.uniform(0, 6.28)),
        sway=0.035 * np.sin(yaw) + 0.012 * wave(times, 0.3, rng.uniform(0, 6.28)),
    )
    talk = 0.42 + 0.42 * wave(times, rng.uniform(0.9, 1.5), rng.uniform(0, 6.28))
    mouth = np.clip(talk + 0.24 * wave(times, rng.uniform(0.35, 0.6), rng.uniform(0, 6.28)), 0, 1)
    every = rng.uniform(1.6, 2.8)  # seconds between blinks
    since = (times - rng.uniform(0.2, every) + every / 2) % every - every / 2
    eyes = 1.0 - np.exp(-((since / 0.14) ** 2))
    gaze = 0.8 * wave(times, rng.uniform(0.2, 0.45), rng.uniform(0, 6.28))
    lift = 0.04 * (mouth - 0.4)  # brows rise with the voice

    drawing = Drawing()
    _hair_back(drawing, style, hair, pose)
    _clothes(drawing, clothes, shirt, skin, pose)
    outline = _outline(chin, jaw)
    drawing.glow(pose.place(np.array([[0.0, 1.06]]), 0.1)[:, 0], 0.13, 0.08, skin * 0.5, 0.5)
    for side in (-1, 1):
        drawing.fill(pose.place(_oval(side * 1.0, 0.06, 0.17, 0.24), -0.1), skin * 0.9)
        drawing.fill(pose.place(_oval(side * 1.0, 0.07, 0.09, 0.14), -0.1), skin * 0.76)
    for k in range(4):  # shading: the light comes from the upper left
        shape = outline * (1 - 0.028 * k) + np.array([-0.026, -0.024]) * k
        depth = np.where(outline[:, 1] > 0.3, 0.16, 0.0)
        drawing.fill(pose.place(shape, depth), skin * (0.86, 0.92, 0.965, 1.0)[k])
    warm = mix(skin, np.float32([255, 236, 206]), 0.36)
    drawing.glow(pose.surface(np.array([[-0.30, -0.42]]))[:, 0], 0.14, 0.12, warm, 0.45)
    blush = skin * np.float32([1.02, 0.70, 0.66])
    for side in (-1, 1):
        drawing.glow(pose.surface(np.array([[0.56 * side, 0.30]]))[:, 0], 0.075, 0.06, blush, 0.6)
    if freckles:
        for u, v in ((0.46, 0.20), (0.58, 0.24), (0.52, 0.31)):
            for side in (-1, 1):
                drawing.fill(pose.surface(_oval(u * side, v, 0.024, 0.024, 8)), skin * 0.78)
    if beard:
        rim = [(-0.95, 0.06), (-0.80, 0.34), (-0.46, 0.36), (-0.2, 0.33), (0.2, 0.33),
               (0.46, 0.36), (0.80, 0.34), (0.95, 0.06)]  # fmt: skip
        inner = pose.surface(spline(np.array(rim), 4))
        low = [(0.97, 0.06), (0.92, 0.40), (jaw + 0.03, 0.76), (chin, 1.0), (0, 1.06)]
        low += [(-u, v) for u, v in low[-2::-1]]
        outer = pose.place(spline(np.array(low), 4), 0.1)
        drawing.fill(np.concatenate([inner, outer], 1), mix(hair, skin, 0.12) * 0.92)
    lip = mix(skin * np.float32([0.86, 0.52, 0.50]), np.float32([190, 60, 70]), 0.25)
    _mouth(drawing, mouth, smile, lip, mouth_width, pose)
    for side in (-1, 1):
        _eye(drawing, side, eyes, gaze, iris, skin, np.float32([40, 26, 26]), eye_size, pose)
        path = np.array([(0.20, -0.32), (0.40, -0.40), (0.62, -0.33)]) * (side, 1)
        brow = spline(path, 5)[None] - np.stack([0 * lift, lift], -1)[:, None]
        width = 0.085 * np.sin(np.linspace(0.7, np.pi - 0.35, brow.shape[1]))
        brow_color = hair * 0.8 if hair.mean() > 60 else hair
        drawing.fill(pose.surface(ribbon(brow, width), 1.03), brow_color)
    drawing.fill(pose.surface(_oval(0.05, 0.25, 0.13, 0.10), 1.12), skin * 0.84)
    drawing.fill(pose.surface(_oval(0.0, 0.215, 0.125, 0.105), 1.32), mix(skin, warm, 0.25))
    _hair_front(drawing, style, shirt[[2, 0, 1]] if style == "beanie" else hair, mirror, pose)
    if glasses:
        frame = np.float32([44, 40, 52])
        for side in (-1, 1):
            ring = spline(_oval(0.41 * side, -0.04, 0.29, 0.27, 18), 2, closed=True)
            ring = np.concatenate([ring, ring[:2]])
            drawing.fill(pose.surface(ribbon(ring, 0.045), 1.08), frame)
        bridge = _curve((-0.13, -0.08), (0.0, -0.12), (0.13, -0.08))
        drawing.fill(pose.surface(ribbon(bridge, 0.05), 1.1), frame)

    video = drawing.paint(wall, len(times), size)
    mouth_at = pose.surface(np.stack([0 * mouth, 0.585 + 0.10 * mouth], -1)[:, None])[:, 0]
    factors = {
        "yaw": yaw,
        "pitch": pose.pitch,
        "roll": pose.roll,
        "mouth_opening": mouth,
        "eye_opening": eyes,
        "gaze": gaze,
        "mouth": mouth_at,  # the middle of the opening (F, 2)
        "eyes": np.stack(
            [pose.surface(np.array([[0.40 * s, -0.06]]))[:, 0] for s in (-1, 1)], 1
        ),  # (F, 2, 2)
        "nose": pose.surface(np.array([[0.0, 0.215]]), 1.32)[:, 0],
        "skin": np.array(skin_id),
        "hair": np.array(hair_id),
        "shirt": np.array(shirt_id),
        "style": np.array(style_id),
    }
    return video, factors
