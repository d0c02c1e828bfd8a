"""How much signal and noise a level means, and what a network's output says about the clip.

A level is an integer from 0 (clean) to T (noise). The state of a frame at a level is
x = signal * x_start + noise * eps. Variance-preserving (VP) schedules have signal^2 + noise^2 = 1
(FVDM eq. 3, per frame); the rectified flow has signal = 1 - noise.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from numbers import Integral

import torch
from torch import Tensor

SCHEDULES = ("linear", "linear-continuous", "cosine", "flow")
PREDICTION_TYPES = ("eps", "x0", "v", "flow")
PREDICTED = {"eps": "the noise", "x0": "the clean clip", "v": "v", "flow": "the flow"}  # in words


def alphas_cumprod(name: str, num_train_timesteps: int) -> Tensor:
    """The table alpha_bar of training timesteps 0…T-1, float64, shape (T,).

    `linear`: beta from 1e-4 to 0.02 over 1000 steps (Ho et al. 2020), scaled for another T.
    `linear-continuous`: the VP SDE with beta(0) = 0.1, beta(T) = 20 (Song et al. 2021; FVDM §3.1).
    `cosine`: Nichol & Dhariwal 2021, eq. 17, betas at most 0.999.
    """
    steps = num_train_timesteps
    if name == "linear":
        scale = 1000 / steps
        beta = torch.linspace(scale * 1e-4, min(scale * 0.02, 0.999), steps, dtype=torch.float64)
        return (1 - beta).cumprod(0)
    time = torch.arange(1, steps + 1, dtype=torch.float64) / steps
    if name == "linear-continuous":
        return torch.exp(-(0.1 * time + 0.5 * (20.0 - 0.1) * time**2))
    grid = torch.arange(steps + 1, dtype=torch.float64) / steps
    squared_cosine = torch.cos((grid + 0.008) / 1.008 * math.pi / 2) ** 2
    beta = (1 - squared_cosine[1:] / squared_cosine[:-1]).clamp(max=0.999)
    return (1 - beta).cumprod(0)


class NoiseSchedule:
    """The pair (signal, noise) of every level 0…T, and conversions of predictions.

    shift: of a flow. Level s·T has the noise shift·s / (1 + (shift − 1)·s): above 1 more of the
        levels are noisy, as larger pictures want it (Esser et al. 2024, eq. 23).

    Raises `ValueError` for an unknown name, an unknown prediction type, fewer than 2 timesteps, and
    a shift that is none or of another schedule.
    """

    def __init__(
        self,
        name: str = "linear",
        num_train_timesteps: int = 1000,
        prediction_type: str = "eps",
        shift: float = 1.0,
    ) -> None:
        if name not in SCHEDULES:
            raise ValueError(
                f"schedule {name!r} is unknown; choose one of {', '.join(SCHEDULES)}, or make one "
                "with from_function or from_alphas_cumprod"
            )
        if prediction_type not in PREDICTION_TYPES:
            raise ValueError(
                f"prediction_type {prediction_type!r} is unknown; "
                f"choose one of {', '.join(PREDICTION_TYPES)}"
            )
        whole = isinstance(num_train_timesteps, Integral)
        if not whole or not 2 <= num_train_timesteps <= 100_000:
            raise ValueError(
                f"num_train_timesteps is {num_train_timesteps}; it must be a whole number from 2 "
                "to 100000"
            )
        if name == "flow" and prediction_type in ("v", "eps"):
            raise ValueError(
                f"prediction_type {prediction_type!r} belongs to a VP schedule: the flow schedule "
                "has no signal at its first level. Use 'flow' or 'x0' with it"
            )
        if not 0 < shift <= 100 or (name != "flow" and shift != 1):
            raise ValueError(
                f"shift is {shift}; it must be from above 0 to 100, and 1 for any but the schedule "
                "'flow'"
            )
        self.name = name
        self.num_train_timesteps = num_train_timesteps
        self.prediction_type = prediction_type
        self.shift = shift
        self._told_levels = name == "flow"  # and not indices of training timesteps
        if name == "flow":
            share = torch.arange(num_train_timesteps + 1, dtype=torch.float64) / num_train_timesteps
            noise = shift * share / (1 + (shift - 1) * share)
            signal = (1 - noise).clamp(min=0)
        else:
            alpha_bar = alphas_cumprod(name, num_train_timesteps)
            alpha_bar = torch.cat([torch.ones(1, dtype=torch.float64), alpha_bar])
            signal, noise = alpha_bar.sqrt(), (1 - alpha_bar).sqrt()
        self._pairs = torch.stack([signal, noise]).float()  # (2, T + 1); mps has no float64
        self._copies: dict[torch.device, Tensor] = {}

    @classmethod
    def from_alphas_cumprod(cls, table: Tensor, prediction_type: str = "eps") -> NoiseSchedule:
        """A VP schedule from its table alpha_bar of training timesteps 0…T-1, shape (T,), such as
        the `alphas_cumprod` of a scheduler of diffusers.

        Raises `ValueError` for a table that does not fall from below 1 to no less than 0, and for
        "eps" where it ends at 0, as there is no signal then to tell it from.
        """
        table = torch.as_tensor(table).detach().cpu().double()
        if table.ndim != 1 or len(table) < 2:
            raise ValueError(
                f"alphas_cumprod has the shape {tuple(table.shape)}; it must be (T,), T at least 2"
            )
        alpha_bar = torch.cat([torch.ones(1, dtype=torch.float64), table])
        wrong = torch.nonzero(~(alpha_bar.diff() < 0) | ~(table >= 0)).flatten().tolist()
        if wrong:
            at = wrong[0]
            raise ValueError(
                f"alphas_cumprod[{at}] is {float(table[at]):g} after {float(alpha_bar[at]):g}; the "
                "table must fall with each timestep, from below 1 to no less than 0"
            )
        if prediction_type == "eps" and alpha_bar[-1] == 0:
            raise ValueError(
                "alphas_cumprod ends at 0, without signal, where 'eps' says nothing of the clip; "
                "such a network predicts 'v' or 'x0'"
            )
        made = cls("linear", len(table), prediction_type)
        made.name = "own"
        made._pairs = torch.stack([alpha_bar.sqrt(), (1 - alpha_bar).sqrt()]).float()
        return made

    @classmethod
    def from_function(
        cls,
        alpha_bar: Callable[[float], float],
        prediction_type: str = "v",
        num_train_timesteps: int = 1000,
    ) -> NoiseSchedule:
        """A VP schedule from alpha_bar(s) of the times s from 0 (clean) to 1 (noise).

        The network is told the level n, which is s = n / T, and not an index of timesteps.
        Raises `ValueError` as `from_alphas_cumprod`, whose entry k is s = (k + 1) / T.
        """
        times = torch.arange(1, num_train_timesteps + 1, dtype=torch.float64) / num_train_timesteps
        table = torch.tensor([float(alpha_bar(s)) for s in times.tolist()], dtype=torch.float64)
        made = cls.from_alphas_cumprod(table, prediction_type)
        made._told_levels = True
        return made

    def written(self) -> dict[str, str | int | float]:
        """As config.json has it; raises `ValueError` for one from a table or a function."""
        if self.name not in SCHEDULES:
            raise ValueError(
                "a schedule from a table or a function has no name to write down; make it in the "
                "program that loads the network"
            )
        said: dict[str, str | int | float] = {
            "name": self.name,
            "num_train_timesteps": self.num_train_timesteps,
            "prediction_type": self.prediction_type,
        }
        return said if self.shift == 1 else said | {"shift": float(self.shift)}

    def __repr__(self) -> str:
        shift = f", shift {self.shift:g}" if self.shift != 1 else ""
        return f"<NoiseSchedule: {self.name}, predicts {self.prediction_type}{shift}>"

    @property
    def predicts(self) -> str:
        """What the network predicts, in words."""
        return PREDICTED[self.prediction_type]

    def _pairs_on(self, device: torch.device) -> Tensor:
        """The table on a device, copied once: a copy in each step would wait for the device."""
        if device not in self._copies:
            self._copies[device] = self._pairs.to(device)
        return self._copies[device]

    def signal(self, levels: Tensor) -> Tensor:
        """The factor of x_start at each level: float32, of the shape of `levels`.

        Raises `ValueError` for what is no level, as all do that take levels.
        """
        return self._pairs_on(levels.device)[0][self._checked(levels)]

    def noise(self, levels: Tensor) -> Tensor:
        """The standard deviation of the noise at each level: float32, of the shape of `levels`."""
        return self._pairs_on(levels.device)[1][self._checked(levels)]

    def _checked(self, levels: Tensor) -> Tensor:
        """Levels as int64; a negative one would be read from the table's end."""
        if levels.is_floating_point() or levels.dtype == torch.bool:
            raise ValueError(f"levels are of {levels.dtype}; they must be whole numbers")
        if levels.device.type == "cpu" and levels.numel():  # another device would be waited for
            low, high = (int(level) for level in levels.aminmax())
            if low < 0 or high > self.num_train_timesteps:
                raise ValueError(
                    f"level {low if low < 0 else high} is not one of 0 (clean) to "
                    f"{self.num_train_timesteps} (noise)"
                )
        return levels.long()

    def mixing(self, points: int = 101) -> list[tuple[float, float]]:
        """The pairs (signal, noise) of evenly spaced levels from clean to noise, to draw them."""
        levels = torch.linspace(0, self.num_train_timesteps, points).round().long()
        return list(zip(self.signal(levels).tolist(), self.noise(levels).tolist(), strict=True))

    def timesteps(self, levels: Tensor) -> Tensor:
        """What the network is told: n - 1 for a VP level n > 0, and 0 for a clean frame; of a flow
        T times its noise, which is the level itself, and with a shift no whole number; the level
        itself where alpha_bar is a function."""
        if self.shift != 1:
            return self.noise(levels) * self.num_train_timesteps
        return levels.long() if self._told_levels else (levels.long() - 1).clamp(min=0)

    def q_sample(self, x_start: Tensor, levels: Tensor, eps: Tensor) -> Tensor:
        """Add noise to clean latents (B, F, C, H, W) up to levels (B, F) (FVDM eq. 4)."""
        return _per_frame(self.signal(levels)) * x_start + _per_frame(self.noise(levels)) * eps

    def pair(self, levels: Tensor) -> tuple[Tensor, Tensor]:
        """(signal, noise) of levels (…, F), each (…, F, 1, 1, 1), to scale latents by."""
        return _per_frame(self.signal(levels)), _per_frame(self.noise(levels))

    def target(self, x_start: Tensor, levels: Tensor, eps: Tensor) -> Tensor:
        """What a network of this `prediction_type` should output, (B, F, C, H, W)."""
        if self.prediction_type == "eps":
            return eps
        if self.prediction_type == "x0":
            return x_start
        if self.prediction_type == "flow":
            return eps - x_start
        # v-prediction: Salimans & Ho 2022, appendix D
        return _per_frame(self.signal(levels)) * eps - _per_frame(self.noise(levels)) * x_start

    def pred_x_start(self, x: Tensor, prediction: Tensor, levels: Tensor) -> Tensor:
        """The clean latents that a prediction implies, (B, F, C, H, W); x itself at level 0."""
        signal, noise = _per_frame(self.signal(levels)), _per_frame(self.noise(levels))
        if self.prediction_type == "x0":
            x_start = prediction
        elif self.prediction_type == "eps":
            x_start = (x - noise * prediction) / signal.clamp(min=1e-5)
        elif self.prediction_type == "v":
            x_start = signal * x - noise * prediction
        else:
            x_start = (x - noise * prediction) / (signal + noise)
        return torch.where(noise == 0, x, x_start)


def _per_frame(values: Tensor) -> Tensor:
    """(…, F) -> (…, F, 1, 1, 1), to scale latents frame by frame."""
    return values[..., None, None, None]
