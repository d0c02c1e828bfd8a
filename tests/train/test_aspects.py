"""Frames of several aspects: sizes, whose turn it is, clips and latents of mixed sizes, a model."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from fvdm_core import Pipeline, Timeline
from fvdm_core.autoencoder import Autoencoder
from fvdm_core.media import read_video, write_png, write_video
from train import latents as latents_module
from train.__main__ import main
from train.aspects import nearest, sizes_of, turns
from train.config import DataConfig, load_config
from train.folder import prepare_folder
from train.listing import FILES
from train.run import Run, Stopped
from train.stages import autocast, encode_clips

SIZES = ((16, 16), (8, 24), (24, 8))
VIDEOS = {"a-square": (32, 32), "b-wide": (20, 60), "c-tall": (60, 20), "d-wide": (22, 60)}
CLIPS = ["a-square", "a-square", "b-wide", "b-wide", "c-tall", "c-tall", "d-wide", "d-wide"]


def test_sizes_have_the_pixels_of_the_square_and_sides_that_tokens_divide():
    assert sizes_of([], 64, 16) == ((64, 64),)
    assert sizes_of(["1:1", "16:9", "9:16"], 64, 16) == ((64, 64), (48, 80), (80, 48))
    assert sizes_of(["4:3"], 64, 16) == ((48, 64),)  # the aspect before the area
    for height, width in sizes_of(["1:1", "4:3", "3:2", "16:9", "21:9"], 256, 16):
        assert height % 16 == width % 16 == 0
        assert abs(height * width / 256**2 - 1) < 0.12


@pytest.mark.parametrize(
    "aspects, words",
    [
        (["16/9"], "'16/9'; an aspect is width:height"),
        (["5:1"], "from 1:4 to 4:1"),
        (["0:1"], "an aspect is width:height"),
        (["16:9", "17:10"], "16:9 and 17:10, which are both 80x48"),
    ],
)
def test_what_is_no_aspect_is_refused(aspects, words):
    with pytest.raises(ValueError, match=words):
        sizes_of(aspects, 64, 16)


def test_a_clip_gets_the_aspect_nearest_to_its_own():
    assert [nearest(size, SIZES) for size in VIDEOS.values()] == [0, 1, 2, 1]
    # halfway as ratios: 3:1 and 1:1 meet at the root of 3
    assert nearest((100, 172), SIZES) == 0 and nearest((100, 174), SIZES) == 1


def test_sizes_take_turns_as_often_as_they_have_clips():
    counts = np.array([60, 0, 30, 10])
    given = [turns(counts, step) for step in range(1000)]
    for group, count in enumerate(counts):
        before = [times for whose, times in given if whose == group]
        assert before == list(range(len(before)))  # no batch of a group is left out or repeated
        assert abs(len(before) - 10 * count) <= 3
    # however far on: as when all turns before are counted one by one
    ends = np.array([0.6, 0.6, 0.9, 1.0])
    for step in (4095, 4096, 100_000):
        golden = (np.arange(1, step + 2) * (np.sqrt(5) - 1) / 2) % 1.0
        whose = np.searchsorted(ends, golden, side="right")
        assert turns(counts, step) == (whose[-1], (whose[:-1] == whose[-1]).sum())


@pytest.fixture(scope="module")
def videos(tmp_path_factory) -> Path:
    """Two clips of four frames in each video, a picture, and none of another kind."""
    root = tmp_path_factory.mktemp("videos")
    rng = np.random.default_rng(0)
    for name, (height, width) in VIDEOS.items():
        write_video(root / f"{name}.gif", rng.integers(0, 255, (9, height, width, 3), np.uint8), 8)
    write_png(root / "e-picture.png", rng.integers(0, 255, (90, 30, 3), np.uint8))
    return root


def data(videos: Path) -> DataConfig:
    return DataConfig(folder=str(videos), image_size=16, frames=4, pictures="stills")


def test_each_clip_keeps_its_shape(videos, tmp_path):
    clips = prepare_folder(data(videos), tmp_path, sizes=SIZES)
    names = [clips.names[k].split(".")[0] for k in range(9)]
    picture = names.index("e-picture")
    assert [name for name in names if name != "e-picture"] == CLIPS
    for name in VIDEOS:
        which = names.index(name)
        size = SIZES[nearest(VIDEOS[name], SIZES)]
        truth = read_video(videos / f"{name}.gif", size).frames
        assert np.array_equal(clips.video[which, 0], truth[0])
        pair = clips.video[np.array([which + 1, which]), 0:3]
        assert np.array_equal(pair, np.stack([truth[4:7], truth[:3]]))
    assert clips.video[picture, 0].shape == (24, 8, 3)
    assert np.flatnonzero(clips.still(np.arange(9))).tolist() == [picture]
    assert clips.sizes_in_use == [(8, 24), (24, 8), (16, 16)]  # 4, 3 and 2 clips
    again = prepare_folder(data(videos), tmp_path, sizes=SIZES, say=False)
    assert np.array_equal(again.video[3, :], clips.video[3, :])
    with pytest.raises(ValueError, match="sizes differ"):
        prepare_folder(data(videos), tmp_path, sizes=SIZES[:2])


def test_every_batch_is_of_one_size_and_every_clip_comes(videos, tmp_path):
    clips = prepare_folder(data(videos), tmp_path, sizes=SIZES, say=False)
    drawn = [clips.batch(2, seed=0, step=step) for step in range(40)]
    assert all(len({clips.size_of(int(k)) for k in batch}) == 1 for batch in drawn)
    assert set(np.concatenate(drawn)) == set(range(9))


def test_reading_goes_on_behind_the_last_whole_file(videos, tmp_path):
    whole = prepare_folder(data(videos), tmp_path / "whole", sizes=SIZES, say=False)
    asked = iter([False, False, True])
    parts = tmp_path / "parts"
    with pytest.raises(Stopped):
        prepare_folder(data(videos), parts, stop=lambda: next(asked), sizes=SIZES)
    with (parts / "clips.raw").open("ab") as raw:
        raw.write(b"half of a file")
    clips = prepare_folder(data(videos), parts, sizes=SIZES, say=False)
    assert (parts / FILES).read_text() == (tmp_path / "whole" / FILES).read_text()
    assert all(np.array_equal(clips.video[k, :], whole.video[k, :]) for k in range(9))


def test_latents_of_every_size_are_the_autoencoders(videos, tmp_path, tiny_toml, monkeypatch):
    monkeypatch.setattr(latents_module, "SHARD", 5)
    monkeypatch.setattr(latents_module, "AT_ONCE", 1)
    folder = {"data.folder": str(videos), "data.worlds": {}, "data.pictures": "stills"}
    config = load_config(tiny_toml, folder | {"data.aspects": ["1:1", "3:1", "1:3"]})
    clips = prepare_folder(config.data, tmp_path / "clips", sizes=config.sizes, say=False)
    torch.manual_seed(0)
    model = Autoencoder(config.autoencoder)
    latents = encode_clips(config, model, clips, Run(tmp_path))
    assert len(latents) == 9
    for indices in clips.by_size:
        stored = latents[indices]
        for index, given in zip(indices, stored, strict=True):
            pictures = torch.from_numpy(np.array(clips.video[int(index), :]))
            pictures = pictures.permute(0, 3, 1, 2) / 127.5 - 1
            with torch.no_grad(), autocast():
                truth = model.encode(pictures).float().numpy()
            if clips.still(np.array([index]))[0]:
                truth = np.broadcast_to(truth[:1], truth.shape)
            assert given.shape == truth.shape and np.allclose(given, truth, atol=0.03)


def test_a_model_of_several_sizes_is_trained_and_makes_each(
    videos, tmp_path, tiny_toml, own_signals
):
    out = tmp_path / "run"
    words = [str(tiny_toml), "--data", str(videos), "--aspects", "1:1,3:1,1:3", "--out", str(out)]
    assert main([*words, "--pictures", "stills", "--threads", "1", "--steps", "20"]) == 0
    config = json.loads((out / "model" / "config.json").read_text())
    assert sorted(map(tuple, config["sizes"])) == sorted(load_sizes(out))
    pipe = Pipeline.from_pretrained(out / "model")
    assert pipe.image_size == pipe.sizes[0] == tuple(config["sizes"][0])
    timeline = Timeline.preset("image-to-video", frames=4, steps=2)
    picture = np.full((40, 120, 3), 90, np.uint8)
    for size in pipe.sizes:
        clip = pipe(timeline, keyframes={0: picture}, size=size, splice_exact=True)
        assert clip.frames.shape == (4, *size, 3)
        assert (clip.frames[0] == 90).all()
        assert clip.recipe["size"] == (None if size == pipe.image_size else size)
    with pytest.raises(ValueError, match="was not trained on; choose one of"):
        pipe(timeline, keyframes={0: picture}, size=(64, 64))


def load_sizes(out: Path) -> set[tuple[int, int]]:
    """What the run's own record says that its clips are of."""
    return {tuple(size) for size in json.loads((out / "files.json").read_text())["key"]["sizes"]}


def test_one_aspect_alone_is_no_square(videos, tmp_path, tiny_toml, own_signals):
    """Clips that were read as squares are not taken for wide ones, and the model says its size."""
    squares, wide = ["--data", str(videos), "--out", str(tmp_path / "a")], ["--aspects", "3:1"]
    assert main(["prepare", str(videos), str(tiny_toml), *squares[2:]]) == 0
    assert main([str(tiny_toml), *squares, *wide, "--threads", "1"]) == 1
    out = tmp_path / "b"
    words = [str(tiny_toml), "--data", str(videos), "--out", str(out), *wide, "--threads", "1"]
    assert main([*words, "--steps", "20"]) == 0
    pipe = Pipeline.from_pretrained(out / "model")
    assert pipe.sizes == (pipe.image_size,) == ((8, 24),)
    clip = pipe(Timeline.preset("standard", frames=4, steps=2))
    assert clip.frames.shape == (4, 8, 24, 3)
