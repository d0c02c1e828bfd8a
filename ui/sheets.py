"""All frames of a preview in one JPEG, so that an update of the live strip is one small message."""

from __future__ import annotations

import base64
import math
from dataclasses import dataclass

import cv2
import numpy as np

MAX_TILE = 128  # pixels; larger tiles cost the browser more time than they show
MAX_SHEET = 2048  # pixels a side, whatever the number of frames
QUALITY = 85
RIBBON_FRAMES, RIBBON_TILE = 8, 72  # of a thumbnail


@dataclass(frozen=True)
class Sheet:
    """A JPEG of `frames` tiles, left to right and top to bottom in `columns`."""

    jpeg: bytes
    columns: int
    tile: tuple[int, int]  # width, height
    frames: int

    @property
    def data_url(self) -> str:
        return "data:image/jpeg;base64," + base64.b64encode(self.jpeg).decode("ascii")


def make_sheet(video: np.ndarray, max_tile: int = MAX_TILE) -> Sheet:
    """Tiles of `video`, uint8 (F, H, W, 3), at most `max_tile` pixels on their longer side."""
    frames, height, width, _ = video.shape
    columns = math.ceil(math.sqrt(frames))
    rows = math.ceil(frames / columns)
    longest = max(1, min(max_tile, MAX_SHEET // columns))
    scale = min(1.0, longest / max(height, width))
    tile = (max(1, round(width * scale)), max(1, round(height * scale)))
    sheet = np.zeros((rows * tile[1], columns * tile[0], 3), np.uint8)
    for index, frame in enumerate(video):
        small = frame if scale == 1 else cv2.resize(frame, tile, interpolation=cv2.INTER_AREA)
        top, left = index // columns * tile[1], index % columns * tile[0]
        sheet[top : top + tile[1], left : left + tile[0]] = small
    ok, jpeg = cv2.imencode(".jpg", sheet[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, QUALITY])
    assert ok, "OpenCV encodes any uint8 picture of this size"
    return Sheet(jpeg.tobytes(), columns, tile, frames)


def make_ribbon(video: np.ndarray) -> bytes:
    """A thumbnail of a clip, uint8 (F, H, W, 3): a JPEG of up to 8 square tiles beside each other.

    The tiles are frames evenly spread over the clip, cut to their middle.
    """
    count = min(RIBBON_FRAMES, len(video))
    chosen = np.linspace(0, len(video) - 1, count).round().astype(int)
    side = min(video.shape[1:3])
    top, left = ((length - side) // 2 for length in video.shape[1:3])
    ribbon = np.concatenate(
        [
            cv2.resize(
                video[index, top : top + side, left : left + side],
                (RIBBON_TILE, RIBBON_TILE),
                interpolation=cv2.INTER_AREA,
            )
            for index in chosen
        ],
        axis=1,
    )
    ok, jpeg = cv2.imencode(".jpg", ribbon[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, QUALITY])
    assert ok, "OpenCV encodes any uint8 picture of this size"
    return jpeg.tobytes()
