"""Soft clouds drifting over layered hills under a low sun, from dawn to storm."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from train.worlds.base import mix, pixel_centres, rgb, smoothstep


@dataclass(frozen=True)
class Palette:
    """The colours of one time of day, and how its clouds and sun may stand."""

    name: str
    zenith: tuple[int, int, int]
    horizon: tuple[int, int, int]
    sun: tuple[int, int, int]
    cloud_light: tuple[int, int, int]
    cloud_shade: tuple[int, int, int]
    hill: tuple[int, int, int]
    sun_height: tuple[float, float]  # above the horizon, in widths
    glow: float
    cover: tuple[float, float]


PALETTES = (
    Palette("dawn", (92, 124, 196), (255, 208, 178), (255, 236, 196), (255, 232, 222),
            (178, 150, 188), (66, 74, 104), (0.06, 0.24), 0.85, (0.30, 0.62)),
    Palette("noon", (40, 112, 208), (192, 226, 246), (255, 252, 232), (255, 255, 255),
            (172, 190, 216), (50, 106, 62), (0.30, 0.52), 0.55, (0.28, 0.62)),
    Palette("dusk", (54, 44, 112), (255, 146, 84), (255, 206, 128), (255, 182, 140),
            (122, 72, 126), (38, 28, 56), (0.03, 0.18), 0.95, (0.30, 0.62)),
    Palette("storm", (54, 66, 86), (178, 186, 186), (244, 238, 212), (206, 212, 214),
            (70, 80, 96), (40, 58, 54), (0.10, 0.34), 0.40, (0.62, 0.85)),
)  # fmt: skip

_ROWS = 32_766  # that OpenCV's remap takes at once
_TILE = 256  # pixels of a cloud field, which repeats seamlessly
_WAVES = 44  # the finest waves of a cloud field, per tile
_SPAN = 0.36  # tiles across the picture where clouds are nearest
_DEPTH = 0.50  # how slowly clouds shrink towards the horizon


def _field(rng: np.random.Generator) -> np.ndarray:
    """Smooth noise that repeats, (TILE, TILE) float32, mean 0, deviation 1.

    Drawn as random waves: noise on a grid would show straight edges along its axes.
    """
    ky = np.arange(-_WAVES, _WAVES + 1)
    k = np.hypot(ky[:, None], np.arange(_WAVES + 1)[None, :])
    # cloud-like: strongest at 2 to 3 waves per tile, then falling, and nothing on a whole tile
    gain = (k**2 + 2.2**2) ** (-1.9 / 2) * (k > 1.2) * np.exp(-((k / _WAVES) ** 4))
    waves = rng.standard_normal((2, *k.shape))
    spectrum = np.zeros((_TILE, _TILE // 2 + 1), np.complex64)
    spectrum[ky, : _WAVES + 1] = gain * (waves[0] + 1j * waves[1])
    noise = np.fft.irfft2(spectrum, (_TILE, _TILE))
    return (noise / noise.std()).astype(np.float32)


def _ridge(rng: np.random.Generator, x: np.ndarray, roughness: float) -> np.ndarray:
    """The outline of a hill, (W,) in about [-1, 1]."""
    outline = np.zeros_like(x)
    for octave in range(5):
        waves = rng.uniform(0.5, 0.9) * 2.0**octave
        outline += roughness**octave * np.sin(2 * np.pi * (waves * x + rng.random()))
    return outline * (1 - roughness)


def _trees(rng: np.random.Generator, x: np.ndarray) -> np.ndarray:
    """How far a few groups of conifers rise above a ridge, (W,) in widths."""
    rise = np.zeros_like(x)
    for grove in rng.random(int(rng.integers(1, 4))):
        for _ in range(int(rng.integers(2, 6))):
            at, height = grove + rng.normal(0, 0.05), rng.uniform(0.035, 0.085)
            rise = np.maximum(rise, height * (1 - np.abs(x - at) / (0.26 * height)))
    return rise


def _hills(
    rng: np.random.Generator, size: int, horizon: float, haze: np.ndarray, near: np.ndarray
) -> list[tuple[np.ndarray, np.ndarray]]:
    """From far to near: cover (H, W, 1) in [0, 1] and colours (H, W, 3)."""
    at = pixel_centres(size)
    trees = rng.random() < 0.6
    layers = []
    for k in range(3):
        height = horizon + (-0.02, 0.055, 0.15)[k] + rng.uniform(-0.015, 0.015)
        ridge = height - (0.075, 0.05, 0.04)[k] * _ridge(rng, at, (0.5, 0.45, 0.38)[k])
        forest = _trees(rng, at)
        top = ridge - forest if k == 2 and trees else ridge
        cover = np.clip((at[:, None] - top) * size + 0.5, 0, 1)[..., None]
        tone = mix(haze, near, (0.38, 0.70, 1.0)[k])
        misty = mix(tone, haze, 0.34 - 0.08 * k)  # mist gathers at the foot of each hill
        foot = smoothstep(0.0, 0.20, at[:, None] - ridge)[..., None]
        layers.append((cover, mix(tone, misty, foot)))
    return layers


def render(
    rng: np.random.Generator, times: np.ndarray, size: int
) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """See ``train.worlds.render``."""
    kind = int(rng.integers(len(PALETTES)))
    palette = PALETTES[kind]
    tint = rng.normal(0, 7, 3).astype(np.float32)
    colors = {
        name: np.clip(np.array(getattr(palette, name), np.float32) + tint, 0, 255)
        for name in ("zenith", "horizon", "cloud_light", "cloud_shade", "hill")
    }
    sun_color = np.array(palette.sun, np.float32)
    horizon = rng.uniform(0.68, 0.77)
    sun = np.array([rng.uniform(0.15, 0.85), horizon - rng.uniform(*palette.sun_height)])
    cover = rng.uniform(*palette.cover)
    heading = rng.choice([-1.0, 1.0])
    velocity = np.array([heading * rng.uniform(0.07, 0.15), rng.uniform(-0.015, 0.03)])

    clear, halo = _clear_sky(palette, colors, horizon, sun, size)
    density, light = _clouds(rng, times, size, horizon, sun, cover, velocity)
    # clouds near the sun take its light: one mixture of three colours per pixel
    lit = np.clip(light + 0.5 * halo, 0, 1)
    backlit = 0.55 * halo[..., None]
    shade = mix(colors["cloud_shade"], sun_color, backlit)
    gain = (colors["cloud_light"] - colors["cloud_shade"]) * (1 - backlit)
    sky = gain * lit[..., None]
    sky += shade - clear
    sky *= 0.94 * density[..., None]
    sky += clear

    haze = mix(colors["horizon"], colors["hill"], 0.18)
    land, bare = np.zeros((size, size, 3)), np.ones((size, size, 1))
    for hill, tone in _hills(rng, size, horizon, haze, colors["hill"]):
        land = mix(land, mix(tone, sun_color, 0.30 * halo[..., None]), hill)
        bare *= 1 - hill
    sky *= bare.astype(np.float32)
    sky += land.astype(np.float32)
    sky += 0.5
    video = np.clip(sky, 0, 255, out=sky).astype(np.uint8)
    factors = {
        "palette": np.array(kind),
        "sun": sun,
        "horizon": np.array(horizon),
        "cloud_velocity": velocity,  # widths per second where clouds are nearest, at the top
        "cloud_cover": density[:, : int(horizon * size * 0.85)].mean((1, 2)),
    }
    return video, factors


def _clear_sky(
    palette: Palette, colors: dict[str, np.ndarray], horizon: float, sun: np.ndarray, size: int
) -> tuple[np.ndarray, np.ndarray]:
    """The sky without clouds (H, W, 3) and how far the sun's glow fills it (H, W), float32."""
    x = pixel_centres(size)[None, :]
    y = pixel_centres(size)[:, None]
    away = np.sqrt((x - sun[0]) ** 2 + (y - sun[1]) ** 2)
    halo = palette.glow * (0.55 * np.exp(-away / 0.22) + 0.45 * np.exp(-((away / 0.11) ** 2)))
    disc = np.clip((0.045 - away) * size + 0.5, 0, 1) * (0.35 if palette.name == "storm" else 1.0)
    height = np.clip(y / horizon, 0, 1) ** 1.35
    clear = mix(colors["zenith"], colors["horizon"], height[..., None] * np.ones((size, size, 1)))
    clear = mix(clear, np.array(palette.sun, np.float32), halo[..., None])
    clear = mix(clear, rgb(255, 253, 244), disc[..., None])
    return clear.astype(np.float32), halo.astype(np.float32)


def _clouds(
    rng: np.random.Generator,
    times: np.ndarray,
    size: int,
    horizon: float,
    sun: np.ndarray,
    cover: float,
    velocity: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    """Opacity and brightness of the clouds, (F, H, W) float32 in [0, 1]."""
    body, detail = _field(rng), _field(rng)
    start = rng.random(4).astype(np.float32)
    x = pixel_centres(size)[None, :] - 0.5
    y = pixel_centres(size)[:, None]
    # all in float32: these arrays hold the whole clip
    sun, velocity, times = (a.astype(np.float32) for a in (sun, velocity, times))
    # a flat layer of clouds seen from below: smaller and slower towards the horizon
    far = (horizon + _DEPTH) / np.maximum(horizon - y + _DEPTH, _DEPTH)
    far = far.astype(np.float32)
    u, v = x * far * _SPAN, far * _SPAN * 1.05 + np.zeros_like(x)
    drift = -times[:, None, None] * velocity[:, None, None, None] * _SPAN  # (2, F, 1, 1)

    def sample(noise: np.ndarray, at: np.ndarray, pace: float, toward: float = 0.0) -> np.ndarray:
        u_t = u + at[0] + pace * drift[0] + toward * (sun[0] - 0.5 - x) * _SPAN
        v_t = v + at[1] + pace * drift[1] + toward * (sun[1] - y) * _SPAN
        map_x, map_y = (c * np.float32(_TILE) for c in (u_t, v_t))  # (F, H, W)
        noisy = np.empty_like(map_x)
        for first in range(0, len(times), _ROWS // size):  # OpenCV takes so many rows at once
            part = slice(first, first + _ROWS // size)
            at_x, at_y = (each[part].reshape(-1, size) for each in (map_x, map_y))
            found = cv2.remap(noise, at_x, at_y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_WRAP)
            noisy[part] = found.reshape(-1, size, size)
        return noisy

    # two fields at different paces, so that clouds change shape as they drift
    bulk = sample(body, start[:2], 1.0)
    here = bulk + np.float32(0.45) * sample(detail, start[2:], 1.3)
    edge = 1.25 - 2.3 * cover
    density = smoothstep(edge - 0.35, edge + 1.15, here)
    density *= np.float32(smoothstep(-0.02, 0.14, horizon - y))
    # a cloud is bright where it is thinner towards the sun than here
    sunward = sample(body, start[:2], 1.0, 0.16)
    light = np.float32(0.58) + np.float32(0.34) * (here - sunward) - np.float32(0.08) * here
    return density, light
