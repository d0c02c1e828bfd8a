"""What a model says of itself: the part of its config.json that is not about its networks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any, Literal, get_args

from .defaults import SamplingDefaults
from .limits import MAX_FPS, MAX_SIDE, MIN_FPS, shown
from .noise import TRAINED_PRIORS
from .timeline_checks import checked_alpha

Timesteps = Literal["vectorised", "scalar"]  # one for each frame, or one for the whole clip
MAX_SIZES = 32
MAX_NAME = 100  # characters
_TEXTS = {"name": MAX_NAME, "license": 200, "trained_on": 2000}  # allowed characters


@dataclass(frozen=True)
class ModelCard:
    """What whoever samples a model needs to know of it beside its networks and schedule.

    labels: names of the classes, in their order. fps: of the clips it was trained on.
    sizes: (height, width) of the frames it was trained on, the usual one first; empty where it is
        only the square that its networks are made for.
    timesteps: whether it was trained with one for each frame, or one for the whole clip.
    prior, prior_alpha: of the noise it was trained with (`noise.frame_noise`).
    sampling: what it is best sampled with.

    Raises `ValueError` naming the field and what is allowed.
    """

    name: str = ""
    labels: tuple[str, ...] = ()
    fps: float = 8
    license: str = ""
    trained_on: str = ""
    timesteps: Timesteps = "vectorised"
    prior: str = TRAINED_PRIORS[0]
    prior_alpha: float = 1.0
    sizes: tuple[tuple[int, int], ...] = ()
    sampling: SamplingDefaults = field(default_factory=SamplingDefaults)

    def __post_init__(self) -> None:
        for key, length in _TEXTS.items():
            text = getattr(self, key)
            if not isinstance(text, str) or len(text) > length:
                raise ValueError(f"{key} must be a text of at most {length} characters")
        if not isinstance(self.labels, list | tuple) or not all(
            isinstance(label, str) and 0 < len(label) <= 100 for label in self.labels
        ):
            raise ValueError("labels must be a list of texts of 1 to 100 characters")
        if len(set(self.labels)) != len(self.labels):
            raise ValueError("labels must differ from each other")
        if type(self.fps) not in (int, float) or not MIN_FPS <= self.fps <= MAX_FPS:
            raise ValueError(f"fps is {shown(self.fps)}; it must be from {MIN_FPS:g} to {MAX_FPS}")
        _check_choice("timesteps", self.timesteps, get_args(Timesteps))
        _check_choice("prior", self.prior, TRAINED_PRIORS)
        checked_alpha(self.prior_alpha)
        object.__setattr__(self, "labels", tuple(self.labels))
        object.__setattr__(self, "sizes", _pairs(self.sizes))
        self.sampling.check_labels(self.labels)

    @classmethod
    def read(cls, config: Mapping[str, Any]) -> ModelCard:
        """From a config.json, of which the other fields are left alone."""
        said = {key: config[key] for key in CARD_FIELDS if key in config}
        return cls(**{**said, "sampling": SamplingDefaults.read(said.get("sampling", {}))})

    def written(self) -> dict[str, Any]:
        """As config.json has it."""
        return {**asdict(self), "labels": list(self.labels), "sizes": [*map(list, self.sizes)]}

    def check_classes(self, num_classes: int) -> None:
        """Raises `ValueError` where a network knows another number of labels."""
        if len(self.labels) not in (0, num_classes):
            raise ValueError(
                f"there are {len(self.labels)} labels, but the network has {num_classes} classes"
            )

    def label_index(self, label: str | int | None) -> int | None:
        """The class of a label's name or index; None for none. Raises `ValueError`."""
        if label is None:
            return None
        if isinstance(label, str) and label in self.labels:
            return self.labels.index(label)
        if isinstance(label, int) and not isinstance(label, bool) and 0 <= label < len(self.labels):
            return label
        known = ", ".join(self.labels) or "none: this model has no labels"
        raise ValueError(f"label {label!r} is unknown; the model's labels are {known}")


CARD_FIELDS = tuple(each.name for each in fields(ModelCard))


def _check_choice(key: str, value: Any, allowed: tuple[str, ...]) -> None:
    if value not in allowed:
        raise ValueError(f"{key} is {shown(value)}; it must be one of {', '.join(allowed)}")


def _pairs(sizes: Any) -> tuple[tuple[int, int], ...]:
    pairs = isinstance(sizes, list | tuple) and all(
        isinstance(size, list | tuple)
        and len(size) == 2
        and all(type(side) is int and 1 <= side <= MAX_SIDE for side in size)
        for size in sizes
    )
    if not pairs or len(sizes) > MAX_SIZES:
        raise ValueError(
            f"sizes must be a list of at most {MAX_SIZES} pairs of height and width, "
            f"from 1 to {MAX_SIDE}"
        )
    return tuple((height, width) for height, width in sizes)
