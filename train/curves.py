"""Draw how a run went, from its metrics: `python -m train.curves runs/NAME picture.png`."""

from __future__ import annotations

import argparse
import json
import sys
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

from fvdm_core.files import atomic_write, place

Point = tuple[int, float, float]  # step, loss, learning rate


def read(path: Path) -> dict[str, list[Point]]:
    """{stage: its points by step}, of a run's `metrics.jsonl`.

    What a stopped run did after its last saved state it did again: the later line counts. A line
    that a power cut tore is passed over.
    Raises `ValueError` where a line is no row or no step is there, `OSError` without a file.
    """
    stages: dict[str, dict[int, Point]] = defaultdict(dict)
    for number, line in enumerate(path.read_text("utf-8").splitlines(), 1):
        try:
            row = json.loads(line)
        except ValueError:
            continue
        try:
            if "stage" in row and "loss" in row:
                step = int(row["step"])
                stages[row["stage"]][step] = step, float(row["loss"]), float(row["lr"])
        except (ValueError, TypeError, KeyError) as error:
            raise ValueError(f"{place(path)}, line {number}: {error}") from None
    if not stages:
        raise ValueError(f"{place(path)} has no step of a training")
    return {name: [points[step] for step in sorted(points)] for name, points in stages.items()}


def draw(stages: dict[str, list[Point]], path: Path) -> None:
    """Loss and learning rate of every stage, one beside the other.

    Raises `ValueError` where matplotlib is not installed.
    """
    try:
        from matplotlib.figure import Figure  # optional, and slow to import
    except ImportError:
        raise ValueError("curves need matplotlib: pip install matplotlib") from None
    canvas = Figure(figsize=(6 * len(stages), 3.5), layout="constrained")
    for axes, (name, points) in zip(
        canvas.subplots(1, len(stages), squeeze=False)[0], stages.items(), strict=True
    ):
        steps, losses, rates = zip(*points, strict=True)
        axes.plot(steps, losses, marker=".", label="loss, mean since the point before")
        axes.set(xlabel="step", ylabel="loss", title=name)
        beside = axes.twinx()
        beside.plot(steps, rates, color="tab:gray", linestyle=":", label="learning rate")
        beside.set(ylabel="learning rate", ylim=(0, None))
        axes.legend(handles=[*axes.lines, *beside.lines], fontsize="small")
    with atomic_write(path) as temporary:
        canvas.savefig(temporary, dpi=110, format="png")


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m train.curves", description=__doc__)
    parser.add_argument("run", type=Path, help="the run's folder, or a metrics.jsonl")
    parser.add_argument("picture", type=Path, help="the PNG to write")
    options = parser.parse_args(arguments)
    metrics = options.run / "metrics.jsonl" if options.run.is_dir() else options.run
    try:
        draw(read(metrics), options.picture)
    except (OSError, ValueError) as error:
        print(f"curves: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
