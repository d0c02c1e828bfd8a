"""A run's metrics as a picture."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import pytest

from train.curves import main, read

NO_RATE = '{"stage": "transformer", "step": 1, "loss": 1}'


def row(step: int, loss: float, stage: str = "transformer") -> str:
    return json.dumps({"stage": stage, "step": step, "loss": loss, "lr": 1e-3})


def test_a_stopped_run_s_repeated_steps_count_once(tmp_path: Path) -> None:
    file = tmp_path / "metrics.jsonl"
    lines = ['{"event": "start"}', row(20, 3.0), row(40, 2.0), row(20, 3.5), row(40, 2.5)]
    file.write_text("\n".join([*lines, row(10, 1.0, "autoencoder")]))
    assert read(file) == {
        "transformer": [(20, 3.5, 1e-3), (40, 2.5, 1e-3)],
        "autoencoder": [(10, 1.0, 1e-3)],
    }


def test_a_torn_line_is_passed_over(tmp_path: Path) -> None:
    file = tmp_path / "metrics.jsonl"
    file.write_text("\n".join([row(20, 3.0), row(40, 2.0)[:-9], row(60, 1.0)]))
    assert read(file) == {"transformer": [(20, 3.0, 1e-3), (60, 1.0, 1e-3)]}


def test_the_program_draws_a_run(finished_run: Path, tmp_path: Path) -> None:
    assert main([str(finished_run), str(tmp_path / "run.png")]) == 0
    picture = cv2.imread(str(tmp_path / "run.png"))
    assert picture is not None and picture.std() > 5


@pytest.mark.parametrize(
    ("text", "says"),
    [("[1", "no step"), ("[1]\n", "no step"), ("{}", "no step of a training"), (NO_RATE, "line 1")],
)
def test_what_is_no_record_of_a_run_is_said(
    tmp_path: Path, capsys: pytest.CaptureFixture, text: str, says: str
) -> None:
    (tmp_path / "metrics.jsonl").write_text(text)
    assert main([str(tmp_path), str(tmp_path / "run.png")]) == 1
    assert says in capsys.readouterr().err
    assert not (tmp_path / "run.png").exists()
