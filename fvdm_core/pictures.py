"""Pictures of any size and kind, in as uint8 RGB of the size that is asked for, out as PNG."""

from __future__ import annotations

import io
import json
import os
from collections.abc import Iterator
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError
from PIL.PngImagePlugin import PngInfo

from fvdm_core.containers import kind_of, why_not
from fvdm_core.files import atomic_write, file_name, open_plain
from fvdm_core.limits import MAX_FPS, MAX_SIDE, MIN_FPS, checked_sides, shown

Frame = NDArray[np.uint8]  # (H, W, 3)
Picture = NDArray[np.uint8]  # (H, W, 3), or (N, H, W, 3): it moves
Fit = Literal["crop", "contain", "stretch"]
FITS = ("crop", "contain", "stretch")
PICTURE_KINDS = ("png", "jpeg", "webp", "bmp", "gif", "tiff")
MAX_PICTURE_PIXELS = 64_000_000  # above every telephone's photograph; 13000² is a bomb
MAX_GIF_FPS = 50  # a GIF counts in hundredths of a second
MAX_METADATA_BYTES = 4 << 20
MAX_MOVING = 64  # frames of a picture; no latent stands for as many
_MOVING = ("PNG", "GIF", "WEBP")  # and not, say, the previews inside a telephone's photograph
_TILE = 1024  # pixels
_NOTE = "Comment"  # a keyword that the PNG specification registers
_ALLOWED = "PNG, JPEG, WebP, BMP, GIF or TIFF"


def load_image(
    src: str | os.PathLike[str] | Image.Image | NDArray[np.uint8],
    size: tuple[int, int],
    fit: Fit = "crop",
) -> Frame:
    """A picture as uint8 (H, W, 3), upright, opaque (on white), in 8-bit RGB.

    `src` is a path, a PIL image, or a uint8 array (H, W), (H, W, 3) or (H, W, 4). `fit` is "crop"
    (fill the size, cut the longer side evenly), "contain" (all of it, black beside) or "stretch".
    Of an animation the first frame is taken. Colour profiles are not applied: parsing them is a
    risk, and the difference is small.

    Raises `ValueError` that names the file and the reason: not a picture of an allowed kind,
    damaged, or more than `MAX_PICTURE_PIXELS`, which is read from the header before decoding.
    """
    return load_moving(src, size, fit, 1)


def load_moving(
    src: str | os.PathLike[str] | Image.Image | NDArray[np.uint8],
    size: tuple[int, int],
    fit: Fit = "crop",
    count: int = 1,
) -> Picture:
    """As `load_image`; or an animation, or an array (N, H, W, 3), that has just `count` frames, as
    all of them, uint8 (count, H, W, 3).

    Raises what `load_image` raises, and `ValueError` for an array of other frames than one or so
    many.
    """
    check_fit(size, fit)
    if isinstance(src, Image.Image):
        pictures = _frames_of(src, "the picture", count)
    elif isinstance(src, np.ndarray):
        if src.ndim == 4 and (src.shape[3] not in (3, 4) or src.dtype != np.uint8):
            raise ValueError(
                f"the picture is {src.dtype} of shape {src.shape}; "
                "it must be uint8 (frames, height, width, 3)"
            )
        if src.ndim == 4 and len(src) not in (1, count):
            several = f" or {count}" if count > 1 else ""
            raise ValueError(f"the picture has {len(src)} frames; it must have one{several}")
        pictures = map(_from_array, src if src.ndim == 4 else [src])
    elif isinstance(src, str | os.PathLike):
        pictures = _open(src, count)
    else:
        raise ValueError(f"a picture is a path, a PIL image or a uint8 array, got {shown(src)}")
    frames = [fit_picture(picture, size, fit) for picture in pictures]
    return np.stack(frames) if len(frames) > 1 else frames[0]


def picture_size(path: str | os.PathLike[str]) -> tuple[int, int]:
    """(height, width) of a picture once it is upright. Raises `ValueError` as `load_image` does."""
    (picture,) = _open(path)
    return picture.height, picture.width


def fit_picture(picture: Image.Image, size: tuple[int, int], fit: Fit = "crop") -> Frame:
    """An RGB picture as uint8 (H, W, 3), resampled by an antialiased Lanczos filter."""
    height, width = size
    if fit == "stretch":
        box = (0.0, 0.0, float(picture.width), float(picture.height))
        return np.array(picture.resize((width, height), Image.Resampling.LANCZOS, box))
    if fit == "crop":
        scale = min(picture.width / width, picture.height / height)
        # what is rounded up must not begin before the picture, by a millionth of a pixel
        left = max(0.0, (picture.width - width * scale) / 2)
        top = max(0.0, (picture.height - height * scale) / 2)
        box = (left, top, picture.width - left, picture.height - top)
        return np.array(picture.resize((width, height), Image.Resampling.LANCZOS, box))
    scale = min(width / picture.width, height / picture.height)
    inner = (max(1, round(picture.width * scale)), max(1, round(picture.height * scale)))
    canvas = Image.new("RGB", (width, height))
    corner = ((width - inner[0]) // 2, (height - inner[1]) // 2)
    canvas.paste(picture.resize(inner, Image.Resampling.LANCZOS), corner)
    return np.array(canvas)


def write_png(path: str | os.PathLike[str], picture: Picture, metadata: str | None = None) -> None:
    """Writes a picture as `png_bytes`, with JSON text beside it; the same input, the same bytes.

    Raises `ValueError` for another shape or text that is not JSON, `SaveError` for the disk.
    """
    info = PngInfo()
    if metadata is not None:
        info.add_itxt(_NOTE, check_metadata(metadata))
    data = png_bytes(picture, info)
    with atomic_write(path) as temporary:
        temporary.write_bytes(data)


def png_bytes(picture: Picture, info: PngInfo | None = None) -> bytes:
    """A picture, uint8 (H, W, 3), as the bytes of a PNG file, of an animated one where it moves,
    (N, H, W, 3); the same input, the same bytes."""
    frames = picture if np.ndim(picture) == 4 else np.asarray(picture)[None]
    check_frames(frames)
    first, *others = map(Image.fromarray, frames)
    file = io.BytesIO()
    # without a duration, with which frames that are alike would become one; and quickly, as there
    # may be hundreds of them
    moving = {"save_all": True, "append_images": others, "compress_level": 1} if others else {}
    first.save(file, format="PNG", pnginfo=info, **moving)
    return file.getvalue()


def png_picture(data: bytes, what: str, max_pixels: int = MAX_SIDE**2) -> Picture:
    """The bytes of a PNG file as uint8 (H, W, 3), at its own size, or (N, H, W, 3) if it moves.

    `what` names it in messages. Raises `ValueError`: not a PNG, damaged, more than `MAX_SIDE`
    pixels a side, `MAX_MOVING` frames or `max_pixels` in all, which is read from the header before
    decoding.
    """
    if not data.startswith(b"\x89PNG"):
        raise ValueError(f"{what} is not a PNG")
    try:
        with Image.open(io.BytesIO(data), formats=("PNG",)) as picture:
            width, height = picture.size
            count = _frames_in(picture, what)
            if count > MAX_MOVING:
                raise ValueError(f"{what} has {count} frames; at most {MAX_MOVING} are allowed")
            if max(width, height) <= MAX_SIDE and width * height * count <= max_pixels:
                frames = [np.array(frame) for frame in _frames_of(picture, what, count)]
                return np.stack(frames) if count > 1 else frames[0]
    except ValueError:
        raise
    except Exception as error:
        raise ValueError(f"{what} is damaged: {_reason(error)}") from None
    times = f" in {count} frames" if count > 1 else ""
    raise ValueError(
        f"{what} is {width}×{height} pixels{times}, which is more than there is room for"
    )


def read_note(path: str | os.PathLike[str], kind: str) -> str | None:
    """The comment of a PNG or GIF file, or None; no pixel is decoded."""
    with open_plain(path) as file:
        try:
            with Image.open(file, formats=(kind.upper(),)) as picture:
                note = picture.info.get("comment" if kind == "gif" else _NOTE)
        except Exception as error:
            raise ValueError(f"{file_name(path)} is damaged: {_reason(error)}") from None
    return note.decode("utf-8", "replace") if isinstance(note, bytes) else note


def check_fit(size: tuple[int, int] | None, fit: str) -> None:
    """Raises `ValueError` for a size or a fit that is not allowed; a size of None is."""
    if fit not in FITS:
        raise ValueError(f"fit is {fit!r}; choose one of {', '.join(FITS)}")
    if size is not None:
        checked_sides(size)


def check_frames(frames: NDArray[np.uint8]) -> None:
    """Raises `ValueError` unless `frames` is uint8 (N, H, W, 3) with at least one frame."""
    if frames.ndim != 4 or frames.shape[-1] != 3 or not frames.size or frames.dtype != np.uint8:
        raise ValueError(
            f"frames are {frames.dtype} of shape {frames.shape}; "
            "they must be uint8 (frames, height, width, 3) and not empty"
        )
    if max(frames.shape[1:3]) > MAX_SIDE:
        raise ValueError(
            f"frames are {frames.shape[1]}×{frames.shape[2]}; at most {MAX_SIDE} pixels a side"
        )


def check_fps(fps: float, most: int = MAX_FPS) -> None:
    """Raises `ValueError` unless fps is from 0.001 to `most`, which also refuses NaN."""
    if not MIN_FPS <= fps <= most:
        raise ValueError(f"fps is {fps:g}; it must be at least {MIN_FPS:g} and at most {most}")


def check_metadata(text: str) -> str:
    """Returns `text`; raises `ValueError` unless it is a JSON object of an allowed size."""
    size = len(text.encode())
    if size > MAX_METADATA_BYTES:
        raise ValueError(f"metadata has {size} bytes; at most {MAX_METADATA_BYTES} are allowed")
    try:
        if not isinstance(json.loads(text), dict):
            raise ValueError
    except (ValueError, RecursionError):
        raise ValueError(f"metadata must be a JSON object, not {text[:40]!r}") from None
    return text


def _open(path: str | os.PathLike[str], count: int = 1) -> Iterator[Image.Image]:
    """The first frame of a file or, if it is an animation of `count` frames, each."""
    name = file_name(path)
    with open_plain(path, "picture") as file:
        kind = kind_of(file)
        if kind not in PICTURE_KINDS:
            if kind in ("mov", "matroska", "avi"):
                raise ValueError(f"{name} is a video; choose a picture: {_ALLOWED}")
            raise ValueError(f"{name} {why_not(kind, _ALLOWED)}")
        try:
            picture = Image.open(file, formats=(kind.upper(),))  # reads the header only
        except (Image.DecompressionBombError, Image.DecompressionBombWarning):
            raise ValueError(
                f"{name} holds more than {MAX_PICTURE_PIXELS // 10**6} million pixels; "
                "make it smaller"
            ) from None
        except UnidentifiedImageError:
            raise ValueError(f"{name} is damaged: its {kind.upper()} header is wrong") from None
        except MemoryError:
            raise
        except Exception as error:
            raise ValueError(f"{name} is damaged: {_reason(error)}") from None
        with picture:
            yield from _frames_of(picture, name, count)


def _frames_of(picture: Image.Image, name: str, count: int) -> Iterator[Image.Image]:
    """The frame that it is at, upright in RGB, or all of an animation that has `count` of them."""
    if count == 1 or picture.format not in _MOVING:  # whose frames are not looked for
        yield _upright_rgb(picture, name)
        return
    at = picture.tell()
    try:
        for frame in range(count) if _frames_in(picture, name) == count else (at,):
            _go_to(picture, frame, name)
            yield _upright_rgb(picture, name)
    finally:
        _go_to(picture, at, name)


def _frames_in(picture: Image.Image, name: str) -> int:
    try:
        return getattr(picture, "n_frames", 1)
    except Exception as error:
        raise ValueError(f"{name} is damaged: {_reason(error)}") from None


def _go_to(picture: Image.Image, frame: int, name: str) -> None:
    try:
        if picture.tell() != frame:
            picture.seek(frame)
    except Exception as error:
        raise ValueError(f"{name} is damaged: {_reason(error)}") from None


def _tile_by_tile(picture: Image.Image) -> Image.Image:
    """8-bit RGB on white of 16 bits or transparency, whose copies would take 2 GB as a whole."""
    rgb = Image.new("RGB", picture.size, "white")
    for top in range(0, picture.height, _TILE):
        for left in range(0, picture.width, _TILE):
            right, bottom = min(left + _TILE, picture.width), min(top + _TILE, picture.height)
            tile = picture.crop((left, top, right, bottom))
            if tile.mode.startswith("I"):  # 16 bits; PIL's own conversion would clip at 255
                wide = np.asarray(tile).astype(np.int64).clip(0, 65535)
                rgb.paste(Image.fromarray(((wide + 128) // 257).astype(np.uint8)), (left, top))
            else:
                opaque = tile.convert("RGBA")
                rgb.paste(opaque, (left, top), mask=opaque)
    return rgb


def _upright_rgb(picture: Image.Image, name: str) -> Image.Image:
    if not picture.width * picture.height:
        raise ValueError(
            f"{name} is {picture.width}×{picture.height} pixels: there is nothing in it"
        )
    if picture.width * picture.height > MAX_PICTURE_PIXELS:
        raise ValueError(
            f"{name} is {picture.width}×{picture.height} pixels; "
            f"at most {MAX_PICTURE_PIXELS // 10**6} million are allowed: make it smaller"
        )
    if picture.mode == "F":
        raise ValueError(f"{name} holds floating-point pixels; save it with 8 bits per channel")
    try:
        picture.load()
        upright = ImageOps.exif_transpose(picture)
        if upright.mode.startswith("I") or upright.has_transparency_data:
            return _tile_by_tile(upright)
        return upright.convert("RGB")
    except MemoryError:
        raise
    except Exception as error:
        # a damaged file makes the parsers raise errors of any type
        raise ValueError(f"{name} is damaged: {_reason(error)}") from None


def _from_array(array: NDArray[np.uint8]) -> Image.Image:
    plain = array.ndim == 2 or (array.ndim == 3 and array.shape[2] in (3, 4))
    if array.dtype != np.uint8 or not plain or not array.size:
        raise ValueError(
            f"the picture is {array.dtype} of shape {array.shape}; "
            "it must be uint8 (height, width, 3) and not empty"
        )
    return _upright_rgb(Image.fromarray(np.ascontiguousarray(array)), "the picture")


def _reason(error: Exception) -> str:
    """What a parser said, in one line and without paths."""
    text = str(error).splitlines()[0] if str(error) else type(error).__name__
    return "it cannot be decoded" if os.sep in text or len(text) > 120 else text
