"""SkyReels-V2 Diffusion Forcing in the studio: a published text-to-video model whose training gave
every latent frame a timestep of its own (Chen et al. 2025), so that it understands the canvas.

    pip install diffusers transformers accelerate
    python app.py --model docs/examples/skyreels.py

It wants a GPU with 24 GB, and the weights are a download of some 30 GB. A column of the canvas is a
latent frame: four frames of the clip, but for the first, which is one. The prompts below are the
studio's labels; write your own. A guidance of about 6 is what it was made for.
"""

import os

import torch
from diffusers import AutoencoderKLWan, SkyReelsV2Transformer3DModel
from einops import rearrange
from torch import Tensor, nn

from fvdm_core import NoiseSchedule, Pipeline
from fvdm_core.card import ModelCard
from fvdm_core.linear_preview import fit_preview, linear_preview
from fvdm_core.network import NetworkShape

MODEL = os.environ.get("SKYREELS", "Skywork/SkyReels-V2-DF-1.3B-540P-Diffusers")  # or a folder
PROMPTS = {
    "cat": "A ginger cat walks along a garden wall in the morning sun and looks into the camera.",
    "waves": "Waves roll onto a black beach at dusk, seen from above, slow and heavy.",
    "street": "A tram passes through a rainy street at night, its windows mirrored in the puddles.",
}
AGAINST = "blurred, overexposed, static, distorted hands, subtitles, worst quality"
FRAMES, HEIGHT, WIDTH, FPS = 25, 544, 960, 24  # 25 latent frames are 97 frames, 4 seconds
SHIFT = 8.0  # of the noise levels, as its authors sample it
TOKENS = 512  # of a prompt at most


class SkyReels(nn.Module):
    """Diffusers' transformer, and a prompt for each label: the last is for none."""

    def __init__(self, transformer: SkyReelsV2Transformer3DModel, prompts: Tensor) -> None:
        super().__init__()
        takes = transformer.config
        self.config = NetworkShape(
            num_frames=FRAMES,
            latent_channels=takes.in_channels,
            latent_size=takes.patch_size[1],  # the card has the sizes
            patch_size=takes.patch_size[1],
            num_classes=len(prompts) - 1,
        )
        self.transformer = transformer
        self.register_buffer("prompts", prompts)

    def forward(self, x: Tensor, t: Tensor, y: Tensor) -> Tensor:
        """x (B, F, C, h, w), t (B, F), y (B,) -> the flow from clip to noise, of x's shape."""
        flows = [
            self.transformer(
                rearrange(x[[clip]], "b f c h w -> b c f h w"),
                t[[clip]],
                self.prompts[y[[clip]]],
                enable_diffusion_forcing=True,
                fps=[1],  # its code for 24 frames per second
                return_dict=False,
            )[0]
            for clip in range(len(x))  # with a rate it takes one at a time
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
        self.register_buffer("to_rgb", fit_preview(self.encode, self.downsample))

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


@torch.no_grad()
def embedded(texts: list[str]) -> Tensor:
    """Texts -> (N, TOKENS, D), zero behind their ends, as in training."""
    from transformers import AutoTokenizer, UMT5EncoderModel

    tokens = AutoTokenizer.from_pretrained(MODEL, subfolder="tokenizer")(
        texts, padding="max_length", max_length=TOKENS, truncation=True, return_tensors="pt"
    )
    encoder = UMT5EncoderModel.from_pretrained(
        MODEL, subfolder="text_encoder", dtype=torch.bfloat16
    )
    states = encoder(tokens.input_ids, tokens.attention_mask).last_hidden_state
    return states * tokens.attention_mask[:, :, None]


def pipeline(prompts: Tensor, size: tuple[int, int]) -> Pipeline:
    """The pipeline of `MODEL` for embedded prompts, and frames of (height, width)."""
    transformer = SkyReelsV2Transformer3DModel.from_pretrained(MODEL, subfolder="transformer")
    vae = AutoencoderKLWan.from_pretrained(MODEL, subfolder="vae")
    vae.enable_tiling()
    return Pipeline(
        SkyReels(transformer, prompts),
        WanCoder(vae),
        NoiseSchedule("flow", prediction_type="flow", shift=SHIFT),
        ModelCard(
            name="SkyReels-V2 DF",
            labels=tuple(PROMPTS),
            fps=FPS,
            license="that of its authors",
            trained_on="see its page on the Hub",
            sizes=(size,),
        ),
    )


def load() -> Pipeline:
    """The pipeline that the studio is to use."""
    return pipeline(embedded([*PROMPTS.values(), AGAINST]), (HEIGHT, WIDTH))
