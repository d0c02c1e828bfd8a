"""The device and the precision, for machines other than this one too."""

import pytest
import torch

from fvdm_core import device
from fvdm_core.device import fast_bf16, free_memory, pick_device, pick_dtype


def pretend(monkeypatch, *, cuda=0, mps=False, bf16=False):
    """As on a machine with so many GPUs, and a processor with or without bf16 products."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: cuda > 0)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: cuda)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: mps)
    for name in ("_is_amx_tile_supported", "_is_avx512_bf16_supported"):
        monkeypatch.setattr(torch.cpu, name, lambda: bf16, raising=False)


@pytest.mark.parametrize("gpus, expected", [(0, "cpu"), (1, "cuda")])
def test_a_gpu_is_taken_where_there_is_one(monkeypatch, gpus, expected):
    pretend(monkeypatch, cuda=gpus)
    assert pick_device() == torch.device(expected)


def test_a_given_device_is_taken_as_it_is(monkeypatch):
    pretend(monkeypatch, cuda=2)
    assert pick_device("cpu") == torch.device("cpu")
    assert pick_device(torch.device("cuda:1")) == torch.device("cuda:1")


@pytest.mark.parametrize(
    "device, words",
    [
        ("banana", "'banana' is unknown; use cpu"),
        ("cpu:x", "is unknown"),
        ("meta", "'meta' is unknown; use cpu"),
        ("cuda", "no CUDA GPU; use cpu"),
        ("mps", "no Apple GPU; use cpu"),
    ],
)
def test_a_device_that_is_not_there_is_refused(monkeypatch, device, words):
    pretend(monkeypatch)
    with pytest.raises(ValueError, match=words):
        pick_device(device)


def test_a_gpu_beyond_the_last_is_refused(monkeypatch):
    pretend(monkeypatch, cuda=2)
    with pytest.raises(ValueError, match="'cuda:2' is not there: torch sees 2"):
        pick_device("cuda:2")


@pytest.mark.parametrize("bf16, expected", [(True, torch.bfloat16), (False, torch.float32)])
def test_a_processor_computes_in_bf16_where_that_is_fast(monkeypatch, bf16, expected):
    pretend(monkeypatch, bf16=bf16)
    assert fast_bf16(torch.device("cpu")) is bf16
    assert pick_dtype(torch.device("cpu")) == expected
    assert pick_dtype(torch.device("cpu"), torch.float64) == torch.float64


@pytest.mark.parametrize("dtype", [torch.int8, torch.bool, torch.complex64, "float32"])
def test_a_dtype_that_nothing_is_computed_in_is_refused(dtype):
    with pytest.raises(ValueError, match="cannot be computed in; use torch.float32"):
        pick_dtype(torch.device("cpu"), dtype)


@pytest.mark.parametrize(
    ("capability", "expected"), [((7, 5), torch.float32), ((8, 0), torch.bfloat16)]
)
def test_a_gpu_computes_in_bf16_where_that_is_fast(monkeypatch, capability, expected):
    pretend(monkeypatch)
    monkeypatch.setattr(torch.version, "hip", None)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: capability)
    assert pick_dtype(torch.device("cuda")) == expected


def test_a_torch_without_these_questions_means_fp32(monkeypatch):
    for name in ("_is_amx_tile_supported", "_is_avx512_bf16_supported"):
        monkeypatch.delattr(torch.cpu, name, raising=False)
    assert pick_dtype(torch.device("cpu")) == torch.float32


def test_free_memory_is_what_the_machine_and_its_container_leave(monkeypatch):
    """A limit of a container counts, and what its programs only keep in the cache is free."""
    files = {
        "/proc/meminfo": "MemTotal: 9000 kB\nMemAvailable: 7000 kB\nHugePages_Total: 0\n",
        "/sys/fs/cgroup/memory.max": "max\n",
    }

    def read(path):
        if str(path) not in files:
            raise FileNotFoundError(2, "not on this system")
        return files[str(path)]

    monkeypatch.setattr(device.Path, "read_text", read)
    assert free_memory() == 7000 * 1024
    files |= {
        "/sys/fs/cgroup/memory.max": "5000000\n",
        "/sys/fs/cgroup/memory.current": "3000000\n",
        "/sys/fs/cgroup/memory.stat": "anon 1\nactive_file 300\ninactive_file 200\n",
    }
    assert free_memory() == 2_000_500
    files.clear()
    assert free_memory() is None
