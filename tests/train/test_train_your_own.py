"""From a folder of clips to a model, as docs/train-your-own.md says it, on rendered MP4 files."""

from __future__ import annotations

import os
import re
import shlex
from pathlib import Path

import numpy as np
import pytest
import torch
from undisturbed import undisturbed

from fvdm_core.media import write_png, write_video
from fvdm_core.model_folder import load_model_folder
from fvdm_core.pipeline import Pipeline
from fvdm_core.timeline import Timeline
from train.__main__ import main
from train.options import parse, training_command
from train.prepare import parse as parse_prepare
from train.worlds import render

QUICK = ["--steps", "2", "--threads", "1"]


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two labels in UCF101's layout, a picture, and a file that is no video."""
    root = tmp_path_factory.mktemp("data") / "my clips"
    for label in ("sky", "faces"):
        (root / label).mkdir(parents=True)
        for seed in range(2):
            write_video(root / label / f"v_{seed}.mp4", render(label, seed, 10, 32).video, 8)
    write_png(root / "sky" / "blue.png", np.full((20, 30, 3), (90, 140, 220), np.uint8))
    (root / "sky" / "torn.mp4").write_text("no video")
    return root


def test_prepare_train_open(clips, tmp_path, tiny_toml, finished_run, capsys, own_signals):
    """And `--init` takes the weights, those of labels by their names."""
    out = tmp_path / "run"
    options = ["--labels", "folders", "--pictures", "stills", "--hop", "3", "--fps", "12"]
    assert main(["prepare", str(clips), str(tiny_toml), *options, "--out", str(out)]) == 0
    said = capsys.readouterr().out
    assert "12 clips from 4 videos, pictures: 1, labels: 2; 1 skipped: 1 not a video" in said
    assert "1 not a video:\n  torn.mp4 " in said

    command = shlex.split(said.splitlines()[-1])
    assert command[:3] == ["python", "-m", "train"]
    raw = (out / "clips.raw").stat().st_mtime_ns
    init = finished_run / "model"
    assert main([*command[3:], *QUICK, "--init", str(init)]) == 0
    assert (out / "clips.raw").stat().st_mtime_ns == raw  # nothing was read a second time

    pipe = Pipeline.from_pretrained(str(out / "model"))
    assert (pipe.card.name, pipe.card.labels, pipe.card.fps) == ("Tiny", ("faces", "sky"), 12)
    clip = pipe(Timeline.preset("standard", frames=4, steps=3), label="sky", seed=0)
    assert clip.frames.shape == (4, 16, 16, 3)

    before, after = (
        load_model_folder(init).transformer,
        load_model_folder(out / "model").transformer,
    )
    name, labels = "final_layer.linear.weight", "y_embedder.embedding_table.weight"
    old, new = before.state_dict(), after.state_dict()
    assert torch.allclose(old[name], new[name], atol=0.05)
    assert torch.allclose(old[labels][[1, 0, 2]], new[labels], atol=0.05)  # were sky, faces
    assert not torch.allclose(old[labels][0], new[labels][0], atol=0.05)


def begin(*words: str) -> int:
    """The program; the run's folder is free again behind it."""
    with undisturbed():
        return main([*words])


def test_a_start_that_is_refused_does_not_decide_what_the_folder_is_of(
    clips, tmp_path, tiny_toml, capsys
):
    quick = tmp_path / "quick.toml"
    quick.write_text(re.sub(r"(?m)^steps = .*", "steps = 1", tiny_toml.read_text()))
    out, labels = ["--out", str(tmp_path / "run")], ["--labels", "folders"]
    assert begin(str(quick), "--data", str(tmp_path / "nowhere"), *out) == 1
    assert begin("prepare", str(clips), str(quick), *labels, *out) == 0
    capsys.readouterr()
    right = [str(quick), "--data", str(clips), *out, *QUICK]
    assert begin(*right) == 1
    said = capsys.readouterr().err
    assert "made from other data (labels differ); give the options that it was made with" in said
    assert begin(*right, *labels) == 0
    assert begin(*right, *labels, "--seed", "9") == 1
    assert "holds a run with another seed" in capsys.readouterr().err


def test_the_command_that_prepare_prints_means_the_same(tmp_path):
    words = [
        "my clips",
        "tiny.toml",
        "--size",
        "32",
        "--hop",
        "4",
        "--pictures",
        "frames",
        "--out",
        "a b",
    ]
    prepared = parse_prepare([*words, "--labels", "my labels.csv", "--max-clips", "9"])
    trained = parse(shlex.split(training_command(prepared))[3:])
    for name, value in vars(prepared).items():
        assert getattr(trained, name) == value, name


def test_names_that_are_no_text_are_printed_all_the_same(tmp_path, capsys, own_signals):
    (tmp_path / "data").mkdir()
    write_video(tmp_path / "data" / "good.mp4", render("sky", 0, 6, 32).video, 8)
    (tmp_path / "data" / os.fsdecode(b"bad\xff.mp4")).write_text("no video")
    options = ["--size", "16", "--frames", "4", "--out", str(tmp_path / "out")]
    assert main(["prepare", str(tmp_path / "data"), *options]) == 0
    assert r"bad\udcff.mp4" in capsys.readouterr().out


def test_a_folder_that_cannot_be_prepared_is_one_message(tmp_path, capsys, own_signals):
    out = ["--out", str(tmp_path / "run")]
    assert main(["prepare", str(tmp_path / "nowhere"), *out]) == 1
    assert "train prepare: there is no folder" in capsys.readouterr().err
    (tmp_path / "torn.mp4").write_text("no video")
    assert main(["prepare", str(tmp_path), *out, "--hop", "-1"]) == 1
    assert "data.hop is -1" in capsys.readouterr().err
    assert main(["prepare", str(tmp_path), *out]) == 1
    assert "none of the 1 files below" in capsys.readouterr().err
