"""The example of docs/api.md runs as it is written, against a studio with a stand-in model."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from fake import FakePipeline

from fvdm_core.media import read_video
from fvdm_core.timeline import Timeline
from ui.studio import build_studio, launch_options

ROOT = Path(__file__).parents[2]
WRITTEN_ADDRESS = "http://127.0.0.1:7860"


@pytest.fixture
def address(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A running studio whose model is the stand-in."""
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path / "uploads"))
    demo = build_studio(FakePipeline, outputs=tmp_path / "outputs")
    _, url, _ = demo.launch(prevent_thread_lock=True, quiet=True, **launch_options(demo))
    yield url.rstrip("/")
    demo.studio.jobs.close()
    demo.close()


def example() -> str:
    """The first Python block of the page."""
    found = re.search(
        r"^```python\n(.*?)^```", (ROOT / "docs/api.md").read_text("utf-8"), re.M | re.S
    )
    assert found
    return found[1]


def test_the_example_makes_a_clip(address: str, tmp_path: Path) -> None:
    code = example()
    assert code.count(WRITTEN_ADDRESS) == 1
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    (folder / "assets").symlink_to(ROOT / "assets")
    done = subprocess.run(
        [sys.executable, "-c", code.replace(WRITTEN_ADDRESS, address)],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=400,
    )
    assert done.returncode == 0, done.stderr
    assert read_video(folder / "clip.mp4").frames.shape[0] == 16
    recipe = json.loads((folder / "recipe.json").read_text())
    assert recipe["label"] == "faces" and recipe["seed"] == 7
    made = Timeline.from_json(json.dumps(recipe["timeline"]))
    preset = Timeline.preset("image-to-video", frames=16, steps=20)
    assert np.array_equal(made.levels, preset.levels)  # the preset that the page says it is
