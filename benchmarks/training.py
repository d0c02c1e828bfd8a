"""`python -m benchmarks.training`: a training step, against one as the published code makes it.

Both train the same network on the same random latents with AdamW, their steps in turn. The
published one is in fp32, with explicit attention, modulation per token and no compiler; ours is as
`python -m train` makes it, but for the blocks of "default", which are interleaved in both. Every
tensor is random.
"""

from __future__ import annotations

import argparse
import os
import platform
from collections.abc import Callable
from functools import partial

import numpy as np
import torch
from torch import Tensor, nn

from benchmarks.machine import finish, flops, matmul_rate, seconds
from benchmarks.network import NETWORKS, interleaved
from benchmarks.published_form import PublishedDiT
from fvdm_core import NoiseSchedule
from fvdm_core.device import fast_bf16
from fvdm_core.loss import diffusion_loss, sample_timesteps
from fvdm_core.noise import training_noise
from train.compiling import can_compile
from train.config import OptimConfig
from train.optimizer import Optimizers
from train.stages import autocast, device


def trained(module: nn.Module, batch: tuple[Tensor, Tensor, Tensor], ours: bool) -> Callable:
    """A step of a network: forward, backward, update."""
    schedule, optimizer = NoiseSchedule(), Optimizers(module, OptimConfig())
    forward: Callable[..., Tensor] = torch.compile(module) if ours and can_compile() else module

    def step() -> None:
        if ours:
            with autocast():
                loss = diffusion_loss(forward, *batch, schedule).mean()
        else:
            loss = diffusion_loss(forward, *batch, schedule).mean()
        loss.backward()
        nn.utils.clip_grad_norm_(optimizer.parameters, 1.0)
        optimizer.step()
        finish(device())

    return step


def loss_and_gradients(module: nn.Module, batch: tuple[Tensor, Tensor, Tensor]) -> None:
    diffusion_loss(module, *batch, NoiseSchedule()).mean().backward()


def trainable(module: nn.Module) -> nn.Module:
    """All but the tables of places, as in training."""
    for name, parameter in module.named_parameters():
        parameter.requires_grad_(name not in ("pos_embed", "temp_embed"))
    return module.train().to(device())


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.training", description=__doc__)
    parser.add_argument("--networks", nargs="+", choices=NETWORKS, default=["default"])
    parser.add_argument("--batch-size", type=int, default=8)
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args()

    fast = fast_bf16(device())
    print(f"machine: {platform.machine()}, {os.cpu_count()} cores, torch {torch.__version__}")
    print(f"trains on {device().type} in {'bf16' if fast else 'fp32'}")
    print("network  published clips/s  ours clips/s  faster  of the matrix-product limit")
    for name in options.networks:
        model = interleaved(name)
        config = model.config
        published = PublishedDiT(config)
        published.load_state_dict(model.state_dict())
        size = (config.latent_channels, config.latent_size, config.latent_size)
        shape = (options.batch_size, config.num_frames, *size)
        levels = sample_timesteps(options.batch_size, config.num_frames)
        clips, noise = torch.randn(shape).to(device()), training_noise(shape).to(device())
        batch = (clips, levels.to(device()), noise)
        gflop = flops(partial(loss_and_gradients, trainable(model), batch)) / 1e9
        model.zero_grad(set_to_none=True)
        steps = {
            "published": trained(trainable(published), batch, ours=False),
            "ours": trained(model, batch, ours=True),
        }
        for step in steps.values():
            step()
        pairs = [
            {form: seconds(partial(step)) for form, step in steps.items()}
            for _ in range(options.repeats)
        ]
        taken = {form: float(np.median([pair[form] for pair in pairs])) for form in steps}
        faster = float(np.median([pair["published"] / pair["ours"] for pair in pairs]))
        rate = matmul_rate(torch.bfloat16 if fast else torch.float32, device())
        limit = gflop / rate / taken["ours"]
        print(
            f"{name:<8} {options.batch_size / taken['published']:15.2f}  "
            f"{options.batch_size / taken['ours']:12.2f}  {faster:5.1f}×  {limit:9.0%}",
            flush=True,
        )


if __name__ == "__main__":
    main()
