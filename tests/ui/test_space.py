"""The studio on a Hugging Face Space, started as one starts it, with ZeroGPU and without."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from fake import FakePipeline
from gradio_client import Client
from gradio_client.exceptions import AppError
from packaging.specifiers import SpecifierSet
from test_app import free_port
from tiny import save_tiny

import app
from fvdm_core.media import read_video
from fvdm_core.options import RunOptions
from fvdm_core.timeline import Timeline
from ui import gpu
from ui.gpu import MARGIN, SECONDS_PER_CALL, START_SECONDS, seconds_wanted

ROOT = Path(app.__file__).parent
STAND_IN = Path(__file__).parent / "zerogpu"
LEVELS = [[1000] * 4, [600] * 4, [0] * 4]


class Space:
    """A process that was started as a Space starts it."""

    def __init__(self, folder: Path, zero_gpu: bool) -> None:
        self.notes = folder / "notes"
        self.notes.touch()
        port = free_port()
        environment = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("GRADIO_", "SPACES_", "FVDM_"))
        }
        environment |= {
            "SYSTEM": "spaces",
            "SPACE_ID": "somebody/studio",
            "SPACE_HOST": "somebody-studio.hf.space",
            "GRADIO_SERVER_NAME": "0.0.0.0",
            "GRADIO_SERVER_PORT": str(port),
            "FVDM_MODEL": str(save_tiny(folder / "model")),
            "FVDM_OUTPUTS": str(folder / "outputs"),
            "OMP_NUM_THREADS": "1",
            "ZEROGPU_NOTES": str(self.notes),
        }
        if zero_gpu:
            environment |= {"SPACES_ZERO_GPU": "true", "PYTHONPATH": str(STAND_IN)}
        self.url = f"http://127.0.0.1:{port}"
        self.process = subprocess.Popen(
            [sys.executable, "app.py"],
            cwd=ROOT,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        until = time.monotonic() + 600
        while time.monotonic() < until and self.process.poll() is None:
            try:
                if httpx.get(self.url, timeout=120).status_code == 200:
                    return
            except httpx.TransportError:
                time.sleep(0.2)
        self.process.kill()
        raise AssertionError(f"no page: {self.process.communicate()[0]}")

    def close(self) -> str:
        self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.communicate(timeout=300)[0]
        finally:
            self.process.kill()

    def asked(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.notes.read_text().splitlines()]


@pytest.fixture(scope="module", params=[False, True], ids=["plain", "zerogpu"])
def space(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator:
    space = Space(tmp_path_factory.mktemp("space"), request.param)
    space.zero_gpu = request.param
    yield space
    said = space.close()
    assert space.process.returncode == 0, said
    # gradio's thread for edits of a running Space wants a package that Spaces have, and says so
    assert said.count("Exception in") == said.count("is required to run hot-reloading"), said


def generate(space: Space, folder: Path, **changes: Any) -> list[Any]:
    """All updates of a tiny run, asked for as a visitor of the Space."""
    headers = {"x-ip-token": "of-this-visitor"}
    client = Client(
        space.url,
        verbose=False,
        headers=headers,
        download_files=str(folder),
        httpx_kwargs={"timeout": 300},  # a busy machine
    )
    settings = {"label": "sky", "seed": 3, "guidance": 1.5, "solver": "dpmpp_2m", "eta": 0}
    more = {"fps": 8, "splice_exact": False, "session": None}
    arguments = settings | more | changes
    job = client.submit({"levels": LEVELS}, **arguments, api_name="/generate")
    job.result(timeout=300)
    return job.outputs()


def test_a_run_gives_a_clip_and_previews(space: Space, tmp_path: Path) -> None:
    updates = generate(space, tmp_path)
    clip = next(part for part in updates[-1] if isinstance(part, dict) and "video" in part)
    assert read_video(clip["video"]).frames.shape == (4, 8, 8, 3)
    recipe = json.loads(Path(clip["recipe"]).read_text())
    assert recipe["seed"] == 3 and recipe["model"]["name"] == "Tiny"
    strips = [part for update in updates for part in update if "sheet" in (part or {})]
    assert strips[-1]["status"] == "done"
    assert any((strip["sheet"] or "").startswith("data:image/jpeg") for strip in strips)


def test_a_gpu_is_asked_for_as_long_as_the_timeline_takes_and_for_its_visitor(
    space: Space, tmp_path: Path
) -> None:
    before = len(space.asked())
    generate(space, tmp_path, seed=4)
    asked = space.asked()[before:]
    assert len(asked) == (1 if space.zero_gpu else 0)
    for note in asked:
        assert START_SECONDS < note["seconds"] <= START_SECONDS + 2 * MARGIN * SECONDS_PER_CALL + 1
        assert note["token"] == "of-this-visitor"
        assert note["server"] == space.process.pid != note["pid"]


def test_a_bad_request_is_refused_in_words(space: Space, tmp_path: Path) -> None:
    with pytest.raises((AppError, ValueError), match="label is 'dragons'"):
        generate(space, tmp_path, label="dragons")


def test_no_file_of_the_machine_can_be_asked_for(space: Space) -> None:
    for path in ("/etc/passwd", str(ROOT / "app.py"), str(space.notes)):
        answer = httpx.get(f"{space.url}/gradio_api/file={path}", timeout=300)
        assert answer.status_code in (403, 404)


@pytest.fixture
def lender(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """ZeroGPU's stand-in, in this process."""
    spec = importlib.util.spec_from_file_location("spaces", STAND_IN / "spaces.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.setenv("ZEROGPU_NOTES", str(tmp_path / "notes"))
    monkeypatch.setattr(gpu, "spaces", module)
    monkeypatch.setattr(gpu, "LENT", True)


class Lent(FakePipeline):
    """Knows in which process it moved to the GPU, and breaks where it is told to."""

    def __init__(self, breaks: Exception | None = None) -> None:
        super().__init__()
        self.breaks = breaks
        self.moved_in = 0

    def to(self) -> Lent:
        self.moved_in = os.getpid()
        return self

    def stream(self, *given: Any, **options: Any) -> Iterator[Any]:
        for state in super().stream(*given, **options):
            if self.breaks and state.step == 2:
                raise self.breaks
            yield state


TIMELINE = Timeline.preset("standard", frames=3, steps=4)


def test_the_same_states_come_back_from_the_process_that_is_lent_a_gpu(lender: None) -> None:
    pipeline = Lent()
    lent = list(gpu.Walker(lambda: pipeline).walk(TIMELINE, {}, RunOptions(seed=5), None))
    here = list(FakePipeline().stream(TIMELINE, seed=5))
    assert [state.step for state in lent] == [0, 1, 2, 3, 4]
    for one, other in zip(lent, here, strict=True):
        assert np.array_equal(one.preview, other.preview)
    assert np.array_equal(lent[-1].clip.frames, here[-1].clip.frames)
    assert pipeline.moved_in == 0  # in this process


@pytest.mark.parametrize(
    ("breaks", "says"),
    [
        (ValueError("frame 3 is not a number"), "frame 3 is not a number"),
        (MemoryError(), "There was not enough memory"),
        (KeyError("secret"), "Something broke inside the studio"),
    ],
)
def test_an_error_there_keeps_its_words(lender: None, breaks: Exception, says: str) -> None:
    states = gpu.Walker(lambda: Lent(breaks)).walk(TIMELINE, {}, RunOptions(), None)
    with pytest.raises(ValueError, match=says) as caught:
        list(states)
    assert "secret" not in str(caught.value)


def test_closing_the_walk_ends_the_process(lender: None, tmp_path: Path) -> None:
    states = gpu.Walker(lambda: Lent()).walk(TIMELINE, {}, RunOptions(), None)
    next(states)
    pid = json.loads((tmp_path / "notes").read_text())["pid"]
    os.kill(pid, 0)
    states.close()
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_the_seconds_grow_with_the_model_calls() -> None:
    short = Timeline.preset("standard", frames=16, steps=10)
    long = Timeline.preset("autoregressive", frames=16, steps=30)
    guessed = [seconds_wanted(timeline, {}, RunOptions(), None) for timeline in (short, long)]
    learned = [seconds_wanted(timeline, {}, RunOptions(), 2.0) for timeline in (short, long)]
    assert START_SECONDS < guessed[0] < guessed[1]
    assert learned == [15 + 30, 15 + 1440]


def test_the_readme_s_front_matter_is_what_a_space_needs() -> None:
    text = (ROOT / "README.md").read_text("utf-8")
    matter = re.match(r"---\n(.*?)\n---\n", text, re.DOTALL)
    assert matter
    fields = dict(line.split(": ", 1) for line in matter[1].splitlines())
    assert fields["sdk"] == "gradio" and (ROOT / fields["app_file"]).is_file()
    assert fields["license"] == "apache-2.0" and (ROOT / "packages.txt").is_file()
    requirements = (ROOT / "requirements.txt").read_text().splitlines()
    gradio = next(line for line in requirements if line.startswith("gradio"))
    assert fields["sdk_version"] in SpecifierSet(gradio.removeprefix("gradio"))
    assert fields["sdk_version"] == importlib.metadata.version("gradio")
    assert re.fullmatch(r'"3\.1[1-9]"', fields["python_version"])
    assert len(fields["colorFrom"]) and len(fields["colorTo"]) and len(fields["title"]) <= 60
