"""What a model can be asked for, and what is left to it where a run does not say."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from .card import ModelCard
from .limits import frame_name
from .network import SKILLS
from .options import Conditioning, RunOptions
from .timeline import Timeline


@dataclass(frozen=True)
class Offer:
    """Which options a model has for a run.

    sizes: (height, width) of its frames, the usual one first. skills: of the options that not every
    model can carry out. frames_per_latent: how many frames a column of its timelines stands for.
    class_of: the number of a prompt, of a model that takes such.
    """

    card: ModelCard
    sizes: tuple[tuple[int, int], ...]
    skills: frozenset[str]
    frames_per_latent: int = 1
    class_of: Callable[[str], int] | None = None

    def settled(self, timeline: Timeline, options: RunOptions) -> tuple[int | None, RunOptions]:
        """The label's number, and the options with all that is left to the model decided.

        Raises `ValueError` naming the option that this model does not have.
        """
        index, label = self.labelled(options.label)
        size = options.size or self.sizes[0]
        if size not in self.sizes:
            known = ", ".join(f"{height}×{width}" for height, width in self.sizes)
            raise ValueError(
                f"size is {size[0]}×{size[1]} (height × width), which {self.card.name} was not "
                f"trained on; choose one of {known}"
            )
        own = self.card.sampling.of(label)
        unsaid: dict[str, Any] = {key: own[key] for key in own if getattr(options, key) is None}
        settled = replace(
            options,
            size=None if size == self.sizes[0] else size,
            label=label,
            fps=options.fps or self.card.fps,
            conditioning=self._conditioning(timeline, options),
            **unsaid,
        )
        self._check_skills(settled)
        return index, settled

    def labelled(self, label: str | int | None) -> tuple[int | None, str | None]:
        """What the network is given for a label, and its name; without a prompt it is an empty one,
        as what stands for none may be what prompts lead away from.

        Raises `ValueError` for what is no label.
        """
        if self.class_of and label is None:
            label = ""
        if self.class_of and isinstance(label, str) and label not in self.card.labels:
            return self.class_of(label), label
        index = self.card.label_index(label)
        return index, None if index is None else self.card.labels[index]

    def _conditioning(self, timeline: Timeline, options: RunOptions) -> Conditioning:
        """What was asked for, or what the model was trained for."""
        usual: Conditioning = "replacement" if self.card.timesteps == "scalar" else "clean"
        chosen = options.conditioning or usual
        if timeline.seen and chosen == "replacement":
            raise ValueError(
                f"conditioning is 'replacement', which shows {frame_name(min(timeline.seen))} at "
                "the level of those that come down, but the timeline says in `seen` at which level "
                "it is shown: leave out one of them"
            )
        return chosen

    def _check_skills(self, settled: RunOptions) -> None:
        if settled.splice_exact and "splice_exact" not in self.skills:
            raise ValueError(
                f"splice_exact is on, but {self.card.name} makes {self.frames_per_latent} frames "
                "of each latent, of which a picture is one; leave it off"
            )
        for option, argument in SKILLS.items():
            if getattr(settled, option) and option not in self.skills:
                raise ValueError(
                    f"{option} is {getattr(settled, option):g}, but the network of "
                    f"{self.card.name} takes no {argument!r}, which that needs; leave it at 0"
                )
