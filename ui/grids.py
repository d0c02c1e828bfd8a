"""The clips of a sweep in one film or picture, with the names of its columns and rows."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from fvdm_core.grid_paper import grid_paper

MAX_BYTES = 2**26  # of all frames of a grid
MAX_PICTURES = 4096  # that are read for one
MAX_SIDE, MIN_SIDE = 256, 64  # pixels of a clip in it


def grid(
    clips: Sequence[Sequence[Path]],
    columns: Sequence[str],
    rows: Sequence[str],
    frame: int | None = None,
) -> np.ndarray:
    """All frames, or one, of clips side by side, uint8 (F, H, W, 3).

    clips: the pictures of each, row by row, none for one that is not there. columns, rows: what
    they are called; "" leaves the name out.

    Raises:
        ValueError: there is no clip, one is not of the first one's size, or a file is gone; or the
            grid is too large.
    """
    first = next((clip for clip in clips if clip), None)
    if first is None or len(clips) != len(columns) * len(rows):
        raise ValueError("none of these clips is there")
    height, width = read_picture(first[0]).shape[:2]
    count = min(len(clip) for clip in clips if clip)
    chosen = range(count) if frame is None else [min(frame, count - 1)]
    side = min(MAX_SIDE, max(height, width))
    while True:  # smaller where there are many
        scale = side / max(height, width)
        size = (max(1, round(width * scale)), max(1, round(height * scale)))
        paper, places = grid_paper(columns, rows, size)
        fits = paper.nbytes * len(chosen) <= MAX_BYTES
        if fits or side <= MIN_SIDE:
            break
        side = max(MIN_SIDE, side * 3 // 4)
    if not fits or len(clips) * len(chosen) > MAX_PICTURES:
        raise ValueError(
            f"{len(chosen)} frames of {len(clips)} clips are too many for one film; save the clips "
            "one by one"
        )
    film = np.repeat(paper[None], len(chosen), axis=0)
    for clip, (left, top) in zip(clips, places, strict=True):
        for at, index in enumerate(chosen if clip else ()):
            picture = read_picture(clip[index])
            if picture.shape[:2] != (height, width):
                raise ValueError("the clips are not of one size")
            if scale < 1:
                picture = cv2.resize(picture, size, interpolation=cv2.INTER_AREA)
            film[at, top : top + size[1], left : left + size[0]] = picture
    return film


def read_picture(path: Path) -> np.ndarray:
    """The pixels of a frame, uint8 (H, W, 3); raises `ValueError` where it is gone or damaged."""
    picture = cv2.imread(str(path), cv2.IMREAD_COLOR)
    if picture is None:
        raise ValueError(f"the frame {path.name} is missing or damaged")
    return np.ascontiguousarray(picture[..., ::-1])
