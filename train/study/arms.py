"""Train an arm, measure it, note its figures: each step is skipped where it was done before."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from torch import nn

from fvdm_core.autoencoder import Autoencoder
from fvdm_core.files import atomic_write
from fvdm_core.model import VideoDiT
from fvdm_core.pipeline import Pipeline
from fvdm_core.tensors import read_tensors, write_safetensors
from fvdm_core.timeline import MAX_LEVEL, Timeline
from train.clips import Clips, prepare_worlds
from train.evaluation.common import figure, kept_frames, psnr, samples, unseen
from train.evaluation.distances import frechet_distance, kernel_distance
from train.evaluation.features import Extractor, extract
from train.latents import Latents
from train.run import Run
from train.stages import encode_clips, train_autoencoder, train_transformer

from .grid import BASE, Arm, Grid

DETERMINED = ("interpolation", "next-frame")  # tasks whose frames can be held against the truth
WAYS = ("clean", "replacement", "resampled")  # in which a scalar timestep meets kept frames
LONG = ("extend", "diagonal")  # tasks of twice the model's frames; the last window is measured


@dataclass(frozen=True)
class Cell:
    """One thing that is measured of an arm's model after `step` training steps.

    way: how the model is shown frames that stand still: "clean", or "replacement", noised again to
    the level of the others at every step, or that with going back up now and then ("resampled").
    """

    task: str
    solver: str
    steps: int
    step: int
    way: str = WAYS[0]

    @property
    def key(self) -> str:
        way = "" if self.way == WAYS[0] else f" {self.way}"
        return f"{self.task} {self.solver}-{self.steps}{way} @{self.step}"

    def timeline(self, window: int) -> Timeline:
        """For a model that sees `window` frames."""
        frames = window * (2 if self.task in LONG else 1)
        timeline = Timeline.preset(self.task, frames=frames, steps=self.steps, window=window)
        if self.way != "resampled":
            return timeline
        keep = list(kept_frames(timeline))
        return Timeline.preset(
            "resample", frames=frames, steps=self.steps, window=window, keep=keep
        )

    def ways(self, window: int) -> tuple[str, ...]:
        """In which ways a model with one timestep for the whole clip can do this."""
        timeline = self.timeline(window)
        alike = (timeline.levels == timeline.levels[:, :1]).all()
        if alike or not timeline.moves_together:
            return WAYS[:1]
        return WAYS if kept_frames(timeline) and timeline.windows is None else WAYS[:2]


@dataclass(frozen=True)
class Shared:
    """What all arms learn from."""

    clips: Clips
    autoencoder: Autoencoder
    latents: Latents


def prepare(grid: Grid, out: Path) -> Shared:
    """Clips, autoencoder and latents, made once. Raises `Stopped` after a signal."""
    config = grid.shared()
    run = Run(out / "shared")
    try:
        run.catch_signals()
        run.claim({"grid": dataclasses.asdict(grid)})
        clips = prepare_worlds(config.data, run.folder, stop=lambda: run.stop_requested)
        autoencoder = train_autoencoder(config, clips, run)
        return Shared(clips, autoencoder, encode_clips(config, autoencoder, clips, run))
    finally:
        run.close()


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
    grid: Grid, arm: Arm, shared: Shared, extractor: Extractor | None, out: Path
) -> dict[str, Any]:
    """The figures of an arm, trained and measured as far as that was not done before.

    The file is rewritten after each figure. Raises `Stopped` after a signal, and `ValueError`
    where earlier figures were made with another extractor.
    """
    path = result_path(out, arm)
    protocol = extractor.protocol if extractor else ""
    result = _earlier(path) or {
        "arm": dataclasses.asdict(arm),
        "grid": grid.name,
        "clips_per_world": grid.clips,
        "features": protocol,
        "cells": {},
    }
    if result["features"] != protocol:
        raise ValueError(
            f"{path.name} was measured with {result['features'] or 'no features'}, not with "
            f"{protocol or 'none'}; give the same --features, or delete that file to measure again"
        )
    missing = [cell for cell in cells(grid, arm) if cell.key not in result["cells"]]
    if not missing:
        return result
    folder = out / "arms" / arm.name
    run = Run(folder)
    try:
        run.catch_signals()
        _train(grid, arm, shared, run)
        for cell in missing:
            model = _model(grid, arm, shared, _weights(folder, cell.step))
            seen = cell.step * grid.config(arm).optim.batch_size
            measured = measure(model, cell, grid.clips, extractor)
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
    return Pipeline(
        model,
        shared.autoencoder,
        config.noise_schedule(),
        image_size=(config.data.image_size,) * 2,
        labels=shared.clips.label_names,
        fps=config.data.fps,
        name=arm.name,
    )


def measure(
    model: Pipeline, cell: Cell, clips: int, extractor: Extractor | None
) -> dict[str, float | None]:
    """Distances of generated from unseen clips, all worlds together, and PSNR of what is known.

    The clips that give keyframes are none of those that are compared with.
    """
    timeline = cell.timeline(model.num_frames)
    length, conditioning = timeline.frames, "clean" if cell.way == "clean" else "replacement"
    given = pictured(timeline)
    made = [frame for frame in range(length) if frame not in kept_frames(timeline)]
    fidelity: list[float] = []
    generated: list[np.ndarray] = []
    real: list[np.ndarray] = []
    for world in model.labels:
        truth = [unseen(model, world, clips + seed, length) for seed in range(clips)]
        keyframes = [{frame: video[frame] for frame in given} for video in truth]
        options = {"solver": cell.solver, "conditioning": conditioning}
        videos = samples(model, timeline, world, range(clips), keyframes, **options)
        if cell.task in DETERMINED:
            fidelity += [psnr(a[made], b[made]) for a, b in zip(truth, videos, strict=True)]
        if extractor:
            generated += [video[-model.num_frames :] for video in videos]
            whole = (unseen(model, world, seed, length) for seed in range(clips))
            real += [video[-model.num_frames :] for video in whole]
    found: dict[str, float | None] = {"frechet": None, "kid": None, "psnr": None}
    if extractor:
        wanted, got = extract(extractor, real), extract(extractor, generated)
        found["frechet"] = frechet_distance(wanted, got)
        found["kid"] = kernel_distance(wanted, got).value
    if fidelity:
        found["psnr"] = figure(fidelity).mean
    return found


def pictured(timeline: Timeline) -> list[int]:
    """The frames that start from a picture of their own."""
    below = np.flatnonzero(timeline.levels[0] < MAX_LEVEL).tolist()
    held = timeline.sources or ("keyframe",) * timeline.frames
    return [frame for frame in below if held[frame] != "hold"]


def results(grid: Grid, out: Path) -> Iterator[dict[str, Any]]:
    """What is there of the grid's arms, in their order."""
    for arm in grid.arms():
        if (found := _earlier(result_path(out, arm))) is not None:
            yield found


def _earlier(path: Path) -> dict[str, Any] | None:
    return json.loads(path.read_text("utf-8")) if path.exists() else None


def _write(path: Path, result: dict[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_write(path) as temporary:
        temporary.write_text(json.dumps(result, indent=1), "utf-8")
