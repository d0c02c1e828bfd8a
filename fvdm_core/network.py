"""What a pipeline asks of a network and of an autoencoder, so that anybody's can stand in for ours.

A network is told a timestep for each frame; an autoencoder makes latents of pictures, and frames of
latents. Both are `torch.nn.Module`s; docs/own-network.md writes one.
"""

from __future__ import annotations

import inspect
import logging
import os
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from numbers import Integral
from pathlib import Path
from typing import Any, Protocol, cast, runtime_checkable

import torch
from torch import Tensor, nn

from .limits import checked_integer
from .memory import out_of_memory

log = logging.getLogger(__name__)
_HERE = Path(__file__).resolve().parent
LIBRARIES = {_HERE, _HERE.parent / "ui", _HERE.parent / "train", Path(os.__file__).parent}
# what only some networks can do, and the argument of `forward` by which they are asked to
SKILLS = {"temporal_scale": "alone", "step_cache": "cache"}


class Shape(Protocol):
    """Which latents a network takes; `VideoDiTConfig` and `NetworkShape` are such."""

    @property
    def num_frames(self) -> int: ...
    @property
    def latent_channels(self) -> int: ...
    @property
    def latent_size(self) -> int: ...
    @property
    def patch_size(self) -> int: ...
    @property
    def num_classes(self) -> int: ...


@dataclass(frozen=True)
class NetworkShape:
    """The `config` of a network of your own.

    num_frames: how many it sees at once; longer timelines are walked in windows of so many.
    latent_channels: C of its latents (B, F, C, h, w).
    latent_size: h and w; of frames that are no squares, the model's card has the `sizes`.
    patch_size: what h and w must be divisible by.
    num_classes: how many labels it knows; it takes y = num_classes for none of them.

    Raises `ValueError` for a number that is too small.
    """

    num_frames: int
    latent_channels: int
    latent_size: int
    patch_size: int = 1
    num_classes: int = 0

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            least = 0 if name == "num_classes" else 1
            if isinstance(value, bool) or not isinstance(value, Integral) or value < least:
                raise ValueError(f"{name} is {value!r}; it must be a whole number from {least}")
        if self.latent_size % self.patch_size:
            raise ValueError(
                f"latent_size {self.latent_size} is not divisible by patch_size {self.patch_size}"
            )


class NetworkError(ValueError):
    """A network or autoencoder that is not ours failed; the message has its line."""


class Network(Protocol):
    """x (B, F, C, h, w), t (B, F), y (B,) or None -> (B, F, C or 2C, h, w).

    t is what `NoiseSchedule.timesteps` says, and the output what its `prediction_type` says; with
    2C channels the second half is a learned variance. y is None where `num_classes` is 0 and there
    are no prompts.

    Where `forward` also takes `alone` (B,) bool, in the clips of which no frame may see another
    one, it can be led by temporal guidance; where it takes `cache`, by step caching (`step_cache`).
    Where it has `class_of(text)`, any text is a label, of the number above `num_classes` that this
    returns; it is called before a run waits for its turn, so the text is better encoded in
    `forward`. Where it has a `dtype`, it is not cast.
    """

    @property
    def config(self) -> Shape: ...
    def __call__(self, x: Tensor, t: Tensor, y: Tensor | None = None, **skills: Any) -> Tensor: ...
    def parameters(self) -> Iterator[Tensor]: ...
    def buffers(self) -> Iterator[Tensor]: ...
    def to(self, device: torch.device) -> Any: ...


@runtime_checkable
class Prompted(Protocol):
    """What a network has beside if any text is a label to it."""

    def class_of(self, text: str) -> int: ...


class Coder(Protocol):
    """Pictures (K, 3, H, W) in [-1, 1] <-> latents (K, C, h, w) of about unit scale.

    `preview`, where there is one, decodes quickly what is shown on the way, a picture for each
    latent. `frames_per_latent` r, 1 where there is none, is for those that compress time, too: F
    latents are decoded to 1 + r·(F − 1) frames, as in causal video autoencoders, where the first
    stands for one frame. `encode` still takes pictures one by one; `encode_clip`, where there is
    one, makes F latents of the 1 + r·(F − 1) frames of a clip, for frames that are kept.
    """

    @property
    def downsample(self) -> int: ...
    def encode(self, video: Tensor) -> Tensor: ...
    def decode(self, latents: Tensor) -> Tensor: ...
    def parameters(self) -> Iterator[Tensor]: ...
    def buffers(self) -> Iterator[Tensor]: ...
    def to(self, device: torch.device) -> Any: ...


class PixelSpace(nn.Module):
    """The autoencoder of networks that work on pixels: latents are pictures in [-1, 1]."""

    downsample = 1

    def encode(self, video: Tensor) -> Tensor:
        return video

    def decode(self, latents: Tensor) -> Tensor:
        return latents


def network_of(module: nn.Module) -> Network:
    """A module as its pipeline calls it. Raises `ValueError` where it does not say its shape."""
    if not isinstance(module, nn.Module):
        raise ValueError(f"the network is a {type(module).__name__}, not a torch.nn.Module")
    shape = getattr(module, "config", None)
    for name in NetworkShape.__dataclass_fields__:
        if not hasattr(shape, name):
            raise ValueError(
                f"{type(module).__name__} does not say its {name}: give it "
                "config = NetworkShape(num_frames, latent_channels, latent_size)"
            )
    try:
        _taken(module).bind(None, None, None)
    except TypeError:
        own = getattr(module, "_orig_mod", module)
        raise ValueError(
            f"{type(own).__name__}.forward must take three arguments by position, x, t and y, "
            "which is None for a network without labels, and need no more"
        ) from None
    return cast(Network, module)


def coder_of(module: nn.Module) -> Coder:
    """A module as its pipeline calls it. Raises `ValueError` where it is no autoencoder."""
    for name in ("downsample", "encode", "decode"):
        if not hasattr(module, name):
            raise ValueError(f"{type(module).__name__} is no autoencoder: it has no {name}")
    return cast(Coder, module)


def frames_per_latent(coder: Coder) -> int:
    """How many frames of a clip each latent but the first stands for."""
    return checked_integer("frames_per_latent", getattr(coder, "frames_per_latent", 1), 1, 64)


def takes_clips(coder: Coder) -> bool:
    """Whether it compresses time and has `encode_clip`. Raises `ValueError` where that is none."""
    encode = getattr(coder, "encode_clip", None) if frames_per_latent(coder) > 1 else None
    if encode is not None and not callable(encode):
        raise ValueError(f"encode_clip is a {type(encode).__name__}, not a method")
    return encode is not None


def preview_of(coder: Coder) -> Callable[[Tensor], Tensor]:
    """Latents (F, C, h, w) -> pictures (F, 3, h', w'): quick, where the autoencoder can be."""
    quick: Callable[[Tensor], Tensor] | None = getattr(coder, "preview", None)
    return quick or (lambda latents: coder.decode(latents)[:: frames_per_latent(coder)])


def skills_of(network: nn.Module) -> frozenset[str]:
    """The options of `SKILLS` that a network can carry out, and "prompts" where it takes texts."""
    taken = _taken(network).parameters
    skills = frozenset(option for option, argument in SKILLS.items() if argument in taken)
    return skills | ({"prompts"} if isinstance(network, Prompted) else set())


def _taken(network: nn.Module) -> inspect.Signature:
    """What its `forward` takes; where torch compiles it, that of what is compiled."""
    return inspect.signature(getattr(network, "_orig_mod", network).forward)


def cast_real(module: Network | Coder, dtype: torch.dtype) -> None:
    """The numbers of a module in another precision; a `Module.to` would make complex ones real."""
    for tensor in (*module.parameters(), *module.buffers()):
        if tensor.is_floating_point():
            tensor.data = tensor.data.to(dtype)


def checked_output(output: Any, x: Tensor) -> Tensor:
    """What a network gave for x (B, F, C, h, w). Raises `ValueError` for another shape."""
    if not isinstance(output, Tensor):
        raise ValueError(f"the network returned a {type(output).__name__}, not a tensor")
    given, made = tuple(x.shape), tuple(output.shape)
    if len(made) != 5 or made[:2] + made[3:] != given[:2] + given[3:]:
        raise ValueError(
            f"the network was given x of shape {given} and returned {made}; only the channels, the "
            "third number, may differ"
        )
    return output


@contextmanager
def naming_its_line() -> Iterator[None]:
    """An error that code of one's own raises becomes a `NetworkError`; its traceback is logged."""
    try:
        yield
    except Exception as error:
        line = _own_line(error)
        if line is None or out_of_memory(error):
            raise
        log.exception("A network or autoencoder failed")
        said = " ".join(str(error).split())
        raise NetworkError(f"{line}: {type(error).__name__}: {said}") from error


def _own_line(error: Exception) -> str | None:
    """Where an error is from: the last line that is neither of this project nor of a library."""
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        places = Path(frame.filename).parents
        library = any(place.name in ("site-packages", "dist-packages") for place in places)
        if Path(frame.filename).is_file() and not library and not LIBRARIES & set(places):
            return f"{Path(frame.filename).name}:{frame.lineno}, {frame.name}"
    return None
