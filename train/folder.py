"""Clips out of a folder of videos and pictures: the readable ones, the others counted by reason.

Frames are appended to `clips.raw` and each finished file is listed, so that an interrupted call
goes on behind the last whole file. A picture is a clip of one frame: the others are a hole.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any, BinaryIO, cast

import numpy as np
from tqdm import tqdm

from fvdm_core.decoder import ChildLimits
from fvdm_core.files import file_name, save_error
from fvdm_core.media import (
    Fit,
    VideoLimits,
    iterate_video,
    load_image,
    picture_size,
    read_video,
)

from .aspects import MixedVideo, Size, nearest
from .clips import Clips, never
from .config import DataConfig
from .labels import labeller, unmatched
from .listing import BYTE, LABEL, SIZE, SKIPPED, STILL, File, Listing, Names, Summary, counted
from .run import Stopped, located
from .shares import Shares, groups_of

SUFFIXES = (".mp4", ".m4v", ".webm", ".gif", ".avi", ".mov", ".mkv")
PICTURES = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff")
BESIDE = "pictures are learned beside at least one video, or with --pictures frames as one"
_MOST_FRAMES = 2**31 - 1  # of a video
# one's own videos may be long and large: of their frames one at a time is in memory
LIMITS = VideoLimits(
    pixels=8192 * 8192,
    seconds=6 * 3600,
    frames=1_000_000,
    decoded_bytes=1 << 62,
    child=ChildLimits(cpu_seconds=4 * 3600, wall_seconds=4 * 3600),
)
_SIGNS = (  # words in a refusal -> the reason under which it is counted; the first that fits
    ("0 bytes", "empty"),
    ("only sound", "only sound"),
    ("is encoded as", "codec not decoded here"),
    ("allowed", "beyond the limits"),
    ("too long", "beyond the limits"),
    ("cut it", "beyond the limits"),
    ("memory", "beyond the limits"),
    ("damaged", "damaged"),
    ("cut short", "damaged"),
    ("cannot be opened", "cannot be opened"),
)


_NUMBERS = re.compile(r"([0-9]+)")


class _TooShort(ValueError):
    """The video has fewer frames than one clip."""


def prepare_folder(
    config: DataConfig,
    out: Path,
    stop: Callable[[], bool] = never,
    say: bool = True,
    sizes: Sequence[Size] = (),
) -> Clips:
    """The clips of all files below `config.folder`, going on where an earlier call stopped.

    `sizes` are the (H, W) that frames may have, of which each file gets the one whose aspect is
    nearest to its own; without any they are squares. A clip begins every `config.hop` frames of a
    video, as long as a whole one is left. Once every file was read, later calls return the same
    clips at once, whatever became of the folder. Writes `skipped.json` and, with `say`, prints how
    many files were skipped and why. Raises `ValueError` where there is no usable video, `SaveError`
    for the disk, `Stopped` when `stop()` says so.
    """
    sizes = sizes or [(config.image_size, config.image_size)]
    listing = Listing(out, key_of(config, sizes))
    summary = listing.summary or _read_files(config, out, listing, sizes, stop)
    if not summary.videos:
        listing.forget()
        total = summary.stills + sum(summary.skipped.values())
        raise ValueError(
            f"none of the {total} files below {config.folder} is a usable video "
            f"({counted(summary.skipped)} skipped); {out / SKIPPED} says what is wrong with each"
            + (f"; {summary.unmatched}" if summary.unmatched else "")
            + (f"; {BESIDE}" if summary.stills else "")
        )
    if say:
        print(summary)
    path, index = out / "clips.raw", listing.index()
    _check_whole(path, int(index[-1, BYTE]) + _bytes(config, sizes)[index[-1, SIZE]])
    about = (index[:, LABEL], Names(listing), summary.labels, index[:, STILL])
    if len(sizes) == 1:
        shape = (summary.clips, config.frames, *sizes[0], 3)
        return Clips(np.memmap(path, np.uint8, mode="r", shape=shape), *about, tuple(sizes))
    which = index[:, SIZE]
    video = MixedVideo(path, sizes, config.frames, which, index[:, BYTE])
    return Clips(video, *about, tuple(sizes), which)


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
        if pictures == "frames" and any(map(_is_picture, shown)):
            chosen.append(".")
        found |= {(Path(parent) / name).relative_to(root).as_posix() for name in chosen}
    return sorted(found)


def _walk(root: Path) -> Iterator[tuple[str, list[str]]]:
    """The folders below, also through links, each once; raises `ValueError` for a shut one."""

    def refuse(error: OSError) -> None:
        where = file_name(error.filename or root)
        raise ValueError(
            f"the folder {where} cannot be read: {error.strerror}; allow it, or move it away"
        ) from error

    known = set()
    for parent, folders, files in os.walk(root, onerror=refuse, followlinks=True):
        about = os.stat(parent)
        if (place := (about.st_dev, about.st_ino)) in known:
            folders.clear()  # a link to a folder above it, or to one that was read
            continue
        known.add(place)
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        yield parent, files


def _read_files(
    config: DataConfig,
    out: Path,
    listing: Listing,
    sizes: Sequence[Size],
    stop: Callable[[], bool],
) -> Summary:
    """Read what is not listed yet; the listing is complete when this returns."""
    label_of = labeller(config.labels)
    files = find_files(config.folder, config.pictures)
    if not files:
        raise ValueError(
            f"there is no video below {config.folder}; files ending in {', '.join(SUFFIXES)} are "
            "looked for"
        )
    if config.pictures == "stills" and all(_is_picture(name) for name in files):
        raise ValueError(f"there are only pictures below {config.folder}; {BESIDE}")
    listing.begin()
    clip_bytes = _bytes(config, sizes)
    groups = groups_of(files, label_of, _is_picture, labelled=bool(config.labels))
    shares = Shares(groups, config.max_clips)
    read, skipped, written = 0, 0, 0
    for _, file in listing.files():
        shares.took(file)
        read, skipped = read + (not file.first), skipped + (not file.first + file.clips)
        written += file.clips * clip_bytes[file.size]
    path = out / "clips.raw"
    _check_whole(path, written)
    count = {"total": read + shares.unread, "initial": read}
    progress = tqdm(desc="reading", unit="file", disable=None, **count)
    with progress, path.open("r+b" if path.exists() else "w+b") as raw:
        while turn := shares.next():
            if stop():
                raise Stopped(f"reading stopped; {len(shares)} of {len(files)} files are left")
            name, first, most = turn
            raw.truncate(written)  # drops what an interrupted call left of a file
            raw.seek(written)
            file = _read_one(config, name, label_of(name), first, most, sizes, raw, stop)
            file = replace(file, first=first)
            skipped += not first + file.clips
            written += file.clips * clip_bytes[file.size]
            _finish(raw, path, written)
            listing.add(file)
            shares.took(file)
            progress.update(not first)
            progress.set_postfix(clips=config.max_clips - shares.left, skipped=skipped)
        raw.truncate(written)
    nowhere = unmatched(config.labels, files)
    return listing.finish(hop_of(config), clip_bytes, unread=shares.unread, unmatched=nowhere)


def _bytes(config: DataConfig, sizes: Sequence[Size]) -> list[int]:
    """What a clip of each size takes."""
    return [config.frames * height * width * 3 for height, width in sizes]


def _check_whole(path: Path, wanted: int) -> None:
    """The clips that are listed must be there: a file made longer would hold black ones."""
    if wanted and (path.stat().st_size if path.exists() else 0) < wanted:
        raise ValueError(
            f"{path} was lost or cut short since its clips were read; delete {path.parent} and "
            "let the videos be read again"
        )


def _read_one(
    config: DataConfig,
    name: str,
    label: str,
    first: int,
    most: int,
    sizes: Sequence[Size],
    raw: BinaryIO,
    stop: Callable[[], bool],
) -> File:
    path = Path(config.folder) / name
    still = _is_picture(name) and not path.is_dir()
    if config.labels and not label:
        return File(name, 0, reason="without a label", message=f"{name} has no label")
    try:
        number = _size_of(config, path, still, sizes)
        size = sizes[number]
        if still:
            _write(raw, load_image(path, size, cast(Fit, config.fit)))
            return File(name, 1, label, still, size=number)
        clips, more, wrong = _append(config, path, size, first, most, raw, stop)
        if wrong is None:
            return File(name, clips, label, size=number, more=more)
        return File(name, clips, label, False, _reason(path, still, wrong), str(wrong), number)
    except _TooShort as error:
        return File(name, 0, label, still, "too short", str(error))
    except ValueError as error:
        return File(name, 0, label, still, _reason(path, still, error), str(error))


def _is_picture(name: str) -> bool:
    return name.lower().endswith(PICTURES)


def _reason(path: Path, still: bool, error: ValueError) -> str:
    """The few words under which a refusal is counted."""
    words = str(error).removeprefix(file_name(path))
    otherwise = "not a picture" if still or path.is_dir() else "not a video"
    return next((reason for sign, reason in _SIGNS if sign in words), otherwise)


def _size_of(config: DataConfig, path: Path, still: bool, sizes: Sequence[Size]) -> int:
    """Which of the sizes a file gets: that of the aspect nearest to its own, once upright."""
    if len(sizes) == 1:
        return 0
    if still:
        own = picture_size(path)
    elif path.is_dir():
        own = picture_size(path / _in_order(path)[0])
    else:
        own = read_video(path, max_frames=1, limits=LIMITS).frames.shape[1:3]
    return nearest(own, sizes)


def _append(
    config: DataConfig,
    path: Path,
    size: Size,
    first: int,
    most: int,
    raw: BinaryIO,
    stop: Callable[[], bool],
) -> tuple[int, bool, ValueError | None]:
    """Write `most` clips of one video, from its clip `first` on: how many there were, whether there
    are more, and what was wrong with it behind them.

    Raises `ValueError` where it has none at all, and `Stopped` between two of them, after which the
    video is read anew.
    """
    apart = hop_of(config) // config.stride  # of the frames that are taken
    # from a frame on that was there before: the last one of the clip before, or one in it
    start = min(first * apart, (first - 1) * apart + config.frames - 1) if first else 0
    count = min((first + most) * apart + config.frames, _MOST_FRAMES) - start  # and one clip more
    done, held, between = 0, [], first * apart - start
    read = _frames_of_pictures if path.is_dir() else _frames_of_video
    try:
        with closing(read(config, path, size, start, count)) as frames:
            for frame in frames:
                if between:  # before the first clip, or of clips that are apart
                    between -= 1
                    continue
                held.append(frame)
                if len(held) < config.frames:
                    continue
                if done == most:
                    return done, True, None
                if done and stop():
                    raise Stopped(
                        f"reading stopped in {file_name(path)}, after {done} of its clips"
                    )
                _write(raw, np.stack(held))
                done += 1
                held, between = held[apart:], max(0, apart - config.frames)
    except ValueError as error:
        if not first + done:
            raise
        return done, False, error
    if not first + done:
        raise _TooShort(
            f"{file_name(path)} gives {len(held)} frames with stride {config.stride}; "
            f"a clip takes {config.frames}"
        )
    return done, False, None


def _frames_of_video(
    config: DataConfig, path: Path, size: Size, start: int, count: int
) -> Generator[np.ndarray, None, None]:
    fit, stride = cast(Fit, config.fit), config.stride
    yield from iterate_video(path, size, fit, stride, count, LIMITS, start * stride)


def _frames_of_pictures(
    config: DataConfig, path: Path, size: Size, start: int, count: int
) -> Generator[np.ndarray, None, None]:
    """As from a video, from the pictures of a folder."""
    fit = cast(Fit, config.fit)
    for name in _in_order(path)[:: config.stride][start : start + count]:
        yield load_image(path / name, size, fit)


def _in_order(path: Path) -> list[str]:
    """The pictures of a folder, in the order of the numbers in their names."""
    names = [name for name in os.listdir(path) if _is_picture(name) and not name.startswith(".")]
    return sorted(names, key=_by_number)


def _by_number(name: str) -> list[tuple[int, str]]:
    """So that 2.jpg is before 10.jpg."""
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in _NUMBERS.split(name)]


def hop_of(config: DataConfig) -> int:
    """Frames of a video from the start of a clip to the start of the next."""
    return config.hop or config.frames * config.stride


def key_of(config: DataConfig, sizes: Sequence[Size] = ()) -> dict[str, Any]:
    """What the clips depend on."""
    square = (config.image_size, config.image_size)  # which runs were of before there were others
    return {
        **located({"folder": config.folder, "labels": config.labels}),
        "pictures": config.pictures,
        "frames": config.frames,
        "image_size": config.image_size,
        "stride": config.stride,
        "hop": config.hop,
        "fit": config.fit,
        "max_clips": config.max_clips,
        "sizes": [list(size) for size in sizes if list(sizes) != [square]],
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
