"""Train an arm, measure it, note its figures: each step is skipped where it was done before."""

from __future__ import annotations

import dataclasses
import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import nn

from fvdm_core.autoencoder import Autoencoder
from fvdm_core.card import ModelCard
from fvdm_core.files import atomic_write, place
from fvdm_core.model import VideoDiT
from fvdm_core.pipeline import Pipeline
from fvdm_core.tensors import read_tensors, write_safetensors
from train.clips import Clips, prepare_worlds
from train.evaluation.common import through
from train.latents import Latents
from train.run import Busy, Run
from train.stages import encode_clips, train_autoencoder, train_transformer

from .grid import BASE, Arm, Grid
from .measure import Cell, Reference, measure

REAL = "real.json"  # how far two real sets are apart
LOOK_AGAIN = 0.5  # seconds


@dataclass(frozen=True)
class Shared:
    """What all arms learn from."""

    clips: Clips
    autoencoder: Autoencoder
    latents: Latents


def prepare(grid: Grid, out: Path) -> Shared:
    """Clips, autoencoder and latents, made once. Raises `Stopped` after a signal."""
    config = grid.shared()
    run = after_others(out / "shared")
    try:
        run.catch_signals()
        run.claim({"grid": dataclasses.asdict(grid)}, whole=out)
        clips = prepare_worlds(config.data, run.folder, stop=lambda: run.stop_requested)
        autoencoder = train_autoencoder(config, clips, run)
        return Shared(clips, autoencoder, encode_clips(config, autoencoder, clips, run))
    finally:
        run.close()


def after_others(folder: Path) -> Run:
    """The run of a folder, once no other process has it."""
    told = False
    while True:
        try:
            return Run(folder)
        except Busy:
            if not told:
                print(f"Waiting for another process, which is at {place(folder)}.", flush=True)
            told = True
            time.sleep(LOOK_AGAIN)


def cells(grid: Grid, arm: Arm) -> list[Cell]:
    """Solvers and tasks at the end of training, the standard task all along it (Figure 3).

    The baseline does each task in every way that it can: it was built for none of them.
    """
    optim = grid.config(arm).optim
    last, (solver, steps) = optim.steps, grid.task_solver
    compared = arm.size == BASE and arm.p_independent in grid.solvers_p
    wanted = [Cell("standard", *pair, last) for pair in grid.solvers if compared]
    wanted += [Cell(task, solver, steps, last) for task in grid.tasks]
    if arm.p_independent == 0:
        window = grid.shared().data.frames
        wanted = [dataclasses.replace(cell, way=w) for cell in wanted for w in cell.ways(window)]
    along = range(optim.sample_every, last, optim.sample_every)
    wanted += [Cell("standard", solver, steps, step) for step in along]
    return list(dict.fromkeys(wanted))


def result_path(out: Path, arm: Arm) -> Path:
    return out / "results" / f"{arm.name}.json"


def run_arm(
    grid: Grid, arm: Arm, shared: Shared, reference: Reference, out: Path
) -> dict[str, Any]:
    """The figures of an arm, trained and measured as far as that was not done before.

    The file is rewritten after each figure. Raises `Stopped` after a signal, `Busy` where another
    process has the arm, and `ValueError` where what is there is of another grid or extractor.
    """
    path, protocol = result_path(out, arm), reference.protocol
    folder = out / "arms" / arm.name
    run = Run(folder)
    try:
        result = _figures(grid, arm, out) or {
            "arm": dataclasses.asdict(arm),
            **_identity(grid),
            "features": protocol,
            "cells": {},
        }
        if result["features"] != protocol:
            raise ValueError(
                f"{path.name} was measured with {result['features'] or 'no features'}, not with "
                f"{protocol or 'none'}; give the same --features, or delete that file to measure "
                "again"
            )
        missing = [cell for cell in cells(grid, arm) if cell.key not in result["cells"]]
        if not missing:
            return result
        run.catch_signals()
        run.claim({"grid": dataclasses.asdict(grid)}, whole=out)  # also of half a training
        _train(grid, arm, shared, run)
        for cell in missing:
            model = _model(grid, arm, shared, _weights(folder, cell.step))
            seen = cell.step * grid.config(arm).optim.batch_size
            measured = measure(model, cell, reference, grid.config(arm).optim.prior_alpha)
            result["cells"][cell.key] = {
                **dataclasses.asdict(cell),
                "clips_seen": seen,
                **measured,
            }
            _write(path, result)
            run.stop_if_asked(f"{arm.name} stopped while it was measured; its figures are saved")
    finally:
        run.close()
    return result


def _train(grid: Grid, arm: Arm, shared: Shared, run: Run) -> None:
    config = grid.config(arm)
    if _weights(run.folder, config.optim.steps).exists():
        return

    def keep(module: nn.Module, picture: Path) -> None:
        write_safetensors(picture.with_suffix(".safetensors"), module.state_dict())

    train_transformer(
        *(config, shared.latents, shared.clips, shared.autoencoder, run), on_sample=keep
    )
    for state in run.folder.glob("*.pt"):  # the weights are enough from here on
        state.unlink()


def _weights(folder: Path, step: int) -> Path:
    return folder / f"transformer-{step:08d}.safetensors"


def _model(grid: Grid, arm: Arm, shared: Shared, weights: Path) -> Pipeline:
    config = grid.config(arm)
    model = VideoDiT(config.transformer)
    model.load_state_dict(read_tensors(weights))
    labels = tuple(shared.clips.label_names)
    card = ModelCard(arm.name, labels, config.data.fps, prior=config.optim.prior)
    return Pipeline(model, shared.autoencoder, config.noise_schedule(), card)


def write_real_apart(grid: Grid, shared: Shared, reference: Reference, out: Path) -> None:
    """Note the distance of two sets of real clips, below which no difference means anything.

    And what the autoencoder alone makes of it: no arm's clips are without it.
    """
    window, coder = reference.window, shared.autoencoder
    autoencode = through(coder, window, next(coder.parameters()).device)
    lengths = {Cell(task, *grid.task_solver, 0).timeline(window).frames for task in grid.tasks}
    coded = reference.coded(autoencode, sorted(lengths))
    _write(out / REAL, reference.floor() | ({"coded": coded} if coded else {}))


def real_apart(out: Path) -> dict[str, Any]:
    return _earlier(out / REAL) or {}


def results(grid: Grid, out: Path) -> Iterator[dict[str, Any]]:
    """What is there of the grid's arms, in their order.

    Raises `ValueError` where it is of another grid.
    """
    for arm in grid.arms():
        if (found := _figures(grid, arm, out)) is not None:
            yield found


def _identity(grid: Grid) -> dict[str, Any]:
    """What an arm's figures say of the grid that they are of."""
    return {"grid": grid.name, "clips_per_world": grid.clips, "grid_sha256": grid.digest}


def _figures(grid: Grid, arm: Arm, out: Path) -> dict[str, Any] | None:
    """Earlier figures of an arm; raises `ValueError` where they are of another grid.

    An arm is called alike in every grid. Files older than the digest are told by the rest.
    """
    path = result_path(out, arm)
    if (found := _earlier(path)) is None:
        return None
    own = _identity(grid)
    different = [name for name in own if found.get(name, own[name]) != own[name]]
    if different:
        raise ValueError(
            f"{place(path)} is of another study than the grid {grid.name} (another "
            f"{', '.join(different)}); give the --grid that it was made with or another --out, or "
            f"delete {place(out)} to start over"
        )
    return found


def _earlier(path: Path) -> dict[str, Any] | None:
    return json.loads(path.read_text("utf-8")) if path.exists() else None


def _write(path: Path, result: dict[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_write(path) as temporary:
        temporary.write_text(json.dumps(result, indent=1) + "\n", "utf-8")
