"""Odd pictures and values that people and attackers try, through the door that the page uses."""

from __future__ import annotations

import struct
import time
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from fake import FakePipeline
from gradio.data_classes import FileData
from PIL import Image

from ui import editing
from ui.jobs import Status
from ui.outputs import OutputError, Outputs
from ui.refusals import RequestError
from ui.requests import EditorValue, GenerateRequest, KeyframeValue, PresetRequest
from ui.saved import new_name
from ui.service import Studio

ANN = new_name()


@pytest.fixture
def studio(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Studio]:
    (tmp_path / "uploads").mkdir()
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path / "uploads"))
    studio = Studio(FakePipeline, Outputs(tmp_path / "outputs"), None)
    studio.model.get()
    yield studio
    studio.jobs.close()


def with_picture(file: Path, frame: int = 0) -> EditorValue:
    """Four frames, of which this one is kept as a picture."""
    request = PresetRequest(name="any-frame", params={"keep": [frame]}, frames=4, steps=3)
    editor = editing.with_preset(None, request, 16)
    keyframe = KeyframeValue(frame=frame, file=FileData(path=str(file)))
    return editor.model_copy(update={"keyframes": [keyframe]})


def png(width: int, height: int) -> bytes:
    """A valid grey PNG of one bit a pixel, which holds far more pixels than bytes."""

    def chunk(name: bytes, data: bytes) -> bytes:
        crc = struct.pack(">I", zlib.crc32(name + data))
        return struct.pack(">I", len(data)) + name + data + crc

    packer = zlib.compressobj(9)
    rows = b"".join(packer.compress(bytes((width + 7) // 8 + 1)) for _ in range(height))
    header = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    body = chunk(b"IHDR", header) + chunk(b"IDAT", rows + packer.flush()) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("empty.png", lambda: b"", "empty"),
        ("note.mp4", lambda: b"a text\n", "is a text file"),
        ("script.svg", lambda: b'<svg onload="alert(1)"></svg>', "SVG"),
        ("page.png", lambda: b"<!DOCTYPE html><html>", "web page"),
        ("clip.png", lambda: b"\0\0\0\x18ftypisom" + bytes(30), "is a video"),
        ("cut.png", lambda: png(64, 64)[:50], "damaged"),
        ("bomb.png", lambda: png(13_000, 13_000), "million"),
    ],
)
def test_what_is_no_picture_is_refused_with_its_frame_and_nothing_runs(
    studio: Studio, name: str, content: Callable[[], bytes], says: str
) -> None:
    file = studio.uploads / name
    file.write_bytes(content())
    with pytest.raises(RequestError, match=says) as caught:
        studio.submit(with_picture(file, 2), GenerateRequest(), ANN)
    message = str(caught.value.message)
    assert message.startswith("The picture for frame 3: ") and str(studio.uploads) not in message
    assert "<" not in message and not studio.jobs.runs_of(ANN)


def turned(file: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (40, 20)).save(file, exif=exif)


@pytest.mark.parametrize(
    "make",
    [
        lambda file: Image.new("RGB", (1, 1)).save(file),
        lambda file: Image.new("RGB", (10_000, 2)).save(file),
        lambda file: Image.new("CMYK", (9, 9)).save(file, "JPEG"),
        lambda file: Image.new("P", (9, 9)).save(file),
        lambda file: Image.fromarray(np.zeros((9, 9), np.uint16)).save(file),
        turned,
    ],
    ids=["1×1", "10000×2", "cmyk", "palette", "16-bit", "rotated"],
)
def test_odd_pictures_are_taken(studio: Studio, make: Callable[[Path], None]) -> None:
    file = studio.uploads / "odd.png"
    make(file)
    assert studio.prepare(with_picture(file), GenerateRequest(), ANN).work.frames == 4


def test_a_frame_that_ends_noisy_is_said_and_runs(studio: Studio) -> None:
    editor = EditorValue(levels=[[1000, 1000], [500, 500], [0, 150]])
    said = [line["text"] for line in studio.summary(editor, GenerateRequest())]
    assert any("Frame 2 ends at 15 % noise and will look noisy" in text for text in said), said
    assert studio.prepare(editor, GenerateRequest(), ANN).work.calls == [1, 1]


def test_a_timeline_in_which_nothing_moves_is_said_and_gives_back_its_pictures(
    studio: Studio,
) -> None:
    file = studio.uploads / "a.png"
    Image.new("RGB", (16, 16), (200, 100, 50)).save(file)
    keyframes = [KeyframeValue(frame=f, file=FileData(path=str(file))) for f in (0, 1)]
    editor = EditorValue(levels=[[0, 0], [0, 0]], keyframes=keyframes)
    said = [line["text"] for line in studio.summary(editor, GenerateRequest())]
    assert said[0] == "Nothing moves: all 2 frames stay as given."
    assert any("Nothing is denoised" in text for text in said) and "0 model calls" in said
    job = studio.submit(editor, GenerateRequest(), ANN)
    while (end := studio.jobs.get(job)) is not None and not end.status.over:
        time.sleep(0.01)
    assert end is not None and end.status is Status.DONE


def test_frames_below_noise_without_a_picture_are_refused_by_ranges(studio: Studio) -> None:
    levels = [[0] * 4 + [1000] * 4 + [0], [0] * 9]
    with pytest.raises(RequestError, match="Frames 1–4 and 9 start below full noise and have no"):
        studio.prepare(EditorValue(levels=levels), GenerateRequest(), ANN)


@pytest.mark.parametrize(
    "formula",
    ["", "1/0", "log(0)", "9**9**9**9", "t.real", "t[0]", "().__class__", "-" * 100_000, "("],
)
def test_formulas_that_are_none_are_said_below_the_box_in_short(formula: str) -> None:
    said = editing.formula_preview(formula, 4, 3)
    assert said == {} if not formula else said["wrong"] and 10 < len(said["text"]) < 600


def test_an_outputs_folder_that_cannot_be_made_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(OutputError, match="Choose another folder"):
        Outputs(tmp_path / "file" / "outputs")
