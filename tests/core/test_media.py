"""Pictures and videos: what comes back, and what is refused with which words and at what cost."""

from __future__ import annotations

import io
import json
import os
import struct
import subprocess
import sys
import tracemalloc
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fvdm_core import containers, media
from fvdm_core.decoder import ChildLimits, confined, decoding, ffmpeg
from fvdm_core.files import atomic_write
from fvdm_core.media import (
    SaveError,
    VideoLimits,
    load_image,
    read_metadata,
    read_video,
    write_png,
    write_video,
)
from fvdm_core.picture_reader import load_images, read_picture_note
from fvdm_core.pictures import MAX_PICTURE_PIXELS
from fvdm_core.video_reader import LIMITS, _source

FITS: tuple[media.Fit, ...] = ("crop", "contain", "stretch")


def make(path: Path, *arguments: str) -> Path:
    """Lets ffmpeg write a small file."""
    command = [ffmpeg(), "-v", "error", "-y", "-threads", "1", *arguments, str(path)]
    subprocess.run(command, check=True, stdin=subprocess.DEVNULL)
    return path


def moving(frames: int = 8, height: int = 32, width: int = 48) -> np.ndarray:
    """A bright column that steps to the right on a vertical ramp, uint8 (N, H, W, 3)."""
    clip = np.zeros((frames, height, width, 3), np.uint8)
    clip[..., 1] = np.linspace(0, 200, height).astype(np.uint8)[:, None]
    for i in range(frames):
        clip[i, :, 5 * i : 5 * i + 5, 0] = 250
    return clip


@pytest.fixture(scope="module")
def clip_mp4(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("clip") / "clip.mp4"
    write_video(path, moving(), fps=8)
    return path


def refusal(call, *arguments, **named) -> str:
    with pytest.raises(ValueError) as caught:
        call(*arguments, **named)
    return str(caught.value)


# ── pictures ──────────────────────────────────────────────────────────────────────────────────


def test_a_picture_of_the_right_size_is_untouched(tmp_path):
    frame = np.random.default_rng(0).integers(0, 256, (20, 30, 3), dtype=np.uint8)
    write_png(tmp_path / "a.png", frame)
    for source in (frame, Image.fromarray(frame), tmp_path / "a.png", str(tmp_path / "a.png")):
        for fit in FITS:
            assert np.array_equal(load_image(source, (20, 30), fit), frame)


def test_fits_differ_as_they_say():
    wide = np.zeros((10, 40, 3), np.uint8)
    wide[:, 15:25] = (255, 0, 0)  # the middle 10 columns
    assert (load_image(wide, (10, 10), "crop") == (255, 0, 0)).all()
    contained = load_image(wide, (40, 40), "contain")
    assert (contained[:15] == 0).all() and (contained[25:] == 0).all()
    assert (contained[16:24, 17:23] == (255, 0, 0)).all()
    stretched = load_image(wide, (10, 20), "stretch")
    assert stretched[5, 10, 0] > 240 and (stretched[:, [0, -1]] == 0).all()


@pytest.mark.parametrize("side, other, size", [(1000, 1000, (544, 960)), (4080, 3072, (480, 832))])
def test_a_crop_is_not_rounded_to_begin_before_the_picture(side, other, size):
    """side / width · width is a little more than the side here, in floating point."""
    assert side / size[1] * size[1] > side
    for shape in ((other, side, 3), (side, other, 3)):
        picture = np.full(shape, 90, np.uint8)
        for turned in (size, size[::-1]):
            assert (load_image(picture, turned) == 90).all()


def test_shrinking_averages_instead_of_skipping():
    checks = (np.indices((256, 256)).sum(0) % 2 * 255).astype(np.uint8)
    small = load_image(checks, (16, 16))
    assert np.abs(small.astype(int) - 127).max() <= 2


@pytest.mark.parametrize("size", [(1, 1), (10000, 2), (2, 10000)])
@pytest.mark.parametrize("fit", FITS)
def test_extreme_shapes(size, fit):
    frame = load_image(Image.new("RGB", size, (9, 8, 7)), (24, 32), fit)
    assert frame.shape == (24, 32, 3)
    assert (frame.reshape(-1, 3).max(0) == (9, 8, 7)).all()


def test_exif_rotation_is_applied(tmp_path):
    picture = Image.new("RGB", (40, 20), "black")
    picture.paste("white", (0, 0, 20, 20))  # left half white
    exif = Image.Exif()
    exif[0x0112] = 6  # to be shown turned by 90° clockwise
    picture.save(tmp_path / "turned.png", exif=exif)
    frame = load_image(tmp_path / "turned.png", (40, 20))
    assert frame[5, 10, 0] == 255 and frame[35, 10, 0] == 0  # now the upper half


def test_sixteen_bits_keep_their_range(tmp_path):
    wide = np.linspace(0, 65535, 32 * 32).reshape(32, 32).astype(np.uint16)
    Image.fromarray(wide).save(tmp_path / "wide.png")
    frame = load_image(tmp_path / "wide.png", (32, 32))
    assert np.abs(frame[..., 0] - wide / 257).max() <= 0.5


def test_cmyk_palette_and_alpha(tmp_path):
    Image.new("CMYK", (8, 8), (255, 0, 0, 0)).save(tmp_path / "cmyk.jpg")
    assert np.abs(load_image(tmp_path / "cmyk.jpg", (4, 4)).astype(int) - (0, 255, 255)).max() <= 3
    palette = Image.new("P", (8, 8), 1)
    palette.putpalette([0, 0, 0, 10, 200, 30])
    palette.save(tmp_path / "palette.gif")
    assert (load_image(tmp_path / "palette.gif", (4, 4)) == (10, 200, 30)).all()
    palette.save(tmp_path / "clear.png", transparency=1)
    assert (load_image(tmp_path / "clear.png", (4, 4)) == 255).all()  # transparent shows white
    Image.new("RGBA", (8, 8), (0, 0, 0, 128)).save(tmp_path / "half.webp", lossless=True)
    assert np.abs(load_image(tmp_path / "half.webp", (4, 4)).astype(int) - 127).max() <= 1


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("empty.png", b"", "is empty"),
        ("note.png", b"hello\n", "is a text file"),
        ("x.png", b'<?xml version="1.0"?><svg><script>alert(1)</script></svg>', "SVG"),
        ("page.jpg", b"<!DOCTYPE html><html>", "web page"),
        ("noise.png", bytes(range(256)), "not a file of a kind"),
        ("head.png", b"\x89PNG\r\n\x1a\n\0\0", "is damaged"),
        ("clip.png", b"\0\0\0\x18ftypisom" + bytes(30), "is a video"),
        ("phone.heic", b"\0\0\0\x18ftypheic" + bytes(30), "HEIC"),
    ],
)
def test_what_is_no_picture_is_refused_by_content(tmp_path, name, content, words):
    (tmp_path / name).write_bytes(content)
    message = refusal(load_image, tmp_path / name, (8, 8))
    assert words in message and message.startswith(name) and str(tmp_path) not in message


def test_a_cut_picture_is_refused(tmp_path):
    write_png(tmp_path / "a.png", np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8))
    (tmp_path / "cut.png").write_bytes((tmp_path / "a.png").read_bytes()[:3000])
    assert "cut.png is damaged" in refusal(load_image, tmp_path / "cut.png", (8, 8))


def png_of(width: int, height: int) -> bytes:
    """A valid grey PNG of one colour, as small as it gets."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
        )

    packer = zlib.compressobj(9)
    rows = b"".join(packer.compress(bytes((width + 7) // 8 + 1)) for _ in range(height))
    header = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    body = chunk(b"IHDR", header) + chunk(b"IDAT", rows + packer.flush()) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
@pytest.mark.parametrize("side", [13_000, 60_000])
def test_a_picture_bomb_is_refused_before_decoding(tmp_path, side):
    (tmp_path / "bomb.png").write_bytes(png_of(side, 13_000))
    tracemalloc.start()
    message = refusal(load_image, tmp_path / "bomb.png", (64, 64))
    assert tracemalloc.get_traced_memory()[1] < 2_000_000
    tracemalloc.stop()
    assert "million" in message and "smaller" in message


def test_places_that_are_no_files(tmp_path):
    os.mkfifo(tmp_path / "pipe.png")
    assert "pipe" in refusal(load_image, tmp_path / "pipe.png", (8, 8))  # and is not waited for
    assert "folder" in refusal(load_image, tmp_path, (8, 8))
    assert "does not exist" in refusal(load_image, tmp_path / "none.png", (8, 8))
    message = refusal(load_image, tmp_path / f"{'a' * 396}.png", (8, 8))
    assert "400 characters" in message and len(message) < 250


def test_wrong_arguments_are_named():
    frame = np.zeros((4, 4, 3), np.uint8)
    assert "fit" in refusal(load_image, frame, (4, 4), "zoom")
    assert "size" in refusal(load_image, frame, (0, 4))
    assert "size" in refusal(load_image, frame, (4, 1_000_000))
    assert "float64" in refusal(load_image, np.zeros((4, 4, 3)), (4, 4))
    assert "shape" in refusal(load_image, np.zeros((4, 4, 7), np.uint8), (4, 4))


@pytest.mark.parametrize(
    "size", [(8.0, 8.0), (8,), 8, np.array([8, 8]), (8, True), "88", (8, 8, 3), (0, 8), (4097, 8)]
)
def test_a_size_is_two_whole_numbers(size, clip_mp4):
    for read, source in ((load_image, np.zeros((4, 4, 3), np.uint8)), (read_video, clip_mp4)):
        message = refusal(read, source, size)
        assert message.startswith("size is ") and "must be height and width in pixels" in message


def test_its_sides_may_be_of_numpy():
    assert load_image(np.zeros((4, 4, 3), np.uint8), tuple(np.array([8, 6]))).shape == (8, 6, 3)


@pytest.mark.parametrize("name", ["start", "stride", "max_frames"])
@pytest.mark.parametrize("value", [1.5, True, "2", -1, 2**40])
def test_numbers_of_frames_are_whole(clip_mp4, name, value):
    message = refusal(read_video, clip_mp4, **{name: value})
    assert message.startswith(f"{name} must be a whole number from ")


# ── videos ────────────────────────────────────────────────────────────────────────────────────


def test_a_child_reads_pictures_as_we_do(tmp_path):
    """Sizes and fits differ, and one picture more than a child takes."""
    rng = np.random.default_rng(0)
    Image.fromarray(rng.integers(0, 255, (9, 13, 3), np.uint8)).save(tmp_path / "ä b.png")
    Image.fromarray(rng.integers(0, 255, (20, 5), np.uint8)).save(tmp_path / "grey.jpg")
    wanted = [
        (tmp_path / "ä b.png", (4, 6), "crop", 1),
        (tmp_path / "grey.jpg", (8, 3), "contain", 1),
    ] * 9
    for (path, size, fit, _), frame in zip(wanted, load_images(wanted), strict=True):
        np.testing.assert_array_equal(frame, load_image(path, size, fit))
        assert frame.flags.writeable
    write_png(tmp_path / "moving.png", moving := rng.integers(0, 256, (3, 4, 6, 3), np.uint8))
    asked = [(tmp_path / "moving.png", (4, 6), "stretch", count) for count in (1, 2, 3)]
    one, of_two, of_three = load_images(asked)
    np.testing.assert_array_equal(one, moving[0])
    np.testing.assert_array_equal(of_two, moving[0])
    np.testing.assert_array_equal(of_three, moving)
    Image.new("P", (4, 4)).save(tmp_path / "a.gif", comment=b"x" * 600)
    assert read_picture_note(tmp_path / "a.gif", "gif") == "x" * 600
    assert read_picture_note(tmp_path / "ä b.png", "png") is None


def test_what_a_child_refuses_is_said_in_the_same_words(tmp_path):
    Image.new("RGB", (4, 4)).save(tmp_path / "a.png")
    (tmp_path / "bad.png").write_bytes((tmp_path / "a.png").read_bytes()[:40])
    (tmp_path / "text.jpg").write_text("no picture")
    for name in ("bad.png", "text.jpg", "gone.png"):
        images = load_images([(tmp_path / n, (4, 4), "crop", 1) for n in ("a.png", name, "a.png")])
        assert next(images).shape == (4, 4, 3)
        with pytest.raises(ValueError) as caught:
            next(images)
        assert str(caught.value) == refusal(load_image, tmp_path / name, (4, 4))
    write_png(
        tmp_path / "cut.png", np.random.default_rng(0).integers(0, 256, (3, 40, 40, 3), np.uint8)
    )
    whole = (tmp_path / "cut.png").read_bytes()
    (tmp_path / "cut.png").write_bytes(whole[: len(whole) * 5 // 6])  # in the third frame
    with pytest.raises(ValueError, match=r"cut\.png is damaged"):
        list(load_images([(tmp_path / "cut.png", (4, 4), "crop", 3)]))


def _png(chunks: int) -> bytes:
    """A PNG that begins with chunks of which nobody knows what they are."""
    file = io.BytesIO()
    Image.new("RGB", (4, 4)).save(file, "PNG")
    unknown = struct.pack(">I", 0) + b"raNd" + struct.pack(">I", zlib.crc32(b"raNd"))
    return file.getvalue()[:33] + unknown * chunks + file.getvalue()[33:]


def _tiff(tags: int, size: int) -> bytes:
    """A TIFF of 8×8 whose tags all name the same bytes."""
    entries = [(256, 4, 1, 8), (257, 4, 1, 8), (258, 3, 1, 8), (259, 3, 1, 1), (262, 3, 1, 1)]
    entries += [(273, 4, 1, 8), (277, 3, 1, 1), (278, 4, 1, 8), (279, 4, 1, 64)]
    entries += [(1000 + i, 1, size, 72) for i in range(tags)]
    table = b"".join(struct.pack("<HHII", *entry) for entry in sorted(entries))
    head = b"II*\0" + struct.pack("<I", 72 + size) + bytes(64 + size)
    return head + struct.pack("<H", len(entries)) + table + bytes(4)


def test_a_picture_that_asks_too_much_ends_its_child_only(tmp_path):
    (tmp_path / "many.png").write_bytes(_png(2_000_000))
    (tmp_path / "large.tiff").write_bytes(_tiff(300, 1 << 20))
    limits = ChildLimits(memory=400 << 20, cpu_seconds=2)
    said = {}
    for name in ("many.png", "large.tiff"):
        with pytest.raises(ValueError) as caught:
            list(load_images([(tmp_path / name, (4, 4), "crop", 1)], limits))
        said[name] = str(caught.value)
    assert said["many.png"] == "many.png takes too long to decode; make it shorter or smaller"
    assert "large.tiff needs more memory than" in said["large.tiff"]
    assert next(load_images([(tmp_path / "large.tiff", (4, 4), "crop", 1)])).shape == (4, 4, 3)


def test_the_largest_picture_fits_into_what_a_child_may_take(tmp_path):
    """16 bits, transparent, lying on its side."""
    side = int(MAX_PICTURE_PIXELS**0.5)
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGBA", (side, side), (255, 0, 0, 128)).save(tmp_path / "a.png", exif=exif)
    Image.new("I;16", (side, side), 40000).save(tmp_path / "b.png", exif=exif)
    assert next(load_images([(tmp_path / "a.png", (2, 2), "crop", 1)]))[0, 0, 0] == 255
    assert next(load_images([(tmp_path / "b.png", (2, 2), "crop", 1)]))[0, 0, 0] == 156


@pytest.mark.parametrize(("suffix", "error"), [(".mp4", 3), (".webm", 3), (".gif", 8)])
def test_a_video_comes_back_with_its_recipe(tmp_path, suffix, error):
    recipe = json.dumps({"seed": 7, "text": "=;#\\ \n é </script>", "levels": list(range(20_000))})
    path = tmp_path / f"clip{suffix}"
    # smooth in space, as colour is stored for 2×2 pixels
    x, t = np.linspace(0, 3, 48), np.arange(8)[:, None]
    wave = (127 + 120 * np.sin(x + 0.5 * t)).astype(np.uint8)  # (8, 48)
    frames = np.broadcast_to(wave[:, None, :, None], (8, 32, 48, 3)).copy()
    write_video(path, frames, fps=8, metadata=recipe)
    clip = read_video(path)
    assert clip.fps == 8 and clip.frames.shape == frames.shape
    assert np.abs(clip.frames.astype(int) - frames).mean() < error
    assert read_metadata(path) == recipe
    first = path.read_bytes()
    write_video(path, frames, fps=8, metadata=recipe)
    assert path.read_bytes() == first


def test_a_png_comes_back_with_its_recipe(tmp_path):
    frame, recipe = moving()[0], json.dumps({"seed": 7, "text": "é"})
    write_png(tmp_path / "a.png", frame, recipe)
    assert read_metadata(tmp_path / "a.png") == recipe
    write_png(tmp_path / "b.png", frame, recipe)
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()


def test_files_without_a_recipe(tmp_path, clip_mp4):
    assert read_metadata(clip_mp4) is None
    other = make(tmp_path / "o.mp4", "-i", str(clip_mp4), "-metadata", "comment=my holidays")
    assert read_metadata(other) is None
    (tmp_path / "a.txt").write_text("{}")
    assert read_metadata(tmp_path / "a.txt") is None
    assert "JSON" in refusal(write_png, tmp_path / "a.png", moving()[0], "not json")
    assert not (tmp_path / "a.png").exists()


def test_metadata_is_capped_when_read(tmp_path, clip_mp4, monkeypatch):
    write_png(tmp_path / "a.png", moving()[0], json.dumps({"a": "x" * 2000}))
    monkeypatch.setattr(media, "MAX_METADATA_BYTES", 1000)
    assert "2009 bytes of metadata" in refusal(read_metadata, tmp_path / "a.png")


@pytest.mark.parametrize("suffix", [".mp4", ".webm", ".gif"])
@pytest.mark.parametrize("size", [(1, 1), (15, 17), (3, 64)])
def test_odd_sizes_are_written(tmp_path, suffix, size):
    path = tmp_path / f"odd{suffix}"
    write_video(path, np.full((2, *size, 3), 90, np.uint8), fps=8)
    frames = read_video(path).frames
    grown = size if suffix == ".gif" else tuple(side + side % 2 for side in size)
    assert frames.shape == (2, *grown, 3)
    assert np.abs(frames.astype(int) - 90).max() <= 2


def test_start_stride_and_size(clip_mp4):
    every = read_video(clip_mp4).frames
    some = read_video(clip_mp4, start=1, stride=3, max_frames=2)
    assert np.array_equal(some.frames, every[[1, 4]])
    assert some.fps == pytest.approx(8 / 3)
    small = read_video(clip_mp4, size=(16, 16), fit="stretch").frames
    expected = np.stack([load_image(frame, (16, 16), "stretch") for frame in every])
    assert np.array_equal(small, expected)  # a frame of a video is treated as a picture is
    assert "start 8" in refusal(read_video, clip_mp4, start=8)
    assert "stride" in refusal(read_video, clip_mp4, stride=0)


def test_a_rotated_video_stands_upright(tmp_path, clip_mp4):
    turned = make(tmp_path / "t.mp4", "-display_rotation", "90", "-i", str(clip_mp4), "-c", "copy")
    frames, upright = read_video(turned).frames, read_video(clip_mp4).frames
    assert frames.shape == (8, 48, 32, 3)
    assert np.abs(frames.astype(int) - np.rot90(upright, axes=(1, 2))).max() <= 3


def test_oblong_pixels_become_square(tmp_path, clip_mp4):
    wide = make(tmp_path / "w.mp4", "-i", str(clip_mp4), "-vf", "setsar=2")
    assert read_video(wide).frames.shape == (8, 32, 96, 3)


def test_a_variable_rate_becomes_steady(tmp_path):
    # frame n is shown at n/30 s up to frame 5 and then every 5/30 s: 5 gaps of 1 and 5 of 5
    brighter = "color=s=32x32:r=30:d=1,geq=lum='8*N':cb=128:cr=128"
    source = f"{brighter},select='lte(n,5)+not(mod(n-5,5))'"
    path = make(tmp_path / "v.mp4", "-f", "lavfi", "-i", source, "-fps_mode", "vfr")
    steady = read_video(path)
    assert 8 < steady.fps < 13
    assert len(steady.frames) / steady.fps == pytest.approx(1, abs=0.2)
    fast = read_video(path, fps=30)
    assert fast.fps == 30 and 24 <= len(fast.frames) <= 36
    level = fast.frames.mean(axis=(1, 2, 3))
    assert (np.diff(level[2:5]) > 4).all()  # the quick part still moves in every frame
    assert abs(level[11] - level[13]) < 1 and level[16] - level[11] > 30  # the slow part holds


@pytest.mark.parametrize("rate", [2, 3, 8, 30])
def test_another_rate_shows_what_was_to_be_seen_at_each_moment(tmp_path, rate):
    """From the first picture on, and none before its time."""
    pictures = [Image.new("L", (16, 16), 15 * n) for n in range(16)]
    pictures[0].save(tmp_path / "a.gif", save_all=True, append_images=pictures[1:], duration=120)
    seen = read_video(tmp_path / "a.gif", fps=rate).frames.mean(axis=(1, 2, 3)) / 15
    at = np.arange(len(seen)) / rate / 0.12 + 1e-6
    assert seen.round().tolist() == np.minimum(at.astype(int), 15).tolist()
    assert abs(len(seen) - 16 * 0.12 * rate) <= 1


def test_a_clock_of_milliseconds_makes_no_frame_come_late(tmp_path):
    """A WebM says 67 ms of what is shown at 66.7."""
    path, rate = tmp_path / "a.webm", 30
    grey = np.arange(0, 240, 8, np.uint8)
    write_video(path, np.tile(grey[:, None, None, None], (1, 16, 16, 3)), rate)
    np.testing.assert_array_equal(read_video(path, fps=rate).frames, read_video(path).frames)


def test_no_frame_is_lost_to_rounding(tmp_path):
    assert 29 / 25 * 25 < 29
    write_video(tmp_path / "a.mp4", np.zeros((29, 16, 16, 3), np.uint8), 25)
    assert len(read_video(tmp_path / "a.mp4", fps=25).frames) == 29


def test_a_gif_of_uneven_delays_starts_with_its_first_picture(tmp_path):
    pictures = [Image.new("L", (16, 16), 40 * n) for n in range(6)]
    delays = [100, 500, 100, 1000, 50, 50]
    pictures[0].save(tmp_path / "a.gif", save_all=True, append_images=pictures[1:], duration=delays)
    seen = read_video(tmp_path / "a.gif").frames.mean(axis=(1, 2, 3)) / 40
    assert seen.round().tolist() == [0, 1, 3, 3, 3, 5]


def test_sound_beside_the_pictures_is_no_problem(tmp_path, clip_mp4):
    both = make(
        tmp_path / "s.mp4", "-i", str(clip_mp4), "-f", "lavfi", "-i", "sine=d=1", "-c:v", "copy"
    )
    assert len(read_video(both).frames) == 8


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("empty.mp4", b"", "is empty"),
        ("note.mp4", b"this is a text, not a film\n", "is a text file"),
        ("page.mp4", b"<html><body>404", "web page"),
        ("list.mp4", b"ffconcat version 1.0\nfile /etc/passwd\n", "is a text file"),
        ("live.mp4", b"#EXTM3U\n#EXTINF:10,\nfile:///etc/passwd\n", "is a text file"),
        ("short.mp4", b"\0\0\0\x18ftypisom", "is cut short"),
        ("short.webm", b"\x1a\x45\xdf\xa3\x9f", "is cut short"),
        ("noise.avi", b"RIFF\x04\0\0\0AVI " + bytes(100), "damaged"),
    ],
)
def test_what_is_no_video_is_refused_by_content(tmp_path, name, content, words):
    (tmp_path / name).write_bytes(content)
    message = refusal(read_video, tmp_path / name)
    assert words in message and message.startswith(name) and str(tmp_path) not in message


def test_a_picture_is_no_video(tmp_path):
    write_png(tmp_path / "p.mp4", moving()[0])  # a PNG by content
    assert "is a picture" in refusal(read_video, tmp_path / "p.mp4")


@pytest.mark.parametrize("suffix", [".mp4", ".webm", ".gif", ".avi"])
def test_a_video_cut_at_60_percent_is_refused(tmp_path, clip_mp4, suffix):
    codec = ("-c:v", "mpeg4") if suffix == ".avi" else ()
    whole = make(tmp_path / f"whole{suffix}", "-i", str(clip_mp4), *codec)
    data = whole.read_bytes()
    cut = tmp_path / f"cut{suffix}"
    cut.write_bytes(data[: len(data) * 6 // 10])
    assert "cut short" in refusal(read_video, cut)


def test_a_video_with_damaged_frames_is_refused(tmp_path, clip_mp4):
    data = bytearray(clip_mp4.read_bytes())
    start = data.index(b"mdat") + 4
    data[start:] = np.random.default_rng(0).integers(0, 256, len(data) - start, np.uint8).tobytes()
    (tmp_path / "bad.mp4").write_bytes(data)
    assert "bad.mp4 is damaged" in refusal(read_video, tmp_path / "bad.mp4")


def test_audio_only_is_refused(tmp_path):
    path = make(tmp_path / "song.mp4", "-f", "lavfi", "-i", "sine=d=1", "-c:a", "aac")
    assert "only sound" in refusal(read_video, path)


def test_other_codecs_are_refused(tmp_path, clip_mp4):
    path = make(tmp_path / "m.avi", "-i", str(clip_mp4), "-c:v", "magicyuv")
    assert "magicyuv" in refusal(read_video, path)


def test_ffmpeg_itself_opens_nothing_that_is_not_on_its_lists(tmp_path, clip_mp4):
    """Also what a file would have it open on the way."""

    def said(*arguments: str) -> str:
        with confined(decoding([*arguments, "-f", "null", "-"]), ChildLimits()) as child:
            child.output.read()
        return child.messages

    other = make(tmp_path / "m.avi", "-i", str(clip_mp4), "-c:v", "magicyuv")
    source = _source(clip_mp4, "mov", LIMITS)
    lists = source[: source.index("-f")]
    assert said(*source) == ""
    assert "Codec (magicyuv) not on whitelist" in said(*_source(other, "avi", LIMITS))
    assert "Format not on whitelist" in said(*lists, "-i", str(other))
    assert "Protocol 'concat' not on whitelist" in said(*lists, "-i", f"concat:{clip_mp4}")


def test_frame_rates_0_and_1000(tmp_path, clip_mp4):
    fast = make(tmp_path / "fast.mp4", "-f", "lavfi", "-i", "testsrc=s=32x32:r=1000:d=0.01")
    assert "1000 frames per second" in refusal(read_video, fast)
    data = bytearray(clip_mp4.read_bytes())
    delta = data.index(b"stts") + 16  # ISO 14496-12 §8.6.1.2: how long a frame lasts
    data[delta : delta + 4] = bytes(4)
    (tmp_path / "still.mp4").write_bytes(data)
    assert refusal(read_video, tmp_path / "still.mp4").startswith("still.mp4 ")
    for fps in (0, -1, 1000, float("nan"), float("inf")):
        assert "fps" in refusal(write_video, tmp_path / "out.mp4", moving(), fps)
        assert "fps" in refusal(read_video, clip_mp4, fps=fps)
    assert not (tmp_path / "out.mp4").exists()


def test_limits_are_checked_before_decoding(clip_mp4):
    def said(**limits) -> str:
        return refusal(read_video, clip_mp4, limits=VideoLimits(**limits))

    assert "48×32" in said(pixels=1000)
    assert "lasts 1 s" in said(seconds=0.5)
    assert "more than 4 frames" in said(frames=4)
    assert "when decoded" in said(decoded_bytes=8 * 48 * 32 * 3 - 1)
    assert "8 frames of 48×32" in said(clip_bytes=8 * 48 * 32 * 3 - 1)
    roomy = VideoLimits(decoded_bytes=4 * 48 * 32 * 3, clip_bytes=4 * 48 * 32 * 3)
    assert len(read_video(clip_mp4, max_frames=4, limits=roomy).frames) == 4


def test_a_video_bomb_is_refused_quickly(tmp_path):
    # grey 2048² frames: about 12 MB each when decoded, next to nothing in the file
    bomb = make(
        *(tmp_path / "bomb.mp4", "-f", "lavfi", "-i", "color=gray:s=2048x2048:r=30:d=0.1"),
        *("-preset", "ultrafast"),
    )
    assert bomb.stat().st_size < 100_000
    limits = VideoLimits(clip_bytes=30 << 20)
    tracemalloc.start()
    message = refusal(read_video, bomb, limits=limits)
    assert tracemalloc.get_traced_memory()[1] < 2_000_000
    tracemalloc.stop()
    assert "3 frames of 2048×2048 are 37.7 MB" in message


def test_the_child_is_limited(tmp_path, clip_mp4):
    little_memory = VideoLimits(child=ChildLimits(memory=20 << 20))
    refusal(read_video, clip_mp4, limits=little_memory)
    no_time = VideoLimits(child=ChildLimits(wall_seconds=0.0))
    assert "too long" in refusal(read_video, clip_mp4, limits=no_time)
    with confined(
        decoding(["-f", "lavfi", "-i", "testsrc", str(tmp_path / "out.avi")]), ChildLimits()
    ) as it:
        it.output.read()
    assert (
        it.failure
        and not (tmp_path / "out.avi").exists()
        or not os.path.getsize(tmp_path / "out.avi")
    )


@pytest.fixture
def printed_by_a_decoder(tmp_path, monkeypatch):
    """The words that Python in the place of ffmpeg prints."""

    def printed(what: str) -> list[str]:
        program = tmp_path / "ffmpeg"
        program.write_text(f"#!{sys.executable}\nimport os; print({what})\n")
        program.chmod(0o755)
        monkeypatch.setattr("fvdm_core.decoder.ffmpeg", lambda: str(program))
        with confined(decoding([]), ChildLimits()) as child:
            words = child.output.read().decode().split()
        assert child.status == 0
        return words

    return printed


@pytest.mark.skipif(os.name != "posix", reason="Windows has no sessions")
def test_what_interrupts_us_does_not_reach_the_decoder(printed_by_a_decoder):
    # Ctrl-C goes to the terminal's session; a decoder that it ends looks like a damaged file
    process, session = printed_by_a_decoder("os.getpid(), os.getsid(0)")
    assert process == session


@pytest.mark.skipif(os.name != "posix", reason="Windows runs no scripts in the place of programs")
def test_no_token_of_ours_reaches_the_decoder(printed_by_a_decoder, monkeypatch):
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    names = printed_by_a_decoder("*os.environ")
    assert "PATH" in names and "HF_TOKEN" not in names


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_no_child_is_left_behind(clip_mp4):
    with (
        pytest.raises(RuntimeError),
        confined(
            decoding(["-re", "-f", "lavfi", "-i", "testsrc", "-f", "rawvideo", "pipe:1"]),
            ChildLimits(),
        ) as child,
    ):
        child.output.read(10)
        raise RuntimeError
    children = Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()
    assert not [c for c in children if "ffmpeg" in Path(f"/proc/{c}/cmdline").read_text()]


def test_what_cannot_be_written_is_refused(tmp_path):
    frames = moving()
    assert ".mp4, .webm or .gif" in refusal(write_video, tmp_path / "a.mkv", frames, 8)
    assert "50" in refusal(write_video, tmp_path / "a.gif", frames, 60)
    assert "float64" in refusal(write_video, tmp_path / "a.mp4", frames / 255, 8)
    assert "not empty" in refusal(write_video, tmp_path / "a.mp4", frames[:0], 8)
    assert not list(tmp_path.iterdir())


# ── saving ────────────────────────────────────────────────────────────────────────────────────


def test_a_failed_save_keeps_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "a.png"
    write_png(path, moving()[0])
    before = path.read_bytes()

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SaveError) as caught:
        write_png(path, moving()[1])
    assert "No space left" in str(caught.value) and "free" in str(caught.value)
    assert str(tmp_path) not in str(caught.value)
    assert path.read_bytes() == before and list(tmp_path.iterdir()) == [path]


def test_a_missing_folder_is_named(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    with pytest.raises(SaveError) as caught:
        write_video(tmp_path / "none" / "a.mp4", moving(), 8)
    assert "~/none/a.mp4" in str(caught.value) and str(tmp_path) not in str(caught.value)


def test_without_a_home_the_reason_is_still_said(tmp_path, monkeypatch):
    """As in a container whose user has no name."""
    monkeypatch.setattr(os.path, "expanduser", lambda path: path)
    with pytest.raises(SaveError, match="a.mp4 cannot be written: No such file"):
        write_video(tmp_path / "none" / "a.mp4", moving(), 8)


def test_old_leftovers_of_a_killed_writer_are_removed(tmp_path):
    old, fresh = tmp_path / ".a.png.00000000.tmp", tmp_path / ".a.png.11111111.tmp"
    other = tmp_path / ".b.png.00000000.tmp"
    for path in (old, fresh, other):
        path.write_bytes(b"x")
    for path in (old, other):
        os.utime(path, (0, 0))
    with atomic_write(tmp_path / "a.png") as temporary:
        temporary.write_bytes(b"new")
    assert not old.exists() and fresh.exists() and other.exists()
    assert (tmp_path / "a.png").read_bytes() == b"new"
    assert (tmp_path / "a.png").stat().st_mode & 0o777 == 0o666 & ~current_umask()


def current_umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def test_a_video_file_of_endless_boxes_is_not_walked_to_its_end(tmp_path, monkeypatch):
    """An MP4 of 8-byte boxes alone: a gigabyte of them would be walked for minutes."""
    path = tmp_path / "boxes.mp4"
    boxes = b"".join(struct.pack(">I4s", 8, name) for name in (b"ftyp", b"moov", *[b"free"] * 50))
    path.write_bytes(boxes)
    with path.open("rb") as file:
        assert containers.is_whole(file, "mov")
        monkeypatch.setattr(containers, "MAX_BOXES", 50)
        assert not containers.is_whole(file, "mov")
