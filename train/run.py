"""The folder of a run: one trainer at a time, metrics, and states that survive a power cut."""

from __future__ import annotations

import fcntl
import json
import signal
import time
import zipfile
from pathlib import Path
from types import FrameType
from typing import Any

import torch

from fvdm_core.files import atomic_write, place

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
        """Let another trainer have the folder."""
        if self.writes:
            self._lock.close()

    def catch_signals(self) -> None:
        """SIGTERM and SIGINT end the run after the current step; a second one ends it at once."""

        def request_stop(number: int, frame: FrameType | None) -> None:
            if self.stop_requested:
                raise KeyboardInterrupt
            self.stop_requested = True

        signal.signal(signal.SIGTERM, request_stop)
        signal.signal(signal.SIGINT, request_stop)

    def stop_if_asked(self, message: str) -> None:
        """Raise `Stopped` where a signal came."""
        if self.stop_requested:
            raise Stopped(message)

    def claim(self, identity: dict[str, Any]) -> None:
        """Note what this folder's run is of, or raise `ValueError` where it is of something else.

        Lengths and rates may change from one start to the next; data, networks and seed may not.
        """
        path = self.folder / "run.json"
        identity = json.loads(json.dumps(identity))
        if path.exists():
            earlier = json.loads(path.read_text("utf-8"))
            different = [key for key in identity if _set(earlier.get(key)) != _set(identity[key])]
            if different:
                raise ValueError(
                    f"{place(self.folder)} holds a run with another {', '.join(different)}; "
                    "choose another --out, or delete that folder to start over"
                )
            return
        with atomic_write(path) as temporary:
            temporary.write_text(json.dumps(identity, indent=1), "utf-8")

    def log(self, **values: Any) -> None:
        if not self.writes:
            return
        with (self.folder / "metrics.jsonl").open("a") as file:
            file.write(json.dumps({"time": round(time.time(), 2), **values}) + "\n")

    def save_state(self, stage: str, step: int, state: dict[str, Any]) -> None:
        """Write a state whole or not at all, and drop the ones before the last."""
        if not self.writes:
            return
        with atomic_write(self.folder / f"{stage}-{step:08d}.pt") as temporary:
            torch.save({"stage": stage, "step": step, **state}, temporary)
        for old in self._states(stage)[KEEP:]:
            old.unlink()

    def load_state(self, stage: str) -> dict[str, Any] | None:
        """The newest state that can be read; a damaged one is passed over and logged."""
        for path in self._states(stage):
            try:
                with zipfile.ZipFile(path) as archive:  # torch itself does not compare checksums
                    if (record := archive.testzip()) is not None:
                        raise ValueError(f"the checksum of {record} is wrong")
                return torch.load(path, map_location="cpu", weights_only=True)
            except Exception as error:  # any damage: a cut zip, a bad header, a missing record
                reason = f"{type(error).__name__}: {error}"[:200]
                self.log(event="state skipped", file=path.name, reason=reason)
        return None

    def _states(self, stage: str) -> list[Path]:
        return sorted(self.folder.glob(f"{stage}-????????.pt"), reverse=True)


def _set(value: Any) -> Any:
    """Without what is empty, 0 or False: a setting that is younger than a run is off in it."""
    if isinstance(value, dict):
        return {key: _set(inner) for key, inner in value.items() if inner}
    return value or None
