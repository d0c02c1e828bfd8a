"""What a timeline does, and what to mind about it, in plain words, from its matrix alone.

Frames are counted from 1 here, as on the page.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from fvdm_core.limits import MAX_LEVEL, frame_names

STEEP = MAX_LEVEL // 2  # a fall by more than this in one step is not denoised but guessed


@dataclass(frozen=True)
class _Frames:
    """The frames of a timeline (from 0), sorted by what happens to them."""

    kept: np.ndarray  # clean throughout
    still: np.ndarray  # at one level above 0 throughout
    made: np.ndarray  # from pure noise to clean
    remade: np.ndarray  # from less than pure noise to clean
    noisy: np.ndarray  # moving, and above 0 at the end

    @classmethod
    def of(cls, levels: np.ndarray) -> "_Frames":
        first, last = levels[0], levels[-1]
        moves = (levels != first).any(axis=0)
        return cls(
            kept=np.flatnonzero(~moves & (first == 0)),
            still=np.flatnonzero(~moves & (first > 0)),
            made=np.flatnonzero(moves & (last == 0) & (first == MAX_LEVEL)),
            remade=np.flatnonzero(moves & (last == 0) & (first < MAX_LEVEL)),
            noisy=np.flatnonzero(moves & (last > 0)),
        )


def describe(
    levels: np.ndarray,
    sources: Sequence[str] | None,
    window_size: int,
    seen: Mapping[int, int] | None = None,
) -> str:
    """Say what a timeline does. levels: (M+1, F); window_size: frames the model sees at once.

    seen: the levels that the model is told of frames in place of their own.
    """
    frames = _Frames.of(levels)
    total = levels.shape[1]
    if frames.kept.size == total:
        return f"Nothing moves: {_all(total)} {_verb(total, 'stays', 'stay')} as given."
    sentences = [
        _softened(frames, levels, sources),
        _still(frames.still, levels),
        _generated(frames, levels, sources),
        _seen(seen or {}),
        _noisy(frames.noisy, levels),
        _ups(levels),
    ]
    if window_size < total:
        sentences.append(f"The model sees {window_size} of {total} frames at a time.")
    return " ".join(sentence for sentence in sentences if sentence)


def warnings(
    levels: np.ndarray,
    sources: Sequence[str] | None,
    prior: str,
    without_picture: Sequence[int],
    unused: Sequence[int] = (),
    out_of_sight: Sequence[int] | np.ndarray = (),
    trained_with: str = "independent",
) -> list[str]:
    """Say what a person should know before running, each with what to do. levels: (M+1, F).

    unused: frames whose picture nothing starts from. out_of_sight: frames that no window shows a
    clean frame to, on the whole way down. trained_with: the prior of the model's own noise.
    """
    said: list[str] = []
    if not (levels[1:] < levels[:-1]).any():
        said.append("Nothing is denoised: no frame goes down. Paint some frames from noise down.")
    if len(without_picture):
        said.append(_missing(without_picture, levels, sources))
    if len(unused):
        picture, starts, column = (
            ("picture", "is not used, as it starts", "its column")
            if len(unused) == 1
            else ("pictures", "are not used, as they start", "their columns")
        )
        said.append(
            f"The {picture} on {_named(unused)} {starts} from noise. Freeze {column}, or paint the "
            "first row below full noise."
        )
    held = [f for f, source in enumerate(sources or ()) if source == "hold"]
    if held and (levels[0, held] == MAX_LEVEL).all():  # some may, as in a ramp
        are, start = _verb(len(held), "is", "are"), _verb(len(held), "starts", "start")
        said.append(
            f"{_named(held).capitalize()} {are} to start from the nearest picture, but {start} "
            "from noise, which hides it. Paint the first row below full noise."
        )
    if len(out_of_sight) and not levels[0].all():
        said.append(
            f"{_named(out_of_sight).capitalize()} {_verb(len(out_of_sight), 'is', 'are')} made out "
            "of sight of every kept frame, as the model sees only some frames at a time. Choose "
            "Continue or Hierarchical, or use fewer frames."
        )
    ends = np.flatnonzero(levels[-1])
    if ends.size:
        said.append(
            f"{_named(ends).capitalize()} {_verb(ends.size, 'ends', 'end')} at "
            f"{_percent(levels[-1, ends])} noise and will look noisy. Paint the last row down to 0."
        )
    said += [*_steep(levels), *_lost(levels)]
    if prior != trained_with:
        said.append(
            f"The model was trained with {trained_with} noise, not with {prior} noise: "
            f"expect lower quality. Choose {trained_with} noise for the best."
        )
    return said


def _generated(frames: _Frames, levels: np.ndarray, sources: Sequence[str] | None) -> str:
    """ "Frames 1 and 16 are kept; 14 frames are generated between them." and its relatives."""
    kept, made = frames.kept, frames.made
    still = frames.still[levels[0, frames.still] < MAX_LEVEL]  # at full noise nothing is known
    known = np.sort(np.concatenate([kept, frames.remade, still]))
    start = ""
    if kept.size:
        start = f"{_named(kept).capitalize()} {_verb(kept.size, 'is', 'are')} kept"
        if held := [frame for frame in kept if sources and sources[frame] == "hold"]:
            start += f", {_named(held)} as {_copies(len(held))} of the nearest picture"
    if not made.size:
        return start and f"{start}."
    count = _named(made) if made.size == 1 else f"{made.size} frames"
    verb = f"{_verb(made.size, 'is', 'are')} generated"
    what = f"{count} {verb} {_from_where(known, made)}{_order(made, levels)}."
    return f"{start}; {what}" if start else what.capitalize()


def _seen(seen: Mapping[int, int]) -> str:
    if not seen:
        return ""
    frames, level = np.array(sorted(seen)), _percent(np.array(list(seen.values())))
    verb = _verb(frames.size, "is", "are")
    return f"{_named(frames).capitalize()} {verb} shown to the model as if at {level} noise."


def _from_where(known: np.ndarray, made: np.ndarray) -> str:
    them = "it" if known.size == 1 else "them"
    if not known.size:
        return "from noise"
    if known.max() < made.min():
        return f"from {them}"
    if known.min() > made.max():
        return f"before {them}"
    inside = (known[0] < made.min()) & (made.max() < known[-1])
    gaps = np.unique(np.searchsorted(known, made)).size
    return f"between {them}" if inside and gaps == 1 else f"around {them}"


def _order(made: np.ndarray, levels: np.ndarray) -> str:
    """Say in which order frames that start as noise become clean, where they do not together."""
    column = levels[:, made]  # (M+1, made)
    rows = len(column) - 1
    begin = (column != column[0]).argmax(axis=0) - 1  # the last row that is still as at the start
    finish = rows + 1 - (column[::-1] != 0).argmax(axis=0)  # the first row that is clean for good
    times = np.unique(finish)
    if times.size == 1:
        return ""
    groups = [made[finish == time] for time in times]
    shape = _direction(groups)
    apart = all(begin[finish == late].min() >= early for early, late in pairwise(times))
    if shape:
        pace = "one after another" if apart else "overlapping"
        size = "" if times.size == made.size else f" in {times.size} groups"
        return f", {shape}{size}, {pace}"
    if times.size == 2:
        return f", first {_named(groups[0])}, then the other {groups[1].size}"
    return ", each at its own pace"


def _direction(groups: list[np.ndarray]) -> str:
    if all(early.max() < late.min() for early, late in pairwise(groups)):
        return "from left to right"
    if all(early.min() > late.max() for early, late in pairwise(groups)):
        return "from right to left"
    middle = (min(map(np.min, groups)) + max(map(np.max, groups))) / 2
    reach = [np.abs(group - middle) for group in groups]
    if all(early.min() > late.max() for early, late in pairwise(reach)):
        return "from both ends to the middle"
    if all(early.max() < late.min() for early, late in pairwise(reach)):
        return "from the middle to both ends"
    return ""


def _softened(frames: _Frames, levels: np.ndarray, sources: Sequence[str] | None) -> str:
    """Say which frames start from a picture, or a copy of one, with noise on it."""
    held = [frame for frame in frames.remade if sources and sources[frame] == "hold"]
    own = np.setdiff1d(frames.remade, held)
    parts = []
    for group, source in ((own, "picture"), (np.array(held, dtype=int), "copy")):
        if not group.size:
            continue
        if source == "picture":
            picture = "its picture" if group.size == 1 else "their pictures"
        else:
            picture = f"{_copies(group.size)} of the nearest picture"
        start = _percent(levels[0, group])
        verb = _verb(group.size, "starts", "start")
        parts.append(f"{_named(group)} {verb} from {picture} at {start} noise")
    if not parts:
        return ""
    text = "; ".join(parts)
    return f"{text[0].upper()}{text[1:]} and {_verb(frames.remade.size, 'is', 'are')} made anew."


def _still(still: np.ndarray, levels: np.ndarray) -> str:
    if not still.size:
        return ""
    stay = _verb(still.size, "stays", "stay")
    return f"{_named(still).capitalize()} {stay} at {_percent(levels[0, still])} noise."


def _noisy(noisy: np.ndarray, levels: np.ndarray) -> str:
    if not noisy.size:
        return ""
    end = _verb(noisy.size, "ends", "end")
    return f"{_named(noisy).capitalize()} {end} at {_percent(levels[-1, noisy])} noise."


def _ups(levels: np.ndarray) -> str:
    ups = int((levels[1:] > levels[:-1]).any(axis=1).sum())
    times = {1: "once", 2: "twice"}.get(ups, f"{ups} times")
    return f"On the way noise is added again {times}." if ups else ""


def _missing(frames: Sequence[int], levels: np.ndarray, sources: Sequence[str] | None) -> str:
    held = [frame for frame in frames if sources and sources[frame] == "hold"]
    own = [frame for frame in frames if frame not in set(held)]
    if not own:
        return (
            f"{_named(held).capitalize()} {_verb(len(held), 'is', 'are')} to start from the "
            "nearest picture, but there is none. Put a picture on a frame."
        )
    start, need = ("starts", "needs a picture") if len(own) == 1 else ("start", "need pictures")
    noise = f"at {_percent(levels[0, own])} noise" if levels[0, own].any() else "clean"
    return (
        f"{_named(own).capitalize()} {start} {noise} and {need}. Put a picture on "
        f"{_verb(len(own), 'it', 'each')}, let {_verb(len(own), 'it', 'them')} hold the nearest "
        "one, or paint the first row up to full noise."
    )


def _steep(levels: np.ndarray) -> list[str]:
    falls = levels[:-1] - levels[1:]  # (M, F)
    frames = np.flatnonzero((falls > STEEP).any(axis=0))
    if not frames.size:
        return []
    step = int((falls > STEEP).any(axis=1).argmax())
    return [
        f"{_named(frames).capitalize()} {_verb(frames.size, 'falls', 'fall')} by more than "
        f"{STEEP / MAX_LEVEL:.0%} in one step (step {step + 1}) and will be blurred. "
        "Spread the way down over more steps.".replace("%", " %")
    ]


def _lost(levels: np.ndarray) -> list[str]:
    back = (levels[1:] == MAX_LEVEL) & (levels[:-1] < MAX_LEVEL)  # (M, F)
    frames = np.flatnonzero(back.any(axis=0))
    if not frames.size:
        return []
    return [
        f"{_named(frames).capitalize()} {_verb(frames.size, 'goes', 'go')} back up to full noise: "
        "what was there before is lost. Stay below full noise to keep some of it."
    ]


def _verb(count: int, one: str, many: str) -> str:
    return one if count == 1 else many


def _copies(count: int) -> str:
    return "a copy" if count == 1 else "copies"


def _all(total: int) -> str:
    return "the frame" if total == 1 else f"all {total} frames"


def _percent(levels: np.ndarray) -> str:
    low, high = (_share(int(level)) for level in (np.min(levels), np.max(levels)))
    return f"{low} %" if low == high else f"{low} to {high} %"


def _share(level: int) -> str:
    """In percent; what is not quite clean, or not quite noise, is never called so."""
    percent = round(100 * level / MAX_LEVEL)
    if level and not percent:
        return "<1"
    return ">99" if percent == 100 and level < MAX_LEVEL else str(percent)


def _named(frames: Sequence[int] | np.ndarray) -> str:
    return frame_names(frames, counted=True)
