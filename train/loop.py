"""The training loop that every stage shares: resume, step, log, save, sample, stop."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor, nn
from tqdm import tqdm

from fvdm_core.files import place
from fvdm_core.memory import out_of_memory

from . import parallel, sharding
from .ahead import ahead
from .config import OptimConfig
from .ema import Ema
from .optimizer import Optimizers
from .run import Run, Stopped

LOG_EVERY = 20
Batch = TypeVar("Batch")


class Diverged(ArithmeticError):
    """The loss or a gradient was not finite; nothing of that step was applied."""


def fit(
    module: nn.Module,
    batch_at: Callable[[int, torch.Generator, slice], Batch],
    losses_of: Callable[[Batch], Tensor],
    optim: OptimConfig,
    run: Run,
    stage: str,
    seed: int,
    items_per_step: int,
    unit: str,
    describe_batch: Callable[[int], str] = lambda step: "",
    on_sample: Callable[[nn.Module, Path], None] | None = None,
    forward: nn.Module | None = None,
    threads: int = 0,
    units: Sequence[str] = (),
    notes: Mapping[str, bool] | None = None,
) -> nn.Module:
    """Train `module` for `optim.steps` steps and return its moving average; where weights are in
    parts, only the first process has it.

    `batch_at(step, generator, own)` gives the items `own` of a step's batch, each of
    `optim.accumulate` pieces of this process's share in turn, and `losses_of` their losses. All
    randomness comes from the generator, which is seeded by (seed, step) and draws for the whole
    batch: so any pieces and processes make the same update, and a resumed run repeats an
    uninterrupted one bit for bit without saving any random state. Batches are made by so many
    `threads` beforehand. `forward` is what `losses_of` calls, where that is not `module` itself but
    compiled or averaged over processes. With `units`, names of submodules, several processes hold
    the weights in parts (`sharding`). `notes` is what is true of this start's steps; a state, and
    `run.notes`, say what was true of any step. Raises `Stopped` after a
    signal, once the state is saved, `Diverged` before a step that is not finite would be applied,
    and `ValueError` where the folder's newest state is of another network.
    """
    ema = Ema(module, optim.ema_decay)
    in_parts = bool(units) and parallel.processes() > 1
    outline = sharding.outline(module) if in_parts else None
    if in_parts:
        for each in (module, ema.module):
            sharding.shard(each, units)

    def average() -> nn.Module:
        return ema.module if outline is None else sharding.gathered(ema.module, outline)

    optimizer = Optimizers(module, optim)
    start, noted = _restore(run, stage, module, ema, optimizer)
    if start < optim.steps:  # or this start does none
        noted = {name: value or noted.get(name, False) for name, value in (notes or {}).items()}
    run.notes[stage] = noted

    def save(step: int) -> None:
        state = {
            "model": sharding.whole(module.state_dict(), everywhere=False),
            "ema": sharding.whole(ema.module.state_dict(), everywhere=False),
            "optimizer": optimizer.state_dict(),
            "notes": noted,
        }
        run.save_state(stage, step, state)

    def batch_of(place: tuple[int, int]) -> Batch:
        step, piece = place
        own = parallel.share(optim.batch_size, piece, optim.accumulate)
        return batch_at(step, _generator(seed, step), own)

    pieces = range(optim.accumulate)
    places = ((step, piece) for step in range(start, optim.steps) for piece in pieces)
    hidden = None if parallel.is_first() else True
    count = {"total": optim.steps, "initial": start}
    progress = tqdm(desc=stage, unit="step", disable=hidden, **count)
    losses: list[float] = []
    clock = time.monotonic()
    with progress, closing(ahead(batch_of, places, threads)) as batches:
        for step in range(start, optim.steps):
            optimizer.set_lr(optim.lr_at(step))
            own_loss = 0.0
            for piece in pieces:
                batch = next(batches)
                parallel.exchange_gradients(forward or module, now=piece == optim.accumulate - 1)
                piece_loss = losses_of(batch).mean() / optim.accumulate
                piece_loss.backward()
                own_loss += piece_loss.item()
            norm = sharding.whole(nn.utils.clip_grad_norm_(optimizer.parameters, optim.clip_grad))
            loss, asked_to_stop = parallel.mean(own_loss, float(run.stop_requested))
            stopping = asked_to_stop > 0
            if not (math.isfinite(loss) and math.isfinite(norm.item())):
                raise Diverged(
                    f"{stage}: step {step + 1} gave loss {loss} and gradient {norm.item()}. "
                    "Nothing of it was applied, and the last saved state is kept. Lower the "
                    f"learning rate or look at the batch: {describe_batch(step)}"
                )
            optimizer.step()
            ema.update(module, step)

            losses.append(loss)
            progress.update()
            done = step + 1
            if done % LOG_EVERY == 0 or done == optim.steps:
                seconds, clock = time.monotonic() - clock, time.monotonic()
                rate = len(losses) * items_per_step / seconds
                mean = sum(losses) / len(losses)
                run.log(
                    stage=stage,
                    step=done,
                    loss=mean,
                    norm=norm.item(),
                    lr=optim.lr_at(step),
                    rate=rate,
                )
                progress.set_postfix({"loss": f"{mean:.4f}", f"{unit}/s": f"{rate:.1f}"})
                losses = []
            sampling = done % optim.sample_every == 0 or done == optim.steps
            if on_sample is not None and sampling:  # before its state is saved
                averaged = average()
                if parallel.is_first():
                    on_sample(averaged, run.folder / f"{stage}-{done:08d}.png")
                clock = time.monotonic()
            if done % optim.save_every == 0 or done == optim.steps or stopping:
                save(done)
            if stopping:
                raise Stopped(
                    f"{stage} stopped at step {done} of {optim.steps}; its state is saved"
                )
    return average()


def _generator(seed: int, step: int) -> torch.Generator:
    """torch's on a CPU takes 32 bits of its seed, so both numbers are hashed to that many."""
    (hashed,) = np.random.SeedSequence([seed, step]).generate_state(1)
    return torch.Generator().manual_seed(int(hashed))


def _restore(
    run: Run, stage: str, module: nn.Module, ema: Ema, optimizer: Optimizers
) -> tuple[int, dict[str, bool]]:
    """The step from which to go on, and the notes of the steps before."""
    state = run.load_state(stage)
    if state is None:
        return 0, {}
    try:
        sharding.load(module, state["model"])
        sharding.load(ema.module, state["ema"])
        optimizer.load_state_dict(state["optimizer"])
        return int(state["step"]), state.get("notes", {})
    except (RuntimeError, KeyError, ValueError) as error:
        if out_of_memory(error):
            raise
        raise ValueError(
            f"the {stage}'s states in {place(run.folder)} are of another network "
            f"({str(error).splitlines()[0][:120]}); choose another --out"
        ) from error
