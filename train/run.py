"""The folder of a run: one trainer at a time, metrics, and states that survive a power cut."""

from __future__ import annotations

import fcntl
import json
import os
import signal
import sys
import time
import zipfile
from pathlib import Path
from types import FrameType
from typing import Any, BinaryIO

import torch

from fvdm_core.files import atomic_write, place
from fvdm_core.memory import out_of_memory

KEEP = 2  # states per stage: the newest and the one before it


class Stopped(Exception):
    """A signal asked the run to end; its state is saved."""


class Busy(ValueError):
    """Another process trains in the folder."""


class Run:
    """Owns `folder`: `metrics.jsonl`, `<stage>-<step>.pt` states, sample sheets and the lock.

    Of several processes that train as one, only the first writes; the others read.
    Raises `Busy` when another trainer holds the folder, `ValueError` when it cannot be written.
    """

    def __init__(self, folder: Path, writes: bool = True) -> None:
        self.folder = folder
        self.writes = writes
        self.stop_requested = False
        self.notes: dict[str, dict[str, bool]] = {}  # stage -> what is true of any step of it
        self._handlers: dict[int, Any] = {}  # signal -> what it did before the run
        if writes:
            self._take(folder)

    def _take(self, folder: Path) -> None:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._lock = (folder / "lock").open("w")
        except OSError as error:
            raise ValueError(
                f"cannot write to the run's folder {place(folder)}: {error.strerror}; "
                "choose another --out"
            ) from error
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise Busy(
                f"another training run is using {place(folder)}; "
                "wait for it or choose another --out"
            ) from error

    def close(self) -> None:
        """Let another trainer have the folder, and signals do what they did before."""
        if self.writes:
            self._lock.close()
        for number, handler in self._handlers.items():
            signal.signal(number, handler)
        self._handlers.clear()

    def catch_signals(self) -> None:
        """SIGTERM and SIGINT end the run after the current step; a second one ends it at once."""

        def request_stop(number: int, frame: FrameType | None) -> None:
            if self.stop_requested:
                raise KeyboardInterrupt
            self.stop_requested = True

        for number in (signal.SIGTERM, signal.SIGINT):
            self._handlers[number] = signal.signal(number, request_stop)

    def stop_if_asked(self, message: str) -> None:
        """Raise `Stopped` where a signal came."""
        if self.stop_requested:
            raise Stopped(message)

    def claim(self, identity: dict[str, Any], whole: Path | None = None) -> None:
        """Note what this folder's run is of, where that is not noted yet; `check` before."""
        self.check(identity, whole)
        if not self.begun:
            with atomic_write(self._identity) as temporary:
                # with the places in full, as the next start may be from elsewhere
                temporary.write_text(json.dumps(_located(identity), indent=1), "utf-8")

    def check(self, identity: dict[str, Any], whole: Path | None = None) -> None:
        """Raise `ValueError` where the folder's run is of something else.

        Lengths and rates may change from one start to the next; data, networks and seed may not.
        `whole` is the folder to delete to start over, where this one is a part of it.
        """
        if not self.begun:
            return
        earlier = json.loads(self._identity.read_text("utf-8"))
        before, now = _located(earlier), _located(json.loads(json.dumps(identity)))
        different = [key for key in now if _set(before.get(key)) != _set(now[key])]
        if different:
            raise ValueError(
                f"{place(self.folder)} holds a run with another {', '.join(different)}; choose "
                f"another --out, or delete {place(whole) if whole else 'that folder'} to start "
                "over"
            )

    @property
    def begun(self) -> bool:
        """Whether the folder holds a run already."""
        return self._identity.exists()

    @property
    def _identity(self) -> Path:
        return self.folder / "run.json"

    def log(self, **values: Any) -> None:
        if not self.writes:
            return
        with (self.folder / "metrics.jsonl").open("ab+") as file:
            if _is_torn(file):
                file.write(b"\n")
            file.write(json.dumps({"time": round(time.time(), 2), **values}).encode() + b"\n")

    def save_state(self, stage: str, step: int, state: dict[str, Any]) -> None:
        """Write a state whole or not at all, and drop the ones before the last.

        Those of later steps go too: the run could not read them, or it would be behind them.
        """
        if not self.writes:
            return
        newest = self.folder / f"{stage}-{step:08d}.pt"
        with atomic_write(newest) as temporary, temporary.open("wb") as file:
            try:
                torch.save({"stage": stage, "step": step, **state}, file)
            except RuntimeError as error:  # torch's own, in which a full disk is not to be seen
                if isinstance(full := error.__context__, OSError):
                    raise full from None
                raise
        states = self._states(stage)
        there = states.index(newest)
        for other in states[:there] + states[there + KEEP :]:
            other.unlink()

    def load_state(self, stage: str) -> dict[str, Any] | None:
        """The newest state that can be read; a damaged one is passed over, said and logged.

        None where there is no state. Raises `ValueError` where there are some and all are damaged,
        and what the disk or memory that ran out raise, where it is not the file that is wrong.
        """
        states = self._states(stage)
        for path in states:
            try:
                with zipfile.ZipFile(path) as archive:  # torch itself does not compare checksums
                    if (record := archive.testzip()) is not None:
                        raise ValueError(f"the checksum of {record} is wrong")
                # mapped: each process of a machine would hold a copy of the whole state
                return torch.load(path, map_location="cpu", weights_only=True, mmap=True)
            except Exception as error:  # any damage: a cut zip, a bad header, a missing record
                if isinstance(error, OSError) or out_of_memory(error):
                    raise
                reason = f"{type(error).__name__}: {error}"[:200]
                self.log(event="state skipped", file=path.name, reason=reason)
                if self.writes:
                    print(f"{path.name} is damaged and was passed over", file=sys.stderr)
        if states:
            raise ValueError(
                f"no state of the {stage} in {place(self.folder)} can be read; delete "
                f"{stage}-*.pt there to begin this stage anew, or choose another --out"
            )
        return None

    def newest(self, stage: str) -> int:
        """The step of the stage's newest state, 0 without any."""
        return max((int(path.stem.rpartition("-")[2]) for path in self._states(stage)), default=0)

    def _states(self, stage: str) -> list[Path]:
        return sorted(self.folder.glob(f"{stage}-????????.pt"), reverse=True)


def _is_torn(file: BinaryIO) -> bool:
    """Whether a power cut ended the last line half way, so that the next would be lost with it."""
    if not file.tell():
        return False
    file.seek(-1, os.SEEK_END)
    return file.read(1) != b"\n"


def _located(identity: dict[str, Any]) -> dict[str, Any]:
    data = identity.get("data")
    return identity | {"data": located(data)} if isinstance(data, dict) else identity


def located(data: dict[str, Any]) -> dict[str, Any]:
    """With the places of the data in full: however typed, the same folder is the same data."""
    places = {"folder": data.get("folder"), "labels": data.get("labels")}
    full = {
        name: str(Path(text).resolve())
        for name, text in places.items()
        if text and (name == "folder" or text.lower().endswith(".csv"))
    }
    return data | full


def _set(value: Any) -> Any:
    """Without what is empty, 0 or False: a setting that is younger than a run is off in it."""
    if isinstance(value, dict):
        return {key: _set(inner) for key, inner in value.items() if inner}
    return value or None
