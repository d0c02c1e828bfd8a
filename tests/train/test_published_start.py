"""From a published file, an autoencoder and a folder of clips to a model with timesteps per frame.

All weights are random: what is tried is the way, not what comes of it.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from tiny import randomised, save_tiny
from undisturbed import undisturbed

from benchmarks.made_up import save_latte, save_vae
from fvdm_core.kl_autoencoder import load_kl_autoencoder
from fvdm_core.media import write_video
from fvdm_core.model import VideoDiT
from fvdm_core.model_folder import load_model_folder, save_model_folder
from fvdm_core.pipeline import Pipeline
from fvdm_core.shape import VideoDiTConfig
from fvdm_core.timeline import Timeline
from train.__main__ import main
from train.export import model_config
from train.latents import shard_path
from train.options import configure, parse
from train.stages import to_video
from train.worlds import render

FRAMES, SIZE = 4, 16
OPTIM = """
[optim]
steps = 2
batch_size = 2
lr = 1e-3
warmup = 0
p_independent = 1.0
"""


@pytest.fixture(scope="module")
def given(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with `ffs.pt`, the autoencoder `kl`, four `clips` and `short.toml`."""
    root = tmp_path_factory.mktemp("given")
    config = VideoDiTConfig(
        hidden_size=64, depth=2, num_heads=1, patch_size=2, latent_size=SIZE // 2,
        latent_channels=4, num_frames=FRAMES, num_classes=3, learn_sigma=True,
    )  # fmt: skip
    save_latte(root / "ffs.pt", randomised(VideoDiT(config), 0.1))
    save_vae(root / "kl")
    (root / "clips").mkdir()
    for seed in range(4):
        write_video(root / "clips" / f"{seed}.mp4", render("sky", seed, FRAMES, 32).video, 8)
    (root / "short.toml").write_text(OPTIM)
    return root


def command(given: Path, out: Path, config: str = "short.toml") -> list[str]:
    words = [str(given / config), "--data", str(given / "clips"), "--out", str(out)]
    words += ["--init", str(given / "ffs.pt"), "--vae", str(given / "kl")]
    return [*words, "--threads", "1"]


@pytest.fixture(scope="module")
def trained(given: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("trained")
    with undisturbed():
        assert main(command(given, out)) == 0
    return out


def test_the_result_opens_and_runs_with_timesteps_per_frame(given, trained):
    assert (
        Pipeline.from_pretrained(
            given / "ffs.pt", device="cpu", autoencoder=given / "kl"
        ).card.timesteps
        == "scalar"
    )
    pipe = Pipeline.from_pretrained(trained / "model", device="cpu")  # finds its autoencoder
    assert pipe.card.timesteps == "vectorised" and pipe.image_size == (SIZE, SIZE)
    assert pipe.model.config.learn_sigma and pipe.schedule.prediction_type == "eps"
    assert pipe.card.name == "clips" and pipe.card.labels == () and pipe.card.license == ""
    picture = np.full((SIZE, SIZE, 3), 90, np.uint8)
    timeline = Timeline.preset("image-to-video", frames=FRAMES, steps=2)
    clip = pipe(timeline, keyframes={0: picture})
    assert clip.frames.shape == (FRAMES, SIZE, SIZE, 3)


def test_it_went_on_from_the_file_s_weights(given, trained):
    before = load_model_folder(given / "ffs.pt").transformer.state_dict()
    after = load_model_folder(trained / "model").transformer.state_dict()
    learned = [
        name for name in after if not torch.equal(before[name].bfloat16(), after[name].bfloat16())
    ]
    assert "final_layer.linear.weight" in learned and "pos_embed" not in learned
    # of the file's labels nobody knows the names, and the clips have none: "no label" is kept
    table = before.pop("y_embedder.embedding_table.weight")
    before["t_embedder.mlp.2.bias"] += table[-1]
    assert before.keys() == after.keys()
    for name, value in after.items():
        assert torch.allclose(before[name], value, atol=0.02), name


def test_latents_are_the_autoencoder_s_and_are_made_once(given, trained, own_signals):
    (shard,) = (trained / "latents").glob("*.safetensors")
    clips = np.memmap(trained / "clips.raw", np.uint8, "r", shape=(4, FRAMES, SIZE, SIZE, 3))
    coder, _ = load_kl_autoencoder(given / "kl")
    assert shard == shard_path(trained / "latents", 0)
    wanted = coder.encode(to_video(clips).cpu())
    torch.testing.assert_close(load_file(shard)["clips"].float(), wanted, rtol=2e-3, atol=2e-3)
    assert json.loads((trained / "run.json").read_text())["vae"].endswith(" 0.18215")

    made = shard.stat().st_mtime_ns
    assert main([*command(given, trained), "--steps", "3"]) == 0  # goes on where it ended
    assert shard.stat().st_mtime_ns == made
    assert (trained / "transformer-00000003.pt").exists()


def test_networks_sizes_and_schedule_are_the_file_s(given, tmp_path):
    config = configure(parse(command(given, tmp_path)))
    assert config.autoencoder is None and config.transformer.hidden_size == 64
    assert (config.data.image_size, config.data.frames) == (SIZE, FRAMES)
    assert config.noise_schedule().prediction_type == "eps"
    shipped = configure(parse(command(given, tmp_path)[1:]))  # no config is named
    assert shipped.optim.p_independent == 0.2 and shipped.recompute
    assert shipped.transformer == config.transformer


def test_a_shift_of_the_schedule_goes_on_into_the_new_model(given, tmp_path):
    start = load_model_folder(given / "ffs.pt")
    flow = {"name": "flow", "num_train_timesteps": 1000, "prediction_type": "flow", "shift": 3.0}
    about = {"transformer": asdict(start.transformer.config), "schedule": flow}
    weights = start.transformer.state_dict()
    save_model_folder(tmp_path, config=about, transformer=weights, autoencoder=None)
    config = configure(parse([*command(given, tmp_path), "--init", str(tmp_path)]))
    assert config.noise_schedule().shift == 3
    assert model_config(config, ())["schedule"] == flow


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        (["--size", "32"], "data.image_size is 32, but with .* it is 16"),
        (["--frames", "8"], "data.frames is 8, but with .* it is 4"),
        (["--init", ""], "name a model to go on from with --init"),
        (["--init", "nowhere.pt"], "'nowhere.pt' is not a folder or file here"),
        (["--vae", "nowhere"], "'nowhere' is not a folder here"),
    ],
)
def test_what_does_not_fit_is_refused_before_any_work(given, tmp_path, changes, words):
    with pytest.raises(ValueError, match=words):
        configure(parse([*command(given, tmp_path / "run"), *changes]))


def test_a_config_with_networks_of_its_own_is_refused(given, tmp_path, tiny_toml):
    words = command(given, tmp_path / "run")
    with pytest.raises(ValueError, match=r"the config has \[autoencoder\]"):
        configure(parse([str(tiny_toml), *words[1:]]))


def test_an_autoencoder_that_does_not_belong_to_the_model_is_refused(given, tmp_path):
    words = command(given, tmp_path / "run")
    save_vae(tmp_path / "wide", channels=8)
    with pytest.raises(ValueError, match="works on 4 latent channels, but .* makes 8"):
        configure(parse([*words, "--vae", str(tmp_path / "wide")]))
    save_tiny(tmp_path / "own")
    with pytest.raises(ValueError, match="has an autoencoder of its own; leave out --vae"):
        configure(parse([*words, "--init", str(tmp_path / "own")]))
