"""Clips on disk, and the order in which steps draw them."""

from __future__ import annotations

import json
import shutil
import signal
from dataclasses import replace

import numpy as np
import pytest

from train import clips as clips_module
from train.clips import Clips, batches, prepare_worlds, texture, world_seed
from train.config import DataConfig
from train.run import Stopped
from train.worlds import UNSEEN, render

DATA = DataConfig(worlds={"sky": 3, "faces": 2}, image_size=16, frames=2)


@pytest.mark.parametrize(("count", "batch_size"), [(12, 4), (10, 3), (3, 7), (1, 4), (5, 5)])
def test_each_epoch_is_a_permutation(count, batch_size):
    steps = 6 * count  # enough for whole epochs
    order = np.concatenate([batches(count, batch_size, 0, step) for step in range(steps)])
    for epoch in order[: len(order) // count * count].reshape(-1, count):
        assert sorted(epoch) == list(range(count))


def test_a_batch_is_a_function_of_seed_and_step():
    assert np.array_equal(batches(1000, 16, 5, 123), batches(1000, 16, 5, 123))
    assert not np.array_equal(batches(1000, 16, 5, 123), batches(1000, 16, 6, 123))
    assert not np.array_equal(batches(1000, 16, 5, 123), batches(1000, 16, 5, 124))


def test_clips_of_all_labels_are_shown_where_labels_take_turns():
    """Every second clip is of one label, and so would every second of those be."""
    count = 5000
    video, labels = np.zeros((count, 1, 1, 1, 3), np.uint8), np.arange(count) % 2
    clips = Clips(video, labels, [str(number) for number in range(count)])
    chosen = clips.spread(2048)
    assert len(chosen) == len(set(chosen)) == 2048
    assert (np.diff(chosen) > 0).all() and chosen[0] < 50 and chosen[-1] > count - 50
    assert 0.45 < labels[chosen].mean() < 0.55
    assert len(clips.spread(9000)) == count


def test_training_seeds_differ_and_stay_below_the_unseen_ones():
    seeds = {world_seed(index) for index in range(100_000)}
    assert len(seeds) == 100_000 and max(seeds) < 2**31 < UNSEEN


def test_worlds_are_rendered_by_position(tmp_path):
    clips = prepare_worlds(DATA, tmp_path)
    assert clips.video.shape == (5, 2, 16, 16, 3) and clips.labels.tolist() == [0, 0, 0, 1, 1]
    assert clips.names[3] == f"faces:{world_seed(3)}"
    assert np.array_equal(clips.video[3], render("faces", world_seed(3), 2, 16).video)


def test_a_run_with_a_first_clip_of_its_own_sees_others(tmp_path):
    """Or one that goes on from another's model would see that one's clips again."""
    later = prepare_worlds(replace(DATA, first_clip=5), tmp_path)
    assert list(later.names) == [
        f"{name}:{world_seed(5 + k)}" for k, name in enumerate(["sky"] * 3 + ["faces"] * 2)
    ]
    assert np.array_equal(later.video[3], render("faces", world_seed(8), 2, 16).video)
    with pytest.raises(ValueError, match="belongs to other data"):
        prepare_worlds(DATA, tmp_path)
    prepare_worlds(DATA, tmp_path / "usual")  # whose key is that of folders before there was one
    key = json.loads((tmp_path / "usual" / "clips-done.json").read_text())["key"]
    assert key == {"worlds": DATA.worlds, "shape": [5, 2, 16, 16, 3], "fps": 8.0}


def test_several_processes_render_the_same(tmp_path, monkeypatch):
    alone = prepare_worlds(DATA, tmp_path / "alone", workers=1)
    monkeypatch.setattr(clips_module, "CHUNK", 3)
    together = prepare_worlds(DATA, tmp_path / "together", workers=2)
    assert np.array_equal(alone.video, together.video)


def test_workers_leave_signals_to_the_process_that_started_them():
    """A worker that a signal to the group ended would leave its chunk open for ever."""
    with clips_module._mapper(2) as mapped:
        handlers = list(mapped(signal.getsignal, [signal.SIGTERM, signal.SIGINT]))
    assert handlers == [signal.SIG_IGN] * 2  # and the pool has ended all the same


def test_a_stop_ends_the_workers_too(tmp_path, monkeypatch):
    monkeypatch.setattr(clips_module, "CHUNK", 2)
    with pytest.raises(Stopped, match="rendering stopped after 2 of 5 clips"):
        prepare_worlds(DATA, tmp_path, workers=2, stop=lambda: True)
    whole = prepare_worlds(DATA, tmp_path, workers=1)
    assert np.array_equal(whole.video[4], render("faces", world_seed(4), 2, 16).video)


def test_clips_that_were_deleted_are_rendered_again(tmp_path):
    before = prepare_worlds(DATA, tmp_path).video.copy()
    (tmp_path / "clips.npy").unlink()
    assert np.array_equal(prepare_worlds(DATA, tmp_path).video, before)


def test_rendering_stops_and_goes_on(tmp_path, monkeypatch):
    monkeypatch.setattr(clips_module, "CHUNK", 2)
    with pytest.raises(Stopped, match="rendering stopped after 2 of 5 clips"):
        prepare_worlds(DATA, tmp_path, workers=1, stop=lambda: True)
    drawn = []

    def counting(name, seed, *size):
        drawn.append(seed)
        return render(name, seed, *size)

    monkeypatch.setattr(clips_module, "render", counting)
    clips = prepare_worlds(DATA, tmp_path, workers=1)
    assert drawn == [world_seed(index) for index in (2, 3, 4)]
    for index, name in enumerate(["sky"] * 3 + ["faces"] * 2):
        assert np.array_equal(clips.video[index], render(name, world_seed(index), 2, 16).video)


def test_other_data_in_the_folder_is_refused(tmp_path):
    prepare_worlds(DATA, tmp_path)
    other = DataConfig(worlds={"sky": 3, "faces": 3}, image_size=16, frames=2)
    with pytest.raises(ValueError, match="belongs to other data"):
        prepare_worlds(other, tmp_path)
    turned = replace(DATA, worlds=dict(reversed(DATA.worlds.items())))  # labels follow the order
    with pytest.raises(ValueError, match="belongs to other data"):
        prepare_worlds(turned, tmp_path)


def test_a_full_disk_is_told_before_rendering(tmp_path, monkeypatch):
    usage = shutil.disk_usage(tmp_path)._replace(free=1000)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage)
    with pytest.raises(ValueError, match="GB are free there; make room"):
        prepare_worlds(DATA, tmp_path)


def test_textures_repeat_and_differ():
    first = texture(0, (16, 16), seed=0)
    assert np.array_equal(first, texture(0, (16, 16), seed=0)) and first.shape == (16, 16, 3)
    assert not np.array_equal(first, texture(1, (16, 16), seed=0))
    assert not np.array_equal(first, texture(0, (16, 16), seed=1))
    assert np.array_equal(texture(0, (16, 8), seed=0), first[:, 4:12])  # its middle


def test_balanced_draws_take_every_label_as_often_and_every_clip_of_it():
    labels = np.array([2] * 90 + [0] * 9 + [5])
    rng, video = np.random.default_rng(0), np.zeros((100, 1, 1, 1, 3), np.uint8)
    drawn = Clips(video, labels, [""] * 100).balanced(30_000, 0, rng)
    assert set(drawn.tolist()) == set(range(100))
    for label in (0, 2, 5):
        assert (labels[drawn] == label).mean() == pytest.approx(1 / 3, abs=0.011)  # 4 sigma
    counts = np.bincount(drawn)[90:99]  # the clips of label 0
    assert counts == pytest.approx(10_000 / 9, abs=134)  # 4 sigma


def test_balanced_draws_are_of_the_size_whose_turn_it_is_and_sort_it_once(monkeypatch):
    count, sorted_at = 400, []
    which = np.arange(count) % 4 // 3  # three of one size, and one of another
    labels, video = np.arange(count) // 8 % 3, np.zeros((count, 1, 1, 1, 3), np.uint8)
    clips = Clips(video, labels, [""] * count, sizes=((1, 1), (1, 2)), which=which)
    argsort = np.argsort

    def counting(values, **how):
        sorted_at.append(step)
        return argsort(values, **how)

    monkeypatch.setattr(np, "argsort", counting)
    for step in range(40):
        drawn = clips.balanced(300, step, np.random.default_rng(step))
        indices = clips.by_size[clips.turn(step)[0]]
        assert set(drawn) <= set(indices)
        assert len(np.unique(labels[drawn])) == 3
    assert len(sorted_at) == 2
