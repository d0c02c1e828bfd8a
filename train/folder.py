"""Clips out of a folder of videos: each readable one cut into clips, the others counted by reason.

Frames are appended to `clips.raw` and each finished video is listed in `videos.json`, so that an
interrupted call goes on behind the last whole video.
"""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, BinaryIO, cast

import numpy as np
from tqdm import tqdm

from fvdm_core.decoder import ChildLimits
from fvdm_core.files import atomic_write, file_name, save_error
from fvdm_core.media import Fit, VideoLimits, read_video

from .clips import Clips, never
from .config import DataConfig
from .run import Stopped

SUFFIXES = (".mp4", ".m4v", ".webm", ".gif", ".avi", ".mov", ".mkv")
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


@dataclass(frozen=True)
class Video:
    """What became of a video: how many clips it gave, or why it gave none."""

    file: str  # below the folder, with forward slashes
    clips: int
    reason: str = ""  # a few words, the same for all videos of a kind
    message: str = ""  # what exactly was wrong


class _TooShort(ValueError):
    """The video has fewer frames than one clip."""


def prepare_folder(
    config: DataConfig, out: Path, stop: Callable[[], bool] = never, say: bool = True
) -> Clips:
    """The clips of all videos below `config.folder`, going on where an earlier call stopped.

    A long video is cut into clips one behind the other; frames left at its end are dropped. Once
    every video was read, later calls return the same clips, whatever became of the folder. Writes
    `skipped.json` and, with `say`, prints how many videos were skipped and why. Raises `ValueError`
    where there is no usable video, `SaveError` for the disk, `Stopped` when `stop()` says so.
    """
    out.mkdir(parents=True, exist_ok=True)
    key = _key(config)
    videos, complete = _read_list(out / "videos.json", key)
    if not complete:
        videos = _read_videos(config, out, key, videos, stop)
    used, skipped = [v for v in videos if v.clips], [v for v in videos if not v.clips]
    if not complete:
        rows = [{"file": v.file, "reason": v.reason, "message": v.message} for v in skipped]
        _write_json(out / "skipped.json", rows)
    reasons = Counter(video.reason for video in skipped).most_common()
    summary = ", ".join(f"{count} {reason}" for reason, count in reasons)
    if not used:
        (out / "videos.json").unlink(missing_ok=True)  # so that mended videos are read again
        raise ValueError(
            f"none of the {len(videos)} videos below {config.folder} can be used ({summary}); "
            f"{out / 'skipped.json'} says what is wrong with each"
        )
    count = sum(video.clips for video in used)
    if say:
        print(f"{count} clips from {len(used)} videos; {len(skipped)} skipped: {summary or 'none'}")
    shape = (count, *_clip_shape(config))
    frames = np.memmap(out / "clips.raw", np.uint8, mode="r", shape=shape)
    names = [
        f"{video.file}@{k * config.frames * config.stride}"
        for video in used
        for k in range(video.clips)
    ]
    return Clips(frames, np.zeros(count, dtype=np.int64), names)


def find_videos(folder: str | os.PathLike[str]) -> list[str]:
    """The videos below a folder by their extension, as sorted paths with forward slashes.

    Hidden files and folders are left out. Raises `ValueError` for a folder that is not there.
    """
    root = Path(folder)
    if not root.is_dir():
        raise ValueError(f"there is no folder {folder}; give --data the folder of your videos")
    found = []
    for parent, folders, files in os.walk(root):
        folders[:] = [name for name in folders if not name.startswith(".")]
        found += [
            (Path(parent) / name).relative_to(root).as_posix()
            for name in files
            if name.lower().endswith(SUFFIXES) and not name.startswith(".")
        ]
    return sorted(found)


def _read_videos(
    config: DataConfig,
    out: Path,
    key: dict[str, Any],
    videos: list[Video],
    stop: Callable[[], bool],
) -> list[Video]:
    """Read what is not listed yet; the list is complete when this returns."""
    files = find_videos(config.folder)
    if not files:
        raise ValueError(
            f"there is no video below {config.folder}; files ending in {', '.join(SUFFIXES)} are "
            "looked for"
        )
    listed = {video.file for video in videos}
    count = sum(video.clips for video in videos)
    clip_bytes = int(np.prod(_clip_shape(config)))
    path = out / "clips.raw"
    remaining = [file for file in files if file not in listed]
    with path.open("r+b" if path.exists() else "w+b") as raw:
        for file in tqdm(remaining, desc="reading videos", unit="video", disable=None):
            if stop():
                raise Stopped(f"reading stopped after {len(videos)} of {len(files)} videos")
            if count >= config.max_clips:
                break
            raw.truncate(count * clip_bytes)  # drops what an interrupted call left of a video
            raw.seek(count * clip_bytes)
            video = _read_one(config, file, config.max_clips - count, raw)
            if not video.clips:
                raw.truncate(count * clip_bytes)
            count += video.clips
            videos = [*videos, video]
            _flush(raw, path)
            _write_list(out / "videos.json", key, videos, complete=False)
        raw.truncate(count * clip_bytes)
    _write_list(out / "videos.json", key, videos, complete=True)
    return videos


def _read_one(config: DataConfig, file: str, most: int, raw: BinaryIO) -> Video:
    path = Path(config.folder) / file
    try:
        return Video(file, _append_clips(config, path, most, raw))
    except _TooShort as error:
        return Video(file, 0, "too short", str(error))
    except ValueError as error:
        message = str(error)
        words = message.removeprefix(file_name(path))
        reason = next((reason for sign, reason in _SIGNS if sign in words), "not a video")
        return Video(file, 0, reason, message)


def _append_clips(config: DataConfig, path: Path, most: int, raw: BinaryIO) -> int:
    """Write the clips of one video and return how many. Raises `ValueError` where there is none."""
    clip_bytes = int(np.prod(_clip_shape(config)))
    at_once = max(1, PIECE_BYTES // clip_bytes)  # clips
    done = 0
    while done < most:
        wanted = min(at_once, most - done)
        try:
            frames = read_video(
                path,
                (config.image_size, config.image_size),
                cast(Fit, config.fit),
                start=done * config.frames * config.stride,
                stride=config.stride,
                max_frames=wanted * config.frames,
                limits=LIMITS,
            ).frames
        except ValueError:
            if done:  # the video ended exactly behind the piece before
                break
            raise
        if not done and len(frames) < config.frames:
            raise _TooShort(
                f"{file_name(path)} gives {len(frames)} frames with stride {config.stride}; "
                f"a clip takes {config.frames}"
            )
        whole = len(frames) // config.frames
        try:
            raw.write(np.ascontiguousarray(frames[: whole * config.frames]).data)
        except OSError as error:
            raise save_error(raw.name, error.strerror or str(error)) from error
        done += whole
        if whole < wanted:
            break
    return done


def _clip_shape(config: DataConfig) -> tuple[int, int, int, int]:
    return config.frames, config.image_size, config.image_size, 3


def _key(config: DataConfig) -> dict[str, Any]:
    """What the clips depend on."""
    return {
        "folder": str(Path(config.folder).resolve()),
        "frames": config.frames,
        "image_size": config.image_size,
        "stride": config.stride,
        "fit": config.fit,
        "max_clips": config.max_clips,
    }


def _read_list(path: Path, key: dict[str, Any]) -> tuple[list[Video], bool]:
    if not path.exists():
        return [], False
    saved = json.loads(path.read_text("utf-8"))
    if saved["key"] != key:
        different = [name for name in key if saved["key"].get(name) != key[name]]
        raise ValueError(
            f"{path} was made from other data ({', '.join(different)} differ); "
            "choose another --out or delete that folder"
        )
    return [Video(**video) for video in saved["videos"]], bool(saved["complete"])


def _write_list(path: Path, key: dict[str, Any], videos: list[Video], complete: bool) -> None:
    rows = [asdict(video) for video in videos]
    _write_json(path, {"key": key, "complete": complete, "videos": rows})


def _write_json(path: Path, content: Any) -> None:
    with atomic_write(path) as temporary:
        temporary.write_text(json.dumps(content, indent=1, ensure_ascii=False), "utf-8")


def _flush(raw: BinaryIO, path: Path) -> None:
    try:
        raw.flush()
        os.fsync(raw.fileno())
    except OSError as error:
        raise save_error(path, error.strerror or str(error)) from error
