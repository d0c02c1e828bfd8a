"""What a timestep per frame costs against one per clip: the paper says, nothing worth naming."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext

import torch

from fvdm_core.model import VideoDiT
from train.config import TrainConfig
from train.evaluation.common import Figure, figure
from train.stages import autocast, device

BATCH = 4


@contextmanager
def one_timestep(model: VideoDiT) -> Iterator[None]:
    """Embed and modulate once for a clip, from its first frame's timestep, as a scalar model does.

    c is then (B, 1, D) instead of (B, F, D), and is the same for all frames by broadcasting.
    """
    hook = model.t_embedder.register_forward_pre_hook(lambda module, inputs: (inputs[0][:, :1],))
    try:
        yield
    finally:
        hook.remove()


def ratios(config: TrainConfig, rounds: int, backward: bool) -> Figure:
    """Time with a timestep per frame ÷ with one per clip, of a forward pass or with backward.

    Both are run in turn, first one and then the other ahead, so that a busy machine slows both
    alike; the figure is over rounds. A round is two of each, the faster counting.
    """
    torch.manual_seed(0)
    shape = config.transformer
    model = VideoDiT(shape).to(device())
    x = torch.randn(BATCH, shape.num_frames, shape.latent_channels, *(shape.latent_size,) * 2)
    y = torch.zeros(BATCH, dtype=torch.long) if shape.num_classes else None
    vector = torch.randint(0, 1000, (BATCH, shape.num_frames))
    vector, x = vector.to(device()), x.to(device())
    y = None if y is None else y.to(device())

    def once(kind: str) -> float:
        started = time.perf_counter()
        scalar = one_timestep(model) if kind == "scalar" else nullcontext()
        with torch.set_grad_enabled(backward), autocast(), scalar:
            output = model(x, vector, y)
        if backward:
            output.float().square().mean().backward()
            model.zero_grad(set_to_none=True)
        if device().type == "cuda":
            torch.cuda.synchronize()
        return time.perf_counter() - started

    for kind in ("vector", "scalar"):
        once(kind)
    found = []
    for number in range(rounds):
        order = ("vector", "scalar") if number % 2 else ("scalar", "vector")
        times = {kind: min(once(kind) for _ in range(2)) for kind in order}
        found.append(times["vector"] / times["scalar"])
    return figure(found)


def report(config: TrainConfig, rounds: int) -> str:
    """One line for each: mean ratio ± standard error over rounds."""
    forward, step = (ratios(config, rounds, backward) for backward in (False, True))
    return (
        f"A timestep per frame ÷ one per clip, {rounds} rounds, batch {BATCH}, width "
        f"{config.transformer.hidden_size}, depth {config.transformer.depth}: forward "
        f"{forward.show(3)}, forward and backward {step.show(3)}"
    )
