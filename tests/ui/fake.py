"""A stand-in for the pipeline: quick, deterministic, and every frame changes at every step."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import Coroutine, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from fvdm_core.card import ModelCard
from fvdm_core.defaults import SamplingDefaults
from fvdm_core.media import write_png
from fvdm_core.options import RunOptions
from fvdm_core.recipe import picture_hash
from fvdm_core.schedule import NoiseSchedule
from fvdm_core.timeline import MAX_LEVEL, Timeline

Result = TypeVar("Result")


def on_its_own_loop(work: Coroutine[Any, Any, Result]) -> Result:
    """What `work` gives, awaited in a thread: a browser driven by this process leaves its loop
    running in the main one, where `asyncio.run` is then refused."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(asyncio.run, work).result()


@dataclass(frozen=True)
class FakeClip:
    frames: np.ndarray
    fps: float
    recipe: dict[str, Any]


@dataclass(frozen=True)
class FakeState:
    step: int
    levels: np.ndarray
    preview: np.ndarray
    recipe: dict[str, Any]
    clip: FakeClip | None = None

    @property
    def frames(self) -> np.ndarray:
        return self.preview

    @property
    def noisy(self) -> np.ndarray:
        return 255 - self.preview

    @property
    def nbytes(self) -> int:
        return self.preview.nbytes

    def light(self) -> FakeState:
        return self

    def arrived(self, decode: Any) -> FakeState:
        return self


class FakePipeline:
    """Frames fade from the seed's noise to the label's colour; kept frames are the pictures."""

    card = ModelCard(
        "Test <b>worlds</b>",
        ("sky", "faces"),
        trained_on="nothing",
        sampling=SamplingDefaults(0.25, 250.0, {"faces": {"temporal_scale": 0.75}}),
    )
    schedule = NoiseSchedule()
    num_frames = 16
    image_size, sizes = (16, 16), ((16, 16),)
    model_hash = "0123456789abcdef"
    precision = "float32"
    parameters, memory_bytes = 12_300_000, 49_200_000

    skills = frozenset({"temporal_scale", "step_cache", "splice_exact"})
    frames_per_latent = frames_per_picture = 1
    decode = None

    def __init__(self, pause: float = 0.0, reuses: bool = False) -> None:
        self.pause = pause
        self.reuses = reuses  # else each run takes its time, whatever ran before
        self.gate: threading.Event | None = None
        self.largest_window = 0

    def stream(
        self,
        timeline: Timeline,
        keyframes: dict[int, np.ndarray] | None = None,
        options: RunOptions | None = None,
        reuse: Sequence[FakeState] = (),
        **changes: Any,
    ) -> Iterator[FakeState]:
        options = replace(options or RunOptions(), **changes)
        label, seed = options.label, options.seed
        own = self.card.sampling.of(label)
        unsaid = {key: value for key, value in own.items() if getattr(options, key) is None}
        options = replace(options, **unsaid)
        height, width = options.size or self.image_size
        noise = np.random.default_rng(seed).integers(0, 256, (timeline.frames, height, width, 3))
        clean = np.full_like(
            noise, 60 if label is None else 120 + 40 * self.card.labels.index(label)
        )
        for frame, picture in (keyframes or {}).items():
            clean[frame] = picture
        self.largest_window = max(self.largest_window, timeline.window_size)
        first = max((state.step for state in reuse), default=0) if self.reuses else 0
        for state in reuse:
            assert np.array_equal(state.levels, timeline.levels[state.step])
            assert state.recipe["seed"] == options.seed and state.recipe["label"] == options.label
        for step in range(first, timeline.num_steps + 1):
            if step and self.gate is not None:
                self.gate.wait(120)
            time.sleep(self.pause if step else 0)
            share = timeline.levels[step][:, None, None, None] / MAX_LEVEL
            frames = np.rint((1 - share) * clean + share * noise).astype(np.uint8)
            recipe = {
                "format": "fvdm-studio-recipe",
                "version": 1,
                "timeline": json.loads(timeline.to_json()),
                **asdict(options),
                "keyframes": {str(f): picture_hash(p) for f, p in (keyframes or {}).items()},
                "model": {"name": self.card.name, "sha256": self.model_hash},
            }
            clip = None
            if step == timeline.num_steps:
                clip = FakeClip(frames, options.fps or self.card.fps, recipe)
            else:
                recipe["stopped_after_step"] = step
            yield FakeState(step, timeline.levels[step], frames, recipe, clip)


def example_pictures(folder: Path) -> Path:
    """Two example pictures in `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    for index, label in enumerate(("faces", "sky")):
        picture = np.full((16, 16, 3), 90 + 60 * index, np.uint8)
        picture[4:12, 4:12] = (240, 200 - 60 * index, 60 + 120 * index)
        write_png(folder / f"{label}-{index + 1}.png", picture)
    return folder
