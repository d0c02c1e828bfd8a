"""`python -m benchmarks.network`: forward, step and run, against the network as published.

One row for each network and precision, each in a process of its own. The published form has the
same weights and runs in the same process, its forwards and ours in turn, always in fp32, as its
code does. It knows no joint attention, so the blocks of "default" are interleaved in both. Every
tensor is random: a fresh network would give zeros.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
from functools import partial

import numpy as np
import torch

from benchmarks.machine import flops, matmul_rate, peak_memory, seconds
from benchmarks.published_form import PublishedDiT
from fvdm_core import NoiseSchedule, Timeline, VideoDiT
from fvdm_core.model_folder import read_json
from fvdm_core.pipeline import SHIPPED_MODEL
from fvdm_core.sampler import sample
from fvdm_core.shape import VideoDiTConfig

DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16}
NETWORKS = ("default", "S/2", "B/2")
HEAD = (
    "network  dtype  GFLOP  published  forward  faster  compiled  of the limit  step    first  "
    "run of 30  peak MiB  error"
)


def network(name: str) -> VideoDiT:
    """The shape of the shipped model or a size of the paper at 256 x 256, all tensors random."""
    if name == "default":
        config = read_json(SHIPPED_MODEL / "config.json")["transformer"]
        model = VideoDiT(VideoDiTConfig(**config))
    else:
        model = VideoDiT.from_size(name)
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(0.02 * torch.randn(parameter.shape, generator=generator))
    return model.eval().requires_grad_(False)


def interleaved(name: str) -> VideoDiT:
    """The same for both forms: the published one knows no joint attention."""
    model = network(name)
    if model.config.attention == "joint":
        changed = {**vars(model.config), "attention": "interleaved"}
        fresh = VideoDiT(VideoDiTConfig(**changed))
        names = iter(model.blocks)
        state = {k: v for k, v in model.state_dict().items() if not k.startswith("blocks.")}
        for i in range(model.config.depth // 2):
            for part in ("blocks_spatial", "blocks_temp"):
                block = next(names).state_dict()
                state |= {f"{part}.{i}.{k}": v for k, v in block.items()}
        fresh.load_state_dict(state)
        model = fresh.eval().requires_grad_(False)
    return model


@torch.no_grad()
def row(name: str, precision: str, compiled: bool, repeats: int) -> dict[str, float]:
    """All figures of a network in a precision; the published form comes last, for the peak."""
    dtype = DTYPES[precision]
    model = interleaved(name).to(dtype)
    config = model.config
    shape = (1, config.num_frames, config.latent_channels, *[config.latent_size] * 2)
    x, t = torch.randn(shape), torch.randint(0, 1000, (1, config.num_frames))

    ours = partial(model, x.to(dtype), t)
    states = sample(
        lambda x, t: model(x.to(dtype), t),
        x,
        Timeline.preset("standard", frames=config.num_frames, steps=30),
        NoiseSchedule(),
        solver="ddim",
    )
    taken = [seconds(partial(next, states)) for _ in range(30)]
    peak = peak_memory()
    gflop = flops(ours) / 1e9  # counted with all weights of attention in memory

    published = PublishedDiT(config).eval().requires_grad_(False)
    published.load_state_dict({k: v.float() for k, v in model.state_dict().items()})
    theirs = partial(published, x, t)
    error = (ours().float() - theirs()).norm() / theirs().norm()
    forms = {"published": theirs, "forward": ours}
    if compiled:
        forms["compiled"] = partial(torch.compile(model), x.to(dtype), t)
        forms["compiled"]()
    pairs = [{form: seconds(run) for form, run in forms.items()} for _ in range(repeats + 1)][1:]
    figures = {form: float(np.median([pair[form] for pair in pairs])) for form in forms}
    faster = float(np.median([pair["published"] / pair["forward"] for pair in pairs]))
    limit = gflop / matmul_rate(dtype)
    return figures | {
        "gflop": gflop,
        "faster": faster,
        "limit": limit / figures["forward"],
        "step": float(np.median(taken)),
        "first": taken[0],
        "run": sum(taken),
        "peak": peak,
        "error": float(error),
    }


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.network", description=__doc__)
    parser.add_argument("--networks", nargs="+", choices=NETWORKS, default=NETWORKS)
    parser.add_argument("--dtypes", nargs="+", choices=DTYPES, default=tuple(DTYPES))
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--compile", action="store_true", help="also through torch.compile")
    parser.add_argument("--row", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.row:
        (name,), (precision,) = options.networks, options.dtypes
        print(json.dumps(row(name, precision, options.compile, options.repeats)))
        return

    print(f"machine: {platform.machine()}, {os.cpu_count()} cores, torch {torch.__version__}")
    for precision in options.dtypes:
        rate = matmul_rate(DTYPES[precision])
        print(f"matrix products in {precision}: {rate:.0f} GFLOP/s", flush=True)
    print(HEAD)
    for name in options.networks:
        for precision in options.dtypes:
            command = [sys.executable, "-m", "benchmarks.network", "--row", "--networks", name]
            command += ["--dtypes", precision, "--repeats", str(options.repeats)]
            command += ["--compile"] * options.compile
            made = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
            figures = json.loads(made.stdout.splitlines()[-1])
            compiled = figures.get("compiled")
            print(
                f"{name:<8} {precision}  {figures['gflop']:6.1f}  {figures['published']:7.3f} s  "
                f"{figures['forward']:6.3f}  {figures['faster']:5.1f}×  "
                f"{'      –' if compiled is None else f'{compiled:7.3f}'}   "
                f"{figures['limit']:11.0%}  {figures['step']:6.3f}  {figures['first']:6.3f}  "
                f"{figures['run']:7.2f} s  {figures['peak']:8.0f}  {figures['error']:.0e}",
                flush=True,
            )


if __name__ == "__main__":
    main()
