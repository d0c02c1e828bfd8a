"""VideoDiT: a video transformer that is told a timestep per frame.

Parameter names and layout are those of DiT and Latte, so published weights load by renaming alone.
The modulation is computed once per frame and broadcast over that frame's tokens.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from .blocks import Block, FinalLayer
from .embeddings import LabelEmbedder, PatchEmbed, TimestepEmbedder, sincos_1d, sincos_2d
from .rotary import rotation
from .shape import PATCH_SIZES, SIZES, VideoDiTConfig
from .step_cache import StepCache


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


def _fixed(length: int, width: int) -> nn.Parameter:
    return nn.Parameter(torch.empty(1, length, width), requires_grad=False)
