"""What a study compares: a TOML file of seeds, values of p, sizes, solvers and tasks."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fvdm_core.defaults import SamplingDefaults
from fvdm_core.options import SOLVERS
from fvdm_core.presets import PRESETS
from train.config import TrainConfig, build_config

GRIDS = Path(__file__).parent / "grids"
BASE = "base"  # the size that every p is trained at; it is the grid's own [model.transformer]


@dataclass(frozen=True)
class Arm:
    """One training run of the study."""

    size: str
    p_independent: float
    seed: int

    @property
    def name(self) -> str:
        return f"{self.size}-p{self.p_independent:g}-seed{self.seed}"


@dataclass(frozen=True)
class Grid:
    """A study. `model` is a training config as TOML has it; an arm changes p, seed and size, or in
    place of the size the noise prior.

    clips: of each world in a set that is measured. solvers: [name, steps] on the standard
    timeline, for the base arms whose p is in `solvers_p`. tasks: presets, sampled with the solver
    `task_solver`. sizes: {name: changes of [transformer]}, trained with each p of `sizes_p`; among
    them `prior` and `prior_alpha`, which are of [optim].
    Raises `ValueError` for what does not fit.
    """

    name: str
    about: str
    seeds: tuple[int, ...]
    p_independent: tuple[float, ...]
    clips: int
    solvers: tuple[tuple[str, int], ...]
    solvers_p: tuple[float, ...]
    tasks: tuple[str, ...]
    task_solver: tuple[str, int]
    model: dict[str, Any]
    sizes: dict[str, dict[str, Any]]
    sizes_p: tuple[float, ...]

    def __post_init__(self) -> None:
        if self.clips < 2:
            raise ValueError(f"clips is {self.clips}; a distance needs sets of at least 2 clips")
        if not self.seeds or not self.p_independent:
            raise ValueError("a study needs at least one seed and one p_independent")
        for solver, steps in (*self.solvers, self.task_solver):
            if solver not in SOLVERS or not isinstance(steps, int) or steps < 1:
                raise ValueError(f"solver {solver!r} in {steps!r} steps cannot be sampled with")
        for task in self.tasks:
            if task not in PRESETS:
                raise ValueError(f"task {task!r} is no preset")
        if BASE in self.sizes:
            raise ValueError(f"the size {BASE!r} is the grid's own; choose another name")
        for arm in self.arms():
            self.config(arm)
        first = self.config(self.arms()[0])
        for name in ("p_staggered", "p_condition", "p_alone"):
            if getattr(first.optim, name):
                raise ValueError(f"model.optim.{name} must be 0: p alone tells the arms apart")
        if first.sampling != SamplingDefaults():
            raise ValueError("model.sampling must be left out: arms are sampled without guidance")

    def arms(self) -> list[Arm]:
        """Seed by seed, so that a study that is stopped early has every p of the first seeds."""
        return [
            arm
            for seed in self.seeds
            for arm in (
                *(Arm(BASE, p, seed) for p in self.p_independent),
                *(Arm(size, p, seed) for size in self.sizes for p in self.sizes_p),
            )
        ]

    def config(self, arm: Arm) -> TrainConfig:
        raw, changes = self.model, dict(self.sizes.get(arm.size, {}))
        noise = {name: changes.pop(name) for name in ("prior", "prior_alpha") if name in changes}
        config = build_config({**raw, "transformer": {**raw.get("transformer", {}), **changes}})
        optim = dataclasses.replace(config.optim, p_independent=arm.p_independent, **noise)
        return dataclasses.replace(config, seed=arm.seed, optim=optim)

    @property
    def digest(self) -> str:
        """Of all that is set; what is empty does not count, as a study may be older than it."""
        there = {name: value for name, value in dataclasses.asdict(self).items() if value}
        return hashlib.sha256(json.dumps(there, sort_keys=True).encode()).hexdigest()

    def shared(self) -> TrainConfig:
        """Of what all arms have in common: clips, autoencoder, latents."""
        return build_config(self.model)


def load_grid(name: str) -> Grid:
    """A grid by name or as a file; raises `ValueError` saying what is wrong with it."""
    path = GRIDS / f"{name}.toml" if Path(name).suffix != ".toml" else Path(name)
    if not path.is_file():
        known = ", ".join(sorted(p.stem for p in GRIDS.glob("*.toml")))
        raise ValueError(f"there is no grid {name}; shipped ones are {known}")
    try:
        raw = tomllib.loads(path.read_text("utf-8-sig"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"{path.name} is not valid TOML: {error}") from error
    for key in ("seeds", "tasks"):
        raw[key] = tuple(raw.get(key, ()))
    for key in ("p_independent", "solvers_p", "sizes_p"):
        raw[key] = tuple(float(p) for p in raw.get(key, ()))  # TOML's 1 is an arm's 1.0
    raw["solvers"] = tuple(tuple(pair) for pair in raw.get("solvers", ()))
    raw["task_solver"] = tuple(raw.get("task_solver", ("ddim", 50)))
    raw.setdefault("sizes", {})
    try:
        return Grid(name=path.stem, **raw)
    except TypeError as error:
        raise ValueError(f"{path.name}: {error}") from error
