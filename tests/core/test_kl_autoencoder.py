"""Stable Diffusion's kind of autoencoder, small and random: what it loads, refuses and shows."""

import json
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from tiny import randomised, save_tiny

from benchmarks.made_up import save_vae
from fvdm_core import Pipeline, Timeline, load_model
from fvdm_core.files import SaveError
from fvdm_core.kl_autoencoder import CONFIG, WEIGHTS, KLAutoencoder, KLConfig, load_kl_autoencoder
from fvdm_core.model import VideoDiT
from fvdm_core.shape import VideoDiTConfig
from fvdm_core.weights import save_model

DATA = Path(__file__).parents[1] / "data"
OLD = {"to_q": "query", "to_k": "key", "to_v": "value", "to_out.0": "proj_attn"}


@pytest.fixture(scope="module")
def vae(tmp_path_factory):
    folder = tmp_path_factory.mktemp("vae")
    return folder, save_vae(folder)


def test_it_is_diffusers_own_network_one_picture_at_a_time(vae):
    folder, theirs = vae
    ours, checksum = load_kl_autoencoder(folder)
    assert len(checksum) == 64 and ours.config.downsample == 2
    sizes = []
    ours.network.encoder.register_forward_pre_hook(lambda _, given: sizes.append(len(given[0])))
    ours.network.decoder.register_forward_pre_hook(lambda _, given: sizes.append(len(given[0])))
    video = torch.rand(2, 3, 3, 16, 16) * 2 - 1
    with torch.no_grad():
        wanted = theirs.encode(video.flatten(0, 1)).latent_dist.mean * 0.18215
        pictures = theirs.decode(wanted / 0.18215).sample.clamp(-1, 1)
    latents = ours.encode(video)
    torch.testing.assert_close(latents.flatten(0, 1), wanted, rtol=1e-4, atol=1e-5)
    decoded = ours.decode(latents)
    assert decoded.shape == video.shape
    torch.testing.assert_close(decoded.flatten(0, 1), pictures, rtol=1e-3, atol=1e-4)
    assert set(sizes) == {1} and len(sizes) == 12


class Mixing(torch.nn.Module):
    """An autoencoder whose latents are mixtures of the colours, halved in size."""

    mixture = torch.tensor([[1.0, 0.5, -0.2], [0.1, -1.0, 0.3], [0.4, 0.2, 0.9], [0.3, 0.3, 0.3]])

    def encode(self, pictures):
        small = torch.nn.functional.avg_pool2d(pictures, 2)
        latents = torch.einsum("ck,bkhw->bchw", self.mixture, small) + 0.25
        return SimpleNamespace(latent_dist=SimpleNamespace(mode=lambda: latents))


def test_the_preview_is_the_linear_map_that_fits_the_autoencoder():
    coder = KLAutoencoder(Mixing(), KLConfig(block_out_channels=(32, 32)))
    video = torch.rand(2, 5, 3, 16, 16) * 2 - 1
    seen = coder.preview(coder.encode(video))
    assert seen.shape == video.shape
    small = torch.nn.functional.avg_pool2d(video.flatten(0, 1), 2)
    wanted = torch.nn.functional.interpolate(small, scale_factor=2, mode="bilinear")
    torch.testing.assert_close(seen.flatten(0, 1), wanted, rtol=1e-3, atol=1e-3)


def test_names_of_older_files_are_understood(vae, tmp_path):
    tensors = load_file(vae[0] / WEIGHTS)
    for new, old in OLD.items():
        tensors = {
            key.replace(f".{new}.", f".{old}.") if "attentions" in key else key: value
            for key, value in tensors.items()
        }
    assert any(".query." in key for key in tensors)
    save_file(tensors, tmp_path / WEIGHTS)
    (tmp_path / CONFIG).write_text((vae[0] / CONFIG).read_text())
    old, new = (load_kl_autoencoder(folder)[0].state_dict() for folder in (tmp_path, vae[0]))
    assert all(torch.equal(old[key], new[key]) for key in new)


@pytest.mark.parametrize(
    "change, words",
    [
        ({"_class_name": "AutoencoderDC"}, "is of AutoencoderDC, not of an AutoencoderKL"),
        ({"down_block_types": ["AttnDownEncoderBlock2D"] * 2}, "not of an AutoencoderKL like"),
        ({"down_block_types": 3}, "not of an AutoencoderKL like"),
        ({"up_block_types": [{}]}, "not of an AutoencoderKL like"),
        ({"block_out_channels": [1 << 20] * 2}, "must be 1 to 6 widths up to 2048"),
        ({"block_out_channels": [8] * 1000}, "block_out_channels"),
        ({"layers_per_block": 1 << 19}, "layers_per_block is"),
        ({"latent_channels": 8}, "does not fit"),
        ({"shift_factor": 0.1159}, "has shift_factor 0.1159: autoencoders with that are not read"),
        ({"latents_mean": [0.1, 0, 0, 0]}, "has latents_mean"),
        ({"use_quant_conv": False}, "has use_quant_conv False"),
        ({"norm_num_groups": 3}, "must be multiples of norm_num_groups"),
        ({"scaling_factor": "x"}, "scaling_factor is x; it must be a number"),
        ({"layers_per_block": 2}, "does not fit: .* missing"),
    ],
)
def test_a_config_of_something_else_is_refused(vae, tmp_path, change, words):
    config = json.loads((vae[0] / CONFIG).read_text()) | change
    (tmp_path / CONFIG).write_text(json.dumps(config))
    (tmp_path / WEIGHTS).write_bytes((vae[0] / WEIGHTS).read_bytes())
    with pytest.raises(ValueError, match=words):
        load_kl_autoencoder(tmp_path)


def test_a_pickle_in_place_of_the_weights_is_refused(vae, tmp_path):
    (tmp_path / CONFIG).write_text((vae[0] / CONFIG).read_text())
    (tmp_path / WEIGHTS).write_bytes(b"cos\nsystem\n(S'true'\ntR.")
    with pytest.raises(ValueError, match="diffusion_pytorch_model.safetensors"):
        load_kl_autoencoder(tmp_path)


def test_the_default_is_stable_diffusion_s():
    assert KLConfig().downsample == 8 and KLConfig().scaling_factor == 0.18215


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    """A published kind of file: four latent channels, eps and learned variance, no autoencoder."""
    config = VideoDiTConfig(
        hidden_size=64, depth=2, num_heads=1, patch_size=2, latent_size=4, latent_channels=4,
        num_frames=4, num_classes=0, learn_sigma=True,
    )  # fmt: skip
    path = tmp_path_factory.mktemp("weights") / "skytimelapse.safetensors"
    save_model(path, randomised(VideoDiT(config), 0.1))
    return path


def test_a_bare_file_of_weights_makes_pictures_with_it(vae, weights, tmp_path):
    pipe = Pipeline.from_pretrained(weights, device="cpu", autoencoder=vae[0])
    assert pipe.image_size == (8, 8) and pipe.card.name == "skytimelapse" and pipe.card.labels == ()
    picture = np.full((8, 8, 3), 90, np.uint8)
    timeline = Timeline.preset("image-to-video", frames=4, steps=3)
    states = list(pipe.stream(timeline, keyframes={0: picture}, splice_exact=True))
    assert states[1].preview.shape == states[1].frames.shape == (4, 8, 8, 3)
    assert not np.array_equal(states[1].preview, states[1].frames)
    assert np.array_equal(states[-1].clip.frames[0], picture)
    again = Pipeline.from_pretrained(weights, device="cpu", autoencoder=vae[0])
    other = tmp_path / "other"
    save_vae(other)
    tensors = load_file(other / WEIGHTS)
    save_file({key: value + 1e-3 for key, value in tensors.items()}, other / WEIGHTS)
    different = Pipeline.from_pretrained(weights, device="cpu", autoencoder=other)
    assert pipe.model_hash == again.model_hash != different.model_hash


def test_a_model_is_saved_with_it(vae, weights, tmp_path):
    pipe = Pipeline.from_pretrained(weights, device="cpu", dtype=torch.float32, autoencoder=vae[0])
    pipe.save_pretrained(tmp_path / "whole")
    again = Pipeline.from_pretrained(tmp_path / "whole", device="cpu", dtype=torch.float32)
    assert again.card == pipe.card
    timeline = Timeline.preset("image-to-video", frames=4, steps=2)
    given = {0: np.full((8, 8, 3), 90, np.uint8)}
    assert np.array_equal(pipe(timeline, given).frames, again(timeline, given).frames)
    from diffusers import AutoencoderKL  # can open it too

    theirs = AutoencoderKL.from_pretrained(tmp_path / "whole" / "vae")
    for name, tensor in pipe.autoencoder.network.state_dict().items():
        assert torch.equal(theirs.state_dict()[name], tensor)
    assert theirs.config.scaling_factor == pipe.autoencoder.config.scaling_factor
    pipe.save_pretrained(tmp_path / "half", torch.bfloat16)
    assert load_file(tmp_path / "half" / "vae" / WEIGHTS)[name].dtype == torch.bfloat16
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "vae").write_text("")
    with pytest.raises(SaveError, match="vae"):
        pipe.save_pretrained(tmp_path / "other")


def test_a_model_with_an_autoencoder_of_its_own_takes_no_other(vae, tmp_path):
    """As a studio names one for all the models of its list that come without."""
    folder = save_tiny(tmp_path / "whole")
    alone = Pipeline.from_pretrained(folder, device="cpu")
    beside = Pipeline.from_pretrained(folder, device="cpu", autoencoder=vae[0])
    assert beside.model_hash == alone.model_hash


def test_an_autoencoder_of_other_latents_is_refused(weights, tmp_path):
    folder = tmp_path / "vae"
    save_vae(folder, channels=8)
    with pytest.raises(ValueError, match="works on 4 latent channels, but .* makes 8"):
        Pipeline.from_pretrained(weights, device="cpu", autoencoder=folder)


def test_one_that_is_neither_a_folder_nor_on_the_hub_is_refused(weights):
    for name in ("https://example.com/a", "../../no such folder", "no such thing"):
        with pytest.raises(ValueError, match="is not a folder here"):
            Pipeline.from_pretrained(weights, device="cpu", autoencoder=name)


def test_without_diffusers_one_is_told_what_to_install(vae):
    code = f"""
import sys
sys.modules["diffusers"] = None
from fvdm_core.kl_autoencoder import load_kl_autoencoder
try:
    load_kl_autoencoder({str(vae[0])!r})
except ValueError as error:
    assert "pip install diffusers" in str(error), error
else:
    raise AssertionError("it loaded")
"""
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=DATA.parents[1],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert load_model(DATA / "published_fvdm_tiny.pt").config.latent_channels
