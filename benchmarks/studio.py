"""`python -m benchmarks.studio`: how long a person waits, with a model, on this machine."""

from __future__ import annotations

import argparse
import os
import platform
import resource
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from fvdm_core import Pipeline, Timeline

ROOT = Path(__file__).resolve().parent.parent


def median_seconds(action: Callable[[], object], repeats: int = 5) -> float:
    """The median of a few runs, after one that does not count."""
    action()
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        action()
        times.append(time.perf_counter() - start)
    return float(np.median(times))


def matmul_rate(dtype: torch.dtype, size: int = 2048) -> float:
    """This machine's matrix products, in GFLOP/s: the yardstick for everything else."""
    a, b = torch.randn(2, size, size).to(dtype)
    return 2 * size**3 / median_seconds(lambda: a @ b) / 1e9


def page_ready(model: str | None) -> float:
    """Seconds from `python app.py` to an answered page."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "app.py", "--port", str(port)]
    command += ["--model", model] if model else []
    start = time.perf_counter()
    server = subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        while time.perf_counter() - start < 120:
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=5).read()
                return time.perf_counter() - start
            except OSError:
                time.sleep(0.05)
        raise TimeoutError("the page did not answer within 120 s")
    finally:
        server.terminate()
        server.wait(timeout=30)


def run_times(pipe: Pipeline, timeline: Timeline, every_preview: bool) -> tuple[float, float]:
    """Seconds to the first live frames (after step 1) and to the finished clip."""
    picture = np.full((*pipe.image_size, 3), 128, np.uint8)
    start, first = time.perf_counter(), 0.0
    states = pipe.stream(timeline, keyframes={0: picture}, label=0, seed=0)
    for state in states:
        if state.step == 1:
            _ = state.preview
            first = time.perf_counter() - start
        elif every_preview:
            _ = state.preview
    return first, time.perf_counter() - start


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.studio", description=__doc__)
    parser.add_argument("--model", help="a model folder (default: the shipped one)")
    options = parser.parse_args()

    print(f"machine: {platform.machine()}, {os.cpu_count()} cores, torch {torch.__version__}")
    print(f"matrix products: {matmul_rate(torch.float32):.0f} GFLOP/s in fp32, ", end="")
    print(f"{matmul_rate(torch.bfloat16):.0f} in bf16")
    print(f"page ready after `python app.py`: {page_ready(options.model):.1f} s")

    start = time.perf_counter()
    pipe = Pipeline.from_pretrained(options.model)
    print(f"model loaded: {time.perf_counter() - start:.2f} s, {pipe.dtype}")
    timeline = Timeline.preset("image-to-video", frames=pipe.num_frames, steps=30)
    run_times(pipe, timeline, every_preview=False)
    runs = [run_times(pipe, timeline, every_preview=False) for _ in range(3)]
    shown = [run_times(pipe, timeline, every_preview=True) for _ in range(3)]
    first, plain = (float(np.median([run[k] for run in runs])) for k in (0, 1))
    watched = float(np.median([run[1] for run in shown]))
    print(f"first live frames after Generate: {first:.2f} s")
    print(f"image-to-video, {pipe.num_frames} frames, 30 steps, guided: {plain:.2f} s")
    print(f"the same with a preview at every step: {watched:.2f} s ({watched / plain - 1:+.0%})")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"peak memory of this process: {peak:.0f} MiB")


if __name__ == "__main__":
    main()
