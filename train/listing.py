"""What became of each file of a folder, one line per file, and an index from clips to files.

Lines are only appended, and the index is mapped from the disk, so neither a long folder nor many
clips make a start slower or take memory.
"""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, overload

import numpy as np

from fvdm_core.files import atomic_write, save_error

from .run import located

FILES, INDEX, SUMMARY, SKIPPED = "files.jsonl", "clips-index.npy", "files.json", "skipped.json"
OFFSET, START, LABEL, STILL, SIZE, BYTE = range(6)  # columns of the index
UNPRINTABLE = "backslashreplace"  # file names may hold bytes that are no text; as JSON escapes them


@dataclass(frozen=True)
class File:
    """What became of a file: how many clips it gave, or why it gave none.

    One that was to give no more than its share has a line for each part that was read.
    """

    file: str  # below the folder, with forward slashes
    clips: int
    label: str = ""
    still: bool = False  # a picture
    reason: str = ""  # why no more: a few words, the same for all files of a kind
    message: str = ""  # what exactly was wrong
    size: int = 0  # which of the sizes its clips have
    first: int = 0  # clips of it that earlier lines have
    more: bool = False  # whether it may have some behind these


@dataclass(frozen=True)
class Summary:
    """What a whole folder came to."""

    clips: int  # stills included
    stills: int
    videos: int  # that gave clips
    labels: tuple[str, ...]
    skipped: dict[str, int] = field(default_factory=dict)  # reason -> files, most frequent first
    unread: int = 0  # files, since there were clips enough
    partly: int = 0  # videos that are damaged behind their last clip
    unmatched: str = ""  # in words, the labels of files that are not there

    def __str__(self) -> str:
        stills = f", pictures: {self.stills}" if self.stills else ""
        labels = f", labels: {len(self.labels)}" if self.labels else ""
        skipped = sum(self.skipped.values())
        unread = f"; {self.unread} not read, as --max-clips was reached" if self.unread else ""
        unmatched = f"; {self.unmatched}" if self.unmatched else ""
        partly = f"; {self.partly} read in part: {SKIPPED} says why" if self.partly else ""
        return (
            f"{self.clips - self.stills} clips from {self.videos} videos{stills}{labels}; "
            f"{skipped} skipped: {counted(self.skipped)}{partly}{unread}{unmatched}"
        )


def counted(reasons: dict[str, int]) -> str:
    return ", ".join(f"{count} {reason}" for reason, count in reasons.items()) or "none"


class Listing:
    """The lines of a folder of clips, of which `key` says what they depend on.

    Raises `ValueError` where the folder holds the clips of something else.
    """

    def __init__(self, folder: Path, key: dict[str, Any]) -> None:
        self.folder = folder
        self.key = {name: value for name, value in key.items() if value}
        folder.mkdir(parents=True, exist_ok=True)
        self.saved = self._read_summary()

    @property
    def summary(self) -> Summary | None:
        """None until every file was read."""
        if "clips" not in self.saved:
            return None
        values = {name: value for name, value in self.saved.items() if name != "key"}
        return Summary(**{**values, "labels": tuple(values["labels"])})

    def files(self) -> Iterator[tuple[int, File]]:
        """Each listed file with the place of its line."""
        path = self.folder / FILES
        if not path.exists():
            return
        with path.open("rb") as lines:
            offset = 0
            for line in lines:
                yield offset, File(**json.loads(line))
                offset += len(line)

    def begin(self) -> None:
        """Make the folder one of this key, or drop a last line that was cut short."""
        path = self.folder / FILES
        if not self.saved:
            self._write_json(SUMMARY, {"key": self.key})
            path.unlink(missing_ok=True)
        elif path.exists():
            with path.open("r+b") as lines:
                lines.truncate(sum(len(line) for line in lines if line.endswith(b"\n")))

    def add(self, file: File) -> None:
        """Append a line, safe from a power cut when this returns."""
        text = json.dumps(asdict(file), ensure_ascii=False) + "\n"
        path = self.folder / FILES
        try:
            with path.open("ab") as lines:
                lines.write(text.encode("utf-8", UNPRINTABLE))
                lines.flush()
                os.fsync(lines.fileno())
        except OSError as error:
            raise save_error(path, error.strerror or str(error)) from error

    def finish(
        self, hop: int, clip_bytes: Sequence[int], unread: int = 0, unmatched: str = ""
    ) -> Summary:
        """Write the index, `skipped.json` and the summary, from which later starts go on.

        `hop` is the distance of a video's clips, in frames, `clip_bytes` what a clip of each size
        takes; `unread` how many files were left out; `unmatched` is the summary's.
        """
        clips, stills, videos, partly = 0, 0, 0, 0
        labels, reasons, skipped = set(), Counter[str](), []
        for _, file in self.files():
            clips += file.clips
            stills += file.clips if file.still else 0
            if file.clips or file.first:
                videos += not file.still and not file.first
                labels.add(file.label)
                partly += bool(file.reason)
            else:
                reasons[file.reason] += 1
            if file.reason:
                told = {"reason": file.reason, "message": file.message}
                skipped.append({"file": file.file, **told, "clips": file.first + file.clips})
        names = tuple(sorted(labels - {""}))
        skips = dict(reasons.most_common())
        summary = Summary(clips, stills, videos, names, skips, unread, partly, unmatched)
        self._write_json(SKIPPED, skipped)
        if clips:
            self._write_index(clips, names, hop, clip_bytes)
            self.saved = {"key": self.key, **asdict(summary)}
            self._write_json(SUMMARY, self.saved)
        return summary

    def forget(self) -> None:
        """Let the next call read every file again, as they may have been mended."""
        (self.folder / SUMMARY).unlink(missing_ok=True)

    def index(self) -> np.ndarray:
        """int64 (clips, 6), mapped: the place of the file's line, the first frame, label, still,
        the number of its size, and where its bytes begin."""
        return np.load(self.folder / INDEX, mmap_mode="r")

    def _write_index(
        self, clips: int, labels: tuple[str, ...], hop: int, clip_bytes: Sequence[int]
    ) -> None:
        numbers = {label: number for number, label in enumerate(labels)}
        with atomic_write(self.folder / INDEX) as temporary:
            rows = np.lib.format.open_memmap(temporary, "w+", np.int64, (clips, 6))
            row, begin = 0, 0
            for offset, file in self.files():
                label = numbers.get(file.label, 0)
                for k in range(file.clips):
                    rows[row] = offset, (file.first + k) * hop, label, file.still, file.size, begin
                    row, begin = row + 1, begin + clip_bytes[file.size]
            rows.flush()

    def _read_summary(self) -> dict[str, Any]:
        path = self.folder / SUMMARY
        if not path.exists():
            return {}
        saved = json.loads(path.read_text("utf-8"))
        before = located(saved["key"])
        different = [
            name for name in {**before, **self.key} if before.get(name) != self.key.get(name)
        ]
        if different:
            raise ValueError(
                f"{path} was made from other data ({', '.join(different)} differ); give the "
                "options that it was made with, choose another --out, or delete that folder"
            )
        return saved

    def _write_json(self, name: str, content: Any) -> None:
        with atomic_write(self.folder / name) as temporary:
            text = json.dumps(content, indent=1, ensure_ascii=False)
            temporary.write_text(text, "utf-8", UNPRINTABLE)


class Names(Sequence[str]):
    """The clips' names, `file@first frame`, each read from its file's line when it is asked for."""

    def __init__(self, listing: Listing) -> None:
        self._path = listing.folder / FILES
        self._index = listing.index()

    def __len__(self) -> int:
        return len(self._index)

    @overload
    def __getitem__(self, at: int) -> str: ...

    @overload
    def __getitem__(self, at: slice) -> list[str]: ...

    def __getitem__(self, at: int | slice) -> str | list[str]:
        if isinstance(at, slice):
            return [self[k] for k in range(*at.indices(len(self)))]
        row = self._index[at]
        with self._path.open("rb") as lines:
            lines.seek(int(row[OFFSET]))
            file = File(**json.loads(lines.readline()))
        return file.file if file.still else f"{file.file}@{int(row[START])}"
