"""Antialiased drawing in units of the picture's width, for worlds made of shapes."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import cv2
import numpy as np

_SHIFT = 5  # cv2 takes polygon corners in 1/32 of a pixel


def supersampling(size: int) -> int:
    """How many times finer than ``size`` shapes are drawn; small pictures need it most."""
    return 4 if size <= 64 else 3 if size <= 128 else 2


def ellipse(
    centre: np.ndarray,
    rx: float | np.ndarray,
    ry: float | np.ndarray,
    angle: float | np.ndarray = 0.0,
    corners: int = 28,
) -> np.ndarray:
    """An ellipse as a polygon: centre (..., 2), radii and angle (...) -> (..., corners, 2)."""
    turn = np.linspace(0.0, 2 * np.pi, corners, endpoint=False)
    x = np.asarray(rx)[..., None] * np.cos(turn)
    y = np.asarray(ry)[..., None] * np.sin(turn)
    cos, sin = np.cos(angle)[..., None], np.sin(angle)[..., None]
    return np.stack([x * cos - y * sin, x * sin + y * cos], -1) + centre[..., None, :]


def limb(a: np.ndarray, b: np.ndarray, ra: float, rb: float, corners: int = 8) -> np.ndarray:
    """A rounded, tapering stick from ``a`` (radius ``ra``) to ``b``: (..., 2) -> (..., 2k, 2)."""
    along = np.arctan2(b[..., 1] - a[..., 1], b[..., 0] - a[..., 0])[..., None]
    half = np.linspace(-np.pi / 2, np.pi / 2, corners)
    end = np.stack([np.cos(along + half), np.sin(along + half)], -1) * rb + b[..., None, :]
    start = np.stack([np.cos(along + half + np.pi), np.sin(along + half + np.pi)], -1)
    return np.concatenate([end, start * ra + a[..., None, :]], -2)


def ribbon(path: np.ndarray, width: float | np.ndarray) -> np.ndarray:
    """A stroke along ``path`` (..., N, 2), ``width`` wide (a number or one per point)."""
    tangent = np.gradient(path, axis=-2)
    tangent /= np.linalg.norm(tangent, axis=-1, keepdims=True) + 1e-9
    normal = np.stack([-tangent[..., 1], tangent[..., 0]], -1)
    half = np.broadcast_to(np.asarray(width) / 2, path.shape[-2:-1])[:, None]
    return np.concatenate([path + normal * half, (path - normal * half)[..., ::-1, :]], -2)


def spline(points: np.ndarray, per_segment: int = 5, closed: bool = False) -> np.ndarray:
    """A Catmull-Rom curve through ``points`` (..., N, 2) -> (..., M, 2)."""
    if closed:
        padded = np.concatenate([points[..., -1:, :], points, points[..., :2, :]], -2)
    else:
        padded = np.concatenate([points[..., :1, :], points, points[..., -1:, :]], -2)
    u = np.linspace(0.0, 1.0, per_segment, endpoint=False)[:, None]
    p0, p1 = padded[..., :-3, None, :], padded[..., 1:-2, None, :]
    p2, p3 = padded[..., 2:-1, None, :], padded[..., 3:, None, :]
    curve = 0.5 * (
        2 * p1 + (p2 - p0) * u + (2 * p0 - 5 * p1 + 4 * p2 - p3) * u**2
        + (3 * p1 - p0 - 3 * p2 + p3) * u**3
    )  # fmt: skip
    curve = curve.reshape(*curve.shape[:-3], -1, 2)
    return curve if closed else np.concatenate([curve, points[..., -1:, :]], -2)


def curve(*points: tuple[float, float], steps: int = 5) -> np.ndarray:
    """The spline through a few points given as numbers, (M, 2)."""
    return spline(np.array(points, np.float64), steps)


@dataclass(frozen=True)
class _Fill:
    points: np.ndarray  # (F or 1, N, 2)
    color: tuple[float, ...]


@dataclass(frozen=True)
class _Glow:
    centre: np.ndarray  # (F or 1, 2)
    rx: float
    ry: float
    color: np.ndarray
    strength: float


@dataclass
class Drawing:
    """A stack of shapes, painted in the order in which they were added.

    Each shape is given for all frames at once, (F, N, 2), or once for a whole clip, (N, 2), so that
    the geometry is array arithmetic and only the painting runs frame by frame.
    """

    items: list[_Fill | _Glow] = field(default_factory=list)

    def fill(self, points: np.ndarray, color: np.ndarray) -> None:
        """A filled polygon in one colour (3,), 0 to 255."""
        points = points if points.ndim == 3 else points[None]
        self.items.append(_Fill(points, tuple(float(c) for c in np.clip(color, 0, 255))))

    def glow(
        self, centre: np.ndarray, rx: float, ry: float, color: np.ndarray, strength: float
    ) -> None:
        """A soft spot: ``color`` blended in by ``strength`` at its centre, nothing at its edge."""
        centre = centre if centre.ndim == 2 else centre[None]
        tone = np.clip(color, 0, 255).astype(np.float32)
        self.items.append(_Glow(centre, rx, ry, tone, strength))

    def zoom(self, factor: float, about: np.ndarray) -> None:
        """Enlarge what was drawn so far, keeping the point ``about`` where it is."""
        for k, item in enumerate(self.items):
            if isinstance(item, _Fill):
                self.items[k] = _Fill(about + (item.points - about) * factor, item.color)
            else:
                centre = about + (item.centre - about) * factor
                self.items[k] = replace(
                    item, centre=centre, rx=item.rx * factor, ry=item.ry * factor
                )

    def paint_frame(self, picture: np.ndarray, frame: int = 0) -> None:
        """Paint one frame in place onto ``picture`` (side, side, 3) uint8."""
        for item in self.items:
            _prepare(item, picture.shape[0])(picture, frame)

    def paint(self, background: np.ndarray, frames: int, size: int) -> np.ndarray:
        """The clip (frames, size, size, 3) uint8 over ``background`` (side, side, 3) uint8.

        ``background`` is as wide as ``size * supersampling(size)``.
        """
        steps = [_prepare(item, background.shape[0]) for item in self.items]
        video = np.empty((frames, size, size, 3), np.uint8)
        for frame in range(frames):
            picture = background.copy()
            for step in steps:
                step(picture, frame)
            cv2.resize(picture, (size, size), dst=video[frame], interpolation=cv2.INTER_AREA)
        return video


def _prepare(item: _Fill | _Glow, side: int):
    if isinstance(item, _Fill):
        # cv2 puts integer coordinates at pixel centres, ours are at pixel corners
        corners = np.round((item.points * side - 0.5) * 2**_SHIFT).astype(np.int32)
        last = len(corners) - 1

        def fill(picture: np.ndarray, frame: int) -> None:
            cv2.fillPoly(picture, [corners[min(frame, last)]], item.color, cv2.LINE_AA, _SHIFT)

        return fill

    half_w, half_h = int(np.ceil(item.rx * side)), int(np.ceil(item.ry * side))
    dx = np.arange(-half_w, half_w + 1) / (item.rx * side)
    dy = np.arange(-half_h, half_h + 1) / (item.ry * side)
    fade = np.clip(1.0 - dx**2 - dy[:, None] ** 2, 0.0, 1.0) ** 2
    alpha = (item.strength * fade).astype(np.float32)[..., None]
    corner = np.round(item.centre * side).astype(int) - (half_w, half_h)
    last_centre = len(corner) - 1

    def glow(picture: np.ndarray, frame: int) -> None:
        x, y = corner[min(frame, last_centre)]
        x0, y0 = max(x, 0), max(y, 0)
        x1, y1 = min(x + 2 * half_w + 1, side), min(y + 2 * half_h + 1, side)
        if x0 >= x1 or y0 >= y1:
            return
        under = picture[y0:y1, x0:x1]
        spot = alpha[y0 - y : y1 - y, x0 - x : x1 - x]
        under[:] = under + (item.color - under) * spot + 0.5

    return glow
