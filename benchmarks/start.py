"""`python -m benchmarks.start`: how long a training run takes to begin on a prepared folder.

The folder is made up: a file for each clip, listed as `python -m train prepare` does it, holes for
frames, and latents in shards. A process for each number of clips opens it as training does and
reads the first ten batches.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch

from benchmarks.machine import peak_memory, seconds
from fvdm_core.checkpoint import write_safetensors
from train.clips import batches
from train.config import DataConfig
from train.folder import hop_of, key_of, prepare_folder
from train.latents import SHARD, Latents, shard_path
from train.listing import FILES, SUMMARY, File, Listing

FRAMES, SIZE, LATENT, BATCH = 16, 64, (8, 8, 8), 16


def config_of(folder: Path) -> DataConfig:
    return DataConfig(folder=str(folder), frames=FRAMES, image_size=SIZE, labels="folders")


def make_up(folder: Path, clips: int) -> None:
    config = config_of(folder)
    listing = Listing(folder, key_of(config))
    (folder / SUMMARY).write_text(json.dumps({"key": listing.key}))
    with (folder / FILES).open("w") as lines:
        for k in range(clips):
            lines.write(
                json.dumps(asdict(File(f"{k % 101:03d}/{k:07d}.mp4", 1, f"{k % 101}"))) + "\n"
            )
    with (folder / "clips.raw").open("wb") as raw:
        raw.truncate(clips * FRAMES * SIZE * SIZE * 3)
    listing.finish(hop_of(config), [FRAMES * SIZE * SIZE * 3])
    (folder / "latents").mkdir()
    for first in range(0, clips, SHARD):
        count = min(SHARD, clips - first)
        tensors = {
            "rows": torch.arange(count),
            "clips": torch.zeros(count, FRAMES, *LATENT, dtype=torch.float16),
            "stills": torch.zeros(0, 1, *LATENT, dtype=torch.float16),
        }
        write_safetensors(shard_path(folder / "latents", first // SHARD), tensors)


def begin(folder: Path) -> dict[str, float]:
    before = peak_memory()
    opened: list[Latents] = []

    def start() -> None:
        clips = prepare_folder(config_of(folder), folder, say=False)
        opened.append(Latents(folder / "latents", clips, [LATENT]))

    def read() -> None:
        for step in range(10):
            opened[0][batches(len(opened[0]), BATCH, 0, step)].astype(np.float32)

    return {"start": seconds(start), "read": seconds(read), "memory": peak_memory() - before}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.start", description=__doc__)
    parser.add_argument("--clips", nargs="+", type=int, default=[1_000, 10_000, 100_000])
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.folder:
        print(json.dumps(begin(options.folder)))
        return
    print(" clips  start s  ten batches s  MiB more")
    for clips in options.clips:
        with tempfile.TemporaryDirectory(dir=".") as folder:
            make_up(Path(folder), clips)
            command = [sys.executable, "-m", "benchmarks.start", "--folder", folder]
            made = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
        told = json.loads(made.stdout)
        print(f"{clips:6d}  {told['start']:7.3f}  {told['read']:13.3f}  {told['memory']:8.0f}")


if __name__ == "__main__":
    main()
