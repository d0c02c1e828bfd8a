"""Shaded balls that bounce off the walls and each other by mass and momentum."""

from __future__ import annotations

import numpy as np

from train.worlds.base import pick, pixel_centres

# Few and far apart: what lies between two of them would be a ball that changes its colour, which
# is what a small model is slowest to unlearn.
BALL_NAMES = ("red", "yellow", "green", "blue")
BALL_COLORS = np.array(
    [(228, 46, 40), (250, 200, 24), (46, 168, 62), (48, 78, 222)],
    np.float32,
)
# Muted floors: none comes near the saturation of a ball.
FLOORS = np.array(
    [(226, 218, 206), (206, 214, 222), (212, 220, 206), (222, 212, 222), (196, 194, 198)],
    np.float32,
)

MARGIN = 0.012  # free space that the walls leave at the picture's edge
MAX_SPEED = 0.036  # widths per frame, collisions included
FPS = 8.0  # the clock against which speeds per frame are meant
_LIGHT = np.array([-0.45, -0.6, 0.66]) / np.linalg.norm([-0.45, -0.6, 0.66])  # z: to the viewer
_HALF_WAY = (_LIGHT + (0, 0, 1)) / np.linalg.norm(_LIGHT + (0, 0, 1))  # where a mirror would shine


def simulate(
    position: np.ndarray,
    velocity: np.ndarray,
    radius: np.ndarray,
    mass: np.ndarray,
    times: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    """Positions and velocities (F, n, 2) of elastic balls in the unit square at rising ``times``.

    Exact: it jumps from one collision to the next, so energy is kept and no ball enters another.
    """
    x, v, now = position.copy(), velocity.copy(), 0.0
    xs, vs = [], []
    first, second = np.triu_indices(len(radius), 1)  # every pair once
    for time in times:
        while now < time:
            wall, wall_hit = _next_wall(x, v, radius)
            pair, pair_hit = _next_pair(x, v, radius, first, second)
            until = min(time - now, wall, pair)
            x += v * until
            now += until
            if until == wall:
                v[wall_hit] *= -1
            elif until == pair:
                _bounce(x, v, mass, int(first[pair_hit]), int(second[pair_hit]))
        xs.append(x.copy())
        vs.append(v.copy())
    return np.array(xs), np.array(vs)


def _next_wall(x: np.ndarray, v: np.ndarray, radius: np.ndarray) -> tuple[float, tuple]:
    low, high = (radius + MARGIN)[:, None], (1 - radius - MARGIN)[:, None]
    gap = np.where(v > 0, high - x, x - low)
    wait = np.where(v != 0, np.maximum(gap, 0.0) / np.maximum(np.abs(v), 1e-12), np.inf)
    hit = np.unravel_index(int(np.argmin(wait)), wait.shape)
    return float(wait[hit]), hit


def _next_pair(
    x: np.ndarray, v: np.ndarray, radius: np.ndarray, first: np.ndarray, second: np.ndarray
) -> tuple[float, int]:
    if not len(first):
        return np.inf, 0
    d, w = x[first] - x[second], v[first] - v[second]
    reach = radius[first] + radius[second]
    a, b = (w * w).sum(-1), (d * w).sum(-1)
    gap = np.maximum((d * d).sum(-1) - reach**2, 0.0)
    disc = b * b - a * gap
    meets = (b < -1e-12) & (disc > 0)  # approaching, and the paths come close enough
    # the smaller root of |d + w t| = reach, in the form that does not cancel
    root = np.sqrt(np.maximum(disc, 0.0)) - np.minimum(b, 0) + 1e-12
    wait = np.where(meets, gap / root, np.inf)
    hit = int(np.argmin(wait))
    return float(wait[hit]), hit


def _bounce(x: np.ndarray, v: np.ndarray, mass: np.ndarray, i: int, j: int) -> None:
    normal = (x[i] - x[j]) / np.linalg.norm(x[i] - x[j])
    impulse = 2 * (v[i] - v[j]) @ normal / (1 / mass[i] + 1 / mass[j]) * normal
    v[i] -= impulse / mass[i]
    v[j] += impulse / mass[j]


def _start(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Radii (n,), positions and velocities per frame (n, 2) of balls that do not touch."""
    count = int(rng.integers(2, 4))
    while True:
        radius = rng.uniform(0.12, 0.17, count)
        low = (radius + MARGIN)[:, None]
        position = low + rng.random((count, 2)) * (1 - 2 * low)
        gap = np.linalg.norm(position[:, None] - position[None], axis=-1)
        gap -= radius[:, None] + radius[None]
        if (gap[np.triu_indices(count, 1)] < 0.02).any():
            continue
        # aimed near the middle, so that most clips hold a collision
        aim = rng.uniform(0.3, 0.7, (count, 2)) - position
        aim /= np.linalg.norm(aim, axis=1, keepdims=True)
        velocity = aim * rng.uniform(0.010, 0.030, (count, 1))
        # the fixed horizon keeps a clip's start independent of its length
        _, speeds = simulate(position, velocity, radius, radius**2, np.arange(24.0))
        if np.linalg.norm(speeds, axis=-1).max() <= MAX_SPEED:
            return radius, position, velocity


def _floor(rng: np.random.Generator, size: int) -> np.ndarray:
    """A softly graded floor (H, W, 3) float32."""
    _, tint = pick(rng, FLOORS)
    angle = rng.uniform(0, 2 * np.pi)
    at = pixel_centres(size) - 0.5
    slope = np.cos(angle) * at[None, :] + np.sin(angle) * at[:, None]
    vignette = at[None, :] ** 2 + at[:, None] ** 2
    return (tint * (1.0 + 0.10 * slope - 0.16 * vignette)[..., None]).astype(np.float32)


def render(
    rng: np.random.Generator, times: np.ndarray, size: int
) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """See ``train.worlds.render``; velocities are in widths per frame at 8 fps."""
    radius, start, speed = _start(rng)
    mass = (radius / 0.13) ** 2
    colors = rng.permutation(len(BALL_COLORS))[: len(radius)]
    floor = _floor(rng, size)
    position, velocity = simulate(start, speed, radius, mass, times * FPS)

    frames = len(times)
    picture = np.broadcast_to(floor, (frames, size, size, 3)) * _shadows(position, radius, size)
    for ball, color in enumerate(colors):
        _paint_ball(picture, position[:, ball], radius[ball], BALL_COLORS[color])
    video = np.clip(picture + 0.5, 0, 255).astype(np.uint8)
    factors = {
        "positions": position,
        "velocities": velocity,
        "radii": radius,
        "masses": mass,
        "colors": colors,
    }
    return video, factors


def _shadows(position: np.ndarray, radius: np.ndarray, size: int) -> np.ndarray:
    """How much light reaches the floor, (F, H, W, 1) float32."""
    at = pixel_centres(size)
    light = np.ones((len(position), size, size), np.float32)
    for ball, r in enumerate(radius):
        x, y = (position[:, ball] + 0.26 * r).astype(np.float32).T  # away from the light
        u = ((at - x[:, None]) / np.float32(1.22 * r)) ** 2
        v = ((at - y[:, None]) / np.float32(1.22 * r)) ** 2
        fade = np.maximum(1.0 - u[:, None, :] - v[:, :, None], 0.0)
        light *= 1.0 - 0.52 * fade * (2.0 - fade) * np.sqrt(fade)
    return light[..., None]


def _paint_ball(picture: np.ndarray, centre: np.ndarray, radius: float, color: np.ndarray) -> None:
    """Paint one sphere into all frames of ``picture`` (F, H, W, 3), inside its own window only."""
    frames, size = picture.shape[:2]
    reach = min(int(np.ceil(2 * radius * size)) + 3, size)
    corner = np.floor((centre - radius) * size).astype(int) - 1
    corner = np.clip(corner, 0, size - reach)
    at = (np.arange(reach) + 0.5)[None, :] + corner[:, :, None]  # (F, 2, reach) pixel centres
    offset = ((at / size - centre[:, :, None]) / radius).astype(np.float32)
    x, y = offset[:, 0, None, :], offset[:, 1, :, None]
    distance = np.sqrt(x * x + y * y)
    cover = np.clip((1.0 - distance) * (radius * size) + 0.5, 0.0, 1.0)
    z = np.sqrt(np.maximum(1.0 - distance**2, 0.0))
    facing = _LIGHT[0] * x + _LIGHT[1] * y + _LIGHT[2] * z
    diffuse = 0.62 + 0.46 * np.maximum(facing, -0.35) - 0.10 * (1 - z) ** 2
    shine = np.maximum(_HALF_WAY[0] * x + _HALF_WAY[1] * y + _HALF_WAY[2] * z, 0.0) ** 48
    ball = color * diffuse[..., None] + (255.0 - color) * (0.85 * shine)[..., None]
    for frame in range(frames):
        left, top = corner[frame]
        under = picture[frame, top : top + reach, left : left + reach]
        under += (ball[frame] - under) * cover[frame, ..., None]
