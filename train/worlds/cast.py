"""Who is on screen in `faces`, and how the head moves while it talks."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from train.worlds.base import pick, wave

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

HALF_WIDTH, HALF_HEIGHT = 0.236, 0.278  # of the head, in widths of the picture
_NECK = np.array([0.5, 0.82])  # the head tilts around this point
_BEARDED = ("short", "swept", "spiky", "bald", "beanie")
_TURN = 6.28  # phases are drawn from one turn


@dataclass(frozen=True)
class Character:
    """What stays the same through a clip; colours are float32 (3,), lengths in half head widths."""

    skin_id: int
    hair_id: int
    shirt_id: int
    style_id: int
    skin: np.ndarray
    hair: np.ndarray
    shirt: np.ndarray
    iris: np.ndarray
    style: str
    clothes: str
    mirror: int  # on which side the hair parts, -1 or 1
    eye_size: float
    smile: float
    mouth_width: float
    glasses: bool
    freckles: bool
    beard: bool
    jaw: float
    chin: float


def draw_character(rng: np.random.Generator) -> Character:
    """A random person."""
    skin_id, skin = pick(rng, SKINS)
    hair_id, hair = pick(rng, HAIRS)
    shirt_id, shirt = pick(rng, SHIRTS)
    _, iris = pick(rng, IRISES)
    style_id = int(rng.integers(len(HAIR_STYLES)))
    style = HAIR_STYLES[style_id]
    return Character(
        skin_id, hair_id, shirt_id, style_id, skin, hair, shirt, iris, style,
        clothes=CLOTHES[int(rng.integers(len(CLOTHES)))],
        mirror=1 if rng.random() < 0.5 else -1,
        eye_size=rng.uniform(1.0, 1.28),
        smile=rng.uniform(0.25, 1.0),
        mouth_width=rng.uniform(0.32, 0.42),
        glasses=rng.random() < 0.25,
        freckles=rng.random() < 0.2,
        beard=style in _BEARDED and rng.random() < 0.35,
        jaw=rng.uniform(0.66, 0.76),
        chin=rng.uniform(0.30, 0.42),
    )  # fmt: skip


@dataclass(frozen=True)
class Pose:
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
        x = HALF_WIDTH * (u + depth * np.sin(yaw)) + 0.5 + self.sway[:, None]
        y = HALF_HEIGHT * v + 0.462 + HALF_WIDTH * depth * np.sin(pitch)
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

    def at(self, u: float | np.ndarray, v: float | np.ndarray, lift: float = 1.0) -> np.ndarray:
        """One point of the face, which may move, in the picture: numbers or (F,) -> (F, 2)."""
        return self.surface(np.stack(np.broadcast_arrays(u, v), -1)[..., None, :], lift)[:, 0]


@dataclass(frozen=True)
class Expression:
    """What the face does in each frame; all arrays are (F,)."""

    mouth: np.ndarray  # 0 shut, 1 wide open
    eyes: np.ndarray  # 0 shut, 1 open
    gaze: np.ndarray  # -1 left, 1 right


def draw_motion(rng: np.random.Generator, times: np.ndarray) -> tuple[Pose, Expression]:
    """A head that sways, talks and blinks at its own pace."""
    yaw = rng.uniform(0.28, 0.48) * wave(times, rng.uniform(0.22, 0.38), rng.uniform(0, _TURN))
    pose = Pose(
        yaw=yaw,
        pitch=rng.uniform(0.04, 0.14) * wave(times, rng.uniform(0.3, 0.6), rng.uniform(0, _TURN)),
        roll=rng.uniform(0.02, 0.09) * wave(times, rng.uniform(0.2, 0.4), rng.uniform(0, _TURN)),
        sway=0.035 * np.sin(yaw) + 0.012 * wave(times, 0.3, rng.uniform(0, _TURN)),
    )
    talk = 0.42 + 0.42 * wave(times, rng.uniform(0.9, 1.5), rng.uniform(0, _TURN))
    mouth = np.clip(talk + 0.24 * wave(times, rng.uniform(0.35, 0.6), rng.uniform(0, _TURN)), 0, 1)
    every = rng.uniform(1.6, 2.8)  # seconds between blinks
    since = (times - rng.uniform(0.2, every) + every / 2) % every - every / 2
    eyes = 1.0 - np.exp(-((since / 0.14) ** 2))
    gaze = 0.8 * wave(times, rng.uniform(0.2, 0.45), rng.uniform(0, _TURN))
    return pose, Expression(mouth, eyes, gaze)
