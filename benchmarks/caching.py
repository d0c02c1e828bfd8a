"""`python -m benchmarks.caching`: what step caching saves, and what it costs in likeness.

Clips of every label of the model, the same seeds with and without; the likeness is the PSNR of the
cached clip against the whole one, so what the autoencoder loses does not count.
"""

from __future__ import annotations

import argparse
import time

import numpy as np

from fvdm_core import Pipeline
from train.evaluation.common import preset, psnr


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.caching", description=__doc__)
    parser.add_argument("--model", help="a model folder (default: the shipped one)")
    parser.add_argument("--steps", nargs="+", type=int, default=[30, 100])
    parser.add_argument("--shares", nargs="+", type=float, default=[0.02, 0.05, 0.1, 0.2])
    parser.add_argument("--eta", type=float, help="fresh noise (default: what is usual)")
    parser.add_argument("--seeds", type=int, default=2, help="for each label")
    options = parser.parse_args()

    pipe = Pipeline.from_pretrained(options.model)
    block = pipe.model.blocks_in_order()[1][0]
    runs: list[int] = []
    block.register_forward_hook(lambda *_: runs.append(1))
    labels = pipe.card.labels or [None]
    print("steps  step_cache  whole steps  seconds  PSNR mean  worst")
    for steps in options.steps:
        timeline = preset("standard", pipe, steps=steps)
        cases = [(label, seed) for label in labels for seed in range(options.seeds)]
        clips: dict[float, list[np.ndarray]] = {share: [] for share in (0.0, *options.shares)}
        taken: dict[float, list[float]] = {share: [] for share in clips}
        whole: dict[float, int] = {}
        pipe(timeline, label=labels[0])
        for label, seed in cases:
            for share in clips:  # in turn, so that a slow moment meets all alike
                del runs[:]
                start = time.perf_counter()
                clip = pipe(timeline, label=label, seed=seed, step_cache=share, eta=options.eta)
                taken[share].append(time.perf_counter() - start)
                clips[share].append(clip.frames)
                whole[share] = whole.get(share, 0) + len(runs)
        for share, made in clips.items():
            likeness = [psnr(a, b) for a, b in zip(made, clips[0.0], strict=True)]
            ratio = float(np.median(np.divide(taken[0.0], taken[share])))
            quality = f"{np.mean(likeness):7.1f} dB  {min(likeness):.1f} dB" if share else "      –"
            print(
                f"{steps:5d}  {share:10g}  {whole[share] / len(cases):11.1f}  "
                f"{np.median(taken[share]):5.2f} ({ratio:.2f}× as fast)  {quality}",
                flush=True,
            )


if __name__ == "__main__":
    main()
