"""The Hub's own client against a server that answers as the Hub does, and then not at all."""

from __future__ import annotations

import hashlib
import io
import json
import logging
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import torch
from huggingface_hub import constants

from fvdm_core.hub import resolve_autoencoder, resolve_source

COMMIT = "0123456789abcdef0123456789abcdef01234567"
REPO = "some-one/Latte"


class Hub(BaseHTTPRequestHandler):
    """The four questions that a download asks, of one repository."""

    files: dict[str, bytes] = {}
    asked: list[str] = []

    def do_GET(self) -> None:  # noqa: N802
        path = urlsplit(self.path).path
        api = f"/api/models/{REPO}"
        if path in (api, f"{api}/revision/main", f"{api}/revision/v1", f"{api}/revision/{COMMIT}"):
            siblings = [{"rfilename": name, "size": len(data)} for name, data in self.files.items()]
            self.reply({"id": REPO, "sha": COMMIT, "siblings": siblings})
        elif path == f"{api}/tree/{COMMIT}":
            tree = [
                {"type": "file", "path": name, "size": len(data), "oid": etag(data)}
                for name, data in self.files.items()
            ]
            self.reply(tree)
        elif path.startswith(f"/{REPO}/resolve/{COMMIT}/") and path.split("/")[-1] in self.files:
            name = path.split("/")[-1]
            self.asked.append(f"{self.command} {name}")
            data = self.files[name]
            self.send_response(200)
            self.send_header("X-Repo-Commit", COMMIT)
            self.send_header("ETag", f'"{etag(data)}"')
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            if self.command == "GET":
                self.wfile.write(data)
        else:
            self.send_response(404)
            self.send_header("X-Error-Code", "RepoNotFound")
            self.send_header("Content-Length", "0")
            self.end_headers()

    do_HEAD = do_GET  # noqa: N815

    def reply(self, content: object) -> None:
        data = json.dumps(content).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_: object) -> None:
        pass


def etag(data: bytes) -> str:
    return hashlib.sha1(data).hexdigest()


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """The server, which the client takes for the Hub, with a cache of its own."""
    torch.save({"ema": {"w": torch.ones(300_000)}}, tmp_path / "ffs.pt")
    Hub.files = {name: (tmp_path / "ffs.pt").read_bytes() for name in ("ffs.pt", "ucf101.pt")}
    Hub.files |= {"README.md": b"# Latte", "config.json": b"{}"}
    Hub.files |= {"diffusion_pytorch_model.safetensors": b"not read here"}
    Hub.asked = []
    server = ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    address = f"http://127.0.0.1:{server.server_port}"
    files = f"{address}/{{repo_id}}/resolve/{{revision}}/{{filename}}"
    monkeypatch.setattr(constants, "ENDPOINT", address)
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", files)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    yield server
    server.shutdown()
    server.server_close()


def test_a_named_file_comes_once_and_is_there_without_a_network(
    hub: ThreadingHTTPServer, caplog: pytest.LogCaptureFixture
) -> None:
    spellings = (f"{REPO}/ffs.pt", f"{REPO}@v1/ffs.pt", f"{REPO}@{COMMIT}/ffs.pt")
    (path,) = {resolve_source(text) for text in spellings}
    assert path.read_bytes() == Hub.files["ffs.pt"]
    assert [file.name for file in path.parent.iterdir()] == ["ffs.pt"]
    assert {line.split()[1] for line in Hub.asked} == {"ffs.pt"}
    assert Hub.asked.count("GET ffs.pt") == 1
    assert resolve_autoencoder(REPO) == path.parent
    with pytest.raises(ValueError, match=r"^there is no some-one/none/ffs.pt here, and "):
        resolve_source("some-one/none/ffs.pt")

    hub.shutdown()
    hub.server_close()
    with caplog.at_level(logging.WARNING):
        assert {resolve_source(text) for text in spellings} == {path}
    assert "the copy of an earlier download is used" in caplog.text
    assert resolve_autoencoder(REPO) == path.parent
    for absent in (f"{REPO}/ucf101.pt", f"{REPO}@v2/ffs.pt"):
        with pytest.raises(ValueError, match="the Hub cannot be reached"):
            resolve_source(absent)


def test_a_copy_of_one_file_is_not_a_copy_of_the_model(hub: ThreadingHTTPServer) -> None:
    resolve_source(f"{REPO}/ffs.pt")
    hub.shutdown()
    hub.server_close()
    with pytest.raises(ValueError, match="the Hub cannot be reached"):
        resolve_source(REPO)


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_the_download_is_seen_in_a_terminal(
    hub: ThreadingHTTPServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stderr", Terminal())
    resolve_source(f"{REPO}/ffs.pt")
    assert "1.20MB" in sys.stderr.getvalue(), sys.stderr.getvalue()  # on the Hub client's own bar
