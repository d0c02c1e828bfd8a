"""What the examples of published text-to-video models share, through diffusers and transformers:
prompts as the numbers that a pipeline gives to its network, and an autoencoder of clips."""

from collections.abc import Callable
from functools import lru_cache

import torch
from einops import rearrange
from torch import Tensor, nn

from fvdm_core.linear_preview import fit_preview, linear_preview

KEPT = 64  # prompts that are kept encoded
Encode = Callable[[str], Tensor]  # a text -> (tokens, D), zero behind its end


class PromptedNetwork(nn.Module):
    """A network that is led towards prompts and away from `against`, which stands for none."""

    def __init__(self, encode: Encode, against: str) -> None:
        super().__init__()
        self.texts = [against]  # by their numbers
        self.encode = lru_cache(KEPT)(encode)

    def class_of(self, text: str) -> int:
        """The number of a prompt."""
        if text not in self.texts:
            self.texts.append(text)
        return self.texts.index(text)

    def encoded(self, y: Tensor, x: Tensor) -> Tensor:
        """The prompts of y (B,), (B, tokens, D), where x lies and as precise."""
        return torch.stack([self.encode(self.texts[number]) for number in y.tolist()]).to(x)


class VideoCoder(nn.Module):
    """A causal video autoencoder, which takes pictures one by one and clips whole.

    mean, std: of each channel of its latents, (C,).
    """

    def __init__(
        self, vae: nn.Module, downsample: int, frames_per_latent: int, mean: Tensor, std: Tensor
    ) -> None:
        super().__init__()
        self.downsample, self.frames_per_latent = downsample, frames_per_latent
        self.vae = vae
        self.register_buffer("mean", mean[:, None, None])
        self.register_buffer("std", std[:, None, None])
        to_rgb = fit_preview(self.encode, downsample)
        self.register_buffer("to_rgb", to_rgb, persistent=False)

    def encode(self, video: Tensor) -> Tensor:
        """(K, 3, H, W) -> (K, C, h, w)"""
        return torch.cat([self.encode_clip(picture[None]) for picture in video])

    def encode_clip(self, video: Tensor) -> Tensor:
        """(r · (F − 1) + 1, 3, H, W), r frames per latent -> (F, C, h, w)"""
        latents = self.vae.encode(rearrange(video, "n c h w -> 1 c n h w")).latent_dist.mode()[0]
        return (rearrange(latents, "c f h w -> f c h w") - self.mean) / self.std

    def decode(self, latents: Tensor) -> Tensor:
        """(F, C, h, w) -> (r · (F − 1) + 1, 3, H, W)"""
        video = self.decoded(rearrange(latents * self.std + self.mean, "f c h w -> 1 c f h w"))
        return rearrange(video, "1 c n h w -> n c h w")

    def decoded(self, latents: Tensor) -> Tensor:
        """(1, C, F, h, w), as the autoencoder has them -> (1, 3, N, H, W)"""
        return self.vae.decode(latents).sample

    def preview(self, latents: Tensor) -> Tensor:
        """(F, C, h, w) -> (F, 3, H, W)"""
        return linear_preview(latents, self.to_rgb, self.downsample)


def text_encoder(model: str, name: str, length: int) -> Encode:
    """What encodes prompts of up to `length` tokens for a model, by the class `name` of
    transformers, on the CPU."""
    import transformers

    tokenizer = transformers.AutoTokenizer.from_pretrained(model, subfolder="tokenizer")
    encoder = getattr(transformers, name).from_pretrained(
        model, subfolder="text_encoder", dtype=torch.bfloat16
    )

    @torch.no_grad()
    def encode(text: str) -> Tensor:
        tokens = tokenizer(
            text, padding="max_length", max_length=length, truncation=True, return_tensors="pt"
        )
        states = encoder(tokens.input_ids, tokens.attention_mask).last_hidden_state
        return (states * tokens.attention_mask[:, :, None])[0]

    return encode
