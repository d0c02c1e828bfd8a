"""Clips as latents: encoded once, by every process a part, into shards that are read where needed.

`latents/index.json` says what the shards are of. A shard is a safetensors file of `SHARD` clips
with float16 tensors `clips` (n, F, C, h, w) and `stills` (m, 1, C, h, w), each in the clips' order,
and `rows` (n + m,), the place of each clip in its tensor. A shard that is there is whole, so
encoding goes on with those that are missing. Reading maps files; nothing is listed or held in
memory.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import safe_open
from torch import Tensor
from tqdm import tqdm

from fvdm_core.checkpoint import write_safetensors
from fvdm_core.files import atomic_write

from . import parallel
from .clips import Clips, check_space
from .run import Run, Stopped

SHARD = 128  # clips
BATCH = 8  # clips that are encoded at once
OPEN = 256  # shards; each is one mapped file


class Latents:
    """float16 (N, F, C, h, w) on disk; an array of indices reads those clips.

    Of a picture its one frame is given F times, as a clip of it would be without noise.
    """

    def __init__(
        self, folder: Path, shape: tuple[int, ...], still: Callable[[np.ndarray], np.ndarray]
    ) -> None:
        self.shape = shape
        self._still = still
        self._open = lru_cache(maxsize=OPEN)(lambda number: _Shard(shard_path(folder, number)))

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, indices: np.ndarray) -> np.ndarray:
        out = np.empty((len(indices), *self.shape[1:]), dtype=np.float16)
        still = self._still(indices)
        for place, index in enumerate(map(int, indices)):
            out[place] = self._open(index // SHARD).read(index % SHARD, still[place])
        return out


class _Shard:
    def __init__(self, path: Path) -> None:
        file = safe_open(path, framework="numpy")
        self._rows = file.get_tensor("rows")
        self._tensors = {name: file.get_slice(name) for name in ("clips", "stills")}

    def read(self, place: int, still: bool) -> np.ndarray:
        row = int(self._rows[place])
        return self._tensors["stills" if still else "clips"][row : row + 1][0]


def shard_path(folder: Path, number: int) -> Path:
    return folder / f"latents-{number:06d}.safetensors"


def encode(
    clips: Clips,
    encoder: Callable[[np.ndarray], Tensor],
    shape: tuple[int, int, int],
    weights: str,
    run: Run,
) -> Latents:
    """All clips as latents, by all processes together, going on where they stopped.

    `encoder` makes pictures uint8 (B, f, H, W, 3) into latents (B, f, *shape); `weights` tells
    autoencoders apart: shards of another one are made anew. Raises `Stopped` when the run is to
    end, `ValueError` where the disk has no room.
    """
    folder = run.folder / "latents"
    whole = (len(clips), clips.video.shape[1], *shape)
    if parallel.is_first():
        _claim(folder, {"weights": weights, "shape": list(whole), "shard": SHARD})
    parallel.mean(0.0)  # the others wait for it
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
    return Latents(folder, whole, clips.still)


@torch.no_grad()
def _encode_shard(
    clips: Clips, encoder: Callable[[np.ndarray], Tensor], number: int, run: Run
) -> dict[str, Tensor] | None:
    """The tensors of a shard; None where the run is to end."""
    indices = np.arange(number * SHARD, min((number + 1) * SHARD, len(clips)))
    still = clips.still(indices)
    rows = np.where(still, np.cumsum(still), np.cumsum(~still)) - 1
    tensors = {"rows": torch.from_numpy(rows)}
    for name, chosen, frames in (("clips", ~still, clips.video.shape[1]), ("stills", still, 1)):
        parts = []
        for batch in np.split(indices[chosen], range(BATCH, int(chosen.sum()), BATCH)):
            if run.stop_requested:
                return None
            if len(batch):
                parts.append(encoder(clips.video[batch, :frames]).half().cpu())
        tensors[name] = torch.cat(parts) if parts else torch.zeros(0, dtype=torch.float16)
    return tensors


def _claim(folder: Path, index: dict[str, Any]) -> None:
    """Make the folder one of these latents: shards of others are removed."""
    path = folder / "index.json"
    if path.exists() and json.loads(path.read_text("utf-8")) == index:
        return
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.glob("latents-*.safetensors"):
        old.unlink()
    check_space(path, int(np.prod(index["shape"])) * np.dtype(np.float16).itemsize)
    with atomic_write(path) as temporary:
        temporary.write_text(json.dumps(index), "utf-8")
