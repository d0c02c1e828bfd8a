"""What VideoDiT is built of: transformer blocks whose modulation is computed once for each frame.

x (B, F, N, D) are the tokens of frames, c (B, F, D) what a frame is told, already through SiLU.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .device import HAS_AMX
from .rotary import rotate

MOST_WEIGHTS = 2**25  # of attention, in memory at once: 64 MB in bf16


class Block(nn.Module):
    """A transformer block with adaLN-Zero modulation from c (B, F, D), already through SiLU."""

    def __init__(self, hidden_size: int, num_heads: int, mlp_ratio: float) -> None:
        super().__init__()
        self.attn = Attention(hidden_size, num_heads)
        self.mlp = Mlp(hidden_size, int(hidden_size * mlp_ratio))
        self.adaLN_modulation = nn.Sequential(nn.SiLU(), nn.Linear(hidden_size, 6 * hidden_size))

    def forward(
        self,
        x: Tensor,
        c: Tensor,
        over: str,
        places: Tensor | None = None,
        mask: Tensor | None = None,
    ) -> Tensor:
        modulation = self.adaLN_modulation[1](c)[:, :, None]  # (B, F, 1, 6*D)
        shift_msa, scale_msa, gate_msa, shift_mlp, scale_mlp, gate_mlp = modulation.chunk(6, dim=-1)
        h = self.attn(modulate(x, shift_msa, scale_msa), over, places, mask)
        x = torch.addcmul(x, gate_msa, h)  # (B, F, N, D)
        h = self.mlp(modulate(x, shift_mlp, scale_mlp))
        return torch.addcmul(x, gate_mlp, h)  # (B, F, N, D)


class Attention(nn.Module):
    """Self-attention over the tokens of a frame, the frames of a token, or all of them."""

    def __init__(self, hidden_size: int, num_heads: int) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.qkv = nn.Linear(hidden_size, 3 * hidden_size)
        self.proj = nn.Linear(hidden_size, hidden_size)

    def forward(
        self, x: Tensor, over: str, places: Tensor | None = None, mask: Tensor | None = None
    ) -> Tensor:
        # (outer, length, heads, d) is a view of (B, F, N, D) in all three, so nothing is copied:
        # over time, every token has heads of its own
        batch, frames, tokens, _ = x.shape
        heads = self.num_heads
        shape = {
            "space": (batch * frames, tokens, heads, -1),
            "time": (batch, frames, tokens * heads, -1),
            "joint": (batch, frames * tokens, heads, -1),
        }[over]
        parts = zip(self.qkv.weight.chunk(3), self.qkv.bias.chunk(3), strict=True)
        q, k, v = (F.linear(x, *part).view(shape).transpose(1, 2) for part in parts)
        if places is not None:
            q, k = rotate(q, places), rotate(k, places)
        return self.proj(attend(q, k, v, mask).transpose(1, 2).reshape(x.shape))


def attend(q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None = None) -> Tensor:
    """softmax(q k^T / sqrt(d)) v over (…, H, L, d), the faster way for the place and the length.

    `mask` (…, 1, L, L) is added to the products: -inf where a query does not see a key.
    """
    if _apart(q):
        weights = (q * q.shape[-1] ** -0.5) @ k.transpose(-2, -1)
        if mask is not None:
            weights = weights + mask
        return weights.softmax(dim=-1) @ v
    return F.scaled_dot_product_attention(q, k, v, attn_mask=mask)


def _apart(q: Tensor) -> bool:
    """Whether the products of attention (…, H, L, d) are faster one by one than in torch's fused
    CPU kernel, which is slow backwards on short sequences, and in bf16 where there is no AMX."""
    if q.device.type != "cpu":
        return False
    if q.requires_grad:
        return q.shape[-2] <= 256
    weights = q.numel() // q.shape[-1] * q.shape[-2]
    return q.dtype == torch.bfloat16 and weights <= MOST_WEIGHTS and not HAS_AMX


def gelu(x: Tensor) -> Tensor:
    """GELU by tanh, as published. In bf16 on a CPU, where nothing learns, by the error function:
    that is five times as fast, and its difference (5e-4 at most) is lost in the rounding."""
    exact = x.dtype != torch.bfloat16 or x.device.type != "cpu" or x.requires_grad
    return F.gelu(x, approximate="tanh" if exact else "none")


class Mlp(nn.Module):
    def __init__(self, hidden_size: int, inner_size: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(hidden_size, inner_size)
        self.fc2 = nn.Linear(inner_size, hidden_size)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc2(gelu(self.fc1(x)))


class FinalLayer(nn.Module):
    """Tokens (B, F, N, D) -> pixels of patches (B, F, N, P*P*C_out)."""

    def __init__(self, hidden_size: int, patch_size: int, out_channels: int) -> None:
        super().__init__()
        self.linear = nn.Linear(hidden_size, patch_size * patch_size * out_channels)
        self.adaLN_modulation = nn.Sequential(nn.SiLU(), nn.Linear(hidden_size, 2 * hidden_size))

    def forward(self, x: Tensor, c: Tensor) -> Tensor:
        shift, scale = self.adaLN_modulation[1](c)[:, :, None].chunk(2, dim=-1)  # (B, F, 1, D)
        return self.linear(modulate(x, shift, scale))


def modulate(x: Tensor, shift: Tensor, scale: Tensor) -> Tensor:
    """LayerNorm without its own weights, then a scale and shift per frame (adaLN)."""
    return torch.addcmul(shift, F.layer_norm(x, x.shape[-1:], eps=1e-6), 1 + scale)
