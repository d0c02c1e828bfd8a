"""Reads and writes named tensors, by content, refusing from the header what is not sound."""

from __future__ import annotations

import argparse
import io
import json
import math
import os
import pickletools
import threading
from collections.abc import Mapping
from itertools import islice
from typing import BinaryIO

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from fvdm_core.containers import kind_of, why_not
from fvdm_core.files import atomic_write, file_name, open_plain, save_error
from fvdm_core.limits import shown
from fvdm_core.pickles import MAX_TENSORS, check_bare_pickle, check_torch_zip

MAX_HEADER_BYTES = 16 << 20
MAX_METADATA_BYTES = 1 << 20
ITEM_SIZES = {  # bytes per element, by the format's names
    **{"F64": 8, "F32": 4, "F16": 2, "BF16": 2},
    **{"I64": 8, "I32": 4, "I16": 2, "I8": 1, "U8": 1, "BOOL": 1},
}
DTYPES = (
    *(torch.float64, torch.float32, torch.float16, torch.bfloat16),
    *(torch.int64, torch.int32, torch.int16, torch.int8, torch.uint8, torch.bool),
)
WRAPPERS = ("ema", "model", "state_dict")  # where files keep weights; averaged ones are preferred
PREFIXES = ("module.", "_orig_mod.")  # left by DistributedDataParallel and torch.compile
_loading = threading.Lock()  # torch's list of safe globals belongs to the process


def read_tensors(path: str | os.PathLike[str]) -> dict[str, Tensor]:
    """All tensors of a safetensors or torch file, in memory, on the CPU.

    Files of the form {"ema": …}, {"model": …} or {"state_dict": …} are unwrapped, and prefixes that
    training wrappers leave on every name are removed.

    Raises `ValueError` that names the file and the reason: code objects, a bomb, a file that is no
    checkpoint, weights that are not finite. Nothing is allocated for what is refused.
    """
    return checked_copies(open_tensors(path), file_name(path))


def open_tensors(path: str | os.PathLike[str]) -> dict[str, Tensor]:
    """As `read_tensors`, but mapped: names and shapes are known and nothing is read yet."""
    name = file_name(path)
    with open_plain(path, "checkpoint") as file:
        kind = kind_of(file)
        if kind == "zip":
            check_torch_zip(file, name)
        elif _is_safetensors(file):
            _read_header(file, name)
        elif _is_pickle(file):
            check_bare_pickle(file, name)
        else:
            raise ValueError(f"{name} {why_not(kind, 'a .safetensors or torch .pt file')}")
        size = file.seek(0, os.SEEK_END)
    tensors = _map_torch(path, name) if kind == "zip" else _map_safetensors(path, name)
    _check_claims(tensors, size, name)
    return tensors


def read_metadata(path: str | os.PathLike[str]) -> dict[str, str]:
    """The text beside the tensors of a safetensors file; empty for other files."""
    with open_plain(path, "checkpoint") as file:
        if not _is_safetensors(file):
            return {}
        metadata = _read_header(file, file_name(path)).get("__metadata__", {})
    if sum(len(str(value)) for value in metadata.values()) > MAX_METADATA_BYTES:
        raise ValueError(
            f"{file_name(path)} has more than {MAX_METADATA_BYTES} characters of metadata"
        )
    return {str(key): str(value) for key, value in metadata.items()}


def write_safetensors(
    path: str | os.PathLike[str],
    tensors: Mapping[str, Tensor],
    metadata: Mapping[str, str] | None = None,
) -> None:
    """Writes tensors; a kill at any moment leaves the old file or the new one, whole.

    With at most one entry of metadata the same tensors give the same bytes.
    Raises `SaveError` where the disk is full or the folder cannot be written.
    """
    # clones, because the format refuses tensors that share memory
    plain = {name: t.detach().cpu().contiguous().clone() for name, t in tensors.items()}
    with atomic_write(path) as temporary:
        try:
            save_file(plain, temporary, metadata=dict(metadata or {}) or None)
        except SafetensorError as error:
            full = "os error 28" in str(error)
            reason = "No space left on device" if full else str(error).splitlines()[0][:120]
            raise save_error(path, reason) from error


def checked_copies(
    tensors: Mapping[str, Tensor], name: str, dtype: torch.dtype | None = None
) -> dict[str, Tensor]:
    """Mapped tensors as copies in memory; raises `ValueError` where one holds NaN or infinity.

    Floating-point tensors become `dtype` where one is given. Copies, because a mapped file that is
    cut by another program later would end this one.
    """
    copies = {
        key: tensor.to(dtype, copy=True)
        if dtype is not None and tensor.is_floating_point()
        else tensor.clone()
        for key, tensor in tensors.items()
    }
    broken = [
        key for key, t in copies.items() if t.is_floating_point() and not t.isfinite().all().item()
    ]
    if broken:
        raise ValueError(
            f"{name} has NaN or infinite weights in {len(broken)} of {len(copies)} tensors, first "
            f"in {broken[0][:80]}; it comes from a training run that failed: use an earlier one"
        )
    return copies


def _is_safetensors(file: BinaryIO) -> bool:
    file.seek(0)
    head = file.read(9)
    file.seek(0)
    return len(head) == 9 and head[8:] == b"{"


def _is_pickle(file: BinaryIO) -> bool:
    """Whether the first opcodes parse; protocol 0 has no magic number."""
    file.seek(0)
    head = file.read(2)
    file.seek(0)
    if head[:1] == b"\x80" and head[1:] in (b"\2", b"\3", b"\4", b"\5"):
        return True
    try:
        start = io.BytesIO(file.read(4096))  # a line may be as long as the file
        first = [opcode.name for opcode, _, _ in islice(pickletools.genops(start), 2)]
    except Exception:  # pickletools raises errors of many types on what is no pickle
        first = []
    file.seek(0)
    return "GLOBAL" in first


def _read_header(file: BinaryIO, name: str) -> dict:
    """The header of a safetensors file, each tensor's shape and place checked against the file."""
    size = file.seek(0, os.SEEK_END)
    file.seek(0)
    length = int.from_bytes(file.read(8), "little")
    if length > min(size - 8, MAX_HEADER_BYTES):
        raise ValueError(
            f"{name} announces a header of {length} bytes, but has {size} (at most "
            f"{MAX_HEADER_BYTES} are allowed); it is cut short or damaged"
        )
    try:
        header = json.loads(file.read(length))
        entries = {key: value for key, value in header.items() if key != "__metadata__"}
        if len(entries) > MAX_TENSORS:
            raise ValueError(
                f"{name} holds {len(entries)} tensors; at most {MAX_TENSORS} are allowed"
            )
        for key, entry in entries.items():
            _check_entry(key, entry, size - 8 - length, name)
        if not isinstance(header.get("__metadata__", {}), dict):
            raise TypeError
    except ValueError as error:
        if str(error).startswith(name):
            raise
        raise ValueError(f"{name} is damaged: its header is not JSON") from None
    except (TypeError, KeyError, AttributeError, RecursionError, OverflowError):
        raise ValueError(f"{name} is damaged: its header is not one of safetensors") from None
    return header


def _check_entry(key: str, entry: dict, available: int, name: str) -> None:
    shape, (start, end) = entry["shape"], entry["data_offsets"]
    if not all(type(number) is int and number >= 0 for number in (*shape, start, end)):
        raise TypeError
    if len(shape) > 8:
        raise ValueError(f"{name}: tensor {key[:80]} has {len(shape)} dimensions")
    if entry["dtype"] not in ITEM_SIZES:
        raise ValueError(
            f"{name}: tensor {key[:80]} has the type {str(entry['dtype'])[:20]}; "
            f"allowed are {', '.join(ITEM_SIZES)}"
        )
    claimed = math.prod(shape) * ITEM_SIZES[entry["dtype"]]
    if claimed != end - start or end > available:
        raise ValueError(
            f"{name}: tensor {key[:80]} of shape {tuple(shape)} claims {claimed} bytes, but the "
            f"file has {max(0, min(end, available) - start)} for it; it is cut short or damaged"
        )


def _map_safetensors(path: str | os.PathLike[str], name: str) -> dict[str, Tensor]:
    try:
        with safe_open(path, framework="pt") as file:
            tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
    except SafetensorError as error:
        raise ValueError(f"{name} is damaged: {str(error).splitlines()[0][:120]}") from None
    return _without_prefixes(tensors)


def _map_torch(path: str | os.PathLike[str], name: str) -> dict[str, Tensor]:
    try:
        with (
            open_plain(path, "checkpoint") as file,
            _loading,
            torch.serialization.safe_globals([argparse.Namespace]),
        ):
            # given a path, torch goes by the extension; given a file, it does not map
            mapped = not name.endswith(".safetensors")
            content = torch.load(
                os.fspath(path) if mapped else file,
                map_location="cpu",
                weights_only=True,
                mmap=mapped,
            )
    except Exception as error:  # a crafted pickle makes the parser raise errors of any type
        said = str(error).splitlines()[0][:120] if str(error) else type(error).__name__
        said = "it cannot be read" if os.sep in said else said
        raise ValueError(f"{name} is not loaded: {said}") from None
    wrapped = [key for key in WRAPPERS if isinstance(content, dict) and key in content]
    tensors = content[wrapped[0]] if wrapped else content
    if not isinstance(tensors, dict) or not any(isinstance(t, Tensor) for t in tensors.values()):
        names = (
            [key for key in tensors if isinstance(key, str)] if isinstance(tensors, dict) else []
        )
        holds = ", ".join(map(shown, names[:5])) or type(tensors).__name__
        raise ValueError(
            f"{name} holds no named tensors at its top, nor in {', '.join(WRAPPERS)}; "
            f"it holds {holds}"
        )
    nested = [key for key, value in tensors.items() if isinstance(value, dict | list | tuple)]
    if nested or not all(isinstance(key, str) for key in tensors):
        named = ", ".join(shown(key) for key in nested[:3] if isinstance(key, str))
        raise ValueError(f"{name} mixes tensors with other things{named and ': '}{named}")
    return _without_prefixes({k: v.detach() for k, v in tensors.items() if isinstance(v, Tensor)})


def _without_prefixes(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    while found := [p for p in PREFIXES if tensors and all(key.startswith(p) for key in tensors)]:
        tensors = {key[len(found[0]) :]: tensor for key, tensor in tensors.items()}
    return tensors


def _check_claims(tensors: dict[str, Tensor], size: int, name: str) -> None:
    """Refuses tensors that claim more elements than the file holds, such as those of stride 0."""
    total = 0
    for key, tensor in tensors.items():
        if tensor.layout != torch.strided or tensor.dtype not in DTYPES:
            raise ValueError(f"{name}: tensor {key[:80]} is {tensor.dtype}, which is not allowed")
        claimed = tensor.numel() * tensor.element_size()
        total += claimed
        if claimed > tensor.untyped_storage().nbytes() or total > 2 * size:
            raise ValueError(
                f"{name}: tensor {key[:80]} of shape {str(tuple(tensor.shape))[:80]} claims "
                f"{claimed} bytes that are not in the file of {size}; it may be made to fill the "
                "memory"
            )
    if not 1 <= len(tensors) <= MAX_TENSORS:
        raise ValueError(
            f"{name} holds {len(tensors) or 'no'} tensors; from 1 to {MAX_TENSORS} are allowed"
        )
