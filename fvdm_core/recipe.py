"""A clip's recipe: what repeats it, written, given its pictures, and read out of any file."""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import os
import platform
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from fvdm_core.containers import kind_of
from fvdm_core.files import file_name, open_plain
from fvdm_core.limits import MAX_FRAMES, SAMPLING, shown
from fvdm_core.media import read_metadata
from fvdm_core.options import RunOptions
from fvdm_core.pictures import MAX_METADATA_BYTES, Picture, png_bytes, png_picture
from fvdm_core.timeline import Timeline

FORMAT, VERSION = "fvdm-studio-recipe", 1
KINDS = ("text", "png", "gif", "mov", "matroska")
_ALLOWED = "a recipe, or an MP4, WebM, GIF or PNG that was made here"
_MAX_DIGITS = 25  # of a number; longer ones are slow to read, and nothing here has them
MAX_PIXELS = 2**25  # of all pictures inside one recipe, 100 MB: each may be a bomb
_FRAME = re.compile(r"0|[1-9][0-9]{0,3}")
_HASH = re.compile(r"[0-9a-f]{64}")
_OPTIONS = [each.name for each in fields(RunOptions) if each.name != "fit"]  # pictures are fitted


@dataclass(frozen=True)
class Recipe:
    """What repeats a clip. `keyframes` and `pictures` are by frame, from 0.

    keyframes: the SHA-256 of each picture's pixels, uint8 (H, W, 3) row by row, or of each
        frame where it moves.
    pictures: those that the file brought along; each has the hash that `keyframes` says.
    page: what the studio's page wrote beside it, unchecked.
    dtype, batch: in what the network was run, "float32" say, and for how many clips at once;
        empty and 1 where it is not known.
    """

    timeline: Timeline
    options: RunOptions
    keyframes: dict[int, str] = field(default_factory=dict)
    pictures: dict[int, Picture] = field(default_factory=dict)
    model_name: str = ""
    model_hash: str = ""
    stopped_after_step: int | None = None
    page: dict[str, Any] = field(default_factory=dict)
    dtype: str = ""
    batch: int = 1

    @property
    def missing(self) -> list[int]:
        """The frames whose pictures have to come from elsewhere."""
        return sorted(self.keyframes.keys() - self.pictures.keys())

    def rounding(self, dtype: str) -> str:
        """Why the same model, alone and in `dtype`, rounds otherwise; empty if it does not."""
        if self.dtype not in ("", dtype):
            return f"It was made in {self.dtype}, and here the model runs in {dtype}"
        return f"It was made with {self.batch - 1} more at once" if self.batch > 1 else ""


def picture_hash(picture: Picture) -> str:
    """What a recipe calls a picture by."""
    return hashlib.sha256(picture.tobytes()).hexdigest()


def recipe_of(
    timeline: Timeline,
    pictures: Mapping[int, Picture],
    options: RunOptions,
    model: Mapping[str, str],
    dtype: str,
) -> dict[str, Any]:
    """Everything that repeats a clip exactly on a machine of the same kind, as JSON has it.

    pictures: {frame: uint8 (H, W, 3) or (N, H, W, 3)}, as they were fitted. model: its name, and
    the sha256 of its weights. dtype: in which the network was run, "float32" or "bfloat16".
    """
    fit = options.fit
    return {
        "format": FORMAT,
        "version": VERSION,
        **asdict(options),
        "eta": options.fresh_noise,
        "fit": fit if isinstance(fit, str) else {str(frame): how for frame, how in fit.items()},
        "timeline": json.loads(timeline.to_json()),
        "keyframes": {str(frame): picture_hash(picture) for frame, picture in pictures.items()},
        "model": dict(model),
        "dtype": dtype,
        "versions": {
            "fvdm-studio": _version("fvdm-studio"),
            "torch": _version("torch"),
            "numpy": _version("numpy"),
            "python": platform.python_version(),
        },
    }


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:  # run from a checkout, not installed
        return "checkout"


def with_pictures(
    recipe: Mapping[str, Any], pictures: Mapping[int, Picture], room: int = MAX_METADATA_BYTES
) -> dict[str, Any]:
    """The recipe with its pictures inside, as PNG in base64, as many as `room` bytes of JSON hold
    and a reader takes.

    Pictures are {frame: uint8 (H, W, 3) or (N, H, W, 3)}; those that find no room are left out.
    """
    pixels = MAX_PIXELS
    free = room - len(json.dumps(recipe, indent=1, ensure_ascii=False).encode()) - 64
    packed: dict[str, str] = {}
    for frame, picture in sorted(pictures.items()):
        pixels -= picture.size // 3
        if pixels < 0:
            break
        text = base64.b64encode(png_bytes(picture)).decode("ascii")
        free -= len(text) + 16
        if free < 0:
            break
        packed[str(frame)] = text
    return {**recipe, "pictures": packed} if packed else dict(recipe)


def read_recipe(path: str | os.PathLike[str]) -> Recipe:
    """The recipe of a JSON file, or that inside an MP4, WebM, GIF or PNG that was made here.

    The file may come from anyone: sizes and kinds are checked before anything is built, video is
    opened in the confined child, and a picture that is not the one of its hash is refused.

    Raises `ValueError` that names the file and what is wrong with it.
    """
    name = file_name(path)
    with open_plain(path) as file:
        kind = kind_of(file)
        size = file.seek(0, os.SEEK_END)
        if kind not in KINDS:
            raise ValueError(f"{name} holds no recipe; drop {_ALLOWED}")
        if kind == "text" and size > MAX_METADATA_BYTES:
            raise ValueError(
                f"{name} has {size} bytes; a recipe has at most {MAX_METADATA_BYTES}: "
                "drop the clip that it belongs to"
            )
        file.seek(0)
        data = file.read() if kind == "text" else b""
    if kind == "text":
        try:
            text: str | None = data.decode("utf-8-sig")
        except UnicodeDecodeError:
            raise ValueError(
                f"{name} is no recipe: it is not UTF-8 text; drop {_ALLOWED}"
            ) from None
    else:
        text = read_metadata(path)
    if text is None:
        raise ValueError(f"{name} carries no recipe; drop {_ALLOWED}")
    try:
        return parse_recipe(text)
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from None


def parse_recipe(text: str) -> Recipe:
    """A recipe from its JSON; raises `ValueError` naming the field that is wrong."""
    try:
        document = json.loads(text, parse_int=_integer, parse_float=_number, parse_constant=_number)
        return _recipe(document)
    except RecursionError:
        raise ValueError("this JSON is too deep for a recipe") from None
    except json.JSONDecodeError as error:
        where = f"line {error.lineno}, column {error.colno}"
        raise ValueError(
            f"this is no recipe: not JSON, {error.msg} at {where}; drop {_ALLOWED}"
        ) from None


def _recipe(document: Any) -> Recipe:
    if not isinstance(document, dict) or document.get("format") != FORMAT:
        raise ValueError(f"this is no recipe of the studio; drop {_ALLOWED}")
    if document.get("version") != VERSION:
        raise ValueError(
            f"version is {shown(document.get('version'))}, this program reads version {VERSION}; "
            "update it"
        )
    written = _object(document, "timeline", needed=True)
    # as short as it was written: with spaces it may be more than a timeline may take
    timeline = Timeline.from_json(json.dumps(written, separators=(",", ":")))
    asked = {name: document[name] for name in _OPTIONS if name in document}
    # what recipes that do not name them were made with
    before: dict[str, Any] = {"conditioning": "clean", **dict.fromkeys(SAMPLING, 0.0)}
    options = RunOptions(**before | asked)
    if options.label is not None and not isinstance(options.label, str | int):
        raise ValueError(f"label is {shown(options.label)}; it must be text or null")
    hashes = _by_frame(document, "keyframes", timeline.frames)
    for frame, known in hashes.items():
        if not isinstance(known, str) or not _HASH.fullmatch(known):
            raise ValueError(f"keyframes: {shown(known)} of frame {frame + 1} is no SHA-256")
    pictures: dict[int, Picture] = {}
    pixels = MAX_PIXELS
    for frame, packed in _by_frame(document, "pictures", timeline.frames).items():
        pictures[frame] = _unpacked(packed, frame, pixels)
        pixels -= pictures[frame].size // 3
        if picture_hash(pictures[frame]) != hashes.get(frame):
            raise ValueError(
                f"the picture of frame {frame + 1} is not the one that this recipe was run with"
            )
    model = _object(document, "model")
    stopped = document.get("stopped_after_step")
    if stopped is not None and (type(stopped) is not int or not 0 <= stopped <= timeline.num_steps):
        raise ValueError(
            f"stopped_after_step is {shown(stopped)}; it must be from 0 to {timeline.num_steps}"
        )
    batch = document.get("batch", 1)
    if type(batch) is not int or batch < 1:
        raise ValueError(f"batch is {shown(batch)}; it must be a whole number from 1")
    return Recipe(
        timeline,
        options,
        hashes,
        pictures,
        str(model.get("name", ""))[:100],
        str(model.get("sha256", ""))[:64],
        stopped,
        _object(document, "page"),
        str(document.get("dtype", ""))[:16],
        batch,
    )


def _object(document: dict[str, Any], name: str, needed: bool = False) -> dict[str, Any]:
    value = document.get(name, None if needed else {})
    if not isinstance(value, dict):
        raise ValueError(f"{name} is {shown(value)}; it must be an object")
    return value


def _by_frame(document: dict[str, Any], name: str, frames: int) -> dict[int, Any]:
    found = _object(document, name)
    if len(found) > MAX_FRAMES:
        raise ValueError(f"{name} has {len(found)} entries, at most {MAX_FRAMES} are allowed")
    for key in found:
        if not _FRAME.fullmatch(key) or int(key) >= frames:
            raise ValueError(f"{name}: {shown(key)} is not one of the {frames} frames, from 0")
    return {int(key): value for key, value in found.items()}


def _unpacked(packed: Any, frame: int, max_pixels: int) -> Picture:
    what = f"the picture of frame {frame + 1}"
    if not isinstance(packed, str):
        raise ValueError(f"{what} is {shown(packed)}; it must be a PNG in base64")
    try:
        data = base64.b64decode(packed, validate=True)
    except (binascii.Error, ValueError):
        raise ValueError(f"{what} is not base64") from None
    return png_picture(data, what, max_pixels)


def _integer(digits: str) -> int:
    if len(digits) > _MAX_DIGITS:
        raise ValueError(f"this JSON has a number of {len(digits)} digits: {digits[:12]}…")
    return int(digits)


def _number(text: str) -> float:
    if len(text) > 2 * _MAX_DIGITS or text.lstrip("-")[0] not in "0123456789":
        raise ValueError(f"{text[:12]} is not a number that a recipe can hold")
    return float(text)
