"""VideoDiT: a video transformer that is told a timestep per frame.

Parameter names and layout are those of DiT and Latte, so published weights load by renaming alone.
The modulation is computed once per frame and broadcast over that frame's tokens.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from .embeddings import LabelEmbedder, PatchEmbed, TimestepEmbedder, sincos_1d, sincos_2d
from .rotary import rotate, rotation
from .step_cache import StepCache

SIZES = {  # hidden_size, depth, num_heads (DiT, Peebles & Xie 2023, table 1)
    "S": (384, 12, 6),
    "B": (768, 12, 12),
    "L": (1024, 24, 16),
    "XL": (1152, 28, 16),
}
PATCH_SIZES = (2, 4, 8)
ATTENTION = ("interleaved", "joint")


@dataclass(frozen=True)
class VideoDiTConfig:
    """The shape of a VideoDiT. Raises `ValueError` where numbers do not fit together."""

    hidden_size: int
    depth: int
    num_heads: int
    patch_size: int
    latent_size: int
    latent_channels: int
    num_frames: int
    num_classes: int = 0
    learn_sigma: bool = False
    mlp_ratio: float = 4.0
    attention: str = "interleaved"
    rotary: bool = False  # attention also knows how far apart tokens are (`rotary`)

    def __post_init__(self) -> None:
        for name in ("hidden_size", "depth", "num_heads", "patch_size", "latent_size"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is {getattr(self, name)}; it must be at least 1")
        if self.latent_channels < 1 or self.num_frames < 1 or self.num_classes < 0:
            raise ValueError(
                f"latent_channels {self.latent_channels}, num_frames {self.num_frames} must be at "
                f"least 1 and num_classes {self.num_classes} at least 0"
            )
        if self.hidden_size % self.num_heads or self.hidden_size % 4:
            raise ValueError(
                f"hidden_size {self.hidden_size} must be divisible by num_heads {self.num_heads} "
                "and by 4"
            )
        if self.latent_size % self.patch_size:
            raise ValueError(
                f"latent_size {self.latent_size} is not divisible by patch_size {self.patch_size}"
            )
        head = self.hidden_size // self.num_heads
        if self.rotary and (head < 6 or head % 2):
            raise ValueError(
                f"heads of {head} channels do not fit rotary positions; they need an even number "
                "from 6 on"
            )
        if self.attention not in ATTENTION:
            raise ValueError(
                f"attention {self.attention!r} is unknown; choose one of {', '.join(ATTENTION)}"
            )
        if self.attention == "interleaved" and self.depth % 2:
            raise ValueError(
                f"depth is {self.depth}; interleaved attention needs an even number, "
                "as spatial and temporal blocks come in pairs"
            )

    @property
    def out_channels(self) -> int:
        return self.latent_channels * (2 if self.learn_sigma else 1)


class VideoDiT(nn.Module):
    """x (B, F, C, H, W), t (B, F), y (B,) or None -> (B, F, C_out, H, W).

    H and W are `latent_size`, or others that the patch divides, for models of several aspects.
    `attention="interleaved"` alternates blocks over the tokens of a frame with blocks over the
    frames of a token (Latte variant 1; FVDM §3.1). `"joint"` attends over all tokens of all frames.
    """

    pos_embed: Tensor
    temp_embed: Tensor

    def __init__(self, config: VideoDiTConfig) -> None:
        super().__init__()
        self.config = config
        self.recompute = False  # activations of the blocks in the backward pass, to save memory
        width = config.hidden_size
        self.x_embedder = PatchEmbed(config.patch_size, config.latent_channels, width)
        self.t_embedder = TimestepEmbedder(width)
        self.y_embedder = LabelEmbedder(config.num_classes, width) if config.num_classes else None
        grid = config.latent_size // config.patch_size
        # parameters, because the published counts include them; fixed, so without gradients
        self.pos_embed = _fixed(grid * grid, width)
        self.temp_embed = _fixed(config.num_frames, width)

        def blocks(count: int) -> nn.ModuleList:
            return nn.ModuleList(
                Block(width, config.num_heads, config.mlp_ratio) for _ in range(count)
            )

        if config.attention == "interleaved":
            self.blocks_spatial = blocks(config.depth // 2)
            self.blocks_temp = blocks(config.depth // 2)
        else:
            self.blocks = blocks(config.depth)
        self.final_layer = FinalLayer(width, config.patch_size, config.out_channels)
        # one laid out on torch's meta device is filled from a file, and even `normal_` there costs
        # two seconds of imports
        if not self.pos_embed.is_meta:
            self._initialise()

    @classmethod
    def from_size(
        cls,
        size: str,
        latent_size: int = 32,
        latent_channels: int = 4,
        num_frames: int = 16,
        num_classes: int = 0,
        learn_sigma: bool = True,
        attention: str = "interleaved",
    ) -> VideoDiT:
        """A fresh network of a named size such as "S/2": S, B, L or XL with patches 2, 4 or 8."""
        name, _, patch = size.partition("/")
        if name not in SIZES or patch not in map(str, PATCH_SIZES):
            known = ", ".join(f"{s}/{p}" for s in SIZES for p in PATCH_SIZES)
            raise ValueError(f"size {size!r} is unknown; choose one of {known}")
        hidden_size, depth, num_heads = SIZES[name]
        return cls(
            VideoDiTConfig(
                hidden_size=hidden_size,
                depth=depth,
                num_heads=num_heads,
                patch_size=int(patch),
                latent_size=latent_size,
                latent_channels=latent_channels,
                num_frames=num_frames,
                num_classes=num_classes,
                learn_sigma=learn_sigma,
                attention=attention,
            )
        )

    @property
    def null_label(self) -> int:
        """The index of "no label": the last row of the label table."""
        return self.config.num_classes

    def forward(
        self,
        x: Tensor,
        t: Tensor,
        y: Tensor | None = None,
        cache: StepCache | None = None,
        alone: Tensor | None = None,
    ) -> Tensor:
        """`cache`, one for each run, may leave out all blocks but the first (`step_cache`).

        `alone` (B,) bool: in these clips no frame sees another one, as if each were a picture.
        """
        self._check(x, t)
        batch, frames = t.shape
        patch = self.config.patch_size
        grid = (x.shape[-2] // patch, x.shape[-1] // patch)  # rows and columns of tokens

        c = self.t_embedder(t)  # (B, F, D)
        if self.y_embedder is not None:
            if y is None:
                y = torch.full((batch,), self.null_label, device=x.device)
            c = c + self.y_embedder(y)[:, None]  # (B, F, D)
        c = F.silu(c)

        x = self.x_embedder(rearrange(x, "b f c h w -> (b f) c h w"))  # (B*F, N, D)
        x = rearrange(x + self._positions(grid), "(b f) n d -> b f n d", f=frames)
        temp_embed = self.temp_embed[:, :frames, None]  # (1, F, 1, D)

        places = self._places((frames, *grid), x)
        masks = {} if alone is None else self._masks(alone, frames, grid[0] * grid[1], x)
        (first, over), *others = self.blocks_in_order()
        if over == "joint":
            x = x + temp_embed
        before, x = x, self._run(first, x, c, over, places, masks)  # (B, F, N, D)
        if over == "space":  # after the first spatial block, as Latte has it
            before, x = before + temp_embed, x + temp_embed

        def rest(x: Tensor) -> Tensor:
            for block, over in others:
                x = self._run(block, x, c, over, places, masks)  # (B, F, N, D)
            return x

        x = rest(x) if cache is None else cache(before, x, rest)
        x = self.final_layer(x, c)  # (B, F, N, P*P*C_out)
        return rearrange(
            x, "b f (h w) (p q c) -> b f c (h p) (w q)", h=grid[0], w=grid[1], p=patch, q=patch
        )

    def blocks_in_order(self) -> list[tuple[nn.Module, str]]:
        """The blocks as they follow each other, and over what each attends."""
        if self.config.attention == "joint":
            return [(block, "joint") for block in self.blocks]
        pairs = zip(self.blocks_spatial, self.blocks_temp, strict=True)
        return [
            step for spatial, temporal in pairs for step in ((spatial, "space"), (temporal, "time"))
        ]

    def _positions(self, grid: tuple[int, int]) -> Tensor:
        """The places of the tokens of a frame, (1, N, D): the table, or for frames of another
        aspect the same function of rows and columns, with its middle where the table's is."""
        side = self.config.latent_size // self.config.patch_size
        if grid == (side, side):
            return self.pos_embed
        table = self.pos_embed
        return sincos_2d(table.shape[-1], grid, side).to(table.device, table.dtype)[None]

    def _places(self, lengths: tuple[int, int, int], x: Tensor) -> dict[str, Tensor]:
        """How queries and keys turn in attention over each of the axes; empty without `rotary`."""
        config = self.config
        if not config.rotary:
            return {}
        head_dim = x.shape[-1] // config.num_heads
        over_axes = {"space": lengths[1:], "time": lengths[:1], "joint": lengths}
        used = ("joint",) if config.attention == "joint" else ("space", "time")
        return {over: rotation(over_axes[over], head_dim, x) for over in used}

    def _masks(self, alone: Tensor, frames: int, tokens: int, like: Tensor) -> dict[str, Tensor]:
        """What is added to the products of attention over more than one frame, (B, 1, L, L): 0
        where a query sees a key, else -inf."""
        place = like.device.type
        # what attention runs in, or every block would keep a copy of its own for the way back
        mixed = torch.is_autocast_enabled(place)
        dtype = torch.get_autocast_dtype(place) if mixed else like.dtype
        own = torch.eye(frames, dtype=torch.bool, device=alone.device)
        hidden = alone[:, None, None] & ~own  # (B, F, F)
        mask = torch.zeros(hidden.shape, dtype=dtype, device=alone.device)
        mask = mask.masked_fill(hidden, -torch.inf)
        if self.config.attention == "interleaved":
            return {"time": mask[:, None]}
        of_tokens = mask.repeat_interleave(tokens, 1).repeat_interleave(tokens, 2)
        return {"joint": of_tokens[:, None]}

    def _run(
        self,
        block: nn.Module,
        x: Tensor,
        c: Tensor,
        over: str,
        places: dict[str, Tensor],
        masks: dict[str, Tensor],
    ) -> Tensor:
        arguments = (x, c, over, places.get(over), masks.get(over))
        if self.recompute and torch.is_grad_enabled():
            return checkpoint(block, *arguments, use_reentrant=False, preserve_rng_state=False)
        return block(*arguments)

    def _check(self, x: Tensor, t: Tensor) -> None:
        config = self.config
        sides = x.shape[3:]
        if (
            x.ndim != 5
            or x.shape[2] != config.latent_channels
            or any(side % config.patch_size or not side for side in sides)
        ):
            raise ValueError(
                f"x has shape {tuple(x.shape)}; expected (B, F, {config.latent_channels}, "
                f"{config.latent_size}, {config.latent_size}), or other sides that are divisible "
                f"by {config.patch_size}"
            )
        if t.shape != x.shape[:2]:
            raise ValueError(
                f"t has shape {tuple(t.shape)}; expected one timestep per frame, "
                f"{tuple(x.shape[:2])}"
            )
        if x.shape[1] > config.num_frames:
            raise ValueError(
                f"{x.shape[1]} frames were given to a model of {config.num_frames}; use windows"
            )

    def _initialise(self) -> None:
        """adaLN-Zero: every block starts as the identity and the output as zero (DiT §3.2)."""
        config = self.config
        side = config.latent_size // config.patch_size
        self.pos_embed.copy_(sincos_2d(config.hidden_size, (side, side), side))
        times = torch.arange(config.num_frames, dtype=torch.float64)
        self.temp_embed.copy_(sincos_1d(config.hidden_size, times))
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.xavier_uniform_(module.weight)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)
        nn.init.xavier_uniform_(self.x_embedder.proj.weight.view(config.hidden_size, -1))
        nn.init.zeros_(self.x_embedder.proj.get_parameter("bias"))
        for module in self.t_embedder.mlp:
            if isinstance(module, nn.Linear):
                nn.init.normal_(module.weight, std=0.02)
        if self.y_embedder is not None:
            nn.init.normal_(self.y_embedder.embedding_table.weight, std=0.02)
        for module in self.modules():
            if isinstance(module, Block | FinalLayer):
                for parameter in module.adaLN_modulation.parameters():
                    nn.init.zeros_(parameter)
        nn.init.zeros_(self.final_layer.linear.weight)


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
    if q.requires_grad and q.device.type == "cpu" and q.shape[-2] <= 256:
        # backwards, torch's fused CPU kernel is slow on short sequences
        weights = (q * q.shape[-1] ** -0.5) @ k.transpose(-2, -1)
        if mask is not None:
            weights = weights + mask
        return weights.softmax(dim=-1) @ v
    return F.scaled_dot_product_attention(q, k, v, attn_mask=mask)


class Mlp(nn.Module):
    def __init__(self, hidden_size: int, inner_size: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(hidden_size, inner_size)
        self.fc2 = nn.Linear(inner_size, hidden_size)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc2(F.gelu(self.fc1(x), approximate="tanh"))


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


def _fixed(length: int, width: int) -> nn.Parameter:
    return nn.Parameter(torch.empty(1, length, width), requires_grad=False)
