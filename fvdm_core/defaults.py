"""What a model is best sampled with where a run says nothing: for all labels, and for some."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from .limits import SAMPLING, shown


@dataclass(frozen=True)
class SamplingDefaults:
    """The options of `RunOptions` that belong to a model, as its config.json has them.

    temporal_scale: 0 to 5, and guidance_from: a level, 0 to 1000, are those of `RunOptions`.
    by_label: {label: {either of them: its value there}}, for labels that want others.

    Raises `ValueError` naming what is wrong.
    """

    temporal_scale: float = 0.0
    guidance_from: float = 0.0
    by_label: Mapping[str, Mapping[str, float]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        _check("", {key: getattr(self, key) for key in SAMPLING})
        if not isinstance(self.by_label, Mapping):
            raise ValueError("sampling.by_label must be a table of labels")
        for label, values in self.by_label.items():
            if not isinstance(values, Mapping):
                raise ValueError(f"sampling.by_label: {shown(label)} must be a table")
            _check(f"by_label of {shown(label)}: ", values)

    @classmethod
    def read(cls, values: Any) -> SamplingDefaults:
        """From a model's config.json. Raises `ValueError` for what is wrong there."""
        if not isinstance(values, Mapping):
            raise ValueError("sampling must be an object")
        if unknown := [key for key in values if key not in (*SAMPLING, "by_label")]:
            raise ValueError(f"sampling has the unknown field {shown(unknown[0])}")
        return cls(**values)

    def check_labels(self, labels: Collection[str]) -> None:
        """Raise `ValueError` where something is said of a label that is none of `labels`."""
        if foreign := [label for label in self.by_label if label not in labels]:
            raise ValueError(
                f"sampling.by_label: {shown(foreign[0])} is none of the model's labels"
            )

    def check_skills(self, skills: Collection[str]) -> None:
        """Raise `ValueError` where it wants temporal guidance of a network that cannot have it."""
        wants = any(self.of(label)["temporal_scale"] for label in (None, *self.by_label))
        if wants and "temporal_scale" not in skills:
            raise ValueError(
                "sampling.temporal_scale is above 0, but the network takes no 'alone', which that "
                "needs"
            )

    def of(self, label: str | None) -> dict[str, float]:
        """{option: value} for clips of a label, or of any."""
        usual = {key: getattr(self, key) for key in SAMPLING}
        return usual | dict(self.by_label.get(label, {}) if label is not None else {})

    def for_all(self, **values: float) -> SamplingDefaults:
        """With these values in place of those of all labels."""
        rest = {
            label: {key: value for key, value in own.items() if key not in values}
            for label, own in self.by_label.items()
        }
        return SamplingDefaults(**{**asdict(self), **values, "by_label": rest})


def _check(where: str, values: Mapping[str, Any]) -> None:
    for key, value in values.items():
        if key not in SAMPLING:
            raise ValueError(f"sampling.{where}{shown(key)} is none of {', '.join(SAMPLING)}")
        if type(value) not in (int, float) or not 0 <= value <= SAMPLING[key]:
            raise ValueError(
                f"sampling.{where}{key} is {shown(value)}; it must be from 0 to {SAMPLING[key]:g}"
            )
