"""Clips out of a folder of videos and pictures: the readable ones, the others counted by reason.

Frames are appended to `clips.raw` and each finished file is listed, so that an interrupted call
goes on behind the last whole file. A picture is a clip of one frame: the others are a hole.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO, cast

import numpy as np
from tqdm import tqdm

from fvdm_core.decoder import ChildLimits
from fvdm_core.files import file_name, save_error
from fvdm_core.media import Fit, VideoLimits, load_image, read_video

from .clips import Clips, never
from .config import DataConfig
from .labels import labeller
from .listing import LABEL, SKIPPED, STILL, File, Listing, Names, Summary, counted
from .run import Stopped

SUFFIXES = (".mp4", ".m4v", ".webm", ".gif", ".avi", ".mov", ".mkv")
PICTURES = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff")
PIECE_BYTES = 256 << 20  # of frames that are in memory at once
# one's own videos may be long: an hour of 1080p is 650 GB of RGB on its way through the decoder
LIMITS = VideoLimits(
    seconds=6 * 3600,
    frames=1_000_000,
    decoded_bytes=1 << 42,
    child=ChildLimits(cpu_seconds=4 * 3600, wall_seconds=4 * 3600),
)
_SIGNS = (  # words in a refusal -> the reason under which it is counted; the first that fits
    ("0 bytes", "empty"),
    ("only sound", "only sound"),
    ("is encoded as", "codec not decoded here"),
    ("allowed", "beyond the limits"),
    ("too long", "beyond the limits"),
    ("memory", "beyond the limits"),
    ("damaged", "damaged"),
    ("cut short", "damaged"),
    ("cannot be opened", "cannot be opened"),
)


_NUMBERS = re.compile(r"([0-9]+)")


class _TooShort(ValueError):
    """The video has fewer frames than one clip."""


def prepare_folder(
    config: DataConfig, out: Path, stop: Callable[[], bool] = never, say: bool = True
) -> Clips:
    """The clips of all files below `config.folder`, going on where an earlier call stopped.

    A clip begins every `config.hop` frames of a video, as long as a whole one is left. Once every
    file was read, later calls return the same clips at once, whatever became of the folder. Writes
    `skipped.json` and, with `say`, prints how many files were skipped and why. Raises `ValueError`
    where there is no usable video, `SaveError` for the disk, `Stopped` when `stop()` says so.
    """
    listing = Listing(out, key_of(config))
    summary = listing.summary or _read_files(config, out, listing, stop)
    if not summary.videos:
        listing.forget()
        total = summary.stills + sum(summary.skipped.values())
        raise ValueError(
            f"none of the {total} files below {config.folder} is a usable video "
            f"({counted(summary.skipped)} skipped); {out / SKIPPED} says what is wrong with each"
        )
    if say:
        print(summary)
    shape = (summary.clips, *_clip_shape(config))
    frames = np.memmap(out / "clips.raw", np.uint8, mode="r", shape=shape)
    index = listing.index()
    return Clips(frames, index[:, LABEL], Names(listing), summary.labels, index[:, STILL])


def find_files(folder: str | os.PathLike[str], pictures: str = "") -> list[str]:
    """The videos below a folder, and pictures, as sorted paths with forward slashes.

    They are told by their extension; hidden files and folders are left out. `pictures` is as in the
    config: "stills" gives each, "frames" the folders in which they lie. Raises `ValueError` for a
    folder that is not there.
    """
    root = Path(folder)
    if not root.is_dir():
        raise ValueError(f"there is no folder {folder}; give the folder of your videos")
    suffixes = SUFFIXES + PICTURES if pictures == "stills" else SUFFIXES
    found = set()
    for parent, names in _walk(root):
        shown = [name for name in names if not name.startswith(".")]
        chosen = [name for name in shown if name.lower().endswith(suffixes)]
        if pictures == "frames" and any(name.lower().endswith(PICTURES) for name in shown):
            chosen.append(".")
        found |= {(Path(parent) / name).relative_to(root).as_posix() for name in chosen}
    return sorted(found)


def _walk(root: Path) -> Iterator[tuple[str, list[str]]]:
    for parent, folders, files in os.walk(root):
        folders[:] = [name for name in folders if not name.startswith(".")]
        yield parent, files


def _read_files(
    config: DataConfig, out: Path, listing: Listing, stop: Callable[[], bool]
) -> Summary:
    """Read what is not listed yet; the listing is complete when this returns."""
    label_of = labeller(config.labels)
    files = find_files(config.folder, config.pictures)
    if not files:
        raise ValueError(
            f"there is no video below {config.folder}; files ending in {', '.join(SUFFIXES)} are "
            "looked for"
        )
    listing.begin()
    listed, clips, skipped = set(), 0, 0
    for _, file in listing.files():
        listed.add(file.file)
        clips, skipped = clips + file.clips, skipped + (not file.clips)
    clip_bytes = int(np.prod(_clip_shape(config)))
    path = out / "clips.raw"
    remaining = [name for name in files if name not in listed]
    left = len(remaining)
    count = {"total": len(listed) + left, "initial": len(listed)}
    progress = tqdm(desc="reading", unit="file", disable=None, **count)
    with progress, path.open("r+b" if path.exists() else "w+b") as raw:
        for name in remaining:
            if stop():
                raise Stopped(f"reading stopped; {left} of {len(files)} files are left")
            if clips >= config.max_clips:
                break
            raw.truncate(clips * clip_bytes)  # drops what an interrupted call left of a file
            raw.seek(clips * clip_bytes)
            file = _read_one(config, name, label_of(name), config.max_clips - clips, raw)
            clips, skipped = clips + file.clips, skipped + (not file.clips)
            _finish(raw, path, clips * clip_bytes)
            listing.add(file)
            left -= 1
            progress.update()
            progress.set_postfix(clips=clips, skipped=skipped)
        raw.truncate(clips * clip_bytes)
    return listing.finish(hop_of(config), unread=left)


def _read_one(config: DataConfig, name: str, label: str, most: int, raw: BinaryIO) -> File:
    path = Path(config.folder) / name
    still = name.lower().endswith(PICTURES) and not path.is_dir()
    if config.labels and not label:
        return File(name, 0, reason="without a label", message=f"{name} has no label")
    try:
        clips = _append_still(config, path, raw) if still else _append(config, path, most, raw)
        return File(name, clips, label, still)
    except _TooShort as error:
        return File(name, 0, label, still, "too short", str(error))
    except ValueError as error:
        message = str(error)
        words = message.removeprefix(file_name(path))
        otherwise = "not a picture" if still or path.is_dir() else "not a video"
        reason = next((reason for sign, reason in _SIGNS if sign in words), otherwise)
        return File(name, 0, label, still, reason, message)


def _append_still(config: DataConfig, path: Path, raw: BinaryIO) -> int:
    size = (config.image_size, config.image_size)
    _write(raw, load_image(path, size, cast(Fit, config.fit)))
    return 1


def _append(config: DataConfig, path: Path, most: int, raw: BinaryIO) -> int:
    """Write the clips of one video and return how many. Raises `ValueError` where there is none."""
    read = _read_frames if path.is_dir() else _read_video
    frame_bytes = config.image_size**2 * 3
    apart = hop_of(config) // config.stride  # of the frames that are taken
    at_once = max(1, (PIECE_BYTES // frame_bytes - config.frames) // apart + 1)  # clips
    done = 0
    while done < most:
        wanted = min(at_once, most - done)
        try:
            count = (wanted - 1) * apart + config.frames
            frames = read(config, path, done * hop_of(config), count)
        except ValueError:
            if done:  # the video ended exactly behind the piece before
                break
            raise
        if not done and len(frames) < config.frames:
            raise _TooShort(
                f"{file_name(path)} gives {len(frames)} frames with stride {config.stride}; "
                f"a clip takes {config.frames}"
            )
        whole = max(0, (len(frames) - config.frames) // apart + 1)
        for first in range(0, whole * apart, apart):
            _write(raw, frames[first : first + config.frames])
        done += whole
        if whole < wanted:
            break
    return done


def _read_video(config: DataConfig, path: Path, start: int, count: int) -> np.ndarray:
    size, fit = (config.image_size, config.image_size), cast(Fit, config.fit)
    clip = read_video(path, size, fit, start, config.stride, max_frames=count, limits=LIMITS)
    return clip.frames


def _read_frames(config: DataConfig, path: Path, start: int, count: int) -> np.ndarray:
    """As from a video, from the pictures of a folder in the order of the numbers in their names."""
    names = [
        name
        for name in os.listdir(path)
        if name.lower().endswith(PICTURES) and not name.startswith(".")
    ]
    chosen = sorted(names, key=_by_number)[start :: config.stride][:count]
    if not chosen:
        raise ValueError(f"{file_name(path)} has {len(names)} pictures; {start} is behind the last")
    size, fit = (config.image_size, config.image_size), cast(Fit, config.fit)
    return np.stack([load_image(path / name, size, fit) for name in chosen])


def _by_number(name: str) -> list[tuple[int, str]]:
    """So that 2.jpg is before 10.jpg."""
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in _NUMBERS.split(name)]


def hop_of(config: DataConfig) -> int:
    """Frames of a video from the start of a clip to the start of the next."""
    return config.hop or config.frames * config.stride


def _clip_shape(config: DataConfig) -> tuple[int, int, int, int]:
    return config.frames, config.image_size, config.image_size, 3


def key_of(config: DataConfig) -> dict[str, Any]:
    """What the clips depend on."""
    return {
        "folder": str(Path(config.folder).resolve()),
        "labels": config.labels,
        "pictures": config.pictures,
        "frames": config.frames,
        "image_size": config.image_size,
        "stride": config.stride,
        "hop": config.hop,
        "fit": config.fit,
        "max_clips": config.max_clips,
    }


def _write(raw: BinaryIO, frames: np.ndarray) -> None:
    try:
        raw.write(np.ascontiguousarray(frames).data)
    except OSError as error:
        raise save_error(raw.name, error.strerror or str(error)) from error


def _finish(raw: BinaryIO, path: Path, size: int) -> None:
    """Bring what was written to the disk; a picture's hole is part of `size`."""
    try:
        raw.flush()
        raw.truncate(size)
        os.fsync(raw.fileno())
    except OSError as error:
        raise save_error(path, error.strerror or str(error)) from error
