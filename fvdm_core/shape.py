"""The shape of a VideoDiT: its numbers, and whether they fit together. Without torch."""

from __future__ import annotations

from dataclasses import dataclass

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
