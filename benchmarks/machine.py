"""What every measurement stands beside: medians, and this machine's own matrix products."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from fvdm_core.device import fast_bf16

CPU = torch.device("cpu")


def seconds(action: Callable[[], object]) -> float:
    """How long a single run takes."""
    start = time.perf_counter()
    action()
    return time.perf_counter() - start


def median_seconds(action: Callable[[], object], repeats: int = 5) -> float:
    """The median of a few runs, after one that does not count."""
    action()
    return float(np.median([seconds(action) for _ in range(repeats)]))


def matmul_rate(dtype: torch.dtype, device: torch.device = CPU) -> float:
    """A device's matrix products, in GFLOP/s: the yardstick for everything else.

    Large on a GPU, which small ones do not fill; what a processor only emulates is asked for small
    ones, which say it soon enough.
    """
    emulated = dtype == torch.bfloat16 and not fast_bf16(device)
    size = 8192 if device.type == "cuda" else 256 if emulated else 2048
    a, b = torch.randn(2, size, size, device=device).to(dtype)

    def product() -> None:
        a @ b
        finish(device)

    return 2 * size**3 / median_seconds(product) / 1e9


def flops(action: Callable[[], object]) -> int:
    """The floating-point operations of the matrix products of a single run, attention's too.

    Of attention that is fused torch counts nothing on a processor, so it is made of products here.
    """
    with FlopCounterMode(display=False) as counter, sdpa_kernel(SDPBackend.MATH):
        action()
    return counter.get_total_flops()


def finish(device: torch.device) -> None:
    """Wait until the device has done all that it was given."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def peak_memory() -> int:
    """The most that this process has held so far, in MiB."""
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) // 1024
