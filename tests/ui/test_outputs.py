"""Outputs are whole or absent, lie where they should, and make room for new ones."""

from __future__ import annotations

import json
import os
import shutil
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from fvdm_core import media
from fvdm_core.files import save_error
from ui.naming import Naming
from ui.outputs import OutputError, Outputs, loops
from ui.room import FILE_COST, size_of, trim
from ui.saved import home_name, is_name, new_name

FRAMES = np.random.default_rng(0).integers(0, 256, (3, 8, 8, 3), dtype=np.uint8)


def test_a_run_is_kept_with_video_frames_and_recipe(tmp_path: Path) -> None:
    session, job = new_name(), new_name()
    outputs = Outputs(tmp_path, naming=Naming("{label}-{seed}"))
    saved = outputs.save(session, job, FRAMES, 8, {"seed": 7})
    assert saved.folder == tmp_path / home_name(session) / f"any-7.{job}"
    assert (saved.name, saved.job) == ("any-7", job)
    video = media.read_video(saved.video)
    assert (video.frames.shape, video.fps) == ((3, 8, 8, 3), 8)
    assert json.loads(media.read_metadata(saved.video) or "") == {"seed": 7}
    assert json.loads(saved.recipe.read_text()) == {"seed": 7}
    assert [path.name for path in saved.frames] == ["0001.png", "0002.png", "0003.png"]
    for path, frame in zip(saved.frames, FRAMES, strict=True):
        np.testing.assert_array_equal(media.load_image(path, (8, 8)), frame)
        assert json.loads(media.read_metadata(path) or "") == {"seed": 7}
    assert Outputs(tmp_path).find(session, job) == saved
    assert Outputs(tmp_path).find(session, new_name()) is None
    assert Outputs(tmp_path).find("..", job) is None


def test_a_loop_is_played_without_its_first_frame_twice(tmp_path: Path) -> None:
    there_and_back = FRAMES[[0, 1, 2, 0]]
    saved = Outputs(tmp_path).save(new_name(), new_name(), there_and_back, 8, {})
    assert saved.about()["loops"] is True
    assert len(media.read_video(saved.video).frames) == len(saved.frames) == 4
    with Image.open(saved.gif) as gif:
        assert gif.n_frames == 3
    assert not loops(FRAMES) and not loops(FRAMES[:1]) and not loops(FRAMES[[0, 0, 0]])


def test_keyframes_lie_beside_the_run_and_inside_its_files(tmp_path: Path) -> None:
    saved = Outputs(tmp_path).save(new_name(), new_name(), FRAMES, 8, {}, {1: FRAMES[2]})
    assert list(saved.keyframes) == [1]
    np.testing.assert_array_equal(media.load_image(saved.keyframes[1], (8, 8)), FRAMES[2])
    for path in (saved.video, saved.gif, saved.frames[0], saved.frames[2]):
        assert list(json.loads(media.read_metadata(path) or "")["pictures"]) == ["1"]
    assert list(json.loads(saved.recipe.read_text())["pictures"]) == ["1"]


def test_recipes_in_frames_take_no_more_room_than_allowed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ui.outputs.MAX_IN_FRAMES", 3 * 100)
    saved = Outputs(tmp_path).save(new_name(), new_name(), FRAMES, 8, {"seed": 7}, {0: FRAMES[0]})
    assert json.loads(media.read_metadata(saved.frames[0]) or "") == {"seed": 7}
    assert "pictures" in json.loads(media.read_metadata(saved.video) or "")


def test_runs_are_found_again_newest_first_and_only_their_own(tmp_path: Path) -> None:
    mine, other = new_name(), new_name()
    outputs = Outputs(tmp_path)
    saved = [outputs.save(mine, new_name(), FRAMES, 8, {"seed": k}, says="Says.") for k in range(3)]
    for age, run in enumerate(saved):
        os.utime(run.folder, (1000 + age, 1000 + age))
    outputs.save(other, new_name(), FRAMES, 8, {"seed": 9})
    found = Outputs(tmp_path).runs(mine)
    assert found == saved[::-1]
    about = found[0].about()
    assert (about["seed"], about["frames"], about["says"]) == (2, 3, "Says.")
    assert found[0].thumb.stat().st_size < 20_000
    (found[1].folder / "about.json").write_text("[damaged")
    assert found[1].about() == {}
    assert outputs.runs("..") == outputs.runs(None) == outputs.runs(new_name()) == []

    assert not outputs.delete(other, saved[0].job), "another session's run stays"
    assert outputs.delete(mine, saved[0].job) and not saved[0].folder.exists()
    assert not outputs.delete(mine, saved[0].job)
    assert outputs.runs(mine) == [saved[2], saved[1]]


def test_a_run_of_before_names_were_given_is_found(tmp_path: Path) -> None:
    outputs, session = Outputs(tmp_path), new_name()
    saved = outputs.save(session, new_name(), FRAMES, 8, {})
    plain = saved.folder.with_name(saved.job)
    saved.folder.rename(plain)
    found = outputs.find(session, saved.job)
    assert found is not None and (found.folder, found.name) == (plain, "clip")
    assert outputs.runs(session) == [found]


def test_an_address_does_not_tell_the_session(tmp_path: Path) -> None:
    """The session's name may delete and stop; whoever is sent a link has the address only."""
    outputs, session = Outputs(tmp_path), new_name()
    saved = outputs.save(session, new_name(), FRAMES, 8, {})
    assert session not in saved.address and session not in str(saved.folder)
    _, home, job = saved.address.split("/")
    assert outputs.find_in(home, job) == saved
    assert outputs.find(home, job) is None and not outputs.delete(home, job)
    assert outputs.runs(home) == [] and saved.video.is_file()


def test_a_session_without_runs_leaves_no_folder(tmp_path: Path) -> None:
    outputs, session = Outputs(tmp_path), new_name()
    saved = outputs.save(session, new_name(), FRAMES, 8, {})
    assert outputs.delete(session, saved.job) and not any(tmp_path.iterdir())


def test_runs_are_saved_while_others_are_deleted(tmp_path: Path) -> None:
    outputs, session = Outputs(tmp_path), new_name()
    stop = threading.Event()

    def scan() -> None:
        while not stop.is_set():
            outputs.runs(session)
            outputs._remove_oldest(keep=tmp_path)

    with ThreadPoolExecutor() as pool:
        scanning = pool.submit(scan)
        for _ in range(12):
            outputs.delete(session, outputs.save(session, new_name(), FRAMES, 8, {}).job)
        stop.set()
        scanning.result()


def test_more_frames_in_a_second_than_a_gif_can_say(tmp_path: Path) -> None:
    saved = Outputs(tmp_path).save(new_name(), new_name(), FRAMES, 60, {})
    assert media.read_video(saved.video).fps == 60 and saved.gif.stat().st_size


def test_a_passing_folder_passes(tmp_path: Path) -> None:
    outputs = Outputs(tmp_path)
    with pytest.raises(KeyError), outputs.passing_folder() as folder:
        (folder / "a").write_bytes(b"x")
        raise KeyError
    assert not any(tmp_path.iterdir())


@pytest.mark.parametrize("as_media_says", [False, True])
def test_a_failed_save_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, as_media_says: bool
) -> None:
    def full(*args: Any, **kwargs: Any) -> None:
        if as_media_says:
            raise save_error(tmp_path / "clip.mp4", "No space left on device")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(media, "write_video", full)
    with pytest.raises(OutputError, match="No space left on device.*MB are free"):
        Outputs(tmp_path).save(new_name(), new_name(), FRAMES, 8, {})
    assert list(tmp_path.rglob("*.png")) == [] and list(tmp_path.iterdir()) == []


def test_drafts_of_a_crash_are_removed_at_start(tmp_path: Path) -> None:
    for name in (".unfinished-old", ".unfinished-new"):
        (tmp_path / name / "frames").mkdir(parents=True)
    os.utime(tmp_path / ".unfinished-old", (0, 0))
    Outputs(tmp_path)  # another studio may be about to save the new one
    assert [path.name for path in tmp_path.iterdir()] == [".unfinished-new"]


@pytest.mark.parametrize("name", ["../../etc", "a/b", "", "x" * 400, "..", "a b", None, "a\0b"])
def test_only_names_of_our_own_making(tmp_path: Path, name: Any) -> None:
    assert not is_name(name)
    outputs = Outputs(tmp_path / "root")
    for session, job in ((name, new_name()), (new_name(), name)):
        with pytest.raises(OutputError, match="names"):
            outputs.save(session, job, FRAMES, 8, {})
    assert not any((tmp_path / "root").iterdir())


def test_the_oldest_runs_make_room(tmp_path: Path) -> None:
    one = size_of(Outputs(tmp_path / "one").save(new_name(), new_name(), FRAMES, 8, {}).folder)
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


def test_the_newest_run_stays_though_it_takes_more_than_there_may_be(tmp_path: Path) -> None:
    outputs, session = Outputs(tmp_path, quota=1), new_name()
    first = outputs.save(session, new_name(), FRAMES, 8, {})
    assert first.video.is_file()
    second = outputs.save(session, new_name(), FRAMES, 8, {})
    assert second.video.is_file() and not first.folder.exists()


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
    two = 2 * (FILE_COST + 100)
    assert trim(tmp_path, two + 50, spare=frozenset({paths[0]})) == two
    assert [path.exists() for path in paths] == [True, False, False, True]


def test_files_of_nothing_take_room_too(tmp_path: Path) -> None:
    for name in range(10):
        (tmp_path / str(name)).touch()
    assert trim(tmp_path, 3 * FILE_COST) == 3 * FILE_COST and len(list(tmp_path.iterdir())) == 3


def test_who_has_most_loses_the_oldest(tmp_path: Path) -> None:
    outputs, few, many = Outputs(tmp_path), new_name(), new_name()
    first = outputs.save(few, new_name(), FRAMES, 8, {})
    runs = [outputs.save(many, new_name(), FRAMES, 8, {}) for _ in range(3)]
    for age, saved in enumerate((first, *runs)):
        os.utime(saved.folder, (1000 + age, 1000 + age))
    outputs.quota = int(3.5 * size_of(first.folder))
    outputs._remove_oldest(keep=tmp_path)
    assert [saved.folder.exists() for saved in (first, *runs)] == [True, False, True, True]
