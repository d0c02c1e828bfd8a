"""`python -m train prepare DIR`: read a folder of videos and pictures, and say what was skipped."""

from __future__ import annotations

import argparse
import json
from contextlib import closing
from itertools import islice
from pathlib import Path

import numpy as np

from .folder import prepare_folder
from .labels import readable
from .listing import SKIPPED
from .options import add_data_options, configure, run_folder, training_command
from .run import Run

EXAMPLES = 3  # of each reason
WIDTH = 160  # characters of an example


def parse(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m train prepare", description=__doc__)
    parser.add_argument("data", metavar="DIR", help="videos, and pictures, are below this folder")
    parser.add_argument("config", nargs="?", default="default", help="a TOML file or shipped name")
    parser.add_argument("--out", type=Path, help="the run's folder (default: runs/<its name>)")
    add_data_options(parser)
    return parser.parse_args(arguments)


def prepare(arguments: list[str]) -> None:
    """Read the folder into the run's, where `python -m train --data DIR` finds it."""
    options = parse(arguments)
    config, out = configure(options), run_folder(options)
    with closing(Run(out)) as run:
        run.catch_signals()
        stop, sizes = lambda: run.stop_requested, config.sizes
        clips = prepare_folder(config.data, out, stop=stop, sizes=sizes)
    for line in _examples(out / SKIPPED):
        print(readable(line))
    stills = np.flatnonzero(clips.still(np.arange(len(clips))))
    holes = sum(clips.video[int(index), 1:].nbytes for index in stills)
    size = clips.video.nbytes - holes
    print(f"The frames take {size / 1e6:.1f} MB in {out}. To train on them:")
    print(readable(training_command(options)))


def _examples(path: Path) -> list[str]:
    """For every reason how many files were skipped, and the first of them."""
    by_reason: dict[str, list[dict[str, str]]] = {}
    for row in json.loads(path.read_text("utf-8")):
        by_reason.setdefault(row["reason"], []).append(row)
    lines = []
    for reason, rows in sorted(by_reason.items(), key=lambda item: -len(item[1])):
        lines.append(f"{len(rows)} {reason}:")
        lines += [f"  {row['message'][:WIDTH]}" for row in islice(rows, EXAMPLES)]
        if len(rows) > EXAMPLES:
            lines.append(f"  … and {len(rows) - EXAMPLES} more, in {path}")
    return lines
