"""The whole studio with a stand-in for the model, for tests of the page: quick and small.

studio_app.py [FOLDER]: where runs and uploads are kept.
"""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path

FOLDER = Path(sys.argv[1] if len(sys.argv) > 1 else tempfile.mkdtemp())
os.environ["GRADIO_TEMP_DIR"] = str(FOLDER / "uploads")  # before gradio is imported
sys.path.insert(0, str(Path(__file__).parents[1] / "ui"))

from fake import FakePipeline, example_pictures  # noqa: E402

from ui.studio import build_studio, launch_options  # noqa: E402

if __name__ == "__main__":
    demo = build_studio(
        lambda: FakePipeline(pause=0.01),
        outputs=FOLDER / "outputs",
        examples=example_pictures(FOLDER / "examples"),
    )
    demo.launch(**launch_options(demo))
