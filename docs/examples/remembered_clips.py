"""A network of one's own for the studio: the perfect denoiser of a few clips. It learns nothing.

    python app.py --model docs/examples/remembered_clips.py

If all clips that there are were these, the best guess of the clean video would be their mean, each
weighed by how likely it is to look like x under the noise of every frame (Karras et al. 2022, eq.
57, here with a noise level per frame). So it shows what a timeline does with nothing to blame on
training: which clip wins, and at which step that is decided.
"""

import torch
from einops import einsum
from torch import Tensor, nn

from fvdm_core import NoiseSchedule, Pipeline
from fvdm_core.card import ModelCard
from fvdm_core.network import NetworkShape, PixelSpace
from fvdm_core.pixels import from_pixels
from train.worlds import WORLDS, render

FRAMES, SIZE = 16, 64
OF_EACH = 24  # clips of every world


class RememberedClips(nn.Module):
    """clips (N, F, C, H, W) of the labels (N,) -> the mean of those that x may have come from."""

    def __init__(self, clips: Tensor, labels: Tensor, schedule: NoiseSchedule) -> None:
        super().__init__()
        _, frames, channels, size, _ = clips.shape
        self.config = NetworkShape(frames, channels, size, num_classes=int(labels.max()) + 1)
        self.schedule = schedule
        self.register_buffer("clips", clips)
        self.register_buffer("labels", labels)

    def forward(self, x: Tensor, t: Tensor, y: Tensor) -> Tensor:
        """x (B, F, C, H, W), t (B, F), y (B,) -> the clean clip that it expects."""
        clips = self.clips[:, : x.shape[1]]
        signal, noise = self.schedule.pair(t + 1)  # it is told n − 1 at level n
        flat, known = x.flatten(2), clips.flatten(2)
        near = einsum(flat * signal.flatten(2), known, "b f d, n f d -> b n f")
        far = einsum(signal.flatten(1) ** 2, known.square().sum(2), "b f, n f -> b n f")
        likely = ((near - far / 2) / noise.flatten(1)[:, None] ** 2).sum(2)  # (B, N), of a Gaussian
        other = (self.labels != y[:, None]) & (y[:, None] != self.config.num_classes)
        weights = likely.masked_fill(other, -torch.inf).softmax(1)
        return einsum(weights, clips, "b n, n f c h w -> b f c h w")


def load() -> Pipeline:
    """The pipeline that the studio is to use."""
    schedule = NoiseSchedule("cosine", prediction_type="x0")
    seeds = range(OF_EACH)
    clips = [
        from_pixels(torch.from_numpy(render(world, seed, FRAMES, SIZE).video))
        for world in WORLDS
        for seed in seeds
    ]
    labels = torch.arange(len(WORLDS)).repeat_interleave(OF_EACH)
    network = RememberedClips(torch.stack(clips), labels, schedule)
    card = ModelCard(
        name="Remembered clips",
        labels=tuple(WORLDS),
        fps=8,
        trained_on=f"Nothing: it remembers {OF_EACH} rendered clips of each world.",
    )
    return Pipeline(network, PixelSpace(), schedule, card, dtype=torch.float32)
