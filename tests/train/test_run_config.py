"""A run's config: what it derives, and what it refuses, in words that a person can act on."""

from __future__ import annotations

import math
import os
import re

import pytest
import torch

from fvdm_core.autoencoder import Autoencoder
from fvdm_core.model import VideoDiT
from train.__main__ import main
from train.config import CONFIGS, OptimConfig, build_config, load_config
from train.options import configure, parse, run_folder
from train.run import Run

NETWORK = {"hidden_size": 32, "depth": 2, "num_heads": 2, "patch_size": 2}


def test_sizes_that_follow_from_others_are_filled_in(tiny_toml):
    config = load_config(tiny_toml)
    transformer = config.transformer
    assert (transformer.latent_size, transformer.latent_channels) == (4, 4)
    assert (transformer.num_frames, transformer.num_classes) == (4, 2)


@pytest.mark.parametrize(("name", "tokens"), [("default", 16), ("worlds128", 16), ("detail", 16)])
def test_the_shipped_configs_are_sound(name, tokens):
    config = load_config(name)
    assert set(config.data.worlds) == {"sky", "faces", "collisions", "figures"}
    assert config.noise_schedule().prediction_type == "v"
    transformer = config.transformer
    assert (transformer.latent_size // transformer.patch_size) ** 2 == tokens
    with torch.device("meta"):
        networks = (VideoDiT(transformer), Autoencoder(config.autoencoder))
    weights = sum(p.numel() for network in networks for p in network.parameters())
    assert weights * 2 < 48e6  # bytes in bf16: what may lie in assets


def test_a_config_survives_its_own_dictionary(tiny_toml):
    config = load_config(tiny_toml)
    assert build_config(config.to_dict()) == config


def test_the_learning_rate_rises_stays_and_falls_to_zero():
    optim = OptimConfig(steps=1000, lr=0.01, warmup=100, decay=0.25)
    rates = [optim.lr_at(step) for step in range(1001)]
    assert rates[:100] == pytest.approx([0.01 * (k + 1) / 100 for k in range(100)])
    assert rates[100:750] == pytest.approx([0.01] * 650)
    assert all(a > b for a, b in zip(rates[750:], rates[751:], strict=False))
    assert rates[875] == pytest.approx(0.005)  # the middle of a half cosine
    assert rates[1000] == pytest.approx(0, abs=1e-12)
    assert optim.lr_at(999) > 0  # the last step still learns


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["--lr", "nan"], ["optim.lr is nan", "from 1e-09 to 1"]),
        (["--lr", "-1"], ["optim.lr is -1.0"]),
        (["--batch-size", "0"], ["optim.batch_size is 0", "whole number from 1"]),
        (["--steps", "0"], ["optim.steps is 0"]),
        (["--size", "18"], ["image_size 18 is not divisible by 4"]),
        (["--size", "20"], ["latent_size 5 is not divisible by patch_size 2"]),
        (["--size", "0"], ["data.image_size is 0", "from 8 to 1024"]),
        (["--frames", "0"], ["data.frames is 0"]),
        (["--seed", "-1"], ["seed is -1"]),
        (["--threads", "0"], ["--threads is 0"]),
    ],
)
def test_a_wrong_flag_is_refused_before_any_work(
    tmp_path, tiny_toml, capsys, own_signals, flags, words
):
    out = tmp_path / "out"
    assert main([str(tiny_toml), "--out", str(out), *flags]) == 1
    said = capsys.readouterr().err
    assert all(word in said for word in words), said
    assert not out.exists()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"data": {"worlds": {"sky": 1}, "folder": "videos"}}, "not both"),
        ({"data": {}}, "either worlds or a folder"),
        ({"data": {"worlds": {"mars": 1}}}, "world 'mars' is unknown"),
        ({"data": {"worlds": {"sky": 0}}}, "data.worlds.sky is 0"),
        ({"data": {"worlds": ["sky"]}}, "must be a table of counts"),
        ({"data": {"worlds": {"sky": 1}, "fit": "zoom"}}, "data.fit is 'zoom'"),
        ({"data": {"folder": "x", "stride": 2, "hop": 3}}, "multiple of the stride 2"),
        ({"data": {"folder": "x", "labels": "names"}}, "data.labels is 'names'"),
        ({"data": {"folder": "x", "pictures": "all"}}, "data.pictures is 'all'"),
        ({"data": {"folder": "x", "aspects": [1, 2]}}, "data.aspects must be a list of at most 16"),
        ({"data": 3}, "data is 3; it must be a table"),
        ({"optim": {"learning_rate": 1}}, "unknown key 'learning_rate'"),
        ({"optim": {"lr": 5}}, "^optim.lr is 5"),
        ({"autoencoder_optim": {"lr": 5}}, "^autoencoder_optim.lr is 5"),
        ({"schedule": {"name": "flow", "prediction_type": "eps"}}, "no signal"),
        ({"optim": {"batch_size": 2.5}}, "optim.batch_size is 2.5"),
        ({"optim": {"batch_size": True}}, "optim.batch_size is True"),
        ({"optim": {"lr": "fast"}}, "optim.lr is 'fast'"),
        ({"optim": {"p_independent": 1.5}}, "optim.p_independent is 1.5"),
        ({"optim": {"p_alone": -0.1}}, "optim.p_alone is -0.1"),
        ({"sampling": {"temporal_scale": 6}}, "temporal_scale is 6; it must be from 0 to 5"),
        ({"transformer": {"hidden_size": 32, "depth": 3, "num_heads": 2}}, "transformer"),
        ({"autoencoder": {"detail": True}}, r"\[autoencoder\]: detail is True; it must be a whole"),
        ({"transformer": NETWORK | {"num_heads": 2.0}}, r"\[transformer\]: num_heads is 2.0; it"),
        ({"transformer": NETWORK | {"rotary": 1}}, r"\[transformer\]: rotary is 1; it must be"),
        ({"schedule": {"name": "wavy"}}, "wavy"),
        ({"data": {"folder": "x"}, "transformer": {"num_classes": 7}}, "num_classes is 7, but it"),
        ({"autoencoder_optim": {"p_independent": 0.5}}, "autoencoder_optim.p_independent does"),
        ({"autoencoder_optim": {"stratified": True}}, "stratified does nothing: an auto"),
        ({"autoencoder_optim": {"prior": "mixed"}}, "autoencoder_optim.prior does nothing"),
        ({"transformer": {"depth": 2}}, r"\[transformer\] has no hidden_size, num_heads, patch_s"),
        ({"schedule": {"kind": "linear"}}, r"\[schedule\] has an unknown key 'kind'; known"),
        ({"schedule": {"num_train_timesteps": "x"}}, r"\[schedule\]: num_train_timesteps is x"),
        ({"schedule": {"prediction_type": ["v"]}}, r"\[schedule\]: prediction_type is"),
        ({"schedule": {"num_train_timesteps": 1}}, r"\[schedule\]: num_train_timesteps is 1; it"),
        ({"name": "x" * 101}, "name must be a text of at most 100"),
        ({"sed": 1}, "unknown key 'sed'"),
    ],
)
def test_a_wrong_config_is_refused_by_name(tiny_toml, change, words):
    raw = {k: v for k, v in load_config(tiny_toml).to_dict().items() if k != "transformer"}
    raw["transformer"] = NETWORK
    with pytest.raises(ValueError, match=words):
        build_config({**raw, **change})


def test_a_config_that_is_not_there_and_one_that_is_not_toml(tmp_path):
    with pytest.raises(
        ValueError,
        match="no config nowhere.toml; shipped ones are continued, continued2, continued3, "
        "continued4, continued6, continued7, continued8, continued9, default, detail, published, "
        "worlds128",
    ):
        load_config("nowhere")
    (tmp_path / "bad.toml").write_text("steps = = 3")
    with pytest.raises(ValueError, match=r"bad\.toml is not valid TOML"):
        load_config(tmp_path / "bad.toml")


def test_a_config_may_begin_with_a_byte_order_mark(tmp_path, tiny_toml):
    marked = tmp_path / "marked.toml"
    marked.write_text(tiny_toml.read_text("utf-8"), "utf-8-sig")
    assert load_config(marked) == load_config(tiny_toml)


def test_a_folder_of_videos_replaces_the_worlds(tmp_path, tiny_toml):
    options = parse([str(tiny_toml), "--data", str(tmp_path), "--stride", "2", "--fps", "12"])
    config = configure(options)
    assert config.data.worlds == {} and config.data.folder == str(tmp_path)
    assert (config.data.stride, config.data.fps) == (2, 12.0)
    assert config.transformer.num_classes == 0
    assert run_folder(options).name == tmp_path.name  # not the folder of a run on worlds


@pytest.mark.parametrize("words", [["--data", ""], ["prepare", ""]])
def test_an_empty_folder_s_name_is_neither_the_worlds_nor_this_folder(
    words, tmp_path, monkeypatch, capsys, own_signals
):
    """It is what is left of a shell's variable that is not set."""
    monkeypatch.chdir(tmp_path)
    assert main(words) == 1
    assert "the folder of videos is an empty path" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_a_config_of_one_s_own_says_what_the_model_is(tmp_path, tiny_toml):
    def told(*words: str) -> tuple[str, str]:
        config = configure(parse([*words, "--data", str(tmp_path)]))
        return config.name, config.trained_on

    folder = (tmp_path.name[:100], "a folder of videos")
    assert told(str(tiny_toml)) == ("Tiny", "two worlds, for a test")
    assert told() == told("continued8") == folder
    copied = tmp_path / "copied.toml"
    copied.write_text((CONFIGS / "default.toml").read_text())
    assert told(str(copied)) == folder
    copied.write_text(copied.read_text().replace('"Miniature Worlds"', '"Birds"'))
    assert told(str(copied)) == ("Birds", "a folder of videos")
    copied.write_text(re.sub("(?m)^(name|trained_on) = .*", "", copied.read_text()))
    assert told(str(copied)) == folder


def test_an_output_that_cannot_be_written(tmp_path, tiny_toml, capsys, own_signals):
    (tmp_path / "file").write_text("")
    assert main([str(tiny_toml), "--out", str(tmp_path / "file" / "run")]) == 1
    assert "cannot write to the run's folder" in capsys.readouterr().err
    out, file = str(tmp_path / "run"), str(tmp_path / "file")
    assert main([str(tiny_toml), "--out", out, "--export", file]) == 1
    assert "choose another --export" in capsys.readouterr().err
    assert not (tmp_path / "run" / "clips.npy").exists()  # found out before the work


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_read_only_output(tmp_path, tiny_toml, capsys, own_signals):
    tmp_path.chmod(0o500)
    assert main([str(tiny_toml), "--out", str(tmp_path / "run")]) == 1
    assert "cannot write to the run's folder" in capsys.readouterr().err


def test_two_trainers_in_one_folder(tmp_path):
    first = Run(tmp_path)
    with pytest.raises(ValueError, match="another training run is using"):
        Run(tmp_path)
    del first
    Run(tmp_path)


def test_a_run_of_other_data_or_networks_is_not_continued(tmp_path):
    Run(tmp_path).claim({"seed": 1, "data": {"frames": 4}})
    Run(tmp_path).claim({"seed": 1, "data": {"frames": 4}})
    with pytest.raises(ValueError, match="holds a run with another seed; choose another --out"):
        Run(tmp_path).claim({"seed": 2, "data": {"frames": 4}})


def test_a_run_goes_on_from_another_place_with_the_same_data(tmp_path, monkeypatch):
    for place in ("a/clips", "b/clips"):
        (tmp_path / place).mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "a")
    Run(tmp_path / "run").claim({"data": {"folder": "clips"}})
    monkeypatch.chdir(tmp_path / "b")
    Run(tmp_path / "run").claim({"data": {"folder": str(tmp_path / "a" / "clips")}})
    with pytest.raises(ValueError, match="another data"):
        Run(tmp_path / "run").claim({"data": {"folder": "clips"}})


def test_a_setting_younger_than_a_run_is_off_in_it(tmp_path):
    Run(tmp_path).claim({"seed": 0, "data": {"frames": 4}})
    Run(tmp_path).claim({"seed": 0, "data": {"frames": 4, "hop": 0, "labels": ""}})
    Run(tmp_path).claim({"seed": 0, "data": {"frames": 4}, "decoder_only": False})
    with pytest.raises(ValueError, match="another data"):
        Run(tmp_path).claim({"seed": 0, "data": {"frames": 4, "hop": 2}})


def test_rates_are_finite_for_every_step():
    for optim in (OptimConfig(steps=1, warmup=0), OptimConfig(steps=3, warmup=10, decay=1.0)):
        assert all(math.isfinite(optim.lr_at(step)) for step in range(optim.steps))


def test_weights_in_parts_are_refused_to_an_optimizer_of_whole_matrices(tiny_toml):
    with pytest.raises(ValueError, match="shard needs optim.optimizer adamw: muon moves whole"):
        load_config(tiny_toml, {"shard": True, "optim.optimizer": "muon"})


@pytest.mark.parametrize(("key", "name"), [("shard", "shard"), ("optim.stratified", "stratified")])
def test_a_switch_is_true_or_false(tiny_toml, key, name):
    with pytest.raises(ValueError, match=f"{name} is 'yes'; it must be true or false"):
        load_config(tiny_toml, {key: "yes"})
