"""Videos out: MP4, WebM or GIF with their recipe inside; the same input gives the same bytes."""

from __future__ import annotations

import os
import re
import subprocess
import tempfile
from fractions import Fraction
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from fvdm_core.decoder import ffmpeg
from fvdm_core.files import atomic_write, file_name, save_error
from fvdm_core.limits import MAX_FPS
from fvdm_core.pictures import MAX_GIF_FPS, check_fps, check_frames, check_metadata

_COLOURS = "bt709"
_TO_YUV = (
    f"scale=out_color_matrix={_COLOURS}:out_range=tv:flags=accurate_rnd+full_chroma_inp,"
    "format=yuv420p"
)
_TAGS = ("-colorspace", _COLOURS, "-color_primaries", _COLOURS, "-color_trc", _COLOURS)
_ENCODERS = {  # nearly transparent qualities; small clips make small files anyway
    ".mp4": (
        *("-vf", _TO_YUV, "-c:v", "libx264", "-preset", "medium", "-crf", "16", *_TAGS),
        *("-movflags", "+faststart", "-f", "mp4"),
    ),
    ".webm": (
        *("-vf", _TO_YUV, "-c:v", "libvpx-vp9", "-crf", "20", "-b:v", "0", *_TAGS),
        *("-deadline", "good", "-cpu-used", "4", "-f", "webm"),
    ),
    ".gif": (
        *("-vf", "split[a][b];[a]palettegen=stats_mode=diff[p];[b][p]paletteuse=dither=bayer"),
        *("-loop", "0", "-f", "gif"),
    ),
}


def write_video(
    path: str | os.PathLike[str],
    frames: NDArray[np.uint8],
    fps: float,
    metadata: str | None = None,
) -> None:
    """Writes uint8 frames (N, H, W, 3) as .mp4 (H.264), .webm (VP9) or .gif, by the extension.

    `metadata`, a JSON object as text, travels in the file's comment. The same input gives the same
    bytes. MP4 and WebM store colour for 2×2 pixels, so there an odd last row or column is repeated.

    Raises `ValueError` for what cannot be written, `SaveError` where the disk does not take it.
    """
    check_frames(frames)
    suffix = Path(path).suffix.lower()
    if suffix not in _ENCODERS:
        raise ValueError(
            f"{file_name(path)} ends in {suffix or 'nothing'!r}; use .mp4, .webm or .gif"
        )
    check_fps(fps, MAX_GIF_FPS if suffix == ".gif" else MAX_FPS)
    if metadata is not None:
        check_metadata(metadata)
    if suffix != ".gif":
        odd = [(0, side % 2) for side in frames.shape[1:3]]
        frames = np.pad(frames, [(0, 0), *odd, (0, 0)], mode="edge")
    with atomic_write(path) as temporary:
        with tempfile.TemporaryDirectory() as folder:
            note = Path(folder, "note.txt")
            note.write_text(f";FFMETADATA1\ncomment={_escape(metadata or '')}\n", "utf-8")
            _encode(path, temporary, frames, fps, suffix, note if metadata else None)
        if suffix == ".gif" and metadata:
            temporary.write_bytes(_with_comment(temporary.read_bytes(), metadata.encode()))


def _encode(
    path: str | os.PathLike[str],
    temporary: Path,
    frames: NDArray[np.uint8],
    fps: float,
    suffix: str,
    note: Path | None,
) -> None:
    height, width = frames.shape[1:3]
    rate = str(Fraction(fps).limit_denominator(1001))
    command = [
        *(ffmpeg(), "-hide_banner", "-v", "error", "-y"),
        *("-f", "rawvideo", "-pix_fmt", "rgb24", "-s", f"{width}x{height}", "-r", rate),
        *("-i", "pipe:0"),
        *(("-f", "ffmetadata", "-i", str(note), "-map_metadata", "1") if note else ()),
        # one thread and no version tags: the same input gives the same bytes
        *("-threads", "1", "-fflags", "+bitexact", "-flags:v", "+bitexact"),
        *(*_ENCODERS[suffix], f"file:{temporary.absolute()}"),
    ]
    data = np.ascontiguousarray(frames).data.cast("B")
    done = subprocess.run(command, input=data, capture_output=True, check=False)
    if done.returncode:
        said = done.stderr.decode("utf-8", "replace")
        full = "No space left on device" in said
        reason = "the disk is full" if full else "the encoder stopped"
        raise save_error(path, reason)


def _escape(text: str) -> str:
    """Text as a value of an FFMETADATA file."""
    return re.sub(r"([=;#\\\n])", r"\\\1", text)


def _with_comment(gif: bytes, comment: bytes) -> bytes:
    """A GIF with a comment extension (GIF89a §24) behind its global colour table."""
    flags = gif[10]
    end = 13 + (3 << (flags & 7) + 1 if flags & 0x80 else 0)
    blocks = (comment[i : i + 255] for i in range(0, len(comment), 255))
    body = b"".join(bytes([len(block)]) + block for block in blocks)
    return gif[:end] + b"\x21\xfe" + body + b"\0" + gif[end:]
