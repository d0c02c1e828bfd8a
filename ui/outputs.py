"""What a run leaves on disk: outputs/<session>/<job>/ with the video, its frames and the recipe."""

from __future__ import annotations

import json
import os
import re
import secrets
import shutil
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from fvdm_core import media
from fvdm_core.pictures import MAX_METADATA_BYTES

NAME = re.compile(r"[A-Za-z0-9_-]{16,64}")  # what `new_name` and the job registry make
QUOTA = 4 * 2**30  # bytes of all runs together
SPARE = 64 * 2**20  # bytes that a save leaves free on the disk


class OutputError(ValueError):
    """The result could not be kept; the text says why and what to do."""


@dataclass(frozen=True)
class Saved:
    """The files of one finished run."""

    folder: Path
    video: Path
    gif: Path
    recipe: Path

    @property
    def frames(self) -> list[Path]:
        return sorted((self.folder / "frames").glob("*.png"))


def new_name() -> str:
    """A folder name that nobody can guess."""
    return secrets.token_urlsafe(16)


def is_name(text: object) -> bool:
    """Whether `text` is a name of our own making, so neither a path nor somebody's idea of one."""
    return isinstance(text, str) and NAME.fullmatch(text) is not None


class Outputs:
    """Keeps results below `root`, whole or not at all, and removes the oldest above `quota`."""

    def __init__(self, root: Path, quota: int = QUOTA) -> None:
        self.root = root.resolve()
        self.quota = quota
        self._lock = threading.Lock()
        try:
            self.root.mkdir(parents=True, exist_ok=True)
            for left_over in self.root.glob(".unfinished-*"):
                shutil.rmtree(left_over, ignore_errors=True)
        except OSError as error:
            raise OutputError(f"outputs {root}: {error.strerror}. Choose another folder.") from None

    def save(
        self, session: str, job: str, frames: np.ndarray, fps: int, recipe: dict[str, Any]
    ) -> Saved:
        """Write a run: frames uint8 (F, H, W, 3). It appears under its name only when complete.

        Raises:
            OutputError: the disk is full or not writable.
        """
        if not (is_name(session) and is_name(job)):
            raise OutputError("A run is kept only under names that the studio made itself.")
        self._check_space(frames.nbytes)
        draft = self.root / f".unfinished-{job}"
        final = self.root / session / job
        text = json.dumps(recipe, indent=1, ensure_ascii=False, allow_nan=False)
        inside = text if len(text.encode()) <= MAX_METADATA_BYTES else None
        try:
            (draft / "frames").mkdir(parents=True)
            for index, frame in enumerate(frames):
                media.write_png(draft / "frames" / f"{index + 1:04d}.png", frame)
            for name in ("clip.mp4", "clip.gif"):
                media.write_video(draft / name, frames, fps, metadata=inside)
            _write(draft / "recipe.json", text.encode())
            final.parent.mkdir(exist_ok=True)
            os.replace(draft, final)
            _sync(final.parent)
        except OSError as error:
            raise OutputError(
                f"The result could not be saved ({error.strerror or type(error).__name__}; "
                f"{self._free() >> 20} MB are free). Make room in the outputs folder, then "
                "generate again."
            ) from None
        finally:
            shutil.rmtree(draft, ignore_errors=True)
        self._remove_oldest(keep=final)
        return _saved(final)

    def find(self, session: object, job: object) -> Saved | None:
        """The files of an earlier run, also one of before a restart; None where there are none."""
        if not (is_name(session) and is_name(job)):
            return None
        saved = _saved(self.root / str(session) / str(job))
        return saved if saved.recipe.is_file() and saved.video.is_file() else None

    def _free(self) -> int:
        return shutil.disk_usage(self.root).free

    def _check_space(self, size: int) -> None:
        free = self._free()
        if free < size + SPARE:
            raise OutputError(
                f"The disk is nearly full: {free >> 20} MB are free, {(size + SPARE) >> 20} MB are "
                "needed. Make room in the outputs folder, then generate again."
            )

    def _remove_oldest(self, keep: Path) -> None:
        with self._lock:
            runs = []
            for folder in self.root.glob("*/*"):
                if folder.is_dir() and is_name(folder.parent.name) and is_name(folder.name):
                    runs.append((folder.stat().st_mtime, _size(folder), folder))
            total = sum(size for _, size, _ in runs)
            for _, size, folder in sorted(runs, key=lambda run: run[0]):
                if total <= self.quota:
                    break
                if folder != keep:
                    shutil.rmtree(folder, ignore_errors=True)
                    total -= size


def trim(folder: Path, quota: int, spare: frozenset[Path] = frozenset()) -> int:
    """Remove the oldest files below `folder`, except `spare`, down to `quota` bytes.

    Returns the bytes that remain.
    """
    files = []
    for path in folder.rglob("*"):
        if path.is_file() and not path.is_symlink():
            status = path.stat()
            files.append((status.st_mtime, status.st_size, path))
    total = sum(size for _, size, _ in files)
    for _, size, path in sorted(files, key=lambda file: file[0]):
        if total <= quota:
            break
        if path not in spare:
            path.unlink(missing_ok=True)
            total -= size
    return total


def _size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def _saved(folder: Path) -> Saved:
    return Saved(folder, folder / "clip.mp4", folder / "clip.gif", folder / "recipe.json")


def _write(path: Path, data: bytes) -> None:
    with path.open("xb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
