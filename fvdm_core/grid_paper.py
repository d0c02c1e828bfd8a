"""What lies behind clips side by side: paper with a place for each, named by column and row."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw, ImageFont

GAP, TEXT = 6, 15  # pixels
PAPER, INK = (255, 255, 255), (40, 44, 52)
NO_CLIP = (232, 235, 240)


def grid_paper(
    columns: Sequence[str], rows: Sequence[str], size: tuple[int, int]
) -> tuple[np.ndarray, list[tuple[int, int]]]:
    """Paper, uint8 (H, W, 3), with all names on it, and the left and top of each place, row by row.

    columns, rows: the names; "" leaves one out. size: width and height of a place, in pixels.
    """
    font = ImageFont.load_default(TEXT)
    width, height = size
    beside = max(round(font.getlength(_short(name, font, 2 * width))) for name in rows)
    margin = GAP + (beside + GAP if beside else 0)
    above = GAP + (TEXT + GAP if any(columns) else 0)
    across, down = len(columns) * (width + GAP), len(rows) * (height + GAP)
    paper = Image.new("RGB", (margin + across, above + down), PAPER)
    draw = ImageDraw.Draw(paper)
    for place, name in enumerate(columns):
        middle = margin + place * (width + GAP) + width / 2
        draw.text((middle, GAP), _short(name, font, width), INK, font, anchor="mt")
    places = []
    for row, name in enumerate(rows):
        top = above + row * (height + GAP)
        draw.text((GAP, top + height / 2), _short(name, font, 2 * width), INK, font, anchor="lm")
        for column in range(len(columns)):
            left = margin + column * (width + GAP)
            draw.rectangle((left, top, left + width - 1, top + height - 1), NO_CLIP)
            places.append((left, top))
    return np.asarray(paper), places


def _short(name: str, font: ImageFont.FreeTypeFont | ImageFont.ImageFont, room: float) -> str:
    """As much of a name as there is room for."""
    if font.getlength(name) <= room:
        return name
    while name and font.getlength(name + "…") > room:
        name = name[:-1]
    return name + "…"
