"""What the examples of Wan and of models made from it share, through diffusers: autoencoder, text
encoder, and prompts as the numbers that a pipeline gives to its network."""

from collections.abc import Callable
from functools import lru_cache

import torch
from diffusers import AutoencoderKLWan
from einops import rearrange
from torch import Tensor, nn

from fvdm_core.linear_preview import fit_preview, linear_preview

AGAINST = "blurred, overexposed, static, distorted hands, subtitles, worst quality"
TOKENS = 512  # of a prompt at most
KEPT = 64  # prompts that are kept encoded
Encode = Callable[[str], Tensor]  # a text -> (TOKENS, D)


class Prompted(nn.Module):
    """A network that is led towards prompts and away from `AGAINST`, which stands for none."""

    def __init__(self, encode: Encode) -> None:
        super().__init__()
        self.texts = [AGAINST]  # by their numbers
        self.encode = lru_cache(KEPT)(encode)

    def class_of(self, text: str) -> int:
        """The number of a prompt."""
        if text not in self.texts:
            self.texts.append(text)
        return self.texts.index(text)

    def encoded(self, y: Tensor, x: Tensor) -> Tensor:
        """The prompts of y (B,), (B, TOKENS, D), where x lies and as precise."""
        return torch.stack([self.encode(self.texts[number]) for number in y.tolist()]).to(x)


class WanCoder(nn.Module):
    """The causal video autoencoder of Wan, which takes pictures one by one and clips whole."""

    def __init__(self, vae: AutoencoderKLWan) -> None:
        super().__init__()
        self.downsample = vae.config.scale_factor_spatial
        self.frames_per_latent = vae.config.scale_factor_temporal
        self.vae = vae
        self.register_buffer("mean", torch.tensor(vae.config.latents_mean)[:, None, None])
        self.register_buffer("std", torch.tensor(vae.config.latents_std)[:, None, None])
        to_rgb = fit_preview(self.encode, self.downsample)
        self.register_buffer("to_rgb", to_rgb, persistent=False)

    def encode(self, video: Tensor) -> Tensor:
        """(K, 3, H, W) -> (K, C, h, w)"""
        return torch.cat([self.encode_clip(picture[None]) for picture in video])

    def encode_clip(self, video: Tensor) -> Tensor:
        """(4 F − 3, 3, H, W) -> (F, C, h, w)"""
        latents = self.vae.encode(rearrange(video, "n c h w -> 1 c n h w")).latent_dist.mode()[0]
        return (rearrange(latents, "c f h w -> f c h w") - self.mean) / self.std

    def decode(self, latents: Tensor) -> Tensor:
        """(F, C, h, w) -> (4 F − 3, 3, H, W)"""
        scaled = latents * self.std + self.mean
        video = self.vae.decode(rearrange(scaled, "f c h w -> 1 c f h w")).sample[0]
        return rearrange(video, "c f h w -> f c h w")

    def preview(self, latents: Tensor) -> Tensor:
        """(F, C, h, w) -> (F, 3, H, W)"""
        return linear_preview(latents, self.to_rgb, self.downsample)


def text_encoder(model: str) -> Encode:
    """What encodes prompts for a model, on the CPU; zero behind their ends, as in training."""
    from transformers import AutoTokenizer, UMT5EncoderModel

    tokenizer = AutoTokenizer.from_pretrained(model, subfolder="tokenizer")
    encoder = UMT5EncoderModel.from_pretrained(
        model, subfolder="text_encoder", dtype=torch.bfloat16
    )

    @torch.no_grad()
    def encode(text: str) -> Tensor:
        tokens = tokenizer(
            text, padding="max_length", max_length=TOKENS, truncation=True, return_tensors="pt"
        )
        states = encoder(tokens.input_ids, tokens.attention_mask).last_hidden_state
        return (states * tokens.attention_mask[:, :, None])[0]

    return encode
