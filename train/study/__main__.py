"""The paper's study, as one command that goes on where it stopped: `python -m train.study`.

Every arm learns from the same clips in the same order, with the same noise for the same seed; only
p, or the size, differs. An arm's figures are saved as they are made. The command may be started
several times at once: each process takes arms that no other is at.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import torch

from fvdm_core.files import place
from train.evaluate import WORLD_NETWORK
from train.evaluation.features import Extractor, WorldFeatures
from train.loop import Diverged
from train.run import Busy, Stopped

from . import cost
from .arms import prepare, real_apart, result_path, results, run_arm, write_real_apart
from .grid import Grid, load_grid
from .measure import Reference
from .report import plot, report


def main(arguments: Sequence[str] | None = None) -> int:
    options = _parse(arguments)
    try:
        if options.threads is not None:
            if options.threads < 1:
                raise ValueError(f"--threads is {options.threads}; it must be at least 1")
            torch.set_num_threads(options.threads)
        grid = load_grid(options.grid)
        out = options.out or Path("runs") / f"study-{grid.name}"
        if options.cost is not None:
            if options.cost < 1:
                raise ValueError(f"--cost is {options.cost}; it must be at least 1")
            print(cost.report(grid.shared(), options.cost))
            return 0
        if not options.report:
            _run(grid, out, _extractor(options.features))
        found = list(results(grid, out))
        print(report(grid, found, real_apart(out)))
        if options.plots:
            paths = plot(grid, found, out / "plots")
            print("\nPlots: " + (", ".join(place(path) for path in paths) or "none"))
    except Stopped as stopped:
        print(f"{stopped}. The same command goes on from there.")
    except KeyboardInterrupt:
        print("Stopped at once; figures that are there are kept.", file=sys.stderr)
        return 130
    except (ValueError, Diverged, ArithmeticError, OSError) as error:
        print(f"study: {error}", file=sys.stderr)
        return 1
    return 0


def _run(grid: Grid, out: Path, extractor: Extractor | None) -> None:
    shared = prepare(grid, out)
    data, names = grid.shared().data, list(shared.clips.label_names)
    reference = Reference(names, grid.clips, data.frames, data.image_size, data.fps, extractor)
    noted = False
    for number, arm in enumerate(grid.arms(), 1):
        try:
            result = run_arm(grid, arm, shared, reference, out)
        except Busy:
            print(f"{number} of {len(grid.arms())}: {arm.name} is another process's", flush=True)
            continue
        print(f"{number} of {len(grid.arms())}: {arm.name}, {len(result['cells'])} figures in "
              f"{place(result_path(out, arm))}", flush=True)  # fmt: skip
        if not noted:  # the figures that are there are of these features
            write_real_apart(grid, shared, reference, out)
            noted = True


def _extractor(path: Path) -> Extractor | None:
    """The world network; without it distances are left out and the report says so."""
    if path == WORLD_NETWORK and not path.is_file():
        return None
    return WorldFeatures(path)


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m train.study", description=__doc__)
    parser.add_argument("--grid", default="small", help="smoke, small, full, or a TOML file")
    parser.add_argument("--out", type=Path, help="the study's folder (default: runs/study-GRID)")
    parser.add_argument("--threads", type=int, help="processor threads (default: all cores)")
    parser.add_argument(
        "--features",
        type=Path,
        metavar="FILE",
        default=WORLD_NETWORK,
        help="a network by train.evaluation.learn, for world-FVD",
    )
    parser.add_argument("--report", action="store_true", help="only print what is there so far")
    parser.add_argument("--plots", action="store_true", help="draw them too; needs matplotlib")
    parser.add_argument(
        "--cost",
        type=int,
        metavar="ROUNDS",
        help="only measure what timesteps per frame cost at the grid's size",
    )
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
