"""What every measurement stands beside: medians, and this machine's own matrix products."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from fvdm_core.device import fast_bf16


def seconds(action: Callable[[], object]) -> float:
    """How long a single run takes."""
    start = time.perf_counter()
    action()
    return time.perf_counter() - start


def median_seconds(action: Callable[[], object], repeats: int = 5) -> float:
    """The median of a few runs, after one that does not count."""
    action()
    return float(np.median([seconds(action) for _ in range(repeats)]))


def matmul_rate(dtype: torch.dtype, size: int = 2048) -> float:
    """This machine's matrix products, in GFLOP/s: the yardstick for everything else.

    What a processor only emulates is asked for small ones, which say it soon enough.
    """
    emulated = dtype == torch.bfloat16 and not fast_bf16(torch.device("cpu"))
    size = 256 if emulated else size
    a, b = torch.randn(2, size, size).to(dtype)
    return 2 * size**3 / median_seconds(lambda: a @ b) / 1e9


def peak_memory() -> int:
    """The most that this process has held so far, in MiB."""
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) // 1024
