"""Outputs are whole or absent, lie where they should, and make room for new ones."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fvdm_core import media
from ui.outputs import OutputError, Outputs, _size, is_name, new_name, trim

FRAMES = np.random.default_rng(0).integers(0, 256, (3, 8, 8, 3), dtype=np.uint8)


def test_a_run_is_kept_with_video_frames_and_recipe(tmp_path: Path) -> None:
    session, job = new_name(), new_name()
    saved = Outputs(tmp_path).save(session, job, FRAMES, 8, {"seed": 7})
    assert saved.folder == tmp_path / session / job
    video = media.read_video(saved.video)
    assert (video.frames.shape, video.fps) == ((3, 8, 8, 3), 8)
    assert json.loads(media.read_metadata(saved.video) or "") == {"seed": 7}
    assert json.loads(saved.recipe.read_text()) == {"seed": 7}
    assert [path.name for path in saved.frames] == ["0001.png", "0002.png", "0003.png"]
    for path, frame in zip(saved.frames, FRAMES, strict=True):
        np.testing.assert_array_equal(media.load_image(path, (8, 8)), frame)
    assert Outputs(tmp_path).find(session, job) == saved
    assert Outputs(tmp_path).find(session, new_name()) is None
    assert Outputs(tmp_path).find("..", job) is None


def test_a_failed_save_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*args: Any, **kwargs: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(media, "write_video", full)
    with pytest.raises(OutputError, match="No space left on device.*MB are free"):
        Outputs(tmp_path).save(new_name(), new_name(), FRAMES, 8, {})
    assert list(tmp_path.rglob("*.png")) == [] and list(tmp_path.iterdir()) == []


def test_drafts_of_a_crash_are_removed_at_start(tmp_path: Path) -> None:
    (tmp_path / ".unfinished-x" / "frames").mkdir(parents=True)
    Outputs(tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["../../etc", "a/b", "", "x" * 400, "..", "a b", None, "a\0b"])
def test_only_names_of_our_own_making(tmp_path: Path, name: Any) -> None:
    assert not is_name(name)
    outputs = Outputs(tmp_path / "root")
    for session, job in ((name, new_name()), (new_name(), name)):
        with pytest.raises(OutputError, match="names"):
            outputs.save(session, job, FRAMES, 8, {})
    assert not any((tmp_path / "root").iterdir())


def test_the_oldest_runs_make_room(tmp_path: Path) -> None:
    one = _size(Outputs(tmp_path / "one").save(new_name(), new_name(), FRAMES, 8, {}).folder)
    tmp_path = tmp_path / "all"
    outputs = Outputs(tmp_path, quota=int(2.5 * one))
    session = new_name()
    folders = []
    for age in range(5):
        folders.append(outputs.save(session, new_name(), FRAMES, 8, {}).folder)
        os.utime(folders[-1], (1000 + age, 1000 + age))
    assert [folder.exists() for folder in folders] == [False, False, False, True, True]
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "holiday.png").write_bytes(b"x" * 9000)
    outputs.save(session, new_name(), FRAMES, 8, {})
    assert (tmp_path / "mine" / "holiday.png").exists()  # not ours, so never removed


def test_a_full_disk_is_said_before_anything_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    outputs = Outputs(tmp_path)
    usage = shutil.disk_usage(tmp_path)._replace(free=3 << 20)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
    with pytest.raises(OutputError, match="3 MB are free"):
        outputs.save(new_name(), new_name(), FRAMES, 8, {})
    assert not any(tmp_path.iterdir())


def test_a_recipe_with_nan_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError):
        Outputs(tmp_path).save(new_name(), new_name(), FRAMES, 8, {"x": float("nan")})
    assert not any(tmp_path.iterdir())


def test_trim_removes_the_oldest_uploads_and_spares_the_examples(tmp_path: Path) -> None:
    paths = []
    for age in range(4):
        paths.append(tmp_path / f"folder{age}" / "a.png")
        paths[-1].parent.mkdir()
        paths[-1].write_bytes(b"x" * 100)
        os.utime(paths[-1], (1000 + age, 1000 + age))
    assert trim(tmp_path, 250, spare=frozenset({paths[0]})) == 200
    assert [path.exists() for path in paths] == [True, False, False, True]
