"""What the examples of Wan and of models made from it share: autoencoder and text encoder."""

import torch
from diffusers import AutoencoderKLWan
from video_parts import VideoCoder

AGAINST = "blurred, overexposed, static, distorted hands, subtitles, worst quality"
TEXT_ENCODER = "UMT5EncoderModel", 512  # tokens of a prompt, at most


def wan_coder(model: str) -> VideoCoder:
    """The autoencoder in a model's folder vae, a piece of a picture at a time."""
    vae = AutoencoderKLWan.from_pretrained(model, subfolder="vae")
    vae.enable_tiling()
    config = vae.config
    return VideoCoder(
        *(vae, config.scale_factor_spatial, config.scale_factor_temporal),
        *(torch.tensor(config.latents_mean), torch.tensor(config.latents_std)),
    )
