"""Models with known answers, for tests of the evaluation."""

from __future__ import annotations

import numpy as np

from fvdm_core.card import ModelCard
from fvdm_core.state import Clip
from fvdm_core.timeline import Timeline
from train.worlds import UNSEEN, render


class RealClips:
    """A perfect model: for seed k it returns the unseen clip k."""

    num_frames, image_size = 16, (64, 64)

    def __init__(self, *labels: str) -> None:
        self.card = ModelCard(labels=labels)
        self.asked: list[tuple[str, int]] = []
        self.timelines: list[Timeline] = []
        self.given: list[dict[int, np.ndarray]] = []

    def __call__(self, timeline, *, label, seed, keyframes=None):
        self.asked.append((label, seed))
        self.timelines.append(timeline)
        self.given.append(keyframes or {})
        video = render(label, UNSEEN + seed, timeline.frames, self.image_size[0]).video
        return Clip(self.change(video, seed), self.card.fps, {})

    def change(self, video, seed):
        return video


class Frozen(RealClips):
    """Its clips stand still."""

    def change(self, video, seed):
        return np.repeat(video[:1], len(video), axis=0)


class LosesBalls(RealClips):
    """Every second clip ends without its balls."""

    def change(self, video, seed):
        video = video.copy()
        if seed % 2:
            video[-1] = 128
        return video


class Jumps(RealClips):
    """What is not given is darker."""

    def change(self, video, seed):
        return np.concatenate([video[:1], video[1:] // 2])


def real_clips(*labels: str, frames: int = 16, size: int = 64) -> RealClips:
    """A perfect model of another length or size."""
    model = RealClips(*labels)
    model.num_frames, model.image_size = frames, (size, size)
    return model
