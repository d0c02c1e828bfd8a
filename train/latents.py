"""Clips as latents: encoded once, by every process a part, into shards that are read where needed.

`latents/index.json` says what the shards are of. A shard is a safetensors file of `SHARD` clips
with float16 tensors `clips` (n, F, C, h, w) and `stills` (m, 1, C, h, w), each in the clips' order,
and `rows` (n + m,), the place of each clip in its tensor. Clips of other sizes than the first are
in tensors of their own, `clips-1` and so on. A shard that is there is whole, so
encoding goes on with those that are missing. Reading maps files; nothing is listed or held in
memory.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import safe_open
from torch import Tensor
from tqdm import tqdm

from fvdm_core.checkpoint import write_safetensors
from fvdm_core.files import atomic_write, place

from . import parallel
from .clips import Clips, check_space
from .run import Run, Stopped

SHARD = 128  # clips
AT_ONCE = 128 * 64 * 64  # pixels that are encoded at once
OPEN = 256  # shards; each is one mapped file


class Latents:
    """float16 (N, F, C, h, w) on disk; an array of indices reads those clips, all of one size.

    Of a picture its one frame is given F times, as a clip of it would be without noise. `shapes`
    are (C, h, w) of each of the clips' sizes.
    """

    def __init__(self, folder: Path, clips: Clips, shapes: Sequence[tuple[int, int, int]]) -> None:
        self._clips, self._shapes = clips, shapes
        self._open = lru_cache(maxsize=OPEN)(lambda number: _Shard(shard_path(folder, number)))

    def __len__(self) -> int:
        return len(self._clips)

    def __getitem__(self, indices: np.ndarray) -> np.ndarray:
        size = self._clips.size_of(int(indices[0]))
        shape = (len(indices), self._clips.frames, *self._shapes[size])
        out = np.empty(shape, dtype=np.float16)
        still = self._clips.still(indices)
        for at, index in enumerate(map(int, indices)):
            name = tensor_name(bool(still[at]), size)
            out[at] = self._open(index // SHARD).read(name, index % SHARD)
        return out


class _Shard:
    def __init__(self, path: Path) -> None:
        file = safe_open(path, framework="numpy")
        self._rows = file.get_tensor("rows")
        self._tensors = {name: file.get_slice(name) for name in file.keys() if name != "rows"}

    def read(self, name: str, place: int) -> np.ndarray:
        row = int(self._rows[place])
        return self._tensors[name][row : row + 1][0]


def tensor_name(still: bool, size: int) -> str:
    """Where in a shard clips or pictures of a size are."""
    return ("stills" if still else "clips") + (f"-{size}" if size else "")


def shard_path(folder: Path, number: int) -> Path:
    return folder / f"latents-{number:06d}.safetensors"


def encode(
    clips: Clips,
    encoder: Callable[[np.ndarray], Tensor],
    shapes: Sequence[tuple[int, int, int]],
    weights: str,
    run: Run,
) -> Latents:
    """All clips as latents, by all processes together, going on where they stopped.

    `encoder` makes pictures uint8 (B, f, H, W, 3) into latents (B, f, C, h, w), `shapes` has (C, h,
    w) of each of the clips' sizes; `weights` tells autoencoders apart: shards of another one are
    made anew. Raises `Stopped` when the run is to end, `ValueError` where the disk has no room, or
    the run's transformer has learned from those of another.
    """
    folder = run.folder / "latents"
    whole = [len(clips), clips.frames, *shapes[0]]
    index: dict[str, Any] = {"weights": weights, "shape": whole, "shard": SHARD}
    if len(shapes) > 1:
        index["shapes"] = [list(shape) for shape in shapes]
    values = 0
    for group, shape in zip(clips.by_size, shapes, strict=True):
        stills = int(clips.still(np.asarray(group)).sum())  # of one frame each
        values += (stills + (len(group) - stills) * clips.frames) * int(np.prod(shape))
    size = values * np.dtype(np.float16).itemsize
    parallel.first_then_others(lambda: _claim(run, folder, index, size))
    numbers = range(parallel.rank(), -(-len(clips) // SHARD), parallel.processes())
    missing = [number for number in numbers if not shard_path(folder, number).exists()]
    hidden = None if parallel.is_first() else True
    with tqdm(total=len(missing), desc="encoding", unit="shard", disable=hidden) as progress:
        for number in missing:
            tensors = _encode_shard(clips, encoder, number, run)
            if tensors is None:
                break
            write_safetensors(shard_path(folder, number), tensors)
            progress.update()
    (stopped,) = parallel.mean(float(run.stop_requested))
    if stopped:
        raise Stopped("encoding stopped; the shards that are written stay")
    return Latents(folder, clips, shapes)


@torch.no_grad()
def _encode_shard(
    clips: Clips, encoder: Callable[[np.ndarray], Tensor], number: int, run: Run
) -> dict[str, Tensor] | None:
    """The tensors of a shard; None where the run is to end."""
    indices = np.arange(number * SHARD, min((number + 1) * SHARD, len(clips)))
    still = clips.still(indices)
    size = np.array([clips.size_of(int(index)) for index in indices])
    rows = np.empty(len(indices), dtype=np.int64)
    tensors = {}
    for number, pictures in sorted({*zip(size.tolist(), still.tolist(), strict=True)}):
        chosen = (size == number) & (still == pictures)
        rows[chosen] = np.arange(chosen.sum())
        frames, parts = 1 if pictures else clips.frames, []
        rest = indices[chosen]
        height, width = clips.video[rest[:1], :1].shape[2:4]
        most = max(1, AT_ONCE // (height * width))  # pictures
        while len(rest):
            if run.stop_requested:
                return None
            batch, rest = np.split(rest, [max(1, most // frames)])
            video = clips.video[batch, :frames]
            pieces = [encoder(video[:, k : k + most]).half().cpu() for k in range(0, frames, most)]
            parts.append(torch.cat(pieces, dim=1))
        tensors[tensor_name(pictures, number)] = torch.cat(parts)
    return tensors | {"rows": torch.from_numpy(rows)}


def _claim(run: Run, folder: Path, index: dict[str, Any], size: int) -> None:
    """Make the folder one of these latents, of so many bytes: shards of others are removed."""
    path = folder / "index.json"
    if path.exists() and json.loads(path.read_text("utf-8")) == index:
        return
    if path.exists() and run.newest("transformer"):
        raise ValueError(
            f"the transformer in {place(run.folder)} has learned from the latents of another "
            "autoencoder; delete transformer-* there to train it anew"
        )
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.glob("latents-*.safetensors"):
        old.unlink()
    check_space(folder, size)
    with atomic_write(path) as temporary:
        temporary.write_text(json.dumps(index), "utf-8")
