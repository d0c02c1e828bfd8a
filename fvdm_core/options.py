"""What a run is made with beside its timeline and pictures: one list, whoever asks for it."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from difflib import get_close_matches
from typing import Any, Literal, get_args

import numpy as np

from fvdm_core.limits import (
    MAX_FPS,
    MAX_FRAMES,
    SAMPLING,
    checked_integer,
    checked_sides,
    shown,
)
from fvdm_core.pictures import FITS, Fit, check_fps

Solver = Literal["dpmpp_2m", "ddim", "ddpm"]
Conditioning = Literal["clean", "replacement"]
CONDITIONINGS: tuple[Conditioning, ...] = get_args(Conditioning)
SOLVERS: tuple[Solver, ...] = get_args(Solver)  # sampler.SOLVERS, without importing torch
USUAL_ETA: dict[Solver, float] = {"dpmpp_2m": 1.0, "ddim": 0.0, "ddpm": 1.0}
MAX_SEED = 2**63 - 1
MAX_CFG_SCALE = 20.0
MAX_STEP_CACHE = 1.0
OTHER_NAMES = {  # what else people call an option, or where it is
    "guidance": "cfg_scale",
    "guidance_scale": "cfg_scale",
    "prompt": "label",
    "coherence": "temporal_scale",
    "prior": "the timeline's prior",
    "steps": "the timeline's steps",
    "num_inference_steps": "the timeline's steps",
}


@dataclass(frozen=True)
class RunOptions:
    """The options of a run, checked; `Pipeline.stream`, the command line and the page take these.

    label: a name or index of the model's labels, or a prompt for a model that takes such; None is
        the null class, without guidance.
    cfg_scale: guidance; 1 is the label alone, 0 the null class alone.
    temporal_scale: temporal guidance, which leads frames away from what each would be alone, so
        that they agree (`guidance`); 0 is none. None is what the model was made for.
    guidance_from: frames are guided, in both ways, at levels above it (0 to 1000) and below follow
        the plain prediction; 0 guides them at all levels. None is what the model was made for.
    eta: fresh noise in each step of ddim and dpmpp_2m, from 0 (none) to 1; ddpm always makes it.
        None is what is usual, 1 for dpmpp_2m and 0 for ddim.
    fps: of the clip; None is what the model was trained on.
    fit: how pictures are fitted to the model's size, for all or for each frame (from 0).
    splice_exact: frames that are kept come back as the fitted picture, pixel for pixel, instead of
        as the autoencoder renders it.
    conditioning: what the model is shown of frames that stand still. "clean": themselves.
        "replacement": noised, in every step anew, to the level of those that come down, so that all
        have one timestep (RePaint). None is what the model was trained for: "replacement" where it
        knows one timestep for the whole clip, else "clean".
    size: (height, width) of the frames in pixels, one of the model's sizes; None is its usual one.
    step_cache: up to which relative change of the first block's part the other blocks are not run
        again but taken from the step before; 0 is never. Faster, and less exact (`step_cache`).

    Raises ValueError naming the option, its value and what is allowed.
    """

    label: str | int | None = None
    seed: int = 0
    cfg_scale: float = 1.5
    solver: Solver = "dpmpp_2m"
    eta: float | None = None
    fps: float | None = None
    fit: Fit | Mapping[int, Fit] = "crop"
    splice_exact: bool = False
    conditioning: Conditioning | None = None
    step_cache: float = 0.0
    size: tuple[int, int] | None = None
    temporal_scale: float | None = None
    guidance_from: float | None = None

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if isinstance(value, np.generic):  # a recipe's JSON has plain numbers only
                object.__setattr__(self, name, value.item())
        if isinstance(self.label, str) and not written_in_utf8(self.label):
            raise ValueError(f"label is {shown(self.label)}, which has half a letter; type it anew")
        seed = self.seed
        if isinstance(seed, bool) or not isinstance(seed, int) or not 0 <= seed <= MAX_SEED:
            raise ValueError(f"seed is {seed!r}; it must be an integer from 0 to {MAX_SEED}")
        _check_number("cfg_scale", self.cfg_scale, 0, MAX_CFG_SCALE)
        for name, most in SAMPLING.items():
            if getattr(self, name) is not None:
                _check_number(name, getattr(self, name), 0, most)
        if self.eta is not None:
            _check_number("eta", self.eta, 0, 1)
        _check_number("step_cache", self.step_cache, 0, MAX_STEP_CACHE)
        if self.fps is not None:
            _check_number("fps", self.fps, 0, MAX_FPS)
            check_fps(self.fps)
        if self.solver not in SOLVERS:
            raise ValueError(
                f"solver {shown(self.solver)} is unknown; choose one of {', '.join(SOLVERS)}"
            )
        if not isinstance(self.splice_exact, bool):
            raise ValueError(
                f"splice_exact is {shown(self.splice_exact)}; it must be true or false"
            )
        if isinstance(self.fit, Mapping):  # of any kind; a recipe's JSON has frames as text
            fits = {_frame(frame): fit for frame, fit in self.fit.items()}
            object.__setattr__(self, "fit", fits)
        for fit in self.fit.values() if isinstance(self.fit, Mapping) else (self.fit,):
            if fit not in FITS:
                raise ValueError(f"fit is {shown(fit)}; choose one of {', '.join(FITS)}")
        if self.size is not None:  # a recipe's JSON has a list
            object.__setattr__(self, "size", checked_sides(self.size))
        if self.conditioning not in (None, *CONDITIONINGS):
            raise ValueError(
                f"conditioning is {shown(self.conditioning)}; it must be one of "
                f"{', '.join(CONDITIONINGS)}"
            )

    @property
    def fresh_noise(self) -> float:
        """`eta`, or what is usual for the solver."""
        return USUAL_ETA[self.solver] if self.eta is None else self.eta

    def fit_of(self, frame: int) -> Fit:
        """How the picture of a frame (from 0) is fitted."""
        return self.fit if isinstance(self.fit, str) else self.fit.get(frame, "crop")


def with_changes(options: RunOptions, changes: Mapping[str, Any]) -> RunOptions:
    """The options with some of them changed, by name.

    Raises `ValueError` for a value that is not allowed, and `TypeError` for a name that is none.
    """
    known = [each.name for each in fields(RunOptions)]
    for name in changes:
        if name not in known:
            near = OTHER_NAMES.get(name) or "".join(get_close_matches(name, known, 1))
            raise TypeError(
                f"there is no option {shown(name)}"
                + (f": do you mean {near}?" if near else f"; there are {', '.join(known)}")
            )
    return replace(options, **changes)


def parse_size(text: str) -> tuple[int, int]:
    """(height, width) of a size as people write it, width first: "80x48" is (48, 80).

    Raises ValueError for anything else.
    """
    found = re.fullmatch(r"([0-9]{1,4})[x×]([0-9]{1,4})", text)
    if not found:
        raise ValueError(f"size is {shown(text)}; it must be width x height, such as 80x48")
    return checked_sides((int(found[2]), int(found[1])))


def written_size(size: tuple[int, int]) -> str:
    """A size as `parse_size` reads it."""
    height, width = size
    return f"{width}x{height}"


def written_in_utf8(text: str) -> bool:
    """Whether a text can be written: a terminal or a page may give half of what makes a letter."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _frame(frame: Any) -> int:
    if isinstance(frame, str) and frame.isascii() and frame.isdigit() and len(frame) <= 4:
        frame = int(frame)
    return checked_integer("fit: frame index", frame, 0, MAX_FRAMES - 1)


def _check_number(name: str, value: Any, low: float, high: float) -> None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
        raise ValueError(f"{name} is {shown(value)}; it must be from {low:g} to {high:g}")
