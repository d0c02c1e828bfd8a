"""`python -m benchmarks.long`: time and memory of long clips, a process for each length."""

from __future__ import annotations

import argparse
import json
import subprocess
import sys

from benchmarks.machine import peak_memory, seconds
from fvdm_core import Pipeline, Timeline


def run(frames: int, steps: int, model: str | None) -> dict[str, float]:
    pipe = Pipeline.from_pretrained(model)
    timeline = Timeline.preset("standard", frames=frames, steps=steps, window=pipe.num_frames)
    before = peak_memory()
    taken = seconds(lambda: pipe(timeline, seed=0))
    return {"seconds": taken, "before": before, "peak": peak_memory()}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.long", description=__doc__)
    parser.add_argument("--frames", nargs="+", type=int, default=[16, 64, 128, 512])
    parser.add_argument("--steps", type=int, default=4)
    parser.add_argument("--model", help="a model folder (default: the shipped one)")
    parser.add_argument("--row", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.row:
        print(json.dumps(run(options.frames[0], options.steps, options.model)))
        return
    print("frames  seconds  per frame  MiB when loaded  peak MiB")
    for frames in options.frames:
        command = [sys.executable, "-m", "benchmarks.long", "--row", "--frames", str(frames)]
        command += ["--steps", str(options.steps)]
        command += ["--model", options.model] if options.model else []
        made = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
        told = json.loads(made.stdout.splitlines()[-1])
        print(
            f"{frames:6d}  {told['seconds']:7.1f}  {told['seconds'] / frames:9.3f}  "
            f"{told['before']:15.0f}  {told['peak']:8.0f}",
            flush=True,
        )


if __name__ == "__main__":
    main()
