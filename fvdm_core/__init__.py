"""FVDM: video diffusion in which every frame has a noise level of its own.

The names below are imported when they are first used, so that a timeline needs no torch, and
training on the miniature worlds no video encoder.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from . import sampler
    from .checkpoint import load_model
    from .model import VideoDiT
    from .pipeline import Pipeline
    from .schedule import NoiseSchedule
    from .state import Clip
    from .timeline import Timeline

__all__ = ["Clip", "NoiseSchedule", "Pipeline", "Timeline", "VideoDiT", "load_model", "sampler"]

_HOMES = {
    "Clip": "state",
    "NoiseSchedule": "schedule",
    "Pipeline": "pipeline",
    "Timeline": "timeline",
    "VideoDiT": "model",
    "load_model": "checkpoint",
}


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


def __getattr__(name: str) -> Any:
    if name == "sampler":
        return import_module(".sampler", __name__)
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f".{_HOMES[name]}", __name__), name)
