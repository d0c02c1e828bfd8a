"""Which kind of file this is, told from its first bytes, and whether a video file is whole.

Names and extensions are never trusted. The walks below read sizes only, never a frame.
"""

from __future__ import annotations

import os
from typing import BinaryIO

MAX_BOXES = 100_000  # of a video file; walking more takes longer than a person waits

ADVICE = {  # kinds that people do bring, and what to do with them
    "empty": "is empty (0 bytes)",
    "svg": "is an SVG drawing; export it as PNG or JPEG",
    "html": "is a web page, not the file itself; download the file again",
    "lfs": "is a Git-LFS pointer, not the file itself; run `git lfs pull` or download the file",
    "heic": "is a HEIC picture; export it as JPEG or PNG",
    "avif": "is an AVIF picture; export it as JPEG or PNG",
    "pdf": "is a PDF document; export the page as PNG or JPEG",
    "text": "is a text file",
}
_HEAD = 512  # bytes that are enough to tell every kind
_EBML_SEGMENT = 0x18538067


def kind_of(file: BinaryIO) -> str:
    """The kind of an open file, such as "png", "mov", "zip" or "text"; "unknown" where none fits.

    Leaves the file at its start.
    """
    file.seek(0)
    head = file.read(_HEAD)
    file.seek(0)
    if not head:
        return "empty"
    for start, kind in (
        (b"\x89PNG\r\n\x1a\n", "png"),
        (b"\xff\xd8\xff", "jpeg"),
        (b"GIF87a", "gif"),
        (b"GIF89a", "gif"),
        (b"BM", "bmp"),
        (b"II*\0", "tiff"),
        (b"MM\0*", "tiff"),
        (b"\x1a\x45\xdf\xa3", "matroska"),
        (b"PK\x03\x04", "zip"),
        (b"PK\x05\x06", "zip"),
        (b"%PDF", "pdf"),
        (b"version https://git-lfs", "lfs"),
    ):
        if head.startswith(start):
            return kind
    if head[:4] == b"RIFF":
        return {b"WEBP": "webp", b"AVI ": "avi"}.get(head[8:12], "unknown")
    if head[4:8] == b"ftyp":
        brand = head[8:12]
        if brand in (b"heic", b"heix", b"mif1", b"msf1", b"heim", b"heis", b"hevc"):
            return "heic"
        return "avif" if brand in (b"avif", b"avis") else "mov"
    if head[4:8] in (b"moov", b"mdat", b"wide", b"free", b"skip"):  # QuickTime without a brand
        return "mov"
    return _kind_of_text(head)


def why_not(kind: str, allowed: str) -> str:
    """The end of a sentence that begins with a file's name and says why it is refused."""
    reason = ADVICE.get(kind, "is not a file of a kind that can be read")
    return f"{reason}; use {allowed}" if kind in ("empty", "text", "unknown") else reason


def is_whole(file: BinaryIO, kind: str) -> bool:
    """Whether a "mov", "matroska", "avi" or "gif" file reaches the end that it announces."""
    size = file.seek(0, os.SEEK_END)
    file.seek(0)
    if kind == "mov":
        return _mov_is_whole(file, size)
    if kind == "matroska":
        return _matroska_is_whole(file, size)
    if kind == "avi":
        return 8 + int.from_bytes(file.read(8)[4:], "little") <= size
    # some encoders pad a GIF with zeros behind its trailer
    file.seek(max(0, size - 64))
    return file.read().rstrip(b"\0").endswith(b";")


def _kind_of_text(head: bytes) -> str:
    if b"\0" in head or any(byte < 9 or 13 < byte < 27 for byte in head):
        return "unknown"
    start = head.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if b"<svg" in start and start.startswith((b"<svg", b"<?xml", b"<!--", b"<!doctype svg")):
        return "svg"
    return "html" if start.startswith((b"<!doctype html", b"<html", b"<head")) else "text"


def _mov_is_whole(file: BinaryIO, size: int) -> bool:
    """Walks the top-level boxes (ISO 14496-12 §4.2); there must be a `moov`, and all must fit."""
    position, has_index = 0, False
    for _ in range(MAX_BOXES):
        if position + 8 > size:
            return has_index
        file.seek(position)
        header = file.read(16)
        length, name = int.from_bytes(header[:4], "big"), header[4:8]
        if length == 1:
            length = int.from_bytes(header[8:16], "big")
        elif length == 0:
            length = size - position
        if length < 8 or position + length > size:
            return False
        has_index |= name == b"moov"
        position += length
    return False


def _matroska_is_whole(file: BinaryIO, size: int) -> bool:
    """Reads the two outer EBML elements (RFC 8794 §5); live recordings do not state a length."""
    position = 0
    for _ in range(2):
        file.seek(position)
        head = file.read(12)
        if len(head) < 12:
            return False
        identifier = int.from_bytes(head[:4], "big")
        width = 9 - head[4].bit_length()  # 1…8 bytes; the first set bit tells how many
        if width > 8:
            return False
        value = int.from_bytes(head[4 : 4 + width], "big") & ((1 << 7 * width) - 1)
        position += 4 + width
        if value == (1 << 7 * width) - 1:  # all ones: length unknown
            return True
        position += value
        if identifier == _EBML_SEGMENT:
            break
    return position <= size
