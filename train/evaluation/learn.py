"""Learn the network of world-FVD from rendered clips: `python -m train.evaluation.learn`.

The same command goes on where it was stopped, and at the end writes `world-network.safetensors` and
prints how much of each factor's variance the network explains on clips that it has not seen (R²).
"""

from __future__ import annotations

import argparse
import dataclasses
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset
from tqdm import tqdm

from fvdm_core.device import fast_bf16, pick_device
from fvdm_core.files import place
from train.clips import world_seed
from train.config import OptimConfig
from train.loop import Diverged, fit
from train.run import Run, Stopped
from train.worlds import UNSEEN, WORLDS, render

from .common import figure, markdown
from .factors import SIZES, explained, targets
from .features import sha256
from .network import NetworkConfig, WorldNetwork, load_network, save_network

FILE = "world-network.safetensors"
TARGET = 0.9  # the R² from which on its distances may be used as evidence
FPS = 8.0
_STATISTICS = 512  # clips of which the factors' means and deviations are taken
_SMALLEST = 16  # pixels: factors do not need larger pictures


@dataclass(frozen=True)
class LearnConfig:
    """What is learned from: clips of the network's size, all worlds in turn.

    `frames`: the clips of each batch are of one of these lengths, batch by batch in turn.
    """

    network: NetworkConfig = NetworkConfig()
    optim: OptimConfig = OptimConfig(steps=4_400, batch_size=32, lr=2e-3, decay=0.6)
    frames: tuple[int, ...] = (8, 16)
    statistics: int = _STATISTICS


class Clips(Dataset):
    """Clip `index` of an endless stream, its world in turn: video, targets (NaN where unknown).

    Each `batch` clips are of one of the `lengths`, which take turns.
    """

    def __init__(
        self,
        size: int,
        lengths: Sequence[int],
        batch: int = 1,
        seed: Callable[[int], int] = world_seed,
    ) -> None:
        self.size, self.lengths, self.batch, self.seed = size, lengths, batch, seed

    def __getitem__(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        world = list(WORLDS)[index % len(WORLDS)]
        frames = self.lengths[index // self.batch % len(self.lengths)]
        clip = render(world, self.seed(index), frames, self.size, FPS)
        return clip.video, targets(clip).astype(np.float32)


def unseen_seed(index: int) -> int:
    """Seeds of clips that only measure, the k-th of each world being UNSEEN + k."""
    return UNSEEN + index // len(WORLDS)


def statistics(config: LearnConfig) -> tuple[Tensor, Tensor]:
    """Mean and deviation of every target over training clips; 1 where it does not vary."""
    clips = Clips(_SMALLEST, config.frames, config.optim.batch_size)
    values = np.stack([clips[k][1] for k in range(config.statistics)]).astype(np.float64)
    known = ~np.isnan(values)
    count = np.maximum(known.sum(0), 1)
    mean = np.where(known, values, 0).sum(0) / count
    deviation = np.sqrt((np.where(known, values - mean, 0) ** 2).sum(0) / count)
    deviation[deviation < 1e-6] = 1
    return torch.from_numpy(mean).float(), torch.from_numpy(deviation).float()


def batches(config: LearnConfig, start: int, workers: int) -> Iterator[list[Tensor]]:
    """The batches of the steps from `start` on: videos (B, T, H, W, 3) and targets (B, TARGETS)."""
    size = config.optim.batch_size
    return iter(
        DataLoader(
            Clips(config.network.size, config.frames, size),
            batch_size=size,
            sampler=range(start * size, config.optim.steps * size),
            num_workers=workers,
            multiprocessing_context="spawn" if workers else None,  # a fork may inherit held locks
            worker_init_fn=_start_worker,
        )
    )


def _start_worker(number: int) -> None:
    """The trainer alone answers signals, which all get, and ends its workers itself."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    cv2.setNumThreads(1)


def learn(config: LearnConfig, run: Run, workers: int = 0) -> WorldNetwork:
    """Train the network, going on from the folder's newest state; return its moving average.

    Raises `Stopped` after a signal, with the state saved.
    """
    device = pick_device()
    run.claim({"network": dataclasses.asdict(config.network), "frames": config.frames})
    torch.manual_seed(0)  # the weights that a run starts from
    network = WorldNetwork(config.network)
    mean, deviation = statistics(config)
    network.mean.copy_(mean)
    network.deviation.copy_(deviation)
    network.to(device)
    stream: Iterator[list[Tensor]] | None = None

    def batch_at(step: int, generator: torch.Generator, own: slice) -> list[Tensor]:
        nonlocal stream
        if stream is None:
            stream = batches(config, step, workers)
        return [part[own] for part in next(stream)]

    def losses_of(batch: list[Tensor]) -> Tensor:
        videos, wanted = (part.to(device) for part in batch)
        with torch.autocast(device.type, torch.bfloat16, enabled=fast_bf16(device)):
            _, predicted = network(videos)
        return factor_loss(predicted.float(), (wanted - network.mean) / network.deviation)

    optim = config.optim
    averaged = fit(
        *(network, batch_at, losses_of, optim, run, "network", 0, optim.batch_size, "clips")
    )
    assert isinstance(averaged, WorldNetwork)
    return averaged


def factor_loss(predicted: Tensor, wanted: Tensor) -> Tensor:
    """Mean square over the targets that a clip has, (B, TARGETS) twice -> (B,).

    Every factor weighs alike, however many targets it has, as in the R² that is reported.
    """
    known = ~wanted.isnan() / torch.tensor(SIZES, device=wanted.device)
    error = torch.where(wanted.isnan(), 0.0, predicted - wanted.nan_to_num())
    return (known * error.square()).sum(1) / known.sum(1)


@torch.no_grad()
def measure(network: WorldNetwork, frames: int, size: int, seeds: int) -> dict[str, float]:
    """R² of every group of factors on `seeds` unseen clips of each world, `size` pixels a side."""
    clips = Clips(size, (frames,), seed=unseen_seed)
    device = next(network.parameters()).device
    truth, predicted = [], []
    for index in tqdm(range(seeds * len(WORLDS)), desc="unseen clips", leave=False, disable=None):
        video, wanted = clips[index]
        _, answer = network(torch.from_numpy(video)[None].to(device))
        truth.append(wanted.astype(np.float64))
        predicted.append(network.factors(answer)[0].double().cpu().numpy())
    return explained(np.stack(truth), np.stack(predicted))


def report(scores: dict[str, float]) -> str:
    """R² per factor as a table, then the mean of each world's factors and of all.

    A factor that the clips cannot tell of, because it does not vary among them, is left empty.
    """
    rows = [[*name.split("/"), figure([score]).show(3)] for name, score in scores.items()]
    for world in WORLDS:
        mine = [score for name, score in scores.items() if name.startswith(f"{world}/")]
        rows.append([world, "mean", f"{figure(mine).mean:.3f}" if figure(mine).clips else ""])
    mean = figure(scores.values()).mean
    rows.append(["all", "mean", f"{mean:.3f}"])
    verdict = "reaches" if mean >= TARGET else "does not reach"
    return f"{markdown(('world', 'factor', 'R²'), rows)}\n\nThe mean {verdict} {TARGET}."


def main(arguments: Sequence[str] | None = None) -> int:
    default = LearnConfig()
    parser = argparse.ArgumentParser(prog="python -m train.evaluation.learn", description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("runs/world-network"))
    parser.add_argument("--steps", type=int, default=default.optim.steps)
    parser.add_argument("--batch-size", type=int, default=default.optim.batch_size)
    parser.add_argument("--save-every", type=int, default=default.optim.save_every)
    parser.add_argument("--size", type=int, default=default.network.size, help="pixels a side")
    parser.add_argument(
        "--frames",
        type=int,
        nargs="+",
        default=default.frames,
        help="lengths of clips, which take turns; R² is measured for each",
    )
    parser.add_argument("--workers", type=int, default=0, help="processes that render clips")
    parser.add_argument("--threads", type=int, help="processor cores that learn")
    parser.add_argument("--seeds", type=int, default=256, help="unseen clips of each world for R²")
    parser.add_argument(
        "--report", type=Path, metavar="FILE", help="only measure the R² of a network in a file"
    )
    options = parser.parse_args(arguments)
    try:
        _check_at_least(1, seeds=options.seeds, size=options.size, frames=min(options.frames))
        _check_at_least(0, workers=options.workers)
        if options.threads is not None:
            _check_at_least(1, threads=options.threads)
            torch.set_num_threads(options.threads)
        path = options.report or _learned(options)
        network = load_network(path)
        for frames in options.frames:
            scores = measure(network, frames, options.size, options.seeds)
            print(
                f"{path.name} (sha256 {sha256(path)[:16]}), {options.seeds} unseen clips of each "
                f"world, {frames} frames of {options.size}×{options.size}\n\n{report(scores)}\n"
            )
    except Stopped as stopped:
        print(f"{stopped}. The same command goes on from there.")
    except KeyboardInterrupt:
        print("Stopped at once; the last saved state is whole.", file=sys.stderr)
        return 130
    except (ValueError, Diverged, OSError) as error:
        print(f"learn: {error}", file=sys.stderr)
        return 1
    return 0


def _learned(options: argparse.Namespace) -> Path:
    default = LearnConfig()
    config = dataclasses.replace(
        default,
        network=NetworkConfig(size=options.size),
        frames=tuple(options.frames),
        optim=dataclasses.replace(
            default.optim,
            steps=options.steps,
            batch_size=options.batch_size,
            save_every=options.save_every,
        ),
    )
    run = Run(options.out)
    try:
        run.catch_signals()
        network = learn(config, run, options.workers)
    finally:
        run.close()  # Ctrl-C ends what follows at once
    path = options.out / FILE
    save_network(network, path)
    print(f"The network is in {place(path)}.")
    return path


def _check_at_least(low: int, **counts: int) -> None:
    for name, value in counts.items():
        if value < low:
            raise ValueError(f"{name} is {value}; it must be at least {low}")


if __name__ == "__main__":
    sys.exit(main())
