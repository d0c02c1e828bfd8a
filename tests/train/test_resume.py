"""`python -m train`, ended by SIGTERM and by kill -9, equals an uninterrupted run bit for bit."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from undisturbed import undisturbed

from fvdm_core.autoencoder import Autoencoder
from fvdm_core.defaults import SamplingDefaults
from fvdm_core.model import VideoDiT
from fvdm_core.model_folder import ModelFolder, load_model_folder
from fvdm_core.noise import frame_noise
from fvdm_core.pipeline import Pipeline
from fvdm_core.timeline import Timeline
from train import sheets as sheets_module
from train.__main__ import LABELS, _begun_labels, _check_transformer, _open, main
from train.config import load_config
from train.export import model_config
from train.stages import start_from
from train.worlds import UNSEEN, render

ROOT = Path(__file__).resolve().parents[2]
PATIENCE = 900.0  # seconds; a busy machine takes long to import torch


def start(config: Path, out: Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "train", str(config), "--out", str(out), "--threads", "1"]
    return subprocess.Popen(
        command,
        cwd=ROOT,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )


def states(out: Path) -> list[int]:
    """The steps of which the transformer's state is saved."""
    return sorted(int(path.stem.rpartition("-")[2]) for path in out.glob("transformer-*.pt"))


def wait_for_state(process: subprocess.Popen[str], out: Path, step: int) -> None:
    deadline = time.monotonic() + PATIENCE
    while not any(saved >= step for saved in states(out)):
        assert process.poll() is None, "training ended before it could be stopped"
        assert time.monotonic() < deadline, "training does not get on"
        time.sleep(0.005)


def test_a_run_stopped_twice_equals_an_uninterrupted_one(tmp_path, tiny_toml, finished_run):
    first = start(tiny_toml, tmp_path)
    wait_for_state(first, tmp_path, 40)
    first.terminate()
    said, _ = first.communicate(timeout=PATIENCE)
    assert first.returncode == 0
    (newest,) = states(tmp_path)[-1:]
    assert f"transformer stopped at step {newest} of 240; its state is saved" in said
    assert newest < 240 and "goes on from there" in said

    second = start(tiny_toml, tmp_path)
    wait_for_state(second, tmp_path, newest + 40)
    second.kill()
    second.communicate(timeout=PATIENCE)
    assert second.returncode == -9 and states(tmp_path)[-1] < 240

    third = start(tiny_toml, tmp_path)
    third.communicate(timeout=PATIENCE)
    assert third.returncode == 0
    for name in ("transformer", "autoencoder"):
        file = f"model/{name}.safetensors"
        assert (tmp_path / file).read_bytes() == (finished_run / file).read_bytes(), name

    rows = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    whole = {
        row["step"]: row["loss"]
        for row in map(json.loads, (finished_run / "metrics.jsonl").read_text().splitlines())
        if row.get("stage") == "transformer"
    }
    last = [row for row in rows if row.get("stage") == "transformer"][-1]
    assert last["step"] == 240 and last["loss"] == whole[240]


def test_a_finished_run_has_nothing_left_to_do(finished_run, tiny_toml, own_signals):
    before = (finished_run / "model" / "transformer.safetensors").read_bytes()
    assert main([str(tiny_toml), "--out", str(finished_run), "--threads", "1"]) == 0
    assert (finished_run / "model" / "transformer.safetensors").read_bytes() == before


def test_an_autoencoder_does_not_learn_on_under_a_transformer(
    finished_run, tiny_toml, tmp_path, capsys, own_signals
):
    def given(steps: int) -> int:
        config = tmp_path / "other.toml"
        config.write_text(tiny_toml.read_text().replace("steps = 40", f"steps = {steps}"))
        return main([str(config), "--out", str(run), "--threads", "1"])

    run = tmp_path / "run"
    shutil.copytree(finished_run, run)
    files = [run / "model" / "autoencoder.safetensors", *(run / "latents").iterdir()]
    before = [file.read_bytes() for file in files]
    assert given(60) == 1
    said = capsys.readouterr().err
    assert "has learned from the autoencoder as it is, after 40 steps; delete transformer-*" in said
    assert "set autoencoder_optim.steps back to 40" in said
    assert not list(run.glob("autoencoder-00000060.*"))
    assert [file.read_bytes() for file in files] == before


def test_the_model_folder_opens_and_makes_a_clip(finished_run):
    pipe = Pipeline.from_pretrained(str(finished_run / "model"))
    assert (pipe.card.name, pipe.card.labels, pipe.card.fps) == ("Tiny", ("sky", "faces"), 8.0)
    assert (pipe.num_frames, pipe.image_size) == (4, (16, 16))
    picture = np.full((16, 16, 3), 120, np.uint8)
    timeline = Timeline.preset("image-to-video", frames=4, steps=5)
    clip = pipe(timeline, keyframes={0: picture}, label="faces", seed=1)
    assert clip.frames.shape == (4, 16, 16, 3) and clip.frames.dtype == np.uint8


def test_a_folder_without_videos_is_one_message(tmp_path, tiny_toml, capsys, own_signals):
    (tmp_path / "empty").mkdir()
    flags = ["--data", str(tmp_path / "empty"), "--out", str(tmp_path / "run")]
    assert main([str(tiny_toml), *flags]) == 1
    assert "there is no video below" in capsys.readouterr().err


def test_init_goes_on_from_the_weights_of_a_model(tmp_path, tiny_toml, finished_run, own_signals):
    """With steps too small to move anything, the result is the model that it began from."""
    still = tmp_path / "still.toml"
    still.write_text(re.sub(r"(?m)^(lr|steps) = .*", "", tiny_toml.read_text()))
    text = still.read_text()
    for section in ("[autoencoder_optim]", "[optim]"):
        text = text.replace(section, f"{section}\nlr = 1e-9\nsteps = 1")
    still.write_text(text)
    init = finished_run / "model"
    flags = ["--init", str(init), "--seed", "4", "--threads", "1"]
    assert main([str(still), "--out", str(tmp_path / "run"), *flags]) == 0
    before, after = load_model_folder(init), load_model_folder(tmp_path / "run" / "model")
    for old, new in (
        (before.transformer, after.transformer),
        (before.autoencoder, after.autoencoder),
    ):
        for name, value in old.state_dict().items():
            if not name.startswith("latent_"):  # the scale is measured anew
                assert torch.allclose(value, new.state_dict()[name], atol=1e-6), name
    noted = json.loads((tmp_path / "run" / "run.json").read_text())
    assert noted["init"] == before.model_hash


def test_labels_of_the_same_name_go_on(tmp_path, tiny_toml, finished_run, own_signals):
    text = re.sub(r"(?m)^(lr|steps) = .*", "", tiny_toml.read_text())
    text = text.replace("sky = 6, faces = 6", "faces = 5, figures = 2, collisions = 5")
    for section in ("[autoencoder_optim]", "[optim]"):
        text = text.replace(section, f"{section}\nlr = 1e-9\nsteps = 1")
    other = tmp_path / "other.toml"
    other.write_text(text)
    init = finished_run / "model"
    flags = ["--init", str(init), "--out", str(tmp_path / "run"), "--threads", "1"]
    assert main([str(other), *flags]) == 0

    before, after = load_model_folder(init), load_model_folder(tmp_path / "run" / "model")
    table = "y_embedder.embedding_table.weight"
    sky, faces, null = before.transformer.state_dict()[table]
    rows = after.transformer.state_dict()[table]
    assert after.config["labels"] == ["faces", "figures", "collisions"]
    assert torch.allclose(rows[0], faces, atol=1e-6) and torch.allclose(rows[3], null, atol=1e-6)
    for new in rows[1:3]:  # names that it did not know begin as no label
        assert torch.allclose(new, null, atol=1e-6)


@pytest.mark.parametrize("names", [(), ("faces",), ("cats", "dogs", "sky")])
def test_without_a_label_a_start_is_what_the_model_was(finished_run, names):
    """Also one that goes on from there with other labels, or from none."""
    folder = load_model_folder(finished_run / "model")
    noise, times = torch.randn(2, 4, 4, 4, 4), torch.randint(1000, (2, 4))

    def begun(start: ModelFolder, *names: str) -> ModelFolder:
        config = replace(start.transformer.config, num_classes=len(names))
        model = VideoDiT(config).eval()
        start_from(model, start.transformer, (LABELS,), _begun_labels(start, names))
        return replace(start, transformer=model, config={"labels": list(names)})

    once = begun(folder, *names)
    twice = begun(once, "new", "sky")
    with torch.no_grad():
        known, *found = (each.transformer(noise, times) for each in (folder, once, twice))
    assert known.abs().mean() > 0.1
    for each in found:
        torch.testing.assert_close(each, known)


def test_init_with_another_autoencoder_takes_the_blocks(
    tmp_path, tiny_toml, finished_run, own_signals
):
    """What reads and writes latents begins from nothing, as these are others; the rest goes on."""
    wider = tmp_path / "wider.toml"
    text = re.sub(r"(?m)^(lr|steps) = .*", "", tiny_toml.read_text())
    for section in ("[autoencoder_optim]", "[optim]"):
        text = text.replace(section, f"{section}\nlr = 1e-9\nsteps = 1")
    wider.write_text(text.replace("widths = [8, 8]", "widths = [8, 16]"))
    init = finished_run / "model"
    flags = ["--init", str(init), "--out", str(tmp_path / "run"), "--threads", "1"]
    assert main([str(wider), *flags]) == 0
    before, after = load_model_folder(init), load_model_folder(tmp_path / "run" / "model")
    fresh = after.transformer.state_dict()
    for name, value in before.transformer.state_dict().items():
        anew = name.startswith(("x_embedder.", "final_layer.linear."))
        assert torch.allclose(value, fresh[name], atol=1e-6) != anew, name


def _detailed(tiny_toml, tmp_path, changes=()):
    """The tiny config for pictures twice as large, of which only the decoder learns."""
    text = tiny_toml.read_text().replace("[data]\nimage_size = 16", "[data]\nimage_size = 32")
    text = text.replace("blocks = 1", "blocks = 1\ndetail = 8")
    text = text.replace("seed = 3", "seed = 3\ndecoder_only = true")
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    path = tmp_path / "detailed.toml"
    path.write_text(text)
    return str(path)


def test_a_decoder_learns_larger_pictures_alone(tmp_path, tiny_toml, finished_run, own_signals):
    """Encoder, latents' scale and transformer are the same to the bit; the pictures get better."""
    init, run = tmp_path / "init", tmp_path / "run"
    shutil.copytree(finished_run / "model", init)
    config = json.loads((init / "config.json").read_text())
    (init / "config.json").write_text(
        json.dumps(
            config
            | {"sampling": {"temporal_scale": 0.25, "guidance_from": 300}, "timesteps": "scalar"}
        )
    )
    flags = ["--init", str(init), "--out", str(run), "--threads", "1"]
    assert main([_detailed(tiny_toml, tmp_path), *flags]) == 0
    before, after = load_model_folder(init), load_model_folder(run / "model")
    # what belongs to the transformer that is kept
    assert after.config["timesteps"] == "scalar"
    assert SamplingDefaults(**after.config["sampling"]) == SamplingDefaults(0.25, 300)
    kept = after.transformer.state_dict()
    assert all(torch.equal(v, kept[k]) for k, v in before.transformer.state_dict().items())
    old, new = before.autoencoder.state_dict(), after.autoencoder.state_dict()
    moved = {name for name in old if not torch.equal(old[name], new[name])}
    assert moved and all(name.startswith("decoder.") for name in moved)
    assert not (run / "latents").exists() and not list(run.glob("transformer-*"))

    unseen = torch.from_numpy(render("sky", UNSEEN, 4, 32).video.copy()).movedim(-1, 1) / 127.5 - 1
    coder = after.autoencoder
    fresh = Autoencoder(coder.config).eval()
    fresh.load_state_dict({**fresh.state_dict(), **old})
    with torch.no_grad():
        errors = [(c.decode(c.encode(unseen)) - unseen).square().mean() for c in (coder, fresh)]
    assert errors[0] < 0.8 * errors[1]
    pipe = Pipeline.from_pretrained(str(run / "model"))
    assert pipe(Timeline.preset("standard", frames=4, steps=2)).frames.shape == (4, 32, 32, 3)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ([("widths = [8, 8]", "widths = [8, 16]")], "its autoencoder has another shape"),
        ([("depth = 2", "depth = 4")], "decoder_only keeps the transformer"),
        ([("sky = 6, faces = 6", "sky = 6, figures = 6")], "or for other labels"),
        ([("[optim]", '[schedule]\nprediction_type = "eps"\n\n[optim]')], "has another schedule"),
        ([("[optim]", '[optim]\nprior = "mixed"')], "or for other labels or another prior"),
        ([("steps = 40", "steps = 0")], "decoder_only needs the model to start from"),
    ],
)
def test_a_decoder_alone_fits_the_rest(
    changes, words, tmp_path, tiny_toml, finished_run, capsys, own_signals
):
    quick = [] if "steps" in changes[0][0] else [("steps = 40", "steps = 1")]
    config = _detailed(tiny_toml, tmp_path, [*changes, *quick])
    flags = ["--init", str(finished_run / "model"), "--out", str(tmp_path / "run")]
    assert main([config, *flags]) == 1
    assert words in capsys.readouterr().err


@pytest.mark.parametrize(
    ("key", "words"),
    [("hidden_size = 48", "has another VideoDiT: blocks"), ("num_heads = 1", "has 2 heads")],
)
def test_init_from_another_shape_is_refused_before_any_work(
    key, words, tmp_path, tiny_toml, finished_run, capsys, own_signals
):
    other = tmp_path / "other.toml"
    other.write_text(re.sub(rf"{key.split()[0]} = \d+", key, tiny_toml.read_text()))
    flags = ["--init", str(finished_run / "model"), "--out", str(tmp_path / "run")]
    assert main([str(other), *flags]) == 1
    assert f"the model to start from {words}" in capsys.readouterr().err
    assert not (tmp_path / "run" / "clips.npy").exists()


def test_init_from_a_model_of_another_schedule_says_what_to_write(
    tmp_path, tiny_toml, finished_run, capsys, own_signals
):
    """Its weights predict something else, and no shape tells."""
    init = tmp_path / "init"
    shutil.copytree(finished_run / "model", init)
    about = json.loads((init / "config.json").read_text())
    flow = {"name": "flow", "num_train_timesteps": 1000, "prediction_type": "flow", "shift": 3.0}
    (init / "config.json").write_text(json.dumps(about | {"schedule": flow}))
    said = 'name = "flow", num_train_timesteps = 1000, prediction_type = "flow", shift = 3.0'
    unshifted = tmp_path / "unshifted.toml"
    half = '\n[schedule]\nname = "flow"\nprediction_type = "flow"\n'
    unshifted.write_text(tiny_toml.read_text() + half)
    for config in (tiny_toml, unshifted):
        out = tmp_path / config.stem
        assert main([str(config), "--init", str(init), "--out", str(out)]) == 1
        assert f"write {said} below [schedule]" in capsys.readouterr().err
        assert not (out / "clips.npy").exists()

    begun = tmp_path / "begun"
    begun.mkdir()
    (begun / "run.json").write_text("{}")  # before this was asked: it is not kept from going on
    _open(load_config(unshifted, {"init": str(init)}), begun)

    right = load_config(tiny_toml, {"schedule": flow})
    _check_transformer(load_model_folder(init), right)
    assert model_config(right, ["sky", "faces"])["schedule"] == flow


def test_init_from_a_published_file_is_refused(tmp_path, tiny_toml, capsys, own_signals):
    """Its latents are Stable Diffusion's: on those of a fresh autoencoder it knows nothing."""
    published = ROOT / "tests" / "data" / "published_fvdm_tiny.pt"
    flags = ["--init", str(published), "--out", str(tmp_path / "run")]
    assert main([str(tiny_toml), *flags]) == 1
    said = capsys.readouterr().err
    assert "works on latents of an autoencoder that it does not hold" in said


def test_the_model_says_with_which_noise_it_was_trained(tmp_path, tiny_toml, own_signals):
    text = tiny_toml.read_text().replace("[optim]\n", '[optim]\nprior = "mixed"\n')
    config = tmp_path / "mixed.toml"
    config.write_text(re.sub(r"(?m)^steps = .*", "steps = 2", text))
    assert main([str(config), "--out", str(tmp_path / "run"), "--threads", "1"]) == 0
    pipe = Pipeline.from_pretrained(str(tmp_path / "run" / "model"))
    assert pipe.card.prior == "mixed"
    plain = Timeline.preset("standard", frames=4, steps=5)
    (said,) = plain.warnings(trained_with=pipe.card.prior)
    assert "trained with mixed noise, not with independent noise" in said
    assert Timeline(plain.levels, prior="mixed").warnings(trained_with=pipe.card.prior) == []


def test_other_rates_do_not_relabel_what_was_trained_before(tmp_path, tiny_toml, capsys):
    def given(steps: int, changes: str) -> int:
        text = re.sub(r"(?m)^steps = .*", "steps = 2", tiny_toml.read_text())
        text = text.replace("p_condition = 0.3", "").replace("[optim]\nsteps = 2", "[optim]")
        config = tmp_path / "run.toml"
        config.write_text(text.replace("[optim]", f"[optim]\nsteps = {steps}\n{changes}"))
        with undisturbed():
            return main([str(config), "--out", str(tmp_path / "run"), "--threads", "1"])

    def timesteps() -> str:
        return json.loads((tmp_path / "run" / "model" / "config.json").read_text())["timesteps"]

    scalar, vectorised = "p_independent = 0.0", "p_independent = 0.5"
    said = []
    for start in ((2, scalar), (2, vectorised), (3, vectorised), (3, scalar), (4, scalar)):
        assert given(*start) == 0
        said.append(timesteps())
    assert said == ["scalar", "scalar", "vectorised", "vectorised", "vectorised"]
    assert given(4, 'prior = "mixed"') == 1
    assert "holds a run with another prior" in capsys.readouterr().err


@pytest.mark.parametrize("share", ["p_independent", "p_staggered", "p_condition"])
def test_a_model_that_saw_no_frame_of_its_own_level_says_so(tiny_toml, share):
    none = {"optim.p_independent": 0.0, "optim.p_condition": 0.0}
    scalar = model_config(load_config(tiny_toml, none), ["sky"])
    assert scalar["timesteps"] == "scalar"
    other = model_config(load_config(tiny_toml, none | {f"optim.{share}": 0.1}), ["sky"])
    assert other["timesteps"] == "vectorised"


def test_sheets_begin_from_the_noise_of_the_training(tmp_path, finished_run, monkeypatch):
    model = load_model_folder(finished_run / "model")
    drawn = []

    def drawing(*arguments, **options):
        drawn.append(options)
        return frame_noise(*arguments, **options)

    monkeypatch.setattr(sheets_module, "frame_noise", drawing)
    coder = (model.transformer, model.autoencoder, model.schedule, (4, 4, 4))
    sheets_module.sample_sheet(tmp_path / "a.png", *coder, "mixed", 2.0)
    assert drawn and all((d["prior"], d["alpha"]) == ("mixed", 2.0) for d in drawn)
    rows = 2 * 2  # labels
    sheet = cv2.imread(str(tmp_path / "a.png")).astype(int)
    assert sheet.shape == (rows * 16, 4 * 16, 3)
    # a few at a time, which changes nothing
    sizes = []
    model.transformer.register_forward_pre_hook(lambda _, given: sizes.append(len(given[0])))
    monkeypatch.setattr(sheets_module, "CLIPS_AT_ONCE", 3)
    sheets_module.sample_sheet(tmp_path / "b.png", *coder, "mixed", 2.0)
    assert set(sizes) == {3, 1}
    assert np.abs(cv2.imread(str(tmp_path / "b.png")) - sheet).max() <= 1
