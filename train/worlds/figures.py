"""A jointed figure in loose clothes that moves slowly, as in tai chi."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from train.worlds.base import WHITE, mix, pick, pixel_centres, rgb
from train.worlds.canvas import Drawing, ellipse, limb, ribbon, spline, supersampling
from train.worlds.movement import GROUND, JOINTS, TORSO, draw_movement

SKINS = np.array([(252, 218, 190), (236, 188, 150), (196, 140, 100), (140, 92, 64)], np.float32)
ROBES = np.array(
    [(198, 58, 54), (40, 92, 160), (52, 128, 92), (236, 226, 208), (112, 74, 150), (230, 150, 48),
     (42, 48, 66), (214, 112, 138)], np.float32)  # fmt: skip
TROUSERS = np.array(
    [(46, 50, 66), (84, 66, 58), (232, 224, 210), (60, 84, 104), (110, 54, 60)], np.float32
)
HAIRS = np.array([(34, 28, 30), (82, 54, 38), (196, 196, 200), (140, 84, 44)], np.float32)
# wall and disc; the ground is a shade of the wall
SCENES = np.array(
    [[(246, 226, 196), (236, 138, 96)], [(200, 222, 228), (250, 244, 230)],
     [(222, 228, 204), (246, 206, 120)], [(226, 206, 220), (250, 232, 226)],
     [(98, 112, 150), (236, 226, 206)], [(250, 206, 176), (252, 240, 214)]],
    np.float32)  # fmt: skip

HEADWEAR = ("bun", "short", "hat", "long")
_ZOOM = 1.14  # bones are given for a figure that is this much smaller
_SIDES = (("left", -1), ("right", 1))


@dataclass(frozen=True)
class _Outfit:
    """What stays the same through a clip; colours are float32 (3,)."""

    skin_id: int
    robe_id: int
    trousers_id: int
    hair_id: int
    skin: np.ndarray
    robe: np.ndarray
    trousers: np.ndarray
    hair: np.ndarray
    sash: np.ndarray
    headwear: str
    flare: float  # of the robe's hem


def _draw_outfit(rng: np.random.Generator) -> _Outfit:
    skin_id, skin = pick(rng, SKINS)
    robe_id, robe = pick(rng, ROBES)
    trousers_id, trousers = pick(rng, TROUSERS)
    hair_id, hair = pick(rng, HAIRS)
    _, sash = pick(rng, ROBES[np.arange(len(ROBES)) != robe_id])
    headwear = str(rng.choice(HEADWEAR))
    flare = rng.uniform(0.0, 0.035)
    return _Outfit(
        skin_id, robe_id, trousers_id, hair_id, skin, robe, trousers, hair, sash, headwear, flare
    )


class _Body:
    """The joints, each (F, 2), and the torso's own directions."""

    def __init__(self, joints: dict[str, np.ndarray]) -> None:
        self.joints = joints
        self.up = (joints["neck"] - joints["hip"]) / TORSO
        self.across = np.stack([-self.up[:, 1], self.up[:, 0]], -1)  # to the picture's right

    def torso(self, u: float, v: float) -> np.ndarray:
        """A point (F, 2): ``u`` widths across, ``v`` from the hip (0) to the neck (1)."""
        return self.joints["hip"] + self.across * u + self.up * (v * TORSO)

    def head(self, u: float, v: float) -> np.ndarray:
        """A point (F, 2) in widths from the middle of the head, ``v`` upwards."""
        return self.joints["head"] + self.across * u + self.up * v


def _scene(rng: np.random.Generator, size: int) -> tuple[np.ndarray, np.ndarray, int]:
    """Wall, low disc and ground, supersampled; the colour of the ground; which scene it is."""
    index, (wall, disc) = pick(rng, SCENES)
    side = size * supersampling(size)
    at = pixel_centres(side)[:, None, None]
    ground = wall * rgb(0.80, 0.78, 0.76)
    picture = mix(wall * 0.94, mix(wall, WHITE, 0.22), at / 0.8)
    picture = np.broadcast_to(picture, (side, side, 3))
    floor = mix(ground * 1.02, ground * 0.86, (at - 0.8) / 0.2)
    picture = np.where(at < 0.80, picture, floor)
    picture = np.ascontiguousarray(np.clip(picture, 0, 255).astype(np.uint8))
    centre = np.array([rng.uniform(0.28, 0.72), rng.uniform(0.30, 0.42)])
    radius = rng.uniform(0.17, 0.25)
    decor = Drawing()
    decor.fill(ellipse(centre, radius, radius, corners=72), disc)
    ridge = [(-0.1, 0.80)] + [(x, rng.uniform(0.66, 0.77)) for x in np.linspace(-0.05, 1.05, 6)]
    hills = spline(np.array(ridge + [(1.1, 0.80)]), 6)
    decor.fill(hills, mix(wall, ground, 0.55))
    decor.paint_frame(picture)
    return picture, ground, index


def _shadow(drawing: Drawing, body: _Body, ground: np.ndarray) -> None:
    hip = body.joints["hip"]
    middle = np.stack([0.5 + 0.7 * (hip[:, 0] - 0.5), np.full(len(hip), GROUND + 0.004)], -1)
    drawing.glow(middle + (0.03, 0.0), 0.36, 0.060, ground * 0.42, 0.62)
    for name, _ in _SIDES:
        foot = body.joints[f"{name}_foot"] * (1, 0) + (0.01, GROUND + 0.006)
        drawing.glow(foot, 0.085, 0.026, ground * 0.35, 0.6)


def _lit_limb(
    drawing: Drawing, joints: list[np.ndarray], radii: tuple[float, ...], color: np.ndarray
) -> None:
    """A limb through ``joints`` that is lit from the upper left."""
    for scale, shift, tone in ((1.0, 0.0, 0.76), (0.80, -0.005, 1.0)):
        r = [scale * radius for radius in radii]
        for k in range(len(joints) - 1):
            bone = limb(joints[k] + shift, joints[k + 1] + shift, r[k], r[k + 1])
            drawing.fill(bone, color * tone)


def _legs(drawing: Drawing, body: _Body, who: _Outfit) -> None:
    for name, side in _SIDES:
        socket = body.joints["hip"] + body.across * (0.036 * side) + (0, 0.012)
        knee, foot = body.joints[f"{name}_knee"], body.joints[f"{name}_foot"]
        toe = foot + (0.040 * side, 0.003)
        drawing.fill(limb(foot, toe, 0.024, 0.018), rgb(40, 36, 40))
        color = who.trousers if side < 0 else who.trousers * 0.88
        _lit_limb(drawing, [socket, knee, foot], (0.052, 0.043, 0.031), color)


def _robe(drawing: Drawing, body: _Body, who: _Outfit) -> None:
    """Shoulders, waist and a hem that hangs from the hips; a collar and a sash."""

    def shape(inset: float, shift: float) -> np.ndarray:
        hem = 0.078 + who.flare - inset
        ring = [(-0.030, 1.02), (-0.066 + inset, 0.90), (-0.060 + inset, 0.45),
                (-0.054 + inset, 0.16), (-hem, -0.36), (0.0, -0.42), (hem, -0.36),
                (0.054 - inset, 0.16), (0.060 - inset, 0.45), (0.066 - inset, 0.90),
                (0.030, 1.02)]  # fmt: skip
        return spline(np.stack([body.torso(u + shift, v) for u, v in ring], 1), 3, closed=True)

    def stroke(points: list[np.ndarray], width: float, color: np.ndarray) -> None:
        drawing.fill(ribbon(spline(np.stack(points, 1), 4), width), color)

    neck, at = body.joints["neck"], body.torso
    drawing.fill(limb(neck - body.up * 0.02, neck + body.up * 0.04, 0.024, 0.022), who.skin * 0.82)
    drawing.fill(shape(0.0, 0.0), who.robe * 0.82)
    drawing.fill(shape(0.010, -0.008), who.robe)
    drawing.fill(shape(0.036, -0.020), mix(who.robe, WHITE, 0.10))
    stroke([at(0.03, 1.02), at(0.004, 0.72), at(-0.03, 0.45)], 0.016, mix(who.robe, WHITE, 0.45))
    stroke([at(-0.055, 0.17), at(0.0, 0.13), at(0.055, 0.17)], 0.032, who.sash)
    trail = body.across * (0.35 * (body.joints["hip"][:, :1] - 0.5))
    tail = [at(0.02, 0.14), at(0.026, -0.1) - trail, at(0.03, -0.30) - 2 * trail]
    stroke(tail, 0.018, who.sash * 0.88)


def _arms(drawing: Drawing, body: _Body, who: _Outfit) -> None:
    for name, side in _SIDES:
        shoulder = body.torso(0.055 * side, 0.845)
        elbow, hand = body.joints[f"{name}_elbow"], body.joints[f"{name}_hand"]
        wrist = elbow + (hand - elbow) * 0.72
        tip = hand + (hand - elbow) * 0.12
        drawing.fill(limb(wrist, tip, 0.023, 0.024), who.skin * (0.98 if side < 0 else 0.92))
        color = who.robe if side < 0 else who.robe * 0.94
        _lit_limb(drawing, [shoulder, elbow, wrist], (0.040, 0.034, 0.036), color)


def _back_hair(drawing: Drawing, body: _Body, who: _Outfit) -> None:
    top, end = body.joints["head"] + (0, -0.005), body.joints["neck"] + body.up * -0.055
    drawing.fill(limb(top, end, 0.058, 0.046), who.hair * 0.8)


def _head(drawing: Drawing, body: _Body, who: _Outfit) -> None:
    """A simple face, with hair or a straw hat."""
    head, at = body.joints["head"], body.head
    drawing.fill(ellipse(head, 0.052, 0.060, corners=28), who.skin * 0.88)
    drawing.fill(ellipse(head + (-0.005, -0.003), 0.046, 0.055, corners=28), who.skin)
    dark = rgb(48, 34, 34)
    for u in (-0.019, 0.019):
        drawing.fill(ellipse(at(u, -0.002), 0.0062, 0.0075, corners=10), dark)
    mouth = np.stack([at(-0.012, -0.026), at(0.0, -0.030), at(0.012, -0.026)], 1)
    drawing.fill(ribbon(mouth, 0.007), rgb(170, 80, 76))
    if who.headwear == "hat":
        straw = rgb(226, 190, 120)
        cone = np.stack([at(-0.105, 0.018), at(0.0, 0.098), at(0.105, 0.018), at(0.0, 0.006)], 1)
        drawing.fill(cone, straw * 0.86)
        lit = np.stack([at(-0.105, 0.018), at(0.0, 0.098), at(0.02, 0.008)], 1)
        drawing.fill(lit, straw)
        return
    ring = [(-0.052, -0.012), (-0.058, 0.022), (-0.040, 0.056), (0.0, 0.067), (0.040, 0.056),
            (0.058, 0.022), (0.052, -0.012), (0.042, 0.020), (0.010, 0.034),
            (-0.036, 0.026)]  # fmt: skip
    drawing.fill(spline(np.stack([at(u, v) for u, v in ring], 1), 3, closed=True), who.hair)
    if who.headwear == "bun":
        drawing.fill(ellipse(at(0.0, 0.076), 0.026, 0.024, corners=18), who.hair)
        drawing.fill(ellipse(at(0.0, 0.060), 0.017, 0.008, corners=12), who.sash)
    shine = np.stack([at(-0.034, 0.036), at(-0.018, 0.050), at(0.002, 0.054)], 1)
    drawing.fill(ribbon(shine, 0.009), mix(who.hair, WHITE, 0.3))


def render(
    rng: np.random.Generator, times: np.ndarray, size: int
) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """See ``train.worlds.render``; joints are in the order of ``movement.JOINTS``."""
    picture, ground, scene = _scene(rng, size)
    who = _draw_outfit(rng)
    body = _Body(draw_movement(rng, times))

    drawing = Drawing()
    _shadow(drawing, body, ground)
    if who.headwear == "long":
        _back_hair(drawing, body, who)
    for part in (_legs, _robe, _head, _arms):
        part(drawing, body, who)
    feet = np.array([0.5, GROUND])
    drawing.zoom(_ZOOM, feet)
    video = drawing.paint(picture, len(times), size)
    joints = np.stack([body.joints[name] for name in JOINTS], 1)
    factors = {
        "joints": feet + _ZOOM * (joints - feet),  # (F, len(JOINTS), 2)
        "lean": np.arctan2(body.up[:, 0], -body.up[:, 1]),
        "arm_angles": _angles(body.joints, "elbow", "hand"),
        "leg_angles": _angles(body.joints, "knee", "foot"),
        "robe": np.array(who.robe_id),
        "trousers": np.array(who.trousers_id),
        "skin": np.array(who.skin_id),
        "hair": np.array(who.hair_id),
        "scene": np.array(scene),
    }
    return video, factors


def _angles(joints: dict[str, np.ndarray], joint: str, end: str) -> np.ndarray:
    """Directions of the left and right lower bones, (F, 2)."""
    bones = [joints[f"{side}_{end}"] - joints[f"{side}_{joint}"] for side in ("left", "right")]
    return np.stack([np.arctan2(bone[:, 1], bone[:, 0]) for bone in bones], -1)
