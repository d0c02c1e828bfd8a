"""Where to compute and in which precision, chosen from what the machine is good at."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from pathlib import Path

import torch


def _has(instructions: str) -> bool:
    # private in torch 2.13, and the only question it answers without parsing /proc/cpuinfo
    return bool(getattr(torch.cpu, f"_is_{instructions}_supported", lambda: False)())


HAS_AMX = _has("amx_tile")  # Intel's processors that multiply tiles of matrices


_preferred: ContextVar[str | torch.device | None] = ContextVar("preferred", default=None)


@contextmanager
def preferring(device: str | torch.device | None) -> Iterator[None]:
    """Within this block, `pick_device` takes this one where none is given."""
    token = _preferred.set(device)
    try:
        yield
    finally:
        _preferred.reset(token)


def pick_device(device: str | torch.device | None = None) -> torch.device:
    """The given device, else the preferred one, else CUDA where there is one, else the CPU.

    Raises `ValueError` for a device that torch does not know or that is not there.
    """
    device = _preferred.get() if device is None else device
    if device is None:
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    unknown = f"device {device!r} is unknown; use cpu, cuda, cuda:1 or mps"
    try:
        chosen = torch.device(device)
    except (RuntimeError, TypeError) as error:  # the latter for a dtype, say
        raise ValueError(unknown) from error
    if chosen.type not in ("cpu", "cuda", "mps"):
        raise ValueError(unknown)
    if chosen.type == "cuda" and not torch.cuda.is_available():
        raise ValueError(f"device {device!r} is not there: torch sees no CUDA GPU; use cpu")
    if chosen.type == "cuda" and (chosen.index or 0) >= torch.cuda.device_count():
        raise ValueError(
            f"device {device!r} is not there: torch sees {torch.cuda.device_count()}, "
            "counted from cuda:0"
        )
    if chosen.type == "mps" and not torch.backends.mps.is_available():
        raise ValueError(f"device {device!r} is not there: torch sees no Apple GPU; use cpu")
    return chosen


def fast_bf16(device: torch.device) -> bool:
    """Whether bf16 products are faster than fp32 ones: processors with the instructions.

    Others emulate bf16, several times slower than their own fp32: CPUs without AMX or AVX-512's,
    and Nvidia's GPUs before Ampere, such as a T4.
    """
    if device.type == "cpu":
        return _has("amx_tile") or _has("avx512_bf16")
    if device.type == "cuda" and torch.version.hip is None:
        return torch.cuda.get_device_capability(device) >= (8, 0)
    return True


def pick_dtype(device: torch.device, dtype: torch.dtype | None = None) -> torch.dtype:
    """The given dtype, else the faster of bfloat16 and float32.

    Raises `ValueError` for what is no dtype of floating-point numbers.
    """
    if dtype is not None:
        if not isinstance(dtype, torch.dtype) or not dtype.is_floating_point:
            raise ValueError(f"dtype {dtype!r} cannot be computed in; use torch.float32")
        return dtype
    return torch.bfloat16 if fast_bf16(device) else torch.float32


def free_memory() -> int | None:
    """Bytes that programs can still take here, as Linux counts them; None on other systems."""
    rooms = []
    with suppress(OSError, ValueError, KeyError):
        lines = Path("/proc/meminfo").read_text().splitlines()
        kib = {name: int(rest.split()[0]) for name, _, rest in (x.partition(":") for x in lines)}
        rooms.append(1024 * (kib["MemAvailable"] + kib.get("SwapFree", 0)))
    with suppress(OSError, ValueError, KeyError):  # in a container, unless its limit is "max"
        group = Path("/sys/fs/cgroup")
        limit, used = (int((group / f"memory.{name}").read_text()) for name in ("max", "current"))
        stat = dict(line.split() for line in (group / "memory.stat").read_text().splitlines())
        cached = int(stat["active_file"]) + int(stat["inactive_file"])  # given up when needed
        rooms.append(limit - used + cached)
    return min(rooms, default=None)


def give_back_memory() -> None:
    """Free what nothing refers to any more, on the GPU too, so that other programs can have it."""
    gc.collect()
    if torch.cuda.is_initialized():
        torch.cuda.empty_cache()
