"""What a run leaves on disk: outputs/<home>/<name>.<job>/ with video, frames and recipe.

clip.mp4  clip.gif  frames/0001.png …   the recipe is inside each; a loop's GIF has no seam
recipe.json                             with the pictures of the keyframes, where they are small
keyframes/0001.png …                    those pictures, as they were fitted
thumb.jpg  about.json                   what the history shows, so that it reads nothing large
"""

from __future__ import annotations

import json
import math
import os
import shutil
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np

from fvdm_core import media
from fvdm_core.files import STALE_AFTER
from fvdm_core.measures import Changes
from fvdm_core.pictures import MAX_GIF_FPS, MAX_METADATA_BYTES
from fvdm_core.recipe import with_pictures
from ui.naming import Naming
from ui.room import below, changed, remove_empty, size_of
from ui.saved import Saved, home_name, is_name, job_of, new_name
from ui.sheets import make_ribbon

QUOTA = 4 * 2**30  # bytes of all runs together
SPARE = 64 * 2**20  # bytes that a save leaves free on the disk
MAX_IN_FRAMES = 32 * 2**20  # bytes of recipes in all frames of a run together
MOST_KEYS = 500  # of the newest runs of a session that are looked at
SAME = 2  # of 255: the most by which two decodings of one picture differ


class OutputError(ValueError):
    """The result could not be kept; the text says why and what to do."""


def loops(frames: np.ndarray) -> bool:
    """Whether a moving clip, uint8 (F, H, W, 3), ends with the frame that it began with."""

    def alike(frame: np.ndarray) -> bool:
        return int(np.abs(frames[0].astype(np.int16) - frame).max()) <= SAME

    return len(frames) > 2 and alike(frames[-1]) and not all(map(alike, frames))


def looped(frames: np.ndarray) -> np.ndarray:
    """What is played over and over: a loop without its last frame, which is the first again."""
    return frames[:-1] if loops(frames) else frames


class Outputs:
    """Keeps results below `root`, whole or not at all. Above `quota` the oldest of whoever has most
    are removed."""

    def __init__(self, root: Path, quota: int = QUOTA, naming: Naming | None = None) -> None:
        self.root = root.resolve()
        self.quota = quota
        self.naming = naming or Naming()
        self._lock = threading.Lock()
        try:
            self.root.mkdir(parents=True, exist_ok=True)
            for left_over in self.root.glob(".unfinished-*"):
                if time.time() - left_over.stat().st_mtime > STALE_AFTER:  # or another studio's
                    shutil.rmtree(left_over, ignore_errors=True)
        except OSError as error:
            raise OutputError(f"outputs {root}: {error.strerror}. Choose another folder.") from None

    def save(
        self,
        session: str,
        job: str,
        frames: np.ndarray,
        fps: int,
        recipe: Mapping[str, Any],
        pictures: Mapping[int, np.ndarray] | None = None,
        says: str = "",
        change: Changes | None = None,
        key: str = "",
    ) -> Saved:
        """Write a run: frames uint8 (N, H, W, 3). It appears under its name only when complete.

        pictures: {frame from 0: uint8 (H, W, 3)}, the keyframes as the model was given them.
        says: the run in a sentence, for the history. change: how its frames change. key: of its
            order, by which it is found again.

        Raises:
            OutputError: the disk is full or not writable.
        """
        if not (is_name(session) and is_name(job)):
            raise OutputError("A run is kept only under names that the studio made itself.")
        self._check_space(frames.nbytes)
        pictures = pictures or {}
        made = time.time()
        name = self.naming.name(recipe, len(frames), datetime.fromtimestamp(made))
        draft = self.root / f".unfinished-{job}"
        final = self.root / home_name(session) / f"{name}.{job}"
        about = {
            "made": made,
            "frames": len(frames),
            "fps": fps,
            "label": recipe.get("label"),
            "seed": recipe.get("seed"),
            "stopped": "stopped_after_step" in recipe,
            "says": says,
            "loops": loops(frames),
            "key": key,
            "motion": None if change is None else _known(change.motion),
            "seam": None if change is None else _known(change.seam),
        }
        bare = _json(recipe)
        text = _json(with_pictures(recipe, pictures))
        inside = _first_within(MAX_METADATA_BYTES, text, bare)
        in_frame = _first_within(MAX_IN_FRAMES // len(frames), text, bare)
        try:
            for folder in ("frames", "keyframes"):
                (draft / folder).mkdir(parents=True)
            for index, frame in enumerate(frames):
                media.write_png(_numbered(draft / "frames", index), frame, in_frame)
            for index, picture in pictures.items():
                media.write_png(_numbered(draft / "keyframes", index), picture)
            media.write_video(draft / "clip.mp4", frames, fps, metadata=inside)
            media.write_video(
                draft / "clip.gif", looped(frames), min(fps, MAX_GIF_FPS), metadata=inside
            )
            _write(draft / "recipe.json", text.encode())
            _write(draft / "about.json", _json(about).encode())
            _write(draft / "thumb.jpg", make_ribbon(frames))
            with self._lock:  # or an emptied folder is removed in between
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
        return Saved(final)

    def find(self, session: object, job: object) -> Saved | None:
        """The files of an earlier run, also one of before a restart; None where there are none."""
        return self.find_in(home_name(str(session)), job) if is_name(session) else None

    def find_in(self, home: object, job: object) -> Saved | None:
        """The same by the name of the session's folder, as addresses have it."""
        if not (is_name(home) and is_name(job)):
            return None
        for folder in below(self.root / str(home)):
            saved = Saved(folder)
            if saved.job == job and saved.recipe.is_file() and saved.video.is_file():
                return saved
        return None

    def runs(self, session: object) -> list[Saved]:
        """All runs of a session, the newest first; reads no more than the folder."""
        if not is_name(session):
            return []
        found = [
            (made, folder)
            for folder in below(self.root / home_name(str(session)))
            if is_name(job_of(folder)) and folder.is_dir() and (made := changed(folder))
        ]
        return [Saved(folder) for _, folder in sorted(found, reverse=True)]

    def by_key(self, session: object) -> dict[str, Saved]:
        """The whole runs of a session by the keys of their orders, the newest of each."""
        found: dict[str, Saved] = {}
        for saved in self.runs(session)[:MOST_KEYS]:
            about = saved.about()
            key = about.get("key")
            if isinstance(key, str) and key and not about.get("stopped"):
                found.setdefault(key, saved)
        return found

    def delete(self, session: object, job: object) -> bool:
        """Remove a run; False where there is none of that session and name."""
        saved = self.find(session, job)
        if saved is None:
            return False
        gone = self.root / f".unfinished-{new_name()}"  # at once, though removing takes a while
        try:
            os.replace(saved.folder, gone)
        except OSError as error:
            raise OutputError(f"The run could not be deleted: {error.strerror}.") from None
        shutil.rmtree(gone, ignore_errors=True)
        with self._lock:
            remove_empty(saved.folder.parent)
        return True

    @contextmanager
    def passing_folder(self) -> Iterator[Path]:
        """A folder on the same disk that is gone after the block, and after a crash at restart."""
        folder = self.root / f".unfinished-{new_name()}"
        folder.mkdir()
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)

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
            runs = [
                (changed(folder), size_of(folder), folder)
                for home in below(self.root)
                if is_name(home.name)
                for folder in below(home)
                if is_name(job_of(folder)) and folder.is_dir()
            ]
            taken = Counter[Path]()
            for _, size, folder in runs:
                taken[folder.parent] += size
            runs = sorted(run for run in runs if run[2] != keep)
            while runs and taken.total() > self.quota:
                most = max((folder.parent for _, _, folder in runs), key=taken.__getitem__)
                oldest = next(run for run in runs if run[2].parent == most)
                runs.remove(oldest)
                _, size, folder = oldest
                shutil.rmtree(folder, ignore_errors=True)
                remove_empty(folder.parent)
                taken[most] -= size


def _numbered(folder: Path, index: int) -> Path:
    """Files count from 1, as the page does."""
    return folder / f"{index + 1:04d}.png"


def _known(number: float) -> float | None:
    """A figure as JSON has it: three digits, and null where there is none."""
    return float(f"{number:.3g}") if math.isfinite(number) else None


def _json(value: Mapping[str, Any]) -> str:
    return json.dumps(value, indent=1, ensure_ascii=False, allow_nan=False)


def _first_within(size: int, *texts: str) -> str | None:
    return next((text for text in texts if len(text.encode()) <= size), None)


def _write(path: Path, data: bytes) -> None:
    with path.open("xb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def _sync(folder: Path) -> None:
    if os.name != "posix":
        return  # elsewhere a folder cannot be opened
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
