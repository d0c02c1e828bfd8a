"""Draw what a model makes, unselected, and render the example keyframes: `python -m train.gallery`.

The same model, seeds and machine give the same files: the printed sha256 sums tell.
"""

from __future__ import annotations

import argparse
import hashlib
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont
from tqdm import tqdm

from fvdm_core.files import atomic_write
from fvdm_core.pipeline import Pipeline

from .evaluation.common import (
    TASKS,
    VideoModel,
    check_worlds,
    generate,
    possible,
    preset,
    unseen,
)
from .worlds import UNSEEN, WORLDS, render

PRESET = "staggered"  # of the samples from labels: balls keep best in it (docs/evidence.md)
SEEDS = range(8)  # of the unselected samples
PAIRS = range(2)  # unseen clips whose frames are kept
COLUMNS = 8  # frames shown of a clip, first to last

KEYFRAME_SIZE = 256
KEYFRAME_SEEDS = {name: (UNSEEN + 1001, UNSEEN + 1002) for name in WORLDS}

MARGIN = 96  # pixels beside a row, for its name
LINE = 22  # pixels above the rows, for the sheet's title
GAP = 2
PAPER, INK, FRAME = (255, 255, 255), (40, 40, 40), (0, 114, 178)


@dataclass(frozen=True)
class Row:
    """A clip, uint8 (F, H, W, 3), its name, and which of its frames were given."""

    name: str
    frames: np.ndarray
    kept: tuple[int, ...] = ()


def draw_sheet(title: str, rows: Sequence[Row], columns: int = COLUMNS) -> np.ndarray:
    """Rows of frames under a title, uint8 (height, width, 3); frames that were given are framed."""
    height, width = rows[0].frames.shape[1:3]
    shown = np.linspace(0, len(rows[0].frames) - 1, min(columns, len(rows[0].frames)))
    shown = shown.round().astype(int)
    size = (MARGIN + len(shown) * (width + GAP), LINE + len(rows) * (height + GAP))
    sheet = Image.new("RGB", size, PAPER)
    draw = ImageDraw.Draw(sheet)
    font = ImageFont.load_default(12)
    draw.text((4, LINE // 2), title, INK, font, anchor="lm")
    for r, row in enumerate(rows):
        top = LINE + r * (height + GAP)
        draw.text((4, top + height // 2), row.name, INK, font, anchor="lm")
        for c, frame in enumerate(shown):
            left = MARGIN + c * (width + GAP)
            sheet.paste(Image.fromarray(row.frames[frame]), (left, top))
            if frame in row.kept:
                corners = (left, top, left + width - 1, top + height - 1)
                draw.rectangle(corners, outline=FRAME, width=2)
    return np.array(sheet)


def draw_samples(model: VideoModel, world: str) -> np.ndarray:
    """Seeds 0 to 7 of a world, from its label alone."""
    timeline = preset(PRESET, model)
    rows = [
        Row(f"seed {seed}", model(timeline, label=world, seed=seed).frames)
        for seed in tqdm(SEEDS, desc=world, leave=False, disable=None)
    ]
    return draw_sheet(f"{world}: generated from the label, {PRESET}, unselected", rows)


def draw_keyframe_tasks(model: VideoModel, world: str) -> np.ndarray:
    """For unseen clips: the true one, and what the model makes of its frames that are kept."""
    rows = []
    for task in possible(TASKS, model.num_frames):
        kept = preset(task, model).kept
        for seed in tqdm(PAIRS, desc=f"{world} {task}", leave=False, disable=None):
            truth = unseen(model, world, seed)
            (made,) = generate(model, task, world, [seed], [truth])
            short = "image to video" if task == "image-to-video" else "in-between"
            rows += [Row(f"true clip {seed}", truth), Row(short, made, kept)]
    return draw_sheet(f"{world}: unseen clips, and made from their framed frames", rows)


def draw_gallery(model: VideoModel, folder: Path) -> list[Path]:
    """Write two sheets for every world of the model, or one where it has too few frames to keep."""
    check_worlds(model)
    paths = []
    for world in model.card.labels:
        sheets = {world: draw_samples}
        if possible(TASKS, model.num_frames):
            sheets[f"{world}-keyframes"] = draw_keyframe_tasks
        for name, draw in sheets.items():
            paths.append(folder / f"{name}.jpg")
            _write_jpeg(paths[-1], draw(model, world))
    return paths


def write_keyframes(folder: Path) -> list[Path]:
    """Write the first and last frames of unseen clips of every world, pairs to fill in between."""
    paths = []
    for world, seeds in KEYFRAME_SEEDS.items():
        for number, seed in enumerate(seeds, start=1):
            video = render(world, seed, size=KEYFRAME_SIZE).video
            for end, frame in (("first", video[0]), ("last", video[-1])):
                paths.append(folder / f"{world}-{number}-{end}.png")
                _write_small_png(paths[-1], frame)
    return paths


def _write_jpeg(path: Path, sheet: np.ndarray) -> None:
    with atomic_write(path) as temporary:
        Image.fromarray(sheet).save(temporary, format="JPEG", quality=90, subsampling=0)


def _write_small_png(path: Path, frame: np.ndarray) -> None:
    with atomic_write(path) as temporary:
        Image.fromarray(frame).save(temporary, format="PNG", optimize=True)


def _print_sums(paths: Iterable[Path]) -> None:
    """As `sha256sum` prints them, so that `sha256sum --check` compares."""
    for path in paths:
        print(f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path}")


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m train.gallery", description=__doc__)
    parser.add_argument("--model", help="a model folder (default: the shipped one)")
    parser.add_argument("--out", type=Path, default=Path("docs/samples"), help="for the sheets")
    parser.add_argument(
        "--keyframes", type=Path, metavar="DIR", help="render example keyframes here instead"
    )
    options = parser.parse_args(arguments)
    folder = options.keyframes or options.out
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if options.keyframes:
            paths = write_keyframes(folder)
        else:
            paths = draw_gallery(Pipeline.from_pretrained(options.model), folder)
    except (ValueError, ArithmeticError, OSError) as error:
        print(f"gallery: {error}", file=sys.stderr)
        return 1
    _print_sums(paths)
    return 0


if __name__ == "__main__":
    sys.exit(main())
