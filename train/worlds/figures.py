"""A jointed figure in loose clothes that moves slowly, as in tai chi."""

from __future__ import annotations

import numpy as np

from train.worlds.base import mix, pick, pixel_centres, wave
from train.worlds.canvas import Drawing, ellipse, limb, ribbon, spline, supersampling

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
     [(98, 112, 150), (236, 226, 206)], [(250, 206, 176), (252, 240, 214)]], np.float32)  # fmt: skip

_ZOOM = 1.14  # bones are given for a figure that is this much smaller
GROUND = 0.905  # height of the ground line that the feet stand on
JOINTS = (
    "hip", "neck", "head", "left_elbow", "left_hand", "right_elbow", "right_hand",
    "left_knee", "left_foot", "right_knee", "right_foot",
)  # fmt: skip
_UPPER_ARM, _FOREARM, _THIGH, _SHIN, _TORSO = 0.125, 0.125, 0.165, 0.165, 0.205


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


def _movement(rng: np.random.Generator, times: np.ndarray) -> dict[str, np.ndarray]:
    """The joints of a slow flowing movement, each (F, 2)."""
    pace, phase = rng.uniform(0.20, 0.32), rng.uniform(0, 2 * np.pi)

    def swing(shift: float, harmonic: float = 1.0) -> np.ndarray:
        return wave(times, pace * harmonic, phase * harmonic + shift)

    stance = rng.uniform(0.12, 0.18)
    shift = rng.uniform(0.045, 0.08) * swing(0.0)
    sink = 0.025 + 0.022 * (1 - np.cos(2 * np.arcsin(swing(0.0)))) / 2 + rng.uniform(0, 0.03)
    hip = np.stack([0.5 + shift, GROUND - 0.325 + sink], -1)
    lean = 0.10 * swing(0.5) + rng.uniform(-0.03, 0.03)
    neck = hip + _TORSO * np.stack([np.sin(lean), -np.cos(lean)], -1)
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
        hand = shoulder + np.stack([side * out + 0.3 * shift, 0.01 + tall * swing(offset + 1.4)], -1)
        hand = _within(shoulder, hand, 0.97 * (_UPPER_ARM + _FOREARM))
        joints[f"{name}_elbow"] = bend(shoulder, hand, _UPPER_ARM, _FOREARM, side)
        joints[f"{name}_hand"] = hand
        socket = hip + np.array([0.036 * side, 0.012])
        lifted = step * np.maximum(0.0, -side * swing(0.0)) ** 2  # the unloaded foot may rise
        foot = np.stack([0.5 + side * stance + 0.35 * side * lifted, GROUND - 0.016 - lifted], -1)
        foot = _within(socket, foot, 0.995 * (_THIGH + _SHIN))
        joints[f"{name}_knee"] = bend(socket, foot, _THIGH, _SHIN, -side)
        joints[f"{name}_foot"] = foot
    return joints


def _scene(rng: np.random.Generator, size: int) -> tuple[np.ndarray, np.ndarray, int]:
    """Wall, low disc and ground, supersampled; the colour of the ground; which scene it is."""
    index, (wall, disc) = pick(rng, SCENES)
    side = size * supersampling(size)
    at = pixel_centres(side)[:, None, None]
    ground = wall * np.float32([0.80, 0.78, 0.76])
    picture = mix(wall * 0.94, mix(wall, np.float32(255), 0.22), at / 0.8)
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


def render(
    rng: np.random.Generator, times: np.ndarray, size: int
) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """See ``train.worlds.render``."""
    picture, ground, scene = _scene(rng, size)
    skin_id, skin = pick(rng, SKINS)
    robe_id, robe = pick(rng, ROBES)
    trousers_id, trousers = pick(rng, TROUSERS)
    hair_id, hair = pick(rng, HAIRS)
    _, sash = pick(rng, ROBES[np.arange(len(ROBES)) != robe_id])
    headwear = rng.choice(["bun", "short", "hat", "long"])
    flare = rng.uniform(0.0, 0.035)
    joints = _movement(rng, times)
    hip, neck, head = joints["hip"], joints["neck"], joints["head"]
    up = (neck - hip) / _TORSO
    across = np.stack([-up[:, 1], up[:, 0]], -1)  # to the figure's right on the picture

    drawing = Drawing()
    middle = np.stack([0.5 + 0.7 * (hip[:, 0] - 0.5), np.full(len(times), GROUND + 0.004)], -1)
    drawing.glow(middle + (0.03, 0.0), 0.36, 0.060, ground * 0.42, 0.62)
    for name in ("left", "right"):
        foot = joints[f"{name}_foot"] * (1, 0) + (0.01, GROUND + 0.006)
        drawing.glow(foot, 0.085, 0.026, ground * 0.35, 0.6)
    if headwear == "long":
        drawing.fill(limb(head + (0, -0.005), neck + up * -0.055, 0.058, 0.046), hair * 0.8)

    for name, side in (("left", -1), ("right", 1)):
        socket = hip + across * (0.036 * side) + (0, 0.012)
        knee, foot = joints[f"{name}_knee"], joints[f"{name}_foot"]
        toe = foot + (0.040 * side, 0.003)
        shade = trousers if side < 0 else trousers * 0.88
        drawing.fill(limb(foot, toe, 0.024, 0.018), np.float32([40, 36, 40]))
        for points, color in _lit_limb(socket, knee, foot, (0.052, 0.043, 0.031), shade):
            drawing.fill(points, color)

    # the robe: shoulders, waist, and a hem that hangs from the hips
    def body(u: float, v: float) -> np.ndarray:  # u across, v from hip (0) to neck (1)
        return hip + across * u + up * (v * _TORSO)

    def robe_shape(inset: float, shift: float) -> np.ndarray:
        hem = 0.078 + flare - inset
        ring = [(-0.030, 1.02), (-0.066 + inset, 0.90), (-0.060 + inset, 0.45),
                (-0.054 + inset, 0.16), (-hem, -0.36), (0.0, -0.42), (hem, -0.36),
                (0.054 - inset, 0.16), (0.060 - inset, 0.45), (0.066 - inset, 0.90),
                (0.030, 1.02)]  # fmt: skip
        return spline(np.stack([body(u + shift, v) for u, v in ring], 1), 3, closed=True)

    drawing.fill(limb(neck - up * 0.02, neck + up * 0.04, 0.024, 0.022), skin * 0.82)
    drawing.fill(robe_shape(0.0, 0.0), robe * 0.82)
    drawing.fill(robe_shape(0.010, -0.008), robe)
    drawing.fill(robe_shape(0.036, -0.020), mix(robe, np.float32(255), 0.10))
    collar = np.stack([body(0.03, 1.02), body(0.004, 0.72), body(-0.03, 0.45)], 1)
    drawing.fill(ribbon(spline(collar, 4), 0.016), mix(robe, np.float32(255), 0.45))
    belt = np.stack([body(-0.055, 0.17), body(0.0, 0.13), body(0.055, 0.17)], 1)
    drawing.fill(ribbon(spline(belt, 4), 0.032), sash)
    swing = across * (0.35 * (hip[:, :1] - 0.5))
    tail = np.stack([body(0.02, 0.14), body(0.026, -0.1) - swing, body(0.03, -0.30) - 2 * swing], 1)
    drawing.fill(ribbon(spline(tail, 4), 0.018), sash * 0.88)

    # head
    drawing.fill(ellipse(head, 0.052, 0.060, corners=28), skin * 0.88)
    drawing.fill(ellipse(head + (-0.005, -0.003), 0.046, 0.055, corners=28), skin)
    _dress_head(drawing, headwear, head, up, across, hair, sash)

    for name, side in (("left", -1), ("right", 1)):
        shoulder = body(0.055 * side, 0.845)
        elbow, hand = joints[f"{name}_elbow"], joints[f"{name}_hand"]
        wrist = elbow + (hand - elbow) * 0.72
        tip = hand + (hand - elbow) * 0.12
        drawing.fill(limb(wrist, tip, 0.023, 0.024), skin * (0.98 if side < 0 else 0.92))
        shade = robe if side < 0 else robe * 0.94
        for points, color in _lit_limb(shoulder, elbow, wrist, (0.040, 0.034, 0.036), shade):
            drawing.fill(points, color)

    centre = np.array([0.5, GROUND])
    drawing.zoom(_ZOOM, centre)
    video = drawing.paint(picture, len(times), size)
    joint_positions = centre + _ZOOM * (np.stack([joints[name] for name in JOINTS], 1) - centre)
    factors = {
        "joints": joint_positions,  # (F, len(JOINTS), 2), in the order of JOINTS
        "lean": np.arctan2(up[:, 0], -up[:, 1]),
        "arm_angles": _angles(joints, "elbow", "hand"),
        "leg_angles": _angles(joints, "knee", "foot"),
        "robe": np.array(robe_id),
        "trousers": np.array(trousers_id),
        "skin": np.array(skin_id),
        "hair": np.array(hair_id),
        "scene": np.array(scene),
    }
    return video, factors


def _angles(joints: dict[str, np.ndarray], joint: str, end: str) -> np.ndarray:
    """Directions of the left and right lower bones, (F, 2)."""
    bones = [joints[f"{side}_{end}"] - joints[f"{side}_{joint}"] for side in ("left", "right")]
    return np.stack([np.arctan2(bone[:, 1], bone[:, 0]) for bone in bones], -1)


def _lit_limb(
    a: np.ndarray, b: np.ndarray, c: np.ndarray, radii: tuple[float, float, float],
    color: np.ndarray,
):
    """Polygons and colours of a two-boned limb that is lit from the upper left."""  # fmt: skip
    for scale, shift, tone in ((1.0, 0.0, 0.76), (0.80, -0.005, 1.0)):
        r = [scale * radius for radius in radii]
        move = np.array([shift, shift])
        yield limb(a + move, b + move, r[0], r[1]), color * tone
        yield limb(b + move, c + move, r[1], r[2]), color * tone


def _dress_head(
    drawing: Drawing, kind: str, head: np.ndarray, up: np.ndarray, across: np.ndarray,
    hair: np.ndarray, sash: np.ndarray,
) -> None:
    """Hair or a straw hat, and a simple face."""  # fmt: skip

    def at(u: float, v: float) -> np.ndarray:
        return head + across * u + up * v

    dark = np.float32([48, 34, 34])
    for u in (-0.019, 0.019):
        drawing.fill(ellipse(at(u, -0.002), 0.0062, 0.0075, corners=10), dark)
    mouth = np.stack([at(-0.012, -0.026), at(0.0, -0.030), at(0.012, -0.026)], 1)
    drawing.fill(ribbon(mouth, 0.007), np.float32([170, 80, 76]))
    if kind == "hat":
        straw = np.float32([226, 190, 120])
        cone = np.stack([at(-0.105, 0.018), at(0.0, 0.098), at(0.105, 0.018), at(0.0, 0.006)], 1)
        drawing.fill(cone, straw * 0.86)
        lit = np.stack([at(-0.105, 0.018), at(0.0, 0.098), at(0.02, 0.008)], 1)
        drawing.fill(lit, straw)
        return
    ring = [(-0.052, -0.012), (-0.058, 0.022), (-0.040, 0.056), (0.0, 0.067), (0.040, 0.056),
            (0.058, 0.022), (0.052, -0.012), (0.042, 0.020), (0.010, 0.034),
            (-0.036, 0.026)]  # fmt: skip
    drawing.fill(spline(np.stack([at(u, v) for u, v in ring], 1), 3, closed=True), hair)
    if kind == "bun":
        drawing.fill(ellipse(at(0.0, 0.076), 0.026, 0.024, corners=18), hair)
        drawing.fill(ellipse(at(0.0, 0.060), 0.017, 0.008, corners=12), sash)
    shine = np.stack([at(-0.034, 0.036), at(-0.018, 0.050), at(0.002, 0.054)], 1)
    drawing.fill(ribbon(shine, 0.009), mix(hair, np.float32(255), 0.3))
