"""What a run gives: a state after every step, and the clip at its end."""

from __future__ import annotations

import base64
import copy
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from torch import Tensor

from . import media
from .measures import Changes, changes, kept_frames
from .recipe import with_pictures
from .timeline import Timeline


@dataclass(frozen=True, eq=False)  # arrays do not compare to a single truth
class Clip:
    """A finished video: frames uint8 (N, H, W, 3) RGB, frames per second, and its recipe.

    N is the timeline's F or, where each latent stands for r frames of it, 1 + r·(F − 1).
    pictures: {column: uint8 (H, W, 3) or (r, H, W, 3)}, the keyframes as they were fitted. kept:
    the columns that were clean from the first row to the last.
    """

    frames: np.ndarray
    fps: float
    recipe: dict[str, Any]
    frames_per_latent: int = 1
    pictures: Mapping[int, np.ndarray] = field(default_factory=dict)
    kept: tuple[int, ...] = ()

    @property
    def of_columns(self) -> np.ndarray:
        """A frame for each column of the timeline, (F, H, W, 3): the last that it stands for."""
        each = self.frames_per_latent
        return self.frames if each == 1 else self.frames[::each]  # pickled once, where it is one

    @property
    def changes(self) -> Changes:
        """How much it moves, and how much of that is beside kept frames (`measures`)."""
        kept = kept_frames(self.kept, len(self.frames), self.frames_per_latent)
        return changes(self.frames, kept)

    def save(self, path: str | Path) -> None:
        """Write .mp4, .webm or .gif, with the recipe inside where the format has room for it, and
        the pictures where the recipe has."""
        whole = with_pictures(self.recipe, self.pictures)
        media.write_video(
            path, self.frames, self.fps, metadata=json.dumps(whole, ensure_ascii=False)
        )

    def __repr__(self) -> str:
        count, height, width, _ = self.frames.shape
        said = f"{count} frames of {width}×{height} at {self.fps:g} a second"
        return f"<Clip: {said}, seed {self.recipe.get('seed')}>"

    def _repr_html_(self) -> str:
        """In a notebook it plays."""
        with TemporaryDirectory() as folder:
            file = Path(folder) / "clip.mp4"
            media.write_video(file, self.frames, self.fps)
            data = base64.b64encode(file.read_bytes()).decode("ascii")
        source = f"data:video/mp4;base64,{data}"
        return f'<video src="{source}" controls autoplay loop muted playsinline></video>'


def spliced(frames: np.ndarray, exact: Mapping[int, np.ndarray]) -> np.ndarray:
    """Frames (F, H, W, 3), of which some are replaced, pixel for pixel."""
    for frame, picture in exact.items():
        frames[frame] = picture
    return frames


@dataclass(eq=False)
class State:
    """A run after `step` of its M steps; step 0 is the start.

    `levels` (F,) are those the frames have now; `noisy` and `preview` are made when asked for.
    `recipe` repeats what is there now: before the last step it says where to stop.

    A run goes on from what its states hold, and all of them share the parts of one recipe: change
    only what `copy.deepcopy` gives.
    """

    step: int
    num_steps: int
    levels: np.ndarray
    x: Tensor = field(repr=False)  # (1, F, C, h, w)
    pred_x_start: Tensor = field(repr=False)  # (1, F, C, h, w)
    last_x_start: Tensor = field(repr=False)  # see `sampler.SampleState`
    timeline: Timeline = field(repr=False)
    recipe: dict[str, Any] = field(repr=False)
    _preview: Callable[[Tensor], np.ndarray] = field(repr=False)
    _decode: Callable[[Tensor], np.ndarray] = field(repr=False)
    exact: Mapping[int, np.ndarray] = field(repr=False)  # pictures that replace what is decoded
    clip: Clip | None = field(default=None, repr=False)  # with the last state

    @cached_property
    def preview(self) -> np.ndarray:
        """The predicted clean frames, uint8 (F, H, W, 3), as a cheap decoder sees them.

        It may make them smaller; a clip that came out clean is seen as it is.
        """
        return self._seen(self.pred_x_start)

    @cached_property
    def noisy(self) -> np.ndarray:
        """The state itself, decoded as it is by the same, uint8 (F, H, W, 3)."""
        return self._seen(self.x)

    def _seen(self, latents: Tensor) -> np.ndarray:
        if self.clip is not None and not self.levels.any():
            return self.clip.of_columns
        return self._preview(latents)

    @cached_property
    def frames(self) -> np.ndarray:
        """The predicted clean frames in full quality, uint8 (N, H, W, 3): a clip that is cut.

        Raises `ValueError` for a state that was pickled, until it has `arrived`.
        """
        if "_decode" not in vars(self):
            raise ValueError(
                "a state that was pickled has no decoder: take state.arrived(pipeline.decode)"
            )
        return spliced(self._decode(self.pred_x_start), self.exact)

    def __getstate__(self) -> dict[str, Any]:
        """Another process is given what there is to see, not the tensors of this one's device."""
        latents = self.pred_x_start.to("cpu", torch.float16).numpy()
        seen = {"preview": self.preview, "noisy": self.noisy, "pred_x_start": latents}
        left_here = ("x", "last_x_start", "timeline", "frames", "_preview", "_decode")
        return {k: value for k, value in vars(self).items() if k not in left_here} | seen

    def __copy__(self) -> State:
        """Not by way of `__getstate__`, which decodes."""
        made = object.__new__(State)
        vars(made).update(vars(self))
        return made

    def __deepcopy__(self, memo: dict[int, Any]) -> State:
        """With memory of its own, but the decoders of the same model."""
        made = memo[id(self)] = copy.copy(self)
        own = {k: copy.deepcopy(v, memo) for k, v in vars(self).items() if not callable(v)}
        vars(made).update(own)
        return made

    def arrived(self, decode: Callable[[Tensor], np.ndarray]) -> State:
        """A state of another process, whose `frames` this one decodes where they are asked for."""
        here = copy.copy(self)
        here.pred_x_start = torch.as_tensor(self.pred_x_start, dtype=torch.float32)
        here._decode = decode
        return here

    @property
    def nbytes(self) -> int:
        """The memory that it takes: of the tensors or, from another process, of the pictures."""
        if "x" not in vars(self):
            return self.preview.nbytes + self.noisy.nbytes
        held = {id(t): t.nbytes for t in (self.x, self.pred_x_start, self.last_x_start)}
        # of the timeline too, though states of a run share it: a run may have left only one
        return sum(held.values()) + self.timeline.levels.nbytes

    def light(self) -> State:
        """The same off the device, without its pictures, its clip and the timeline in its recipe:
        to be seen, or gone on from, later."""
        if "x" not in vars(self):
            pictures = copy.copy(self)
            pictures.recipe, pictures.clip = {}, None
            pictures.exact = {}
            vars(pictures).pop("pred_x_start", None)
            return pictures
        x, pred, last = (t.cpu() for t in (self.x, self.pred_x_start, self.last_x_start))
        if self.last_x_start is self.pred_x_start:
            last = pred
        recipe = {name: value for name, value in self.recipe.items() if name != "timeline"}
        return replace(self, x=x, pred_x_start=pred, last_x_start=last, recipe=recipe, clip=None)

    def begins(self, timeline: Timeline, recipe: Mapping[str, Any]) -> bool:
        """Whether a run of this timeline and recipe passes through this state, where the same
        pipeline made it."""
        if "x" not in vars(self) or recipe["step_cache"]:  # what is left out depends on the past
            return False
        later = ("timeline", "stopped_after_step", "fps", "fit", "splice_exact")

        def same(one: Mapping[str, Any]) -> dict[str, Any]:
            return {name: value for name, value in one.items() if name not in later}

        alike = same(self.recipe) == same(recipe)
        return alike and self.timeline.shared_steps(timeline) >= self.step
