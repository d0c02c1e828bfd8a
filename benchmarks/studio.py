"""`python -m benchmarks.studio`: how long a person waits, with a model, on this machine."""

from __future__ import annotations

import argparse
import math
import os
import platform
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from pathlib import Path

import numpy as np
import torch

from benchmarks.machine import matmul_rate, peak_memory
from fvdm_core import Pipeline, Timeline
from train.evaluation.common import preset
from ui.jobs import Job, Status, Work
from ui.runs import calls_per_step

ROOT = Path(__file__).resolve().parent.parent


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


def wait_for_page(address: str, server: subprocess.Popen, patience: float = 300) -> float:
    """Seconds until a server that was just started answers. Raises `RuntimeError` if it ends."""
    start = time.perf_counter()
    while time.perf_counter() - start < patience:
        try:
            urllib.request.urlopen(address, timeout=5).read()
            return time.perf_counter() - start
        except OSError:
            if server.poll() is not None:
                raise RuntimeError("the server has ended") from None
            time.sleep(0.05)
    raise TimeoutError(f"the page did not answer within {patience:g} s")


def page_ready(model: str | None) -> float:
    """Seconds from `python app.py` to an answered page."""
    port = free_port()
    command = [sys.executable, "app.py", "--port", str(port)]
    command += ["--model", model] if model else []
    server = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL)
    try:
        return wait_for_page(f"http://127.0.0.1:{port}/", server)
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


def as_on_the_page(pipe: Pipeline, timeline: Timeline, watched: bool) -> tuple[float, int]:
    """Seconds of a run as the studio makes it, and how often its strip was drawn."""
    picture = np.full((*pipe.image_size, 3), 128, np.uint8)
    work = Work(
        states=lambda: pipe.stream(timeline, keyframes={0: picture}, label=0, seed=0),
        finish=lambda state, stopped: None,
        calls=calls_per_step(timeline),
        frames=timeline.frames,
    )
    job = Job(work, "benchmark")
    drawn: set[int] = set()
    over = threading.Event()

    def follow() -> None:
        while not over.wait(0.05):
            if watched:
                job.look()
            if job.snapshot.preview is not None:
                drawn.add(job.snapshot.preview.step)

    job.watched_at = time.monotonic() if watched else -math.inf
    follower = threading.Thread(target=follow)
    follower.start()
    start = time.perf_counter()
    job.run(unwatched_limit=math.inf)
    seconds = time.perf_counter() - start
    over.set()
    follower.join()
    if job.snapshot.status is not Status.DONE:
        raise RuntimeError(f"the run {job.snapshot.status}: {job.snapshot.message}")
    return seconds, len(drawn)


def live_strip(pipe: Pipeline, timeline: Timeline, repeats: int = 5) -> str:
    """What watching a run costs it: pairs of runs, one watched, one not, in turn."""
    as_on_the_page(pipe, timeline, watched=True)
    pairs = [
        (as_on_the_page(pipe, timeline, True), as_on_the_page(pipe, timeline, False))
        for _ in range(repeats)
    ]
    watched, alone = (float(np.median([pair[k][0] for pair in pairs])) for k in (0, 1))
    drawn = float(np.median([pair[0][1] for pair in pairs]))
    return (
        f"{watched:.2f} s watched, {alone:.2f} s unwatched: the strip costs "
        f"{watched / alone - 1:+.0%} and is drawn {drawn:.0f} times"
    )


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
    timeline = preset("image-to-video", pipe, steps=30)
    run_times(pipe, timeline, every_preview=False)
    runs = [run_times(pipe, timeline, every_preview=False) for _ in range(3)]
    shown = [run_times(pipe, timeline, every_preview=True) for _ in range(3)]
    first, plain = (float(np.median([run[k] for run in runs])) for k in (0, 1))
    watched = float(np.median([run[1] for run in shown]))
    print(f"first live frames after Generate: {first:.2f} s")
    print(f"image-to-video, {pipe.num_frames} frames, 30 steps, guided: {plain:.2f} s")
    print(f"the same with a preview at every step: {watched:.2f} s ({watched / plain - 1:+.0%})")
    for steps in (30, 100):
        timeline = preset("image-to-video", pipe, steps=steps)
        print(f"the studio's run of {steps} steps: {live_strip(pipe, timeline)}")
    print(f"peak memory of this process: {peak_memory()} MiB")


if __name__ == "__main__":
    main()
