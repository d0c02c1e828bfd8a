"""`python -m benchmarks.published`: a run of published size through the studio, and its memory.

A random S/2 file in Latte's layout and a random AutoencoderKL of Stable Diffusion's shape, 16
frames of 256x256: they take the time and the memory of real ones, and show nothing. Needs diffusers
and Linux.
"""

from __future__ import annotations

import argparse
import os
import platform
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from gradio_client import Client

from benchmarks.made_up import save_latte, save_vae
from benchmarks.studio import ROOT, free_port, wait_for_page
from fvdm_core.model import VideoDiT

SD_WIDTHS, SD_LAYERS = (128, 256, 512, 512), 2
LIMIT = 4.0  # GB that the server may take
PATIENCE = 300.0  # seconds for any answer: a page may be served while a model loads


@dataclass(frozen=True)
class Update:
    """What a program saw of a run: the step that was done, when, and what `look` gave then."""

    step: int
    seconds: float
    seen: float


def drive(
    address: str, frames: int, steps: int, look: Callable[[], float] = lambda: 0.0
) -> tuple[Path, list[Update]]:
    """Generate from noise through the page's /generate: the clip, and an update for each step."""
    levels = [[1000 - 1000 * row // steps] * frames for row in range(steps + 1)]
    studio = Client(address, verbose=False, httpx_kwargs={"timeout": PATIENCE})
    start = time.perf_counter()
    updates: dict[int, Update] = {}
    clip = None
    settings = {"label": None, "seed": 0, "guidance": 1, "solver": "dpmpp_2m", "eta": 0, "fps": 8}
    settings |= {"splice_exact": False, "session": None}
    for parts in studio.submit({"levels": levels}, **settings, api_name="/generate"):
        for part in parts:
            if isinstance(part, dict) and part.get("step") is not None:
                now = Update(part["step"], time.perf_counter() - start, look())
                updates.setdefault(now.step, now)
            if isinstance(part, dict) and "video" in part:
                clip = Path(part["video"])
    if clip is None:
        raise RuntimeError("the run gave no clip")
    return clip, sorted(updates.values(), key=lambda update: update.step)


def peak_gigabytes(process: int) -> float:
    """The most memory that a process has held so far, as Linux counts it."""
    status = Path(f"/proc/{process}/status").read_text()
    found = re.search(r"VmHWM:\s+(\d+) kB", status)
    assert found
    return int(found[1]) * 1024 / 1e9


def make_files(folder: Path) -> tuple[Path, Path]:
    """The file of weights and the folder of the autoencoder."""
    model = VideoDiT.from_size("S/2")
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.requires_grad:
                parameter.copy_(0.02 * torch.randn(parameter.shape, generator=generator))
    save_latte(folder / "random.pt", model)
    save_vae(folder / "vae", widths=SD_WIDTHS, layers=SD_LAYERS)
    return folder / "random.pt", folder / "vae"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.published", description=__doc__)
    parser.add_argument("--steps", type=int, default=4)
    options = parser.parse_args()

    print(f"machine: {platform.machine()}, {os.cpu_count()} cores, torch {torch.__version__}")
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        weights, vae = make_files(folder)
        port = free_port()
        command = [sys.executable, "app.py", "--port", str(port), "--device", "cpu"]
        command += ["--model", str(weights), "--vae", str(vae), "--outputs", str(folder / "out")]
        server = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL)
        try:
            address = f"http://127.0.0.1:{port}"
            print(f"page ready: {wait_for_page(address, server):.0f} s")
            clip, updates = drive(address, 16, options.steps, lambda: peak_gigabytes(server.pid))
            print(f"the clip has {clip.stat().st_size} bytes")
            report(updates, peak_gigabytes(server.pid))
        finally:
            server.terminate()
            server.wait(timeout=60)


def report(updates: list[Update], peak: float) -> None:
    first, before, last = updates[0], updates[-2], updates[-1]
    step = (before.seconds - first.seconds) / max(1, before.step - first.step)
    together = last.seconds - before.seconds
    print(f"S/2, 16 frames of 256x256, {last.step} steps, with the model's loading: ", end="")
    print(f"{last.seconds:.1f} s")
    print(f"a step: {step:.1f} s; the last one with the decoding: {together:.1f} s, ", end="")
    print(f"so the decoding about {max(0.0, together - step):.1f} s")
    print(f"peak memory of the server: {before.seen:.2f} GB before the decoding, ", end="")
    print(f"{peak:.2f} GB with it ({'below' if peak < LIMIT else 'ABOVE'} {LIMIT:g} GB)")


if __name__ == "__main__":
    main()
