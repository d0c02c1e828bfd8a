"""What a run was asked for, kept small: to show it in a list, load it, repeat it, compare it."""

from __future__ import annotations

import hashlib
import itertools
import json
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from fvdm_core.options import USUAL_ETA
from fvdm_core.presets import PRESETS
from fvdm_core.timeline import Timeline
from ui import editing
from ui.requests import EditorValue, GenerateRequest

PICTURE_ROWS, PICTURE_FRAMES = 20, 28  # cells of the small picture of a timeline
MAX_TITLE = 40
LABEL = 40  # characters of a label or prompt in a line about a run
SOLVER_NAMES = {"dpmpp_2m": "DPM-Solver++ (2M)", "ddim": "DDIM", "ddpm": "DDPM"}


@dataclass(frozen=True)
class Order:
    """A painted timeline with its settings.

    `title` names the timeline, `settings` and `details` are text for people, `shared` is what two
    timelines of a comparison have in common, `picture` is the matrix of levels at the size of a
    thumbnail, `mark` says which painting it was, `model` and `model_hash` for which model. Two
    orders of the same `key` are of the same model and give the same bytes; `rows` does for their
    first rows what `key` does for the whole. `swept`: a sweep asked for it, which may end it.
    """

    title: str
    settings: str
    details: str
    shared: str
    fps: int
    picture: tuple[tuple[int, ...], ...]
    mark: int
    model: str
    model_hash: str
    key: str
    rows: tuple[bytes, ...]
    _packed: bytes  # a painting of a million cells is 40 MB of Python numbers
    swept: bool = False

    @classmethod
    def of(
        cls,
        editor: EditorValue,
        request: GenerateRequest,
        window: int,
        model_hash: str,
        model: str = "",
    ) -> Order:
        """The order for a model of this name that sees `window` frames."""
        asked = {"editor": editor.model_dump(mode="json"), "request": request.model_dump()}
        return cls(
            title=title_of(editor, window),
            settings=" · ".join(
                [
                    shortened(request.label or "any"),
                    f"seed {request.seed}",
                    f"{editor.frames} × {editor.steps}",
                    *_unusual(request),
                ]
            ),
            details=f"{editor.frames} frames, {editor.steps} steps, "
            f"{SOLVER_NAMES[request.solver]}, guidance {request.cfg_scale:g}, "
            f"{_coherence(request)}{request.fps} frames per second",
            shared=f"{shortened(request.label or 'any label')}, seed {request.seed}, "
            f"guidance {request.cfg_scale:g}, {_coherence(request)}"
            f"{SOLVER_NAMES[request.solver]}",
            fps=request.fps,
            picture=picture_of(editor),
            mark=editor.mark,
            model=model,
            model_hash=model_hash,
            key=key_of(editor, request, model_hash),
            rows=rows_of(editor, request, window, model_hash),
            _packed=zlib.compress(json.dumps(asked).encode()),
        )

    def unpack(self) -> tuple[EditorValue, GenerateRequest]:
        """The painting and the settings as they were."""
        asked = json.loads(zlib.decompress(self._packed))
        return (
            EditorValue.model_validate(asked["editor"]),
            GenerateRequest.model_validate(asked["request"]),
        )


def rows_of(
    editor: EditorValue, request: GenerateRequest, window: int, model: str
) -> tuple[bytes, ...]:
    """For each row what is the same where all up to it is; () with step caching, when a state is
    not all that the next one comes from. As `Timeline.shared_steps` has it."""
    if request.step_cache:
        return ()
    timeline = editor.timeline().with_windows(window)
    later = {"levels", "windows", "preset", "formula", "steps_before", "keyframes"}
    painting = editor.model_dump(mode="json", exclude=later)
    asked = request.model_dump(exclude={"fps", "splice_exact"})
    pictures = _pictures(editor, timeline)
    largest = timeline.window_size if timeline.prior == "shuffled" else None
    began = json.dumps([model, painting, pictures, asked, largest], sort_keys=True)
    digest = hashlib.sha256(began.encode())
    rows = []
    for row, levels in enumerate(timeline.levels):
        windows = hash(timeline.windows_at(row - 1)) if row else 0
        digest.update(levels.tobytes() + windows.to_bytes(8, "little", signed=True))
        rows.append(digest.digest()[:16])
    return tuple(rows)


def shared_steps(one: Sequence[bytes], other: Sequence[bytes]) -> int:
    """How many first steps two of `rows_of` have in common; the states after them are the same.
    It is -1 where not even row 0 is."""
    alike = itertools.takewhile(lambda pair: pair[0] == pair[1], zip(one, other, strict=False))
    return len(list(alike)) - 1


def _unusual(request: GenerateRequest) -> list[str]:
    """What else tells a run from others: all that is not as it is on a first visit."""
    said = []
    if request.cfg_scale != GenerateRequest().cfg_scale:
        said.append(f"guidance {request.cfg_scale:g}")
    if request.temporal_scale is not None:
        said.append(f"coherence {request.temporal_scale:g}")
    if request.guidance_from is not None:
        said.append(f"guided above {request.guidance_from:g}")
    if request.solver != GenerateRequest().solver:
        said.append(SOLVER_NAMES[request.solver])
    if request.eta != USUAL_ETA[request.solver]:
        said.append(f"η {request.eta:g}")
    if request.step_cache:
        said.append(f"step caching {request.step_cache:g}")
    return said


def _coherence(request: GenerateRequest) -> str:
    """Nothing where it is left to the model."""
    scale = request.temporal_scale
    return "" if scale is None else f"coherence {scale:g}, "


def shortened(label: str) -> str:
    """A label, or the beginning of a prompt."""
    return label if len(label) <= LABEL else f"{label[: LABEL - 1].rstrip()}…"


def title_of(editor: EditorValue, window: int) -> str:
    """What to call a painting: its preset or formula, as long as it still is one."""
    if editor.preset is not None and editor.preset.name in PRESETS:
        title = PRESETS[editor.preset.name].title
        return title if editing.is_preset(editor, window) else f"{title}, painted"
    if editor.formula and editing.is_formula(editor):
        return editor.formula[:MAX_TITLE]
    return "Painted"


def picture_of(editor: EditorValue) -> tuple[tuple[int, ...], ...]:
    """The levels, as many of them as a thumbnail shows."""

    def chosen(count: int, most: int) -> Any:
        return np.linspace(0, count - 1, min(count, most)).round().astype(int)

    rows = chosen(len(editor.levels), PICTURE_ROWS)
    frames = chosen(editor.frames, PICTURE_FRAMES)
    return tuple(tuple(editor.levels[row][frame] for frame in frames) for row in rows)


def key_of(editor: EditorValue, request: GenerateRequest, model: str) -> str:
    """The key of an order, which is quicker than the whole of it."""
    unlike = {"preset", "formula", "steps_before", "keyframes"}
    painting = editor.model_dump(mode="json", exclude=unlike)
    pictures = _pictures(editor, editor.timeline())
    asked = json.dumps([model, painting, pictures, request.model_dump()], sort_keys=True)
    return hashlib.sha256(asked.encode()).hexdigest()


def _pictures(editor: EditorValue, timeline: Timeline) -> list[list[Any]]:
    """Those that are used: one that no frame starts from changes nothing. Paths name contents."""
    unused = timeline.unused_pictures([k.frame for k in editor.keyframes])
    return sorted([k.frame, k.file.path, k.fit] for k in editor.keyframes if k.frame not in unused)
