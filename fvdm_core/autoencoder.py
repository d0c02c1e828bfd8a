"""A small convolutional autoencoder of pictures: pixels in [-1, 1], latents of unit scale."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn


@dataclass(frozen=True)
class AutoencoderConfig:
    """The shape of an autoencoder; `widths` has one entry per resolution.

    The first is `stem` times smaller than the picture, each further one half of that before it.
    With a `detail`, all that is of pictures of half the size: the encoder halves them first, and
    the decoder doubles what it made and adds what a stage of so many channels sees in it. So a
    trained model learns larger pictures while its latents, and its transformer, stay.
    """

    image_size: int = 64
    latent_channels: int = 8
    widths: tuple[int, ...] = (64, 128, 192)
    blocks: int = 2  # residual blocks per resolution
    stem: int = 2
    detail: int = 0

    def __post_init__(self) -> None:
        object.__setattr__(self, "widths", tuple(self.widths))
        if not self.widths or min(self.widths) < 1 or self.latent_channels < 1 or self.blocks < 0:
            raise ValueError(
                f"widths {self.widths} and latent_channels {self.latent_channels} must be at least "
                f"1, blocks {self.blocks} at least 0"
            )
        if self.stem < 1 or self.detail < 0:
            raise ValueError(
                f"stem {self.stem} must be at least 1, detail {self.detail} at least 0"
            )
        if self.image_size < 1 or self.image_size % self.downsample:
            raise ValueError(
                f"image_size {self.image_size} is not divisible by {self.downsample}, the "
                f"reduction of a stem of {self.stem} and {self._halvings} halvings"
            )

    @property
    def downsample(self) -> int:
        return self.stem * 2**self._halvings

    @property
    def _halvings(self) -> int:
        return len(self.widths) - 1 + bool(self.detail)

    @property
    def latent_size(self) -> int:
        return self.image_size // self.downsample


class Autoencoder(nn.Module):
    """(…, 3, H, W) in [-1, 1] <-> latents (…, C, h, w), per channel of mean 0 and deviation 1."""

    latent_mean: Tensor
    latent_std: Tensor

    def __init__(self, config: AutoencoderConfig) -> None:
        super().__init__()
        self.config = config
        widths, channels = config.widths, config.latent_channels
        factors = (config.stem, *[2] * (len(widths) - 1))

        down: list[nn.Module] = []
        width_before = 3
        for factor, width in zip(factors, widths, strict=True):
            down.append(nn.PixelUnshuffle(factor))
            down.append(nn.Conv2d(factor**2 * width_before, width, 3, padding=1))
            down += [ResidualBlock(width) for _ in range(config.blocks)]
            width_before = width
        self.encoder = nn.Sequential(*down, nn.Conv2d(widths[-1], channels, 3, padding=1))

        up: list[nn.Module] = [nn.Conv2d(channels, widths[-1], 3, padding=1)]
        for factor, width, width_after in zip(
            factors[::-1], widths[::-1], (*widths[-2::-1], 3), strict=True
        ):
            up += [ResidualBlock(width) for _ in range(config.blocks)]
            up.append(nn.Conv2d(width, factor**2 * width_after, 3, padding=1))
            up.append(nn.PixelShuffle(factor))
        self.decoder = nn.Sequential(*up)
        self.detail = _detail(config) if config.detail else None

        self.register_buffer("latent_mean", torch.zeros(channels, 1, 1))
        self.register_buffer("latent_std", torch.ones(channels, 1, 1))

    @property
    def downsample(self) -> int:
        return self.config.downsample

    def encode(self, video: Tensor) -> Tensor:
        """Pictures (…, 3, H, W) in [-1, 1] -> latents (…, C, h, w) of unit scale."""
        latents = (
            self.encode_raw(video.flatten(0, -4))
            if video.ndim > 3
            else self.encode_raw(video[None])
        )
        latents = (latents - self.latent_mean) / self.latent_std
        return latents.reshape(*video.shape[:-3], *latents.shape[-3:])

    def decode(self, latents: Tensor) -> Tensor:
        """Latents (…, C, h, w) -> pictures (…, 3, H, W), clamped to [-1, 1]."""
        return self._decoded(latents, detailed=True)

    def preview(self, latents: Tensor) -> Tensor:
        """As `decode`, but quick enough for the way: without its detail, so in half the size."""
        return self._decoded(latents, detailed=False)

    def _decoded(self, latents: Tensor, detailed: bool) -> Tensor:
        flat = latents.reshape(-1, *latents.shape[-3:]) * self.latent_std + self.latent_mean
        video = self.decode_sizes(flat, detailed)[-1].clamp(-1, 1)
        return video.reshape(*latents.shape[:-3], *video.shape[-3:])

    def encode_raw(self, pictures: Tensor) -> Tensor:
        """(B, 3, H, W) -> (B, C, h, w) on the scale that training found."""
        if self.detail is not None:
            pictures = halved(pictures)
        return self.encoder(pictures.contiguous(memory_format=torch.channels_last))

    def decode_sizes(self, latents: Tensor, detailed: bool = True) -> list[Tensor]:
        """(B, C, h, w) -> (B, 3, H, W), after those of half that size where there is a detail."""
        features = self.decoder[:-2](latents.contiguous(memory_format=torch.channels_last))
        pictures = [self.decoder[-2:](features)]
        if self.detail is not None and detailed:
            doubled = F.interpolate(pictures[0], scale_factor=2, mode="bilinear")
            pictures.append(doubled + self.detail(features))
        return pictures


def halved(pictures: Tensor) -> Tensor:
    """(B, 3, H, W) -> (B, 3, H/2, W/2), each pixel the mean of four."""
    return F.avg_pool2d(pictures, 2)


def _detail(config: AutoencoderConfig) -> nn.Sequential:
    """From the decoder's last features to what doubling its picture lacks: nothing, at first."""
    width, factor = config.detail, config.stem
    last = nn.Conv2d(width, factor**2 * 3, 3, padding=1)
    for parameter in last.parameters():
        nn.init.zeros_(parameter)
    return nn.Sequential(
        nn.Conv2d(config.widths[0], 4 * width, 3, padding=1),
        nn.PixelShuffle(2),
        *[ResidualBlock(width) for _ in range(config.blocks)],
        last,
        nn.PixelShuffle(factor),
    )


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions around SiLU, after a norm over all channels and places."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = nn.GroupNorm(1, width)
        self.conv1 = nn.Conv2d(width, width, 3, padding=1)
        self.conv2 = nn.Conv2d(width, width, 3, padding=1)
        nn.init.zeros_(self.conv2.weight)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.conv2(F.silu(self.conv1(F.silu(self.norm(x)))))
