"""What a training step minimises: the PTSS timestep draw and the diffusion loss, frame by frame."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

from .schedule import NoiseSchedule
from .solvers import posterior_variance, step_beta

LOG_2 = math.log(2)
LOG_2PI = math.log(2 * math.pi)


def sample_timesteps(
    batch: int,
    frames: int,
    p_independent: float = 0.2,
    num_train_timesteps: int = 1000,
    *,
    stratified: bool = False,
    shift: float = 1.0,
    generator: torch.Generator | None = None,
    device: torch.device | str = "cpu",
) -> Tensor:
    """Levels (B, F) in 1…T by the probabilistic timestep sampling strategy (PTSS, FVDM §3.2).

    With probability `p_independent` each frame of a sample draws its own level, otherwise one level
    serves the whole clip; the choice is made per sample. 0 is the scalar-timestep baseline, 1 is
    Diffusion Forcing. `stratified` spreads the shared levels of a batch evenly over 1…T, one in
    each B-th part: each is as likely as before, and the mean loss varies less (Kingma et al. 2021,
    VDM, appendix I.1). `shift` above 1 draws more of the noisy levels, by `shift_levels`. Raises
    `ValueError` for a probability outside [0, 1] and a shift that is not above 0.
    """
    if not 0.0 <= p_independent <= 1.0:
        raise ValueError(f"p_independent is {p_independent}; it must be from 0 to 1")
    own = torch.randint(1, num_train_timesteps + 1, (batch, frames), generator=generator)
    if stratified:
        part = torch.randperm(batch, generator=generator) + torch.rand(batch, generator=generator)
        shared = 1 + (part / batch * num_train_timesteps).long()[:, None]
        shared.clamp_(max=num_train_timesteps)  # a sum in fp32 may round up to the whole
    else:
        shared = torch.randint(1, num_train_timesteps + 1, (batch, 1), generator=generator)
    independent = torch.rand(batch, 1, generator=generator) < p_independent
    levels = torch.where(independent, own, shared)
    return shift_levels(levels, shift, num_train_timesteps).to(device)


def shift_levels(levels: Tensor, shift: float, num_train_timesteps: int = 1000) -> Tensor:
    """Levels in 1…T moved towards noise: s·t / (1 + (s − 1)·t) of T for t of T, rounded up.

    The timestep shift of Stable Diffusion 3 (Esser et al. 2024, eq. 23). T stays T; with s = 3 half
    of the levels come to lie above 3/4 of T. Raises `ValueError` for a shift that is not above 0.
    """
    if not shift > 0:
        raise ValueError(f"shift is {shift}; it must be above 0")
    if shift == 1:
        return levels
    t = levels.double() / num_train_timesteps
    moved = (shift * levels / (1 + (shift - 1) * t)).ceil().long()
    return moved.clamp(max=num_train_timesteps)  # 1 + (s − 1) may round to less than s


def stagger_frames(
    levels: Tensor,
    p_staggered: float,
    num_train_timesteps: int = 1000,
    *,
    generator: torch.Generator | None = None,
) -> Tensor:
    """In a share `p_staggered` of the samples let frames come down one after the other.

    Staggered timelines, pyramids and the diagonal show a model such levels; independent ones all
    but never are. A random frame goes first and those furthest from it last (distance δ = 1), with
    a random delay d in [0, 2). The clip's own level, that of its first frame, says how far it is:
    where it is u of T, the levels are T · clip(u·(1 + d) − d·(1 − δ), 0, 1), rounded up. So all
    frames start together, and at least one stays noisy.
    """
    batch, frames = levels.shape
    if p_staggered == 0.0 or frames == 1:
        return levels
    first, delay, drawn = torch.rand(3, batch, 1, generator=generator)
    delay = 2 * delay
    left = levels[:, :1].cpu() / num_train_timesteps  # u
    far = (torch.arange(frames) - (first * frames).long()).abs()  # (B, F)
    late = far / far.amax(dim=1, keepdim=True)
    tau = (left * (1 + delay) - delay * (1 - late)).clamp(0, 1)
    staggered = (tau * num_train_timesteps).ceil().long()
    return torch.where((drawn < p_staggered).to(levels.device), staggered.to(levels.device), levels)


def keep_frames(
    levels: Tensor, p_condition: float, *, generator: torch.Generator | None = None
) -> Tensor:
    """In a share `p_condition` of the samples set a random subset of frames to level 0.

    Clean frames beside equally noisy ones are what image-to-video, interpolation and extension ask
    of the model; PTSS alone all but never draws them. A third of the subsets are runs from an end
    (the first or last k frames), a third runs from both ends, a third frames picked one by one; a
    run is a single frame most often, and at least one frame stays noisy. A subset that comes out
    empty or whole changes nothing, so the share is smaller in clips of few frames.
    """
    batch, frames = levels.shape
    if p_condition == 0.0 or frames == 1:
        return levels
    kind = torch.randint(3, (batch, 1), generator=generator)
    drawn = torch.rand(4, batch, 1, generator=generator)
    length = (drawn[:2].square() * frames / 2).ceil().clamp(min=1, max=frames // 2)  # 1 … F/2
    position = torch.arange(frames)
    mirrored = frames - 1 - position
    one_end = torch.where(drawn[2] < 0.5, position, mirrored) < length[0]  # (B, F)
    both_ends = (position < length[0]) | (mirrored < length[1])
    scattered = torch.rand(batch, frames, generator=generator) < drawn[2] / 2
    clean = torch.where(kind == 0, one_end, torch.where(kind == 1, both_ends, scattered))
    clean = (clean & (drawn[3] < p_condition)).to(levels.device)
    kept = levels.masked_fill(clean, 0)
    return torch.where(kept.any(dim=1, keepdim=True), kept, levels)


def lone_frames(
    levels: Tensor,
    still: Tensor,
    own: Tensor,
    num_train_timesteps: int = 1000,
    *,
    generator: torch.Generator | None = None,
) -> tuple[Tensor, Tensor]:
    """Levels (B, F) in which pictures are clips of one frame, and which frames count, (B, F).

    `still` (B,) marks the samples that are pictures: one frame anywhere has its level of `own`
    (B, F), those of `sample_timesteps` before any was staggered or kept, and counts; the others are
    at level T, all noise, which is what a frame that nobody knows looks like to a model with
    vectorised timesteps. So a picture teaches how frames look, and nothing of motion. Without
    pictures nothing is drawn from the generator.
    """
    batch, frames = levels.shape
    if not still.any():
        return levels, torch.ones_like(levels, dtype=torch.bool)
    here = torch.arange(frames) == torch.randint(frames, (batch, 1), generator=generator)
    lone = torch.where(here, own, num_train_timesteps)
    chosen = still[:, None]
    return torch.where(chosen, lone.to(levels), levels), here | ~chosen


def diffusion_loss(
    model: Callable[..., Tensor],
    x_start: Tensor,
    levels: Tensor,
    noise: Tensor,
    schedule: NoiseSchedule,
    y: Tensor | None = None,
    counted: Tensor | None = None,
    alone: Tensor | None = None,
) -> Tensor:
    """The mean loss of every sample, (B,), over its noisy frames (FVDM eq. 7, weight 1).

    x_start, noise (B, F, C, H, W); levels (B, F), where 0 marks a given frame that counts for
    nothing; nor do frames that are False in `counted` (B, F). In samples that are True in `alone`
    (B,) no frame sees another one (`VideoDiT.forward`). A model with 2C output channels adds
    the variational term of its learned variance (the hybrid loss, Nichol & Dhariwal 2021, eq. 16),
    of each frame's own pair of levels.
    """
    x = schedule.q_sample(x_start, levels, noise)
    apart = {} if alone is None else {"alone": alone}
    output = model(x, schedule.timesteps(levels), y, **apart).float()
    prediction, variance = output, None
    if output.shape[2] == 2 * x_start.shape[2]:
        prediction, variance = output.chunk(2, dim=2)
    error = (prediction - schedule.target(x_start, levels, noise)) ** 2
    per_frame = error.mean(dim=(2, 3, 4))  # (B, F)
    if variance is not None:
        per_frame = per_frame + variational_term(
            x, x_start, prediction.detach(), variance, levels, schedule
        )
    noisy = ((levels > 0) if counted is None else (levels > 0) & counted).float()
    return (per_frame * noisy).sum(dim=1) / noisy.sum(dim=1).clamp(min=1)


def variational_term(
    x: Tensor,
    x_start: Tensor,
    prediction: Tensor,
    variance: Tensor,
    levels: Tensor,
    schedule: NoiseSchedule,
) -> Tensor:
    """The term of the variational bound of each frame, in bits per latent value, (B, F).

    KL between the true posterior and the model's, or the negative log likelihood at level 1, where
    the frame arrives at 0; weighted by T / 1000, as in Nichol & Dhariwal's hybrid loss.
    """
    levels = levels.clamp(min=1)
    now, to = schedule.pair(levels), schedule.pair(levels - 1)
    low, high = posterior_variance(now, to), step_beta(now, to)
    # the posterior has no variance at level 1; that of level 2 stands in (improved-DDPM)
    second = torch.full_like(levels, 2)
    floor = posterior_variance(schedule.pair(second), schedule.pair(second - 1))
    log_low = torch.where(levels[..., None, None, None] > 1, low, floor).log()
    log_model = log_low + (variance + 1) / 2 * (high.log() - log_low)

    pred_x_start = schedule.pred_x_start(x, prediction, levels)
    x_start_weight = to[0] * high / now[1] ** 2  # of x_start in the posterior's mean
    squared_gap = (x_start_weight * (x_start - pred_x_start)) ** 2
    kl = 0.5 * (log_model - log_low + (log_low - log_model).exp() - 1)
    kl = kl + 0.5 * squared_gap * (-log_model).exp()
    # at level 1 the mean is pred_x_start itself, and latents are continuous: a Gaussian likelihood
    nll = 0.5 * (LOG_2PI + log_model + squared_gap * (-log_model).exp())
    term = torch.where(levels[..., None, None, None] == 1, nll, kl)
    return term.mean(dim=(2, 3, 4)) / LOG_2 * schedule.num_train_timesteps / 1000
