"""Files in the layouts of published weights, with random numbers in them: for tests and timings."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from fvdm_core.model import VideoDiT


def save_latte(path: Path, model: VideoDiT) -> None:
    """The model as a published file of Latte: one list of blocks, averaged weights, a namespace."""
    latte = {}
    for key, tensor in model.state_dict().items():
        first, _, rest = key.partition(".")
        if first in ("blocks_spatial", "blocks_temp"):
            index, _, rest = rest.partition(".")
            key = f"blocks.{2 * int(index) + (first == 'blocks_temp')}.{rest}"
        latte[key] = tensor
    torch.save({"model": {}, "ema": latte, "args": argparse.Namespace(lr=1e-4)}, path)


def save_vae(
    folder: Path, channels: int = 4, widths: Sequence[int] = (8, 16), layers: int = 1
) -> Any:
    """A folder as diffusers writes an AutoencoderKL; half as large pictures with every width."""
    from diffusers import AutoencoderKL

    torch.manual_seed(0)
    vae = AutoencoderKL(
        block_out_channels=tuple(widths),
        down_block_types=("DownEncoderBlock2D",) * len(widths),
        up_block_types=("UpDecoderBlock2D",) * len(widths),
        layers_per_block=layers,
        norm_num_groups=min(32, widths[0] // 2),
        latent_channels=channels,
    )
    vae.save_pretrained(folder)
    return vae.eval()
