"""`python -m fvdm_core`: what it writes, and one line for what it refuses."""

import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tiny import save_tiny

from fvdm_core import Timeline, load_model, media
from fvdm_core import __main__ as command_line
from fvdm_core.__main__ import main
from fvdm_core.options import SOLVERS
from fvdm_core.presets import PRESETS
from fvdm_core.recipe import read_recipe
from fvdm_core.sampler import SOLVERS as ALL_SOLVERS

DATA = Path(__file__).parents[1] / "data"


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return str(save_tiny(tmp_path_factory.mktemp("models") / "tiny"))


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A folder with two pictures in it, to work in."""
    monkeypatch.chdir(tmp_path)
    for name, value in (("a.png", 40), ("b.png", 200)):
        Image.fromarray(np.full((8, 8, 3), value, np.uint8)).save(name)
    return tmp_path


def generate(model, *arguments):
    return main(["generate", "--model", model, "--device", "cpu", *arguments])


def recipe(path):
    return json.loads(media.read_metadata(path))


def test_a_clip_is_made_from_a_preset_and_two_pictures(model, here, capsys):
    options = "--preset interpolation --keyframe 0=a.png --keyframe 15=b.png --label faces --seed 7"
    more = "--steps 3 --cfg-scale 2 --solver ddim --eta 0.5 --exact -o out.mp4"
    assert generate(model, *options.split(), *more.split()) == 0
    said = capsys.readouterr()
    assert said.out == "out.mp4: 16 frames, 2 s\n" and said.err == ""
    clip = media.read_video("out.mp4")
    frames = getattr(clip, "frames", clip)
    assert frames.shape == (16, 8, 8, 3)
    assert abs(frames[0].mean() - 40) < 8 and abs(frames[-1].mean() - 200) < 8
    made = recipe("out.mp4")
    assert [made[k] for k in ("label", "seed", "cfg_scale", "solver", "eta", "splice_exact")] == [
        *("faces", 7, 2.0, "ddim", 0.5, True)
    ]
    wanted = Timeline.preset("interpolation", frames=16, steps=3)
    assert Timeline.from_json(json.dumps(made["timeline"])) == wanted


def test_many_variations_are_made_and_saved_a_few_at_once(model, here, monkeypatch):
    monkeypatch.setattr(command_line, "AT_ONCE", 2)
    assert generate(model, *"--seed 7 --steps 1 --variations 3 -o v.mp4".split()) == 0
    assert [recipe(f"v-{seed}.mp4")["batch"] for seed in (7, 8, 9)] == [2, 2, 1]


def test_an_output_that_cannot_be_written_is_refused_before_the_work(
    model, here, capsys, monkeypatch
):
    (here / "is.mp4").mkdir()
    assert generate(model, "-o", "is.mp4") == 1
    assert "is.mp4 is a folder" in capsys.readouterr().err
    monkeypatch.setattr(command_line.os, "access", lambda path, mode: False)
    assert generate(model, "-o", "v.mp4") == 1
    assert "v.mp4: its folder cannot be written to" in capsys.readouterr().err


def test_variations_are_a_clip_for_each_seed_that_follows(model, here, capsys):
    words = "--preset image-to-video --keyframe 0=a.png --seed 7 --steps 2 --variations 3 -o v.mp4"
    assert generate(model, *words.split()) == 0
    assert capsys.readouterr().out == "3 clips of 16 frames beside v.mp4\n"
    assert sorted(path.name for path in here.glob("*.mp4")) == ["v-7.mp4", "v-8.mp4", "v-9.mp4"]
    for seed in (7, 8, 9):
        assert recipe(f"v-{seed}.mp4")["seed"] == seed and recipe(f"v-{seed}.mp4")["batch"] == 3
    clips = [media.read_video(f"v-{seed}.mp4").frames for seed in (7, 8)]
    assert not np.array_equal(*clips)
    assert generate(model, "--variations", "65", "-o", "v.mp4") == 1
    assert "--variations is 65; it must be from 1 to 64" in capsys.readouterr().err


@pytest.mark.parametrize(
    "options, timeline",
    [
        ("--steps 2", Timeline.preset("standard", frames=16, steps=2)),
        (
            "--preset ramp --set rate=0.3 --keyframe 0=a.png --frames 4 --steps 2",
            Timeline.preset("ramp", frames=4, steps=2, rate=0.3),
        ),
        (
            "--preset any-frame --set keep=0,3 --keyframe 0=a.png --keyframe 3=b.png --frames 5"
            " --steps 2",
            Timeline.preset("any-frame", frames=5, steps=2, keep=[0, 3]),
        ),
        (
            "--formula where(i==1,0,t) --keyframe 0=a.png --frames 4 --steps 2",
            Timeline.formula("where(i==1,0,t)", frames=4, steps=2),
        ),
        ("--timeline t.json", Timeline.preset("pyramid", frames=3, steps=4, lag=1)),
        (
            "--timeline t.json --frames 6 --steps 2",
            Timeline.preset("pyramid", frames=3, steps=4, lag=1).resampled(6, 2),
        ),
    ],
)
def test_a_timeline_is_a_preset_a_formula_or_a_file(model, here, options, timeline):
    painted = Timeline.preset("pyramid", frames=3, steps=4, lag=1)
    (here / "t.json").write_text(painted.to_json())
    assert generate(model, *options.split(), "-o", "out.gif") == 0
    assert Timeline.from_json(json.dumps(recipe("out.gif")["timeline"])) == timeline


def test_noise_is_of_the_kind_that_the_model_learned_unless_somebody_asks(here, capsys):
    model = str(save_tiny(here / "m"))
    about = here / "m" / "config.json"
    said = json.loads(about.read_text()) | {"prior": "mixed", "prior_alpha": 2.0}
    about.write_text(json.dumps(said))
    painted = Timeline.preset("standard", frames=16, steps=2)
    (here / "t.json").write_text(painted.to_json())
    for options, noise in (
        ("", ("mixed", 2.0)),
        ("--prior independent", ("independent", 1.0)),
        ("--timeline t.json", ("independent", 1.0)),
        ("--timeline t.json --prior mixed", ("mixed", 2.0)),
    ):
        assert generate(model, "--steps", "2", *options.split(), "-o", "out.gif") == 0
        made = Timeline.from_json(json.dumps(recipe("out.gif")["timeline"]))
        assert (made.prior, made.prior_alpha) == noise


@pytest.mark.parametrize(
    "options, words",
    [
        ("--label cats", "label 'cats' is unknown; the model's labels are sky, faces, collisions"),
        ("--seed -1", "seed is -1"),
        ("--cfg-scale nan", "cfg_scale is nan"),
        ("--frames 0", "frames must be a whole number from 1 to 1024, got 0"),
        ("--preset ramp --set slope=1", "ramp has no parameter 'slope'; it takes rate"),
        ("--preset ramp --set rate=high", "rate must be a number"),
        ("--preset ramp --set frames=3", "--set frames is not a parameter; use --preset, --frames"),
        ("--set name=ramp", "--set name is not a parameter; use --preset, --frames and --steps"),
        ("--set self=1", "standard has no parameter 'self'; it takes none"),
        ("--formula 1/0", "frame 1 .* is inf, not a finite number"),
        ("--formula t --set rate=1", "--set is for the parameters of a --preset"),
        ("--timeline gone.json", "gone.json does not exist"),
        ("--timeline bad.json", "bad.json: "),
        ("--preset image-to-video", r"frame 1 \(index 0\) starts at level 0, below noise"),
        ("--preset image-to-video --keyframe 0=gone.png", "gone.png does not exist"),
        ("--preset image-to-video --keyframe 0=bad.json", "bad.json"),
        ("--keyframe 16=a.png", "frame 17"),
        (
            "--keyframe 2=a.png",
            r"frame 3 \(index 2\) would not be used, .*: take it away, or freeze frame 3",
        ),
        ("--keyframe 2=a.png --keyframe 2=b.png", "two pictures for one frame"),
        ("--model nowhere", "'nowhere' is not a folder or file here"),
        ("--device banana", "device 'banana' is unknown"),
        ("-o no/such/out.mp4", "out.mp4: its folder does not exist"),
    ],
)
def test_what_cannot_be_done_is_one_line_and_exit_code_1(model, here, capsys, options, words):
    (here / "bad.json").write_text("{}")
    assert generate(model, "-o", "out.mp4", *options.split()) == 1
    said = capsys.readouterr()
    assert said.out == "" and said.err.count("\n") == 1 and said.err.startswith("fvdm_core: ")
    assert re.search(words, said.err), said.err
    assert not (here / "out.mp4").exists()


@pytest.mark.parametrize(
    "arguments, words",
    [
        ("", "command"),
        ("paint", "'paint'"),
        ("generate", "-o"),
        ("generate -o out.avi", "must end in .mp4, .webm, .gif"),
        ("generate -o out.mp4 --preset interpolate", "'interpolate'"),
        ("generate -o out.mp4 --preset ramp --formula t", "not allowed with"),
        ("generate -o out.mp4 --keyframe a.png", "'a.png' is not FRAME=FILE"),
        ("generate -o out.mp4 --keyframe=-1=a.png", "'-1=a.png' is not FRAME=FILE"),
        ("generate -o out.mp4 --set rate", "'rate' is not NAME=VALUE"),
        ("generate -o out.mp4 --seed x", "invalid int value: 'x'"),
        ("convert in.pt", "folder"),
    ],
)
def test_a_wrong_command_line_is_exit_code_2(capsys, arguments, words):
    with pytest.raises(SystemExit) as ended:
        main(arguments.split())
    assert ended.value.code == 2
    assert words in capsys.readouterr().err


def test_what_a_person_should_know_is_said_beside_the_clip(model, here, capsys):
    levels = [[1000, 1000], [500, 0]]
    (here / "t.json").write_text(Timeline(levels).to_json())
    assert generate(model, "--timeline", "t.json", "-o", "out.gif") == 0
    assert "Note: Frame 1 ends at 50 % noise" in capsys.readouterr().err.replace("50%", "50 %")


def test_presets_are_listed_with_their_parameters(capsys):
    assert main(["presets"]) == 0
    listed = capsys.readouterr().out
    for preset in PRESETS.values():
        assert f"{preset.name} " in listed and preset.summary in listed
        for parameter in preset.parameters:
            assert f"--set {parameter.name}=" in listed
    assert "--set rate=0.2" in listed and "--set strength=0.6" in listed


def test_the_module_runs_by_its_name():
    done = subprocess.run(
        [sys.executable, "-m", "fvdm_core", "presets"],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0 and done.stderr == ""
    assert "interpolation" in done.stdout


def test_a_published_file_becomes_a_model_folder(tmp_path, capsys):
    folder = tmp_path / "converted"
    assert main(["convert", str(DATA / "published_fvdm_tiny.pt"), str(folder)]) == 0
    assert "The model is in" in capsys.readouterr().out
    assert load_model(folder).config == load_model(DATA / "published_fvdm_tiny.pt").config
    assert main(["convert", str(tmp_path / "gone.pt"), str(folder)]) == 1
    assert capsys.readouterr().err == (
        "fvdm_core: gone.pt does not exist; choose another checkpoint\n"
    )


def test_every_solver_can_be_chosen():
    assert set(SOLVERS) == set(ALL_SOLVERS)


@pytest.mark.parametrize("fps, output", [("60", "out.gif"), ("0.0001", "out.mp4")])
def test_a_rate_that_the_file_cannot_have_is_refused_before_the_work(
    model, here, capsys, monkeypatch, fps, output
):
    monkeypatch.setattr("fvdm_core.pipeline.Pipeline.stream", lambda *a, **k: pytest.fail("worked"))
    assert generate(model, "--fps", fps, "-o", output) == 1
    assert f"fps is {fps}" in capsys.readouterr().err


def test_an_empty_formula_is_a_mistake_and_not_the_standard_timeline(model, here, capsys):
    assert generate(model, "--formula", "", "-o", "out.mp4") == 1
    assert "formula" in capsys.readouterr().err


def test_a_clip_is_repeated_from_its_recipe_with_its_pictures(model, here, capsys):
    first = "--preset interpolation --keyframe 0=a.png --keyframe 15=b.png --label faces --seed 7"
    more = "--steps 3 --cfg-scale 2 --solver ddim --eta 0.5 --exact --fps 6 -o first.mp4"
    assert generate(model, *first.split(), *more.split()) == 0
    (here / "a.png").unlink()
    assert generate(model, *"--recipe first.mp4 -o again.mp4".split()) == 0
    assert "Note" not in capsys.readouterr().err
    assert (here / "again.mp4").read_bytes() == (here / "first.mp4").read_bytes()

    Image.fromarray(np.full((8, 8, 3), 90, np.uint8)).save("c.png")
    change = "--recipe first.mp4 --seed 8 --steps 2 --keyframe 15=c.png --no-exact -o other.mp4"
    assert generate(model, *change.split()) == 0
    one, other = recipe("first.mp4"), recipe("other.mp4")
    assert other["seed"] == 8 and other["cfg_scale"] == 2.0 and other["fps"] == 6
    assert other["eta"] == 0.5 and one["splice_exact"] and not other["splice_exact"]
    assert len(other["timeline"]["levels"]) == 3
    assert other["keyframes"]["0"] == one["keyframes"]["0"]
    assert other["keyframes"]["15"] != one["keyframes"]["15"]
    capsys.readouterr()
    assert generate(model, *"--recipe first.mp4 --frames 8 -o x.mp4".split()) == 1
    assert "first.mp4 has pictures on some of its 16 frames" in capsys.readouterr().err

    bare = {**one, "stopped_after_step": 2}
    bare["model"] = {"name": "Another", "sha256": "f" * 16}
    del bare["pictures"]["0"]
    (here / "recipe.json").write_text(json.dumps(bare))
    capsys.readouterr()
    assert generate(model, *"--recipe recipe.json -o x.mp4".split()) == 1
    said = capsys.readouterr().err
    assert (
        "recipe.json has no room for the pictures of frame 1: give them, as --keyframe 0=" in said
    )
    assert generate(model, *"--recipe recipe.json --keyframe 0=b.png -o x.mp4".split()) == 0
    said = capsys.readouterr().err
    assert "Note: It was stopped after step 2; this goes to its end." in said
    assert "Note: It was made with Another, so the clip will differ." in said
    again = "--recipe rounded.json --keyframe 0=b.png -o x.mp4".split()
    for changed, why in (
        ({"dtype": "float16"}, "Note: It was made in float16, and here the model runs in "),
        ({"batch": 4}, "Note: It was made with 3 more at once, so details may differ."),
        ({}, ""),
    ):
        (here / "rounded.json").write_text(json.dumps({**one, **changed}))
        assert generate(model, *again) == 0
        said = capsys.readouterr().err
        assert why in said and ("details may differ" in said) == bool(why)
    (here / "text.json").write_text("{}")
    for wrong in ("text.json", "b.png", "gone.mp4"):
        assert generate(model, "--recipe", wrong, "-o", "x.mp4") == 1
        assert wrong in capsys.readouterr().err


def test_what_a_recipe_leaves_to_solver_and_timeline_stays_theirs(model, here, capsys):
    """Fresh noise is what is usual for the solver, starting noise the timeline's own."""
    assert generate(model, *"--steps 1 --fps 60 --prior mixed -o a.mp4".split()) == 0
    assert generate(model, *"--recipe a.mp4 --solver ddim -o b.mp4".split()) == 0
    made = recipe("b.mp4")
    assert (recipe("a.mp4")["eta"], made["eta"], made["timeline"]["prior"]) == (1.0, 0.0, "mixed")
    assert generate(model, *"--recipe a.mp4 --variations 2 -o v.mp4".split()) == 0
    capsys.readouterr()
    assert main("generate --model nowhere/at-all --recipe a.mp4 -o a.gif".split()) == 1
    said = capsys.readouterr().err
    assert "a.gif: fps is 60; it must be" in said and "--fps gives it another" in said


def test_a_video_that_cannot_be_kept_is_refused(model, here, capsys, monkeypatch):
    media.write_video("given.mp4", np.zeros((12, 8, 8, 3), np.uint8), 60)
    monkeypatch.setattr(command_line, "MAX_FRAMES", 16)
    assert generate(model, *"--continue given.mp4 --steps 1 -o o.mp4".split()) == 0
    assert len(media.read_video("o.mp4").frames) == 16  # and not 12 + 8
    capsys.readouterr()
    assert generate(model, *"--continue o.mp4 --steps 1 -o p.mp4".split()) == 1
    assert (
        "o.mp4 has 16 frames already: --frames must be more than that, and at most 16"
        in capsys.readouterr().err
    )
    monkeypatch.setattr("fvdm_core.pipeline.Pipeline.stream", None)  # nothing is sampled
    assert generate(model, *"--continue given.mp4 --steps 1 -o o.gif".split()) == 1
    assert "o.gif: fps is 60" in capsys.readouterr().err


COMPRESSING = """
import torch
from fvdm_core import NoiseSchedule, Pipeline
from fvdm_core.card import ModelCard
from fvdm_core.network import NetworkShape, PixelSpace

class White(torch.nn.Module):
    config = NetworkShape(4, 3, 16, num_classes=1)
    def forward(self, x, t, y=None):
        return torch.ones_like(x)

class Slow(PixelSpace):
    frames_per_latent = 3
    def encode_clip(self, video):
        middles = video[2::3]  # where it is shown stills, it is the last of a column
        return torch.cat([video[:1], middles])
    def decode(self, latents):
        return torch.cat([latents[:1], latents[1:].repeat_interleave(3, 0)])

def load():
    schedule = NoiseSchedule("cosine", prediction_type="x0")
    return Pipeline(White(), Slow(), schedule, ModelCard(name="White", labels=("snow",), fps=8))
"""


def test_a_video_is_continued_by_a_model_that_compresses_time(here, capsys):
    """Of 12 frames the last 10 are four columns, and each is kept with all its frames."""
    Path("white.py").write_text(COMPRESSING)
    shades = np.arange(0, 240, 20, dtype=np.uint8)[:, None, None, None]
    media.write_video("given.mp4", np.broadcast_to(shades, (12, 16, 16, 3)), 6)
    words = "--continue given.mp4 --steps 1 -o o.mp4".split()
    assert generate("white.py", *words) == 0
    said = capsys.readouterr()
    assert "Its first 2 frames are left out" in said.err
    assert said.out == "o.mp4: 16 frames, 2.66667 s\n"  # 10, and two columns of 3
    means = media.read_video("o.mp4").frames.mean((1, 2, 3))
    wanted = [40, *[80] * 3, *[140] * 3, *[200] * 3, *[255] * 6]
    assert np.abs(means - wanted).max() < 6
    found = read_recipe("o.mp4")
    assert not found.missing and [found.pictures[k].ndim for k in range(4)] == [3, 4, 4, 4]
    assert generate("white.py", *"--recipe o.mp4 -o again.mp4".split()) == 0
    assert np.array_equal(media.read_video("again.mp4").frames, media.read_video("o.mp4").frames)
    assert generate("white.py", *words, "--label", "snow") == 0
    stills = COMPRESSING.replace("encode_clip", "not_that").replace("snow", "rain")
    Path("still.py").write_text(stills)
    capsys.readouterr()
    assert generate("still.py", *"--recipe o.mp4 -o other.mp4".split()) == 0  # of stills
    said = capsys.readouterr().err
    assert "It was made with White, so the clip will differ" in said
    assert "does not know 'snow', so any label is chosen" in said
    assert np.abs(media.read_video("other.mp4").frames[1].mean() - 100) < 6  # the last of 60 to 100
    assert generate("white.py", *words, "--frames", "4") == 1
    said = "at most 1024 columns, of 3 frames each but the first"
    assert f"given.mp4 takes 4 columns already: --frames must be more than that, and {said}" in (
        capsys.readouterr().err
    )
    assert generate("still.py", *words) == 0
    assert "there are stills, as the autoencoder takes pictures only" in capsys.readouterr().err
    means = media.read_video("o.mp4").frames.mean((1, 2, 3))
    assert np.abs(means[:10] - [40, *[100] * 3, *[160] * 3, *[220] * 3]).max() < 6


def test_a_video_is_continued_in_the_size_and_fit_that_is_asked_for(tmp_path, monkeypatch):
    folder = save_tiny(tmp_path / "m")
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"sizes": [[8, 8], [8, 16]]}))
    monkeypatch.chdir(tmp_path)
    halves = np.zeros((4, 8, 32, 3), np.uint8)
    halves[:, :, 8:24] = 200  # what a crop leaves
    media.write_video("wide.mp4", halves, 8)
    words = "--continue wide.mp4 --steps 1 --size 16x8 --exact"
    for fit, edge in (("crop", 200), ("stretch", 0)):
        assert generate(str(folder), *words.split(), "--fit", fit, "-o", "o.mp4") == 0
        first = media.read_video("o.mp4").frames[0]
        assert first.shape == (8, 16, 3) and abs(int(first[:, :3].mean()) - edge) < 40


def test_a_video_is_continued_at_its_own_rate(model, here, capsys):
    shades = np.arange(10, 220, 10, dtype=np.uint8)[:20, None, None, None]
    media.write_video("given.mp4", np.broadcast_to(shades, (20, 8, 8, 3)), 6)
    given = media.read_video("given.mp4").frames
    words = "--continue given.mp4 --steps 2 --exact --label sky"
    assert generate(model, *words.split(), "-o", "long.mp4") == 0
    assert capsys.readouterr().out == "long.mp4: 28 frames, 4.66667 s\n"  # 20 + half of 16
    made = recipe("long.mp4")
    assert made["keyframes"].keys() == {str(frame) for frame in range(20)}
    found = Timeline.from_json(json.dumps(made["timeline"]))
    assert found.kept == tuple(range(20)) and found.window_size == 16
    assert found.model_calls == 2 and {len(w.frames) for w in found.active_windows(0)} == {16}
    frames = media.read_video("long.mp4").frames[:20].astype(int)
    assert np.abs(frames.mean((1, 2, 3)) - given.mean((1, 2, 3))).max() < 4
    assert generate(model, *words.split(), *"--frames 33 --fps 12 -o x.mp4".split()) == 0
    assert capsys.readouterr().out == "x.mp4: 33 frames, 2.75 s\n"
    assert generate(model, *words.split(), *"--frames 20 -o x.mp4".split()) == 1
    assert "given.mp4 has 20 frames already" in capsys.readouterr().err
    Image.fromarray(np.full((8, 8, 3), 250, np.uint8)).save("bright.png")
    assert generate(model, *words.split(), *"--keyframe 3=bright.png -o x.mp4".split()) == 0
    capsys.readouterr()
    assert media.read_video("x.mp4").frames[3].mean() > 240
    assert generate(model, *words.split(), *"--set given=2 -o x.mp4".split()) == 1
    assert "--set is for the parameters of a --preset" in capsys.readouterr().err
    assert generate(model, *"--continue gone.mp4 -o x.mp4".split()) == 1
    assert "gone.mp4" in capsys.readouterr().err


@pytest.mark.parametrize("words", ["--guidance 2", "--var 3", "--mod x"])
def test_a_flag_is_not_taken_for_another_that_begins_like_it(here, capsys, words):
    with pytest.raises(SystemExit):
        main(["generate", *words.split(), "-o", "x.mp4"])
    assert f"unrecognized arguments: {words}" in capsys.readouterr().err


def test_a_rate_that_no_file_has_is_refused_before_the_model_is_opened(here, capsys):
    assert main("generate --model nowhere/at-all --fps 0 -o x.mp4".split()) == 1
    assert "fps" in capsys.readouterr().err
