"""The network as the sampler calls it, led away from what it would make without label or company.

Classifier-free guidance leads away from the prediction without the label (Ho & Salimans 2022, eq.
6). Temporal guidance leads away from the one that each frame gets alone, so that frames agree: the
weaker model of autoguidance (Karras et al. 2024, eq. 3) is here the same one, whose frames do not
see each other, as spatiotemporal skip guidance (Hyung et al. 2024) leaves out temporal layers.
Both may end at a level of each frame's own (Kynkäänniemi et al. 2024, guidance in an interval).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from .network import Network, Prompted, checked_output, naming_its_line
from .step_cache import StepCache


def denoiser(
    model: Network,
    label: int | None,
    cfg_scale: float,
    cache: StepCache | None = None,
    temporal_scale: float = 0.0,
    led_from: float = 0,
    device: torch.device | str = "cpu",
    dtype: torch.dtype = torch.float32,
) -> Callable[[Tensor, Tensor], Tensor]:
    """x (B, F, C, h, w) and timesteps (B, F) -> the prediction for a label, or for none.

    It is p + (cfg_scale − 1) · (p − without the label) + temporal_scale · (p − each frame alone),
    where p is the plain prediction; all that it needs run as one batch. A learned variance is p's.
    Frames at timesteps below `led_from` get p itself, and where all are, nothing else is run.
    The network lies on `device` and is given x as `dtype`.
    """
    channels, null = model.config.latent_channels, model.config.num_classes
    own = null if label is None or cfg_scale == 0.0 else label
    classes, apart, scales = [own], [False], []
    if own != null and cfg_scale != 1.0:
        classes, apart, scales = [*classes, null], [*apart, False], [cfg_scale - 1]
    if temporal_scale and model.config.num_frames > 1:
        classes, apart, scales = [*classes, own], [*apart, True], [*scales, temporal_scale]
    # laid on the device once: a copy in every step would wait for the device
    y = class_numbers(model, classes, device)
    alone = torch.tensor(apart, device=device) if any(apart) else None
    cached = {} if cache is None else {"cache": cache}

    def run(x: Tensor, t: Tensor, y: Tensor | None, **alone: Tensor) -> Tensor:
        with naming_its_line():
            return checked_output(model(x, t, y, **cached, **alone), x)

    def predict(x: Tensor, t: Tensor) -> Tensor:
        led = t >= led_from  # (B, F)
        # asked only where it can be: a device has to be waited for
        if not scales or (led_from > 0 and not led.any()):
            # a copy, as a network may write into what it is given
            return run(x.to(dtype, copy=True), t, None if y is None else y[:1].expand(len(x)))
        size, parts = len(x), len(classes)
        masked = {} if alone is None else {"alone": alone.repeat_interleave(size)}
        repeated = None if y is None else y.repeat_interleave(size)
        output = run(x.repeat(parts, 1, 1, 1, 1).to(dtype), t.repeat(parts, 1), repeated, **masked)
        plain, *others = output.float().chunk(parts)
        guided, share = plain.clone(), led[:, :, None, None, None].float()
        for scale, other in zip(scales, others, strict=True):
            guided[:, :, :channels] += scale * share * (plain - other)[:, :, :channels]
        return guided

    return predict


def class_numbers(
    model: Network, classes: Sequence[int], device: torch.device | str
) -> Tensor | None:
    """y (B,) of these classes, as a network is given it: None where there are no labels to it."""
    labelled = model.config.num_classes or isinstance(model, Prompted)
    return torch.tensor(classes, device=device) if labelled else None
