"""What runs are downloaded as, made when asked for: runs/<home>/<job>/<file>, or grid.<ending>.

The two names are the key: nobody guesses them, and nothing else is ever served from here. The first
is not the session's own name, which may delete and stop, but made of it (`ui.outputs.home_name`).
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import anyio
import anyio.to_thread
import numpy as np
from starlette.requests import Request
from starlette.responses import FileResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route

from fvdm_core import media
from fvdm_core.pictures import MAX_GIF_FPS, write_png
from ui.grids import grid, read_picture
from ui.outputs import Outputs, looped
from ui.requests import MOST_FPS
from ui.saved import Saved
from ui.sweeping import MAX_RUNS

ENCODERS = 2  # at a time; more would only slow the runs down
MOST_WAITING = 8  # for one of them
CHUNK = 1 << 20
VIDEOS = {"mp4": "video/mp4", "webm": "video/webm", "gif": "image/gif"}
KINDS = VIDEOS | {"png": "image/png"}
MAX_LABEL = 60  # characters beside a row of a grid


class Downloads:
    """The routes of the files of all runs. `code` writes a run as a Python program."""

    def __init__(self, outputs: Outputs, code: Callable[[Saved], str]) -> None:
        self.outputs = outputs
        self.code = code
        self.encoders: anyio.CapacityLimiter | None = None  # belongs to the server's event loop

    def routes(self) -> list[Route]:
        return [
            Route("/runs/{home}/grid.{ending}", self.grid),
            Route("/runs/{home}/{job}/{file:path}", self.answer),
        ]

    async def grid(self, request: Request) -> Response:
        """Clips side by side, as a film or, of one frame, a picture: ?job=…&column=…&row=…, a `job`
        for each cell, row by row, empty where there is none, and `frame` of a picture."""
        home, ending = request.path_params["home"], request.path_params["ending"]
        asked = request.query_params
        jobs, columns, rows = (asked.getlist(name) for name in ("job", "column", "row"))
        names = [*columns, *rows]
        frame = asked.get("frame", "0")
        if (
            ending not in (*VIDEOS, "png")
            or not 0 < len(jobs) <= MAX_RUNS
            or len(jobs) != len(columns) * len(rows)
            or max(map(len, names)) > MAX_LABEL
            or not (frame.isdecimal() and len(frame) < 5)
        ):
            return PlainTextResponse("There is no such grid.", 404)

        def write(path: Path) -> None:
            found = [self.outputs.find_in(home, job) for job in jobs]
            clips = [[] if saved is None else saved.frames for saved in found]
            fps = next((int(saved.about().get("fps") or 8) for saved in found if saved), 8)
            film = grid(clips, columns, rows, int(frame) if ending == "png" else None)
            if ending == "png":
                write_png(path, film[0])
            else:
                rate = min(fps, MAX_GIF_FPS) if ending == "gif" else fps
                media.write_video(path, film, rate)

        response = await self._made(request, f"sweep.{ending}", write)
        response.headers["X-Content-Type-Options"] = "nosniff"
        return response

    async def answer(self, request: Request) -> Response:
        """The file that the address names, or 404 in the same words for all that is not there."""
        parts = request.path_params
        saved = self.outputs.find_in(parts["home"], parts["job"])
        try:
            response = None if saved is None else await self._file(saved, parts["file"], request)
        except ValueError:  # of the program that would repeat it
            response = PlainTextResponse("The recipe of this run is damaged.", 410)
        if response is None:
            response = PlainTextResponse("This run is not here, or no longer.", 404)
        response.headers["X-Content-Type-Options"] = "nosniff"
        return response

    async def _file(self, saved: Saved, file: str, request: Request) -> Response | None:
        stem, _, ending = file.rpartition(".")
        if file == "thumb.jpg" and saved.thumb.is_file():
            kept = {"Cache-Control": "private, max-age=86400, immutable"}
            return FileResponse(saved.thumb, media_type="image/jpeg", headers=kept)
        if file == "recipe.json":
            return _attached(saved.recipe, f"{saved.name}.json")
        if file == "run.py":
            return PlainTextResponse(await anyio.to_thread.run_sync(self.code, saved))
        if file == "frames.zip":
            code = await anyio.to_thread.run_sync(self.code, saved)
            return _streamed(zipped(saved, code), "application/zip", f"{saved.name}.zip")
        if file.startswith("frame/") and ending == "png" and stem[6:].isdecimal():
            frames = saved.frames
            index = int(stem[6:10])
            if index < len(frames):
                return _attached(frames[index], f"{saved.name}-{index + 1:04d}.png")
        if stem == "clip" and ending in VIDEOS:
            return await self._video(saved, ending, request)
        return None

    async def _video(self, saved: Saved, ending: str, request: Request) -> Response:
        fps = request.query_params.get("fps")
        usual = int(saved.about().get("fps") or 0)
        wanted = usual or 8
        if fps is not None:
            if not (fps.isdecimal() and len(fps) < 5 and 1 <= int(fps) <= MOST_FPS):
                return PlainTextResponse(f"fps must be a whole number from 1 to {MOST_FPS}.", 400)
            wanted = int(fps)
        name = f"{saved.name}.{ending}"
        if ending != "webm" and wanted == usual:
            return _attached(saved.video if ending == "mp4" else saved.gif, name)
        return await self._made(request, name, lambda path: encode(saved, path, wanted))

    async def _made(self, request: Request, name: str, write: Callable[[Path], None]) -> Response:
        """What `write` writes to a path of this ending, under a name, when it is its turn."""
        self.encoders = self.encoders or anyio.CapacityLimiter(ENCODERS)
        if self.encoders.statistics().tasks_waiting >= MOST_WAITING:
            return PlainTextResponse("Too many clips are being written. Try again later.", 503)
        ending = name.rpartition(".")[2]
        stack = ExitStack()
        try:
            async with self.encoders:
                if await request.is_disconnected():  # while it waited
                    return Response(status_code=499)
                folder = stack.enter_context(self.outputs.passing_folder())
                path = folder / f"clip.{ending}"
                await anyio.to_thread.run_sync(write, path)
        except (OSError, ValueError) as error:
            stack.close()
            why = error.strerror if isinstance(error, OSError) else error  # not where, in a path
            return PlainTextResponse(f"The clip could not be written: {why}", 507)
        except BaseException:
            stack.close()
            raise
        return _streamed(_read(path, stack), KINDS[ending], name)


def encode(saved: Saved, path: Path, fps: int) -> None:
    """Write the run's frames as a video, by the ending of `path`, with its recipe inside.

    Raises `ValueError` or `OSError` in words where that is not possible.
    """
    frames = np.stack([read_picture(file) for file in saved.frames])
    rate = fps
    if path.suffix == ".gif":
        frames, rate = looped(frames), min(fps, MAX_GIF_FPS)
    media.write_video(path, frames, rate, metadata=media.read_metadata(saved.video))


def zipped(saved: Saved, code: str) -> Iterator[bytes]:
    """A zip of frames, keyframes, recipe and program, piece by piece as it is made."""
    pipe = _Pipe()
    with zipfile.ZipFile(pipe, "w", zipfile.ZIP_STORED) as archive:  # PNGs are compressed already
        for file in (*saved.frames, *saved.keyframes.values(), saved.recipe):
            archive.write(file, file.relative_to(saved.folder))
            yield pipe.taken()
        archive.writestr("run.py", code)
    yield pipe.taken()


class _Pipe(io.RawIOBase):
    """Collects what is written until it is taken; it cannot seek, so a zip streams through it."""

    def __init__(self) -> None:
        self._written = bytearray()

    def writable(self) -> bool:
        return True

    def write(self, data: bytes) -> int:  # type: ignore[override]
        self._written += data
        return len(data)

    def taken(self) -> bytes:
        data = bytes(self._written)
        self._written.clear()
        return data


def _read(path: Path, stack: ExitStack) -> Iterator[bytes]:
    """A file in pieces; what `stack` holds ends with it, also when nobody reads to the end."""
    with stack, path.open("rb") as file:
        while chunk := file.read(CHUNK):
            yield chunk


def _attached(path: Path, name: str) -> Response:
    return FileResponse(path, filename=name)


def _streamed(pieces: Iterator[bytes], kind: str, name: str) -> Response:
    # names are slugs, so they need no quoting
    told = {"Content-Disposition": f'attachment; filename="{name}"'}
    return StreamingResponse(pieces, media_type=kind, headers=told)
