"""Clips as vectors, so that sets of clips have a distance: I3D from a file, or our own network."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from einops import rearrange

from fvdm_core.files import file_name, open_plain

from .network import load_network

BATCH = 16
_I3D_FRAMES = 10  # I3D's strides leave nothing of shorter clips


class Extractor(Protocol):
    """Clips uint8 (B, T, H, W, 3) to features float64 (B, D); `distance` is what theirs is called.

    `protocol` says in a line what another person needs to get the same figures.
    """

    distance: str
    protocol: str

    def __call__(self, videos: np.ndarray) -> np.ndarray: ...


class I3D:
    """The Kinetics-400 I3D of the StyleGAN-V protocol (fvd2048_16f), from its TorchScript file.

    The file rescales to [-1, 1] and resizes to 224 by itself and returns 400 features. Raises
    `ValueError` for a file that is no TorchScript, and for clips or answers of another shape.
    """

    distance = "FVD"

    def __init__(self, path: str | Path, device: torch.device | str = "cpu") -> None:
        checksum = sha256(path)
        try:
            self.network = torch.jit.load(str(path), map_location=device).eval()
        except RuntimeError as error:
            said = str(error).strip().splitlines()[0][:120]
            raise ValueError(f"{file_name(path)} is not loaded as TorchScript: {said}") from None
        self.device = torch.device(device)
        self.protocol = f"StyleGAN-V I3D (sha256 {checksum[:16]}), rescale, resize to 224"

    @torch.no_grad()
    def __call__(self, videos: np.ndarray) -> np.ndarray:
        if videos.shape[1] < _I3D_FRAMES:
            raise ValueError(
                f"clips have {videos.shape[1]} frames; I3D needs {_I3D_FRAMES} or more"
            )
        batch = rearrange(torch.from_numpy(videos), "b t h w c -> b c t h w").float()
        try:
            features = self.network(
                batch.to(self.device), rescale=True, resize=True, return_features=True
            )
        except RuntimeError as error:
            said = str(error).strip().splitlines()[-1][:120]
            raise ValueError(f"the I3D file cannot be called as StyleGAN-V's: {said}") from None
        if features.shape != (len(videos), 400):
            raise ValueError(
                f"the I3D file gives features of the shape {tuple(features.shape)}; "
                f"StyleGAN-V's gives ({len(videos)}, 400)"
            )
        return features.double().cpu().numpy()


class WorldFeatures:
    """The small video network that has learned the worlds' factors (`train.evaluation.learn`).

    Raises `ValueError` for a file that is missing or not such a network.
    """

    distance = "world-FVD"

    def __init__(self, path: str | Path, device: torch.device | str = "cpu") -> None:
        self.network = load_network(path).to(device)
        self.device = torch.device(device)
        self.protocol = f"world network (sha256 {sha256(path)[:16]})"

    @torch.no_grad()
    def __call__(self, videos: np.ndarray) -> np.ndarray:
        features, _ = self.network(torch.from_numpy(videos).to(self.device))
        return features.double().cpu().numpy()


def extract(extractor: Extractor, videos: Sequence[np.ndarray]) -> np.ndarray:
    """Features (N, D) of clips uint8 (T, H, W, 3), a batch at a time.

    Raises `ValueError` where one is not finite.
    """
    batches = [
        extractor(np.stack(videos[first : first + BATCH])) for first in range(0, len(videos), BATCH)
    ]
    features = np.concatenate(batches)
    if not np.isfinite(features).all():
        raise ValueError(f"the extractor ({extractor.protocol}) gives NaN or infinity")
    return features


def sha256(path: str | Path) -> str:
    """The checksum of a plain file; raises `ValueError` where it cannot be read."""
    with open_plain(path, "file of weights") as file:
        return hashlib.sha256(file.read()).hexdigest()
