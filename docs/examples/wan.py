"""Wan in the studio, with a timestep for each latent frame, which its code in diffusers takes.

    pip install diffusers transformers accelerate peft
    python app.py --model docs/examples/wan.py

How far it understands the canvas is a matter of its training. Wan2.2-TI2V-5B (Wan et al. 2025) saw
a clean first frame before noisy ones. Pusa (Liu et al. 2025), by the authors of FVDM, is Wan2.1 14B
tuned on random timesteps for each frame, which come as a LoRA:

    export WAN=Wan-AI/Wan2.1-T2V-14B-Diffusers WAN_LORA=pusa_v1.pt WAN_LORA_SCALE=1.4

For it, its authors advise a scale of 1.3 to 1.5, a guidance of about 3, and pictures that are shown
with some noise, such as 20 % of that of the others. That is *Soft keyframes* here, with a softness
of 0.05: at that level, shifted by 5, there is a fifth of noise.

It wants a GPU, and has not been run on the published weights yet. A column of the canvas is a
latent frame: four frames of the clip, but for the first column, which is one.
"""

import os
import re
from pathlib import Path

import torch
from diffusers import WanTransformer3DModel
from einops import rearrange, repeat
from safetensors.torch import load_file
from torch import Tensor
from video_parts import Encode, PromptedNetwork, text_encoder
from wan_parts import AGAINST, TEXT_ENCODER, wan_coder

from fvdm_core import NoiseSchedule, Pipeline
from fvdm_core.card import ModelCard
from fvdm_core.device import pick_device, pick_dtype
from fvdm_core.network import NetworkShape

MODEL = os.environ.get("WAN", "Wan-AI/Wan2.2-TI2V-5B-Diffusers")  # or a folder
LORA = os.environ.get("WAN_LORA")  # a file, or none
LORA_SCALE = float(os.environ.get("WAN_LORA_SCALE", "1"))
# latent frames, height and width of the clip, frames per second, by how much pictures are shrunk
CLIPS = {16: (31, 704, 1280, 24), 8: (21, 480, 832, 16)}  # Wan2.2-TI2V-5B, and all of Wan2.1
SHIFT = 5.0  # of the noise levels


class Wan(PromptedNetwork):
    """Diffusers' transformer."""

    def __init__(self, transformer: WanTransformer3DModel, frames: int, encode: Encode) -> None:
        super().__init__(encode, AGAINST)
        takes = transformer.config
        self.patch = takes.patch_size[1]
        self.config = NetworkShape(frames, takes.in_channels, self.patch, self.patch)
        self.transformer = transformer
        self.dtype = transformer.dtype  # of most of it: its norms stay in fp32

    def forward(self, x: Tensor, t: Tensor, y: Tensor) -> Tensor:
        """x (B, F, C, h, w), t (B, F), y (B,) -> the flow from clip to noise, of x's shape."""
        tokens = (x.shape[3] // self.patch) * (x.shape[4] // self.patch)  # of a frame
        flow = self.transformer(
            rearrange(x, "b f c h w -> b c f h w"),
            repeat(t, "b f -> b (f n)", n=tokens),
            self.encoded(y, x),
            return_dict=False,
        )[0]
        return rearrange(flow, "b c f h w -> b f c h w")


def lora_weights(file: str) -> dict[str, Tensor]:
    """A LoRA with the names that diffusers looks for, whichever program has saved it."""
    safe = file.endswith(".safetensors")
    saved = load_file(file) if safe else torch.load(file, map_location="cpu", weights_only=True)
    plain = {re.sub(r"^(pipe\.dit\.|diffusion_model\.)", "", name): saved[name] for name in saved}
    return {f"diffusion_model.{name.replace('.default.', '.')}": plain[name] for name in plain}


def with_lora(transformer: WanTransformer3DModel) -> WanTransformer3DModel:
    """The transformer with the weights of `LORA` added to its own."""
    from diffusers import FlowMatchEulerDiscreteScheduler, WanPipeline

    parts = dict.fromkeys(("tokenizer", "text_encoder", "vae"))
    pipe = WanPipeline(
        **parts, scheduler=FlowMatchEulerDiscreteScheduler(), transformer=transformer
    )
    pipe.load_lora_weights(lora_weights(LORA))
    if not pipe.get_list_adapters():
        raise ValueError(f"{Path(LORA).name} has no weights for this transformer")
    pipe.fuse_lora(lora_scale=LORA_SCALE)
    pipe.unload_lora_weights()
    return pipe.transformer


def pipeline(encode: Encode) -> Pipeline:
    """The pipeline of `MODEL` and `LORA` for what encodes prompts."""
    dtype = pick_dtype(pick_device())
    transformer = WanTransformer3DModel.from_pretrained(
        MODEL, subfolder="transformer", torch_dtype=dtype
    )
    coder = wan_coder(MODEL)
    frames, height, width, fps = CLIPS[coder.downsample]
    return Pipeline(
        Wan(with_lora(transformer) if LORA else transformer, frames, encode),
        coder,
        NoiseSchedule("flow", prediction_type="flow", shift=SHIFT),
        ModelCard(
            name=f"{MODEL.rpartition('/')[2]}{' with a LoRA' if LORA else ''}",
            fps=fps,
            license="that of its authors",
            trained_on="see its page on the Hub",
            sizes=((height, width),),
        ),
    )


def load() -> Pipeline:
    """The pipeline that the studio is to use."""
    return pipeline(text_encoder(MODEL, *TEXT_ENCODER))
