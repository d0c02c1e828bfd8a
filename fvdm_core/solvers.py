"""One denoising step, or one step up again, as pure functions of tensors.

Every function takes both levels as pairs (signal, noise), tensors that broadcast against x, so it
knows nothing of grids, timelines or models. `now` is the pair of the state, `to` the result's.
"""

from __future__ import annotations

import torch
from torch import Tensor

Pair = tuple[Tensor, Tensor]
# How much of the last change of x_start a 2M step adds at most. What moved x_start since is not
# only the step, and a far longer one would multiply that: even steps stay below, but a painted
# column may have a small one before a large one (measured in docs/evidence.md, "Uneven columns").
MAX_EXTRAPOLATION = 1.0


def ddim_step(
    x: Tensor, x_start: Tensor, now: Pair, to: Pair, eta: float = 0.0, noise: Tensor | None = None
) -> Tensor:
    """DDIM (Song et al. 2021, eq. 12); on a flow schedule this is the Euler step."""
    (signal, sigma), (signal_to, sigma_to) = now, to
    eps = (x - signal * x_start) / sigma
    if eta == 0.0 or noise is None:
        return signal_to * x_start + sigma_to * eps
    std = eta * posterior_variance(now, to).sqrt()
    return signal_to * x_start + (sigma_to**2 - std**2).clamp(min=0).sqrt() * eps + std * noise


def ddpm_step(
    x: Tensor,
    x_start: Tensor,
    now: Pair,
    to: Pair,
    noise: Tensor,
    variance_fraction: Tensor | None = None,
) -> Tensor:
    """Ancestral sampling from q(x_to | x_now, x_start) (Ho et al. 2020, eq. 6-7) of this pair.

    `variance_fraction` in [0, 1] is a learned interpolation from log of the posterior variance (0)
    to log of the pair's own beta (1) (Nichol & Dhariwal 2021, eq. 15); None means the posterior.
    A frame that arrives at 0 gets its mean, without noise.
    """
    (signal, sigma), (signal_to, sigma_to) = now, to
    ratio = signal / signal_to
    beta = step_beta(now, to)
    mean = (ratio * sigma_to**2 * x + signal_to * beta * x_start) / sigma**2
    variance = posterior_variance(now, to)
    if variance_fraction is not None:
        log_low, log_high = variance.clamp(min=1e-20).log(), beta.clamp(min=1e-20).log()
        variance = (log_low + variance_fraction * (log_high - log_low)).exp()
    return mean + torch.where(sigma_to > 0, variance, 0.0).sqrt() * noise


def dpmpp_2m_step(
    x: Tensor,
    x_start: Tensor,
    now: Pair,
    to: Pair,
    memory: tuple[Tensor, Tensor] | None = None,
    eta: float = 0.0,
    noise: Tensor | None = None,
) -> Tensor:
    """DPM-Solver++(2M) (Lu et al. 2022, algorithm 2), with `eta` towards its SDE form, eta = 1.

    `memory` is (x_start, log-SNR half lambda) of the step before; a frame whose remembered lambda
    is NaN has none and takes the first-order step, which for eta = 1 is DDIM's with eta = 1. Each
    step keeps the share exp(-eta h) of the noise that there was, h = lambda_to - lambda_now, and
    makes the rest afresh. A step longer than twice the last one is extrapolated as if it were that
    long. The step to 0 is x = x_start.
    """
    (signal, sigma), (signal_to, sigma_to) = now, to
    data = x_start
    if memory is not None:
        x_start_before, lambda_before = memory
        lambda_now, lambda_to = half_log_snr(now), half_log_snr(to)
        # 1 / (2 r) with r = h_before / h; infinite h (the step to 0) must not extrapolate
        weight = (lambda_to - lambda_now) / (2 * (lambda_now - lambda_before))
        weight = torch.where(torch.isfinite(weight) & (sigma_to > 0), weight, 0.0)
        weight = weight.clamp(max=MAX_EXTRAPOLATION)
        data = x_start + weight * (x_start - x_start_before)
    # sigma_to / sigma * x - signal_to * expm1(-h) * data, written without logarithms
    if eta == 0.0 or noise is None:
        return sigma_to / sigma * x + (signal_to - signal * sigma_to / sigma) * data
    falls = signal * sigma_to / (signal_to * sigma)  # exp(-h)
    kept = falls**eta
    return (
        kept * sigma_to / sigma * x
        + signal_to * (1 - kept * falls) * data
        + sigma_to * (1 - kept**2).clamp(min=0).sqrt() * noise
    )


def renoise(x: Tensor, now: Pair, to: Pair, noise: Tensor) -> Tensor:
    """Up again, to a noisier level (the forward process; RePaint, Lugmayr et al. 2022, eq. 1)."""
    (signal, sigma), (signal_to, sigma_to) = now, to
    ratio = signal_to / signal
    return ratio * x + (sigma_to**2 - ratio**2 * sigma**2).clamp(min=0).sqrt() * noise


def half_log_snr(pair: Pair) -> Tensor:
    """lambda = log(signal / noise); infinite for a clean frame."""
    return (pair[0] / pair[1]).log()


def step_beta(now: Pair, to: Pair) -> Tensor:
    """The variance of x_now given x_to: 1 - alpha_bar / alpha_bar_to for VP."""
    (signal, sigma), (signal_to, sigma_to) = now, to
    return (sigma**2 - (signal / signal_to) ** 2 * sigma_to**2).clamp(min=0)


def posterior_variance(now: Pair, to: Pair) -> Tensor:
    """The variance of x_to given x_now and x_start (Ho et al. 2020, eq. 7), of any pair."""
    return to[1] ** 2 / now[1] ** 2 * step_beta(now, to)
