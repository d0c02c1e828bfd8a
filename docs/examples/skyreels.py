"""SkyReels-V2 Diffusion Forcing in the studio: a published text-to-video model whose training gave
every latent frame a timestep of its own (Chen et al. 2025), so that it understands the canvas.

    pip install diffusers transformers accelerate
    python app.py --model docs/examples/skyreels.py

It wants a GPU, and has not been run on the published weights yet. The text encoder, which is the
larger part of the download, stays on the CPU. A column of the canvas is a latent frame: four frames
of the clip, but for the first column, which is one. Diffusers' own pipeline takes a guidance of 6.
"""

import os

import torch
from diffusers import SkyReelsV2Transformer3DModel
from einops import rearrange
from torch import Tensor
from video_parts import Encode, PromptedNetwork, text_encoder
from wan_parts import AGAINST, TEXT_ENCODER, wan_coder

from fvdm_core import NoiseSchedule, Pipeline
from fvdm_core.card import ModelCard
from fvdm_core.device import pick_device, pick_dtype
from fvdm_core.network import NetworkShape

MODEL = os.environ.get("SKYREELS", "Skywork/SkyReels-V2-DF-1.3B-540P-Diffusers")  # or a folder
FRAMES, HEIGHT, WIDTH, FPS = 25, 544, 960, 24  # 25 latent frames are 97 frames, 4 seconds
SHIFT = 8.0  # of the noise levels, as its authors sample it


class SkyReels(PromptedNetwork):
    """Diffusers' transformer."""

    def __init__(self, transformer: SkyReelsV2Transformer3DModel, encode: Encode) -> None:
        super().__init__(encode, AGAINST)
        takes = transformer.config
        self.config = NetworkShape(
            num_frames=FRAMES,
            latent_channels=takes.in_channels,
            latent_size=takes.patch_size[1],  # the card has the sizes
            patch_size=takes.patch_size[1],
        )
        self.transformer = transformer
        self.dtype = transformer.dtype  # of most of it: its positions and norms stay in fp32

    def forward(self, x: Tensor, t: Tensor, y: Tensor) -> Tensor:
        """x (B, F, C, h, w), t (B, F), y (B,) -> the flow from clip to noise, of x's shape."""
        texts = self.encoded(y, x)
        flows = [
            self.transformer(
                rearrange(x[[clip]], "b f c h w -> b c f h w"),
                t[[clip]],
                texts[[clip]],
                enable_diffusion_forcing=True,
                fps=[1],  # its code for 24 frames per second
                return_dict=False,
            )[0]
            for clip in range(len(x))  # with a rate it takes one at a time
        ]
        return rearrange(torch.cat(flows), "b c f h w -> b f c h w")


def pipeline(encode: Encode, size: tuple[int, int]) -> Pipeline:
    """The pipeline of `MODEL` for what encodes prompts, and frames of (height, width)."""
    dtype = pick_dtype(pick_device())
    transformer = SkyReelsV2Transformer3DModel.from_pretrained(
        MODEL, subfolder="transformer", torch_dtype=dtype
    )
    return Pipeline(
        SkyReels(transformer, encode),
        wan_coder(MODEL),
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
    return pipeline(text_encoder(MODEL, *TEXT_ENCODER), (HEIGHT, WIDTH))
