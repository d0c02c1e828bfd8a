"""The matrices behind the presets: functions from a size and parameters to levels and windows.

In the comments i = 1 … N counts frames and t runs from 1 to 0; τ is the level as a share of T.
Frame indices in parameters and code count from 0.
"""

import math
from collections.abc import Sequence
from itertools import count, pairwise
from typing import NamedTuple

import numpy as np

from fvdm_core.limits import MAX_LEVEL, check_size
from fvdm_core.parameters import Size
from fvdm_core.windows import Step, Window, overlapping


class PresetResult(NamedTuple):
    """The arguments of a Timeline: levels (M+1, N), windows per step, a source per frame."""

    levels: np.ndarray
    windows: tuple[Step, ...] | None = None
    sources: tuple[str, ...] | None = None


def _levels(tau: np.ndarray) -> np.ndarray:
    """Round τ, clipped to [0, 1], to integer levels: same shape."""
    return np.rint(MAX_LEVEL * np.clip(tau, 0, 1)).astype(np.int64)


def _time(steps: int) -> np.ndarray:
    """t_m = 1 − m/S, shape (S+1, 1)."""
    return 1 - np.arange(steps + 1)[:, None] / steps


def _kept(size: Size, *kept: int, sources: tuple[str, ...] | None = None) -> PresetResult:
    """τ = 0 for some frames, else t; in stages where the model's window would not see them."""
    stages = _from_coarse_to_fine(size, kept) if kept else []
    if stages:
        return _staged(size, kept, stages, sources)
    tau = np.repeat(_time(size.steps), size.frames, axis=1)  # (S+1, N)
    tau[:, list(kept)] = 0
    return PresetResult(_levels(tau), None, sources)


def _staged(
    size: Size, kept: Sequence[int], stages: list[Step], sources: tuple[str, ...] | None = None
) -> PresetResult:
    """S rows for each stage, in which what its windows update goes down as t; kept frames are 0."""
    rows = size.steps * len(stages)
    check_size(size.frames, rows, f"{size.frames} frames in {len(stages)} stages")
    tau = np.ones((rows + 1, size.frames))
    tau[:, list(kept)] = 0
    windows: list[Step] = []
    for number, stage in enumerate(stages):
        made = [frame for window in stage for frame in window.updates]
        first, last = number * size.steps, (number + 1) * size.steps
        tau[first : last + 1, made] = _time(size.steps)
        tau[last:, made] = 0
        windows += [stage] * size.steps
    return PresetResult(_levels(tau), tuple(windows), sources)


def _from_coarse_to_fine(size: Size, kept: Sequence[int]) -> list[Step]:
    """The stages in which every frame is made in sight of a kept one, or of one made before.

    First frames far apart, with the kept ones in one window; then those between them, until there
    are none. Empty where the usual windows show a kept frame to every other, or where more frames
    are kept than the model sees, or where it sees two, between which there is nothing.
    """
    if size.seen < 3:
        return []
    every_window_sees_one = all(
        set(kept).intersection(window.frames)
        for window in overlapping(range(size.frames), size.seen)
    )
    if every_window_sees_one or len({0, *kept, size.frames - 1}) > size.seen:
        return []
    apart = next(k for k in count(1) if len(_anchors(size, k, kept)) <= size.seen)
    known = _anchors(size, apart, kept)
    made = tuple(sorted(set(known).difference(kept)))
    stages: list[Step] = [(Window(tuple(known), made),)] if made else []
    while (gap := max(b - a for a, b in pairwise(known))) >= size.seen:
        apart = -(-gap // (size.seen - 1))
        lines = [(*range(a, b, apart), b) for a, b in pairwise(known)]
        stages.append(tuple(Window(line, line[1:-1]) for line in lines if len(line) > 2))
        known = sorted({frame for line in lines for frame in line})
    between = _gap_windows(known, size)
    return [*stages, between] if between else stages


def _anchors(size: Size, apart: int, kept: Sequence[int]) -> list[int]:
    """Every `apart`-th frame, the last one and the kept ones."""
    return sorted({*range(0, size.frames, apart), size.frames - 1, *kept})


def standard(size: Size) -> PresetResult:
    """τ = t."""
    return _kept(size)


def late_start(size: Size, start: float, keep: tuple[int, ...]) -> PresetResult:
    """τ = start·t; every frame that is not kept begins as a copy of the nearest picture."""
    tau = np.repeat(start * _time(size.steps), size.frames, axis=1)
    tau[:, list(keep)] = 0
    return PresetResult(_levels(tau), None, ("hold",) * size.frames)


def staggered(size: Size, delay: float, keep: tuple[int, ...]) -> PresetResult:
    """τ = clip(1 + d·δ − (1 + d)·m/S): a frame goes down in S/(1 + d) steps, after d·δ times that.

    δ is 0 for the frames that go first and 1 for those that go last: the further a frame is from
    the middle of the clip, or from the nearest kept one, the later. It is a pyramid (Diffusion
    Forcing) of as many rows, and model calls, as the standard schedule.
    """
    frames = np.arange(size.frames)
    free = np.setdiff1d(frames, keep)
    tau = np.zeros((size.steps + 1, size.frames))
    if free.size:
        first = keep or ((size.frames - 1) / 2,)
        far = np.abs(free[:, None] - first).min(axis=1)  # (free frames,)
        late = (far - far.min()) / max(1, np.ptp(far))
        delay = delay if late.any() else 0.0  # all at once need no time to wait in
        tau[:, free] = 1 + delay * late - (1 + delay) * (1 - _time(size.steps))
    return PresetResult(_levels(tau))


def restart(size: Size, times: int, low: float, high: float, keep: tuple[int, ...]) -> PresetResult:
    """Down to `low`, up to `high` and down again, `times` times, then on to 0; S rows in all.

    Restart sampling (Xu et al. 2023, algorithm 1) of an even slope: each way up is one row, the
    others are shared out among the ways down by their lengths. Unlike RePaint's it goes back only
    there where what a clip shows is decided, and takes no more model calls than the standard one.
    """
    if low >= high:
        raise ValueError(
            f"restart goes back from {low:g} (low) up to {high:g} (high), which is not above it; "
            "raise high or lower low"
        )
    ways = [(1.0, low), *[(high, low)] * (times - 1), (high, 0.0)] if times else [(1.0, 0.0)]
    spare = size.steps - times - len(ways)  # each way down takes one row and its share of these
    ends = np.cumsum([0, *(start - end for start, end in ways)])
    rows = 1 + np.diff(np.rint(spare * ends / ends[-1]).astype(int))
    path = [np.linspace(*way, count + 1) for way, count in zip(ways, rows, strict=True)]
    tau = np.repeat(np.concatenate(path)[:, None], size.frames, axis=1)
    tau[:, list(keep)] = 0
    return PresetResult(_levels(tau))


def image_to_video(size: Size) -> PresetResult:
    """τ = 0 for frame 1, else t."""
    return _kept(size, 0)


def interpolation(size: Size) -> PresetResult:
    """τ = 0 for frames 1 and N, else t."""
    return _kept(size, 0, size.frames - 1)


def loop(size: Size) -> PresetResult:
    """An interpolation whose last frame is a copy of the first."""
    sources = ("keyframe", *["noise"] * (size.frames - 2), "hold")
    return _kept(size, 0, size.frames - 1, sources=sources)


def any_frame(size: Size, keep: tuple[int, ...]) -> PresetResult:
    """τ = 0 for the frames in `keep`, else t."""
    return _kept(size, *keep)


def next_frame(size: Size) -> PresetResult:
    """τ = t for frame N, else 0."""
    return _kept(size, *range(size.frames - 1))


def transition(size: Size, head: int, tail: int) -> PresetResult:
    """τ = 0 for the first `head` and the last `tail` frames, else t."""
    if head + tail >= size.frames:
        raise ValueError(
            f"transition: head {head} and tail {tail} leave none of {size.frames} frames between; "
            "make them smaller or use more frames"
        )
    return _kept(size, *range(head), *range(size.frames - tail, size.frames))


def ramp(size: Size, rate: float) -> PresetResult:
    """τ = min(rate·i·t, t), FVDM §2.4: frame 1 is softened, the others start from a copy of it."""
    t = _time(size.steps)  # (S+1, 1)
    i = np.arange(1, size.frames + 1)  # (N,)
    sources = ("keyframe", *["hold"] * (size.frames - 1))
    return PresetResult(_levels(np.minimum(rate * i * t, t)), None, sources)


def soft_keyframes(size: Size, softness: dict[int, float]) -> PresetResult:
    """τ = μ·t for a keyframe, else t (Pusa's noise multipliers)."""
    mu = np.ones(size.frames)
    mu[list(softness)] = list(softness.values())
    return PresetResult(_levels(mu * _time(size.steps)))


def capped_keyframes(size: Size, strength: dict[int, float]) -> PresetResult:
    """τ = min(t, 1 − strength) for a keyframe, else t (LTX conditioning)."""
    cap = np.ones(size.frames)
    cap[list(strength)] = 1 - np.array(list(strength.values()))
    return PresetResult(_levels(np.minimum(_time(size.steps), cap)))


def edit(size: Size, strength: dict[int, float]) -> PresetResult:
    """τ = min(t, k) (SDEdit, per frame); a frame without a k is kept."""
    k = np.zeros(size.frames)
    k[list(strength)] = list(strength.values())
    return PresetResult(_levels(np.minimum(_time(size.steps), k)))


def _lagging(size: Size, place: np.ndarray, lag: float) -> PresetResult:
    """τ = clip(1 + (place·u − m)/S): a frame at place p begins p·u steps late. place: (N,)."""
    # Rounded first: 3·0.1 is a hair above 0.3, which would cost a row that does nothing.
    rows = size.steps + math.ceil(round(float(place.max()) * lag, 9))
    check_size(size.frames, rows, f"{size.frames} frames that lag by {lag:g} steps")
    m = np.arange(rows + 1)[:, None]  # (M+1, 1)
    return PresetResult(_levels(1 + (place * lag - m) / size.steps))


def pyramid(size: Size, lag: float) -> PresetResult:
    """Each frame `lag` steps behind the one before (Diffusion Forcing)."""
    return _lagging(size, np.arange(size.frames), lag)


def trapezoid(size: Size, lag: float) -> PresetResult:
    """The pyramid from both ends: min(i, N+1−i) for i."""
    i = np.arange(size.frames)
    return _lagging(size, np.minimum(i, size.frames - 1 - i), lag)


def autoregressive(size: Size) -> PresetResult:
    """The pyramid with u = S: one frame after another."""
    return _lagging(size, np.arange(size.frames), size.steps)


def blocks(size: Size, block: int, lag: float) -> PresetResult:
    """The pyramid on blocks of frames (SkyReels-V2, MAGI-1)."""
    return _lagging(size, np.arange(size.frames) // block, lag)


def diagonal(size: Size) -> PresetResult:
    """The pyramid with u = S/F, in a window of F frames that slides with the frames that move.

    Where u is not a whole number of steps, F + 1 or more frames move in some steps: those steps
    take two windows.
    """
    levels = pyramid(size, size.steps / size.window).levels
    if size.frames <= size.window:
        return PresetResult(levels)
    windows: list[Step] = []
    for moving in levels[1:] != levels[:-1]:
        frames = np.flatnonzero(moving)
        first, last = (frames[0], frames[-1]) if frames.size else (0, 0)
        span = max(last + 1 - first, size.window)
        first = min(first, size.frames - span)
        step = overlapping(range(first, first + span), size.window)
        windows.append(windows[-1] if windows and windows[-1] == step else step)
    return PresetResult(levels, tuple(windows))


def extend(size: Size, context: int, given: int) -> PresetResult:
    """Window after window: the first `context` frames of each are done, the others go down.

    FVDM's long video: windows of F frames hop F − context. `given` frames are there at the start;
    where they are more than the context, the first window begins with their last.
    """
    seen = size.seen  # F
    hop = seen - context
    last = size.frames - seen
    begin = min(max(0, given - context), last)
    starts = [min(start, last) for start in range(begin, last + hop, hop)]
    rows = size.steps * len(starts)
    check_size(size.frames, rows, f"extend in {len(starts)} windows")
    tau = np.ones((rows + 1, size.frames))
    tau[:, :given] = 0
    windows: list[Step] = []
    done = given
    for number, start in enumerate(starts):
        first, end = number * size.steps, (number + 1) * size.steps
        tau[first : end + 1, done : start + seen] = _time(size.steps)
        tau[end:, done : start + seen] = 0
        window = Window(tuple(range(start, start + seen)), tuple(range(done, start + seen)))
        windows += [(window,)] * size.steps
        done = start + seen
    return PresetResult(_levels(tau), tuple(windows) if last else None)


def hierarchical(size: Size, every: int) -> PresetResult:
    """First every k-th frame and the last, as one clip; then all gaps, their ends at 0.

    2·S rows. The gaps of a row are spread over as few windows as hold them whole.
    """
    anchors = _anchors(size, every, ())
    return _staged(size, (), [overlapping(anchors, size.window), _gap_windows(anchors, size)])


def _gap_windows(anchors: list[int], size: Size) -> Step:
    """Cover the gaps between anchors, each whole, by windows as long as the model sees."""
    seen = size.seen
    windows: list[Window] = []
    left = 0
    while left < len(anchors) - 1:
        fits = [right for right in anchors[left + 1 :] if right - anchors[left] < seen]
        right = anchors.index(fits[-1])
        inner = set(range(anchors[left], anchors[right])).difference(anchors)
        start = min(anchors[left], size.frames - seen)
        if inner:
            windows.append(Window(tuple(range(start, start + seen)), tuple(sorted(inner))))
        left = right
    return tuple(windows)


def resample(size: Size, jump: int, repeats: int, keep: tuple[int, ...]) -> PresetResult:
    """After every `jump` steps up by `jump` and down again, `repeats` times (RePaint).

    As in RePaint, not back to pure noise: nothing of the frame would be left.
    """
    segments = size.steps // jump
    rows = size.steps + max(0, segments - 1) * repeats * (jump + 1)
    check_size(size.frames, rows, "resample")
    positions: list[int] = list(range(jump + 1))
    for segment in range(1, segments):
        down = range(segment * jump, (segment + 1) * jump + 1)
        positions += [*down[1:], *list(down) * repeats]
    positions += range(segments * jump + 1, size.steps + 1)
    tau = np.repeat(_time(size.steps)[positions], size.frames, axis=1)
    tau[:, list(keep)] = 0
    return PresetResult(_levels(tau))
