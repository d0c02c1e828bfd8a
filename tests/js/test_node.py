"""The JavaScript tests, as part of the suite."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest


def find_node() -> str | None:
    """The system's node, else the one that comes with Playwright."""
    found = shutil.which("node")
    if found:
        return found
    import playwright

    bundled = Path(playwright.__file__).parent / "driver" / "node"
    return str(bundled) if bundled.exists() else None


@pytest.mark.parametrize(
    "script", sorted(Path(__file__).parent.glob("*.test.js")), ids=lambda p: p.name
)
def test_node(script: Path) -> None:
    node = find_node()
    assert node, "node is missing: install nodejs or Playwright"
    command = [node, "--test", str(script)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
