"""What the autoencoder keeps of pictures from outside the worlds, such as photographs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from fvdm_core.media import load_image

from .common import Autoencode, markdown, psnr

SUFFIXES = (".png", ".jpg", ".jpeg", ".webp")


@dataclass(frozen=True)
class Kept:
    """A picture and the PSNR after the autoencoder, in dB."""

    name: str
    psnr: float


def pictures_of(paths: Sequence[Path]) -> list[Path]:
    """The files, and those of the folders, that are pictures. Raises `ValueError` without any."""
    found: list[Path] = []
    for path in paths:
        inside = sorted(path.iterdir()) if path.is_dir() else [path]
        found += [file for file in inside if file.suffix.lower() in SUFFIXES]
    if not found:
        raise ValueError("name pictures, or a folder of them, with --photographs")
    return found


def measure(
    autoencode: Autoencode, image_size: tuple[int, int], paths: Sequence[Path]
) -> list[Kept]:
    """Each picture cut to the middle and resized as the studio does it, then encoded and decoded.

    Raises `ValueError` where there is none, or for a file that is no picture.
    """
    kept = []
    for path in pictures_of(paths):
        picture = load_image(path, image_size)[None]
        kept.append(Kept(path.stem, psnr(picture, autoencode(picture))))
    return kept


def table(kept: Sequence[Kept]) -> str:
    """A row per picture, and their mean."""
    mean = sum(picture.psnr for picture in kept) / len(kept)
    rows = [[picture.name, f"{picture.psnr:.1f}"] for picture in kept]
    return markdown(("picture", "autoencoder dB"), [*rows, ["mean", f"{mean:.1f}"]])
