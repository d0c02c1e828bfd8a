"""Evaluation: toys with known answers, and the two programs on a tiny model."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from toys import Frozen, Jumps, LosesBalls, RealClips, real_clips

from fvdm_core.timeline import Timeline
from train import evaluate as program
from train import gallery
from train.evaluation import constancy, photographs, sets, truth
from train.evaluation.common import FROM_NOISE, TASKS, preset, psnr
from train.evaluation.network import NetworkConfig, WorldNetwork, save_network
from train.evaluation.scores import evaluate, table
from train.gallery import FRAME, KEYFRAME_SEEDS, KEYFRAME_SIZE, Row, draw_sheet
from train.worlds import UNSEEN, WORLDS, render

KEYFRAMES = Path(__file__).resolve().parents[2] / "assets" / "keyframes"


def same(video):
    return video


class Means:
    """Features that see nothing but the brightness."""

    distance, protocol = "brightness", "mean of a clip"

    def __call__(self, videos):
        return videos.reshape(len(videos), -1).mean(1, keepdims=True)


def test_real_clips_get_full_marks():
    model = RealClips("collisions", "figures")
    collisions, figures = evaluate(model, same, seeds=4, keyframe_seeds=2)
    for score in (collisions, figures):
        assert score.psnr == 100.0
        assert score.motion == pytest.approx(dict.fromkeys(FROM_NOISE, 1.0))
        assert set(score.kept_psnr.values()) == {100.0}
        assert all(0.5 < jump < 1.6 for jump in score.jump.values())
    assert (collisions.balls, collisions.balls_ceiling) == (dict.fromkeys(FROM_NOISE, 1.0), 1.0)
    assert (figures.balls, figures.balls_ceiling) == (None, None)
    # seeds are 0, 1, 2, …: none is selected
    asked = [seed for label, seed in model.asked if label == "figures"]
    assert asked == [*range(4)] * len(FROM_NOISE) + [*range(2)] * 2


def test_clips_that_stand_still_have_no_motion():
    (score,) = evaluate(Frozen("figures"), same, seeds=2, keyframe_seeds=1)
    assert set(score.motion.values()) == {0.0}


def test_lost_balls_lower_the_share_and_not_the_ceiling():
    (score,) = evaluate(LosesBalls("collisions"), same, seeds=4, keyframe_seeds=1)
    assert (score.balls, score.balls_ceiling) == (dict.fromkeys(FROM_NOISE, 0.5), 1.0)


def test_a_jump_beside_a_kept_frame_shows():
    (smooth,) = evaluate(RealClips("figures"), same, seeds=1, keyframe_seeds=1)
    (score,) = evaluate(Jumps("figures"), same, seeds=1, keyframe_seeds=1)
    assert score.jump["image-to-video"] > 5 * smooth.jump["image-to-video"]
    assert score.kept_psnr["image-to-video"] == 100.0  # frame 1 itself is right
    assert score.kept_psnr["interpolation"] < 30  # frame 16 is not


def test_the_autoencoder_is_measured_on_unseen_clips():
    seen = []

    def noisy(video):
        seen.append(video)
        return np.where(video > 127, video - 8, video + 8).astype(np.uint8)

    (score,) = evaluate(RealClips("faces"), noisy, seeds=2, keyframe_seeds=1)
    assert score.psnr == pytest.approx(10 * np.log10(255**2 / 64))
    assert np.array_equal(seen[1], render("faces", UNSEEN + 1).video)


def test_psnr_by_hand():
    black, grey = np.zeros((2, 4, 4, 3), np.uint8), np.full((2, 4, 4, 3), 51, np.uint8)
    assert psnr(black, grey) == pytest.approx(20 * np.log10(5))
    assert psnr(grey, grey) == 100.0


@pytest.mark.parametrize("frames", [17, 32])
def test_a_model_of_many_frames_sees_all_of_them_at_once(frames, monkeypatch):
    """Its own number, not the usual 16: 30 rows in one window, in every section and the gallery."""
    model = real_clips("faces", frames=frames, size=16)
    evaluate(model, same, seeds=1, keyframe_seeds=1)
    truth.measure(model, same, seeds=1)
    constancy.measure(model, same, seeds=1)
    sets.measure(model, Means(), seeds=2)
    monkeypatch.setattr(gallery, "SEEDS", range(1))
    gallery.draw_samples(model, "faces")
    gallery.draw_keyframe_tasks(model, "faces")
    assert len(model.timelines) == 5 + 2 + 3 + 10 + 5
    for timeline in model.timelines:
        assert (timeline.frames, timeline.num_steps) == (frames, 30)
        assert timeline.windows is None
        up = (np.diff(timeline.levels[:, 0]) > 0).sum()  # of a restart: noise costs nothing
        assert timeline.model_calls == 30 - up


@pytest.mark.parametrize("frames", [2, 3, 8, 16])
def test_a_model_of_few_frames_is_measured_as_ever(frames):
    model = real_clips("faces", frames=frames)
    for name in (*FROM_NOISE, *TASKS):
        if name != "interpolation" or frames > 2:
            usual = Timeline.preset(name, frames=frames, steps=30)
            assert np.array_equal(preset(name, model).levels, usual.levels)


def test_balls_are_left_out_of_small_pictures():
    """They are found from 64 pixels on; all else is measured."""
    model = real_clips("collisions", "faces", size=32)
    collisions, faces = evaluate(model, same, seeds=1, keyframe_seeds=1)
    assert (collisions.balls, collisions.balls_ceiling) == (None, None)
    assert collisions.psnr == faces.psnr == 100.0
    assert set(collisions.kept_psnr) == set(TASKS)
    rows = constancy.measure(model, same, seeds=1)
    assert {row.world for row in rows} == {"faces"}
    assert "no balls in pictures of 64" in constancy.table([])


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(
    ("frames", "tasks"),
    [(1, ()), (2, ("image-to-video",)), (3, ("image-to-video", "interpolation"))],
)
def test_tasks_that_need_more_frames_are_left_out(frames, tasks, tmp_path):
    model = real_clips("figures", frames=frames, size=16)
    scores = evaluate(model, same, seeds=1, keyframe_seeds=1)
    assert tuple(scores[0].kept_psnr) == tuple(scores[0].jump) == tasks
    assert "nan" not in table(scores)
    assert np.isnan(scores[0].motion["standard"]) == (frames == 1)
    assert {row.task for row in truth.measure(model, same, seeds=1)} == {
        *(["next-frame"] if frames > 1 else []),
        *(["interpolation"] if frames > 2 else []),
    }
    (found,) = sets.measure(model, Means(), seeds=2)
    assert set(found.frechet) == {"real", *FROM_NOISE, *tasks}
    lines = sets.table([found], "distance").splitlines()
    assert len(lines) == 4 and len({len(line) for line in lines}) == 1
    assert len(gallery.draw_gallery(model, tmp_path)) == (2 if tasks else 1)


def test_models_of_something_else_are_refused():
    with pytest.raises(ValueError, match="labels are cats; only models of the worlds sky"):
        evaluate(RealClips("cats"), same)
    with pytest.raises(ValueError, match="labels are none"):
        evaluate(RealClips(), same)
    with pytest.raises(ValueError, match="seeds is 0"):
        evaluate(RealClips("sky"), same, seeds=0)


def test_the_table_has_a_row_per_world():
    scores = evaluate(RealClips("collisions"), same, seeds=1, keyframe_seeds=1)
    head, rule, row = table(scores).splitlines()
    assert len({len(head), len(rule), len(row)}) == 1
    assert "| collisions | 100.0 " in row and "| 100% " in row


def test_only_the_worlds_that_are_named_are_measured():
    model = RealClips("sky", "collisions")
    (score,) = evaluate(model, same, seeds=1, keyframe_seeds=1, worlds=["collisions"])
    assert score.world == "collisions"
    with pytest.raises(ValueError, match="no label faces; its labels are sky, collisions"):
        evaluate(model, same, seeds=1, keyframe_seeds=1, worlds=["sky", "faces"])


def test_what_was_measured_before_a_failure_is_printed(finished_run, capsys):
    command = ["--model", str(finished_run / "model"), "--seeds", "1", "--keyframe-seeds", "1"]
    assert program.main([*command, "--sections", "worlds", "photographs", "--json"]) == 1
    said = capsys.readouterr()
    found = json.loads(said.out)
    assert found["worlds"] and "photographs" not in found
    assert found["failed"] in said.err


def test_the_program_prints_the_same_json_twice(finished_run, capsys):
    command = ["--model", str(finished_run / "model"), "--seeds", "2", "--keyframe-seeds", "1"]
    printed = []
    for _ in range(2):
        assert program.main([*command, "--json"]) == 0
        printed.append(capsys.readouterr().out)
    assert printed[0] == printed[1]
    result = json.loads(printed[0])
    assert result["seeds"] == 2 and [w["world"] for w in result["worlds"]] == ["sky", "faces"]
    assert all(np.isfinite(world["psnr"]) for world in result["worlds"])


def test_a_model_is_sampled_as_it_is_asked_for(finished_run, capsys):
    command = ["--model", str(finished_run / "model"), "--seeds", "1", "--sections", "truth"]
    scale, above = ("--temporal-scale", "2"), ("--guidance-from", "600")
    shown = []
    for asked in ((), scale, above, (*scale, *above)):
        assert program.main([*command, *asked]) == 0
        shown.append(capsys.readouterr().out)
    assert "temporal 2, both above level 600" in shown[-1]
    assert len({out.partition("\n\n")[2] for out in shown}) == 4  # tables


def test_every_section_runs_from_the_program(finished_run, tmp_path, capsys):
    network = tmp_path / "network.safetensors"
    save_network(WorldNetwork(NetworkConfig(16, (4, 4), squeeze=2, features=4)), network)
    command = ["--model", str(finished_run / "model"), "--long-frames", "8"]
    sections = ["--seeds", "2", "--sections", "distances", "constancy"]
    assert program.main([*command, *sections, "--features", str(network)]) == 0
    shown = capsys.readouterr().out
    assert shown.count("Tiny (") == shown.count("30 steps") == 2
    assert "set: generated seeds 0 to 1; reference: unseen clips 0 to 1; 4×16×16, stride 1" in shown
    assert "| world-FVD " in shown and "| skin ΔE " in shown
    assert program.main([*command, "--seeds", "1", "--sections", "truth", "long", "--json"]) == 0
    found = json.loads(capsys.readouterr().out, parse_constant=pytest.fail)  # NaN is no JSON
    assert set(found["protocols"]) == {"truth", "long"} <= set(found)
    assert found["truth"][0]["psnr"]["hold"]["clips"] == 1
    assert {row["order"]: row["seam"]["mean"] for row in found["long"]}["real"] is None


def test_photographs_are_cut_as_in_the_studio_and_compared(tmp_path):
    wide = np.full((10, 30, 3), 50, np.uint8)
    wide[:, 10:20] = 200  # the middle is all that a square keeps
    Image.fromarray(wide).save(tmp_path / "wide.png")
    (tmp_path / "notes.txt").write_text("no picture")
    seen = []

    def darker(video):
        seen.append(video)
        return video - 10

    (kept,) = photographs.measure(darker, (8, 8), [tmp_path])
    assert seen[0].shape == (1, 8, 8, 3) and seen[0].min() > 190
    assert (kept.name, kept.psnr) == ("wide", pytest.approx(20 * np.log10(255 / 10)))
    assert "| mean    | 28.1 " in photographs.table([kept])


def test_photographs_have_to_be_named(finished_run, tmp_path, capsys):
    command = ["--model", str(finished_run / "model"), "--sections", "photographs"]
    assert program.main(command) == 1
    assert "name pictures, or a folder of them" in capsys.readouterr().err
    (tmp_path / "broken.png").write_bytes(b"no picture")
    assert program.main([*command, "--photographs", str(tmp_path)]) == 1
    assert "broken" in capsys.readouterr().err


def test_a_missing_model_is_one_message(tmp_path, capsys):
    assert program.main(["--model", str(tmp_path / "nothing")]) == 1
    assert capsys.readouterr().err.startswith("evaluate: ")


def test_a_sheet_shows_first_to_last_and_frames_what_was_given():
    video = np.zeros((16, 10, 12, 3), np.uint8)
    video[:] = np.arange(16, dtype=np.uint8)[:, None, None, None] * 10
    sheet = draw_sheet("title", [Row("made", video, kept=(0,)), Row("true", video)], columns=4)
    assert sheet.shape == (gallery.LINE + 2 * 12, gallery.MARGIN + 4 * 14, 3)
    centres = sheet[gallery.LINE + 5, gallery.MARGIN + 6 :: 14, 0]
    assert centres.tolist() == [0, 50, 100, 150]
    assert tuple(sheet[gallery.LINE, gallery.MARGIN]) == FRAME
    assert tuple(sheet[gallery.LINE, gallery.MARGIN + 14]) != FRAME


def test_the_gallery_repeats(finished_run, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(gallery, "SEEDS", range(2))
    monkeypatch.setattr(gallery, "PAIRS", range(1))
    model = str(finished_run / "model")
    sums = []
    for name in ("one", "two"):
        assert gallery.main(["--model", model, "--out", str(tmp_path / name)]) == 0
        sums.append([line.split()[0] for line in capsys.readouterr().out.splitlines()])
    assert sums[0] == sums[1] and len(set(sums[0])) == 4
    assert sorted(path.name for path in (tmp_path / "one").iterdir()) == [
        *("faces-keyframes.jpg", "faces.jpg", "sky-keyframes.jpg", "sky.jpg"),
    ]


def test_the_example_keyframes_are_unseen_clips():
    names = {path.stem for path in KEYFRAMES.glob("*.png")}
    wanted = {f"{w}-{n}-{end}" for w in WORLDS for n in (1, 2) for end in ("first", "last")}
    assert wanted <= names
    seed = KEYFRAME_SEEDS["figures"][0]
    assert seed >= UNSEEN
    with Image.open(KEYFRAMES / "figures-1-first.png") as picture:
        shipped = np.asarray(picture)
    drawn = render("figures", seed, 1, KEYFRAME_SIZE).video[0]
    # another version of OpenCV may round an edge differently
    assert np.abs(shipped.astype(int) - drawn).mean() < 0.5
