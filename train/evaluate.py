"""Hold a model of the miniature worlds against the truth, in numbers: `python -m train.evaluate`.

Samples are those that the studio makes at its defaults (guidance 1.5, the model's own temporal
guidance, DPM-Solver++(2M) with fresh noise, 30 steps), for seeds 0, 1, 2, …, none of them selected.
Real clips have seeds that no run has seen in training. The same model, machine and number of
threads give the same numbers.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import math
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from fvdm_core.limits import SAMPLING
from fvdm_core.memory import out_of_memory
from fvdm_core.pipeline import Pipeline
from fvdm_core.timeline import PRIORS

from .evaluation import constancy, long, photographs, scores, sets, truth
from .evaluation.common import STEPS, autoencoder_of, encoder_of
from .evaluation.features import I3D, Extractor, WorldFeatures
from .worlds import WORLDS

WORLD_NETWORK = Path(__file__).resolve().parents[1] / "assets" / "world-network.safetensors"
SECTIONS = ("worlds", "distances", "truth", "constancy", "long", "photographs")


class Section(NamedTuple):
    """A section's rows, its table, and in a line what was measured on what."""

    rows: Sequence[Any]
    table: str
    protocol: str


def measure(name: str, pipe: Pipeline, options: argparse.Namespace) -> Section:
    """Run one section; raises `ValueError` for what cannot be measured."""
    seeds, coder = options.seeds, autoencoder_of(pipe)
    given = f"{STEPS} steps, guidance 1.5, {sampled_with(pipe)}"
    if name == "worlds":
        rows = scores.evaluate(pipe, coder, seeds, options.keyframe_seeds, options.worlds)
        keyframes = f"keyframes of {options.keyframe_seeds} unseen clips"
        what = f"seeds 0 to {seeds - 1} of each world, unselected; {given}; {keyframes}"
        return Section(rows, scores.table(rows), what)
    if name == "distances":
        extractor = extractor_of(options, pipe)
        found = sets.measure(pipe, extractor, seeds)
        size = "×".join(map(str, (pipe.num_frames, *pipe.image_size)))
        which = f"generated seeds 0 to {seeds - 1}; reference: unseen clips 0 to {seeds - 1}"
        what = f"{seeds} clips of each world a set: {which}; {size}, stride 1; {given}; "
        what += extractor.protocol
        return Section(found, sets.table(found, extractor.distance), what)
    if name == "photographs":
        kept = photographs.measure(coder, pipe.image_size, options.photographs)
        size = "×".join(map(str, pipe.image_size))
        return Section(kept, photographs.table(kept), f"{len(kept)} pictures, {size}")
    what = f"{seeds} unseen clips of each world; {given}; mean ± standard error over clips"
    if name == "truth":
        true = truth.measure(pipe, coder, seeds)
        return Section(true, truth.table(true), f"frames that were not given; {what}")
    if name == "constancy":
        constant = constancy.measure(pipe, coder, seeds)
        return Section(constant, constancy.table(constant), what)
    prior = options.prior or pipe.card.prior
    lengths = long.measure(pipe, encoder_of(pipe), seeds, options.long_frames, prior)
    what = f"{options.long_frames} frames, noise {prior}; {what}"
    return Section(lengths, long.table(lengths), what)


def sampled_with(pipe: Pipeline) -> str:
    """The model's own sampling, in words: "temporal 2, both above level 500 (sky: 0, 300)"."""
    usual = pipe.card.sampling.of(None)
    others = "; ".join(
        f"{label}: {', '.join(f'{value:g}' for value in pipe.card.sampling.of(label).values())}"
        for label in pipe.card.sampling.by_label
    )
    words = f"temporal {usual['temporal_scale']:g}, both above level {usual['guidance_from']:g}"
    return f"{words} ({others})" if others else words


def extractor_of(options: argparse.Namespace, pipe: Pipeline) -> Extractor:
    """I3D where its file is named, else the network that has learned the worlds' factors.

    Raises `ValueError` where neither is there.
    """
    if options.i3d is not None:
        return I3D(options.i3d, pipe.device)
    if not options.features.is_file():
        raise ValueError(
            f"{options.features.name} is not there; learn it with python -m "
            "train.evaluation.learn and name the file with --features, or name StyleGAN-V's I3D "
            "with --i3d"
        )
    return WorldFeatures(options.features, pipe.device)


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m train.evaluate", description=__doc__)
    parser.add_argument("--model", help="a model folder (default: the shipped one)")
    parser.add_argument(
        "--sections",
        nargs="+",
        choices=SECTIONS,
        default=["worlds"],
        help="what is measured (default: worlds; docs/evidence.md describes each)",
    )
    parser.add_argument(
        "--temporal-scale", type=float, help="temporal guidance (default: the model's own)"
    )
    parser.add_argument(
        "--guidance-from", type=float, help="guide above this level (default: the model's own)"
    )
    parser.add_argument("--seeds", type=int, default=64, help="samples of each world")
    parser.add_argument(
        "--keyframe-seeds", type=int, default=16, help="worlds: clips of each per keyframe task"
    )
    parser.add_argument(
        "--worlds", nargs="+", choices=WORLDS, default=(), help="worlds: only these (default: all)"
    )
    parser.add_argument(
        "--i3d", type=Path, metavar="FILE", help="distances: StyleGAN-V's I3D TorchScript, for FVD"
    )
    parser.add_argument(
        "--features",
        type=Path,
        metavar="FILE",
        default=WORLD_NETWORK,
        help="distances: a network by train.evaluation.learn, for world-FVD",
    )
    parser.add_argument("--long-frames", type=int, default=128, help="long: frames of a clip")
    parser.add_argument(
        "--prior",
        choices=PRIORS,
        help="long: of the noise (default: what the model was trained with)",
    )
    parser.add_argument(
        "--photographs",
        type=Path,
        nargs="+",
        default=[],
        metavar="PATH",
        help="photographs: pictures, or folders of them, that no training has seen",
    )
    parser.add_argument("--json", action="store_true", help="print JSON instead of tables")
    return parser.parse_args(arguments)


def main(arguments: Sequence[str] | None = None) -> int:
    options = parse(arguments)
    sections: dict[str, Section] = {}
    failed, code = "", 1
    try:
        pipe = Pipeline.from_pretrained(options.model)
        asked = {key: getattr(options, key) for key in SAMPLING}
        said = {key: value for key, value in asked.items() if value is not None}
        sampling = pipe.card.sampling.for_all(**said)
        pipe.card = dataclasses.replace(pipe.card, sampling=sampling)
        for name in options.sections:
            sections[name] = measure(name, pipe, options)
            if not options.json:  # each as soon as it is there: a whole evaluation takes hours
                head = f"{pipe.card.name} ({pipe.model_hash}): {sections[name].protocol}"
                print(f"{head}\n\n{sections[name].table}\n", flush=True)
    except KeyboardInterrupt:
        failed, code = "stopped", 130
    except (ValueError, ArithmeticError, OSError) as error:
        failed = str(error)
    except BaseException as error:
        failed = "out of memory" if out_of_memory(error) else str(error) or type(error).__name__
        if not out_of_memory(error):
            raise
    finally:
        if failed:
            print(f"evaluate: {failed}", file=sys.stderr)
        if options.json and sections:  # what was measured until then took long, too
            print(json.dumps(_found(pipe, options, sections, failed), indent=2))
    return code if failed else 0


def _found(
    pipe: Pipeline, options: argparse.Namespace, sections: dict[str, Section], failed: str
) -> dict[str, Any]:
    """What `--json` prints."""
    facts = {
        "model": {"name": pipe.card.name, "sha256": pipe.model_hash},
        "seeds": options.seeds,
        "keyframe_seeds": options.keyframe_seeds,
        "steps": STEPS,
        "dtype": pipe.precision,
        "protocols": {name: section.protocol for name, section in sections.items()},
    }
    found = {name: _plain(section.rows) for name, section in sections.items()}
    return {**facts, **found, **({"failed": failed} if failed else {})}


def _plain(value: Any) -> Any:
    """Rows as JSON has them: figures by name, and null where there is no number."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: _plain(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if isinstance(value, tuple) and hasattr(value, "_asdict"):
        return _plain(value._asdict())
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return None if isinstance(value, float) and math.isnan(value) else value


if __name__ == "__main__":
    sys.exit(main())
