"""What the repository holds: no traces of the machines it was written on, and not too much."""

import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
MAX_TREE_BYTES = 55 << 20
BINARY = {".png", ".jpg", ".gif", ".mp4", ".webm", ".safetensors", ".pt", ".npy", ".ico", ".woff2"}
# written apart, so that this file does not hold them
TRACES = {
    "a path of a build machine": re.compile(r"(?<![\w.-])/(?:wo" + r"rk|tmp/w|opt/ve" + r"nv)/"),
    "a package index": re.compile(r"(?:index|find)-" + r"(?:url|links)|trusted-" + r"host"),
    "a merge conflict": re.compile(r"^(?:<{7}|>{7}|\|{7}) ", re.MULTILINE),
}
INDEXES = re.compile(r"--(?:extra-)?index-u" + r"rl[= ]https://download\.pytorch\.org/whl/cpu\b")


def tracked() -> list[Path]:
    """The files of the repository, or of an unpacked archive of it."""
    try:
        listed = subprocess.run(
            ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True
        ).stdout
    except (OSError, subprocess.CalledProcessError):
        ignored = {"__pycache__", "venv", "outputs", "runs", "data", "models", "node_modules"}
        found = (path.relative_to(ROOT) for path in ROOT.rglob("*") if path.is_file())
        return [
            ROOT / path
            for path in found
            if not any(part in ignored or part.startswith(".") for part in path.parts)
        ]
    return [path for name in listed.split("\0") if name and (path := ROOT / name).is_file()]


FILES = tracked()
TEXTS = [path for path in FILES if path.suffix.lower() not in BINARY]


@pytest.mark.parametrize("trace", TRACES)
def test_no_file_holds_a_trace(trace):
    for path in TEXTS:
        text = INDEXES.sub("", path.read_text("utf-8"))  # torch's builds for the CPU are public
        if found := TRACES[trace].search(text):
            line = text.count("\n", 0, found.start()) + 1
            pytest.fail(f"{path.relative_to(ROOT)}:{line} holds {trace}: {found[0]!r}")


def test_texts_end_with_one_newline_and_have_unix_line_ends():
    for path in TEXTS:
        content = path.read_bytes()
        name = path.relative_to(ROOT)
        assert b"\r\n" not in content, name
        assert not content or (content.endswith(b"\n") and not content.endswith(b"\n\n")), name


def test_the_tree_stays_small():
    assert sum(path.stat().st_size for path in FILES) < MAX_TREE_BYTES


def test_the_core_says_nothing_on_its_own():
    for path in (ROOT / "fvdm_core").rglob("*.py"):
        assert not re.search(r"^\s*print\(", path.read_text("utf-8"), re.MULTILINE), path.name
