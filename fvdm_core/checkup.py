"""Whether network, schedule and autoencoder fit together: what is known of a clip at each level.

Parts that do not fit still make a clip, and nothing says why it is a bad one. Here a clip that is
known is noised, and what the network makes of it is compared with what it should be, and with what
it would be if the network were taken to predict something else or were told the time otherwise.
"""

from __future__ import annotations

import copy
import logging
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from .guidance import class_numbers
from .network import checked_output, naming_its_line
from .noise import frame_noise
from .pipeline import Pipeline
from .schedule import PREDICTED, SCHEDULES, NoiseSchedule
from .timeline import MAX_LEVEL

log = logging.getLogger(__name__)

LEVELS = (50, 200, 350, 500, 650, 800, 950)
TELLING = 0.2  # the least signal at which predictions of noise, too, say something of the clip
BETTER = 0.8  # of the error, below which another reading is proposed
GAIN = 0.95  # of an error, above which nothing was gained
LEAST, WORST = 1e-6, 4.0  # less, and more, is not told apart in a mean over levels
SCALES = (0.3, 3.0)  # of latents, between which nothing is said
LACKING = 0.05  # the least error that clean frames are expected to help against
LEAKS = 0.05  # change of a prediction that is more than rounding


@dataclass(frozen=True)
class AtLevel:
    """What is missed at a level, as shares of the latents' variance; 0 is nothing.

    guess: by the best linear guess that knows only the value itself. alike: by the network where
    all frames are at the level. among_clean: by it where every other frame is clean, of the others.
    """

    level: int
    signal: float
    noise: float
    guess: float
    alike: float
    among_clean: float


@dataclass(frozen=True)
class Checkup:
    """What `check_up` found; `suspects` is what to look at, in words, and empty if all is well."""

    rows: tuple[AtLevel, ...]
    mean: float  # of the latents
    scale: float  # their standard deviation
    psnr: float | None  # dB, of the clip after the autoencoder; None where it compresses time
    seconds: float  # of a call of the network for one clip
    suspects: tuple[str, ...] = field(default=())

    def __str__(self) -> str:
        """All of it as text, errors in percent."""
        coded = "" if self.psnr is None else f", and the clip comes back at {self.psnr:.1f} dB"
        lines = [
            "Missed of the clip, in % of its variance:",
            "level  signal  noise   by a guess  by the network  the same among clean frames",
        ]
        for row in self.rows:
            mix = f"{row.level / 10:3.0f} %   {row.signal:.3f}  {row.noise:.3f}"
            guess, alike, among = (100 * each for each in (row.guess, row.alike, row.among_clean))
            lines.append(f"{mix}  {guess:10.1f}  {alike:14.1f}  {among:27.1f}")
        lines += [
            f"Latents have a mean of {self.mean:.2f} and a standard deviation of {self.scale:.2f}"
            f"{coded}.",
            f"A call of the network takes {self.seconds:.2g} s.",
        ]
        if not self.suspects:
            lines.append("Nothing suspicious.")
        return "\n".join([*lines, *(f"Look at this: {suspect}" for suspect in self.suspects)])


@torch.no_grad()
def check_up(
    pipe: Pipeline, frames: np.ndarray, label: str | int | None = None, seed: int = 0
) -> Checkup:
    """Notes what `pipe` knows of a clip, frames uint8 (F, H, W, 3) of its size.

    F is its `num_frames`; where a latent stands for several frames, they are the stills of F
    columns. label: of the clip, None for none. seed: of the noise.

    Raises `ValueError` for other frames or an unknown label, and what the network itself raises.
    """
    expected = (pipe.num_frames, *pipe.image_size, 3)
    if frames.shape != expected:
        raise ValueError(f"the clip is of shape {frames.shape}; it must be {expected}")
    index, _ = pipe.offer.labelled(label)
    x_start = pipe.encode(frames)[None].to(pipe.device)
    patient = _Patient(pipe, x_start, index, seed)
    spread = x_start.std(dim=(0, 1, 3, 4), correction=0)
    mean, scale = float(x_start.mean()), float(x_start.std(correction=0))
    if scale == 0:
        raise ValueError("the latents of the clip are all alike; choose one that shows something")
    with naming_its_line():
        rows = tuple(patient.at(level, spread) for level in LEVELS)
    suspects = [*_scale(scale), *_ignorance(rows), *patient.better(rows)]
    if pipe.num_frames > 1:
        suspects += _company(rows)
    suspects += patient.habits()
    psnr = None
    if pipe.frames_per_latent == 1:
        made = pipe.decode(x_start).astype(float)
        psnr = -10 * float(np.log10(max(((made - frames) ** 2).mean() / 255**2, 1e-10)))
    return Checkup(rows, mean, scale, psnr, patient.seconds(), tuple(suspects))


class _Patient:
    """A network, and one clip with one noise: x_start and eps (1, F, C, h, w)."""

    def __init__(self, pipe: Pipeline, x_start: Tensor, label: int | None, seed: int) -> None:
        self.schedule = pipe.schedule
        self.pipe = pipe
        self.label = pipe.model.config.num_classes if label is None else label
        self.x_start = x_start
        noise = frame_noise(
            *(seed, range(x_start.shape[1]), 0, tuple(x_start.shape[2:])),
            prior=pipe.card.prior,
            alpha=pipe.card.prior_alpha,
        )
        self.eps = noise[None].to(x_start)

    def levels(self, level: int, clean_from: int | None = None) -> Tensor:
        """(1, F), all at a level, or every second one, from that frame on, at 0."""
        levels = torch.full(self.x_start.shape[:2], level, device=self.x_start.device)
        if clean_from is not None:
            levels[:, clean_from::2] = 0
        return levels

    def predict(self, x: Tensor, t: Tensor) -> Tensor:
        """x (B, F, C, h, w) and t (B, F) -> the plain prediction, float32, of x's shape."""
        y = class_numbers(self.pipe.model, [self.label] * len(x), x.device)
        output = self.pipe.model(x.to(self.pipe.dtype, copy=True), t, y)
        return checked_output(output, x).float()[:, :, : x.shape[2]]

    def asked(self, levels: Tensor, told_as: str = "") -> tuple[Tensor, Tensor]:
        """x at the levels, and what the network makes of it, both (1, F, C, h, w)."""
        x = self.schedule.q_sample(self.x_start, levels, self.eps)
        return x, self.predict(x, tellings(self.schedule)[told_as](levels))

    def missed(self, pred: Tensor, levels: Tensor) -> float:
        """The squared error of the noisy frames, as a share of the clip's variance."""
        error = (pred - self.x_start)[:, levels[0] > 0].square().mean()
        return float(error / self.x_start.var(dim=(0, 1, 3, 4), correction=0).mean())

    def at(self, level: int, spread: Tensor) -> AtLevel:
        """spread: the standard deviation of each channel, (C,)."""
        levels = self.levels(level)
        signal, noise = (float(part[0, 0]) for part in self.schedule.pair(levels))
        left = (spread * noise).square() / ((spread * signal).square() + noise**2)
        guess = float((spread.square() * left).sum() / spread.square().sum())
        errors = []
        for each in (levels, self.levels(level, clean_from=1), self.levels(level, clean_from=0)):
            x, output = self.asked(each)
            errors.append(self.missed(self.schedule.pred_x_start(x, output, each), each))
        alike, evens, odds = errors
        frames = levels.shape[1]
        among = (
            (evens * ((frames + 1) // 2) + odds * (frames // 2)) / frames if frames > 1 else alike
        )
        return AtLevel(level, signal, noise, guess, alike, among)

    def better(self, rows: Sequence[AtLevel]) -> Iterator[str]:
        """What the network seems to predict, or to be told, if that is not what it should be."""
        telling = [row for row in rows if row.signal >= TELLING]
        own = _mean([row.alike for row in telling])
        found: dict[str, float] = {}
        for told_as in tellings(self.schedule):
            errors: dict[str, list[float]] = {}
            for row in telling:
                levels = self.levels(row.level)
                try:
                    x, output = self.asked(levels, told_as)
                except Exception:  # it may well fail for times that it was not made for
                    log.debug("not for times %s", told_as, exc_info=True)
                    break
                for name, reading in readings(self.schedule).items():
                    missed = self.missed(reading(x, output, levels), levels)
                    errors.setdefault(name, []).append(missed)
            for name, each in errors.items():
                if len(each) == len(telling):
                    found[", ".join(part for part in (name, told_as) if part)] = _mean(each)
        best = min(found, key=lambda name: found[name])
        # by accident, one that knows nothing may seem to know as much as a guess
        by_guess = _mean([row.guess for row in telling])
        if best and found[best] < min(BETTER * own, GAIN * by_guess):
            less = found[best] / own
            yield f"it knows more if {best}: then only {less:.2g} times as much is missed"

    def habits(self) -> Iterator[str]:
        """What else a sampler relies on."""
        levels = self.levels(500)
        x, once = self.asked(levels)
        t = self.schedule.timesteps(levels)
        size = float(once.abs().mean()) or 1.0

        def differs(other: Tensor) -> bool:
            return float((other.float() - once).abs().mean()) > LEAKS * size

        if differs(self.asked(levels)[1]):
            yield "two calls with the same x differ: is dropout or other randomness left on?"
            return
        company = torch.cat([x, x.flip(1, 3) + 1])
        if differs(self.predict(company, t.repeat(2, 1))[:1]):
            yield "what a clip becomes depends on the others of its batch"
        for frames in sorted({1, x.shape[1] - 1} - {0, x.shape[1]}):
            try:
                self.predict(x[:, :frames], t[:, :frames])
            except Exception as error:
                log.debug("not with %s frames", frames, exc_info=True)
                said = " ".join(str(error).split())
                yield f"it cannot be called with {frames} of its {x.shape[1]} frames ({said})"
                return

    def seconds(self) -> float:
        """Of one call, which has been made before."""
        begun = time.perf_counter()
        float(self.asked(self.levels(500))[1].sum())  # waits for the device
        return time.perf_counter() - begun


def tellings(schedule: NoiseSchedule) -> dict[str, Callable[[Tensor], Tensor]]:
    """What a network may want to be told of levels: levels -> t, under the words that say so.

    The empty words are what the schedule says itself.
    """
    told = schedule.timesteps
    last = told(torch.tensor(MAX_LEVEL))
    made: dict[str, Callable[[Tensor], Tensor]] = {
        "": told,
        "told t / 1000": lambda levels: told(levels) / 1000,
        "told the time backwards": lambda levels: last.to(levels.device) - told(levels),
    }
    for name in SCHEDULES:
        if schedule.name in ("flow", name) or name == "flow":
            continue
        other = NoiseSchedule(name, MAX_LEVEL, schedule.prediction_type)
        noises = other.noise(torch.arange(MAX_LEVEL + 1))

        def of_other(
            levels: Tensor, other: NoiseSchedule = other, noises: Tensor = noises
        ) -> Tensor:
            """The time at which the other schedule has as much noise."""
            away = (noises.to(levels.device) - schedule.noise(levels)[..., None]).abs()
            return other.timesteps(away.argmin(-1))

        made[f"told the time of the schedule {name!r}"] = of_other
    return made


def readings(schedule: NoiseSchedule) -> dict[str, Callable[[Tensor, Tensor, Tensor], Tensor]]:
    """What an output may mean: (x, output, levels) -> x_start, under the words that say so.

    The empty words are what the schedule says itself.
    """
    own = schedule.prediction_type
    kinds = ("flow", "x0") if schedule.name == "flow" else ("eps", "x0", "v")
    made: dict[str, Callable[[Tensor, Tensor, Tensor], Tensor]] = {"": schedule.pred_x_start}
    for kind in kinds:
        other = copy.copy(schedule)
        other.prediction_type = kind
        if kind != own:
            made[f"taken to predict {PREDICTED[kind]} ({kind!r})"] = other.pred_x_start
        if kind in ("flow", "v"):

            def turned(
                x: Tensor, output: Tensor, levels: Tensor, as_it_is: NoiseSchedule = other
            ) -> Tensor:
                return as_it_is.pred_x_start(x, -output, levels)

            made[f"taken to predict {PREDICTED[kind]} with its sign turned (−{kind})"] = turned
    return made


def _mean(errors: Sequence[float]) -> float:
    """The geometric mean of errors, as those of low levels are small; WORST for NaN, or more."""
    known = [error if error < WORST else WORST for error in errors]
    return float(np.exp(np.mean(np.log(np.maximum(known, LEAST)))))


def _scale(scale: float) -> Iterator[str]:
    if not SCALES[0] <= scale <= SCALES[1]:
        yield (
            f"the latents' standard deviation is {scale:.2g}; noise has 1, and most models are "
            "trained with latents scaled to about that"
        )


def _ignorance(rows: Sequence[AtLevel]) -> Iterator[str]:
    telling = [row for row in rows if row.signal >= TELLING]
    worse = [row for row in telling if not row.alike <= row.guess]
    if worse:
        levels = ", ".join(f"{row.level / 10:.0f} %" for row in worse)
        yield (
            f"at {levels} it knows less of the clip than a guess from each value by itself: has it "
            "been trained on such clips, with this schedule and these latents?"
        )


def _company(rows: Sequence[AtLevel]) -> Iterator[str]:
    lacking = [row for row in rows if row.signal >= TELLING and not row.alike < LACKING]
    if sum(not row.among_clean < GAIN * row.alike for row in lacking) > len(lacking) / 2:
        yield (
            "clean frames beside noisy ones do not help it: was it trained with a timestep for "
            "each frame, and are all of `t` used?"
        )
