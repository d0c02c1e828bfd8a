"""Everything that the page or an API client sends in, checked before anything is built from it."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import numpy as np
from gradio.data_classes import FileData, GradioModel
from gradio.utils import get_upload_folder
from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    model_validator,
)

from fvdm_core.formula import MAX_FORMULA
from fvdm_core.limits import (
    MAX_CELLS,
    MAX_FRAMES,
    MAX_JSON_BYTES,
    MAX_LEVEL,
    MAX_ROWS,
    SAMPLING,
    shown,
)
from fvdm_core.options import (
    MAX_CFG_SCALE,
    MAX_STEP_CACHE,
    USUAL_ETA,
    Conditioning,
    RunOptions,
    Solver,
    parse_size,
    written_size,
)
from fvdm_core.pictures import Fit
from fvdm_core.timeline import Timeline, Window
from fvdm_core.timeline_checks import MAX_PRIOR_ALPHA, PRIORS
from ui.refusals import RequestError, checked
from ui.rewind import View

MAX_SEED = 2**32 - 1
MAX_PROMPT = 2000  # characters
USUAL_FPS = 8  # of a clip, where nothing is said
MOST_FPS = 60

Source = Literal["noise", "keyframe", "hold"]


def _grid(value: Any) -> list[list[int]]:
    return Timeline(value).levels.tolist()  # says which row and frame is wrong


def _leave_out_extra(schema: dict[str, Any]) -> None:
    """gradio_client cannot read `"additionalProperties": false`."""
    schema.pop("additionalProperties", None)


STRICT = ConfigDict(extra="forbid", allow_inf_nan=False, json_schema_extra=_leave_out_extra)


class Strict(BaseModel):
    """Finite numbers and known fields only."""

    model_config = STRICT


def _whole(value: object) -> object:
    """A number box sends 7 as 7.0, and an emptied one sends null."""
    if value is None:
        raise ValueError("it is empty: enter a whole number.")
    return int(value) if isinstance(value, float) and value.is_integer() else value


Whole = Annotated[int, BeforeValidator(_whole), Field(strict=True)]


class WindowValue(Strict):
    """Frames that one model call sees, and those of them that it changes."""

    frames: list[Annotated[int, Field(ge=0, lt=MAX_FRAMES)]] = Field(
        min_length=1, max_length=MAX_FRAMES
    )
    updates: list[Annotated[int, Field(ge=0, lt=MAX_FRAMES)]] = Field(max_length=MAX_FRAMES)


class KeyframeValue(Strict):
    """A picture on a frame; `file` is an upload or one of the example pictures."""

    frame: int = Field(ge=0, lt=MAX_FRAMES, description="counted from 0")
    file: FileData
    fit: Fit = "crop"


class PresetValue(Strict):
    """The preset that the painting started from, its parameters, and its number of steps."""

    name: str = Field(max_length=64)
    params: dict[str, Any] = Field(default_factory=dict, max_length=32)
    steps: int | None = Field(default=None, ge=1, lt=MAX_ROWS)


class EditorValue(GradioModel):
    """The painted timeline with its keyframes, as it travels between page and server.

    `levels` has shape (M+1, F), whole numbers from 0 (clean) to 1000 (noise). Frames count from 0.
    """

    model_config = STRICT

    version: Literal[1] = 1
    levels: Annotated[list[list[Annotated[int, Field(ge=0, le=MAX_LEVEL)]]], BeforeValidator(_grid)]
    windows: list[list[WindowValue]] | None = None
    sources: list[Source] | None = None
    preset: PresetValue | None = None
    formula: str = Field(default="", max_length=MAX_FORMULA)
    prior: str = Field(default=PRIORS[0], max_length=20)
    prior_alpha: float = Field(default=1.0, ge=0, le=MAX_PRIOR_ALPHA)
    seen: dict[int, int] = Field(default_factory=dict, max_length=MAX_FRAMES)
    steps_before: int | None = Field(
        default=None,
        ge=1,
        lt=MAX_ROWS,
        description="of what this took the place of, where it came with rows of its own",
    )
    keyframes: list[KeyframeValue] = Field(default_factory=list, max_length=MAX_FRAMES)

    @classmethod
    def model_validate(cls, obj: Any, **how: Any) -> Self:
        # gradio validates a component's data_model itself and hides every error but gr.Error.
        validate = super().model_validate
        return checked(lambda: validate(obj, **how))

    @model_validator(mode="after")
    def _keyframes_fit(self) -> Self:
        taken: set[int] = set()
        for keyframe in self.keyframes:
            if keyframe.frame >= self.frames:
                raise ValueError(
                    f"a picture lies on frame {keyframe.frame + 1}, but the timeline has "
                    f"{self.frames} frames: remove the picture or add frames."
                )
            if keyframe.frame in taken:
                raise ValueError(
                    f"two pictures lie on frame {keyframe.frame + 1}: remove one of them."
                )
            taken.add(keyframe.frame)
        return self

    @property
    def frames(self) -> int:
        return len(self.levels[0])

    @property
    def steps(self) -> int:
        return len(self.levels) - 1

    @property
    def mark(self) -> int:
        """CRC-32 of size, levels and pictures. The canvas computes the same (`markOf` in core.js),
        and so knows whether what it holds is what a run was made of."""
        size = np.array([self.frames, len(self.levels)], "<u2").tobytes()
        pictures = sorted((k.frame, k.fit, k.file.path) for k in self.keyframes)
        told = "".join(f"{frame} {fit} {path}\n" for frame, fit, path in pictures)
        mark = zlib.crc32(np.array(self.levels, "<u2").tobytes(), zlib.crc32(size))
        return zlib.crc32(told.encode(errors="replace"), mark)

    @property
    def reading_mark(self) -> str:
        """`mark`, and what the panel says beside of a painting; as `readingMark` in core.js."""
        return " ".join([str(self.mark), self.prior, *(self.sources or ())])

    def timeline(self) -> Timeline:
        """The painted cells, one by one, as a `Timeline`.

        Raises:
            RequestError: windows or sources do not fit the levels.
        """

        def build() -> Timeline:
            windows = None
            if self.windows is not None:
                windows = tuple(
                    tuple(Window(tuple(w.frames), tuple(w.updates)) for w in step)
                    for step in self.windows
                )
            return Timeline(
                np.array(self.levels),
                windows=windows,
                sources=None if self.sources is None else tuple(self.sources),
                prior=self.prior,
                prior_alpha=self.prior_alpha,
                seen=self.seen,
            )

        return checked(build)

    def pictures(self) -> dict[int, tuple[Path, Fit]]:
        """Path and fit of every keyframe, each path inside the upload folder.

        Raises:
            RequestError: a path lies elsewhere, is a URL, or is gone; the words are the same.
        """
        return {
            k.frame: (local_file(k.file, f"frame {k.frame + 1}"), k.fit) for k in self.keyframes
        }


class GenerateRequest(Strict):
    """The `RunOptions` that a page may send. The number of steps is the timeline's."""

    label: str | None = Field(
        default=None,
        max_length=MAX_PROMPT,
        description="one of the model's labels or, where it takes such, a prompt; null is any",
    )
    seed: Whole = Field(default=RunOptions.seed, ge=0, le=MAX_SEED)
    cfg_scale: float = Field(default=RunOptions.cfg_scale, ge=0, le=MAX_CFG_SCALE, strict=True)
    temporal_scale: float | None = Field(
        default=RunOptions.temporal_scale,
        ge=0,
        le=SAMPLING["temporal_scale"],
        strict=True,
        description="how firmly frames hold together; null is what the model was made for",
    )
    guidance_from: float | None = Field(
        default=RunOptions.guidance_from,
        ge=0,
        le=SAMPLING["guidance_from"],
        strict=True,
        description="frames are guided above this level; null is what the model was made for",
    )
    solver: Solver = RunOptions.solver
    eta: float = Field(default=USUAL_ETA[RunOptions.solver], ge=0, le=1, strict=True)
    fps: Whole = Field(default=USUAL_FPS, ge=1, le=MOST_FPS)
    splice_exact: bool = Field(
        default=RunOptions.splice_exact,
        strict=True,
        description="frozen frames come back pixel for pixel",
    )
    conditioning: Conditioning | None = Field(
        default=RunOptions.conditioning,
        description="what the model is shown of frozen frames; null is what it was trained for",
    )
    step_cache: float = Field(
        default=RunOptions.step_cache,
        ge=0,
        le=MAX_STEP_CACHE,
        strict=True,
        description="0 runs the whole network at every step; more leaves out more of it",
    )
    size: str | None = Field(
        default=None,
        max_length=9,
        description="width x height, such as 80x48, of a model of several sizes; null is its usual",
    )

    def options(self) -> RunOptions:
        size = None if self.size is None else parse_size(self.size)
        return RunOptions(**self.model_dump() | {"size": size})

    def size_in(self, sizes: Sequence[tuple[int, int]]) -> tuple[int, int]:
        """(height, width) of the frames: what is asked for, or the first of a model's `sizes`.

        Raises:
            RequestError: the model does not know that size.
        """
        size = sizes[0] if self.size is None else checked(lambda: parse_size(str(self.size)))
        if size not in sizes:
            known = ", ".join(map(written_size, sizes))
            raise RequestError(
                f"size is {shown(self.size)}: the model knows {known}; choose one of them or none."
            )
        return size

    def known_label(self, labels: Sequence[str], prompts: bool = False) -> Self:
        """This request, refused when its label is not one of `labels` and the model takes no
        `prompts`."""
        if not prompts and self.label is not None and self.label not in labels:
            raise RequestError(
                f"label is {shown(self.label)}: the model knows "
                f"{', '.join(labels) or 'no labels'}; choose one of them or none."
            )
        return self


class SizeRequest(Strict):
    """Frames and steps for a preset or formula."""

    frames: Whole = Field(ge=1, le=MAX_FRAMES)
    steps: Whole = Field(ge=1, lt=MAX_ROWS)

    @model_validator(mode="after")
    def _cells(self) -> Self:
        cells = self.frames * (self.steps + 1)
        if cells > MAX_CELLS:
            raise ValueError(
                f"{self.frames} frames × {self.steps + 1} rows are {cells} cells: at most "
                f"{MAX_CELLS} are allowed; use fewer frames or steps."
            )
        return self


class PresetRequest(SizeRequest):
    """A row of the preset table with its parameters."""

    name: str = Field(max_length=64)
    params: dict[str, Any] = Field(default_factory=dict, max_length=32)

    def timeline(self, window: int) -> Timeline:
        """The preset's timeline for a model that sees `window` frames."""
        size = {"frames": self.frames, "steps": self.steps, "window": window}
        if taken := sorted({"cls", "self", "name", *size}.intersection(self.params)):
            raise RequestError(f"params: {taken[0]} is none of a preset's parameters.")
        return checked(lambda: Timeline.preset(self.name, **size, **self.params))


class FormulaRequest(SizeRequest):
    """A formula for the level of frame i at time t."""

    formula: str = Field(min_length=1, max_length=MAX_FORMULA)

    def timeline(self) -> Timeline:
        return checked(lambda: Timeline.formula(self.formula, frames=self.frames, steps=self.steps))


class LookRequest(Strict):
    """Rows of a run that the strip wants to show; without any, only what it shows from now on."""

    job: str = Field(max_length=64)
    view: View
    steps: list[Annotated[int, Field(ge=0, lt=MAX_ROWS)]] = Field(default=[], max_length=8)


class BringRequest(Strict):
    """A timeline that the page brings along: an example by name, or the JSON of one."""

    kind: Literal["own", "example", "file"]
    name: str = Field(max_length=300)
    text: str = Field(default="", max_length=MAX_JSON_BYTES)

    def timeline(self) -> Timeline:
        """The timeline in `text`; what is wrong with it is said with the file's name."""
        try:
            return Timeline.from_json(self.text)
        except ValueError as error:
            if self.kind == "file":
                what, instead = self.name, " Choose a timeline that was saved with Export (JSON)."
            else:
                what, instead = f"Your preset “{self.name}”", ""
            raise RequestError(f"{what} cannot be used: {error}.{instead}") from None


def local_file(file: FileData, what: str) -> Path:
    """The resolved path of an uploaded file.

    Raises:
        RequestError: it is a URL, outside the upload folder, or not there. One
            wording for all, so that nobody learns which files exist.
    """
    refusal = RequestError(
        f"The picture for {what} is not among the uploads: drop it on its slot again."
    )
    if "://" in file.path or "\0" in file.path:
        raise refusal
    try:
        path = Path(file.path).resolve(strict=True)
    except (OSError, RuntimeError, ValueError):
        raise refusal from None
    if not path.is_file() or not path.is_relative_to(Path(get_upload_folder()).resolve()):
        raise refusal
    return path
