"""Opening only plain files, and writing files that are either the old one or the new one, whole."""

from __future__ import annotations

import errno
import os
import secrets
import shutil
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

STALE_AFTER = 3600.0  # seconds; a temporary file this old was left by a process that died


class SaveError(OSError):
    """A file could not be written; the message names the file, the reason and the free space."""


def is_program(source: str) -> bool:
    """Whether what names a model is a Python file that makes it (`fvdm_core.own`)."""
    return source.endswith(".py") and Path(source).expanduser().is_file()


def file_name(path: str | os.PathLike[str]) -> str:
    """The name of a file as messages show it: never its folders, and never very long."""
    name = Path(path).name or "the file"
    return name if len(name) <= 80 else f"{name[:60]}…{name[-16:]}"


def place(path: str | os.PathLike[str]) -> str:
    """A path as messages about saving show it: relative to here, or to the home folder as `~`."""
    full = Path(os.path.abspath(path))
    full = full.with_name(file_name(full))
    home = Path(os.path.expanduser("~"))  # Path.home() raises where nobody has one
    for base, shown in ((Path.cwd(), "."), (home, "~")):
        if base.is_absolute() and base != Path(base.anchor) and full.is_relative_to(base):
            return str(Path(shown) / full.relative_to(base))
    return str(full)


def open_plain(path: str | os.PathLike[str], what: str = "file") -> BinaryIO:
    """Opens a regular file for reading; a pipe, a device or a folder never blocks or opens.

    Raises `ValueError` that names the file and the reason.
    """
    name = file_name(path)
    # O_NONBLOCK, because opening a FIFO that nobody writes to would wait for ever
    flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
    try:
        if os.path.isdir(path):
            raise ValueError(f"{name} is a folder; choose a {what}")
        descriptor = os.open(path, flags)
    except FileNotFoundError:
        raise ValueError(f"{name} does not exist; choose another {what}") from None
    except OSError as error:
        if error.errno == errno.ENAMETOOLONG:
            length = len(Path(path).name)
            raise ValueError(
                f"the file name {name} has {length} characters, more than this computer allows; "
                "rename the file"
            ) from None
        raise ValueError(f"{name} cannot be opened: {error.strerror}") from None
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise ValueError(f"{name} is a pipe or a device, not a plain file; choose a {what}")
    return os.fdopen(descriptor, "rb")


@contextmanager
def atomic_write(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Gives a temporary path in the folder of `path`; when the block ends well it becomes `path`.

    The data are on the disk before the name changes, so a power cut or kill −9 at any moment leaves
    the old file or the new one. When the block fails, the old file is untouched.

    Raises `SaveError` where the disk is full or the folder cannot be written.
    """
    target = Path(path)
    temporary = target.with_name(f"{_start(target)}{secrets.token_hex(4)}.tmp")
    try:
        _remove_stale(target)
        # created here, with the usual permissions, so that no other program can come first
        os.close(os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))
        permissions = stat.S_IMODE(temporary.stat().st_mode)
        try:
            yield temporary
            with suppress(OSError):  # not all file systems know permissions
                os.chmod(temporary, permissions)  # safetensors puts a private file of its own there
            _flush(temporary)
            os.replace(temporary, target)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
        if os.name == "posix":
            _flush(target.parent)
    except SaveError:
        raise
    except OSError as error:
        raise save_error(target, error.strerror or str(error)) from error


def make_folder(path: Path) -> None:
    """A folder and those that it lies in, where they are not there; `SaveError` if they cannot."""
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise save_error(path, error.strerror or type(error).__name__) from error


def save_error(path: str | os.PathLike[str], reason: str) -> SaveError:
    """The error for a file that could not be written, with the place and the space that is left."""
    try:
        free = shutil.disk_usage(Path(path).parent).free
        space = f"{free / 1e9:.1f} GB are free there" if free >= 1e8 else f"{free} bytes are free"
    except OSError:
        space = "its folder cannot be read"
    error = SaveError(
        f"{place(path)} cannot be written: {reason} ({space}); what was there is kept"
    )
    error.strerror = reason  # for who says in own words where
    return error


def _flush(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY if path.is_dir() else os.O_RDWR)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _start(target: Path) -> str:
    """How the names of a file's temporaries begin: file systems allow 255 bytes."""
    name = target.name.encode("utf-8", "surrogateescape")[:100].decode("utf-8", "ignore")
    return f".{name}."


def _remove_stale(target: Path) -> None:
    """Removes what a killed process left while it wrote this same file."""
    start = _start(target)
    for entry in os.scandir(target.parent):
        ours = entry.name.startswith(start) and entry.name.endswith(".tmp")
        if not ours or len(entry.name) != len(start) + len("01234567.tmp"):
            continue
        with suppress(FileNotFoundError):  # another writer of the same file has just finished
            if time.time() - entry.stat().st_mtime > STALE_AFTER:
                Path(entry.path).unlink()
