"""Walk a timeline: from its first row to its last, one step of every frame at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from .noise import frame_noise
from .schedule import NoiseSchedule
from .solvers import Pair, ddim_step, ddpm_step, dpmpp_2m_step, half_log_snr, renoise

SOLVERS = ("dpmpp_2m", "ddim", "ddpm")
Denoise = Callable[[Tensor, Tensor], Tensor]  # x (B, W, C, H, W), t (B, W) -> prediction
# x (B, W, C, H, W), levels (W,), the window's frames, the step -> x and levels for the network
Show = Callable[[Tensor, Tensor, Sequence[int], int], tuple[Tensor, Tensor]]


@dataclass(frozen=True)
class SampleState:
    """What is known after a step: x and the predicted clean latents, all (B, F, C, H, W)."""

    step: int  # 1…M: how many steps are done
    levels: np.ndarray  # (F,): the levels that x now has
    x: Tensor
    pred_x_start: Tensor
    last_x_start: Tensor  # what 2M remembers: pred_x_start itself, or older where frames rest


class NotFinite(ArithmeticError):
    """The state holds NaN or infinity; the message names the step and the first such frame."""


@torch.no_grad()
def sample(
    denoise: Denoise,
    start: Tensor | SampleState,
    timeline: Any,
    schedule: NoiseSchedule,
    solver: str = "ddim",
    eta: float = 0.0,
    seed: int | Sequence[int] = 0,
    show: Show | None = None,
) -> Iterator[SampleState]:
    """Yield a state after each step of `timeline`.

    `start` is x (B, F, C, H, W) at levels[0], or a state of an earlier run, of the same seed,
    solver and rows so far: from that on all is, bit for bit, as if it had been walked to.

    `denoise(x, t)` is called once per window in which some frame goes down, with that window's
    frames only. A frame whose level does not change is returned bit for bit; one that goes up is
    noised again. An int `seed` gives sample b of the batch the seed `seed + b`, so a sample does
    not depend on its batch. `show` may change what `denoise` gets to see, never the state. Raises
    `ValueError` for shapes, dtypes or solvers that do not fit, and `NotFinite` when a step gives
    NaN or infinity.
    """
    if solver not in SOLVERS:
        raise ValueError(f"solver {solver!r} is unknown; choose one of {', '.join(SOLVERS)}")
    if not 0.0 <= eta <= 1.0:
        raise ValueError(f"eta is {eta}; it must be from 0 (deterministic) to 1 (ancestral)")
    if isinstance(start, SampleState):
        begun = start
        if not np.array_equal(start.levels, timeline.levels[: start.step + 1][-1]):
            raise ValueError(f"this timeline does not come through the state of step {start.step}")
    else:
        begun = SampleState(0, np.array(timeline.levels[0]), start, start, start)
    x = begun.x
    if x.ndim != 5 or x.shape[1] != timeline.frames:
        raise ValueError(
            f"x has shape {tuple(x.shape)}; this timeline needs (B, {timeline.frames}, C, H, W)"
        )
    if not len(x):
        raise ValueError("x is an empty batch; give at least one sample")
    if x.dtype not in (torch.float32, torch.float64):  # steps of half precision would add up
        raise ValueError(f"x is of {x.dtype}; give x.float()")
    if isinstance(seed, int | np.integer):
        seeds = [int(seed) + b for b in range(len(x))]
    else:
        seeds = list(seed)
    if len(seeds) != len(x):
        raise ValueError(f"{len(seeds)} seeds were given for a batch of {len(x)}")

    levels = torch.as_tensor(np.array(timeline.levels), dtype=torch.long, device=x.device)
    rests = _rests(np.array(timeline.levels))
    x, pred = x.clone(), begun.pred_x_start.clone()
    memory = _Memory.after(begun, timeline, schedule)
    for step in range(begun.step, timeline.num_steps):
        now, to = levels[step], levels[step + 1]
        state = x  # every window of a step reads the state before the step
        x = x.clone()
        for window in timeline.active_windows(step):
            frames = torch.as_tensor(window.frames, device=x.device)
            updated = torch.as_tensor(window.updates, device=x.device)
            inside = torch.searchsorted(frames, updated)
            memory.follow(window.frames, window.updates)

            # what the network sees, and at which levels that is
            seen, noisy = state[:, frames], now[frames]
            if show is not None:
                seen, noisy = show(seen, noisy, window.frames, step)
            told = noisy.clone()
            for frame, level in timeline.seen.items():
                if frame in window.frames:
                    told[window.frames.index(frame)] = level
            t = schedule.timesteps(told).expand(len(x), -1)  # (B, W)
            output = denoise(seen, t).float()  # (B, W, C or 2C, H, W)
            prediction, variance = split_variance(output[:, inside], x.shape[2])
            x_start = schedule.pred_x_start(
                seen[:, inside], prediction, noisy[inside].expand(len(x), -1)
            )
            pred[:, updated] = x_start

            down = to[updated] < now[updated]
            moving = updated[down]
            noise = None
            if solver == "ddpm" or eta > 0:
                noise = _noise(seeds, moving, step, x, timeline)
            x[:, moving] = _solver_step(
                solver,
                state[:, moving],
                x_start[:, down],
                schedule.pair(now[moving]),
                schedule.pair(to[moving]),
                eta,
                noise,
                None if variance is None else (variance[:, down] + 1) / 2,
                memory.of(moving),
            )
            memory.x_start[:, moving] = x_start[:, down]
            memory.note(moving, now, schedule)

        up = torch.nonzero(to > now).flatten()
        if len(up):
            noise = _noise(seeds, up, step, x, timeline)
            x[:, up] = renoise(state[:, up], schedule.pair(now[up]), schedule.pair(to[up]), noise)
            memory.forget(up)
        clean = to == 0
        pred[:, clean] = x[:, clean]
        _check_finite(x, step)
        shown = pred.clone()
        last = memory.x_start.clone() if rests[step] else shown
        yield SampleState(step + 1, np.array(timeline.levels[step + 1]), x, shown, last)


def _solver_step(
    solver: str,
    x: Tensor,
    x_start: Tensor,
    now: Pair,
    to: Pair,
    eta: float,
    noise: Tensor | None,
    variance_fraction: Tensor | None,
    memory: tuple[Tensor, Tensor],
) -> Tensor:
    if solver == "ddim":
        return ddim_step(x, x_start, now, to, eta, noise)
    if solver == "ddpm":
        assert noise is not None
        return ddpm_step(x, x_start, now, to, noise, variance_fraction)
    return dpmpp_2m_step(x, x_start, now, to, memory, eta, noise)


@dataclass
class _Memory:
    """What DPM-Solver++(2M) remembers of each frame: its last x_start and that step's lambda."""

    x_start: Tensor  # (B, F, C, H, W)
    half_log_snr: Tensor  # (F, 1, 1, 1), NaN where there is none
    windows: dict[int, tuple[int, ...]]  # frame -> the window in which it was last denoised

    @classmethod
    def after(cls, begun: SampleState, timeline: Any, schedule: NoiseSchedule) -> _Memory:
        """What is remembered after the steps of a state: all but x_start follows from the rows."""
        x_start = begun.last_x_start.clone()
        none = torch.full((x_start.shape[1], 1, 1, 1), torch.nan, device=x_start.device)
        memory = cls(x_start, none, {})
        levels = torch.as_tensor(np.array(timeline.levels), dtype=torch.long, device=x_start.device)
        for step in range(begun.step):
            now, to = levels[step], levels[step + 1]
            for window in timeline.active_windows(step):
                updated = torch.as_tensor(window.updates, device=x_start.device)
                memory.follow(window.frames, window.updates)
                memory.note(updated[to[updated] < now[updated]], now, schedule)
            memory.forget(torch.nonzero(to > now).flatten())
        return memory

    def follow(self, window: tuple[int, ...], updates: tuple[int, ...]) -> None:
        """Forget frames that were last denoised in other company: their x_start may jump."""
        moved = [f for f in updates if self.windows.get(f, window) != window]
        if moved:
            self.forget(torch.as_tensor(moved))
        self.windows.update(dict.fromkeys(updates, window))

    def of(self, frames: Tensor) -> tuple[Tensor, Tensor]:
        return self.x_start[:, frames], self.half_log_snr[frames]

    def note(self, moving: Tensor, now: Tensor, schedule: NoiseSchedule) -> None:
        """From which levels (F,) some frames have come down."""
        self.half_log_snr[moving] = half_log_snr(schedule.pair(now[moving]))

    def forget(self, frames: Tensor) -> None:
        self.half_log_snr[frames] = torch.nan


def _rests(levels: np.ndarray) -> np.ndarray:
    """Whether after each step (M,) some frame waits in the middle of its way down: the network
    looks at it again, and 2M does not take that for a step."""
    falls = levels[1:] < levels[:-1]
    fell = np.logical_or.accumulate(falls, axis=0)
    return np.any(fell & ~falls & (levels[1:] > 0), axis=1)


def split_variance(output: Tensor, channels: int) -> tuple[Tensor, Tensor | None]:
    """The prediction, and the learned-variance half where the network has one."""
    if output.shape[2] == channels:
        return output, None
    if output.shape[2] == 2 * channels:
        prediction, variance = output.chunk(2, dim=2)
        return prediction, variance
    raise ValueError(
        f"the network returned {output.shape[2]} channels; expected {channels} or {2 * channels}"
    )


def _noise(seeds: list[int], frames: Tensor, step: int, x: Tensor, timeline: Any) -> Tensor:
    drawn = [
        frame_noise(
            seed,
            frames.tolist(),
            step + 1,
            x.shape[2:],
            prior=timeline.prior,
            alpha=timeline.prior_alpha,
            window=timeline.window_size,
        )
        for seed in seeds
    ]
    return torch.stack(drawn).to(x)


def _check_finite(x: Tensor, step: int) -> None:
    finite = torch.isfinite(x).all(dim=(0, 2, 3, 4))  # (F,)
    if not bool(finite.all()):
        frame = int(torch.nonzero(~finite)[0])
        raise NotFinite(
            f"step {step + 1} gave a value that is not a number in frame {frame + 1}; "
            "the run was stopped. Try another seed, more steps, or a lower guidance or coherence"
        )
