"""Distances between two sets of feature vectors: Fréchet and kernel, in plain numpy."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np


class Distance(NamedTuple):
    """A distance and its standard error over the clips; NaN where these are too few to tell."""

    value: float
    error: float

    def show(self, digits: int) -> str:
        """As a cell of a table: "0.0312 ± 0.0041"."""
        spread = "" if np.isnan(self.error) else f" ± {self.error:.{digits}f}"
        return f"{self.value:.{digits}f}{spread}"


def frechet_distance(first: np.ndarray, second: np.ndarray) -> float:
    """The Fréchet distance of the Gaussians fitted to two sets (N, D), (M, D) (Heusel et al. 2017).

    |μ₁ − μ₂|² + tr(Σ₁ + Σ₂ − 2 (Σ₁ Σ₂)^½), equation (6) there; on I3D features it is FVD. Σ divides
    by N, as the StyleGAN-V protocol does. It falls with N: compare at one N only.

    Raises `ValueError` for sets that are no matrices of finite numbers, of one width.
    """
    first, second = _checked(first), _checked(second)
    _check_widths(first, second)
    gap = first.mean(0) - second.mean(0)
    one, two = _covariance(first), _covariance(second)
    # (Σ₁ Σ₂)^½ has the eigenvalues of (Σ₁^½ Σ₂ Σ₁^½)^½, which is symmetric: no complex roots, and
    # no trouble with sets smaller than D, whose Σ has no inverse
    root = _root(one)
    inner = np.linalg.eigvalsh(_symmetric(root @ two @ root)).clip(0)
    distance = gap @ gap + np.trace(one) + np.trace(two) - 2 * np.sqrt(inner).sum()
    return float(max(distance, 0.0))


def kernel_distance(first: np.ndarray, second: np.ndarray, strata: int = 1) -> Distance:
    """The squared maximum mean discrepancy of two sets (N, D) under (x·y/D + 1)³ (KID).

    The unbiased estimate of Gretton et al. (2012), equation (4): below 0 as often as above where
    the sets come from one source, and exactly 0 for a set with itself. Raises `ValueError` as
    `frechet_distance` does, and for sets of two sizes. `strata`: how many kinds of clips follow
    each other in both sets, as many of each; what lies between the kinds is no error then.
    """
    first, second = _checked(first), _checked(second)
    _check_widths(first, second)
    if len(first) != len(second):
        raise ValueError(f"the sets have {len(first)} and {len(second)} clips; give as many")
    count = len(first)
    across = _kernel(first, second)
    h = _kernel(first, first) + _kernel(second, second) - across - across.T
    np.fill_diagonal(h, 0.0)
    if count < 3:  # both rows of two clips are the same number: they vary by nothing
        return Distance(float(h.sum() / count / (count - 1)), float("nan"))
    rows = h.sum(1) / (count - 1)  # a U-statistic of order 2 varies as 4 Var(row means) / N
    spread = np.sqrt(rows.reshape(strata, -1).var(axis=1, ddof=1).mean())
    return Distance(float(rows.mean()), float(2 * spread / np.sqrt(count)))


def _kernel(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    return (first @ second.T / first.shape[1] + 1) ** 3


def _covariance(features: np.ndarray) -> np.ndarray:
    centred = features - features.mean(0)
    return centred.T @ centred / len(features)


def _root(matrix: np.ndarray) -> np.ndarray:
    """The symmetric square root of a positive semi-definite matrix."""
    values, vectors = np.linalg.eigh(matrix)
    return (vectors * np.sqrt(values.clip(0))) @ vectors.T


def _symmetric(matrix: np.ndarray) -> np.ndarray:
    return (matrix + matrix.T) / 2


def _checked(features: np.ndarray) -> np.ndarray:
    features = np.asarray(features, np.float64)
    if features.ndim != 2 or len(features) < 2 or not features.shape[1]:
        raise ValueError(f"features have the shape {features.shape}; give (N, D) with N of 2 on")
    if not np.isfinite(features).all():
        raise ValueError("features hold NaN or infinity")
    return features


def _check_widths(first: np.ndarray, second: np.ndarray) -> None:
    if first.shape[1] != second.shape[1]:
        raise ValueError(
            f"the sets have {first.shape[1]} and {second.shape[1]} features; use one extractor"
        )
