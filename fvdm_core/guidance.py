"""The network as the sampler calls it, with classifier-free guidance where a label asks for it."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from .model import VideoDiT
from .step_cache import StepCache


def denoiser(
    model: VideoDiT, label: int | None, cfg_scale: float, cache: StepCache | None = None
) -> Callable[[Tensor, Tensor], Tensor]:
    """x (B, F, C, h, w) and timesteps (B, F) -> the prediction for a label, or for none.

    With guidance (Ho & Salimans 2022, eq. 6) both classes run as one batch, and the prediction is
    cfg_scale · with the label + (1 − cfg_scale) · without; a learned variance is the label's.
    """
    weight = model.pos_embed
    channels = model.config.latent_channels
    if label is None:
        return lambda x, t: model(x.to(weight.dtype), t, None, cache)
    # laid on the device once: a copy in every step would wait for the device
    classes = torch.tensor([label, model.null_label], device=weight.device)

    def plain(x: Tensor, t: Tensor) -> Tensor:
        return model(x.to(weight.dtype), t, classes[:1].expand(len(x)), cache)

    def guided(x: Tensor, t: Tensor) -> Tensor:
        y = classes.repeat_interleave(len(x))
        x, t = torch.cat([x, x]).to(weight.dtype), torch.cat([t, t])
        with_label, without = model(x, t, y, cache).float().chunk(2)
        guidance = (cfg_scale - 1) * (with_label - without)
        guidance[:, :, channels:] = 0
        return with_label + guidance

    return plain if cfg_scale == 1.0 else guided
