"""Pictures and videos, in and out, with limits: the names that the rest of the project uses."""

from __future__ import annotations

import json
import os
from pathlib import Path

from fvdm_core.containers import kind_of
from fvdm_core.files import SaveError, file_name, open_plain
from fvdm_core.picture_reader import read_picture_note
from fvdm_core.pictures import (
    MAX_METADATA_BYTES,
    Fit,
    load_image,
    picture_size,
    write_png,
)
from fvdm_core.video_reader import (
    LIMITS,
    VideoClip,
    VideoLimits,
    iterate_video,
    read_comment,
    read_video,
)
from fvdm_core.video_writer import write_video

__all__ = [
    "LIMITS",
    "Fit",
    "SaveError",
    "VideoClip",
    "VideoLimits",
    "iterate_video",
    "load_image",
    "picture_size",
    "read_metadata",
    "read_video",
    "write_png",
    "write_video",
]


def read_metadata(path: str | os.PathLike[str]) -> str | None:
    """The JSON object that `write_video` or `write_png` put into a file; None where there is none.

    The text comes from a file that anyone may have made: parse it as JSON and check every field.

    Raises `ValueError` that names the file: not readable, damaged, or with too much text.
    """
    with open_plain(path) as file:
        kind = kind_of(file)
    if kind in ("png", "gif"):
        text = read_picture_note(Path(path), kind)
    elif kind in ("mov", "matroska"):
        text = read_comment(path, kind)
    else:
        return None
    if text is None or not text.lstrip().startswith("{"):
        return None
    if len(text.encode()) > MAX_METADATA_BYTES:
        raise ValueError(
            f"{file_name(path)} carries {len(text.encode())} bytes of metadata; "
            f"at most {MAX_METADATA_BYTES} are allowed"
        )
    try:
        return text if isinstance(json.loads(text), dict) else None
    except (ValueError, RecursionError):
        return None
