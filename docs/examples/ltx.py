"""LTX-Video in the studio (HaCohen et al. 2024): a small published text-to-video model that takes a
time for each token, and learned to go on from frames that are less noisy than the others.

    pip install diffusers transformers accelerate
    python app.py --model docs/examples/ltx.py

It wants a GPU, and has not been run on the published weights yet. The text encoder, which is the
larger part of the download, stays on the CPU. A column of the canvas is a latent frame: eight
frames of the clip, but for the first column, which is one. Diffusers' own pipeline takes a guidance
of 3. It shows a picture on a later frame beside the clip, as tokens of their own; here a picture is
in the clip, which the model knows of clips that go on.
"""

import math
import os

import torch
from diffusers import AutoencoderKLLTXVideo, LTXVideoTransformer3DModel
from einops import rearrange, repeat
from torch import Tensor
from video_parts import Encode, PromptedNetwork, VideoCoder, text_encoder

from fvdm_core import NoiseSchedule, Pipeline
from fvdm_core.card import ModelCard
from fvdm_core.device import pick_device, pick_dtype
from fvdm_core.network import NetworkShape

MODEL = os.environ.get("LTX", "Lightricks/LTX-Video-0.9.5")  # or a folder
FRAMES, HEIGHT, WIDTH, FPS = 21, 512, 768, 25  # 21 latent frames are 161 frames, 6 seconds
AGAINST = "worst quality, inconsistent motion, blurry, jittery, distorted"
TEXT_ENCODER = "T5EncoderModel", 256  # tokens of a prompt, at most
LEFT_NOISE, LEFT_LEVEL = 0.025, 0.05  # of what a decoder is given that takes away the rest


class LTX(PromptedNetwork):
    """Diffusers' transformer; its places are seconds and pixels."""

    def __init__(
        self, transformer: LTXVideoTransformer3DModel, coder: VideoCoder, encode: Encode
    ) -> None:
        super().__init__(encode, AGAINST)
        self.config = NetworkShape(FRAMES, transformer.config.in_channels, latent_size=1)
        self.transformer = transformer
        self.dtype = transformer.dtype
        self.space, self.time = coder.downsample, coder.frames_per_latent

    def forward(self, x: Tensor, t: Tensor, y: Tensor) -> Tensor:
        """x (B, F, C, h, w), t (B, F), y (B,) -> the flow from clip to noise, of x's shape."""
        clips, frames, _, height, width = x.shape
        texts = self.encoded(y, x)
        places = self.places(frames, height, width).to(x.device)
        flow = self.transformer(
            rearrange(x, "b f c h w -> b (f h w) c"),
            texts,
            repeat(t, "b f -> b (f n)", n=height * width),
            encoder_attention_mask=texts.any(-1),
            video_coords=repeat(places, "k n -> b k n", b=clips),
            return_dict=False,
        )[0]
        return rearrange(flow, "b (f h w) c -> b f c h w", f=frames, h=height)

    def places(self, frames: int, height: int, width: int) -> Tensor:
        """Where the tokens of a clip begin, in seconds and pixels from top and left, (3, N)."""
        seconds = (torch.arange(frames) * self.time - self.time + 1).clamp(min=0) / FPS
        down, right = (torch.arange(float(side)) * self.space for side in (height, width))
        return torch.stack(torch.meshgrid(seconds, down, right, indexing="ij")).flatten(1)


class LTXCoder(VideoCoder):
    """Its autoencoder, whose decoder takes the last of the noise away where it has learned that."""

    def decoded(self, latents: Tensor) -> Tensor:
        if not self.vae.config.timestep_conditioning:
            return super().decoded(latents)
        noise = torch.randn(latents.shape, generator=torch.Generator().manual_seed(0))
        noisy = torch.lerp(latents, noise.to(latents), LEFT_NOISE)
        return self.vae.decode(noisy, latents.new_full((1,), LEFT_LEVEL)).sample


def ltx_coder(model: str) -> VideoCoder:
    """The autoencoder in a model's folder vae, a piece of a picture at a time."""
    vae = AutoencoderKLLTXVideo.from_pretrained(model, subfolder="vae")
    vae.enable_tiling()
    std = vae.latents_std / vae.config.scaling_factor
    ratios = vae.spatial_compression_ratio, vae.temporal_compression_ratio
    return LTXCoder(vae, *ratios, vae.latents_mean, std)


def shift_of(tokens: int) -> float:
    """Of the noise levels, by the tokens of a clip, as its authors have it up to 4096. Of more it
    would leave half of the noise to the last step, which they stretch, and a canvas does not."""
    return math.exp(0.95 + (2.05 - 0.95) * (min(tokens, 4096) - 1024) / (4096 - 1024))


def pipeline(encode: Encode, size: tuple[int, int]) -> Pipeline:
    """The pipeline of `MODEL` for what encodes prompts, and frames of (height, width)."""
    dtype = pick_dtype(pick_device())
    transformer = LTXVideoTransformer3DModel.from_pretrained(
        MODEL, subfolder="transformer", torch_dtype=dtype
    )
    coder = ltx_coder(MODEL)
    tokens = FRAMES * math.prod(side // coder.downsample for side in size)
    return Pipeline(
        LTX(transformer, coder, encode),
        coder,
        NoiseSchedule("flow", prediction_type="flow", shift=shift_of(tokens)),
        ModelCard(
            name=MODEL.rpartition("/")[2],
            fps=FPS,
            license="that of its authors",
            trained_on="see its page on the Hub",
            sizes=(size,),
        ),
    )


def load() -> Pipeline:
    """The pipeline that the studio is to use."""
    return pipeline(text_encoder(MODEL, *TEXT_ENCODER), (HEIGHT, WIDTH))
