"""The whole studio with a stand-in for the model, for tests.

    fake_studio.py FOLDER

Runs stand still while there is a file FOLDER/hold, go on from earlier ones while there is
FOLDER/reuse, presets are not made while there is
FOLDER/hold-presets, and the model is not loaded while there is FOLDER/hold-model.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

folder = Path(sys.argv[1])
os.environ["GRADIO_TEMP_DIR"] = str(folder / "uploads")  # before gradio is imported
sys.path.insert(0, str(Path(__file__).parents[1] / "ui"))

from fake import FakePipeline, FakeState, example_pictures  # noqa: E402

from ui import editing  # noqa: E402
from ui.studio import build_studio, launch_options  # noqa: E402


class HeldPipeline(FakePipeline):
    """Makes no step while the file is there."""

    def stream(self, *arguments: Any, **more: Any) -> Iterator[FakeState]:
        self.reuses = (folder / "reuse").exists()
        for state in super().stream(*arguments, **more):
            while state.step and (folder / "hold").exists():
                time.sleep(0.02)
            yield state


def with_preset(*arguments: Any) -> Any:
    while (folder / "hold-presets").exists():
        time.sleep(0.02)
    return make_preset(*arguments)


def load() -> HeldPipeline:
    while (folder / "hold-model").exists():
        time.sleep(0.02)
    return HeldPipeline()


make_preset, editing.with_preset = editing.with_preset, with_preset
demo = build_studio(
    load, outputs=folder / "outputs", examples=example_pictures(folder / "examples")
)
demo.launch(**launch_options(demo))
