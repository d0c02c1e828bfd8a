"""Videos in: frames as uint8 RGB, decoded in a confined child, within limits."""

from __future__ import annotations

import math
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from typing import IO

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from fvdm_core.containers import is_whole, kind_of, why_not
from fvdm_core.decoder import ChildLimits, confined, decoding
from fvdm_core.files import file_name, open_plain
from fvdm_core.limits import checked_integer
from fvdm_core.pictures import (
    MAX_FPS,
    MAX_METADATA_BYTES,
    PICTURE_KINDS,
    Fit,
    check_fit,
    check_fps,
    fit_picture,
)

VIDEO_KINDS = ("mov", "matroska", "avi", "gif")  # also the names of ffmpeg's demuxers
CODECS = ("h264", "hevc", "av1", "vp9", "vp8", "mpeg4", "mjpeg", "gif", "prores", "rawvideo")
_DECODERS = ",".join((*CODECS, "libdav1d"))
_MOST = 2**31 - 1  # of a number of frames, which ffmpeg reads as an int
_ALLOWED = "MP4, MOV, WebM, MKV, AVI or GIF"


@dataclass(frozen=True)
class VideoLimits:
    """What a video may be; everything but `child` is checked before a frame is decoded."""

    pixels: int = 4096 * 4096  # of a frame
    seconds: float = 3600.0  # of the file
    frames: int = 250_000  # in the file
    decoded_bytes: int = 8 << 30  # RGB bytes of the frames that have to be decoded
    clip_bytes: int = 1 << 30  # of the result
    child: ChildLimits = field(default=ChildLimits())


LIMITS = VideoLimits()


@dataclass(frozen=True)
class VideoClip:
    """`frames` uint8 (N, H, W, 3) and how many of them play in a second."""

    frames: NDArray[np.uint8]
    fps: float


@dataclass(frozen=True)
class _Index:
    """What the container says about its first video stream."""

    kind: str
    codec: str
    width: int
    height: int
    pixel_aspect: Fraction
    times: NDArray[np.float64]  # seconds at which frames are shown, increasing
    fps: float
    steady: bool  # whether frames are evenly spaced

    @property
    def size(self) -> str:
        return f"{self.width}×{self.height}"


def read_video(
    path: str | os.PathLike[str],
    size: tuple[int, int] | None = None,
    fit: Fit = "crop",
    start: int = 0,
    stride: int = 1,
    max_frames: int = 1024,
    fps: float | None = None,
    limits: VideoLimits = LIMITS,
) -> VideoClip:
    """Frames `start`, `start + stride`, … of a video, at most `max_frames`, upright, uint8 RGB.

    `size` is (height, width), None for the video's own; `fit` is as in `load_image`. Frames are
    counted after a variable rate has been made steady at its mean, or at `fps` where that is given.
    The result's `fps` is the rate of the frames returned, so motion keeps its speed.

    Decoding runs in a child process with limits. Raises `ValueError` that names the file and the
    reason: not a video of an allowed kind, without pictures, damaged, cut short, beyond `limits`,
    or without a frame `start`.
    """
    plan = _plan(path, size, fit, start, stride, max_frames, fps, limits)
    height, width = plan.made
    if plan.wanted * height * width * 3 > limits.clip_bytes:
        raise ValueError(
            f"{plan.name}: {plan.wanted} frames of {width}×{height} are "
            f"{_amount(plan.wanted * height * width * 3)}; at most {_amount(limits.clip_bytes)} "
            "are allowed: read fewer frames or give a smaller size"
        )
    frames: list[NDArray[np.uint8]] = []
    for frame in _decoded(plan, size, fit, limits):
        frames.append(frame)
        # a header may announce less than the frames turn out to be
        if len(frames) * frame.nbytes > limits.clip_bytes:
            raise ValueError(
                f"{plan.name} has frames of {frame.shape[1]}×{frame.shape[0]}, larger than its "
                "header says: convert it to another format"
            )
    return VideoClip(np.stack(frames), plan.rate / stride)


def iterate_video(
    path: str | os.PathLike[str],
    size: tuple[int, int] | None = None,
    fit: Fit = "crop",
    stride: int = 1,
    max_frames: int = 1024,
    limits: VideoLimits = LIMITS,
    start: int = 0,
) -> Iterator[NDArray[np.uint8]]:
    """The frames of `read_video` one by one, (H, W, 3), of videos that fit into no memory.

    Raises what that raises; of damage on the way not before the frames that come before it.
    """
    plan = _plan(path, size, fit, start, stride, max_frames, None, limits)
    return _decoded(plan, size, fit, limits)


@dataclass(frozen=True)
class _Plan:
    """How a part of a video is read: `made` is the (height, width) of its frames."""

    name: str
    arguments: list[str]
    wanted: int
    rate: float
    made: tuple[int, int]


def _plan(
    path: str | os.PathLike[str],
    size: tuple[int, int] | None,
    fit: Fit,
    start: int,
    stride: int,
    max_frames: int,
    fps: float | None,
    limits: VideoLimits,
) -> _Plan:
    name = file_name(path)
    check_fit(size, fit)
    start = checked_integer("start", start, 0, _MOST)
    stride = checked_integer("stride", stride, 1, _MOST)
    max_frames = checked_integer("max_frames", max_frames, 1, _MOST)
    if fps is not None:
        check_fps(fps)

    index = _read_index(path, name, limits)
    rate = index.fps if fps is None else fps
    resample = fps is not None or not index.steady
    duration = len(index.times) / index.fps
    # 29 frames at 25 per second are 29 and not 28.999…96
    available = max(1, math.floor(duration * rate + 1e-6)) if resample else len(index.times)
    wanted = min(max_frames, -(-(available - start) // stride))
    if wanted < 1:
        raise ValueError(f"{name} has {available} frames; start {start} is behind the last one")
    last = start + (wanted - 1) * stride + 1
    _check_decoded(name, index, math.ceil(last * index.fps / rate), limits)

    filters = []
    if index.pixel_aspect != 1:
        filters.append("scale=w='max(1,round(iw*sar))':h=ih:flags=lanczos,setsar=1")
    if resample:
        # up: sample and hold; "near", the default, would leave out the first frame. A clock may
        # have rounded a time up, by half a tick at most, which is taken off before
        filters.append("settb=intb/2,setpts=PTS-1")
        filters.append(f"fps={Fraction(rate).limit_denominator(1001)}:round=up")
    filters.append(f"select='gte(n,{start})*not(mod(n-{start},{stride}))'")
    arguments = [
        *_source(path, index.kind, limits),
        *("-map", "0:V:0", "-vf", ",".join(filters), "-fps_mode", "passthrough"),
        *("-frames:v", str(wanted), "-sws_flags", "bicubic+accurate_rnd+full_chroma_int"),
        *("-f", "image2pipe", "-c:v", "ppm", "-pix_fmt", "rgb24", "pipe:1"),
    ]
    made = size or (index.height, math.ceil(index.width * index.pixel_aspect))
    return _Plan(name, arguments, wanted, rate, made)


def _decoded(
    plan: _Plan, size: tuple[int, int] | None, fit: Fit, limits: VideoLimits
) -> Iterator[NDArray[np.uint8]]:
    """The frames that a plan wants, each as soon as it is decoded."""
    name, count, first = plan.name, 0, (0, 0)
    with confined(decoding(plan.arguments), limits.child) as child:
        for frame in _pictures(child.output, limits.pixels):
            if size is not None:
                frame = fit_picture(Image.fromarray(frame), size, fit)
            count, shape = count + 1, frame.shape[:2]
            first = shape if count == 1 else first
            if shape != first:
                raise ValueError(
                    f"{name} changes its size to {shape[1]}×{shape[0]} on the way; give a size"
                )
            yield frame
    # hidden frames of VP8 and a rounded duration make the announced number a little too high
    if child.failure and count < plan.wanted:
        raise ValueError(f"{name} {child.failure} ({count} of {plan.wanted} frames can be read)")
    if not count or count < 0.8 * plan.wanted - 2:
        raise ValueError(
            f"{name} is damaged or cut short: {count} of {plan.wanted} frames can be read"
        )


def read_comment(
    path: str | os.PathLike[str], kind: str, limits: VideoLimits = LIMITS
) -> str | None:
    """The comment of a "mov" or "matroska" file, or None; no frame is decoded."""
    arguments = [*_source(path, kind, limits), "-f", "ffmetadata", "pipe:1"]
    with confined(decoding(arguments), limits.child) as child:
        text = child.output.read(2 * MAX_METADATA_BYTES).decode("utf-8", "replace")
    if child.failure and not text:
        raise ValueError(f"{file_name(path)} {child.failure}")
    # a value ends at a line break without a backslash before it
    found = re.search(
        # possessive: what matched is not kept to be tried again, 130 bytes for each character
        r"^comment=((?:[^\\\n]++|\\.)*+)",
        text,
        re.DOTALL | re.MULTILINE | re.IGNORECASE,
    )
    return re.sub(r"\\(.)", r"\1", found[1], flags=re.DOTALL) if found else None


def _source(path: str | os.PathLike[str], kind: str, limits: VideoLimits) -> list[str]:
    """The input of ffmpeg: this file as this kind, nothing that the file refers to."""
    return [
        *("-protocol_whitelist", "file,pipe", "-format_whitelist", kind),
        *("-codec_whitelist", _DECODERS, "-max_pixels", str(limits.pixels), "-threads", "2"),
        *("-f", kind, "-i", f"file:{os.path.abspath(path)}"),
    ]


def _read_index(path: str | os.PathLike[str], name: str, limits: VideoLimits) -> _Index:
    """Reads the container without decoding: kind, codec, size and the time of every frame."""
    with open_plain(path, "video") as file:
        kind = kind_of(file)
        if kind not in VIDEO_KINDS:
            if kind in PICTURE_KINDS:
                raise ValueError(f"{name} is a picture; choose a video: {_ALLOWED}")
            raise ValueError(f"{name} {why_not(kind, _ALLOWED)}")
        if not is_whole(file, kind):
            raise ValueError(f"{name} is cut short: its end is missing; copy or download it again")

    facts: dict[str, str] = {}
    stamps: list[tuple[int, int]] = []  # (time, duration) in units of the stream's time base
    arguments = [*_source(path, kind, limits), "-map", "0:V:0", "-c", "copy"]
    with confined(decoding([*arguments, "-f", "framecrc", "pipe:1"]), limits.child) as child:
        while line := child.output.readline(512):
            text = line.decode("ascii", "replace").strip()
            if fact := re.fullmatch(r"#(\w+) 0: (.+)", text):
                facts[fact[1]] = fact[2]
            elif text.startswith("0,"):
                decoded, shown, duration = (int(part) for part in text.split(",")[1:4])
                stamps.append((shown if abs(shown) < 1 << 62 else decoded, duration))
            if len(stamps) > limits.frames:
                raise ValueError(f"{name} has more than {limits.frames} frames; cut it")
    if "matches no streams" in child.messages:
        raise ValueError(f"{name} holds no pictures, only sound; choose a video")
    codec = facts.get("codec_id", "unknown")
    if facts and codec not in CODECS:
        raise ValueError(
            f"{name} is encoded as {codec[:40]}, which is not decoded here; convert it to H.264"
        )
    if child.failure or not stamps or "dimensions" not in facts:
        raise ValueError(f"{name} {child.failure or 'is damaged: it holds no frames'}")
    width, height = (int(side) for side in facts["dimensions"].split("x"))
    if width * height > limits.pixels or not width * height:
        raise ValueError(
            f"{name} is {width}×{height}; at most {limits.pixels / 1e6:.0f} million pixels per "
            "frame are allowed: make it smaller"
        )
    top, _, bottom = facts.get("sar", "1/1").partition("/")
    aspect = Fraction(int(top), int(bottom)) if int(top) and int(bottom) else Fraction(1)
    if not Fraction(1, 8) <= aspect <= 8:
        raise ValueError(f"{name} has pixels of aspect {aspect}; from 1/8 to 8 is allowed")
    times, fps, steady = _rate(stamps, Fraction(facts["tb"]))
    if not 0 < fps <= MAX_FPS:
        raise ValueError(
            f"{name} has {fps:g} frames per second; more than 0 and at most {MAX_FPS} are allowed: "
            "convert it to another rate"
        )
    if len(times) / fps > limits.seconds:
        raise ValueError(
            f"{name} lasts {len(times) / fps:.0f} s; at most {limits.seconds:.0f} s are allowed: "
            "cut it"
        )
    return _Index(kind, codec, width, height, aspect, times, fps, steady)


def _rate(
    stamps: list[tuple[int, int]], time_base: Fraction
) -> tuple[NDArray[np.float64], float, bool]:
    """Times in seconds, frames per second, and whether the frames are evenly spaced."""
    ticks = np.sort(np.array([shown for shown, _ in stamps], dtype=np.int64))
    times: NDArray[np.float64] = ticks.astype(np.float64) * float(time_base)
    span = int(ticks[-1] - ticks[0])
    if not span:  # one frame: as long as the container says
        length = max(duration for _, duration in stamps) if len(stamps) == 1 else 0
        return times, float(1 / (length * time_base)) if length > 0 else 0.0, True
    fps = float((len(ticks) - 1) / (span * time_base))
    # clocks of 1 ms or 10 ms round; where a whole number is within the rounding, it is meant
    if abs(fps - round(fps)) <= fps / span:
        fps = float(round(fps))
    even = times[0] + np.arange(len(times)) / max(fps, 1e-9)
    steady = bool(np.abs(times - even).max() * fps < 0.5)
    return times, fps, steady


def _check_decoded(name: str, index: _Index, frames: int, limits: VideoLimits) -> None:
    """Raise `ValueError` where so many frames from the beginning are too much to decode."""
    frames = min(frames, len(index.times))
    decoded = frames * index.width * index.height * 3
    if decoded > limits.decoded_bytes:
        raise ValueError(
            f"{name}: {frames} frames of {index.size} are {_amount(decoded)} when "
            f"decoded; at most {_amount(limits.decoded_bytes)} are allowed: read fewer "
            "frames, or make the video shorter or smaller"
        )


def _amount(size: int) -> str:
    return f"{size / 1e9:.1f} GB" if size >= 1e9 else f"{size / 1e6:.1f} MB"


def _pictures(stream: IO[bytes], max_pixels: int) -> Iterator[NDArray[np.uint8]]:
    """Frames (H, W, 3) out of a stream of binary PPM pictures; ends where the stream ends."""
    while stream.readline(16) == b"P6\n":
        width, height = (int(side) for side in stream.readline(32).split())
        stream.readline(16)
        if width * height > 8 * max_pixels:
            return
        data = stream.read(width * height * 3)
        if len(data) < width * height * 3:
            return
        yield np.frombuffer(data, np.uint8).reshape(height, width, 3)
