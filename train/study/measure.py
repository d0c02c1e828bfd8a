"""What is measured of an arm, against clips that nobody has learned from."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import lru_cache

import numpy as np

from fvdm_core.pipeline import Pipeline
from fvdm_core.timeline import MAX_LEVEL, Timeline
from train.evaluation.common import Autoencode, figure, psnr, samples
from train.evaluation.distances import frechet_distance, kernel_distance
from train.evaluation.features import Extractor, extract
from train.worlds import UNSEEN, render

DETERMINED = ("interpolation", "next-frame")  # tasks whose frames can be held against the truth
WAYS = ("clean", "replacement", "resampled")  # in which a scalar timestep meets kept frames
GUIDANCE, ETA = 1.5, 0.0  # of all sampling; so DDPM alone makes fresh noise
BATCH = 64  # clips that are sampled at once: the networks are small
LONG = ("extend", "diagonal")  # tasks of twice the model's frames; the last window is measured


@dataclass(frozen=True)
class Cell:
    """One thing that is measured of an arm's model after `step` training steps.

    way: how the model is shown frames that stand still: "clean", or "replacement", noised again to
    the level of the others at every step, or that with going back up now and then ("resampled").
    """

    task: str
    solver: str
    steps: int
    step: int
    way: str = WAYS[0]

    @property
    def key(self) -> str:
        way = "" if self.way == WAYS[0] else f" {self.way}"
        return f"{self.task} {self.solver}-{self.steps}{way} @{self.step}"

    def timeline(self, window: int) -> Timeline:
        """For a model that sees `window` frames."""
        frames = window * (2 if self.task in LONG else 1)
        timeline = Timeline.preset(self.task, frames=frames, steps=self.steps, window=window)
        if self.way != "resampled":
            return timeline
        keep = list(timeline.kept)
        return Timeline.preset(
            "resample", frames=frames, steps=self.steps, window=window, keep=keep
        )

    def ways(self, window: int) -> tuple[str, ...]:
        """In which ways a model with one timestep for the whole clip can do this."""
        timeline = self.timeline(window)
        alike = (timeline.levels == timeline.levels[:, :1]).all()
        if alike or not timeline.moves_together:
            return WAYS[:1]
        return WAYS if timeline.kept and timeline.windows is None else WAYS[:2]


@lru_cache(maxsize=16)  # four worlds, two sets, two lengths
def _rendered(
    world: str, first: int, count: int, length: int, size: int, fps: float
) -> list[np.ndarray]:
    """Clips uint8 (F, H, W, 3) of the unseen seeds from `first` on."""
    seeds = range(UNSEEN + first, UNSEEN + first + count)
    return [render(world, seed, length, size, fps).video for seed in seeds]


@dataclass
class Reference:
    """Two sets of `clips` unseen clips of each world: one gives keyframes, one is compared with.

    Rendered, and turned into features, once for each length.
    """

    worlds: list[str]
    clips: int
    window: int  # frames; of longer clips the last window is compared
    size: int  # pixels
    fps: float
    extractor: Extractor | None
    _features: dict[int, np.ndarray] = field(default_factory=dict)

    @property
    def protocol(self) -> str:
        return self.extractor.protocol if self.extractor else ""

    def giving(self, world: str, length: int) -> list[np.ndarray]:
        return _rendered(world, self.clips, self.clips, length, self.size, self.fps)

    def compared(self, world: str, length: int) -> list[np.ndarray]:
        return _rendered(world, 0, self.clips, length, self.size, self.fps)

    def distances(self, videos: list[np.ndarray]) -> dict[str, float | None]:
        """Of clips from unseen ones of their length, over all worlds together. `kid_error` is the
        standard error of `kid` over the clips, which that over training seeds does not have: all
        arms are measured with the same noise, keyframes and unseen clips."""
        if self.extractor is None:
            return {"frechet": None, "kid": None, "kid_error": None}
        length = len(videos[0])
        if length not in self._features:
            real = [clip for world in self.worlds for clip in self.compared(world, length)]
            self._features[length] = self._extract(real)
        wanted, got = self._features[length], self._extract(videos)
        kid, error = kernel_distance(wanted, got, strata=len(self.worlds))
        return {
            "frechet": frechet_distance(wanted, got),
            "kid": kid,
            "kid_error": None if np.isnan(error) else error,
        }

    def _extract(self, videos: list[np.ndarray]) -> np.ndarray:
        assert self.extractor is not None
        return extract(self.extractor, [video[-self.window :] for video in videos])

    def floor(self) -> dict[str, float | None]:
        """The distances between the two sets, both real: what a perfect model would have."""
        return self.distances(self._all_giving(self.window))

    def coded(
        self, autoencode: Autoencode, lengths: Iterable[int]
    ) -> dict[int, dict[str, float | None]]:
        """By length, the distances of clips that were only encoded and decoded.

        None without features. Generated clips, whose given frames pass the autoencoder too, hardly
        come nearer.
        """
        if self.extractor is None:
            return {}
        return {
            length: self.distances([autoencode(video) for video in self._all_giving(length)])
            for length in lengths
        }

    def _all_giving(self, length: int) -> list[np.ndarray]:
        return [video for world in self.worlds for video in self.giving(world, length)]


def measure(
    model: Pipeline, cell: Cell, reference: Reference, prior_alpha: float = 1.0
) -> dict[str, float | None]:
    """Distances of generated from unseen clips, all worlds together, and PSNR of what is known.

    The clips that give keyframes are none of those that are compared with. The noise is of the
    prior that the model was trained with.
    """
    timeline = dataclasses.replace(
        cell.timeline(model.num_frames), prior=model.card.prior, prior_alpha=prior_alpha
    )
    conditioning = "clean" if cell.way == "clean" else "replacement"
    given = pictured(timeline)
    made = [frame for frame in range(timeline.frames) if frame not in timeline.kept]
    fidelity: list[float] = []
    generated: list[np.ndarray] = []
    for world in reference.worlds:
        truth = reference.giving(world, timeline.frames)
        keyframes = [{frame: video[frame] for frame in given} for video in truth]
        seeds = range(reference.clips)
        videos = samples(
            *(model, timeline, world, seeds, keyframes, BATCH),
            solver=cell.solver,
            cfg_scale=GUIDANCE,
            eta=ETA,
            conditioning=conditioning,
        )
        if cell.task in DETERMINED:
            fidelity += [psnr(a[made], b[made]) for a, b in zip(truth, videos, strict=True)]
        generated += videos
    return reference.distances(generated) | {"psnr": figure(fidelity).mean if fidelity else None}


def pictured(timeline: Timeline) -> list[int]:
    """The frames that start from a picture of their own; the first, where all start from copies."""
    below = np.flatnonzero(timeline.levels[0] < MAX_LEVEL).tolist()
    held = timeline.sources or ("keyframe",) * timeline.frames
    return [frame for frame in below if held[frame] != "hold"] or below[:1]
