"""The guard lets our page and programs in, and other sites and huge bodies out."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anyio
import pytest
from fake import FakePipeline, example_pictures, on_its_own_loop
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from starlette.testclient import TestClient

from ui.guard import UPLOADS, Guard
from ui.outputs import Outputs
from ui.room import FILE_COST
from ui.saved import home_name, new_name
from ui.service import Studio
from ui.studio import build_studio, launch_options
from ui.unread import Unread


async def echo(request: Request) -> PlainTextResponse:
    return PlainTextResponse(str(len(await request.body())))


def client(**options: Any) -> TestClient:
    paths = ("/", UPLOADS, "/gradio_api/file={path:path}", "/a/gradio_api/file/{path:path}")
    routes = [Route(path, echo, methods=["GET", "POST"]) for path in paths]
    app = Starlette(routes=routes, middleware=[Middleware(Guard, max_body=100, **options)])
    return TestClient(app, base_url="http://127.0.0.1:7860")


@pytest.fixture
def demo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A page that is not launched, with two examples among its uploads."""
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path / "uploads"))
    examples = example_pictures(tmp_path / "examples")
    demo = build_studio(FakePipeline, outputs=tmp_path / "outputs", examples=examples)
    yield demo
    demo.studio.jobs.close()  # type: ignore[attr-defined]


def guarded(demo: Any) -> TestClient:
    """What the guard of a page lets through."""
    (guard,) = launch_options(demo)["app_kwargs"]["middleware"]
    return client(**guard.kwargs)


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 200),
        ({"Origin": "http://127.0.0.1:7860"}, 200),
        ({"Origin": "http://127.0.0.1:9999"}, 403),
        ({"Origin": "https://evil.example"}, 403),
        ({"Origin": "https://127.0.0.1.evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Origin": "http://["}, 403),
        ({"Origin": ""}, 403),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Origin": "https://a.example", "X-Forwarded-Host": "a.example"}, 200),
    ],
)
def test_writes_come_from_our_own_page_or_from_programs(headers: dict, status: int) -> None:
    assert client().post("/", content=b"x", headers=headers).status_code == status
    read = status if "Origin" in headers else 200  # a link elsewhere leads here, and names none
    assert client().get("/", headers=headers).status_code == read


@pytest.mark.parametrize("path", ["/gradio_api/file=/x/a.html", "/a/gradio_api/file/x/a.svg"])
def test_what_visitors_sent_runs_nothing_in_the_browsers_of_others(path: str) -> None:
    answer = client().get(path)
    assert answer.status_code == 200
    assert answer.headers["content-security-policy"].startswith("sandbox; default-src 'none'")
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "content-security-policy" not in client().get("/").headers


@pytest.mark.parametrize("address", ["http://a.example/x", "HTTPS://a.example/x", " http://a/x"])
def test_other_servers_are_not_asked_for_files(address: str) -> None:
    assert client().get(f"/gradio_api/file={address}").status_code == 404
    assert client().get(f"/a/gradio_api/file/{address}").status_code == 404


def test_files_that_are_not_for_visitors_are_not_there() -> None:
    ours = client(serves=lambda path: path == "/runs/clip.mp4")
    for route in ("/gradio_api/file=", "/a/gradio_api/file/"):
        assert ours.get(f"{route}/runs/clip.mp4").status_code == 200
        for path in ("/runs/.env", "/runs/%2Eenv", "%2Fruns/clip.mp4/x"):
            assert ours.get(route + path).status_code == 404
            assert ours.head(route + path).status_code == 404


@pytest.mark.parametrize("uploads", ["uploads", "../elsewhere"])
def test_of_the_outputs_only_uploads_and_files_of_runs_are_served(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, uploads: str
) -> None:
    """`--outputs .` may be the folder of the program."""
    root = tmp_path / "outputs"
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(root / uploads))
    studio = Studio(FakePipeline, Outputs(root), None)
    home, job = home_name(new_name()), new_name()
    run = f"{home}/sky-7.{job}"
    shown = ("clip.mp4", "clip.gif", "recipe.json", "thumb.jpg", "frames/0001.png")
    served = [f"{root}/{run}/{file}" for file in shown]
    served += [f"{root}/{uploads}/abc/a.png", f"{root}/x/../{run}/clip.mp4", "/etc/hosts"]
    hidden = [
        *(".env", "app.py", "costs.json", f".unfinished-{job}/clip.mp4", f"{home}/.{job}/clip.mp4"),
        *(f"{run}/about.json", f"{run}/.env", f"{run}/frames/../../../.env", f"{run}/frames"),
        *(f"{home}/clip.mp4", f"{home}/{job}/clip.mp4", f"a/sky-7.{job}/clip.mp4", f"{run}/x\0"),
        *("uploads/../.env", "uploadsx/a.png", "", f"{run}/frames/1.png/a", "a" * 5000),
    ]
    for path in served:
        assert studio.serves(path), path
    for path in hidden:
        assert not studio.serves(f"{root}/{path}"), path
    monkeypatch.chdir(root)
    assert not studio.serves(".env") and not studio.serves("../outputs/.env")
    (tmp_path / "link").symlink_to(root)
    assert not studio.serves(str(tmp_path / "link" / ".env"))
    studio.jobs.close()


def test_a_body_that_does_not_arrive_is_given_up_and_forgotten() -> None:
    guard = Guard(echo, slowest=0.05, max_bodies=150)  # type: ignore[arg-type]
    scope = {"type": "http", "method": "POST", "path": "/", "headers": [(b"host", b"localhost")]}

    async def statuses(parts: list[bytes]) -> list[int]:
        sent: list[int] = []

        async def receive() -> dict[str, Any]:
            if not parts:
                await anyio.sleep(10)
            return {"type": "http.request", "body": parts.pop(0), "more_body": True}

        async def send(message: Any) -> None:
            sent.append(message.get("status"))

        await guard(scope, receive, send)
        return sent

    assert on_its_own_loop(statuses([b"x" * 60]))[0] == 408 and guard.arriving == 0
    assert on_its_own_loop(statuses([b"x" * 60, b"x" * 91]))[0] == 503 and guard.arriving == 0


def test_a_page_elsewhere_is_not_let_in_by_a_header_of_its_own() -> None:
    """It may send X-Forwarded-Host, if the browser's question beforehand is answered."""
    local = client(hosts=["studio.example"])
    evil = {"Origin": "https://evil.example", "X-Forwarded-Host": "evil.example"}
    assert local.post("/", content=b"x", headers=evil).status_code == 403
    asks = {"Origin": "https://evil.example", "Access-Control-Request-Headers": "x-forwarded-host"}
    for ours in (local, client()):
        assert ours.options("/", headers=asks).status_code == 403
    proxied = {"Origin": "https://studio.example", "X-Forwarded-Host": "studio.example"}
    assert local.post("/", content=b"x", headers=proxied).status_code == 200


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("127.0.0.1:7860", 200),
        ("localhost:7860", 200),
        ("LOCALHOST", 200),
        ("studio.localhost:80", 200),
        ("127.8.9.10", 200),
        ("[::1]:7860", 200),
        ("studio.example:7860", 200),
        ("evil.example:7860", 421),
        ("127.0.0.1.evil.example", 421),
        ("localhost.evil.example", 421),
        ("192.168.1.7:7860", 421),
        ("0.0.0.0:7860", 421),
        ("[::1", 421),
        ("", 421),
    ],
)
def test_a_name_that_somebody_points_at_this_machine_is_not_served(host: str, status: int) -> None:
    ours = client(hosts=["Studio.example"])
    headers = {"Host": host, "Origin": f"http://{host}"} if host else {"Host": host}
    assert ours.get("/", headers=headers).status_code == status
    assert ours.post("/", content=b"x", headers=headers).status_code == status
    forwarded = headers | {"X-Forwarded-Host": "127.0.0.1"}  # which a rebound page can send
    assert ours.get("/", headers=forwarded).status_code == status
    assert client(hosts=None).get("/", headers={"Host": host}).status_code == 200


@pytest.mark.parametrize(
    "path",
    [
        *("process_recording", "deep_link?session_hash=a", "component_server/", "stream/a/close"),
        *("stream/a/1/2/playlist.m3u8", "proxy=a/gradio_api/file=b", "run-history/connect"),
        *("run-history/records/a/b/assets/c", "vibe-edit/", "vibe-code", "vibe-starter-queries"),
        *("undo-vibe-edit/", "profiling/traces", "profiling/clear"),
    ],
)
def test_what_gradio_serves_beside_is_not_there(path: str) -> None:
    for route in (f"/gradio_api/{path}", f"/guide/gradio_api/{path}"):
        assert client().get(route).status_code == client().post(route).status_code == 404
        assert "nothing here" in client().get(route).text
    assert client().get("/stream").text != client().get("/gradio_api/stream").text


def test_bodies_are_bounded_declared_or_not() -> None:
    assert client().post("/", content=b"x" * 100).text == "100"
    declared = client().post("/", content=b"x" * 101)
    assert declared.status_code == 413 and "larger than" in declared.json()["detail"]
    streamed = client().post("/", content=(b"x" * 50 for _ in range(3)))
    assert streamed.status_code == 413


def test_a_full_upload_folder_refuses_uploads_only() -> None:
    full = client(room_for_upload=lambda: False)
    refused = full.post(UPLOADS, files={"files": b"abc"})
    assert refused.status_code == 507 and "full" in refused.json()["detail"]
    assert full.post("/", content=b"x").status_code == 200
    assert client().post(UPLOADS, files={"files": b"x" * 200}).status_code == 200


def test_only_uploads_may_be_large_and_say_how_large() -> None:
    assert client().post("/", files={"files": b"x" * 200}).status_code == 413
    ours = client(max_upload=400)
    assert ours.post(UPLOADS, files={"files": b"x" * 200}).status_code == 200
    assert ours.post(UPLOADS, files={"files": b"x" * 400}).status_code == 413
    unsaid = [b"x" * 50] * 3
    assert ours.post(UPLOADS, content=iter(unsaid)).status_code == 413
    lie = {"Content-Length": "10", "Transfer-Encoding": "chunked"}
    assert ours.post(UPLOADS, content=iter(unsaid), headers=lie).status_code == 413


def test_the_page_tells_its_guard_all_that_it_asks(
    demo: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ui.studio.MAX_UPLOAD", 300)
    monkeypatch.setattr("ui.studio.MAX_BODY", 100)
    came: list[Unread] = []
    monkeypatch.setattr(Unread, "drop", lambda self: came.append(self))
    page, one = guarded(demo), ("files", ("a.png", b"x" * 100))
    assert page.post(UPLOADS, files=[one]).status_code == 200
    both = page.post(UPLOADS, files=[one, one])
    assert both.status_code == 413 and "upload is too large" in both.json()["detail"]
    assert page.post("/", content=b"x").status_code == 200 and len(came) == 1
    assert page.get("/", headers={"Host": "evil.example"}).status_code == 421
    assert page.get(f"/gradio_api/file={demo.studio.outputs.root}/.env").status_code == 404


def test_uploads_make_room_for_new_ones_and_the_examples_stay(
    demo: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ui.service.UPLOAD_QUOTA", 4 * FILE_COST)
    monkeypatch.setattr("ui.service.TRIM_EVERY", 0.0)
    examples = [Path(example.file.path) for example in demo.studio.examples.examples]
    sent = [demo.studio.uploads / f"{number}.png" for number in range(4)]
    for age, path in enumerate((*examples, *sent)):
        path.touch()
        os.utime(path, (1000 + age, 1000 + age))
    page = guarded(demo)
    assert page.post(UPLOADS, files={"files": b"x"}).status_code == 200
    assert all(path.is_file() for path in examples)
    assert [path.is_file() for path in sent] == [False, False, False, True]
    monkeypatch.setattr("ui.service.trim", lambda folder, quota, spared: quota + 1)
    assert page.post(UPLOADS, files={"files": b"x"}).status_code == 507
