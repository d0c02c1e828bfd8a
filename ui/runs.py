"""A checked request becomes a run: pictures are read, steps are walked, results are kept."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from fvdm_core.limits import frame_names
from fvdm_core.measures import changes, kept_frames
from fvdm_core.picture_reader import Wanted, load_images
from fvdm_core.pictures import Fit
from fvdm_core.timeline import Timeline
from ui.costs import Costs
from ui.gpu import Walker
from ui.jobs import Work
from ui.outputs import Outputs
from ui.refusals import RequestError, checked
from ui.requests import EditorValue, GenerateRequest
from ui.saved import Saved


def planned(timeline: Timeline, pipeline: Any) -> Timeline:
    """The timeline with windows that the model can hold."""
    return timeline.with_windows(pipeline.num_frames)


def kind_of_call(timeline: Timeline, pipeline: Any, request: GenerateRequest) -> str:
    """What the time of a model call depends on, as `Costs` files it."""
    by_label, by_frames, above = _guidance(pipeline, request)
    guided = "guided" if by_label else "plain"
    held = ("/held" if by_frames else "") + f"/{above:g}"
    cached = f"/{request.step_cache:g}" if request.step_cache else ""
    size = f"/{request.size}" if request.size else ""
    return f"{pipeline.model_hash[:12]}/{timeline.window_size}/{guided}{held}{cached}{size}"


def _guidance(pipeline: Any, request: GenerateRequest) -> tuple[bool, bool, float]:
    """Whether a run is guided by its label and by its frames, and above which level."""
    own = pipeline.card.sampling.of(request.label)
    asked = {key: getattr(request, key) for key in own}
    used = own | {key: value for key, value in asked.items() if value is not None}
    # an empty prompt is one
    labelled = request.label is not None or "prompts" in pipeline.skills
    by_label = labelled and request.cfg_scale not in (0, 1)
    return by_label, bool(used["temporal_scale"]), used["guidance_from"]


def predictions(
    timeline: Timeline, pipeline: Any, request: GenerateRequest, first: int = 0
) -> tuple[int, int]:
    """How often the network is called from a step on, and how often it is run: a guided call is as
    many predictions as it takes."""
    by_label, by_frames, above = _guidance(pipeline, request)
    led = timeline.levels[first:-1].max(axis=1) > above  # (M - first,)
    calls = np.array(calls_per_step(timeline)[first:], int)
    return int(calls.sum()), int(calls.sum() + (by_label + by_frames) * calls[led].sum())


def calls_per_step(timeline: Timeline) -> list[int]:
    return [len(timeline.active_windows(step)) for step in range(timeline.num_steps)]


def make_work(
    pipeline: Any,
    editor: EditorValue,
    request: GenerateRequest,
    *,
    walker: Walker,
    outputs: Outputs,
    costs: Costs,
    session: str,
    job: str,
    key: str = "",
    earlier: Callable[[], Sequence[Any]] = tuple,
) -> Work:
    """Read and check all that a run needs, so that whatever is wrong is said before it queues.

    `key` is that of its order.

    Raises:
        RequestError: unknown label, a picture that cannot be read, or a frame without a source.
    """
    request.known_label(pipeline.card.labels, "prompts" in pipeline.skills)
    timeline = checked(lambda: planned(editor.timeline(), pipeline))
    height, width = request.size_in(pipeline.sizes)
    given = editor.pictures()
    refuse_missing_pictures(timeline, given)
    for frame in timeline.unused_pictures(given):  # the page says so beside the timeline
        del given[frame]
    keyframes = read_pictures(given, (height, width), pipeline.frames_per_picture)

    options = request.options()
    # The call checks everything and starts nothing: steps are made when they are asked for.
    checked(lambda: pipeline.stream(timeline, keyframes, options))
    kind = kind_of_call(timeline, pipeline, request)
    seconds_per_call = costs.seconds_per_call(kind)

    page = {
        "preset": None if editor.preset is None else editor.preset.model_dump(),
        "formula": editor.formula,
    }

    def finish(state: Any, stopped: bool) -> Saved | None:
        if stopped and not state.step:
            return None  # it is noise
        frames = state.frames if stopped else state.clip.frames
        recipe = state.recipe | {"page": page}
        says = timeline.describe()
        kept = kept_frames(timeline.kept, len(frames), pipeline.frames_per_latent)
        change = changes(frames, kept)
        return outputs.save(session, job, frames, request.fps, recipe, keyframes, says, change, key)

    def states() -> Iterator[Any]:
        if walker.pipeline() is not pipeline:  # between this check of the request and its queueing
            raise ValueError("The model was changed meanwhile: generate again.")
        return walker.walk(timeline, keyframes, options, seconds_per_call, earlier()[-1:])

    return Work(
        states=states,
        finish=finish,
        calls=calls_per_step(timeline),
        frames=timeline.frames,
        size=f"{timeline.frames} frames of {width}×{height}",
        seconds_per_call=seconds_per_call,
        learned=lambda seconds: costs.learn(kind, seconds),
        earlier=earlier,
    )


def read_pictures(
    given: dict[int, tuple[Path, Fit]], size: tuple[int, int], moving: int = 1
) -> dict[int, np.ndarray]:
    """The picture of every frame, uint8 (H, W, 3); one that lies on many frames is read once.

    moving: as how many frames one may move, (moving, H, W, 3), on any but the first.

    Raises:
        RequestError: one cannot be read; its frame is named.
    """
    wanted = {
        frame: (path, size, fit, moving if frame else 1) for frame, (path, fit) in given.items()
    }
    first = {picture: frame for frame, picture in reversed(wanted.items())}
    read: dict[Wanted, np.ndarray] = {}
    pictures = load_images(list(first))
    for picture, frame in first.items():
        try:
            read[picture] = next(pictures)
        except ValueError as error:
            raise RequestError(f"The picture for frame {frame + 1}: {error}") from None
    return {frame: read[picture] for frame, picture in wanted.items()}


def refuse_missing_pictures(timeline: Timeline, pictures: Iterable[int]) -> None:
    """Refuse a frame that starts below full noise and has nothing to start from."""
    missing = timeline.needs_picture(list(pictures))
    if missing:
        one = len(missing) == 1
        raise RequestError(
            f"{frame_names(missing).capitalize()} start{'s' if one else ''} below full noise and "
            f"{'has' if one else 'have'} no picture: drop one on "
            f"{'its slot' if one else 'their slots'}, or paint "
            f"{'its' if one else 'their'} first row at 100 %."
        )
