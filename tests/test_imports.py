"""Imports point one way: app → ui → fvdm_core ← train, and inside the core towards its leaves."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("app", "ui", "fvdm_core", "train")
ALLOWED = {  # what a package may import: of ours, and of others
    "app": {"ui", "fvdm_core"},
    "ui": {
        *("ui", "fvdm_core", "gradio", "starlette", "pydantic", "anyio", "numpy", "cv2"),
        "spaces",  # where it is there
    },
    "fvdm_core": {
        *("fvdm_core", "torch", "numpy", "einops", "safetensors", "PIL", "tqdm"),
        *("imageio_ffmpeg", "huggingface_hub", "diffusers"),
    },
    "train": {
        *("train", "fvdm_core", "torch", "numpy", "einops", "safetensors", "cv2", "tqdm", "PIL"),
        "matplotlib",  # for the plots of a study, where it is there
    },
}
CORE = {  # what a module of the core may import of the core
    "schedule": set(),
    "solvers": set(),
    "noise": {"timeline_checks"},
    "step_cache": set(),
    "rotary": set(),
    "embeddings": set(),
    "shape": set(),
    "blocks": {"device", "rotary"},
    "model": {"blocks", "embeddings", "rotary", "shape", "step_cache"},
    "pixels": set(),
    "network": {"limits", "memory"},
    "memory": set(),
    "linear_preview": set(),
    "own": {"device", "files", "memory", "network", "pipeline", "sampler", "timeline"},
    "guidance": {"network", "step_cache"},
    "defaults": {"limits"},
    "card": {"defaults", "limits", "noise", "timeline_checks"},
    "autoencoder": set(),
    "device": set(),
    "formula": {"limits"},
    "sampler": {"noise", "schedule", "solvers"},
    "conditioning": {"noise", "sampler", "schedule", "solvers"},
    "loss": {"schedule", "solvers"},
    "state": {"measures", "media", "recipe", "timeline"},
    "measures": set(),
    "keyframes": {"limits", "pictures", "timeline"},
    "codec": {"device", "limits", "network", "pictures", "pixels", "sampler"},
    "start": {"codec", "noise", "pictures", "schedule", "timeline"},
    "offer": {"card", "limits", "network", "options", "timeline"},
    "pipeline": {
        *(
            "card",
            "checkpoint",
            "codec",
            "conditioning",
            "device",
            "files",
            "guidance",
            "keyframes",
        ),
        *("kl_autoencoder", "limits", "network", "offer", "options", "recipe"),
        *("sampler", "schedule", "start", "state", "step_cache", "timeline"),
    },
    "readings": {"schedule", "timeline"},
    "checkup": {
        *("guidance", "network", "noise", "options", "pipeline", "readings", "sampler"),
    },
}
WITHOUT_TORCH = (
    "defaults",
    "shape",
    "timeline",
    "presets",
    "formula",
    "media",
    "options",
    "recipe",
    "keyframes",
)


def modules() -> dict[str, Path]:
    """Every module of ours by its dotted name."""
    files = [ROOT / "app.py"]
    for package in ("ui", "fvdm_core", "train"):
        files += sorted((ROOT / package).rglob("*.py"))
    named = {}
    for file in files:
        parts = file.relative_to(ROOT).with_suffix("").parts
        named[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = file
    return named


MODULES = modules()


def imports(name: str, nested: bool = True) -> Iterator[str]:
    """The modules that a module imports, ours by their full names; `nested`: in functions too."""
    file = MODULES[name]
    package = name if file.name == "__init__.py" else name.rpartition(".")[0]
    tree = ast.parse(file.read_text("utf-8"))
    for node in ast.walk(tree) if nested else tree.body:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package.rsplit(".", node.level - 1)[0] if node.level else ""
            source = ".".join(part for part in (base, node.module) if part)
            for alias in node.names:
                inner = f"{source}.{alias.name}"
                yield inner if inner in MODULES else source


def ours(name: str, nested: bool = True) -> set[str]:
    return {found for found in imports(name, nested) if found in MODULES} - {name}


def closure(name: str) -> set[str]:
    """A module with everything of ours that it needs, directly or not."""
    found, waiting = set(), [name]
    while waiting:
        if (module := waiting.pop()) not in found:
            found.add(module)
            waiting += ours(module)
    return found


def test_the_parser_of_imports_sees_what_is_there():
    assert "fvdm_core.solvers" in ours("fvdm_core.sampler")  # relative
    assert "fvdm_core.presets" in ours("fvdm_core.timeline")  # from the package
    assert "gradio" in set(imports("ui.studio"))
    assert "imageio_ffmpeg" in set(imports("fvdm_core.decoder"))  # inside a function
    assert "imageio_ffmpeg" not in set(imports("fvdm_core.decoder", nested=False))


@pytest.mark.parametrize("package", PACKAGES)
def test_packages_import_only_what_lies_below_them(package):
    for name in MODULES:
        if name.split(".")[0] == package:
            used = {found.split(".")[0] for found in imports(name)}
            stray = used - ALLOWED[package] - sys.stdlib_module_names
            assert not stray, f"{name} imports {', '.join(sorted(stray))}"


@pytest.mark.parametrize("module", CORE)
def test_the_core_points_towards_its_leaves(module):
    used = {found.removeprefix("fvdm_core.") for found in ours(f"fvdm_core.{module}")}
    assert used - {"fvdm_core"} <= CORE[module]


@pytest.mark.parametrize("module", WITHOUT_TORCH)
def test_timelines_and_media_need_no_torch(module):
    for name in closure(f"fvdm_core.{module}"):
        assert not {"torch", "safetensors"} & set(imports(name)), name


def test_no_imports_go_in_a_circle():
    graph = {name: ours(name, nested=False) for name in MODULES}
    order = list(TopologicalSorter(graph).static_order())  # raises CycleError, naming it
    assert order.index("fvdm_core.pipeline") > order.index("fvdm_core.timeline")


def run_without(missing: str, code: str) -> None:
    """Run code in a Python in which these packages cannot be imported."""
    hook = f"""
import sys

class Missing:
    def find_spec(self, name, path=None, target=None):
        if any(name == m or name.startswith(m + ".") for m in {missing.split()!r}):
            raise ModuleNotFoundError("not on this machine: " + name, name=name)

sys.meta_path.insert(0, Missing())
"""
    done = subprocess.run(
        [sys.executable, "-c", hook + code], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_timelines_work_without_torch_and_a_page():
    run_without(
        "torch gradio",
        """
from fvdm_core import Timeline
import fvdm_core.media
assert Timeline.preset("interpolation", frames=16, steps=30).model_calls == 30
assert Timeline.formula("min(0.2*i*t, t)", frames=4, steps=2).frames == 4
""",
    )


def test_training_on_worlds_needs_no_page_pictures_or_encoder():
    """A rented GPU machine has torch, numpy, einops, safetensors, cv2 and tqdm, and no more; and to
    open a model nobody waits for torch's compiler."""
    run_without(
        "gradio pydantic starlette PIL imageio_ffmpeg huggingface_hub ui torch._dynamo sympy",
        """
import train.__main__
from fvdm_core import load_model
assert load_model("tests/data/published_fvdm_tiny.pt").config.depth == 4
""",
    )


def test_the_core_offers_its_public_names():
    import fvdm_core

    for name in fvdm_core.__all__:
        assert getattr(fvdm_core, name) is not None
    assert fvdm_core.sampler.sample.__name__ == "sample"
    assert not hasattr(fvdm_core, "Video")
