"""The flags, and a server that is there, says what is wrong, and ends when told to."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest

import app

ROOT = Path(app.__file__).parent


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--port", "99999"], "'99999' is not a port"),
        (["--port", "abc"], "'abc' is not a port"),
        (["--device", "gpu;rm"], "'gpu;rm' is not a device"),
        (["--quota", "0"], "'0' is no room for runs"),
        (["--quota", "nan"], "'nan' is no room for runs"),
        (["--minutes", "0"], "'0' is no time for a run"),
        (["--minutes", "long"], "'long' is no time for a run"),
        (["--hots"], "unrecognized arguments"),
        (["--host", " "], "--host is empty"),
        (["--models", "no/such/folder"], "--models: no/such/folder is not a folder here"),
    ],
)
def test_bad_flags_end_with_a_message(
    arguments: list[str], says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        app.settings(arguments)
    assert ended.value.code == 2
    said = capsys.readouterr().err
    assert says in said and "Traceback" not in said


def test_flags_come_before_the_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for variable, _ in app.ENVIRONMENT.values():
        monkeypatch.delenv(variable, raising=False)
    assert (app.settings([]).host, app.settings([]).port) == ("127.0.0.1", None)
    monkeypatch.setenv("GRADIO_SERVER_NAME", "0.0.0.0")
    monkeypatch.setenv("GRADIO_SERVER_PORT", "7000")
    assert (app.settings([]).host, app.settings([]).port) == ("0.0.0.0", 7000)
    chosen = app.settings(["--host", "::1", "--port", "7001"])
    assert (chosen.host, chosen.port) == ("::1", 7001)
    monkeypatch.setenv("FVDM_OUTPUTS", "/data/outputs")
    monkeypatch.setenv("FVDM_ALLOW_HOST", "a.example b.example")
    monkeypatch.setenv("FVDM_MODELS", str(tmp_path))
    chosen = app.settings(["--device", "cpu"])
    assert chosen.models == tmp_path and chosen.model is None
    assert chosen.outputs == Path("/data/outputs") and chosen.device == "cpu"
    assert chosen.allow_host == ["a.example", "b.example"]


@pytest.mark.parametrize(
    ("variable", "value", "says"),
    [
        ("GRADIO_SERVER_PORT", "many", "GRADIO_SERVER_PORT: 'many' is not a port"),
        ("FVDM_DEVICE", "gpu", "FVDM_DEVICE: 'gpu' is not a device"),
        ("GRADIO_SHARE", "perhaps", "GRADIO_SHARE: 'perhaps' is neither true nor false"),
    ],
)
def test_a_bad_variable_is_named(
    variable: str,
    value: str,
    says: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv(variable, value)
    with pytest.raises(SystemExit):
        app.settings([])
    assert says in capsys.readouterr().err


def test_a_wrong_name_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path))
    assert app.main(["--name", "{user}", "--outputs", str(tmp_path / "outputs")]) == 2
    assert "--name: the pattern '{user}' has the field {user}; fields are {date}" in (
        capsys.readouterr().err
    )
    assert not (tmp_path / "outputs").exists()


def test_runs_are_kept_where_and_as_they_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in ("FVDM_OUTPUTS", "FVDM_NAME", "FVDM_QUOTA", "FVDM_MINUTES"):
        monkeypatch.delenv(variable, raising=False)
    plain = app.settings([])
    assert (plain.outputs, plain.name, plain.quota) == (
        Path("outputs"),
        "{date}-{time}-{label}-{seed}",
        4.0,
    )
    monkeypatch.setenv("FVDM_OUTPUTS", "clips")
    monkeypatch.setenv("FVDM_NAME", "{label} {seed}")
    monkeypatch.setenv("FVDM_QUOTA", "0.5")
    chosen = app.settings(["--name", "{seed}"])
    assert (chosen.outputs, chosen.name, chosen.quota) == (Path("clips"), "{seed}", 0.5)
    monkeypatch.setenv("FVDM_MINUTES", "20")
    assert plain.minutes is None and app.settings([]).minutes == 20
    monkeypatch.setenv("SPACE_ID", "somebody/studio")
    assert app.settings([]).minutes == 20
    monkeypatch.delenv("FVDM_MINUTES")
    assert app.settings([]).minutes == app.ON_A_SPACE
    monkeypatch.setenv("FVDM_QUOTA", "lots")
    with pytest.raises(SystemExit):
        app.settings([])


def test_the_page_is_up_without_a_model_and_ends_on_sigterm(tmp_path: Path) -> None:
    port = free_port()
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    environment.pop("GRADIO_TEMP_DIR", None)
    process = subprocess.Popen(
        [sys.executable, "app.py", "--port", str(port), "--model", str(tmp_path)]
        + ["--outputs", str(tmp_path / "outputs")],
        cwd=ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        until = time.monotonic() + 240
        page = None
        while page is None and time.monotonic() < until and process.poll() is None:
            try:
                page = httpx.get(f"http://127.0.0.1:{port}/", timeout=300)
            except httpx.TransportError:
                time.sleep(0.2)
        assert page is not None and page.status_code == 200 and "FVDM Studio" in page.text
        assert (tmp_path / "outputs" / "uploads").is_dir()  # beside the runs, not in /tmp
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=300)
        assert process.returncode == 0
        assert process.stdout is not None and "Traceback" not in process.stdout.read()
    finally:
        process.kill()
        process.wait()


def test_a_port_in_use_is_said(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        ended = subprocess.run(
            [sys.executable, "app.py", "--port", port, "--outputs", str(tmp_path / "outputs")],
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=300,
        )
    assert ended.returncode == 2 and f"cannot listen on 127.0.0.1:{port}" in ended.stderr
    assert "Traceback" not in ended.stderr
