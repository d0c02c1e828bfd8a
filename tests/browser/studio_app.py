"""The whole studio with a stand-in for the model, for tests of the page: quick and small."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "ui"))

from fake import FakePipeline, example_pictures  # noqa: E402

from ui.studio import build_studio, launch_options  # noqa: E402

if __name__ == "__main__":
    folder = Path(tempfile.mkdtemp())
    demo = build_studio(
        lambda: FakePipeline(pause=0.01),
        outputs=folder / "outputs",
        examples=example_pictures(folder / "examples"),
    )
    demo.launch(**launch_options(demo))
