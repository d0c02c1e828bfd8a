"""Room on the disk: what lies in folders that others change, and how the oldest is removed."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

FILE_COST = 2**16  # bytes: a file of no size takes room too, in its folder and to be looked at


def trim(folder: Path, quota: int, spare: frozenset[Path] = frozenset()) -> int:
    """Remove the oldest files below `folder`, except `spare`, down to `quota` bytes.

    Returns the bytes that remain. Others may remove files meanwhile.
    """
    found = []
    for path in files_below(folder):
        with suppress(FileNotFoundError):
            if path.is_file() and not path.is_symlink():
                status = path.stat()
                found.append((status.st_mtime, status.st_size + FILE_COST, path))
    total = sum(size for _, size, _ in found)
    for _, size, path in sorted(found, key=lambda file: file[0]):
        if total <= quota:
            break
        if path not in spare:
            path.unlink(missing_ok=True)
            if path.parent != folder:
                remove_empty(path.parent)
            total -= size
    return total


def below(folder: Path) -> list[Path]:
    """What lies in a folder; nothing where it is gone, or is none. (`glob` raises in between.)"""
    with suppress(FileNotFoundError, NotADirectoryError):
        return list(folder.iterdir())
    return []


def files_below(folder: Path) -> Iterator[Path]:
    """All files below a folder, while others may remove some of them."""
    for place, _, names in os.walk(folder):
        yield from (Path(place, name) for name in names)


def remove_empty(folder: Path) -> None:
    with suppress(OSError):  # it is not empty, or gone
        folder.rmdir()


def size_of(folder: Path) -> int:
    """Bytes of a folder; of what is removed meanwhile, nothing."""
    total = 0
    for path in files_below(folder):
        with suppress(FileNotFoundError):
            total += path.stat().st_size
    return total


def changed(folder: Path) -> float:
    """When a folder was changed, in seconds; 0 where it is removed meanwhile."""
    with suppress(FileNotFoundError):
        return folder.stat().st_mtime
    return 0.0
