"""From a timeline and pictures to a clip, one state per step: the line through the house."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from . import checkpoint
from .card import MAX_NAME, ModelCard
from .codec import Codec
from .conditioning import replacement
from .device import pick_device, pick_dtype
from .files import is_program
from .guidance import denoiser
from .keyframes import Picture, fit_pictures, frames_of_columns, known_frames
from .kl_autoencoder import autoencoder_beside
from .limits import MAX_FRAMES, shown
from .network import Prompted, cast_real, coder_of, network_of, skills_of
from .offer import Offer
from .options import RunOptions, with_changes
from .recipe import recipe_of
from .sampler import SampleState, sample
from .schedule import NoiseSchedule
from .start import first_row
from .state import Clip, State, spliced
from .step_cache import StepCache
from .timeline import MAX_LEVEL, Timeline

SHIPPED_MODEL = Path(__file__).resolve().parent.parent / "assets" / "model"


class Pipeline:
    """A video model with its autoencoder, its schedule, and what it says of itself.

    model, autoencoder: ours, or modules of your own that are a `network.Network` and a
    `network.Coder`; they become its own, moved to its device, in its precision and not trained any
    more, so give another pipeline a copy. model_hash: tells models apart, in recipes for one.

    Raises `ValueError` for parts that do not fit together.
    """

    def __init__(
        self,
        model: nn.Module,
        autoencoder: nn.Module,
        schedule: NoiseSchedule,
        card: ModelCard,
        *,
        model_hash: str = "",
        device: str | torch.device | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        if not isinstance(card, ModelCard):
            raise ValueError(f"the card is a {type(card).__name__}, not a fvdm_core.card.ModelCard")
        if not isinstance(schedule, NoiseSchedule):
            raise ValueError(
                f"the schedule is a {type(schedule).__name__}, not a NoiseSchedule; one of a "
                "scheduler of diffusers is NoiseSchedule.from_alphas_cumprod("
                "scheduler.alphas_cumprod)"
            )
        if schedule.num_train_timesteps != MAX_LEVEL:
            raise ValueError(
                f"{card.name} was trained on {schedule.num_train_timesteps} timesteps; timelines "
                f"have levels 0 to {MAX_LEVEL}, so a model must have {MAX_LEVEL} (a table of "
                "another length can be interpolated, as a function of the time)"
            )
        network, coder = network_of(model), coder_of(autoencoder)
        if network.config.num_frames > MAX_FRAMES:
            raise ValueError(
                f"the network's num_frames is {network.config.num_frames}; timelines have at most "
                f"{MAX_FRAMES} frames, so say {MAX_FRAMES}"
            )
        card.check_classes(network.config.num_classes)
        card.sampling.check_skills(skills_of(model))
        for module in (model, autoencoder):
            module.eval().requires_grad_(False)
        self.model, self.autoencoder = network, coder
        self._codec = Codec(coder, network.config, card.name, card.sizes)
        self._asked_dtype: torch.dtype | None = None
        self.device = pick_device(device)
        self.to(self.device, dtype)
        self.schedule = schedule
        self.card = card
        self.model_hash = model_hash
        self.num_frames = network.config.num_frames
        self.frames_per_latent = self._codec.per_latent
        self.frames_per_picture = self._codec.per_picture  # of all columns but the first
        self.sizes = self._codec.sizes  # all that it makes frames of
        self.image_size = self.sizes[0]  # (height, width), where no other is asked for
        # the options that not every model can carry out
        self.skills = skills_of(model)
        if self.frames_per_latent == 1:
            self.skills |= {"splice_exact"}

    @classmethod
    def from_pretrained(
        cls,
        source: str | Path | None = None,
        device: str | torch.device | None = None,
        dtype: torch.dtype | None = None,
        autoencoder: str | Path | None = None,
    ) -> Pipeline:
        """Load the shipped model, a model folder or file, or one of the Hub.

        source: of the Hub "owner/repo", a model folder or a single safetensors file, or
        "owner/repo/ffs.pt", a file of weights; "owner/repo@revision" for another revision.
        autoencoder: for a model that comes without one, a folder or "owner/repo" of diffusers'
        AutoencoderKL; else the folder vae in the model's folder or beside its file, or Stable
        Diffusion's from the Hub. A model that has its own keeps that.

        Raises `ValueError` saying what is wrong with the source and what would be right.
        """
        if source is not None and is_program(str(source)):
            raise ValueError(
                f"{Path(source).name} is a program: fvdm_core.own.load_own runs it, which gives it "
                "all rights of this one"
            )
        path = SHIPPED_MODEL if source is None else checkpoint.resolve_source(str(source))
        loaded = checkpoint.load_model_folder(path)
        card, model_hash = ModelCard.read(loaded.config), loaded.model_hash
        card = replace(card, name=card.name or path.name[:MAX_NAME])
        coder: nn.Module | None = loaded.autoencoder
        if coder is None:
            channels = loaded.transformer.config.latent_channels
            coder, checksum = autoencoder_beside(path, channels, card.name, autoencoder)
            model_hash = hashlib.sha256(f"{model_hash}{checksum}".encode()).hexdigest()[:16]
        return cls(
            *(loaded.transformer, coder, loaded.schedule, card),
            model_hash=model_hash,
            device=device,
            dtype=dtype,
        )

    def save_pretrained(self, folder: str | Path, dtype: torch.dtype | None = None) -> None:
        """Write a model folder, which `from_pretrained` and the studio open.

        An AutoencoderKL goes into the folder vae in it, as diffusers has it. dtype: of the
        weights; else that in which they are here, which may be less than they came with.
        Raises `ValueError` for networks of your own, for a schedule without a name and for a dtype
        of whole numbers, `SaveError` where the folder cannot be written.
        """
        parts = self.model, self.autoencoder
        checkpoint.save_parts(folder, *parts, self.schedule, self.card, dtype)

    def to(
        self,
        device: str | torch.device | torch.dtype | None = None,
        dtype: torch.dtype | None = None,
    ) -> Pipeline:
        """Move to a device, or to another dtype where it is; returns itself.

        A dtype may come first, as torch has it. With neither, CUDA or else the CPU. A dtype that
        was asked for stays until another is; else a network with a `dtype` of its own is left as it
        is, and others get what the device is good at.
        Raises `ValueError` for a device that is not there, and for a dtype of whole numbers.
        """
        if isinstance(device, torch.dtype):
            device, dtype = None, device
        if device is None and dtype is not None:
            device = self.device
        place, asked = pick_device(device), dtype or self._asked_dtype
        own = getattr(self.model, "dtype", None)
        chosen = pick_dtype(place, asked or own)
        if asked or own is None:
            cast_real(self.model, chosen)
        cast_real(self.autoencoder, torch.float32)
        self.model.to(place)
        self.autoencoder.to(place)
        self._codec.device, self._codec.dtype = place, chosen
        self.device, self.dtype, self._asked_dtype = place, chosen, asked
        return self

    def __repr__(self) -> str:
        height, width = self.image_size
        makes = f"{self.num_frames} frames of {width}×{height}"
        return f"<Pipeline: {self.card.name}, {makes}, on {self.device} in {self.precision}>"

    def with_own_noise(self, timeline: Timeline) -> Timeline:
        """The timeline with starting noise of the kind that the model was trained with."""
        return replace(timeline, prior=self.card.prior, prior_alpha=self.card.prior_alpha)

    @property
    def offer(self) -> Offer:
        """What it can be asked for."""
        class_of = self.model.class_of if isinstance(self.model, Prompted) else None
        return Offer(self.card, self.sizes, self.skills, self.frames_per_latent, class_of)

    @property
    def precision(self) -> str:
        """In what the network is run, as recipes name it: "float32" or "bfloat16", say."""
        return str(self.dtype).removeprefix("torch.")

    @property
    def parameters(self) -> int:
        """How many numbers both networks were trained to, the tables of places counted."""
        modules = self.model, self.autoencoder
        return sum(tensor.numel() for module in modules for tensor in module.parameters())

    @property
    def memory_bytes(self) -> int:
        """What both networks take where they lie now."""
        return sum(tensor.nbytes for tensor in self.tensors())

    def tensors(self) -> Iterator[Tensor]:
        """The weights and tables of both networks."""
        for module in (self.model, self.autoencoder):
            yield from module.parameters()
            yield from module.buffers()

    def __call__(
        self,
        timeline: Timeline,
        keyframes: Mapping[int, Picture] | None = None,
        options: RunOptions | None = None,
        **more: Any,
    ) -> Clip:
        """Run a timeline to its end: `stream`, of which only the clip is kept."""
        clip = None
        for state in self.stream(timeline, keyframes, options, **more):
            clip = state.clip
        assert clip is not None
        return clip

    def stream(
        self,
        timeline: Timeline,
        keyframes: Mapping[int, Picture] | None = None,
        options: RunOptions | None = None,
        *,
        reuse: Iterable[State] = (),
        **changes: Any,
    ) -> Iterator[State]:
        """Yield the start and then a state per step; the last one carries the clip.

        keyframes: {frame index from 0: path, PIL image or uint8 (H, W, 3)}. Where a latent stands
        for several frames, the picture of any but the first may move: an animation or an array
        (`frames_per_picture`, H, W, 3) of just so many. The noise is of the timeline's prior; that
        of the model's training is in `with_own_noise(timeline)`.
        options, changes: the fields of `RunOptions`, as one object, by name, or both.
        reuse: states of earlier runs of this pipeline. If this run comes through some of them,
        because its first rows and all options are theirs, it starts at the furthest instead, and
        gives the same clip.

        Raises `ValueError` before any work for what cannot be run, naming field, frame and value,
        and `NotFinite` if a step or the autoencoder gives NaN.
        """
        # checked here and not in the generator, so that a mistake shows at the call
        _check_timeline(timeline)
        options = with_changes(options or RunOptions(), changes)
        index, options = self.offer.settled(timeline, options)
        pictures = self._fitted(timeline, {} if keyframes is None else keyframes, options)
        known = known_frames(timeline, pictures)
        timeline = timeline.with_windows(self.num_frames)
        recipe = self._recipe(timeline, pictures, options)
        own = (state for state in reuse if vars(state).get("_decode") == self.decode)
        begun = [state for state in own if state.begins(timeline, recipe)]
        start = max(begun, key=lambda state: state.step, default=None)
        return self._run(timeline, pictures, known, index, options, recipe, start)

    @torch.no_grad()
    def batch(
        self,
        timeline: Timeline,
        seeds: Iterable[int],
        keyframes: Mapping[int, Picture] | Iterable[Mapping[int, Picture]] | None = None,
        options: RunOptions | None = None,
        **changes: Any,
    ) -> list[Clip]:
        """Many clips of one timeline, made at once, one per seed: variations.

        A clip is the one that a call with its seed and its keyframes gives, up to the rounding of
        larger matrix products: its recipe says in "batch" how many were made together. keyframes:
        one mapping for all clips, or one for each. options, changes: as in `stream`, one value for
        all clips; the seeds are those of `seeds`.
        Raises what `stream` raises, and `ValueError` for no seeds, for another number of keyframes
        than of seeds, and for `splice_exact` and `step_cache`, which are for single clips.
        """
        _check_timeline(timeline)
        if "seed" in changes:
            raise ValueError("seed is not for a batch, which has seeds; leave it out")
        options = with_changes(options or RunOptions(), changes)
        if options.splice_exact:
            raise ValueError("splice_exact is for single clips; leave it out of a batch")
        if options.step_cache:  # what is left out would depend on the company
            raise ValueError("step_cache is for single clips; leave it out of a batch")
        if not isinstance(seeds, Iterable):
            raise ValueError(f"seeds is {shown(seeds)}; it must be a list of integers")
        seeds = [replace(options, seed=seed).seed for seed in seeds]  # checked
        if not seeds:
            raise ValueError("a batch needs at least one seed")
        if keyframes is None or isinstance(keyframes, Mapping):
            keyframes = [keyframes or {}] * len(seeds)
        keyframes = list(keyframes)
        if len(keyframes) != len(seeds):
            raise ValueError(
                f"there are keyframes for {len(keyframes)} clips and {len(seeds)} seeds; give one "
                "mapping for each seed, or one for all"
            )
        index, options = self.offer.settled(timeline, options)
        timeline = timeline.with_windows(self.num_frames)
        starts, recipes, fitted = [], [], []
        for seed, given in zip(seeds, keyframes, strict=True):
            own = replace(options, seed=seed)
            pictures = self._fitted(timeline, given, own)
            known = known_frames(timeline, pictures)
            starts.append(self._first_row(timeline, pictures, known, own))
            recipes.append(self._recipe(timeline, pictures, own) | {"batch": len(seeds)})
            fitted.append(pictures)
        x = torch.cat(starts)
        for state in self._sampled(x, timeline, index, options, seeds):
            x = state.x
        return [
            self._clip(latents[None], timeline, recipe, pictures, {})
            for latents, recipe, pictures in zip(x, recipes, fitted, strict=True)
        ]

    @torch.no_grad()
    def _run(
        self,
        timeline: Timeline,
        pictures: dict[int, np.ndarray],
        known: dict[int, int],
        label: int | None,
        options: RunOptions,
        whole: dict[str, Any],
        start: State | None,
    ) -> Iterator[State]:
        """The states of a run that is checked; `whole` is the recipe of its end."""
        exact = {}
        if options.splice_exact:
            exact = {frame: pictures[known[frame]] for frame in timeline.kept}

        def state(at: SampleState) -> State:
            last = at.step == timeline.num_steps
            return State(
                *(at.step, timeline.num_steps, at.levels),
                *(at.x, at.pred_x_start, at.last_x_start),
                timeline,
                whole if last else whole | {"stopped_after_step": at.step},
                *(self._codec.preview, self.decode, exact),
                self._clip(at.x, timeline, whole, pictures, exact) if last else None,
            )

        if start is None:
            x = self._first_row(timeline, pictures, known, options)
            first = SampleState(0, np.array(timeline.levels[0]), x, x, x)
        else:
            latents = start.x, start.pred_x_start, start.last_x_start
            first = SampleState(start.step, start.levels, *(t.to(self.device) for t in latents))
        yield state(first)
        for following in self._sampled(first, timeline, label, options, [options.seed]):
            yield state(following)

    def _sampled(
        self,
        x: Tensor | SampleState,
        timeline: Timeline,
        label: int | None,
        options: RunOptions,
        seeds: Sequence[int],
    ) -> Iterator[SampleState]:
        """x (B, F, C, h, w) at the timeline's first row, or what `sample` takes in its place -> a
        state after each of its steps."""
        replaced = options.conditioning == "replacement"
        show = replacement(timeline, self.schedule, seeds) if replaced else None
        cache = StepCache(options.step_cache) if options.step_cache else None
        return sample(
            denoiser(
                *(self.model, label, options.cfg_scale, cache),
                device=self.device,
                dtype=self.dtype,
                temporal_scale=options.temporal_scale or 0.0,
                led_from=self._led_from(options.guidance_from or 0.0),
            ),
            x,
            timeline,
            self.schedule,
            solver=options.solver,
            eta=options.fresh_noise,
            seed=seeds,
            show=show if cache is None else cache.watching(show),
        )

    def _led_from(self, level: float) -> float:
        """The first timestep above a level; 0 where all are guided."""
        if level >= MAX_LEVEL:
            return math.inf
        return float(self.schedule.timesteps(torch.tensor(int(level) + 1))) if level > 0 else 0

    def _first_row(
        self,
        timeline: Timeline,
        pictures: dict[int, np.ndarray],
        known: dict[int, int],
        options: RunOptions,
    ) -> Tensor:
        size = options.size or self.image_size
        begin = self._codec, self.schedule, size, options.seed
        return first_row(timeline, pictures, known, *begin).to(self.device)

    def pictures_of(self, frames: np.ndarray) -> dict[int, np.ndarray]:
        """The frames of a video, uint8 (N, H, W, 3), as pictures for the columns that they fill.

        Where a latent stands for several frames, each but the first gets as many, or the last of
        them if the autoencoder takes pictures only; those too many are left out at the start.
        """
        moves = self.frames_per_picture > 1
        columns = enumerate(frames_of_columns(len(frames), self.frames_per_latent))
        return {column: frames[own] if moves else frames[own][-1] for column, own in columns}

    def encode(self, frames: np.ndarray) -> Tensor:
        """Frames uint8 (K, H, W, 3), each by itself, as latents (K, C, h, w) on the CPU.

        Raises `ValueError` where the autoencoder makes others, and `NotFinite` for NaN or infinity.
        """
        return self._codec.encode(frames)

    def encode_clip(self, frames: np.ndarray) -> Tensor:
        """The frames uint8 (N, H, W, 3) of a clip, together, as latents (F, C, h, w) on the CPU.

        N is F, or more where the autoencoder makes several `frames_per_latent` of whole clips; one
        that takes pictures only is given a picture for each latent.

        Raises `ValueError` for an N that is of no F, and where the autoencoder makes others.
        """
        return self._codec.encode_clip(frames)

    def decode(self, latents: Tensor) -> np.ndarray:
        """Latents (1, F, C, h, w) as frames uint8 (N, H, W, 3), in full quality.

        N is F, or more where the autoencoder makes several `frames_per_latent`.

        Raises `NotFinite` naming the first frame that is decoded to NaN or infinity.
        """
        return self._codec.decode(latents)

    def _clip(
        self,
        latents: Tensor,
        timeline: Timeline,
        recipe: dict[str, Any],
        pictures: dict[int, np.ndarray],
        exact: Mapping[int, np.ndarray],
    ) -> Clip:
        frames = spliced(self.decode(latents), exact)
        each = self.frames_per_latent
        return Clip(frames, recipe["fps"], recipe, each, pictures, timeline.kept)

    def _fitted(
        self, timeline: Timeline, keyframes: Mapping[int, Picture], options: RunOptions
    ) -> dict[int, np.ndarray]:
        size = options.size or self.image_size
        return fit_pictures(timeline, keyframes, size, options.fit_of, self.frames_per_picture)

    def _recipe(
        self, timeline: Timeline, pictures: dict[int, np.ndarray], options: RunOptions
    ) -> dict[str, Any]:
        model = {"name": self.card.name, "sha256": self.model_hash}
        return recipe_of(timeline, pictures, options, model, self.precision)


def _check_timeline(timeline: Any) -> None:
    if not isinstance(timeline, Timeline):
        raise ValueError(f"timeline is {shown(timeline)}; it must be a Timeline")
