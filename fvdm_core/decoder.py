"""Child processes that decode what anyone may have sent, confined before they see the file.

As a module it starts the child and reads from it. As a script (standard library only) it *is* the
child: it limits its own memory, processor time and files, and then becomes the decoder. Limits set
between fork and exec would not be safe in a server with threads, so a small script sets them.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import IO

_KEPT_ENVIRONMENT = ("PATH", "SYSTEMROOT", "LD_LIBRARY_PATH", "TMPDIR", "TEMP")
_KEPT_MESSAGES = 8192  # bytes of what the child says; a hostile file can make it talk for ever


@dataclass(frozen=True)
class ChildLimits:
    """What a child may use: bytes of address space, seconds of processor and of wall clock."""

    memory: int = 4 << 30
    cpu_seconds: int = 120
    wall_seconds: float = 180.0


@dataclass
class Child:
    """A running child: read `output`; after the block, `status` and `messages` say how it went."""

    output: IO[bytes]
    status: int | None = None
    timed_out: bool = False
    messages: str = field(default="")

    @property
    def failure(self) -> str | None:
        """Why the child did not end well, in words for a person, or None."""
        if self.timed_out or self.status in (-24, 152):  # SIGXCPU
            return "takes too long to decode; make it shorter or smaller"
        if "Cannot allocate memory" in self.messages:
            return "needs more memory than decoding may take; make its pictures smaller"
        if self.status is not None and self.status < 0:
            return "made the decoder stop; the file is damaged"
        return "is damaged or cut short" if self.status else None


@contextmanager
def confined(command: list[str], limits: ChildLimits) -> Iterator[Child]:
    """Runs a program under `limits`; its standard output is `child.output`.

    Leaving the block ends the child, also when nobody read all of its output.
    """
    if os.name == "posix":
        own = json.dumps([limits.memory, limits.cpu_seconds])
        command = [sys.executable, "-I", "-S", __file__, own, *command]
    process = subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={
            "OPENBLAS_NUM_THREADS": "1",  # each would take memory that numpy does not need here
            **{name: os.environ[name] for name in _KEPT_ENVIRONMENT if name in os.environ},
        },
        start_new_session=True,  # Ctrl-C is for us: it would look like a damaged file
    )
    assert process.stdout is not None and process.stderr is not None
    child = Child(process.stdout)

    def stop() -> None:
        child.timed_out = True
        process.kill()

    messages = bytearray()

    def listen(stream: IO[bytes]) -> None:
        while chunk := stream.read1(4096):  # type: ignore[attr-defined]
            messages.extend(chunk[: _KEPT_MESSAGES - len(messages)])

    timer = threading.Timer(limits.wall_seconds, stop)
    listener = threading.Thread(target=listen, args=(process.stderr,), daemon=True)
    timer.start()
    listener.start()
    try:
        yield child
        process.stdout.close()  # a child that still writes gets a broken pipe
        with suppress(subprocess.TimeoutExpired):
            process.wait(timeout=2)
    finally:
        process.kill()
        child.status = process.wait()
        timer.cancel()
        listener.join()
        process.stdout.close()
        process.stderr.close()
        child.messages = messages.decode("utf-8", "replace")


def ffmpeg() -> str:
    """The path of imageio-ffmpeg's own binary. Raises `RuntimeError` where it is missing."""
    import imageio_ffmpeg

    return imageio_ffmpeg.get_ffmpeg_exe()


def decoding(arguments: list[str]) -> list[str]:
    """The command that runs ffmpeg as a decoder."""
    return [ffmpeg(), "-hide_banner", "-nostdin", "-v", "error", *arguments]


def _become(limits: str, command: list[str]) -> None:
    """Limits this process and replaces it by `command`."""
    memory, cpu_seconds = json.loads(limits)
    try:
        import resource
    except ImportError:  # not on this system: time out by the wall clock only
        pass
    else:
        for what, soft, hard in (
            (resource.RLIMIT_AS, memory, memory),
            (resource.RLIMIT_CPU, cpu_seconds, cpu_seconds + 2),  # SIGXCPU first, which says why
            (resource.RLIMIT_FSIZE, 0, 0),  # a decoder has nothing to write
            (resource.RLIMIT_CORE, 0, 0),
        ):
            with suppress(ValueError, OSError):  # macOS refuses some of them
                resource.setrlimit(what, (soft, hard))
    os.execv(command[0], command)


if __name__ == "__main__":
    _become(sys.argv[1], sys.argv[2:])
