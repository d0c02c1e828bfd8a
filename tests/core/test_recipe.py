"""Recipes come back out of every file that carries them, and wrong ones are refused in words."""

import base64
import json

import numpy as np
import pytest

from fvdm_core import Timeline, media
from fvdm_core.options import RunOptions
from fvdm_core.pictures import png_bytes
from fvdm_core.recipe import parse_recipe, picture_hash, read_recipe, with_pictures

TIMELINE = Timeline.preset("interpolation", frames=4, steps=3)
RANDOM = np.random.default_rng(0)
PICTURES = {f: RANDOM.integers(0, 256, (8, 8, 3), dtype=np.uint8) for f in (0, 3)}
OPTIONS = RunOptions(
    label="sky", seed=11, cfg_scale=2.5, solver="ddim", eta=0.5, fps=12, splice_exact=True
)


def recipe(**changes):
    return {
        "format": "fvdm-studio-recipe",
        "version": 1,
        **vars(OPTIONS),
        "timeline": json.loads(TIMELINE.to_json()),
        "keyframes": {str(f): picture_hash(picture) for f, picture in PICTURES.items()},
        "model": {"name": "tiny", "sha256": "ab" * 32},
        "page": {"formula": "t"},
        **changes,
    }


def packed(picture):
    return base64.b64encode(png_bytes(picture)).decode()


@pytest.mark.parametrize("ending", [".json", ".png", ".mp4", ".webm", ".gif"])
def test_a_recipe_comes_back_with_its_pictures(tmp_path, ending):
    text = json.dumps(with_pictures(recipe(), PICTURES))
    path = tmp_path / f"anything{ending}"
    frames = np.zeros((4, 16, 16, 3), np.uint8)
    if ending == ".json":
        path.write_text(text, "utf-8")
    elif ending == ".png":
        media.write_png(path, frames[0], metadata=text)
    else:
        media.write_video(path, frames, 8, metadata=text)
    found = read_recipe(path)
    assert (found.timeline, found.options) == (TIMELINE, OPTIONS)
    assert found.pictures.keys() == PICTURES.keys() and not found.missing
    for frame, picture in PICTURES.items():
        np.testing.assert_array_equal(found.pictures[frame], picture)
    assert (found.model_name, found.model_hash) == ("tiny", "ab" * 32)
    assert (found.stopped_after_step, found.page) == (None, {"formula": "t"})


def test_pictures_without_room_stay_out_and_are_named():
    room = len(json.dumps(recipe(), indent=1)) + 600
    text = json.dumps(with_pictures(recipe(), PICTURES, room))
    assert len(text) < room
    found = parse_recipe(text)
    assert list(found.pictures) == [0] and found.missing == [3]


def test_an_older_recipe_is_of_a_clip_without_temporal_guidance():
    older = {key: value for key, value in recipe().items() if key != "temporal_scale"}
    assert parse_recipe(json.dumps(older)).options.temporal_scale == 0
    assert parse_recipe(json.dumps({**older, "temporal_scale": 0.5})).options.temporal_scale == 0.5


def test_large_pictures_survive_the_metadata_of_a_video(tmp_path):
    large = {0: RANDOM.integers(0, 256, (512, 512, 3), dtype=np.uint8)}
    hashes = {"0": picture_hash(large[0])}
    text = json.dumps(with_pictures(recipe(keyframes=hashes), large))
    assert len(text) > 10**6
    media.write_video(tmp_path / "a.mp4", np.zeros((2, 16, 16, 3), np.uint8), 8, metadata=text)
    np.testing.assert_array_equal(read_recipe(tmp_path / "a.mp4").pictures[0], large[0])


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"format": "other"}, "no recipe of the studio"),
        ({"version": 9}, "version is 9"),
        ({"timeline": None}, "timeline is None; it must be an object"),
        ({"timeline": {"version": 1, "levels": [[1001], [0]]}}, "1001"),
        ({"timeline": {"version": 1, "levels": [[[0, 2000]], [[0, 2000]]]}}, "at most 1024"),
        ({"seed": -1}, "seed is -1"),
        ({"seed": True}, "seed is True"),
        ({"label": ["sky"]}, "label is"),
        ({"solver": {}}, "solver"),
        ({"solver": "rm -rf"}, "solver"),
        ({"cfg_scale": "9"}, "cfg_scale is '9'"),
        ({"temporal_scale": 6}, "temporal_scale is 6"),
        ({"eta": 2}, "eta is 2"),
        ({"fps": "8"}, "fps is '8'"),
        ({"fps": 0}, "fps is 0"),
        ({"splice_exact": 1}, "splice_exact is 1"),
        ({"keyframes": [1]}, "keyframes is"),
        ({"keyframes": {"4": "ab" * 32}}, "'4' is not one of the 4 frames"),
        ({"keyframes": {"../x": "ab" * 32}}, "not one of the 4 frames"),
        ({"keyframes": {"0": "../../etc"}}, "no SHA-256"),
        ({"pictures": {"0": 5}}, "picture of frame 1 is 5"),
        ({"pictures": {"0": "%%%"}}, "not base64"),
        ({"pictures": {"0": base64.b64encode(b"GIF89a").decode()}}, "not a PNG"),
        ({"pictures": {"0": packed(PICTURES[3])}}, "not the one that this recipe was run with"),
        ({"pictures": {"1": packed(PICTURES[3])}}, "not the one that this recipe was run with"),
        ({"pictures": {"0": packed(PICTURES[0])[:80]}}, "damaged"),
        ({"model": "x"}, "model is 'x'"),
        ({"stopped_after_step": 4}, "from 0 to 3"),
        ({"stopped_after_step": "1"}, "from 0 to 3"),
    ],
)
def test_wrong_recipes_are_refused_by_field(changes, says):
    with pytest.raises(ValueError, match=says):
        parse_recipe(json.dumps(recipe(**changes)))


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "not JSON, .*; drop a recipe, or an MP4"),
        ("[]", "no recipe of the studio"),
        ("null", "no recipe of the studio"),
        ("[" * 100_000, "too deep|not JSON"),
        ('{"format":' * 3000 + "1" + "}" * 3000, "too deep|no recipe"),
        ('{"format": ' + "9" * 5000 + "}", "5000 digits"),
        ('{"format": NaN}', "NaN is not a number"),
        (TIMELINE.to_json(), "no recipe of the studio"),
    ],
)
def test_hostile_json_is_refused(text, says):
    with pytest.raises(ValueError, match=says):
        parse_recipe(text)


def test_a_picture_of_thousands_of_frames_is_refused_before_they_are_decoded():
    for count, size, said in ((65, 1, "has 65 frames; at most 64"), (60, 800, "800 pixels in 60")):
        picture = np.zeros((count, size, size, 3), np.uint8)
        changes = {"keyframes": {"0": picture_hash(picture)}, "pictures": {"0": packed(picture)}}
        with pytest.raises(ValueError, match=said):
            parse_recipe(json.dumps(recipe(**changes)))


def test_many_bombs_in_one_recipe_are_refused():
    """Each decodes to 48 MB from 16 KB; a file of the allowed size could hold two hundred."""
    black = np.zeros((4096, 4096, 3), np.uint8)
    timeline = Timeline.preset("standard", frames=8, steps=2)
    whole = recipe(
        timeline=json.loads(timeline.to_json()),
        keyframes=dict.fromkeys(map(str, range(8)), picture_hash(black)),
        pictures=dict.fromkeys(map(str, range(8)), packed(black)),
    )
    with pytest.raises(ValueError, match="picture of frame 3 is 4096×4096"):
        parse_recipe(json.dumps(whole))


def test_files_without_a_recipe_are_refused(tmp_path):
    plain = tmp_path / "plain.png"
    media.write_png(plain, PICTURES[0])
    with pytest.raises(ValueError, match=r"plain\.png carries no recipe"):
        read_recipe(plain)
    for name, data, says in (
        ("a.zip", b"PK\x03\x04", "holds no recipe"),
        ("a.mp4", b"<html>", "holds no recipe"),
        ("a.json", b"{}" + b" " * (4 << 20), "at most 4194304"),
        ("b.json", b'{"a": "\xff"}', "not UTF-8"),
        ("c.json", b"", "holds no recipe"),
    ):
        (tmp_path / name).write_bytes(data)
        with pytest.raises(ValueError, match=says):
            read_recipe(tmp_path / name)


def test_a_timeline_that_just_fits_is_read_back_from_a_recipe():
    """1.6 MB as it is written, and more than may be read with a space after every comma."""
    timeline = Timeline.preset("staggered", frames=1000, steps=500).with_windows(16)
    whole = recipe(timeline=json.loads(timeline.to_json()), keyframes={})
    assert parse_recipe(json.dumps(whole)).timeline == timeline
