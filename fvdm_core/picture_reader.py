"""Pictures that strangers send, read in a child process that may take only so much memory and time.

As a module it starts the child and reads from it; as a script it is the child. A small file can ask
much of its decoder (thousands of scans of a JPEG, tags of a TIFF that all name the same megabytes),
and one that is made to crash it ends the child, not the server.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

if __name__ == "__main__":  # isolated: it does not know where the packages are
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np

from fvdm_core.decoder import Child, ChildLimits, confined
from fvdm_core.files import file_name
from fvdm_core.pictures import Fit, Picture, load_moving, read_note

LIMITS = ChildLimits(memory=2 << 30, cpu_seconds=30, wall_seconds=120)
# a picture, (height, width), how it is fitted, and of how many frames it may be
Wanted = tuple[Path, tuple[int, int], Fit, int]
_AT_ONCE = 8  # frames of a child, of which the largest take 2 of its 30 seconds each


def load_images(wanted: Sequence[Wanted], limits: ChildLimits = LIMITS) -> Iterator[Picture]:
    """Each picture as `load_moving` makes it, uint8 (H, W, 3) or (N, H, W, 3).

    Raises `ValueError` at the first that cannot be read, in its words, or with what ended the
    child.
    """
    left = list(wanted)
    while left:
        part = left[: max(1, _AT_ONCE // max(count for *_, count in left[:_AT_ONCE]))]
        left = left[len(part) :]
        paths = [path for path, *_ in part]
        asked = [("load", str(path.resolve()), *how) for path, *how in part]
        with _reading(asked, paths, limits) as answers:
            for _, (height, width), *_ in part:
                pixels = np.frombuffer(bytearray(next(answers)), np.uint8)
                frames = pixels.reshape(-1, height, width, 3)
                yield frames if len(frames) > 1 else frames[0]


def read_picture_note(path: Path, kind: str, limits: ChildLimits = LIMITS) -> str | None:
    """The comment of a PNG or GIF file, or None, as `read_note` reads it; raises like it."""
    with _reading([("note", str(path.resolve()), kind)], [path], limits) as answers:
        return json.loads(next(answers))


@contextmanager
def _reading(
    asked: list[tuple[Any, ...]], paths: list[Path], limits: ChildLimits
) -> Iterator[Iterator[bytes]]:
    """The answers of a child that was asked, one after the other."""
    left = list(paths)

    def answers(child: Child) -> Iterator[bytes]:
        while left:
            head = child.output.readline()
            said = json.loads(head) if head.endswith(b"\n") else {}
            if "error" in said:
                raise ValueError(said["error"])
            answer = child.output.read(said.get("bytes", 0))
            if not said or len(answer) < said["bytes"]:
                raise _Ended
            yield answer
            left.pop(0)

    command = [sys.executable, "-I", str(Path(__file__).resolve()), json.dumps(asked)]
    try:
        with confined(command, limits) as child:
            yield answers(child)
    except _Ended:
        why = child.failure or "is damaged or cut short"
        raise ValueError(f"{file_name(left[0])} {why}") from None


class _Ended(Exception):
    """A child ended before its answer."""


def _answer(asked: list[list[Any]]) -> None:
    """What the child does: a line about each answer, and the answer."""
    for what, path, *how in asked:
        try:
            if what == "load":
                size, fit, count = how
                answer = load_moving(path, tuple(size), fit, count).tobytes()
            else:
                answer = json.dumps(read_note(path, *how)).encode()
            head: dict[str, Any] = {"bytes": len(answer)}
        except MemoryError:
            name = file_name(path)
            head = {"error": f"{name} needs more memory than reading may take; make it smaller"}
            answer = b""
        except ValueError as error:
            head, answer = {"error": str(error)}, b""
        sys.stdout.buffer.write(json.dumps(head).encode() + b"\n" + answer)
        sys.stdout.buffer.flush()


if __name__ == "__main__":
    _answer(json.loads(sys.argv[1]))
