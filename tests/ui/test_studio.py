"""The page over HTTP: a real server, a stand-in model, spoken to as programs and attackers do."""

from __future__ import annotations

import base64
import copy
import inspect
import json
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import gradio as gr
import httpx
import numpy as np
import pytest
from fake import FakePipeline, example_pictures
from gradio_client import Client, handle_file
from gradio_client.exceptions import AppError

from fvdm_core.media import read_metadata, read_video, write_png
from fvdm_core.pictures import load_moving
from fvdm_core.timeline import Timeline
from ui import editing
from ui.jobs import Status
from ui.refusals import RequestError
from ui.requests import (
    EditorValue,
    FormulaRequest,
    GenerateRequest,
    PresetRequest,
    SizeRequest,
)
from ui.saved import new_name
from ui.service import session_of
from ui.studio import build_studio, launch_options

STEPS, FRAMES = 6, 4


class Server:
    """A running studio and what tests need of it."""

    def __init__(self, folder: Path) -> None:
        self.pipeline = FakePipeline()
        self.outputs = folder / "outputs"
        self.demo = build_studio(
            lambda: self.pipeline,
            outputs=self.outputs,
            examples=example_pictures(folder / "examples"),
        )
        _, self.url, _ = self.demo.launch(
            prevent_thread_lock=True, quiet=True, **launch_options(self.demo)
        )
        self.studio = self.demo.studio  # type: ignore[attr-defined]

    def close(self) -> None:
        self.studio.jobs.close()
        self.demo.close()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("studio")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GRADIO_TEMP_DIR", str(folder / "uploads"))
        server = Server(folder)
        yield server
        server.close()


@pytest.fixture(scope="module")
def client(server: Server, tmp_path_factory: pytest.TempPathFactory) -> Client:
    folder = str(tmp_path_factory.mktemp("downloads"))
    patient = {"timeout": 300}  # a busy machine
    return Client(server.url, verbose=False, download_files=folder, httpx_kwargs=patient)


def painting(**changes: Any) -> dict[str, Any]:
    """A timeline that needs no pictures, with levels that no preset has."""
    levels = np.linspace(1000, 0, STEPS + 1).round().astype(int)[:, None].repeat(FRAMES, 1)
    levels[2, 1] = 777
    return {"version": 1, "levels": levels.tolist(), **changes}


def generate(client: Client, timeline: dict[str, Any] | None = None, **changes: Any) -> Any:
    settings = {"label": "sky", "seed": 7, "guidance": 1.5, "solver": "ddim", "eta": 0, "fps": 8}
    settings["exact"] = True
    settings |= changes
    timeline = painting() if timeline is None else timeline
    return client.predict(timeline, *settings.values(), None, api_name="/generate")


def clip_of(result: Any) -> dict[str, Any]:
    return next(part for part in result if isinstance(part, dict) and "video" in part)


def test_generate_gives_a_video_and_a_recipe_of_the_painted_cells(client: Client) -> None:
    result = generate(client, seed=123, fps=12)
    clip = clip_of(result)
    video = read_video(clip["video"])
    assert video.frames.shape == (FRAMES, 16, 16, 3) and video.fps == 12
    recipe = json.loads(Path(clip["recipe"]).read_text())
    assert json.loads(read_metadata(clip["video"]) or "") == recipe
    levels = Timeline.from_json(json.dumps(recipe["timeline"])).levels
    assert levels.tolist() == painting()["levels"]
    assert recipe["seed"] == 123 and recipe["label"] == "sky" and recipe["fps"] == 12
    strip = next(part for part in result if isinstance(part, dict) and "sheet" in part)
    assert (strip["status"], strip["step"]) == ("done", STEPS)


def test_what_is_not_said_is_the_models(client: Client) -> None:
    recipe = {}
    for label in ("faces", None):
        clip = clip_of(client.predict(painting(), label=label, api_name="/generate"))
        recipe = json.loads(Path(clip["recipe"]).read_text())
        for key, value in FakePipeline.card.sampling.of(label).items():
            assert recipe[key] == value
    assert (recipe["label"], recipe["seed"], recipe["fps"]) == (None, 7, 8)


def test_the_same_request_gives_the_same_bytes(client: Client) -> None:
    first, second, other = (clip_of(generate(client, seed=seed)) for seed in (5, 5, 6))
    assert Path(first["video"]).read_bytes() == Path(second["video"]).read_bytes()
    assert Path(first["video"]).read_bytes() != Path(other["video"]).read_bytes()


def test_pictures_reach_their_frames(client: Client, tmp_path: Path) -> None:
    write_png(tmp_path / "red.png", np.full((32, 32, 3), (200, 30, 30), np.uint8))
    keyframe = {"frame": 0, "file": handle_file(str(tmp_path / "red.png")), "fit": "crop"}
    levels = [[0, *row[1:]] for row in painting()["levels"]]
    clip = clip_of(generate(client, painting(levels=levels, keyframes=[keyframe])))
    frames = read_video(clip["video"]).frames.astype(int)
    assert np.abs(frames[0] - (200, 30, 30)).max() < 12 < np.abs(frames[1] - frames[0]).max()
    recipe = json.loads(Path(clip["recipe"]).read_text())
    assert "red" not in json.dumps(recipe) and str(tmp_path) not in json.dumps(recipe)


def test_the_strip_shows_the_pipeline_s_preview_of_each_step(
    server: Server, client: Client
) -> None:
    server.pipeline.pause = 0.15
    try:
        job = client.submit(
            painting(), "faces", 3, 1.5, "ddim", 0, 8, True, None, api_name="/generate"
        )
        job.result(timeout=180)
    finally:
        server.pipeline.pause = 0
    timeline = Timeline(painting()["levels"])
    states = list(FakePipeline().stream(timeline, label="faces", seed=3))
    sheets = [part for output in job.outputs() for part in output if part and "sheet" in part]
    shown = {strip["step"]: strip for strip in sheets if strip["sheet"]}
    assert len(shown) >= 4 and STEPS in shown
    for step, strip in shown.items():
        assert strip["levels"] == timeline.levels[step].tolist()
        jpeg = np.frombuffer(base64.b64decode(strip["sheet"].split(",")[1]), np.uint8)
        sheet = cv2.imdecode(jpeg, cv2.IMREAD_COLOR)
        assert sheet is not None
        width, height = strip["tile"]
        for frame, wanted in enumerate(states[step].preview):
            top, left = frame // strip["columns"] * height, frame % strip["columns"] * width
            tile = sheet[top : top + height, left : left + width, ::-1].astype(float)
            assert np.abs(tile.mean((0, 1)) - wanted.mean((0, 1))).max() < 6


def test_long_timelines_get_windows_that_the_model_can_hold(server: Server, client: Client) -> None:
    levels = [[level] * 40 for level in (1000, 500, 0)]
    assert len(read_video(clip_of(generate(client, {"levels": levels}))["video"]).frames) == 40
    assert server.pipeline.largest_window == 16


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"seed": 2**70}, "seed is an integer of 71 bits"),
        ({"seed": "abc"}, "seed"),
        ({"guidance": 1e9}, "cfg_scale"),
        ({"label": "dragons"}, "label is 'dragons': the model knows sky, faces"),
        ({"label": {"a": 1}}, "label"),
        ({"solver": "__import__"}, "solver"),
        ({"eta": "x"}, "eta"),
        ({"fps": 1000}, "fps is 1000"),
        ({"exact": "yes"}, "splice_exact is 'yes'"),
        ({"timeline": {}}, "levels"),
        ({"timeline": {"levels": [["NaN"], [0]]}}, "row 0, frame 1"),
        ({"timeline": {"levels": [[500, 1000], [0, 0]]}}, "Frame 1 starts below full noise"),
        ({"timeline": {"levels": [[0, 0], [0, 0]]}}, "Frames 1 and 2 start below full noise"),
        ({"timeline": painting(windows=[[{"frames": [9], "updates": [9]}]] * STEPS)}, "window"),
    ],
)
def test_bad_requests_are_refused_with_what_is_wrong(
    client: Client, changes: dict[str, Any], says: str
) -> None:
    with pytest.raises((AppError, ValueError), match=says):
        generate(client, **changes)


@pytest.mark.parametrize("text", ["NaN", "Infinity", "1e999", "-Infinity", "[]", "null", "true"])
def test_numbers_of_raw_json_are_checked(server: Server, text: str) -> None:
    whole = json.dumps({"data": [painting(), None, "here"]})
    for old, new in (('"here"', text), ("777", text)):
        body = whole.replace(old, new).replace('"here"', "1.5")
        url = f"{server.url}gradio_api/run/preview_timeline"
        answer = httpx.post(
            url, content=body, headers={"Content-Type": "application/json"}, timeout=300
        )
        assert answer.status_code >= 400, (new, answer.text)
        if "error" in answer.json():
            assert "cfg_scale" in answer.text or "row 2, frame 2" in answer.text


@pytest.mark.parametrize("path", ["/etc/passwd", "app.py", "http://example.com/a.png", "../a"])
def test_pictures_are_uploads_only(server: Server, path: str) -> None:
    meta = {"_type": "gradio.FileData"}
    keyframe = {"frame": 0, "file": {"path": path, "meta": meta}, "fit": "crop"}
    data = [painting(keyframes=[keyframe]), None, 1.5]
    answer = call(server, "preview_timeline", data)
    assert answer.status_code == 500 or "error" in answer.text
    assert "root:" not in answer.text
    if "://" in path:
        assert "web address" in answer.text


def test_an_uploaded_page_does_not_run_as_ours(server: Server) -> None:
    page = {"files": ("a.html", b"<script>alert(1)</script>", "text/html")}
    path = httpx.post(f"{server.url}gradio_api/upload", files=page).json()[0]
    answer = httpx.get(f"{server.url}gradio_api/file={path}")
    assert answer.content == page["files"][1]
    assert answer.headers["content-security-policy"].startswith("sandbox;")


def test_what_is_refused_writes_no_lines_into_the_log(
    server: Server, capfd: pytest.CaptureFixture[str]
) -> None:
    file = {"path": "/x\n* ADMIN LOGIN\x1b[31m", "meta": {"_type": "gradio.FileData"}}
    answer = call(server, "preview_timeline", [painting(), file, 1.5])
    assert "not among the uploads" in answer.text
    assert "ADMIN" not in "".join(capfd.readouterr())


@pytest.mark.parametrize("at", [0, 1, 2])
def test_no_input_fetches_an_address(server: Server, at: int) -> None:
    data = [painting(), None, 1.5]
    data[at] = {"path": "http://example.com/a.png", "meta": {"_type": "gradio.FileData"}}
    answer = call(server, "preview_timeline", data)
    assert answer.status_code >= 400 and "web address" in answer.text, answer.text


def test_a_timeline_that_is_not_there_is_missed(server: Server) -> None:
    assert "timeline is missing" in call(server, "preview_timeline", [None, None, 1.5]).text


def call(server: Server, name: str, data: list[Any], **more: Any) -> httpx.Response:
    return httpx.post(
        f"{server.url}gradio_api/run/{name}", json={"data": data}, timeout=300, **more
    )


def test_a_run_cannot_pass_the_queue_by(server: Server) -> None:
    answer = call(server, "generate", [painting()])
    assert answer.status_code == 404 and "join the queue" in answer.text


def test_what_a_visit_sends_is_not_kept(server: Server) -> None:
    """Gradio would keep the last value of every input, of a hundred visits."""
    body = {"data": [painting(formula="0.123*t"), None, 1.5], "session_hash": "ann"}
    url = f"{server.url}gradio_api/run/preview_timeline"
    assert httpx.post(url, json=body, timeout=300).status_code == 200
    kept = server.demo.app.state_holder["ann"].config_values  # type: ignore[attr-defined]
    assert "0.123*t" not in repr(kept)


def test_a_run_without_pictures_does_not_wait_for_those_of_others(server: Server) -> None:
    plain = EditorValue.model_validate(painting())
    file = server.studio.examples.examples[0].file.model_dump()
    with_picture = EditorValue.model_validate(painting(keyframes=[{"frame": 0, "file": file}]))
    assert server.studio.reader(plain) is None
    assert server.studio.reader(with_picture) is server.studio.readers


def test_a_picture_is_read_once_where_it_is_used_and_not_for_a_full_queue(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[Path] = []

    def counted(wanted: list[Any]) -> Iterator[Any]:
        for path, *how in wanted:
            read.append(path)
            yield load_moving(path, *how)

    monkeypatch.setattr("ui.runs.load_images", counted)
    one, other = (example.file.model_dump() for example in server.studio.examples.examples)
    levels = [[0, 0, 0, 1000], [0, 0, 0, 0]]
    keyframes = [{"frame": frame, "file": one} for frame in range(3)]
    unused = {"frame": 3, "file": other}
    editor = EditorValue.model_validate(
        painting(levels=levels, windows=None, keyframes=[*keyframes, unused])
    )
    work = server.studio.prepare(editor, GenerateRequest(), new_name()).work
    assert work.frames == 4 and len(read) == 1
    monkeypatch.setattr(server.studio.jobs, "max_waiting", 0)
    with pytest.raises(RequestError, match="The queue is full"):
        server.studio.prepare(editor, GenerateRequest(), new_name())
    assert len(read) == 1


def test_a_call_without_all_arguments_is_refused_and_more_are_not_heeded(
    server: Server, capfd: pytest.CaptureFixture[str]
) -> None:
    whole = [painting(), None, 1.5]
    said = call(server, "preview_timeline", whole)
    for short in ([], whole[:1], ["ADMIN LOGIN"]):
        answer = call(server, "preview_timeline", short)
        assert answer.status_code >= 400 and f"{len(short)} values" in answer.text, answer.text
    assert "ADMIN" not in "".join(capfd.readouterr())
    more = call(server, "preview_timeline", [*whole, "rm -rf /", {"a": [1]}])
    assert more.json()["data"] == said.json()["data"]


@pytest.mark.parametrize(
    "body",
    ["", "{", "[]", "null", '{"data": 7}', '{"data": {"0": 1}}', "[" * 5000, '{"a":' * 5000],
    ids=lambda body: body[:10],
)
def test_bodies_that_are_no_request_are_refused_and_the_next_one_is_answered(
    server: Server, body: str
) -> None:
    url = f"{server.url}gradio_api/run/preview_timeline"
    headers = {"Content-Type": "application/json"}
    answer = httpx.post(url, content=body, headers=headers, timeout=300)
    assert answer.status_code >= 400 and str(Path.cwd()) not in answer.text, answer.text
    assert call(server, "preview_timeline", [painting(), None, 1.5]).status_code == 200


@pytest.mark.parametrize(
    "name", ["a" * 396 + ".png", "../../../evil.png", "<img src=x onerror=alert(1)>.png"]
)
def test_an_upload_s_name_is_no_path_and_has_a_bounded_length(server: Server, name: str) -> None:
    answer = upload(server, name, b"x")
    path = Path(answer.json()[0])
    uploads = server.studio.uploads.resolve()
    assert path.resolve().is_relative_to(uploads) and path.read_bytes() == b"x"
    assert len(path.name) <= 255 and not set("<>") & set(path.name)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.svg", b'<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>'),
        ("a.html", b"<script>alert(1)</script>"),
    ],
)
def test_an_upload_with_a_script_is_never_shown_as_a_page(
    server: Server, name: str, content: bytes
) -> None:
    path = upload(server, name, content).json()[0]
    served = httpx.get(f"{server.url}gradio_api/file={path}", timeout=300)
    assert served.headers["content-disposition"].startswith("attachment")


def upload(server: Server, name: str, content: bytes) -> httpx.Response:
    url = f"{server.url}gradio_api/upload"
    answer = httpx.post(url, files={"files": (name, content)}, timeout=300)
    assert answer.status_code == 200, answer.text
    return answer


def test_other_sites_and_huge_bodies_stay_out(server: Server) -> None:
    data = [painting(), None, 1.5]
    assert call(server, "preview_timeline", data).status_code == 200
    evil = {"Origin": "https://evil.example"}
    assert call(server, "preview_timeline", data, headers=evil).status_code == 403
    upload = httpx.post(
        f"{server.url}gradio_api/upload", files={"files": b"x"}, headers=evil, timeout=300
    )
    assert upload.status_code == 403
    assert call(server, "preview_timeline", [[[0] * 1000] * 9000]).status_code == 413


def test_a_rebound_name_reaches_nothing(server: Server) -> None:
    rebound = {"Host": "evil.example:7860", "Origin": "http://evil.example:7860"}
    assert httpx.get(server.url, headers=rebound, timeout=300).status_code == 421
    data = [painting(), None, 1.5]
    assert call(server, "preview_timeline", data, headers=rebound).status_code == 421


def test_a_huge_upload_is_refused(server: Server) -> None:
    big = httpx.post(
        f"{server.url}gradio_api/upload", files={"files": bytes(65 * 2**20)}, timeout=120
    )
    assert big.status_code == 413


def test_outputs_and_files_of_the_machine_are_not_served(server: Server, client: Client) -> None:
    generate(client)
    hidden = server.outputs / ".env"
    hidden.touch()
    paths = [hidden, server.outputs / "x" / ".." / ".env", f"/{server.outputs}/%2Eenv"]
    for path in ("/etc/passwd", "app.py", str(server.outputs / ".." / "examples"), *paths):
        assert httpx.get(f"{server.url}gradio_api/file={path}", timeout=300).status_code in (
            403,
            404,
        )


def test_preview_timeline_says_what_it_does_costs_and_needs(client: Client) -> None:
    timeline = {"levels": [[0, 1000], [0, 500], [0, 0]]}
    lines = client.predict(timeline, None, 1.5, api_name="/preview_timeline")
    kinds = [line["kind"] for line in lines]
    assert kinds[:2] == ["says", "cost"] and "warning" in kinds
    assert "2 model calls" in lines[1]["text"]


def test_the_schemas_say_what_is_allowed(client: Client) -> None:
    calls = client.view_api(return_format="dict", print_info=False)["named_endpoints"]
    given = {p["parameter_name"]: p["type"] for p in calls["/generate"]["parameters"]}
    allowed = GenerateRequest.model_json_schema()["properties"]
    for name, option in allowed.items():
        assert given["guidance" if name == "cfg_scale" else name] == option, name
    assert given["guidance"]["maximum"] == 20 and "ddpm" in given["solver"]["enum"]
    assert {"type": "null"} in given["label"]["anyOf"]
    assert given["timeline"]["required"] == ["levels"]
    (listed,) = calls["/presets"]["returns"]
    assert listed["type"]["type"] == "array" and listed["type"]["items"]["type"] == "object"
    labels = [part["label"] for part in calls["/generate"]["returns"]]
    assert {"strip", "progress", "clip"} <= set(labels)


def test_what_an_event_says_of_itself_is_never_that_of_one_before(server: Server) -> None:
    """Gradio gives an event that it put off the data of the first."""
    for event in server.demo.fns.values():
        if event.fn is not None and any(
            "EventData" in str(hint) for hint in inspect.signature(event.fn).parameters.values()
        ):
            assert event.trigger_mode != "always_last", event.name


def test_presets_are_listed_with_their_parameters(client: Client) -> None:
    presets = {preset["name"]: preset for preset in client.predict(api_name="/presets")}
    assert {"standard", "image-to-video", "interpolation", "ramp", "extend"} <= set(presets)
    assert presets["ramp"]["parameters"][0]["name"] == "rate"


def test_stop_keeps_the_partial_clip_and_a_reload_finds_it(server: Server, client: Client) -> None:
    gate = server.pipeline.gate = threading.Event()
    kept = session_of(None)
    try:
        running = client.submit(
            *(painting(), "sky", 7, 1.5, "ddim", 0, 8, True), session=kept, api_name="/generate"
        )
        until = time.monotonic() + 120
        while not (outputs := running.outputs()) and time.monotonic() < until:
            time.sleep(0.05)
        kept = outputs[-1][-1]
        while not server.studio.jobs.get(kept["job"]).levels and time.monotonic() < until:
            time.sleep(0.05)  # of what is stopped before it begins, nothing is kept
        client.predict(kept, api_name="/stop")
        gate.set()
        result = running.result(timeout=180)
    finally:
        server.pipeline.gate = None
        gate.set()
    strip = next(part for part in result if isinstance(part, dict) and "sheet" in part)
    assert strip["status"] == "stopped" and strip["step"] <= 1
    clip = clip_of(result)
    assert len(read_video(clip["video"]).frames) == FRAMES
    assert json.loads(Path(clip["recipe"]).read_text())["stopped_after_step"] == strip["step"]
    snapshot = server.studio.jobs.get(kept["job"])
    assert snapshot is not None and snapshot.status is Status.STOPPED
    assert server.studio.outputs.find(kept["session"], kept["job"]) == snapshot.result


def test_two_sessions_at_once_get_their_own(client: Client) -> None:
    alone = [clip_of(generate(client, seed=seed)) for seed in (1, 2)]
    jobs = [
        client.submit(painting(), "sky", seed, 1.5, "ddim", 0, 8, True, api_name="/generate")
        for seed in (1, 2)
    ]
    for one, job in zip(alone, jobs, strict=True):
        together = clip_of(job.result(timeout=180))
        assert Path(together["video"]).read_bytes() == Path(one["video"]).read_bytes()


@pytest.mark.parametrize(
    "kept", [None, [], "x", {"session": "../..", "job": "x"}, {"session": 5}, {"job": "a" * 22}]
)
def test_a_session_is_a_name_of_our_own_or_new(kept: Any) -> None:
    session = session_of(kept)
    assert len(session["session"]) == 22 and session["job"] is None


# ── Editing, without a server ────────────────────────────────────────────────────────────────


def preset(name: str, frames: int = 8, steps: int = 6, **params: Any) -> EditorValue:
    request = PresetRequest(name=name, params=params, frames=frames, steps=steps)
    return editing.with_preset(None, request, 16)


@pytest.mark.parametrize("name", list(editing.PRESETS))
def test_every_preset_can_be_picked_and_resized(name: str) -> None:
    editor = preset(name)
    expected = Timeline.preset(name, frames=8, steps=6)
    assert editor.timeline() == expected and editing.is_preset(editor, 16)
    assert editing.steps_of(editor, 16) == 6
    bigger = editing.with_size(editor, SizeRequest(frames=12, steps=9), 16)
    assert bigger.timeline() == Timeline.preset(name, frames=12, steps=9)
    json.dumps(editing.picker_value(bigger, 16), allow_nan=False)


def test_steps_that_are_of_a_window_or_frame_are_called_so() -> None:
    words = {
        "standard": "Steps",
        "image-to-video": "Steps per frame",  # longer than the window: made coarse to fine
        "extend": "Steps per window",
        "hierarchical": "Steps per level",
        "resample": "Steps per way down",
        "autoregressive": "Steps per frame",
    }
    for name, said in words.items():
        editor = preset(name, frames=40)
        assert editing.steps_words(editor, 16) == said
        assert editing.steps_of(editor, 16) == 6 and (editor.steps > 6) == (said != "Steps")
    painted = preset("extend", frames=40)
    painted.levels[3][39] = 123  # now the number is that of the rows
    assert editing.steps_words(painted, 16) == "Steps"
    assert editing.steps_of(painted, 16) == painted.steps


@pytest.mark.parametrize("name", ["extend", "autoregressive", "resample", "standard"])
def test_a_painted_cell_does_not_multiply_the_steps_of_the_next_preset(name: str) -> None:
    editor = preset(name, frames=24, steps=30)
    editor.levels[3][20] = 123
    editor = editor.model_copy(update={"windows": None})  # as the canvas does
    box = editing.steps_of(editor, 16)  # all rows, now
    steps = editing.steps_for_preset(editor, box, 16)
    assert preset(name, frames=24, steps=steps).steps == box
    assert editing.steps_for_preset(editor, 12, 16) == 12  # what somebody asks for
    longer = editing.with_size(editor, SizeRequest(frames=24, steps=2 * box), 16)
    assert editing.preset_steps(longer, 16) == 60


def test_a_painted_timeline_is_resampled_not_rebuilt() -> None:
    editor = preset("image-to-video")
    editor.levels[3][4] = 123
    smaller = editing.with_size(editor, SizeRequest(frames=6, steps=5), 16)
    assert not editing.is_preset(smaller, 16)
    assert smaller.timeline() == editor.timeline().resampled(6, 5)


def test_held_frames_stay_held_at_another_size() -> None:
    editor = preset("image-to-video", frames=8)
    held = editor.model_copy(update={"sources": ["keyframe", *["hold"] * 7]})
    longer = editing.with_size(held, SizeRequest(frames=16, steps=6), 16)
    assert longer.sources == ["keyframe", *["hold"] * 15]
    ramp = preset("ramp", frames=8)  # whose frames the preset itself holds
    assert editing.is_preset(ramp, 16)
    assert not editing.is_preset(ramp.model_copy(update={"sources": None}), 16)


def test_a_formula_is_rebuilt_at_another_size() -> None:
    request = FormulaRequest(formula="min(0.2*i*t, t)", frames=8, steps=6)
    editor = editing.with_formula(preset("standard"), request)
    bigger = editing.with_size(editor, SizeRequest(frames=12, steps=9), 16)
    assert bigger.timeline() == Timeline.formula("min(0.2*i*t, t)", frames=12, steps=9)


def test_pictures_move_with_the_frames_that_want_them() -> None:
    editor = preset("interpolation")
    for _ in range(2):
        editor = editing.with_picture(editor, gr.FileData(path="a.png"))
    assert [keyframe.frame for keyframe in editor.keyframes] == [0, 7]
    longer = editing.with_size(editor, SizeRequest(frames=16, steps=6), 16)
    assert [keyframe.frame for keyframe in longer.keyframes] == [0, 15]
    longer.levels[2][3] = 5  # painted
    shorter = editing.with_size(longer, SizeRequest(frames=8, steps=6), 16)
    assert [keyframe.frame for keyframe in shorter.keyframes] == [0, 7]


def test_the_page_is_made_of_plain_values(server: Server) -> None:
    """Gradio copies it for every visit, and takes a constructor's argument for an event where the
    script has its name in quotes: what came then could not be copied, with noise on the terminal.
    """
    config = copy.deepcopy(server.demo.get_config_file())
    assert len(config["components"]) > 20

    def values(of: Any) -> int:
        inside = of.values() if isinstance(of, dict) else of
        return sum(map(values, inside)) if isinstance(of, dict | list) else 1

    # gradio's page copies every one of them several times as it opens: tables are text
    most = max(config["components"], key=lambda component: values(component["props"]))
    assert values(most["props"]) < 1000, most["props"].get("elem_id")
