"""What a training run is: frozen dataclasses, read from a TOML file and checked before any work."""

from __future__ import annotations

import dataclasses
import math
import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fvdm_core.autoencoder import AutoencoderConfig
from fvdm_core.defaults import SamplingDefaults
from fvdm_core.noise import TRAINED_PRIORS
from fvdm_core.schedule import NoiseSchedule
from fvdm_core.shape import VideoDiTConfig
from fvdm_core.timeline_checks import MAX_LEVEL, MAX_PRIOR_ALPHA
from fvdm_core.weights import config_from

from .aspects import MAX_ASPECTS, Size, sizes_of

CONFIGS = Path(__file__).parent / "configs"
SECTIONS = (
    *("data", "autoencoder", "autoencoder_optim", "transformer", "optim", "schedule", "sampling"),
)


FITS = ("crop", "contain", "stretch")  # pictures.FITS, without importing Pillow
PICTURES = ("stills", "frames")
OPTIMIZERS = ("adamw", "muon")
OF_DIFFUSION = (  # of OptimConfig, what the transformer alone can use
    *("p_independent", "p_staggered", "p_condition", "p_alone", "stratified", "shift"),
    *("prior", "prior_alpha", "label_dropout"),
)


def _check(section: str, name: str, value: Any, low: float, high: float) -> None:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if not (number and math.isfinite(value) and low <= value <= high):
        raise ValueError(f"{section}.{name} is {value!r}; it must be from {low:g} to {high:g}")


def _check_whole(section: str, name: str, value: Any, low: int, high: int) -> None:
    if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
        raise ValueError(
            f"{section}.{name} is {value!r}; it must be a whole number from {low} to {high}"
        )


@dataclass(frozen=True)
class DataConfig:
    """Clips from the miniature worlds (`worlds`: name -> how many), or from a folder of videos.

    What was added after the first runs is "off" where it is empty, 0 or False: so they go on.
    """

    worlds: dict[str, int] = field(default_factory=dict)
    folder: str = ""
    image_size: int = 64
    frames: int = 16
    fps: float = 8.0
    first_clip: int = 0  # of the worlds: the number of the first clip, which its seed follows from
    # of a folder only:
    stride: int = 1  # take every stride-th frame
    hop: int = 0  # frames of a video from one clip's start to the next's; 0: one behind the other
    fit: str = "crop"
    max_clips: int = 100_000
    labels: str = ""  # "folders" (the uppermost subfolder) or a CSV with the columns file,label
    pictures: str = ""  # "stills" (clips of one frame) or "frames" (a folder of them is a video)
    aspects: list[str] = field(default_factory=list)  # such as 16:9; none: all cut to squares
    # of both:
    textures: float = 0.1  # share of abstract pictures among those the autoencoder learns from

    def __post_init__(self) -> None:
        from .worlds import WORLDS

        _check_whole("data", "image_size", self.image_size, 8, 1024)
        _check_whole("data", "frames", self.frames, 1, 256)
        _check("data", "fps", self.fps, 0.1, 120)
        _check_whole("data", "first_clip", self.first_clip, 0, 2_000_000_000)
        _check_whole("data", "stride", self.stride, 1, 1000)
        _check_whole("data", "hop", self.hop, 0, 1_000_000)
        if self.hop % self.stride:
            raise ValueError(
                f"data.hop is {self.hop}; it must be a multiple of the stride {self.stride}"
            )
        _check_whole("data", "max_clips", self.max_clips, 1, 10_000_000)
        _check("data", "textures", self.textures, 0, 1)
        if self.fit not in FITS:
            raise ValueError(f"data.fit is {self.fit!r}; choose one of {', '.join(FITS)}")
        if self.pictures not in ("", *PICTURES):
            raise ValueError(
                f"data.pictures is {self.pictures!r}; choose one of {', '.join(PICTURES)}"
            )
        labels = self.labels
        if not isinstance(labels, str) or not (
            labels in ("", "folders") or labels.lower().endswith(".csv")
        ):
            raise ValueError(f"data.labels is {labels!r}; it must be folders, or a CSV's path")
        if not isinstance(self.worlds, dict) or not isinstance(self.folder, str):
            raise ValueError(
                "data.worlds must be a table of counts such as { sky = 100 }, data.folder a path"
            )
        if bool(self.worlds) == bool(self.folder):
            raise ValueError("data needs either worlds or a folder, and not both")
        listed = isinstance(self.aspects, list) and all(isinstance(a, str) for a in self.aspects)
        if not listed or len(self.aspects) > MAX_ASPECTS:
            raise ValueError(
                f"data.aspects must be a list of at most {MAX_ASPECTS}, such as ['1:1', '16:9']"
            )
        if self.aspects and self.worlds:
            raise ValueError("data.aspects is for a folder of videos: the worlds are square")
        for name, count in self.worlds.items():
            if name not in WORLDS:
                raise ValueError(f"world {name!r} is unknown; choose from {', '.join(WORLDS)}")
            _check_whole("data.worlds", name, count, 1, 10_000_000)


@dataclass(frozen=True)
class OptimConfig:
    """How long and how fast to learn."""

    steps: int = 1000  # 0 for the autoencoder: that of `init` stays as it is
    batch_size: int = 16
    accumulate: int = 1  # pieces of a batch, one after the other, for what does not fit at once
    optimizer: str = "adamw"  # or "muon"
    lr: float = 8e-4
    warmup: int = 200
    weight_decay: float = 0.01
    clip_grad: float = 1.0
    ema_decay: float = 0.999
    p_independent: float = 0.2  # PTSS
    stratified: bool = False  # levels of a batch spread evenly: a steadier loss
    shift: float = 1.0  # above 1: more of the noisy levels (Stable Diffusion 3)
    p_staggered: float = 0.0  # share of clips whose frames come down one after the other
    p_condition: float = 0.0  # share of clips with some frames given clean
    p_alone: float = 0.0  # share of clips whose frames do not see each other: temporal guidance
    prior: str = "independent"  # how the noise of a clip's frames hangs together
    prior_alpha: float = 1.0  # of mixed and progressive noise: more is more alike
    label_dropout: float = 0.1
    save_every: int = 500
    sample_every: int = 2000
    decay: float = 0.25  # the last share of the steps, in which the learning rate falls to 0

    def __post_init__(self) -> None:
        if self.optimizer not in OPTIMIZERS:
            raise ValueError(
                f"optim.optimizer is {self.optimizer!r}; choose one of {', '.join(OPTIMIZERS)}"
            )
        if self.prior not in TRAINED_PRIORS:
            raise ValueError(
                f"optim.prior is {self.prior!r}; choose one of {', '.join(TRAINED_PRIORS)}"
            )
        _check("optim", "prior_alpha", self.prior_alpha, 0, MAX_PRIOR_ALPHA)
        _check_whole("optim", "steps", self.steps, 0, 100_000_000)
        _check_whole("optim", "batch_size", self.batch_size, 1, 65_536)
        _check_whole("optim", "accumulate", self.accumulate, 1, self.batch_size)
        if self.batch_size % self.accumulate:
            raise ValueError(
                f"optim.batch_size {self.batch_size} is not divisible by optim.accumulate "
                f"{self.accumulate}"
            )
        _check("optim", "lr", self.lr, 1e-9, 1.0)
        _check_whole("optim", "warmup", self.warmup, 0, 10_000_000)
        _check("optim", "weight_decay", self.weight_decay, 0, 10)
        _check("optim", "clip_grad", self.clip_grad, 1e-6, 1e6)
        shares = ("p_independent", "p_staggered", "p_condition", "p_alone", "label_dropout")
        for name in ("ema_decay", "decay", *shares):
            _check("optim", name, getattr(self, name), 0, 1)
        _check("optim", "shift", self.shift, 0.01, 100)
        if not isinstance(self.stratified, bool):
            raise ValueError(f"optim.stratified is {self.stratified!r}; it must be true or false")
        _check_whole("optim", "save_every", self.save_every, 1, 100_000_000)
        _check_whole("optim", "sample_every", self.sample_every, 1, 100_000_000)

    @property
    def vectorised(self) -> bool:
        """Whether frames of a clip get timesteps of their own."""
        return max(self.p_independent, self.p_staggered, self.p_condition) > 0

    def lr_at(self, step: int) -> float:
        """The learning rate of a step: up for `warmup` steps, flat, then a half cosine to 0."""
        rising = min(1.0, (step + 1) / max(1, self.warmup))
        falling_steps = max(1.0, self.decay * self.steps)
        progress = min(1.0, max(0.0, (step - (self.steps - falling_steps)) / falling_steps))
        return self.lr * rising * 0.5 * (1 + math.cos(math.pi * progress))


@dataclass(frozen=True)
class _Schedule:
    """The keys of [schedule], checked; a run keeps those that were said."""

    name: str = "linear"
    num_train_timesteps: int = MAX_LEVEL
    prediction_type: str = "v"
    shift: float = 1.0

    def __post_init__(self) -> None:
        NoiseSchedule(**dataclasses.asdict(self))


@dataclass(frozen=True)
class TrainConfig:
    """A whole run: data, autoencoder, transformer, schedule and how each is optimised."""

    name: str
    data: DataConfig
    autoencoder: AutoencoderConfig | None  # None where `vae` is one that is not trained
    autoencoder_optim: OptimConfig
    transformer: VideoDiTConfig
    optim: OptimConfig
    schedule: dict[str, Any]
    seed: int = 0
    init: str = ""  # a model to start from; weights fresh from the seed where there is none
    decoder_only: bool = False  # the decoder learns on; encoder and transformer stay those of init
    vae: str = ""  # diffusers' autoencoder, of whose latents a model without one of its own is
    license: str = "Apache-2.0"
    trained_on: str = ""
    sampling: SamplingDefaults = field(default_factory=SamplingDefaults)  # of the exported model
    compile: bool = False
    recompute: bool = False  # activations in the backward pass: slower, in far less memory
    shard: bool = False  # the transformer's weights in parts over the processes (FSDP2)

    def __post_init__(self) -> None:
        _check_whole("run", "seed", self.seed, 0, 2**31 - 1)
        limits = {"name": 100, "license": 200, "trained_on": 2000}  # those of config.json
        for name, most in (limits | {"init": 2000, "vae": 2000}).items():
            text = getattr(self, name)
            if not isinstance(text, str) or len(text) > most:
                raise ValueError(f"{name} must be a text of at most {most} characters")
        for name in ("compile", "decoder_only", "recompute", "shard"):
            if not isinstance(getattr(self, name), bool):
                raise ValueError(f"{name} is {getattr(self, name)!r}; it must be true or false")
        if self.shard and self.optim.optimizer != "adamw":
            raise ValueError(
                f"shard needs optim.optimizer adamw: {self.optim.optimizer} moves whole matrices"
            )
        _check_whole("optim", "steps", self.optim.steps, 1, 100_000_000)
        if self.decoder_only and (not self.init or self.vae or not self.autoencoder_optim.steps):
            raise ValueError(
                "decoder_only needs the model to start from (init), steps for its autoencoder "
                "(autoencoder_optim.steps), and no vae"
            )
        if self.noise_schedule().num_train_timesteps != MAX_LEVEL:
            raise ValueError(
                f"schedule.num_train_timesteps must be {MAX_LEVEL}: timelines have levels 0 to "
                f"{MAX_LEVEL}"
            )
        if self.autoencoder_optim.optimizer != "adamw":
            raise ValueError("autoencoder_optim.optimizer must be adamw: muon is for the blocks")
        usual = OptimConfig()
        for name in OF_DIFFUSION:
            if getattr(self.autoencoder_optim, name) != getattr(usual, name):
                raise ValueError(
                    f"autoencoder_optim.{name} does nothing: an autoencoder learns without "
                    "timesteps, noise and labels; leave it out, or set it under [optim]"
                )
        sizes_of(*self._aspects())
        latent, data = self.transformer, self.data
        if self.autoencoder is None:
            if latent.num_frames != data.frames:
                raise ValueError(
                    f"data.frames is {data.frames}, but the model to start from has "
                    f"{latent.num_frames} frames"
                )
            return
        if self.autoencoder.image_size != data.image_size:
            raise ValueError(
                f"autoencoder.image_size {self.autoencoder.image_size} differs from "
                f"data.image_size {data.image_size}"
            )
        wanted = (self.autoencoder.latent_size, self.autoencoder.latent_channels, data.frames)
        if (latent.latent_size, latent.latent_channels, latent.num_frames) != wanted:
            raise ValueError(
                f"the transformer expects latents of (size, channels, frames) "
                f"{(latent.latent_size, latent.latent_channels, latent.num_frames)}, "
                f"but the autoencoder and the data give {wanted}"
            )

    @property
    def sizes(self) -> tuple[Size, ...]:
        """(height, width) of the frames; several where the data has `aspects`."""
        return sizes_of(*self._aspects())

    def _aspects(self) -> tuple[list[str], int, int]:
        """The aspects, the side of a square and what every side is a multiple of: a token."""
        side, shape = self.data.image_size, self.transformer
        return self.data.aspects, side, max(1, side // shape.latent_size) * shape.patch_size

    def with_labels(self, count: int) -> TrainConfig:
        """The same with a transformer that knows `count` labels."""
        transformer = dataclasses.replace(self.transformer, num_classes=count)
        return dataclasses.replace(self, transformer=transformer)

    def noise_schedule(self) -> NoiseSchedule:
        return NoiseSchedule(**self.schedule)

    def to_dict(self) -> dict[str, Any]:
        return dataclasses.asdict(self)


def load_config(path: str | Path, overrides: dict[str, Any] | None = None) -> TrainConfig:
    """Read a TOML file, or a name in train/configs, and apply {"section.key": value}.

    Sizes that follow from others (latent size and channels, frames, classes) are filled in.
    Raises `ValueError` naming the section, the key and what is allowed.
    """
    return build_config(read_raw(path, overrides))


def read_raw(path: str | Path, overrides: dict[str, Any] | None = None) -> dict[str, Any]:
    """What `load_config` builds a config of: what the file says, with the overrides in it."""
    path = Path(path)
    if not path.suffix and not path.exists():
        path = CONFIGS / f"{path.name}.toml"
    if not path.is_file():
        known = ", ".join(sorted(p.stem for p in CONFIGS.glob("*.toml")))
        raise ValueError(f"there is no config {path.name}; shipped ones are {known}")
    try:
        raw = tomllib.loads(path.read_text("utf-8-sig"))  # some editors begin with a mark
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"{path.name} is not valid TOML: {error}") from error
    _check_sections(raw)
    for dotted, value in (overrides or {}).items():
        section, _, key = dotted.rpartition(".")
        (raw.setdefault(section, {}) if section else raw)[key] = value
    return raw


def build_config(raw: dict[str, Any]) -> TrainConfig:
    """A TrainConfig from plain dictionaries, as a TOML file or a saved run has them."""
    raw = {key: value for key, value in raw.items() if value is not None}
    _check_sections(raw)
    data = _build(DataConfig, "data", raw.pop("data", {}))
    autoencoder: AutoencoderConfig | None = None
    derived: dict[str, int] = {}
    if not raw.get("vae"):  # with one, the transformer is whole already
        autoencoder = _build(
            AutoencoderConfig,
            "autoencoder",
            {"image_size": data.image_size, **raw.pop("autoencoder", {})},
        )
        derived = {
            "latent_size": autoencoder.latent_size,
            "latent_channels": autoencoder.latent_channels,
            "num_frames": data.frames,
            "num_classes": len(data.worlds),
        }
        classes = raw.get("transformer", {}).get("num_classes", len(data.worlds))
        if classes != len(data.worlds):
            raise ValueError(
                f"transformer.num_classes is {classes!r}, but it follows from the labels of the "
                "clips; leave it out"
            )
    parts: dict[str, Any] = {
        "data": data,
        "autoencoder": autoencoder,
        "autoencoder_optim": _build(
            OptimConfig, "autoencoder_optim", raw.pop("autoencoder_optim", {})
        ),
        "transformer": _build(
            VideoDiTConfig, "transformer", {**derived, **raw.pop("transformer", {})}
        ),
        "optim": _build(OptimConfig, "optim", raw.pop("optim", {})),
        "sampling": _build(SamplingDefaults, "sampling", raw.pop("sampling", {})),
        "schedule": {"name": "linear", "prediction_type": "v", **raw.pop("schedule", {})},
    }
    _build(_Schedule, "schedule", parts["schedule"])
    return _build(TrainConfig, "run", {**raw, **parts})


def _check_sections(raw: dict[str, Any]) -> None:
    for section in SECTIONS:
        if not isinstance(raw.get(section, {}), dict):
            raise ValueError(f"{section} is {raw[section]!r}; it must be a table: [{section}]")


def _build(cls: type, section: str, values: dict[str, Any]) -> Any:
    known = {f.name for f in dataclasses.fields(cls)}
    unknown = sorted(set(values) - known)
    if unknown:
        raise ValueError(
            f"[{section}] has an unknown key {unknown[0]!r}; known: {', '.join(sorted(known))}"
        )
    missing = [f.name for f in dataclasses.fields(cls) if _is_needed(f) and f.name not in values]
    if missing:
        raise ValueError(
            f"[{section}] has no {', '.join(missing)}; train/configs/default.toml shows all that "
            "is needed"
        )
    if cls in (AutoencoderConfig, VideoDiTConfig, _Schedule):  # as the model's file will be checked
        return config_from(cls, values, f"[{section}]")
    try:
        return cls(**values)
    except TypeError as error:
        raise ValueError(f"[{section}]: {error}") from error
    except ValueError as error:
        if cls is not OptimConfig:  # which is that of two sections
            raise
        raise ValueError(str(error).replace("optim.", f"{section}.")) from None


def _is_needed(key: dataclasses.Field[Any]) -> bool:
    return key.default is key.default_factory is dataclasses.MISSING
