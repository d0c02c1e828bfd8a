"""SkyReels-V2 Diffusion Forcing in the studio: a published text-to-video model whose training gave
every latent frame a timestep of its own (Chen et al. 2025), so that it understands the canvas.

    pip install diffusers transformers accelerate
    python app.py --model docs/examples/skyreels.py

It wants a GPU, and has not been run on the published weights yet. The text encoder, which is the
larger part of the download, stays on the CPU. A column of the canvas is a latent frame: four frames
of the clip, but for the first column, which is one. Diffusers' own pipeline takes a guidance of 6.
"""

import os
from collections.abc import Callable
from functools import lru_cache

import torch
from diffusers import AutoencoderKLWan, SkyReelsV2Transformer3DModel
from einops import rearrange
from torch import Tensor, nn

from fvdm_core import NoiseSchedule, Pipeline
from fvdm_core.card import ModelCard
from fvdm_core.device import pick_device, pick_dtype
from fvdm_core.linear_preview import fit_preview, linear_preview
from fvdm_core.network import NetworkShape

MODEL = os.environ.get("SKYREELS", "Skywork/SkyReels-V2-DF-1.3B-540P-Diffusers")  # or a folder
AGAINST = "blurred, overexposed, static, distorted hands, subtitles, worst quality"
FRAMES, HEIGHT, WIDTH, FPS = 25, 544, 960, 24  # 25 latent frames are 97 frames, 4 seconds
SHIFT = 8.0  # of the noise levels, as its authors sample it
TOKENS = 512  # of a prompt at most
KEPT = 64  # prompts that are kept encoded
Encode = Callable[[str], Tensor]  # a text -> (TOKENS, D)


class SkyReels(nn.Module):
    """Diffusers' transformer, led away from `AGAINST` and towards prompts."""

    def __init__(self, transformer: SkyReelsV2Transformer3DModel, encode: Encode) -> None:
        super().__init__()
        takes = transformer.config
        self.config = NetworkShape(
            num_frames=FRAMES,
            latent_channels=takes.in_channels,
            latent_size=takes.patch_size[1],  # the card has the sizes
            patch_size=takes.patch_size[1],
        )
        self.transformer = transformer
        self.dtype = transformer.dtype  # of most of it: its positions and norms stay in fp32
        self.texts = [AGAINST]  # by their numbers; 0 is for no prompt
        self.encode = lru_cache(KEPT)(encode)

    def class_of(self, text: str) -> int:
        """The number of a prompt."""
        if text not in self.texts:
            self.texts.append(text)
        return self.texts.index(text)

    def forward(self, x: Tensor, t: Tensor, y: Tensor) -> Tensor:
        """x (B, F, C, h, w), t (B, F), y (B,) -> the flow from clip to noise, of x's shape."""
        flows = [
            self.transformer(
                rearrange(x[[clip]], "b f c h w -> b c f h w"),
                t[[clip]],
                self.encode(self.texts[number])[None].to(x),
                enable_diffusion_forcing=True,
                fps=[1],  # its code for 24 frames per second
                return_dict=False,
            )[0]
            for clip, number in enumerate(y.tolist())  # with a rate it takes one at a time
        ]
        return rearrange(torch.cat(flows), "b c f h w -> b f c h w")


class WanCoder(nn.Module):
    """The causal video autoencoder of Wan: pictures are encoded one by one, clips decoded whole."""

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
        latents = [
            self.vae.encode(picture[None, :, None]).latent_dist.mode()[0, :, 0] for picture in video
        ]
        return (torch.stack(latents) - self.mean) / self.std

    def decode(self, latents: Tensor) -> Tensor:
        """(F, C, h, w) -> (4 F − 3, 3, H, W)"""
        scaled = latents * self.std + self.mean
        video = self.vae.decode(rearrange(scaled, "f c h w -> 1 c f h w")).sample[0]
        return rearrange(video, "c f h w -> f c h w")

    def preview(self, latents: Tensor) -> Tensor:
        """(F, C, h, w) -> (F, 3, H, W)"""
        return linear_preview(latents, self.to_rgb, self.downsample)


def text_encoder() -> Encode:
    """What encodes prompts, zero behind their ends, as in training."""
    from transformers import AutoTokenizer, UMT5EncoderModel

    tokenizer = AutoTokenizer.from_pretrained(MODEL, subfolder="tokenizer")
    encoder = UMT5EncoderModel.from_pretrained(
        MODEL, subfolder="text_encoder", dtype=torch.bfloat16
    )

    @torch.no_grad()
    def encode(text: str) -> Tensor:
        tokens = tokenizer(
            text, padding="max_length", max_length=TOKENS, truncation=True, return_tensors="pt"
        )
        states = encoder(tokens.input_ids, tokens.attention_mask).last_hidden_state
        return (states * tokens.attention_mask[:, :, None])[0]

    return encode


def pipeline(encode: Encode, size: tuple[int, int]) -> Pipeline:
    """The pipeline of `MODEL` for what encodes prompts, and frames of (height, width)."""
    dtype = pick_dtype(pick_device())
    transformer = SkyReelsV2Transformer3DModel.from_pretrained(
        MODEL, subfolder="transformer", torch_dtype=dtype
    )
    vae = AutoencoderKLWan.from_pretrained(MODEL, subfolder="vae")
    vae.enable_tiling()
    return Pipeline(
        SkyReels(transformer, encode),
        WanCoder(vae),
        NoiseSchedule("flow", prediction_type="flow", shift=SHIFT),
        ModelCard(
            name="SkyReels-V2 DF",
            fps=FPS,
            license="that of its authors",
            trained_on="see its page on the Hub",
            sizes=(size,),
        ),
    )


def load() -> Pipeline:
    """The pipeline that the studio is to use."""
    return pipeline(text_encoder(), (HEIGHT, WIDTH))
