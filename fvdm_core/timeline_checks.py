"""The checks of a timeline's fields: whatever comes in, a clean value or a ValueError goes out."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

import numpy as np

from fvdm_core.limits import (
    MAX_CELLS,
    MAX_FRAMES,
    MAX_LEVEL,
    MAX_ROWS,
    checked_integer,
    frame_name,
    shown,
)

SOURCES = ("noise", "keyframe", "hold")
PRIORS = ("independent", "mixed", "progressive", "shuffled")
MAX_PRIOR_ALPHA = 100.0


def checked_levels(levels: Any) -> np.ndarray:
    """Return a read-only int64 copy (M+1, F) of a matrix of levels, or refuse it."""
    if hasattr(levels, "__array__") and np.asarray(levels).dtype != object:
        matrix = _integer_array(np.asarray(levels))
    else:
        matrix = _integer_rows(levels.tolist() if isinstance(levels, np.ndarray) else levels)
    wrong = (matrix < 0) | (matrix > MAX_LEVEL)
    if wrong.any():
        row, frame = (int(index[0]) for index in np.nonzero(wrong))
        raise _wrong_level(row, frame, matrix[row, frame])
    levels = matrix.astype(np.int64)
    levels.setflags(write=False)
    return levels


def _wrong_level(row: int, frame: int, value: Any) -> ValueError:
    return ValueError(
        f"levels: row {row}, {frame_name(frame)} is {shown(value)}; "
        f"a level is a whole number from 0 (clean) to {MAX_LEVEL} (noise)"
    )


def _integer_array(array: np.ndarray) -> np.ndarray:
    if array.ndim != 2:
        raise ValueError(
            f"levels must have two dimensions, rows and frames (M+1, F), got shape {array.shape}"
        )
    _check_shape(array.shape[0], array.shape[1])
    if array.dtype.kind not in "iu":
        wrong = ~np.isfinite(array) | (array != np.rint(array)) if array.dtype.kind == "f" else None
        if wrong is not None and wrong.any():
            row, frame = (int(index[0]) for index in np.nonzero(wrong))
            raise _wrong_level(row, frame, array[row, frame])
        raise ValueError(f"levels must be integers, got {array.dtype}; round and convert them")
    return array


def _integer_rows(rows: Any) -> np.ndarray:
    """Turn lists of ints into an array, looking at every cell's type before anything is built."""
    if not isinstance(rows, Sequence) or isinstance(rows, str | bytes):
        raise ValueError(f"levels must be a list of rows, got {shown(rows)}")
    for number, row in enumerate(rows):
        if not isinstance(row, Sequence) or isinstance(row, str | bytes):
            raise ValueError(f"levels: row {number} must be a list of levels, got {shown(row)}")
        if number == 0:
            _check_shape(len(rows), len(row))
        if len(row) != len(rows[0]):
            raise ValueError(
                f"levels: row {number} has {len(row)} frames, but row 0 has {len(rows[0])}; "
                "all rows must be equally long"
            )
        if set(map(type, row)) != {int}:
            for frame, level in enumerate(row):
                if not isinstance(level, int | np.integer) or isinstance(level, bool):
                    raise _wrong_level(number, frame, level)
        if max(row) > MAX_LEVEL or min(row) < 0:
            frame = next(f for f, level in enumerate(row) if not 0 <= level <= MAX_LEVEL)
            raise _wrong_level(number, frame, row[frame])
    _check_shape(len(rows), len(rows[0]) if rows else 0)
    return np.array(rows, dtype=np.int64)


def _check_shape(rows: int, frames: int) -> None:
    if not 2 <= rows <= MAX_ROWS:
        raise ValueError(
            f"levels has {rows} rows, allowed are 2 to {MAX_ROWS}: one more than there are steps"
        )
    if not 1 <= frames <= MAX_FRAMES:
        raise ValueError(f"levels has {frames} frames, allowed are 1 to {MAX_FRAMES}")
    if rows * frames > MAX_CELLS:
        raise ValueError(
            f"levels has {rows} rows of {frames} frames, {rows * frames} cells; "
            f"at most {MAX_CELLS} are allowed: use fewer steps or fewer frames"
        )


def _one_of(name: str, value: Any, allowed: tuple[str, ...]) -> str:
    if not isinstance(value, str) or value not in allowed:
        raise ValueError(f"{name} is {shown(value)}; allowed are {', '.join(allowed)}")
    return value


def checked_sources(sources: Any, frames: int) -> tuple[str, ...] | None:
    """Return one known source per frame, or None, or refuse it."""
    if sources is None:
        return None
    if not isinstance(sources, Sequence) or isinstance(sources, str) or len(sources) != frames:
        raise ValueError(
            f"sources must name one source for each of the {frames} frames, got {shown(sources)}"
        )
    return tuple(
        _one_of(f"sources: {frame_name(frame)}", source, SOURCES)
        for frame, source in enumerate(sources)
    )


def checked_alpha(alpha: Any) -> float:
    """Return the α of a mixed prior, or refuse it."""
    real = isinstance(alpha, int | float | np.number) and not isinstance(alpha, bool)
    if not real or not 0 <= alpha <= MAX_PRIOR_ALPHA:
        raise ValueError(
            f"prior_alpha is {shown(alpha)}; allowed is a number from 0 to {MAX_PRIOR_ALPHA:g}"
        )
    return float(alpha)


def checked_prior(prior: Any) -> str:
    """Return a prior's name, or refuse it."""
    return _one_of("prior", prior, PRIORS)


def checked_seen(seen: Any, levels: np.ndarray) -> Mapping[int, int]:
    """Return frames that never move with the levels they are seen at, read-only, or refuse."""
    if not isinstance(seen, Mapping):
        raise ValueError(f"seen must map frames to levels, got {shown(seen)}")
    checked: dict[int, int] = {}
    for frame, level in seen.items():
        frame = checked_integer("seen: frame", frame, 0, levels.shape[1] - 1)
        level = checked_integer(f"seen: {frame_name(frame)}", level, 0, MAX_LEVEL)
        moves = np.flatnonzero(levels[1:, frame] != levels[:-1, frame])
        if moves.size:
            raise ValueError(
                f"seen: {frame_name(frame)} moves in step {moves[0]}; only a frame that never "
                "moves can be seen at another level"
            )
        checked[frame] = level
    return MappingProxyType(dict(sorted(checked.items())))
