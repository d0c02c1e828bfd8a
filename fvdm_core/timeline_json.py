"""The JSON of a timeline: written short, and read with every bound checked before building.

    {"version": 1,
     "levels": [[0, 1000, 1000, 1000], [[0, 4]]],            rows: levels, or [level, count] pairs
     "windows": [[{"frames": [0, 1], "updates": [1]}], 29],  steps; 29: the same for 29 more steps
     "sources": ["keyframe", "noise", ...],
     "prior": "mixed", "prior_alpha": 1.0, "seen": {"0": 40},
     "title": "Slow in, slow out", "about": "What it shows."}   for people; a timeline has neither

All but the first two may be left out.
"""

import json
import re
from collections.abc import Mapping
from typing import Any

import numpy as np

from fvdm_core.limits import MAX_CELLS, MAX_FRAMES, MAX_JSON_BYTES, MAX_ROWS, shown
from fvdm_core.windows import Step, Window

VERSION = 1
FIELDS = ("version", "levels", "windows", "sources", "prior", "prior_alpha", "seen")
LABELS = {"title": 60, "about": 400}  # characters
MAX_DEPTH = 8  # a window's list of frames is 5 deep
# one that does not end goes to the end, and nothing is tried twice: hostile text takes linear time
_STRING = re.compile(r'"(?:[^"\\]++|\\.)*+"?', re.DOTALL)


def encode(
    levels: np.ndarray,
    windows: tuple[Step, ...] | None,
    sources: tuple[str, ...] | None,
    prior: str,
    prior_alpha: float,
    seen: Mapping[int, int],
) -> str:
    """Write a timeline's fields as JSON; those that have their default are left out.

    Raises ValueError where the result would be too large to be read again.
    """
    fields: dict[str, Any] = {"version": VERSION, "levels": [_coded(row) for row in levels]}
    if windows is not None:
        fields["windows"] = _coded_steps(windows)
    if sources is not None:
        fields["sources"] = sources
    if prior != "independent" or prior_alpha != 1.0:
        fields |= {"prior": prior, "prior_alpha": prior_alpha}
    if seen:
        fields["seen"] = dict(seen)
    text = json.dumps(fields, separators=(",", ":"))
    if len(text) > MAX_JSON_BYTES:
        raise ValueError(
            f"this timeline takes {len(text)} bytes as JSON, at most {MAX_JSON_BYTES} can be read "
            "again; use fewer steps or fewer frames"
        )
    return text


def decode(text: str | bytes) -> dict[str, Any]:
    """Read JSON into the arguments of `Timeline`, which checks the values themselves.

    Raises ValueError naming what is wrong: too large, too deep, not JSON, a key given twice,
    NaN, an unknown field or version, too many cells, a run or window that is malformed.
    """
    document = _document(text)
    _take_labels(document)
    if unknown := [name for name in document if name not in FIELDS]:
        raise ValueError(
            f"unknown field {shown(unknown[0])}; allowed are {', '.join((*FIELDS, *LABELS))}"
        )
    for name in ("version", "levels"):
        if name not in document:
            raise ValueError(f"the field {name!r} is missing; a timeline needs version and levels")
    version = document.pop("version")
    if version != VERSION or type(version) is not int:
        raise ValueError(
            f"version is {shown(version)}, this program reads version {VERSION}; "
            "update it, or export the timeline again"
        )
    document["levels"] = _expanded(document["levels"])
    if document.get("windows") is not None:
        document["windows"] = _expanded_steps(document["windows"], len(document["levels"]) - 1)
    if "seen" in document:
        document["seen"] = _frame_keys(document["seen"])
    return document


def labels(text: str | bytes) -> tuple[str, str]:
    """Return the title and the explanation that a file gives its timeline, "" where it has none.

    Raises ValueError as `decode` does, for these two fields.
    """
    return _take_labels(_document(text))


def _document(text: str | bytes) -> dict[str, Any]:
    document = _parsed(_as_text(text))
    if not isinstance(document, dict):
        raise ValueError(f"a timeline must be a JSON object, got {shown(document)}")
    return document


def _take_labels(document: dict[str, Any]) -> tuple[str, str]:
    """Take title and about out of a document."""
    taken = []
    for name, most in LABELS.items():
        label = document.pop(name, "")
        if not isinstance(label, str) or len(label) > most:
            raise ValueError(
                f"{name} must be text of at most {most} characters, got {shown(label)}"
            )
        taken.append(label)
    return taken[0], taken[1]


def _coded(row: np.ndarray) -> list[Any]:
    """Write a row (F,) as [level, count] pairs where that is shorter, else as it is."""
    starts = np.flatnonzero(np.diff(row, prepend=-1))
    if 2 * len(starts) >= len(row):
        return row.tolist()
    counts = np.diff(starts, append=len(row))
    return np.stack([row[starts], counts], axis=1).tolist()


def _coded_steps(windows: tuple[Step, ...]) -> list[Any]:
    """Write each step's windows, and a number for the steps after it that have the same."""
    coded: list[Any] = []
    before: Step | None = None
    for step in windows:
        if before is not None and (step is before or step == before):
            if isinstance(coded[-1], int):
                coded[-1] += 1
            else:
                coded.append(1)
        else:
            coded.append([{"frames": w.frames, "updates": w.updates} for w in step])
        before = step
    return coded


def _as_text(text: str | bytes) -> str:
    if not isinstance(text, str | bytes | bytearray):
        raise ValueError(f"a timeline must be JSON text, got {shown(text)}")
    size = len(text)
    if isinstance(text, str) and size <= MAX_JSON_BYTES:  # beyond that it is not worth encoding
        size = len(text.encode("utf-8", "replace"))
    if size > MAX_JSON_BYTES:
        raise ValueError(f"this timeline has {size} bytes, at most {MAX_JSON_BYTES} are allowed")
    if isinstance(text, str):
        return text
    try:
        return bytes(text).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"not a timeline: byte {error.start} is not UTF-8 text") from None


def _parsed(text: str) -> Any:
    # Depth and long digits are looked at first: the parser recurses, and long integers are slow.
    bare = _STRING.sub('""', text)  # what a string says is neither
    codes = np.frombuffer(bare.encode("utf-32-le", "replace"), dtype=np.uint32)
    opened = np.isin(codes, [ord("["), ord("{")]).astype(np.int64)
    depth = int((opened - np.isin(codes, [ord("]"), ord("}")])).cumsum().max(initial=0))
    if depth > MAX_DEPTH:
        raise ValueError(f"this JSON is {depth} deep, a timeline is at most {MAX_DEPTH} deep")
    if digits := re.search(r"\d{40}", bare):
        raise ValueError(f"this JSON has a number of 40 or more digits: {digits[0][:12]}…")
    try:
        return json.loads(text, object_pairs_hook=_unique_keys, parse_constant=_no_constant)
    except json.JSONDecodeError as error:
        raise ValueError(
            f"not JSON: {error.msg} at line {error.lineno}, column {error.colno}"
        ) from None
    except RecursionError:
        raise ValueError(f"this JSON is too deep, a timeline is at most {MAX_DEPTH} deep") from None


def _unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    document: dict[str, Any] = {}
    for key, value in pairs:
        if key in document:
            raise ValueError(f"the key {shown(key)} is given twice; keep one")
        document[key] = value
    return document


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is not a number that a timeline can hold; use whole numbers")


def _expanded(rows: Any) -> list[list[Any]]:
    """Return rows of levels, runs written out, within the caps."""
    if not isinstance(rows, list):
        raise ValueError(f"levels must be a list of rows, got {shown(rows)}")
    if not 2 <= len(rows) <= MAX_ROWS:
        raise ValueError(
            f"levels has {len(rows)} rows, allowed are 2 to {MAX_ROWS}: one more than steps"
        )
    expanded: list[list[Any]] = []
    cells = 0
    for number, row in enumerate(rows):
        expanded.append(_expanded_row(row, number))
        cells += len(expanded[-1])
        if cells > MAX_CELLS:
            raise ValueError(
                f"levels: row {number} brings the cells to {cells}, at most {MAX_CELLS} are "
                "allowed; use fewer steps or fewer frames"
            )
    return expanded


def _expanded_row(row: Any, number: int) -> list[Any]:
    if not isinstance(row, list) or not row:
        raise ValueError(f"levels: row {number} must be a list of levels, got {shown(row)}")
    if not isinstance(row[0], list):
        _check_frames(len(row), number)
        return row
    frames = 0
    for run in row:
        if not isinstance(run, list) or len(run) != 2 or type(run[1]) is not int or run[1] < 1:
            raise ValueError(
                f"levels: row {number} has the run {shown(run)}; a run is [level, count] "
                "with a count of at least 1, and a row is all runs or all levels"
            )
        frames += run[1]
        _check_frames(frames, number)
    return [level for level, count in row for _ in range(count)]


def _check_frames(frames: int, number: int) -> None:
    if frames > MAX_FRAMES:
        raise ValueError(f"levels: row {number} has {shown(frames)} frames, at most {MAX_FRAMES}")


def _expanded_steps(steps: Any, num_steps: int) -> tuple[Step, ...]:
    """Return the windows of every step; steps that are the same share one tuple."""
    if not isinstance(steps, list):
        raise ValueError(f"windows must be a list of steps, got {shown(steps)}")
    expanded: list[Step] = []
    for step in steps:
        if type(step) is int:
            if not expanded or not 1 <= step <= num_steps - len(expanded):
                raise ValueError(
                    f"windows: {shown(step)} repeats at step {len(expanded)}; a number repeats "
                    f"the step before it, and there are {num_steps} steps in all"
                )
            expanded.extend([expanded[-1]] * step)
        else:
            expanded.append(_windows_of(step, len(expanded)))
    return tuple(expanded)


def _windows_of(step: Any, number: int) -> Step:
    if not isinstance(step, list):
        raise ValueError(f"windows: step {number} must be a list of windows, got {shown(step)}")
    windows: list[Window] = []
    for window in step:
        if not isinstance(window, dict) or set(window) != {"frames", "updates"}:
            raise ValueError(
                f"windows: step {number} has the window {shown(window)}; "
                'a window is {"frames": [...], "updates": [...]}'
            )
        try:
            windows.append(Window(window["frames"], window["updates"]))
        except ValueError as error:
            raise ValueError(f"windows: step {number}: {error}") from None
    return tuple(windows)


def _frame_keys(seen: Any) -> dict[int, Any]:
    if not isinstance(seen, dict):
        raise ValueError(f"seen must map frames to levels, got {shown(seen)}")
    for key in seen:
        if not re.fullmatch(r"0|[1-9][0-9]{0,3}", key):
            raise ValueError(f'seen: {shown(key)} is not a frame index such as "0" or "15"')
    return {int(key): level for key, level in seen.items()}
