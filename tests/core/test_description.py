"""What the page says of a timeline, in words."""

import numpy as np
import pytest

from fvdm_core.limits import frame_names
from fvdm_core.timeline import Timeline


def preset(name, frames=16, steps=30, **params):
    return Timeline.preset(name, frames=frames, steps=steps, **params)


LOOKS_AT = "The model sees 16 of 64 frames at a time."


@pytest.mark.parametrize(
    "frames, name",
    [
        ([0], "frame 1"),
        ([0, 15], "frames 1 and 16"),
        ([4, 5], "frames 5 and 6"),
        ([3, 1, 0, 2, 8], "frames 1–4 and 9"),
        (np.array([0, 1, 2, 5, 7, 8, 9]), "frames 1–3, 6 and 8–10"),
        (range(0, 22, 2), "frames 1, 3, 5, 7, 9 and 6 more"),
    ],
)
def test_frames_are_named_by_ranges(frames, name):
    assert frame_names(frames) == name


def test_a_sentence_may_want_all_frames_counted():
    assert frame_names(range(0, 22, 2), counted=True) == "11 frames"
    assert frame_names(range(0, 10, 2), counted=True) == "frames 1, 3, 5, 7 and 9"


@pytest.mark.parametrize(
    "timeline, words",
    [
        (preset("standard"), "16 frames are generated from noise."),
        (preset("image-to-video"), "Frame 1 is kept; 15 frames are generated from it."),
        (
            preset("interpolation"),
            "Frames 1 and 16 are kept; 14 frames are generated between them.",
        ),
        (preset("any-frame"), "Frame 9 is kept; 15 frames are generated around it."),
        (preset("any-frame", keep=[15]), "Frame 16 is kept; 15 frames are generated before it."),
        (
            preset("any-frame", keep=[0, 8, 15]),
            "Frames 1, 9 and 16 are kept; 13 frames are generated around them.",
        ),
        (
            preset("any-frame", keep=range(0, 16, 2)),
            "8 frames are kept; 8 frames are generated around them.",
        ),
        (preset("next-frame"), "Frames 1–15 are kept; frame 16 is generated from them."),
        (
            preset("transition"),
            "Frames 1–4 and 13–16 are kept; 8 frames are generated between them.",
        ),
        (
            preset("loop"),
            "Frames 1 and 16 are kept, frame 16 as a copy of the nearest picture; "
            "14 frames are generated between them.",
        ),
        (
            preset("ramp"),
            "Frame 1 starts from its picture at 20 % noise; frames 2–4 start from copies of "
            "the nearest picture at 40 to 80 % noise and are made anew. "
            "12 frames are generated from them.",
        ),
        (
            preset("soft-keyframes"),
            "Frame 1 starts from its picture at 20 % noise and is made anew. "
            "15 frames are generated from it.",
        ),
        (
            preset("edit"),
            "Frames 1–16 start from their pictures at 60 % noise and are made anew.",
        ),
        (
            preset("edit", strength={4: 0.6, 5: 0.3}),
            "Frames 5 and 6 start from their pictures at 30 to 60 % noise and are made anew. "
            "Frames 1–4 and 7–16 are kept.",
        ),
        (
            preset("extend", frames=64),
            "Frames 1–8 are kept; 56 frames are generated from them, "
            f"from left to right in 7 groups, one after another. {LOOKS_AT}",
        ),
        (
            preset("diagonal", frames=64),
            f"64 frames are generated from noise, from left to right, overlapping. {LOOKS_AT}",
        ),
        (
            preset("hierarchical"),
            "16 frames are generated from noise, first frames 1, 5, 9, 13 and 16, "
            "then the other 11.",
        ),
        (
            preset("autoregressive"),
            "16 frames are generated from noise, from left to right, one after another.",
        ),
        (
            preset("trapezoid"),
            "16 frames are generated from noise, from both ends to the middle in 8 groups, "
            "overlapping.",
        ),
        (
            preset("blocks"),
            "16 frames are generated from noise, from left to right in 4 groups, overlapping.",
        ),
        (
            preset("resample"),
            "16 frames are generated from noise. On the way noise is added again 18 times.",
        ),
    ],
)
def test_presets_in_words(timeline, words):
    assert timeline.describe() == words


def painted(**columns):
    """Eight frames from noise, 10 steps, with columns c1 … c8 painted over."""
    levels = np.array(preset("standard", 8, 10).levels)
    for name, column in columns.items():
        levels[:, int(name[1:]) - 1] = column
    return Timeline(levels)


DOWN = np.linspace(1000, 0, 11).astype(int)


@pytest.mark.parametrize(
    "timeline, words",
    [
        (Timeline([[0], [0]]), "Nothing moves: the frame stays as given."),
        (Timeline([[0, 0], [0, 0]]), "Nothing moves: all 2 frames stay as given."),
        (Timeline([[1000], [0]]), "Frame 1 is generated from noise."),
        (Timeline([[400], [400]]), "Frame 1 stays at 40 % noise."),
        (
            painted(c4=300),
            "Frame 4 stays at 30 % noise. 7 frames are generated around it.",
        ),
        (
            painted(c8=np.maximum(DOWN, 150)),
            "7 frames are generated from noise. Frame 8 ends at 15 % noise.",
        ),
        (painted(c8=1000), "Frame 8 stays at 100 % noise. 7 frames are generated from noise."),
        (
            painted(c2=np.where(np.arange(11) == 5, 900, DOWN)),
            "8 frames are generated from noise. On the way noise is added again once.",
        ),
        (
            painted(c1=0, c2=np.where(DOWN > 500, DOWN, 0)),
            "Frame 1 is kept; 7 frames are generated from it, from left to right in 2 groups, "
            "overlapping.",
        ),
        (
            painted(c3=np.where(DOWN > 500, DOWN, 0)),
            "8 frames are generated from noise, first frame 3, then the other 7.",
        ),
        (
            painted(
                c3=np.where(DOWN > 500, DOWN, 0),
                c5=np.where(DOWN > 600, DOWN, 0),
                c6=np.where(DOWN > 300, DOWN, 0),
            ),
            "8 frames are generated from noise, each at its own pace.",
        ),
        (
            Timeline(preset("pyramid", 8, 4).levels[:, ::-1]),
            "8 frames are generated from noise, from right to left, overlapping.",
        ),
    ],
)
def test_painted_timelines_in_words(timeline, words):
    assert timeline.describe() == words


def test_held_frames_that_all_start_from_noise_are_told_apart_from_a_ramp():
    levels = [[0, 1000, 1000], [0, 0, 0]]
    said, *_ = Timeline(levels, sources=("keyframe", "hold", "hold")).warnings({0})
    assert said.startswith("Frames 2 and 3 are to start from the nearest picture, but start from")
    lower = [[0, 900, 1000], [0, 0, 0]]
    said = Timeline(lower, sources=("keyframe", "hold", "hold")).warnings({0})
    assert not [each for each in said if "nearest picture" in each]


def test_a_good_timeline_has_no_warnings():
    assert preset("standard").warnings() == []
    assert preset("image-to-video").warnings({0}) == []
    assert preset("ramp").warnings({0}) == []
    assert preset("extend", frames=40).warnings(range(8)) == []
    assert preset("interpolation", frames=64).warnings({0, 63}) == []
    assert preset("standard", frames=64).with_windows(16).warnings() == []


@pytest.mark.parametrize(
    "timeline, pictures, words",
    [
        (Timeline([[0], [0]]), {0}, "Nothing is denoised"),
        (preset("image-to-video"), (), "Frame 1 starts clean and needs a picture. Put"),
        (preset("edit"), {3}, "Frames 1–3 and 5–16 start at 60 % noise and need pictures."),
        (preset("loop"), (), "Frame 1 starts clean and needs a picture"),
        (preset("late-start"), (), "Frames 1–16 are to start from the nearest picture, but"),
        (painted(c3=np.maximum(DOWN, 200)), (), "Frame 3 ends at 20 % noise and will look noisy"),
        (painted(c3=1000, c4=1000), (), "Frames 3 and 4 end at 100 % noise"),
        (
            painted(c5=np.where(DOWN > 700, DOWN, 0)),
            (),
            "Frame 5 falls by more than 50 % in one step (step 3)",
        ),
        (
            painted(c5=np.where(np.arange(11) == 5, 1000, DOWN)),
            (),
            "Frame 5 goes back up to full noise: what was there before is lost.",
        ),
        (Timeline([[1000], [500], [0]], prior="mixed"), (), "not with mixed noise"),
        (
            preset("image-to-video"),
            {0, 5},
            "The picture on frame 6 is not used, as it starts from noise. Freeze its column",
        ),
        (preset("standard"), {0, 5}, "The pictures on frames 1 and 6 are not used, as they start"),
        (
            preset("interpolation", frames=64, window=64).with_windows(16),
            {0, 63},
            "Frames 13–52 are made out of sight of every kept frame",
        ),
    ],
)
def test_warnings_say_what_to_mind(timeline, pictures, words):
    said = timeline.warnings(pictures)
    assert any(words in line for line in said), said
    assert all(line.endswith(".") for line in said)


@pytest.mark.parametrize(
    "level, said", [(1, "<1 %"), (5, "<1 %"), (6, "1 %"), (994, "99 %"), (995, ">99 %")]
)
def test_a_trace_of_noise_is_not_rounded_away(level, said):
    assert f"Frame 1 stays at {said} noise." in Timeline([[level, 1000], [level, 0]]).describe()
    ends = Timeline([[1000, 1000], [level, 0]])
    assert any(f"ends at {said} noise" in warning for warning in ends.warnings())


def test_a_range_may_begin_with_a_trace():
    timeline = Timeline([[1, 998, 1000], [1, 998, 0]])
    assert "stay at <1 to >99 % noise." in timeline.describe()


def test_what_the_model_is_told_of_frames_that_are_kept_is_said():
    levels = [[0, 1000, 0], [0, 500, 0], [0, 0, 0]]
    said = "Frames 1 and 3 are kept; frame 2 is generated between them."
    assert Timeline(levels).describe() == said
    told = "Frame 1 is shown to the model as if at 4 % noise."
    assert Timeline(levels, seen={0: 40}).describe() == f"{said} {told}"
    told = "Frames 1 and 3 are shown to the model as if at 4 to 60 % noise."
    assert Timeline(levels, seen={2: 600, 0: 40}).describe() == f"{said} {told}"
