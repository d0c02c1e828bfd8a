"""A folder of videos, good and bad: which clips come out, and what is said of the others."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from collections import Counter
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from fvdm_core import video_reader
from fvdm_core.decoder import ffmpeg
from fvdm_core.media import iterate_video, load_image, read_video, write_png, write_video
from train import folder as folder_module
from train.config import DataConfig
from train.folder import find_files, prepare_folder
from train.labels import labeller
from train.listing import Listing
from train.run import Stopped
from train.shares import groups_of, in_turn


def moving(frames: int, height: int = 32, width: int = 48) -> np.ndarray:
    """A square that moves over a gradient."""
    video = np.zeros((frames, height, width, 3), np.uint8)
    video[..., 0] = np.linspace(0, 255, width)
    for k in range(frames):
        video[k, 8:20, k % (width - 12) : k % (width - 12) + 12] = (20, 200, 90)
    return video


def make(path: Path, *arguments: str) -> None:
    """Let ffmpeg write a small file."""
    command = [ffmpeg(), "-v", "error", "-y", "-threads", "1", *arguments, str(path)]
    subprocess.run(command, check=True, stdin=subprocess.DEVNULL)


@pytest.fixture(scope="module")
def videos(tmp_path_factory) -> Path:
    """Six videos of 4-frame clips, seven files that are none, and some to be overlooked."""
    root = tmp_path_factory.mktemp("videos")
    (root / "more").mkdir()
    write_video(root / "a.mp4", moving(21), 8)  # five clips and one frame
    write_video(root / "more" / "b.webm", moving(9), 8)
    write_video(root / "c.gif", moving(4), 8)
    for suffix in ("mov", "mkv", "avi"):
        make(root / f"d.{suffix}", "-i", str(root / "a.mp4"), "-c", "copy")
    whole = (root / "a.mp4").read_bytes()
    (root / "damaged.mp4").write_bytes(whole[: len(whole) * 6 // 10])
    (root / "empty.MP4").write_bytes(b"")
    write_video(root / "short.gif", moving(3), 8)
    make(root / "sound.mp4", "-f", "lavfi", "-i", "sine=duration=0.5")
    (root / "text.mp4").write_text("these are not the frames you are looking for\n")
    write_png(root / "picture.avi", moving(1)[0])
    (root / "page.webm").write_text("<!DOCTYPE html><html>404</html>")
    (root / ".hidden.mp4").write_bytes(b"")
    (root / "notes.txt").write_text("left alone")
    return root


def config(root: Path, **options) -> DataConfig:
    return DataConfig(folder=str(root), image_size=16, frames=4, **options)


USED = {"a.mp4": 5, "c.gif": 1, "d.avi": 5, "d.mkv": 5, "d.mov": 5, "more/b.webm": 2}
SKIPPED = {
    "damaged.mp4": "damaged",
    "empty.MP4": "empty",
    "page.webm": "not a video",
    "picture.avi": "not a video",
    "short.gif": "too short",
    "sound.mp4": "only sound",
    "text.mp4": "not a video",
}


def test_good_and_bad_files_are_told_apart_and_counted(videos, tmp_path, capsys):
    clips = prepare_folder(config(videos), tmp_path)
    assert clips.video.shape == (23, 4, 16, 16, 3)
    assert clips.labels.tolist() == [0] * 23
    first = ["a.mp4@0", "a.mp4@4", "a.mp4@8", "a.mp4@12", "a.mp4@16", "more/b.webm@0"]
    assert clips.names[:6] == first  # the subfolder's first file has its turn
    used: dict[str, int] = {}
    for name in clips.names:
        file = name.rpartition("@")[0]
        used[file] = used.get(file, 0) + 1
    assert used == USED

    rows = json.loads((tmp_path / "skipped.json").read_text())
    assert {row["file"]: row["reason"] for row in rows} == SKIPPED
    assert all(Path(row["file"]).name in row["message"] for row in rows)
    assert (
        "23 clips from 6 videos; 7 skipped: 3 not a video, 1 damaged, 1 empty, 1 too short, "
        "1 only sound" in capsys.readouterr().out
    )
    truth = read_video(videos / "a.mp4", (16, 16)).frames
    assert np.array_equal(clips.video[:5].reshape(20, 16, 16, 3), truth[:20])


@pytest.fixture
def one_video(tmp_path) -> Path:
    root = tmp_path / "videos"
    root.mkdir()
    write_video(root / "a.mp4", moving(21), 8)
    return root


def test_stride_and_fit(one_video, tmp_path):
    clips = prepare_folder(config(one_video, stride=2, fit="stretch"), tmp_path / "out")
    truth = read_video(one_video / "a.mp4", (16, 16), "stretch").frames[::2]
    assert np.array_equal(clips.video.reshape(8, 16, 16, 3), truth[:8])
    assert list(clips.names) == ["a.mp4@0", "a.mp4@8"]


@pytest.mark.parametrize(
    ("hop", "starts"), [(2, range(0, 15, 2)), (4, (0, 4, 8, 12)), (10, (0, 10))]
)
def test_clips_begin_every_hop_frames(one_video, tmp_path, hop, starts):
    """Overlapping, one behind the other or apart."""
    truth = read_video(one_video / "a.mp4", (16, 16)).frames
    clips = prepare_folder(config(one_video, stride=2, hop=hop), tmp_path / "out", say=False)
    assert list(clips.names) == [f"a.mp4@{start}" for start in starts]
    for k, start in enumerate(starts):
        assert np.array_equal(clips.video[k], truth[start : start + 8 : 2])


def test_a_video_is_decoded_once_and_no_further_than_asked(one_video, tmp_path, monkeypatch):
    read = []

    def counting(*arguments):
        for frame in iterate_video(*arguments):
            read.append(arguments[0].name)
            yield frame

    monkeypatch.setattr(folder_module, "iterate_video", counting)
    prepare_folder(config(one_video), tmp_path / "whole")
    assert read == ["a.mp4"] * 21
    read.clear()
    some = prepare_folder(config(one_video, max_clips=2, hop=3), tmp_path / "some")
    assert list(some.names) == ["a.mp4@0", "a.mp4@3"]
    assert len(read) == 10  # a clip more, to know whether there is one


def test_damage_in_a_video_is_said_and_what_was_before_it_kept(
    one_video, tmp_path, monkeypatch, capsys
):
    def reading(*arguments):
        for count, frame in enumerate(iterate_video(*arguments)):
            if count == 10:
                raise ValueError("a.mp4 is damaged: it cannot be decoded")
            yield frame

    monkeypatch.setattr(folder_module, "iterate_video", reading)
    clips = prepare_folder(config(one_video), tmp_path / "out")
    assert list(clips.names) == ["a.mp4@0", "a.mp4@4"]
    assert "; 1 read in part: skipped.json says why" in capsys.readouterr().out
    (row,) = json.loads((tmp_path / "out" / "skipped.json").read_text())
    assert (row["reason"], row["clips"]) == ("damaged", 2)


def test_folders_behind_links_are_read_once(one_video, tmp_path):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    write_video(elsewhere / "b.gif", moving(8), 8)
    (one_video / "linked").symlink_to(elsewhere)
    (one_video / "round").symlink_to(one_video)
    assert find_files(one_video) == ["a.mp4", "linked/b.gif"]


def test_a_folder_that_cannot_be_read_is_named(one_video, monkeypatch):
    (one_video / "shut").mkdir()
    scandir = os.scandir

    def refuse(path):  # the tests may be run by root, who may read all
        if os.fspath(path).endswith("shut"):
            raise PermissionError(13, "Permission denied", path)
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)
    with pytest.raises(ValueError, match="the folder shut cannot be read: Permission denied"):
        find_files(one_video)


def test_no_more_clips_than_asked_for(one_video, tmp_path, capsys):
    write_video(one_video / "b.gif", moving(8), 8)
    assert len(prepare_folder(config(one_video, max_clips=3), tmp_path / "out")) == 3
    assert "; 1 not read, as --max-clips was reached" in capsys.readouterr().out


def test_too_many_clips_lose_a_part_of_every_class():
    def order(files, label_of):
        return in_turn(groups_of(files, label_of, lambda name: name > "4", labelled=False))

    files = ["a/1", "a/2", "a/3", "b/1", "b/2", "c/1"]
    assert order(files, labeller("folders"))[:3] == ["a/1", "b/1", "c/1"]
    flat = ["1", "2", "3", "4"]
    assert order(flat, lambda file: "low" if file < "3" else "high") == ["1", "3", "2", "4"]
    assert order(flat, labeller("")) == flat
    assert order([*flat, "5", "6"], labeller("")) == ["1", "5", "2", "6", "3", "4"]  # as pictures


def test_hours_of_8k_may_pass_through():
    """Frames are streamed: what all of them would take is nobody's memory."""
    frames, height, width = folder_module.LIMITS.frames, 4320, 7680
    times = range(frames)
    index = SimpleNamespace(times=times, height=height, width=width, size=f"{width}×{height}")
    video_reader._check_decoded("a.mp4", index, frames, folder_module.LIMITS)
    assert height * width <= folder_module.LIMITS.pixels


@pytest.mark.parametrize("limit", [{"frames": 20}, {"seconds": 2}])
def test_what_is_beyond_the_limits_is_counted_as_that(one_video, tmp_path, monkeypatch, limit):
    write_video(one_video / "b.gif", moving(4, 16, 16), 8)
    monkeypatch.setattr(folder_module, "LIMITS", replace(folder_module.LIMITS, **limit))
    prepare_folder(config(one_video), tmp_path / "out", say=False)
    (row,) = json.loads((tmp_path / "out" / "skipped.json").read_text())
    assert (row["file"], row["reason"]) == ("a.mp4", "beyond the limits")


def of_clips(root: Path, files: dict[str, int]) -> Path:
    """Videos of so many clips of 4 frames."""
    for name, clips in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        write_video(root / f"{name}.gif", moving(4 * clips), 8)
    return root


@pytest.fixture
def unlike(tmp_path) -> Path:
    """A long video, and three classes with short ones."""
    return of_clips(tmp_path / "videos", {"a/1": 8, "b/1": 2, "c/1": 1, "d/1": 3})


def counted(clips) -> dict[str, int]:
    return dict(Counter(name[0] for name in clips.names))


@pytest.mark.parametrize(
    ("files", "most", "given"),
    [
        ({"a/1": 8, "b/1": 2, "c/1": 1, "d/1": 3}, 8, {"a": 2, "b": 2, "c": 1, "d": 3}),
        ({"a/1": 1, "b/1": 8, "c/1": 8}, 9, {"a": 1, "b": 4, "c": 4}),
        ({"a/1": 8, "a/2": 8, "b/1": 1, "b/2": 8}, 8, {"a": 4, "b": 4}),  # a/2 has to wait
        ({"a/1": 8, "a/2": 8, "b/1": 1, "b/2": 2}, 8, {"a": 5, "b": 3}),
    ],
)
def test_a_long_video_leaves_room_for_the_other_classes(tmp_path, capsys, files, most, given):
    root = of_clips(tmp_path / "videos", files)
    clips = prepare_folder(config(root, max_clips=most, labels="folders"), tmp_path / "out")
    assert counted(clips) == given
    assert f"labels: {len(given)}; 0 skipped" in capsys.readouterr().out


@pytest.mark.parametrize("stops", [[], [1], [4], [5], [2, 5]])
def test_what_the_others_leave_the_long_video_gives(unlike, tmp_path, capsys, stops):
    """From where it stopped, and in the same order when the reading was stopped in between."""
    chosen = config(unlike, max_clips=12, labels="folders")
    files = 0

    def stop() -> bool:
        nonlocal files
        own = sys._getframe(1).f_code.co_name == "_read_files"  # and not between two clips
        files += own
        return own and files in stops

    for _ in stops:
        with pytest.raises(Stopped):
            prepare_folder(chosen, tmp_path / "out", stop=stop)
    clips = prepare_folder(chosen, tmp_path / "out", stop=stop)
    assert counted(clips) == {"a": 6, "b": 2, "c": 1, "d": 3}
    assert "12 clips from 4 videos" in capsys.readouterr().out
    mine = [number for number, name in enumerate(clips.names) if name[0] == "a"]
    assert mine == [0, 1, 2, 9, 10, 11]
    assert [clips.names[k] for k in mine] == [f"a/1.gif@{4 * k}" for k in range(6)]
    truth = read_video(unlike / "a/1.gif", (16, 16)).frames[:24]
    assert np.array_equal(clips.video[mine].reshape(truth.shape), truth)
    assert (clips.labels[mine] == 0).all()


def test_a_video_that_gave_just_its_share_is_not_read_again(unlike, tmp_path, capsys):
    clips = prepare_folder(config(unlike, max_clips=32, labels="folders"), tmp_path / "out")
    assert counted(clips) == {"a": 8, "b": 2, "c": 1, "d": 3}
    lines = (tmp_path / "out" / "files.jsonl").read_text().splitlines()
    assert sum('"a/1.gif"' in line for line in lines) == 1  # a fourth of 32
    assert "14 clips from 4 videos, labels: 4; 0 skipped: none\n" in capsys.readouterr().out
    assert json.loads((tmp_path / "out" / "skipped.json").read_text()) == []


def test_what_is_left_comes_from_few_videos_and_each_goes_on_where_it_was(tmp_path, monkeypatch):
    long = {f"{name}/1": 24 for name in "abcdefgh"}
    root = of_clips(tmp_path / "videos", {**long, "z/1": 18})
    starts, real = [], folder_module.iterate_video

    def watched(*arguments):
        starts.append(arguments[-1])
        return real(*arguments)

    monkeypatch.setattr(folder_module, "iterate_video", watched)
    chosen = config(root, max_clips=9 * 20, labels="folders")
    clips = prepare_folder(chosen, tmp_path / "out", say=False)
    assert counted(clips) == dict.fromkeys("bcdefgh", 20) | {"a": 22, "z": 18}
    assert starts == [0] * 9 + [79]  # the last frame of the twentieth clip
    truth = read_video(root / "a/1.gif", (16, 16)).frames[80:88]
    assert np.array_equal(clips.video[-2:].reshape(truth.shape), truth)


def test_files_without_a_label_take_no_share(tmp_path):
    root = of_clips(tmp_path / "videos", {"1": 8, "2": 8, "3": 8, "4": 8})
    table = tmp_path / "labels.csv"
    table.write_text("file,label\n1.gif,sea\n")
    chosen = config(root, max_clips=8, labels=str(table))
    prepare_folder(chosen, tmp_path / "out", say=False)
    first = json.loads((tmp_path / "out" / "files.jsonl").read_text().splitlines()[0])
    assert (first["file"], first["clips"]) == ("1.gif", 8)


def test_pictures_leave_room_for_the_videos(one_video, tmp_path):
    for number in range(12):
        write_png(one_video / f"IMG_{number:02}.png", moving(1)[0])
    chosen = config(one_video, max_clips=8, pictures="stills")
    clips = prepare_folder(chosen, tmp_path / "out", say=False)
    assert 0 < int(clips.still(np.arange(8)).sum()) < 8


def test_a_folder_whose_name_is_no_text_is_a_label_that_can_be_written():
    label = labeller("folders")(os.fsdecode(b"caf\xe9/clip.mp4"))
    assert json.dumps(label).encode() and label.encode("utf-8") == b"caf\\udce9"


def test_what_lies_before_the_damage_is_taken_from_the_first_piece_too(tmp_path):
    folder = tmp_path / "frames" / "sea"
    folder.mkdir(parents=True)
    truth = moving(15, 16, 16)
    for k in range(15):
        write_png(folder / f"{k}.png", truth[k])
    (folder / "13.png").write_bytes(b"no picture")
    clips = prepare_folder(config(tmp_path / "frames", pictures="frames"), tmp_path / "out")
    assert list(clips.names) == ["sea@0", "sea@4", "sea@8"]
    assert np.array_equal(clips.video[2], truth[8:12])
    (row,) = json.loads((tmp_path / "out" / "skipped.json").read_text())
    assert (row["reason"], row["clips"]) == ("not a picture", 3)


WITHIN = [False] * 4  # between the five clips of one_video


@pytest.mark.parametrize("finished", [False, True])
def test_clips_that_were_lost_are_missed(one_video, tmp_path, finished):
    write_video(one_video / "b.gif", moving(8), 8)
    asked = iter([False, *WITHIN, not finished, not finished, not finished])
    with contextlib.suppress(Stopped):
        prepare_folder(config(one_video), tmp_path / "out", stop=lambda: next(asked))
    raw = tmp_path / "out" / "clips.raw"
    raw.write_bytes(raw.read_bytes()[:-1])
    with pytest.raises(ValueError, match="lost or cut short"):
        prepare_folder(config(one_video), tmp_path / "out")
    raw.unlink()
    with pytest.raises(ValueError, match="lost or cut short"):
        prepare_folder(config(one_video), tmp_path / "out")


def test_reading_stops_within_a_long_video_and_reads_it_anew(one_video, tmp_path):
    whole = prepare_folder(config(one_video), tmp_path / "whole")
    asked = iter([False, True])  # before the video, and before its second clip
    with pytest.raises(Stopped, match="after 1 of its clips"):
        prepare_folder(config(one_video), tmp_path / "parts", stop=lambda: next(asked))
    again = prepare_folder(config(one_video), tmp_path / "parts")
    assert np.array_equal(again.video, whole.video)


def test_reading_stops_and_goes_on(one_video, tmp_path, monkeypatch):
    write_video(one_video / "b.gif", moving(8), 8)
    write_video(one_video / "c.gif", moving(4), 8)
    whole = prepare_folder(config(one_video), tmp_path / "whole")

    asked = iter([False, *WITHIN, True])
    with pytest.raises(Stopped, match="reading stopped; 2 of 3 files are left"):
        prepare_folder(config(one_video), tmp_path / "parts", stop=lambda: next(asked))
    with (tmp_path / "parts" / "clips.raw").open("ab") as raw:
        raw.write(b"half a video, as kill -9 leaves it")
    with (tmp_path / "parts" / "files.jsonl").open("ab") as lines:
        lines.write(b'{"file": "b.gif", "cli')
    read = []

    def counting(path, *options):
        read.append(path.name)
        return iterate_video(path, *options)

    monkeypatch.setattr(folder_module, "iterate_video", counting)
    parts = prepare_folder(config(one_video), tmp_path / "parts")
    assert set(read) == {"b.gif", "c.gif"}
    assert np.array_equal(parts.video, whole.video) and list(parts.names) == list(whole.names)

    read.clear()
    (one_video / "d.gif").write_bytes((one_video / "c.gif").read_bytes())
    assert len(prepare_folder(config(one_video), tmp_path / "parts")) == len(whole)
    assert not read  # the data of a run stay what they were when it began


def test_other_settings_need_another_folder(one_video, tmp_path):
    prepare_folder(config(one_video), tmp_path / "out")
    with pytest.raises(ValueError, match=r"made from other data \(stride differ\)"):
        prepare_folder(config(one_video, stride=2), tmp_path / "out")


def test_folders_without_a_usable_video(tmp_path):
    root = tmp_path / "videos"
    with pytest.raises(ValueError, match="there is no folder .*videos"):
        prepare_folder(config(root), tmp_path / "out")
    root.mkdir()
    with pytest.raises(ValueError, match=r"there is no video below .*files ending in \.mp4"):
        prepare_folder(config(root), tmp_path / "out")
    (root / "a.mp4").write_bytes(b"")
    write_video(root / "b.gif", moving(2), 8)
    with pytest.raises(ValueError, match=r"none of the 2 files .*\(1 empty, 1 too short skipped\)"):
        prepare_folder(config(root), tmp_path / "out")
    write_video(root / "b.gif", moving(4), 8)  # mended: the same command goes on
    assert len(prepare_folder(config(root), tmp_path / "out")) == 1


def test_a_file_name_does_not_decide_the_reason(tmp_path):
    root = tmp_path / "videos"
    root.mkdir()
    write_video(root / "b.gif", moving(4), 8)
    (root / "damaged.mp4").write_text("no video at all")
    prepare_folder(config(root), tmp_path / "out", say=False)
    (row,) = json.loads((tmp_path / "out" / "skipped.json").read_text())
    assert row["reason"] == "not a video"


def test_files_are_found_in_one_order(videos):
    assert find_files(videos) == sorted([*USED, *SKIPPED])


@pytest.fixture(scope="module")
def labelled(tmp_path_factory) -> Path:
    """As UCF101 is laid out, with a picture, and a video that lies outside of the folders."""
    root = tmp_path_factory.mktemp("labelled")
    for folder in ("Jump", "Bow", "Empty"):
        (root / folder).mkdir()
    write_video(root / "Jump" / "v_1.gif", moving(8), 8)
    write_video(root / "Bow" / "v_1.gif", moving(5), 8)
    write_video(root / "loose.gif", moving(4), 8)
    (root / "Empty" / "no.mp4").write_bytes(b"")
    write_png(root / "Bow" / "p.png", moving(1)[0])
    (root / "Jump" / "broken.jpg").write_bytes(b"nothing of the kind")
    return root


def test_subfolders_are_labels(labelled, tmp_path, capsys):
    clips = prepare_folder(config(labelled, labels="folders"), tmp_path)
    assert clips.label_names == ("Bow", "Jump")  # of a label without clips nothing can be learned
    assert clips.labels.tolist() == [0, 1, 1]
    assert list(clips.names) == ["Bow/v_1.gif@0", "Jump/v_1.gif@0", "Jump/v_1.gif@4"]
    said = capsys.readouterr().out
    assert "labels: 2; 2 skipped: 1 empty, 1 without a label" in said


def test_a_csv_gives_labels(labelled, tmp_path):
    table = tmp_path / "labels.csv"
    table.write_text('\ufefflabel,file\nup,Jump/v_1.gif\n"down, slowly",./loose.gif\n', "utf-8")
    clips = prepare_folder(config(labelled, labels=str(table)), tmp_path / "out")
    assert clips.label_names == ("down, slowly", "up")
    assert dict(zip(clips.names, clips.labels.tolist(), strict=True)) == {
        "Jump/v_1.gif@0": 1,
        "Jump/v_1.gif@4": 1,
        "loose.gif@0": 0,
    }
    table.unlink()
    assert len(prepare_folder(config(labelled, labels=str(table)), tmp_path / "out")) == 3


def test_rows_that_name_no_file_are_counted_and_accents_found(tmp_path, capsys):
    """macOS writes an é as e and an accent; in a CSV it is one letter, most often."""
    root, table = tmp_path / "videos", tmp_path / "labels.csv"
    root.mkdir()
    write_video(root / "cafe\u0301.gif", moving(4), 8)
    write_video(root / "na\u00efve.gif", moving(4), 8)
    rows = ["caf\u00e9.gif,a", "nai\u0308ve.gif,b", "videos/x.gif,a", "videos/y.gif,a"]
    table.write_text("\n".join(["file,label", *rows]), "utf-8")
    clips = prepare_folder(config(root, labels=str(table)), tmp_path / "out")
    assert clips.label_names == ("a", "b") and len(clips) == 2
    said = "2 rows of the CSV name no file here, such as videos/x.gif"
    assert f"0 skipped: none; {said}" in capsys.readouterr().out
    table.write_text("file,label\nvideos/x.gif,a\n", "utf-8")
    with pytest.raises(ValueError, match=r"2 without a label .*; 1 row of the CSV names no file"):
        prepare_folder(config(root, labels=str(table)), tmp_path / "other")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a.mp4,up\n", "must begin with a line that names the columns file,label"),
        ("file,label\na.mp4,\n", "line 2: a row is a file and a label"),
        ("file,label\na.mp4,up\na.mp4,down\n", "line 3: a.mp4 has another label above"),
        ("file,label\na.mp4," + "x" * 101, "line 2: .* 1 to 100 characters"),
        ("file,label\n\xff\xfe", "is not a CSV in UTF-8"),
    ],
)
def test_a_wrong_csv_is_refused_by_line(labelled, tmp_path, text, words):
    table = tmp_path / "labels.csv"
    table.write_bytes(text.encode("latin-1"))
    with pytest.raises(ValueError, match=words):
        prepare_folder(config(labelled, labels=str(table)), tmp_path / "out")
    with pytest.raises(ValueError, match="there is no file .*nowhere.csv"):
        prepare_folder(config(labelled, labels="nowhere.csv"), tmp_path / "out2")


def test_pictures_are_clips_of_one_frame(labelled, tmp_path):
    clips = prepare_folder(config(labelled, pictures="stills", labels="folders"), tmp_path)
    assert list(clips.names) == ["Bow/p.png", "Bow/v_1.gif@0", "Jump/v_1.gif@0", "Jump/v_1.gif@4"]
    assert clips.still(np.arange(4)).tolist() == [True, False, False, False]
    assert np.array_equal(clips.video[0, 0], load_image(labelled / "Bow" / "p.png", (16, 16)))
    truth = read_video(labelled / "Bow" / "v_1.gif", (16, 16)).frames
    assert np.array_equal(clips.video[1], truth[:4])
    rows = json.loads((tmp_path / "skipped.json").read_text())
    assert {"Jump/broken.jpg", "Empty/no.mp4", "loose.gif"} == {row["file"] for row in rows}


def test_pictures_alone_are_not_enough(tmp_path):
    (tmp_path / "pictures").mkdir()
    write_png(tmp_path / "pictures" / "a.png", moving(1)[0])
    stills, beside = config(tmp_path / "pictures", pictures="stills"), "beside at least one video"
    with pytest.raises(ValueError, match=f"there are only pictures below .*{beside}"):
        prepare_folder(stills, tmp_path / "out")
    assert not (tmp_path / "out" / "clips.raw").exists()  # and none was read for that
    (tmp_path / "pictures" / "b.mp4").write_bytes(b"")
    with pytest.raises(ValueError, match=rf"none of the 2 files .*\(1 empty skipped\).*{beside}"):
        prepare_folder(stills, tmp_path / "out")


def test_a_start_reads_no_line_per_clip(one_video, tmp_path, monkeypatch):
    """Once all is read, a start takes the summary and maps the rest, however many files."""
    prepare_folder(config(one_video), tmp_path / "out", say=False)

    def forbidden(self):
        raise AssertionError("the list of files was read")

    monkeypatch.setattr(Listing, "files", forbidden)
    clips = prepare_folder(config(one_video), tmp_path / "out", say=False)
    assert isinstance(clips.video, np.memmap) and isinstance(clips.labels, np.memmap)
    assert clips.names[4] == "a.mp4@16" and clips.labels[:].tolist() == [0] * 5


def test_a_folder_of_frames_is_a_video(tmp_path):
    """As SkyTimelapse is released; what is not a frame is left alone, what is broken named."""
    root = tmp_path / "frames"
    for folder in ("sea/long", "sea/short", "broken"):
        (root / folder).mkdir(parents=True)
    truth = moving(11, 16, 16)
    for k in range(11):
        write_png(root / "sea" / "long" / f"v_{k}.png", truth[k])  # v_10 comes last
        if k < 2:
            write_png(root / "sea" / "short" / f"{k}.png", truth[k])
        (root / "broken" / f"{k}.jpg").write_bytes(b"no picture")
    (root / "sea" / "long" / "v_3.txt").write_text("left alone")
    options = {"pictures": "frames", "labels": "folders", "stride": 2, "hop": 4}
    clips = prepare_folder(config(root, **options), tmp_path / "out")
    assert list(clips.names) == ["sea/long@0", "sea/long@4"] and clips.label_names == ("sea",)
    for k, start in enumerate((0, 4)):
        assert np.array_equal(clips.video[k], truth[start : start + 8 : 2])
    assert not clips.still(np.arange(2)).any()
    rows = json.loads((tmp_path / "out" / "skipped.json").read_text())
    found = {row["file"]: row["reason"] for row in rows}
    assert found == {"broken": "without a label", "sea/short": "too short"}

    unlabelled = prepare_folder(config(root, pictures="frames"), tmp_path / "out2")
    assert len(unlabelled) == 2
    rows = json.loads((tmp_path / "out2" / "skipped.json").read_text())
    assert {row["file"]: row["reason"] for row in rows}["broken"] == "not a picture"
