"""Whether network, schedule and autoencoder fit together: what is known of a clip at each level.

Parts that do not fit still make a clip, and nothing says why it is a bad one. Here a clip that is
known is noised, and what the network makes of it is compared with what it should be, and with what
it would be if the network were taken to predict something else or were told the time otherwise.
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from .guidance import class_numbers
from .network import checked_output, naming_its_line
from .noise import frame_noise
from .options import RunOptions
from .pipeline import Pipeline
from .readings import readings, tellings
from .sampler import split_variance

log = logging.getLogger(__name__)

LEVELS = (50, 200, 350, 500, 650, 800, 950)
TELLING = 0.2  # the least signal at which predictions of noise, too, say something of the clip
LACKING = 0.05  # the least error at which there is something to be known better
MARGIN = 1.1  # by how much more than a guess may be missed, as one clip is not all of them
FAR = 1.5  # of an error: 1 is that of knowing nothing
GAIN = 0.95  # of an error, above which nothing was gained
BETTER = 0.8  # of an error, below which another reading is proposed
LEAST, WORST = 1e-6, 4.0  # errors beyond are not told apart in a mean over levels
SCALES = (0.3, 3.0)  # of latents, between which nothing is said
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

    def __str__(self) -> str:
        mix = f"{self.level / 10:3.0f} %   {self.signal:.3f}  {self.noise:.3f}"
        guess, alike, among = (100 * each for each in (self.guess, self.alike, self.among_clean))
        return f"{mix}  {guess:10.1f}  {alike:14.1f}  {among:27.1f}"


@dataclass(frozen=True)
class Checkup:
    """What `check_up` found; `suspects` is what to look at, in words, and empty if all is well."""

    rows: tuple[AtLevel, ...]
    mean: float  # of the latents
    scale: float  # their standard deviation
    psnr: float | None  # dB, of the clip after the autoencoder; None where it is of stills
    seconds: float  # of a call of the network for one clip
    suspects: tuple[str, ...] = ()

    def __str__(self) -> str:
        """All of it as text, errors in percent."""
        coded = "" if self.psnr is None else f", and the clip comes back at {self.psnr:.1f} dB"
        lines = [
            "Missed of the clip, in % of its variance:",
            "level  signal  noise   by a guess  by the network  the same among clean frames",
            *map(str, self.rows),
            f"Latents have a mean of {self.mean:.2f} and a standard deviation of {self.scale:.2f}"
            f"{coded}.",
            f"A call of the network takes {self.seconds:.2g} s.",
        ]
        if self.psnr is None:
            lines.append(
                "Each latent is of a still: in clips they are of several frames but for the first, "
                "so a network may know less of these."
            )
        if not self.suspects:
            lines.append("Nothing suspicious.")
        return "\n".join([*lines, *(f"Look at this: {suspect}" for suspect in self.suspects)])


@torch.no_grad()
def check_up(
    pipe: Pipeline, frames: np.ndarray, label: str | int | None = None, seed: int = 0
) -> Checkup:
    """Notes what `pipe` knows of a clip, frames uint8 (F, H, W, 3) of its size.

    F is its `num_frames`; where a latent stands for several frames, it is as many as those of a
    clip or, where its autoencoder takes pictures only, they are the stills of F columns. label: of
    the clip, None for none. seed: of the noise. The network is called about 50 times, for at most
    two clips at once.

    Raises `ValueError` for other frames, for an unknown label and for a seed that is none, and what
    the network itself raises.
    """
    count = 1 + pipe.frames_per_picture * (pipe.num_frames - 1)
    expected = (count, *pipe.image_size, 3)
    if frames.shape != expected:
        raise ValueError(f"the clip is of shape {frames.shape}; it must be {expected}")
    seed = RunOptions(seed=seed).seed  # checked
    index, _ = pipe.offer.labelled(label)
    x_start = pipe.encode_clip(frames)[None].to(pipe.device)
    patient = _Patient(pipe, x_start, index, seed)
    if not patient.variance.max() > 0:
        raise ValueError("the clip is of one colour; choose one that shows something")
    with naming_its_line():
        rows = tuple(patient.at(level) for level in LEVELS)
    scale = float(x_start.std(correction=0))
    suspects = [*_scale(scale)]
    if all(math.isfinite(error) for row in rows for error in (row.alike, row.among_clean)):
        suspects += [*_ignorance(rows, pipe.schedule.prediction_type), *patient.better(rows)]
        suspects += [*_company(rows)] if pipe.num_frames > 1 else []
        suspects += patient.habits()
    else:
        suspects.append("it gives values that are not numbers")
    psnr = None
    if pipe.frames_per_latent == pipe.frames_per_picture:
        made = pipe.decode(x_start).astype(float)
        psnr = -10 * float(np.log10(max(((made - frames) ** 2).mean() / 255**2, 1e-10)))
    return Checkup(rows, float(x_start.mean()), scale, psnr, patient.seconds(), tuple(suspects))


class _Patient:
    """A network, and one clip with one noise: x_start and eps (1, F, C, h, w)."""

    def __init__(self, pipe: Pipeline, x_start: Tensor, label: int | None, seed: int) -> None:
        self.schedule = pipe.schedule
        self.tellings, self.readings = tellings(pipe.schedule), readings(pipe.schedule)
        self.pipe = pipe
        self.label = pipe.model.config.num_classes if label is None else label
        self.x_start = x_start
        self.variance = x_start.var(dim=(0, 1, 3, 4), correction=0)  # of each channel, (C,)
        noise = frame_noise(
            *(seed, range(x_start.shape[1]), 0, tuple(x_start.shape[2:])),
            prior=pipe.card.prior,
            alpha=pipe.card.prior_alpha,
        )
        self.eps = noise[None].to(x_start)
        self.known: dict[int, tuple[Tensor, Tensor]] = {}  # x and output, all frames at a level

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
        return split_variance(checked_output(output, x), x.shape[2])[0].float()

    def asked(self, levels: Tensor, told_as: str = "") -> tuple[Tensor, Tensor]:
        """x at the levels, and what the network makes of it, both (1, F, C, h, w)."""
        x = self.schedule.q_sample(self.x_start, levels, self.eps)
        return x, self.predict(x, self.tellings[told_as](levels))

    def missed(self, pred: Tensor, levels: Tensor) -> float:
        """The squared error of the noisy frames, as a share of the clip's variance."""
        error = (pred - self.x_start)[:, levels[0] > 0].square().mean()
        return float(error / self.variance.mean())

    def at(self, level: int) -> AtLevel:
        levels = self.levels(level)
        signal, noise = (float(part[0, 0]) for part in self.schedule.pair(levels))
        left = self.variance * noise**2 / (self.variance * signal**2 + noise**2)
        guess = float(left.sum() / self.variance.sum())
        self.known[level] = x, output = self.asked(levels)
        alike = among = self.missed(self.schedule.pred_x_start(x, output, levels), levels)
        frames = levels.shape[1]
        if frames > 1:
            among = 0.0
            for first in (0, 1):  # of the noisy frames
                mixed = self.levels(level, clean_from=1 - first)
                missed = self.missed(self.schedule.pred_x_start(*self.asked(mixed), mixed), mixed)
                among += missed * len(range(first, frames, 2)) / frames
        return AtLevel(level, signal, noise, guess, alike, among)

    def better(self, rows: Sequence[AtLevel]) -> Iterator[str]:
        """What the network seems to predict, or to be told, if that is not what it should be."""
        telling = [row for row in rows if row.signal >= TELLING]
        found: dict[str, float] = {}
        for told_as in self.tellings:
            errors: dict[str, list[float]] = {}
            for row in telling:
                levels = self.levels(row.level)
                try:
                    x, output = (
                        self.known[row.level] if not told_as else self.asked(levels, told_as)
                    )
                except Exception:  # it may well fail for times that it was not made for
                    log.debug("not for times %s", told_as, exc_info=True)
                    break
                for name, reading in self.readings.items():
                    missed = self.missed(reading(x, output, levels), levels)
                    errors.setdefault(name, []).append(missed)
            for name, each in errors.items():
                if len(each) == len(telling):
                    found[", ".join(part for part in (name, told_as) if part)] = _mean(each)
        best = min(found, key=lambda name: found[name])
        # by accident, one that knows nothing may seem to know as much as a guess
        by_guess = _mean([row.guess for row in telling])
        if best and found[best] < min(BETTER * found[""], GAIN * by_guess):
            less = found[best] / found[""]
            yield f"it knows more if {best}: then only {less:.2g} times as much is missed"

    def habits(self) -> Iterator[str]:
        """What else a sampler relies on."""
        level = LEVELS[len(LEVELS) // 2]
        levels, (x, once) = self.levels(level), self.known[level]
        t, frames = self.schedule.timesteps(levels), x.shape[1]
        size = float(once.abs().mean()) or 1.0

        def differs(other: Tensor) -> bool:
            return float((other - once).abs().mean()) > LEAKS * size

        if differs(self.asked(levels)[1]):
            yield "two calls with the same x differ: is dropout or other randomness left on?"
            return
        try:
            company = torch.cat([x, x.flip(1, 3) + 1])
            if differs(self.predict(company, t.repeat(2, 1))[:1]):
                yield "what a clip becomes depends on the others of its batch"
        except Exception as error:
            yield f"it cannot be called with two clips at once{_why(error)}"
        for fewer in sorted({1, frames - 1} - {0, frames}):
            try:
                self.predict(x[:, :fewer], t[:, :fewer])
            except Exception as error:
                yield f"it cannot be called with {fewer} of its {frames} frames{_why(error)}"
                return

    def seconds(self) -> float:
        """Of one call, which has been made before."""
        begun = time.perf_counter()
        float(self.asked(self.levels(LEVELS[0]))[1].sum())  # waits for the device
        return time.perf_counter() - begun


def _why(error: Exception) -> str:
    log.debug("it failed", exc_info=error)
    return f" ({' '.join(str(error).split())})"


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


def _ignorance(rows: Sequence[AtLevel], prediction_type: str) -> Iterator[str]:
    def is_worse(row: AtLevel) -> bool:
        if row.signal >= TELLING:
            return row.guess >= LACKING and row.alike > MARGIN * row.guess
        # what is said of the noise says little of the clip there
        return prediction_type != "eps" and max(row.alike, row.among_clean) > FAR

    if worse := [row for row in rows if is_worse(row)]:
        levels = ", ".join(f"{row.level / 10:.0f} %" for row in worse)
        yield (
            f"at {levels} it knows less of the clip than a guess from each value by itself: has it "
            "been trained on such clips, with this schedule and these latents?"
        )


def _company(rows: Sequence[AtLevel]) -> Iterator[str]:
    if any(row.alike >= LACKING and row.among_clean < BETTER * row.alike for row in rows):
        return  # clean frames do help, if only where there is little else to go by
    lacking = [row for row in rows if row.signal >= TELLING and row.alike >= LACKING]
    if sum(row.among_clean >= GAIN * row.alike for row in lacking) > len(lacking) / 2:
        yield (
            "clean frames beside noisy ones do not help it: was it trained with a timestep for "
            "each frame, and are all of `t` used?"
        )
