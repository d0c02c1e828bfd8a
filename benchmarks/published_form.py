"""The network as the published code has it, written afresh from its description: the yardstick.

Its parameters have our names, so it loads our state dict. It does what `fvdm_core.model` avoids:
attention is explicit, in fp32 where its weights are, a strided convolution cuts the patches, and
the temporal blocks compute their modulation anew for every token.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from fvdm_core.shape import VideoDiTConfig


class PublishedDiT(nn.Module):
    """x (B, F, C, H, W), t (B, F), y (B,) or None -> (B, F, C_out, H, W), blocks interleaved."""

    def __init__(self, config: VideoDiTConfig) -> None:
        super().__init__()
        self.config = config
        width, grid = config.hidden_size, config.latent_size // config.patch_size
        self.x_embedder = _PatchEmbed(config)
        self.t_embedder = _TimestepEmbedder(width)
        self.y_embedder = _LabelEmbedder(config) if config.num_classes else None
        self.pos_embed = nn.Parameter(torch.empty(1, grid * grid, width))
        self.temp_embed = nn.Parameter(torch.empty(1, config.num_frames, width))
        pairs = config.depth // 2
        self.blocks_spatial = nn.ModuleList(_Block(config) for _ in range(pairs))
        self.blocks_temp = nn.ModuleList(_Block(config) for _ in range(pairs))
        self.final_layer = _FinalLayer(config)

    def forward(self, x: Tensor, t: Tensor, y: Tensor | None = None) -> Tensor:
        batch, frames = t.shape
        x = self.x_embedder(x.flatten(0, 1)) + self.pos_embed  # (B*F, N, D)
        tokens = x.shape[1]
        c = self.t_embedder(t.flatten())  # (B*F, D)
        if self.y_embedder is not None:
            if y is None:
                y = torch.full((batch,), self.config.num_classes, device=x.device)
            c = c + self.y_embedder.embedding_table(y).repeat_interleave(frames, dim=0)
        per_frame = c[:, None]  # (B*F, 1, D)
        per_token = c.view(batch, 1, frames, -1).expand(-1, tokens, -1, -1).flatten(0, 1)
        for i, (spatial, temporal) in enumerate(
            zip(self.blocks_spatial, self.blocks_temp, strict=True)
        ):
            x = spatial(x, per_frame)  # (B*F, N, D)
            x = x.view(batch, frames, tokens, -1).transpose(1, 2).flatten(0, 1)  # (B*N, F, D)
            if i == 0:
                x = x + self.temp_embed[:, :frames]
            x = temporal(x, per_token)  # (B*N, F, D)
            x = x.view(batch, tokens, frames, -1).transpose(1, 2).flatten(0, 1)  # (B*F, N, D)
        x = self.final_layer(x, per_frame)  # (B*F, N, P*P*C_out)
        patch, grid = self.config.patch_size, self.config.latent_size // self.config.patch_size
        x = x.view(-1, grid, grid, patch, patch, self.config.out_channels)
        x = torch.einsum("nhwpqc->nchpwq", x)
        return x.reshape(batch, frames, -1, grid * patch, grid * patch)


class _PatchEmbed(nn.Module):
    def __init__(self, config: VideoDiTConfig) -> None:
        super().__init__()
        patch = config.patch_size
        self.proj = nn.Conv2d(config.latent_channels, config.hidden_size, patch, stride=patch)

    def forward(self, x: Tensor) -> Tensor:
        return self.proj(x).flatten(2).transpose(1, 2)


class _TimestepEmbedder(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.mlp = nn.Sequential(nn.Linear(256, width), nn.SiLU(), nn.Linear(width, width))

    def forward(self, t: Tensor) -> Tensor:
        order = torch.arange(128, dtype=torch.float32, device=t.device)
        frequencies = torch.exp(-math.log(10000) * order / 128)
        angles = t[:, None].float() * frequencies
        return self.mlp(torch.cat([angles.cos(), angles.sin()], dim=-1).to(self.mlp[0].weight))


class _LabelEmbedder(nn.Module):
    def __init__(self, config: VideoDiTConfig) -> None:
        super().__init__()
        self.embedding_table = nn.Embedding(config.num_classes + 1, config.hidden_size)


class _Block(nn.Module):
    def __init__(self, config: VideoDiTConfig) -> None:
        super().__init__()
        width, inner = config.hidden_size, int(config.hidden_size * config.mlp_ratio)
        self.norm1 = nn.LayerNorm(width, elementwise_affine=False, eps=1e-6)
        self.attn = _Attention(width, config.num_heads)
        self.norm2 = nn.LayerNorm(width, elementwise_affine=False, eps=1e-6)
        self.mlp = nn.ModuleDict({"fc1": nn.Linear(width, inner), "fc2": nn.Linear(inner, width)})
        self.adaLN_modulation = nn.Sequential(nn.SiLU(), nn.Linear(width, 6 * width))

    def forward(self, x: Tensor, c: Tensor) -> Tensor:
        shift1, scale1, gate1, shift2, scale2, gate2 = self.adaLN_modulation(c).chunk(6, dim=-1)
        x = x + gate1 * self.attn(self.norm1(x) * (1 + scale1) + shift1)
        h = self.norm2(x) * (1 + scale2) + shift2
        h = nn.functional.gelu(self.mlp["fc1"](h), approximate="tanh")
        return x + gate2 * self.mlp["fc2"](h)


class _Attention(nn.Module):
    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(width, 3 * width)
        self.proj = nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        batch, length, width = x.shape
        qkv = self.qkv(x).reshape(batch, length, 3, self.heads, width // self.heads)
        q, k, v = qkv.permute(2, 0, 3, 1, 4).unbind(0)  # (B, H, L, d)
        weights = (q @ k.transpose(-2, -1)) * (width // self.heads) ** -0.5
        x = weights.softmax(dim=-1) @ v
        return self.proj(x.transpose(1, 2).reshape(batch, length, width))


class _FinalLayer(nn.Module):
    def __init__(self, config: VideoDiTConfig) -> None:
        super().__init__()
        width = config.hidden_size
        self.norm_final = nn.LayerNorm(width, elementwise_affine=False, eps=1e-6)
        self.linear = nn.Linear(width, config.patch_size**2 * config.out_channels)
        self.adaLN_modulation = nn.Sequential(nn.SiLU(), nn.Linear(width, 2 * width))

    def forward(self, x: Tensor, c: Tensor) -> Tensor:
        shift, scale = self.adaLN_modulation(c).chunk(2, dim=-1)
        return self.linear(self.norm_final(x) * (1 + scale) + shift)
