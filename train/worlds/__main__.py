"""Draw a contact sheet of a world and time its renderer: python -m train.worlds --sheet out.png."""

from __future__ import annotations

import argparse
import time

import cv2
import numpy as np

from train.worlds import WORLDS, render


def contact_sheet(videos: list[np.ndarray], columns: int = 8) -> np.ndarray:
    """One row per video (F, H, W, 3), ``columns`` of its frames, first to last -> one picture."""
    rows = []
    for video in videos:
        chosen = np.linspace(0, len(video) - 1, min(columns, len(video))).round().astype(int)
        rows.append(np.concatenate([np.pad(f, ((1, 1), (1, 1), (0, 0))) for f in video[chosen]], 1))
    return np.concatenate(rows, 0)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m train.worlds", description=__doc__)
    parser.add_argument("--sheet", metavar="PNG", help="write a contact sheet here")
    parser.add_argument("--world", choices=[*WORLDS, "all"], default="all")
    parser.add_argument("--seeds", type=int, default=4, help="clips of each world")
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--frames", type=int, default=16)
    parser.add_argument("--columns", type=int, default=8, help="frames shown of each clip")
    parser.add_argument("--size", type=int, default=64)
    args = parser.parse_args()
    for name in ("seeds", "columns"):
        if getattr(args, name) < 1:
            parser.error(f"--{name} is {getattr(args, name)}; it must be at least 1")
    if args.sheet and not args.sheet.lower().endswith(".png"):
        parser.error(f"--sheet is {args.sheet}; name a .png")

    cv2.setNumThreads(1)
    videos = []
    for world in WORLDS if args.world == "all" else [args.world]:
        start = time.process_time()
        seeds = range(args.first_seed, args.first_seed + args.seeds)
        try:
            videos += [render(world, seed, args.frames, args.size).video for seed in seeds]
        except ValueError as error:
            parser.error(str(error))
        each = (time.process_time() - start) / args.seeds
        shape = f"{args.frames}x{args.size}x{args.size}"
        print(f"{world:10} {1000 * each:6.1f} ms of one core per {shape} clip")
    if args.sheet:
        sheet = cv2.cvtColor(contact_sheet(videos, args.columns), cv2.COLOR_RGB2BGR)
        if not cv2.imwrite(args.sheet, sheet):
            raise SystemExit(f"could not write {args.sheet}; name a .png in a folder that exists")
        print(f"wrote {args.sheet}")


if __name__ == "__main__":
    main()
