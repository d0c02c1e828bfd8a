"""After a run: restoring it from disk or from a file, going on from it, and its downloads."""

from __future__ import annotations

import io
import json
import os
import shutil
import threading
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anyio
import gradio as gr
import numpy as np
import pytest
from fake import FakePipeline, on_its_own_loop
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.testclient import TestClient

from fvdm_core import Timeline, media
from fvdm_core.media import load_image, read_metadata, read_video, write_png
from fvdm_core.pictures import png_picture
from fvdm_core.recipe import read_recipe
from ui import editing
from ui.afterwards import Afterwards
from ui.continuing import ContinueRequest, continued
from ui.downloads import ENCODERS, MOST_WAITING, Downloads, zipped
from ui.history import PAGE, history_value, listed_now
from ui.model_list import ModelList
from ui.naming import Naming
from ui.outputs import Outputs
from ui.python_code import python_code
from ui.refusals import RequestError
from ui.requests import EditorValue, GenerateRequest, PresetRequest
from ui.restoring import Restored, as_upload, written_upload
from ui.saved import Saved, new_name
from ui.service import Studio

SESSION = new_name()
KEPT = {"session": SESSION, "job": None}
SETTINGS = GenerateRequest(
    temporal_scale=0.75,
    guidance_from=100.0,
    label="sky",
    seed=5,
    cfg_scale=2.0,
    solver="ddim",
    eta=0.5,
    fps=12,
    splice_exact=False,
)


@pytest.fixture(scope="module")
def studio(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Studio]:
    folder = tmp_path_factory.mktemp("after")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GRADIO_TEMP_DIR", str(folder / "uploads"))
        outputs = Outputs(folder / "outputs", naming=Naming("{label}-{seed}"))
        studio = Studio(FakePipeline, outputs, None)
        studio.model.get()
        yield studio
        studio.jobs.close()


def picture(seed: int, size: int = 16) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (size, size, 3), dtype=np.uint8)


def test_a_picture_that_cannot_be_put_among_the_uploads_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_png(tmp_path / "a.png", picture(1))
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path / "uploads"))
    with pytest.raises(RequestError, match="not here, or no longer"):
        as_upload(tmp_path / "b.png", 0)
    (tmp_path / "uploads").touch()  # no folder can be made there
    for put in (lambda: as_upload(tmp_path / "a.png", 0), lambda: written_upload(picture(1), 0)):
        with pytest.raises(RequestError, match="could not be written.* MB are free.* Make room"):
            put()


def upload(studio: Studio, path: Path) -> gr.FileData:
    inside = studio.uploads / new_name() / path.name
    inside.parent.mkdir(parents=True)
    shutil.copy(path, inside)
    return gr.FileData(path=str(inside), orig_name=path.name)


def painting(studio: Studio, tmp_path: Path, name: str = "interpolation") -> EditorValue:
    request = PresetRequest(name=name, frames=6, steps=4)
    editor = editing.with_preset(None, request, studio.window)
    for seed in range(2):
        write_png(tmp_path / f"{seed}.png", picture(seed, 40))
        editor = editing.with_picture(editor, upload(studio, tmp_path / f"{seed}.png"))
    return editor


def run(
    studio: Studio,
    editor: EditorValue,
    request: GenerateRequest = SETTINGS,
    session: str = SESSION,
) -> Saved:
    job = studio.submit(editor, request, session)
    until = time.monotonic() + 180
    while not (snapshot := studio.jobs.get(job)).status.over:  # type: ignore[union-attr]
        assert time.monotonic() < until
        time.sleep(0.01)
    assert snapshot is not None and snapshot.result is not None, snapshot
    return snapshot.result


@pytest.fixture(scope="module")
def made(studio: Studio, tmp_path_factory: pytest.TempPathFactory) -> Saved:
    """A run of a painted timeline with a picture on its first and last frame."""
    editor = painting(studio, tmp_path_factory.mktemp("pictures"))
    editor.levels[2][3] = 777
    return run(studio, editor)


def dropped(studio: Studio, path: Path, session: Any = None) -> Restored:
    sent = {"path": upload(studio, path).path}
    return Afterwards(studio).restore_file(
        {"session": new_name()} if session is None else KEPT, sent
    )


def same_clip(one: Saved, other: Saved) -> None:
    for first, second in zip(one.frames, other.frames, strict=True):
        assert first.read_bytes() == second.read_bytes()
    assert one.video.read_bytes() == other.video.read_bytes()
    assert one.recipe.read_bytes() == other.recipe.read_bytes()


# ── Restoring ────────────────────────────────────────────────────────────────────────────────


def test_a_run_of_the_history_comes_back_and_gives_the_same_bytes(
    studio: Studio, made: Saved
) -> None:
    found = Afterwards(studio).restore_run(KEPT, {"job": made.job})
    assert found.request == SETTINGS and found.notes == ()
    assert found.editor.levels[2][3] == 777
    assert found.editor.preset is not None and found.editor.preset.name == "interpolation"
    assert [keyframe.frame for keyframe in found.editor.keyframes] == [0, 5]
    same_clip(made, run(studio, found.editor, found.request))
    # the strip, which shows the run, knows the canvas for the one that it was made of
    assert found.editor.mark == studio.order_of(made.job, SESSION).mark


@pytest.mark.parametrize("file", ["recipe.json", "clip.mp4", "clip.gif", "frames/0004.png"])
def test_a_dropped_file_brings_everything_back_on_another_machine(
    studio: Studio, made: Saved, file: str
) -> None:
    found = dropped(studio, made.folder / file)  # a session of its own, without these runs
    assert found.notes == () and found.request == SETTINGS
    same_clip(made, run(studio, found.editor, found.request, new_name()))


def without_pictures(made: Saved, path: Path, **changes: Any) -> Path:
    recipe = json.loads(made.recipe.read_text()) | changes
    del recipe["pictures"]
    path.write_text(json.dumps(recipe))
    return path


def test_pictures_that_are_not_in_the_file_are_found_in_the_session_or_asked_for(
    studio: Studio, made: Saved, tmp_path: Path
) -> None:
    bare = without_pictures(made, tmp_path / "bare.json")
    mine = dropped(studio, bare, SESSION)
    assert mine.notes == ()
    same_clip(made, run(studio, mine.editor, mine.request))
    other = dropped(studio, bare)
    assert other.editor.keyframes == []
    assert other.notes == ("The pictures of frames 1 and 6 are not in this file: drop them again.",)


def test_what_the_page_cannot_repeat_is_said_plainly(
    studio: Studio, made: Saved, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    changes = {
        "model": {"name": "Other", "sha256": "ff" * 32},
        "label": "dragons",
        "stopped_after_step": 2,
        "timeline": json.loads(made.recipe.read_text())["timeline"] | {"prior": "mixed"},
        "fps": None,
    }
    found = dropped(studio, without_pictures(made, tmp_path / "x.json", **changes), SESSION)
    said = " ".join(found.notes)
    for words in ("made with Other (ffffffff)", "'dragons'", "after step 2"):
        assert words in said
    assert found.request.label is None and found.request.fps == 8
    assert found.editor.timeline().prior == "mixed"
    changes = {"dtype": "bfloat16"}
    found = dropped(studio, without_pictures(made, tmp_path / "x.json", **changes), SESSION)
    why = "It was made in bfloat16, and here the model runs in float32, so details may differ."
    assert why in found.notes
    monkeypatch.setattr(studio, "lent", True)  # on ZeroGPU it runs elsewhere, in another precision
    found = dropped(studio, without_pictures(made, tmp_path / "x.json", **changes), SESSION)
    assert not any("details may differ" in note for note in found.notes)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"seed": 2**40}, "seed is 1099511627776"),
        ({"cfg_scale": -1}, "cfg_scale is -1"),
        ({"timeline": {"version": 1, "levels": [[5]]}}, "levels has 1 rows"),
        ({"keyframes": {"99": "00" * 32}}, "'99' is not one of the 6 frames"),
    ],
)
def test_wrong_recipes_change_nothing(
    studio: Studio, made: Saved, tmp_path: Path, changes: dict[str, Any], says: str
) -> None:
    with pytest.raises(RequestError, match=says):
        dropped(studio, without_pictures(made, tmp_path / "x.json", **changes))


@pytest.mark.parametrize("path", ["/etc/passwd", "http://x/a.json", "", None, 5, "a\0b", "../x"])
def test_only_uploads_are_read(studio: Studio, path: Any) -> None:
    with pytest.raises(RequestError, match="not among the uploads: drop it again"):
        Afterwards(studio).restore_file(KEPT, {"path": path})


def test_a_hostile_preset_in_a_recipe_is_only_left_out(
    studio: Studio, made: Saved, tmp_path: Path
) -> None:
    page = {"preset": {"name": "x" * 900, "params": []}, "formula": ["import os"]}
    found = dropped(studio, without_pictures(made, tmp_path / "x.json", page=page), SESSION)
    assert found.editor.preset is None and found.editor.formula == ""


def test_another_session_reaches_no_run(studio: Studio, made: Saved) -> None:
    after = Afterwards(studio)
    other = {"session": new_name(), "job": made.job}
    editor = editing.with_preset(None, PresetRequest(name="standard", frames=4, steps=2), 16)
    for act in (after.restore_run, after.continue_clip, after.extend_clip):
        with pytest.raises(RequestError, match="not here"):
            act(other, {"job": made.job})
    with pytest.raises(RequestError, match="not here"):
        after.use_frame(other, {"job": made.job, "frame": 0}, editor)
    assert history_value(studio.outputs, other["session"]) == {"runs": [], "total": 0}
    assert history_value(studio.outputs, None) == {"runs": [], "total": 0}


def test_the_history_is_there_after_a_restart(studio: Studio, made: Saved) -> None:
    again = Outputs(studio.outputs.root)
    entries = history_value(again, SESSION)["runs"]
    entry = next(entry for entry in entries if entry["job"] == made.job)
    assert entry["thumb"] and entry["says"].startswith("Frames 1 and 6 are kept")
    assert (entry["name"], entry["frames"], entry["stopped"]) == ("sky-5", 6, False)
    assert str(again.root) not in json.dumps(entries)
    assert len(history_value(again, SESSION, 1)["runs"]) == 1


def test_what_more_has_brought_stays_listed() -> None:
    assert listed_now({"runs": [{}] * (2 * PAGE)}) == 2 * PAGE
    for shown in (None, {"runs": [{}]}, {"runs": None}, []):
        assert listed_now(shown) == PAGE


# ── Going on from a clip ─────────────────────────────────────────────────────────────────────


def pixels(keyframe: Any) -> np.ndarray:
    return png_picture(Path(keyframe.file.path).read_bytes(), "it")


def test_the_tail_of_a_clip_begins_the_next(studio: Studio, made: Saved) -> None:
    editor = Afterwards(studio).continue_clip(KEPT, {"job": made.job, "tail": 2})
    assert (editor.frames, editor.steps) == (6, 4)
    assert editing.is_preset(editor, studio.window) and editor.preset.name == "extend"  # type: ignore[union-attr]
    assert editor.timeline().needs_picture([0, 1]) == []
    for keyframe, file in zip(editor.keyframes, made.frames[-2:], strict=True):
        np.testing.assert_array_equal(pixels(keyframe), load_image(file, (16, 16)))
    clip = run(studio, editor, SETTINGS)
    for kept, file in zip(clip.frames[:2], made.frames[-2:], strict=True):
        np.testing.assert_array_equal(load_image(kept, (16, 16)), load_image(file, (16, 16)))


def test_a_clip_too_long_to_go_on_at_its_length_goes_on_shorter(
    studio: Studio, made: Saved
) -> None:
    """600 frames of 30 steps would be 74 windows, more cells than a timeline may have."""
    long = [[made.frames[k % len(made.frames)]] for k in range(600)]
    editor = continued(long, ContinueRequest(tail=None), steps=30, window=16)
    assert editor.frames == 300 and len(editor.keyframes) == 8
    assert editor.timeline().needs_picture(range(8)) == []


def test_pictures_of_an_old_run_are_not_the_oldest_uploads(studio: Studio, made: Saved) -> None:
    """A copy is as old as what it is of, and the oldest uploads are the first to go."""
    for frame in made.frames:
        os.utime(frame, (10**9, 10**9))
    editor = Afterwards(studio).continue_clip(KEPT, {"job": made.job, "tail": 1})
    (keyframe,) = editor.keyframes
    assert time.time() - Path(keyframe.file.path).stat().st_mtime < 600


@pytest.mark.parametrize("tail", [7, 0, -1, 2.5, "x", 10**9])
def test_tails_that_cannot_be(studio: Studio, made: Saved, tail: Any) -> None:
    with pytest.raises(RequestError, match="tail"):
        Afterwards(studio).continue_clip(KEPT, {"job": made.job, "tail": tail})


@pytest.mark.parametrize("way", ["extend", "diagonal", "hierarchical"])
def test_a_clip_of_a_few_frames_is_extended_without_a_frame_that_wants_a_picture(
    studio: Studio, made: Saved, way: str
) -> None:
    shorter = Path(made.folder) / "frames"
    assert len(list(shorter.iterdir())) == 6 < studio.window // 2
    editor = Afterwards(studio).extend_clip(KEPT, {"job": made.job, "frames": 32, "way": way})
    assert editor.timeline().needs_picture(range(6)) == []


@pytest.mark.parametrize("way", ["extend", "diagonal", "hierarchical"])
@pytest.mark.parametrize("frames", [32, 64, 128])
def test_a_clip_is_extended_in_windows_of_the_model(
    studio: Studio, made: Saved, way: str, frames: int
) -> None:
    sent = {"job": made.job, "frames": frames, "way": way}
    editor = Afterwards(studio).extend_clip(KEPT, sent)
    timeline = editor.timeline()
    assert timeline.frames == frames and not timeline.levels[:, :6].any()
    assert timeline.windows is not None and timeline.window_size <= studio.window
    assert editing.steps_for_preset(editor, editor.steps, 16) == 4  # of the next preset
    assert [keyframe.frame for keyframe in editor.keyframes] == list(range(6))
    if (frames, way) == (32, "diagonal"):
        clip = run(studio, editor, SETTINGS)
        for kept, file in zip(clip.frames, made.frames, strict=False):
            np.testing.assert_array_equal(load_image(kept, (16, 16)), load_image(file, (16, 16)))


@pytest.mark.parametrize(
    ("sent", "says"),
    [
        ({"frames": 6}, "6 frames already"),
        ({"frames": 5000}, "frames is 5000"),
        ({"way": "../x"}, "choose one of extend, diagonal, hierarchical"),
        ({"way": 5}, "way is 5"),
    ],
)
def test_extensions_that_cannot_be(
    studio: Studio, made: Saved, sent: dict[str, Any], says: str
) -> None:
    with pytest.raises(RequestError, match=says):
        Afterwards(studio).extend_clip(KEPT, {"job": made.job, **sent})


def test_a_frame_goes_to_the_slot_that_waits_or_is_kept_as_the_first(
    studio: Studio, made: Saved
) -> None:
    after = Afterwards(studio)
    empty = editing.with_preset(None, PresetRequest(name="interpolation", frames=4, steps=3), 16)
    once = after.use_frame(KEPT, {"job": made.job, "frame": 5}, empty)
    twice = after.use_frame(KEPT, {"job": made.job, "frame": 3}, once)
    assert [keyframe.frame for keyframe in twice.keyframes] == [0, 3]
    for keyframe, frame in zip(twice.keyframes, (5, 3), strict=True):
        np.testing.assert_array_equal(pixels(keyframe), load_image(made.frames[frame], (16, 16)))
    noise = editing.with_preset(None, PresetRequest(name="standard", frames=4, steps=3), 16)
    kept = after.use_frame(KEPT, {"job": made.job, "frame": 0}, noise)
    assert kept.timeline().levels[:, 0].tolist() == [0] * 4
    assert kept.timeline().levels[0, 1:].tolist() == [1000] * 3
    with pytest.raises(RequestError, match="there is no frame 6"):
        after.use_frame(KEPT, {"job": made.job, "frame": 6}, noise)


# ── Downloads ────────────────────────────────────────────────────────────────────────────────


@pytest.fixture(scope="module")
def client(studio: Studio) -> TestClient:
    downloads = Downloads(studio.outputs, Afterwards(studio).code)
    return TestClient(Starlette(routes=downloads.routes()))


@pytest.mark.parametrize(
    ("file", "kind", "name", "fps"),
    [
        ("clip.mp4", "video/mp4", "sky-5.mp4", 12),
        ("clip.mp4?fps=24", "video/mp4", "sky-5.mp4", 24),
        ("clip.webm", "video/webm", "sky-5.webm", 12),
        ("clip.webm?fps=5", "video/webm", "sky-5.webm", 5),
        ("clip.gif?fps=10", "image/gif", "sky-5.gif", 10),
        ("clip.gif?fps=60", "image/gif", "sky-5.gif", 50),
    ],
)
def test_videos_come_at_any_speed_with_their_recipe(
    studio: Studio,
    client: TestClient,
    made: Saved,
    tmp_path: Path,
    file: str,
    kind: str,
    name: str,
    fps: int,
) -> None:
    answer = client.get(f"/{made.address}/{file}")
    assert answer.status_code == 200 and answer.headers["content-type"] == kind
    assert f'filename="{name}"' in answer.headers["content-disposition"]
    (tmp_path / name).write_bytes(answer.content)
    video = read_video(tmp_path / name)
    assert (video.frames.shape, video.fps) == ((6, 16, 16, 3), fps)
    assert json.loads(read_metadata(tmp_path / name) or "") == json.loads(made.recipe.read_text())
    assert not list(studio.outputs.root.glob(".unfinished-*")), "nothing is left behind"


def test_single_frames_and_all_of_them(client: TestClient, made: Saved) -> None:
    answer = client.get(f"/{made.address}/frame/4.png")
    assert answer.content == made.frames[4].read_bytes()
    assert 'filename="sky-5-0005.png"' in answer.headers["content-disposition"]
    archive = zipfile.ZipFile(io.BytesIO(client.get(f"/{made.address}/frames.zip").content))
    assert archive.testzip() is None
    names = archive.namelist()
    assert [name for name in names if name.startswith("frames/")] == [
        f"frames/{number:04d}.png" for number in range(1, 7)
    ]
    assert {"keyframes/0001.png", "keyframes/0006.png", "recipe.json", "run.py"} <= set(names)
    assert archive.read("frames/0002.png") == made.frames[1].read_bytes()


@pytest.mark.parametrize(
    "file",
    ["", "../recipe.json", "..%2f..%2fcosts.json", "about.json", "frame/6.png", "frame/-1.png"]
    + ["frame/x.png", "clip.exe", "frames/0001.png", "%00", "frame/" + "9" * 400 + ".png"],
)
def test_nothing_else_is_served(client: TestClient, made: Saved, file: str) -> None:
    assert client.get(f"/{made.address}/{file}").status_code == 404


@pytest.mark.parametrize("fps", ["0", "61", "-1", "x", "1e9", "", "9" * 5000])
def test_speeds_that_cannot_be(client: TestClient, made: Saved, fps: str) -> None:
    assert client.get(f"/{made.address}/clip.webm", params={"fps": fps}).status_code == 400


def test_a_run_is_served_under_its_own_session_only(client: TestClient, made: Saved) -> None:
    for session in (new_name(), "..", "uploads"):
        address = f"/runs/{session}/{made.job}/recipe.json"
        assert client.get(address).status_code == 404


def test_a_clip_that_cannot_be_written_is_said_and_leaves_nothing(
    studio: Studio, client: TestClient, made: Saved, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any, **__: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(media, "write_video", full)
    answer = client.get(f"/{made.address}/clip.webm")
    assert answer.status_code == 507 and "No space left" in answer.text
    assert not list(studio.outputs.root.glob(".unfinished-*"))


def test_clips_that_nobody_waits_for_are_not_written(
    studio: Studio, made: Saved, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Many ask for one and go away: the rest is refused at once, and those are left out."""
    written, going = [], threading.Event()

    def slow(saved: Saved, path: Path, fps: int) -> None:
        written.append(fps)
        going.wait(timeout=20)
        path.write_bytes(b"clip")

    monkeypatch.setattr("ui.downloads.encode", slow)
    downloads = Downloads(studio.outputs, Afterwards(studio).code)
    home, job = made.address.split("/")[-2:]
    parts = {"home": home, "job": job, "file": "clip.webm"}
    statuses: list[int] = []

    async def ask(stays: bool) -> None:
        scope = {"type": "http", "method": "GET", "query_string": b"", "path_params": parts}

        async def receive() -> dict[str, Any]:
            if stays:
                await anyio.sleep(60)
            return {"type": "http.disconnect"}

        statuses.append((await downloads.answer(Request(scope, receive))).status_code)

    async def many() -> None:
        async with anyio.create_task_group() as group:
            for number in range(ENCODERS + MOST_WAITING + 3):
                group.start_soon(ask, number < ENCODERS)
                await anyio.sleep(0.02)  # in turn
            going.set()

    on_its_own_loop(many())
    assert sorted(statuses) == [200] * ENCODERS + [499] * MOST_WAITING + [503] * 3
    assert len(written) == ENCODERS


# ── The run as a program ─────────────────────────────────────────────────────────────────────


def test_code_names_presets_and_formulas_and_tells_nothing_of_this_machine(
    studio: Studio, made: Saved, tmp_path: Path
) -> None:
    after = Afterwards(studio)
    code = after.code(made)
    assert "Timeline.from_json(" in code, "it was painted over"
    assert "label='sky', seed=5, cfg_scale=2.0, solver='ddim', eta=0.5, fps=12" in code
    plain = run(studio, painting(studio, tmp_path))
    assert "Timeline.preset('interpolation', frames=6, steps=4)" in after.code(plain)
    again = run(studio, after.restore_run(KEPT, {"job": plain.job}).editor)
    assert "Timeline.preset('interpolation', frames=6, steps=4)" in after.code(again)
    for source in ("/home/somebody/models/mine", "a b", "../x"):
        listed = ModelList(lambda source: FakePipeline(), given=source)
        other = Studio(listed, studio.outputs, None)
        other.model.get()
        assert source not in Afterwards(other).code(made)
        assert "the model's folder" in Afterwards(other).code(made)


def test_a_long_painting_is_read_from_the_recipe_next_to_the_code(studio: Studio) -> None:
    levels = np.random.default_rng(0).integers(0, 1001, (40, 200))
    levels[0], levels[-1] = 1000, 0
    saved = run(studio, editing.painted(Timeline(levels)))
    code = Afterwards(studio).code(saved)
    assert 'open("recipe.json")' in code and len(code) < 2000
    compile(code, "run.py", "exec")


@pytest.mark.parametrize("stopped", [False, True])
def test_the_copied_code_makes_the_same_frames(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stopped: bool
) -> None:
    """A real pipeline, tiny and random; the code runs in the folder of the unpacked zip."""
    import torch

    from fvdm_core import Pipeline

    monkeypatch.syspath_prepend(Path(__file__).parents[1] / "core")
    from tiny import save_tiny

    model = save_tiny(tmp_path / "model")
    pipe = Pipeline.from_pretrained(model, device="cpu", dtype=torch.float32)
    levels = np.array(Timeline.preset("image-to-video", frames=16, steps=4).levels)
    levels[2, 5] = 321
    pictures = {0: picture(1, 8)}
    options: dict[str, Any] = {"label": "faces", "cfg_scale": 2.0, "solver": "ddim", "eta": 0.5}
    states = list(pipe.stream(Timeline(levels), pictures, seed=3, splice_exact=True, **options))
    state = states[2] if stopped else states[-1]
    frames = states[-1].clip.frames if not stopped else state.frames  # type: ignore[union-attr]
    outputs = Outputs(tmp_path / "outputs")
    saved = outputs.save(new_name(), new_name(), frames, 8, state.recipe, pictures)
    code = python_code(saved, read_recipe(saved.recipe), None, pipe.num_frames)
    there = tmp_path / "there"
    zipfile.ZipFile(io.BytesIO(b"".join(zipped(saved, code)))).extractall(there)

    monkeypatch.setattr(Pipeline, "from_pretrained", lambda: pipe)
    monkeypatch.chdir(there)
    made: dict[str, Any] = {}
    exec((there / "run.py").read_text(), made)
    again = made["state"].frames if stopped else made["clip"].frames
    np.testing.assert_array_equal(again, frames)
    assert len(read_video(there / "clip.mp4").frames) == 16
