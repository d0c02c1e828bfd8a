"""Latents in shards: the autoencoder's own, whatever was interrupted, and by any processes."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from fvdm_core.autoencoder import Autoencoder
from fvdm_core.model_folder import load_model_folder
from train import latents as latents_module
from train import parallel
from train import stages as stages_module
from train.clips import Clips
from train.config import load_config
from train.run import Run, Stopped
from train.stages import autocast, encode_clips, to_video

COUNT, STILLS = 11, (1, 2, 7)


@pytest.fixture
def clips() -> Clips:
    video = np.random.default_rng(0).integers(0, 255, (COUNT, 4, 16, 16, 3), dtype=np.uint8)
    stills = np.isin(np.arange(COUNT), STILLS).astype(np.int64)
    video[stills == 1, 1:] = 0
    names = [str(k) for k in range(COUNT)]
    return Clips(video, np.zeros(COUNT, np.int64), names, stills=stills)


@pytest.fixture
def config(tiny_toml, monkeypatch):
    monkeypatch.setattr(latents_module, "SHARD", 4)
    monkeypatch.setattr(latents_module, "AT_ONCE", 3 * 4 * 16 * 16)
    torch.manual_seed(0)
    return load_config(tiny_toml)


def everything(latents) -> np.ndarray:
    return latents[np.arange(COUNT)]


def test_latents_are_those_of_the_autoencoder(tmp_path, config, clips):
    model = Autoencoder(config.autoencoder)
    latents = encode_clips(config, model, clips, Run(tmp_path))
    assert len(latents) == COUNT and everything(latents).shape == (COUNT, 4, 4, 4, 4)
    pictures = torch.from_numpy(clips.video).permute(0, 1, 4, 2, 3) / 127.5 - 1
    with torch.no_grad(), autocast():
        truth = model.encode(pictures).float().numpy()
    for index in STILLS:
        truth[index] = truth[index, :1]  # its one frame, in every place
    assert np.allclose(everything(latents), truth, atol=0.02)
    some = np.array([10, 2, 2, 0])
    assert np.array_equal(latents[some], everything(latents)[some])


def test_the_room_that_is_asked_for_is_what_latents_take(tmp_path, config, clips, monkeypatch):
    asked = []
    monkeypatch.setattr(latents_module, "check_space", lambda *given: asked.append(given))
    encode_clips(config, Autoencoder(config.autoencoder), clips, Run(tmp_path))
    folder = tmp_path / "latents"
    frames = (COUNT - len(STILLS)) * 4 + len(STILLS)
    assert asked == [(folder, frames * 4 * 4 * 4 * 2)]  # of 4 channels of 4x4, two bytes each
    written = sum(file.stat().st_size for file in folder.glob("*.safetensors"))
    assert asked[0][1] < written < 1.5 * asked[0][1]


@pytest.mark.parametrize("at_once, most", [(9, 8), (3, 3), (0.5, 1)])
def test_no_more_pictures_are_encoded_at_once_than_asked(
    tmp_path, config, clips, monkeypatch, at_once, most
):
    model = Autoencoder(config.autoencoder)
    truth = everything(encode_clips(config, model, clips, Run(tmp_path / "a")))
    monkeypatch.setattr(latents_module, "AT_ONCE", int(at_once * 16 * 16))
    seen = []

    def counting(pictures):
        seen.append(pictures.shape[0] * pictures.shape[1])
        return to_video(pictures)

    monkeypatch.setattr(stages_module, "to_video", counting)
    latents = encode_clips(config, model, clips, Run(tmp_path / "b"))
    assert max(seen) == most and sum(seen) == (COUNT - len(STILLS)) * 4 + len(STILLS)
    assert np.allclose(everything(latents), truth, atol=0.02)


def test_encoding_stops_and_goes_on_with_the_missing_shards(tmp_path, config, clips):
    model, run = Autoencoder(config.autoencoder), Run(tmp_path)
    whole = everything(encode_clips(config, model, clips, run))
    shards = sorted((tmp_path / "latents").glob("*.safetensors"))
    assert len(shards) == 3
    shards[1].unlink()
    times = [shard.stat().st_mtime_ns for shard in (shards[0], shards[2])]
    run.stop_requested = True
    with pytest.raises(Stopped, match="encoding stopped"):
        encode_clips(config, model, clips, run)
    assert not shards[1].exists()
    run.stop_requested = False
    assert np.array_equal(everything(encode_clips(config, model, clips, run)), whole)
    assert times == [shard.stat().st_mtime_ns for shard in (shards[0], shards[2])]

    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(1.1)
    other = encode_clips(config, model, clips, run)
    assert not np.allclose(everything(other), whole, atol=0.02)  # of another autoencoder: anew

    run.save_state("transformer", 1, {})
    encode_clips(config, model, clips, run)
    with torch.no_grad():
        next(model.parameters()).mul_(1.1)
    with pytest.raises(ValueError, match="learned from the latents of another autoencoder"):
        encode_clips(config, model, clips, run)
    assert len(list((tmp_path / "latents").glob("*.safetensors"))) == 3


def test_every_process_encodes_its_own_shards(tmp_path, config, clips, monkeypatch):
    model, run = Autoencoder(config.autoencoder), Run(tmp_path)
    monkeypatch.setattr(parallel, "processes", lambda: 2)
    monkeypatch.setattr(parallel, "mean", lambda *values: list(values))
    monkeypatch.setattr(parallel, "first_then_others", lambda work: work())
    written = {}
    for rank in (0, 1):
        monkeypatch.setattr(parallel, "rank", lambda rank=rank: rank)
        encode_clips(config, model, clips, run)
        written[rank] = {path.name[8:14] for path in (tmp_path / "latents").glob("*.safetensors")}
    assert written == {0: {"000000", "000002"}, 1: {"000000", "000001", "000002"}}


def test_an_autoencoder_gives_latents_of_unit_scale(finished_run):
    model = load_model_folder(finished_run / "model").autoencoder
    with torch.no_grad():
        latents = model.encode(to_video(np.load(finished_run / "clips.npy")).cpu())
    std, mean = torch.std_mean(latents, dim=(0, 1, 3, 4))
    assert mean.abs().max() < 0.1 and (std - 1).abs().max() < 0.1
    assert (model.latent_std - 1).abs().min() > 0.1  # which they have of the scale alone


def test_encoding_stops_where_another_process_is_asked_to(tmp_path, config, clips, monkeypatch):
    monkeypatch.setattr(parallel, "mean", lambda *values: [value + 0.5 for value in values])
    with pytest.raises(Stopped, match="encoding stopped"):
        encode_clips(config, Autoencoder(config.autoencoder), clips, Run(tmp_path))
