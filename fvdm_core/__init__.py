"""FVDM: video diffusion in which every frame has a noise level of its own."""

from .checkpoint import load_model
from .model import VideoDiT
from .pipeline import Clip, Pipeline
from .schedule import NoiseSchedule
from .timeline import Timeline

__all__ = ["Clip", "NoiseSchedule", "Pipeline", "Timeline", "VideoDiT", "load_model"]
