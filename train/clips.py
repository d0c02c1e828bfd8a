"""Clips on disk: uint8 (N, F, H, W, 3) with labels, made once from worlds or a folder.

The file is memory-mapped, so training reads only the frames of its batch. Rendering is
resumable: a clip's slot is a function of its index, and finished chunks are listed beside it.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import shutil
import signal
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from fvdm_core.files import atomic_write, place

from .aspects import MAX_ASPECTS, MixedVideo, Size, turns
from .config import DataConfig
from .run import Stopped
from .worlds import render

CHUNK = 64
_MIX = 2654435761  # Knuth's multiplicative hash: neighbouring indices get unrelated seeds


@dataclass(frozen=True)
class Clips:
    """`video` uint8 (N, F, H, W, 3), memory-mapped; `labels` int64 (N,); `names` of the clips.

    `label_names` says what the labels mean; empty where there are none. `stills` (N,) is not 0 for
    pictures, of which only the first frame is there; None where there are no pictures. `sizes` are
    (H, W), several where `which` (N,) says of which one a clip is.
    """

    video: np.ndarray | MixedVideo
    labels: np.ndarray
    names: Sequence[str]
    label_names: tuple[str, ...] = ()
    stills: np.ndarray | None = None
    sizes: tuple[Size, ...] = ()
    which: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def frames(self) -> int:
        return int(self.video.shape[1])

    @cached_property
    def by_size(self) -> list[np.ndarray]:
        """The indices of the clips of each size."""
        if self.which is None:
            return [np.arange(len(self))]
        return [np.flatnonzero(self.which == number) for number in range(len(self.sizes))]

    @property
    def sizes_in_use(self) -> list[Size]:
        """(H, W) of which there are clips, the most frequent first; none where nobody said any."""
        if self.which is None:
            return list(self.sizes)
        order = np.argsort(-self._counts, kind="stable")
        return [self.sizes[number] for number in order if self._counts[number]]

    def size_of(self, index: int) -> int:
        """The number of a clip's size."""
        return 0 if self.which is None else int(self.which[index])

    def turn(self, step: int) -> tuple[int, int]:
        """The number of the size that a step's batch has, and how many steps before had it."""
        return turns(self._counts, step) if self.which is not None else (0, step)

    def batch(self, batch_size: int, seed: int, step: int) -> np.ndarray:
        """The clip indices of one step, (batch_size,): shuffled epochs of the clips of a size."""
        group, before = self.turn(step)
        indices = self.by_size[group]
        return indices[batches(len(indices), batch_size, seed, before)]

    def balanced(self, count: int, step: int, rng: np.random.Generator) -> np.ndarray:
        """Indices of `count` clips of the size whose turn a step is, drawn so that each label that
        is there is as likely."""
        group, _ = self.turn(step)
        order, begins, lengths = self._by_label[group]
        label = rng.integers(len(begins), size=count)
        return order[begins[label] + (rng.random(count) * lengths[label]).astype(np.int64)]

    def spread(self, count: int, group: int | None = None) -> np.ndarray:
        """At most `count` indices from all over the clips of a size, by default the most frequent
        one. They are drawn: labels take turns, so every k-th clip may be of one label."""
        chosen = self.by_size[int(self._counts.argmax()) if group is None else group]
        drawn = np.random.default_rng(0).permutation(len(chosen))[:count]
        return chosen[np.sort(drawn)]

    @cached_property
    def _by_label(self) -> list[tuple[np.ndarray, ...]]:
        """The clips of each size by label; to sort them takes as long as there are many."""
        return [_labelled(self.labels, indices) for indices in self.by_size]

    @cached_property
    def _counts(self) -> np.ndarray:
        return np.array([len(indices) for indices in self.by_size])

    def still(self, indices: np.ndarray) -> np.ndarray:
        """Which of these clips are pictures, bool."""
        if self.stills is None:
            return np.zeros(len(indices), dtype=bool)
        return self.stills[indices] != 0


def world_seed(index: int) -> int:
    """The seed of training clip `index`, below 2**31 (evaluation uses seeds from 2**40)."""
    return (index * _MIX) % 2**31


def never() -> bool:
    """The answer of a caller that does not want to stop."""
    return False


def prepare_worlds(
    config: DataConfig,
    folder: Path,
    workers: int | None = None,
    stop: Callable[[], bool] = never,
) -> Clips:
    """Render the configured worlds into `folder`, going on where an earlier call stopped.

    Raises `ValueError` where the folder holds other clips or the disk has no room for these, and
    `Stopped` when `stop()` says so; chunks that are done stay done.
    """
    jobs = [name for name, count in config.worlds.items() for _ in range(count)]
    shape = (len(jobs), config.frames, config.image_size, config.image_size, 3)
    path, done_path = folder / "clips.npy", folder / "clips-done.json"
    key = {"worlds": config.worlds, "shape": list(shape), "fps": config.fps}
    if first := config.first_clip:  # folders that are older do not say it
        key["first_clip"] = first
    done = _read_done(done_path, key) if path.exists() else set()
    chunks = [c for c in range(0, len(jobs), CHUNK) if c not in done]
    folder.mkdir(parents=True, exist_ok=True)
    check_space(path, len(chunks) * CHUNK * int(np.prod(shape[1:])))  # the rest is there already
    video = _open_array(path, shape, begun=bool(done))
    look = config.image_size, config.fps
    tasks = [(str(path), first, c, jobs[c : c + CHUNK], *look) for c in chunks]
    progress = tqdm(total=len(chunks) * CHUNK, unit="clip", desc="rendering", disable=not chunks)
    with progress, _mapper(min(workers or os.cpu_count() or 1, len(tasks))) as each:
        for chunk in each(_render_chunk, tasks):
            done.add(chunk)
            _write_done(done_path, key, done)
            progress.update(CHUNK)
            if stop():
                raise Stopped(f"rendering stopped after {len(done) * CHUNK} of {len(jobs)} clips")
    order = list(config.worlds)
    labels = np.array([order.index(name) for name in jobs], dtype=np.int64)
    names = [f"{name}:{world_seed(first + i)}" for i, name in enumerate(jobs)]
    return Clips(video, labels, names, tuple(order))


@contextmanager
def _mapper(workers: int) -> Iterator[Callable[..., Iterable[int]]]:
    """A `map` over that many processes; in this one where a single worker is enough."""
    if workers < 2:
        yield map
        return
    # not multiprocessing's Pool: it ends its workers by SIGTERM, which these ignore, and waits
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, spawn, _leave_signals) as pool:

        def mapped(work: Callable[[Any], int], tasks: Iterable[Any]) -> Iterator[int]:
            for done in as_completed([pool.submit(work, task) for task in tasks]):
                yield done.result()

        try:
            yield mapped
        except BaseException:  # a stop, most often: what is begun would take seconds to finish
            for worker in multiprocessing.active_children():
                worker.kill()
            raise


def _leave_signals() -> None:
    """A worker leaves those that all get to this process, which ends it between two chunks."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)


def _render_chunk(task: tuple[str, int, int, list[str], int, float]) -> int:
    path, first, start, names, size, fps = task
    video = np.lib.format.open_memmap(path, mode="r+")
    for offset, name in enumerate(names):
        index = start + offset
        video[index] = render(name, world_seed(first + index), video.shape[1], size, fps).video
    video.flush()
    return start


def _open_array(path: Path, shape: tuple[int, ...], begun: bool) -> np.ndarray:
    """The array of an earlier call where rendering has begun, else a new one."""
    if begun and path.exists():
        existing = np.load(path, mmap_mode="r")
        if existing.shape == shape and existing.dtype == np.uint8:
            return existing
        raise ValueError(
            f"{path.name} holds clips of shape {existing.shape}, this run needs {shape}; "
            "choose another --out or delete the file"
        )
    return np.lib.format.open_memmap(path, mode="w+", dtype=np.uint8, shape=shape)


def check_space(path: Path, size: int) -> None:
    """Raise `ValueError` unless `size` bytes fit beside `path`.

    Asked before, because writing to a mapped file on a full disk ends the process without a word.
    """
    free = shutil.disk_usage(path.parent).free
    if size > free:
        raise ValueError(
            f"{place(path)} will take {size / 1e9:.1f} GB, but {free / 1e9:.1f} GB are free there; "
            "make room, choose another --out, or train on fewer or smaller clips"
        )


def _read_done(path: Path, key: dict[str, Any]) -> set[int]:
    if not path.exists():
        return set()
    saved = json.loads(path.read_text())
    same_order = list(saved["key"].get("worlds", ())) == list(key["worlds"])  # it gives the labels
    if saved["key"] != json.loads(json.dumps(key)) or not same_order:
        raise ValueError(
            f"{place(path)} belongs to other data: {saved['key']} instead of {key}; "
            "choose another --out or delete that folder"
        )
    return set(saved["done"])


def _write_done(path: Path, key: dict[str, Any], done: set[int]) -> None:
    with atomic_write(path) as temporary:
        temporary.write_text(json.dumps({"key": key, "done": sorted(done)}))


def batches(count: int, batch_size: int, seed: int, step: int) -> np.ndarray:
    """The clip indices of one step, (batch_size,): shuffled epochs, a function of (seed, step)."""
    positions = np.arange(step * batch_size, (step + 1) * batch_size)
    indices = np.empty(batch_size, dtype=np.int64)
    for epoch in np.unique(positions // count):
        order = _order(count, seed, int(epoch))
        here = positions // count == epoch
        indices[here] = order[positions[here] % count]
    return indices


@lru_cache(maxsize=2 * MAX_ASPECTS)  # a batch may lie in two epochs, and each size has its own
def _order(count: int, seed: int, epoch: int) -> np.ndarray:
    """The clips' order in an epoch; drawn once and not for every batch, as it grows with them."""
    return np.random.default_rng([seed, epoch]).permutation(count)


def _labelled(labels: np.ndarray, indices: np.ndarray) -> tuple[np.ndarray, ...]:
    """Clips in the order of their labels, and where each label begins and how many it has."""
    own = labels[indices]
    order, known = np.argsort(own, kind="stable"), np.unique(own)
    begins = np.searchsorted(own[order], known)
    return indices[order], begins, np.diff(begins, append=len(own))


def texture(index: int, size: Size, seed: int) -> np.ndarray:
    """An abstract picture uint8 (*size, 3): dead leaves over a gradient, so that a coder
    also learns edges, textures and colours that no world has (Lee, Mumford & Huang 2001)."""
    import cv2

    rng = np.random.default_rng([seed, index])
    big = max(size) * 2
    corners = rng.uniform(0, 255, (2, 2, 3)).astype(np.float32)
    picture = cv2.resize(corners, (big, big), interpolation=cv2.INTER_LINEAR)
    for _ in range(int(rng.integers(4, 60))):
        colour = tuple(float(c) for c in rng.uniform(0, 255, 3))
        centre = tuple(int(c) for c in rng.uniform(0, big, 2))
        radius = big * 0.5 * rng.uniform(0.05, 1.0) ** 2.5 + 1
        if rng.random() < 0.5:
            cv2.circle(picture, centre, int(radius), colour, -1, cv2.LINE_AA)
        else:
            box = (centre, (radius * 2, radius * 2 * rng.uniform(0.2, 1)), rng.uniform(0, 180))
            cv2.fillPoly(picture, [cv2.boxPoints(box).astype(np.int32)], colour, cv2.LINE_AA)
    grain = cv2.resize(
        rng.normal(0, rng.uniform(0, 20), (big // int(rng.integers(1, 9)),) * 2 + (1,)),
        (big, big),
    )
    picture = np.clip(picture + grain[..., None], 0, 255)
    height, width = size
    top, left = max(size) - height, max(size) - width  # its middle, where it is not a square
    picture = picture[top : top + 2 * height, left : left + 2 * width]
    return cv2.resize(picture, (width, height), interpolation=cv2.INTER_AREA).astype(np.uint8)
