"""Networks and autoencoders that are not ours, driven by the pipeline."""

import inspect
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from fvdm_core import NoiseSchedule, Pipeline, Timeline
from fvdm_core.card import ModelCard
from fvdm_core.defaults import SamplingDefaults
from fvdm_core.keyframes import frames_of_columns
from fvdm_core.measures import changes
from fvdm_core.media import write_video
from fvdm_core.network import NetworkError, NetworkShape, PixelSpace, skills_of
from fvdm_core.pictures import load_image, load_moving, write_png
from fvdm_core.recipe import read_recipe

X0 = NoiseSchedule("cosine", prediction_type="x0")
FLOW = NoiseSchedule("flow", prediction_type="flow")


class Constant(nn.Module):
    """Predicts the same clean clip (F, C, h, w) whatever it sees, and notes what it was given."""

    def __init__(self, clip, num_classes=0):
        super().__init__()
        frames, channels, size, _ = clip.shape
        self.config = NetworkShape(frames, channels, size, num_classes=num_classes)
        self.register_buffer("clip", clip)
        self.given = []

    def forward(self, x, t, y=None):
        self.given.append((tuple(x.shape), t.tolist(), None if y is None else y.tolist()))
        return self.clip[: x.shape[1]].expand(len(x), -1, -1, -1, -1)


class Slow(PixelSpace):
    """Three frames for each latent but the first: the latent itself, brighter and brighter."""

    frames_per_latent = 3

    def decode(self, latents):
        first, rest = latents[:1], latents[1:]
        later = torch.stack([rest - 0.2, rest - 0.1, rest], dim=1).flatten(0, 1)
        return torch.cat([first, later])


def clip_of(frames=4, size=8, seed=0):
    return (
        torch.rand(frames, 3, size, size, generator=torch.Generator().manual_seed(seed)) * 1.6 - 0.8
    )


def made(network, coder=None, schedule=X0, **card):
    card = ModelCard(name="Mine", **card)
    return Pipeline(
        network, coder or PixelSpace(), schedule, card, device="cpu", dtype=torch.float32
    )


def pixels(clip):
    return ((clip + 1) * 127.5).round().permute(0, 2, 3, 1).numpy().astype(np.uint8)


def timeline(name="standard", frames=4, steps=3, **params):
    return Timeline.preset(name, frames=frames, steps=steps, **params)


def test_a_network_without_labels_is_given_x_and_the_timesteps_of_every_frame():
    network = Constant(clip_of())
    levels = [[0, 1000, 500, 1000], [0, 400, 500, 1], [0, 0, 0, 0]]
    picture = np.full((8, 8, 3), 200, np.uint8)
    clip = made(network)(Timeline(levels), keyframes={0: picture, 2: picture})
    assert network.given == [
        ((1, 4, 3, 8, 8), [[0, 999, 499, 999]], None),  # n − 1, and 0 for a clean one
        ((1, 4, 3, 8, 8), [[0, 399, 499, 0]], None),
    ]
    assert np.array_equal(clip.frames[0], picture)  # of pixels nothing is lost
    assert np.array_equal(clip.frames[1:], pixels(network.clip)[1:])


def test_labels_are_their_places_and_none_is_the_number_of_them():
    network = Constant(clip_of(), num_classes=2)
    pipe = made(network, labels=("walk", "run"))
    pipe(timeline(steps=1), label="run", cfg_scale=3)
    pipe(timeline(steps=1), label=None, cfg_scale=3)
    pipe(timeline(steps=1), label="walk", cfg_scale=1)
    assert [y for _, _, y in network.given] == [[1, 2], [2], [0]]
    assert [shape[0] for shape, _, _ in network.given] == [2, 1, 1]


def test_any_text_is_a_label_to_a_network_that_takes_prompts():
    class Prompted(Constant):
        texts = ["none", "walk", "run"]

        def class_of(self, text):
            self.texts = [*self.texts, text]
            return len(self.texts) - 1

    for labels in ((), ("walk", "run")):
        network = Prompted(clip_of(), num_classes=len(labels))
        pipe = made(network, labels=labels)
        assert "prompts" in pipe.skills
        clip = pipe(timeline(steps=1), label="a cat", cfg_scale=3)
        assert clip.recipe["label"] == "a cat"
        none = pipe(timeline(steps=1), label=None, cfg_scale=3)  # an empty prompt
        assert [y for _, _, y in network.given] == [[3, len(labels)], [4, len(labels)]]
        assert network.texts[3:] == ["a cat", ""] and none.recipe["label"] == ""
    assert pipe(timeline(steps=1), label=1).recipe["label"] == "run" and len(network.texts) == 5
    with pytest.raises(ValueError, match="label 'a cat' is unknown; the model's labels are none"):
        made(Constant(clip_of())).stream(timeline(), label="a cat")


def test_a_flow_is_told_a_thousand_times_its_noise():
    network = Constant(clip_of())
    shifted = NoiseSchedule("flow", prediction_type="x0", shift=3.0)
    made(network, schedule=shifted)(Timeline([[1000] * 4, [500] * 4, [0] * 4]))
    told = [t[0][0] for _, t, _ in network.given]
    assert told == pytest.approx([1000, 1000 * 3 * 0.5 / (1 + 2 * 0.5)])


def test_guidance_ends_at_its_level_on_a_shifted_flow_too():
    """The two levels above and below it are fewer timesteps apart than one."""
    network = Constant(clip_of(frames=2), num_classes=1)
    pipe = made(network, schedule=NoiseSchedule("flow", 1000, "x0", 8.0), labels=("one",))
    rows = Timeline([[1000, 1000], [901, 900], [900, 900], [0, 0]])
    pipe(rows, label="one", cfg_scale=2, guidance_from=900)
    assert [len(y) for _, _, y in network.given] == [2, 2, 1]


@pytest.mark.parametrize("option", ["temporal_scale", "step_cache"])
def test_what_a_network_cannot_do_is_refused_before_the_run(option):
    network = Constant(clip_of())
    pipe = made(network)
    assert pipe.skills == {"splice_exact"}
    with pytest.raises(ValueError, match=f"{option} is 0.5, but the network of Mine takes no"):
        pipe.stream(timeline(), **{option: 0.5})
    assert not network.given


def test_a_network_that_can_see_frames_alone_is_led_by_them():
    class Sees(Constant):
        def forward(self, x, t, y=None, alone=None):
            self.alone = None if alone is None else alone.tolist()
            out = super().forward(x, t, y)
            return out if alone is None else torch.where(alone[:, None, None, None, None], 0.0, out)

    network = Sees(clip_of() / 2)
    pipe = made(network)
    assert "temporal_scale" in pipe.skills
    clip = pipe(timeline(steps=1), temporal_scale=0.5)
    assert network.alone == [False, True]
    assert np.array_equal(clip.frames, pixels(1.5 * network.clip))


@pytest.mark.parametrize("cfg_scale", [1.0, 2.0])
@pytest.mark.parametrize(
    "output, words",
    [
        (lambda x: x.transpose(1, 2), r"4, 3, 8, 8\) and returned \(\d, 3, 4, 8, 8\)"),
        (lambda x: torch.cat([x, x]), r"4, 3, 8, 8\) and returned \([24], 4, 3, 8, 8\)"),
        (lambda x: x[:, :, 0], "and returned"),
        (lambda x: (x,), "the network returned a tuple, not a tensor"),
        (lambda x: x[:, :, :, :4], "the channels, the third number"),
        (lambda x: x[0], "returned"),
        (lambda x: x[:, :, :2], "returned 2 channels; expected 3 or 6"),
    ],
)
def test_an_output_of_another_shape_is_refused_with_both(output, words, cfg_scale):
    network = Constant(clip_of(), num_classes=1)
    network.forward = lambda x, t, y=None: output(x)
    with pytest.raises(ValueError, match=words):
        made(network, labels=("one",))(timeline(), label="one", cfg_scale=cfg_scale)


def test_only_real_numbers_are_cast_and_none_of_a_network_with_a_dtype_of_its_own():
    class Turning(Constant):
        def __init__(self, clip):
            super().__init__(clip)
            self.register_buffer("turns", torch.polar(torch.ones(4), torch.arange(4.0)))
            self.register_buffer("places", torch.arange(4))
            self.weight = nn.Parameter(torch.ones(2))

    network = Turning(clip_of())
    turns = network.turns.clone()
    pipe = Pipeline(network, PixelSpace(), X0, ModelCard(), device="cpu", dtype=torch.bfloat16)
    assert network.weight.dtype == torch.bfloat16 and network.places.dtype == torch.long
    assert torch.equal(network.turns, turns)
    pipe(timeline(steps=1))

    class Mixed(Turning):
        dtype = torch.bfloat16

        def forward(self, x, t, y=None):
            assert x.dtype == torch.bfloat16
            return super().forward(x, t, y)

    mixed = Mixed(clip_of())
    pipe = Pipeline(mixed, PixelSpace(), X0, ModelCard(), device="cpu")
    assert pipe.dtype == torch.bfloat16 and mixed.weight.dtype == torch.float32
    assert pipe(timeline(steps=1)).recipe["dtype"] == "bfloat16"
    assert pipe.to("cpu", torch.float64).dtype == mixed.weight.dtype == torch.float64


def test_a_network_without_numbers_is_given_all_where_the_pipeline_is(monkeypatch):
    class Formula(nn.Module):
        config = NetworkShape(4, 3, 8, num_classes=1)

        def forward(self, x, t, y):
            assert x.dtype == torch.bfloat16 and {x.device, t.device} == {y.device}
            return x * 0

    pipe = Pipeline(Formula(), PixelSpace(), X0, ModelCard(labels=("one",)), dtype=torch.bfloat16)
    pipe(timeline(steps=1), label="one", cfg_scale=2)


def test_a_compiled_network_can_do_what_it_could(monkeypatch):
    class Sees(Constant):
        def forward(self, x, t, y=None, alone=None):
            return super().forward(x, t, y)

    assert "temporal_scale" in skills_of(torch.compile(Sees(clip_of())))


def test_a_network_may_write_into_what_it_is_given():
    class Writes(Constant):
        def forward(self, x, t, y=None):
            return x.mul_(0.5)

    class Reads(Constant):
        def forward(self, x, t, y=None):
            return x * 0.5

    # of which x_start is then told from x
    v = NoiseSchedule("cosine", prediction_type="v")
    clips = [made(net(clip_of()), schedule=v)(timeline()).frames for net in (Writes, Reads)]
    assert np.array_equal(*clips)


def test_an_error_in_a_network_names_its_line(caplog):
    class Fails(Constant):
        def forward(self, x, t, y=None):
            return self.inside(x)

        def inside(self, x):
            assert x.shape[1] == 5, "it takes 5\nframes"

    line = inspect.getsourcelines(Fails.inside)[1] + 1
    words = rf"^test_network.py:{line}, inside: AssertionError: it takes 5 frames"
    with pytest.raises(NetworkError, match=words):
        made(Fails(clip_of()))(timeline())
    assert caplog.records[0].exc_info

    class NoMemory(Constant):
        def forward(self, x, t, y=None):
            raise RuntimeError("CUDA out of memory")

    with pytest.raises(RuntimeError, match="^CUDA out of memory$"):  # the page has words for that
        made(NoMemory(clip_of()))(timeline())

    class NotThere(Constant):
        def forward(self, x, t, y=None):
            raise RuntimeError("no operator found for memory_efficient_attention_forward")

    with pytest.raises(NetworkError, match="forward: RuntimeError: no operator found for memory_e"):
        made(NotThere(clip_of()))(timeline())

    class Undecided(PixelSpace):
        def decode(self, latents):
            raise KeyError("no")

    with pytest.raises(NetworkError, match=r"test_network.py:\d+, decode: KeyError: 'no'"):
        made(Constant(clip_of()), Undecided())(timeline())


def test_an_autoencoder_that_makes_other_latents_is_told_so():
    class Halves(PixelSpace):
        def encode(self, video):
            return video[..., ::2, ::2]

    with pytest.raises(ValueError, match=r"latents of shape \(2, 3, 4, 4\) of pictures of shape"):
        made(Constant(clip_of()), Halves()).encode(np.zeros((2, 8, 8, 3), np.uint8))


def test_parts_that_do_not_fit_are_refused():
    network = Constant(clip_of(), num_classes=2)
    wants = SamplingDefaults(by_label={"one": {"temporal_scale": 1.0}})
    with pytest.raises(ValueError, match="sampling.temporal_scale is above 0, but the network"):
        made(network, labels=("one", "two"), sampling=wants)
    with pytest.raises(ValueError, match="there are 1 labels, but the network has 2 classes"):
        made(network, labels=("one",))
    with pytest.raises(ValueError, match="Linear does not say its num_frames: give it"):
        made(nn.Linear(1, 1))
    with pytest.raises(ValueError, match="the network is a int, not a torch.nn.Module"):
        made(3)
    with pytest.raises(ValueError, match="Linear is no autoencoder: it has no downsample"):
        made(network, nn.Linear(1, 1))
    for values in ({"num_frames": 0}, {"num_classes": -1}, {"latent_size": 2.5}, {"patch_size": 3}):
        (name,) = values
        with pytest.raises(ValueError, match=name):
            NetworkShape(**{"num_frames": 4, "latent_channels": 3, "latent_size": 8} | values)


# ── Several frames for each latent ───────────────────────────────────────────────────────────────


def test_each_latent_but_the_first_stands_for_several_frames():
    network = Constant(clip_of())
    pipe = made(network, Slow())
    states = list(pipe.stream(timeline()))
    clip = states[-1].clip
    whole = pixels(network.clip)
    assert pipe.frames_per_latent == 3 and clip.frames_per_latent == 3
    assert clip.frames.shape == (1 + 3 * 3, 8, 8, 3)
    assert np.array_equal(clip.frames[[0, 3, 6, 9]], whole)
    assert np.array_equal(clip.of_columns, whole)
    assert np.array_equal(clip.frames[4], pixels(network.clip - 0.2)[2])
    assert all(state.preview.shape == (4, 8, 8, 3) for state in states)  # a picture for a column
    assert np.array_equal(states[-1].preview, whole)
    assert states[1].frames.shape == (10, 8, 8, 3)  # of a clip that is cut
    (one,) = pipe.batch(timeline(), [0])
    assert np.array_equal(one.frames, clip.frames) and one.frames_per_latent == 3


def test_long_clips_of_such_latents_are_decoded_at_once():
    """In parts, each would begin with a latent that stands for one frame."""
    pipe = made(Constant(clip_of()), Slow())
    latents = clip_of(frames=10)
    assert np.array_equal(pipe.decode(latents[None]), pixels(Slow().decode(latents)))
    assert pipe(timeline(frames=10)).frames.shape == (1 + 3 * 9, 8, 8, 3)


def test_pictures_are_not_spliced_into_several_frames():
    pipe = made(Constant(clip_of()), Slow())
    assert "splice_exact" not in pipe.skills
    with pytest.raises(ValueError, match="splice_exact is on, but Mine makes 3 frames of each"):
        pipe.stream(timeline(), splice_exact=True)


def test_an_autoencoder_that_makes_another_number_of_frames_is_told_so():
    class Short(Slow):
        def decode(self, latents):
            return super().decode(latents)[1:]

    with pytest.raises(ValueError, match="made 9 frames of 4 latents; it should have made 10"):
        made(Constant(clip_of()), Short())(timeline())


def test_a_preview_of_its_own_is_shown_on_the_way():
    class Quick(PixelSpace):
        def preview(self, latents):
            return torch.full_like(latents, 1.0)

    states = list(made(Constant(clip_of()), Quick()).stream(timeline()))
    assert (states[1].preview == 255).all()
    assert not (states[-1].preview == 255).all()


def test_a_network_that_takes_no_label_and_a_card_that_is_none_are_refused():
    class Two(Constant):
        def forward(self, x, t):
            return x

    with pytest.raises(
        ValueError, match="Two.forward must take three arguments by position, x, t and y"
    ):
        made(Two(clip_of()))
    with pytest.raises(ValueError, match="the card is a dict, not a fvdm_core.card.ModelCard"):
        Pipeline(Constant(clip_of()), PixelSpace(), X0, {"name": "Mine"})


def test_a_program_is_not_run_by_from_pretrained(tmp_path):
    (tmp_path / "mine.py").write_text("raise SystemExit")
    with pytest.raises(ValueError, match="mine.py is a program: fvdm_core.own.load_own runs it"):
        Pipeline.from_pretrained(tmp_path / "mine.py")


def test_frames_of_a_kept_column_are_kept():
    """Three frames for each column but the first: of the second column, 1 to 3."""
    timeline = Timeline([[1000, 0, 1000], [0, 0, 0]])
    picture = np.full((8, 8, 3), 90, np.uint8)
    clip = made(Constant(clip_of(3)), Slow())(timeline, {1: picture})
    assert clip.kept == (1,) and len(clip.frames) == 7
    assert clip.changes == changes(clip.frames, [1, 2, 3])


class Together(Slow):
    """A clip's latents are the means of their frames and, a little, the frame before them."""

    def encode_clip(self, video):
        before, means = video[:-1:3], video[1:].unflatten(0, (-1, 3)).mean(1)
        return torch.cat([video[:1], 0.8 * means + 0.2 * before])


def moving(columns, seed=0):
    """The pictures of neighbouring columns of a clip, and all its frames."""
    rng = np.random.default_rng(seed)
    frames = rng.integers(0, 256, (1 + 3 * columns, 8, 8, 3), dtype=np.uint8)
    return [frames[0], *frames[1:].reshape(-1, 3, 8, 8, 3)], frames


def together(frames):
    return Together().encode_clip(torch.from_numpy(frames).permute(0, 3, 1, 2) / 127.5 - 1)


def begun(pipe, timeline, pictures):
    """The latents (F, C, h, w) that a run begins with."""
    return next(pipe.stream(timeline, pictures)).x[0]


@pytest.mark.parametrize("columns", [4, 11])
def test_the_frames_of_kept_columns_are_encoded_together(columns):
    """In parts too, of as many as the network sees, where there are many."""
    lengths = []

    class Counted(Together):
        def encode_clip(self, video):
            lengths.append(len(video))
            return super().encode_clip(video)

    pipe = made(Constant(clip_of()), Counted())
    assert (pipe.frames_per_latent, pipe.frames_per_picture) == (3, 3)
    pictures, frames = moving(columns - 1)
    kept = timeline("extend", frames=columns + 2, given=columns, context=2)
    x = begun(pipe, kept.with_windows(4), dict(enumerate(pictures)))
    torch.testing.assert_close(x[:columns], together(frames))
    assert max(lengths) == 10  # of four latents
    torch.testing.assert_close(pipe.encode_clip(frames), together(frames))
    assert pipe.decode(x[None]).shape == (1 + 3 * (columns + 1), 8, 8, 3)
    with pytest.raises(ValueError, match="the clip has 9 frames; it must have 1 \\+ 3 n"):
        pipe.encode_clip(frames[:9])


def test_what_moves_in_the_middle_follows_the_picture_before_it_or_itself():
    pipe = made(Constant(clip_of(7)), Together())
    (_, one, two, three), frames = moving(3)
    still = np.full((8, 8, 3), 90, np.uint8)
    levels = np.array([[1000, 0, 0, 1000, 0, 0, 1000], [0] * 7])
    x = begun(pipe, Timeline(levels), {1: still, 2: one, 4: two, 5: three})
    torch.testing.assert_close(x[1], torch.from_numpy(still).permute(2, 0, 1) / 127.5 - 1)
    torch.testing.assert_close(x[2], together(np.stack([still, *one]))[1])
    torch.testing.assert_close(x[4:6], together(np.stack([two[0], *two, *three]))[1:])


def test_what_is_held_starts_as_the_last_frame_of_what_moves():
    pipe = made(Constant(clip_of()), Together())
    pictures, frames = moving(1)
    sources = ("keyframe", "keyframe", "hold", "noise")
    held = Timeline([[0, 0, 1, 1000], [0] * 4], sources=sources)
    start = begun(pipe, held, dict(enumerate(pictures)))
    signal, noise = (float(part) for part in pipe.schedule.pair(torch.tensor(1)))
    first, last = (torch.from_numpy(frames[k]).permute(2, 0, 1) / 127.5 - 1 for k in (1, 3))
    assert (start[2] - signal * last).abs().max() < 5 * noise < 0.1
    before = Timeline([[1, 0, 1000, 1000], [0] * 4], sources=("hold", *["keyframe"] * 3))
    start = begun(pipe, before, {1: pictures[1]})  # from the nearest frame of it
    assert (start[0] - signal * first).abs().max() < 5 * noise
    # and what moves behind a column that is held follows what that holds
    levels = [[0, 1, 0, 1000], [0] * 4]
    held = Timeline(levels, sources=("keyframe", "hold", "keyframe", "noise"))
    x = begun(pipe, held, {0: frames[0], 2: pictures[1]})
    torch.testing.assert_close(x[2], together(frames)[1])
    # which is its own first frame where nothing is known before it
    levels, sources = [[1, 0, 1000, 1000], [0] * 4], ("hold", "keyframe", "noise", "noise")
    x = begun(pipe, Timeline(levels, sources=sources), {1: pictures[1]})
    own = np.concatenate([pictures[1][:1], pictures[1]])
    torch.testing.assert_close(x[1], together(own)[1])


def test_what_moves_is_in_the_file_and_comes_back(tmp_path):
    pipe = made(Constant(clip_of()), Together())
    pictures, _ = moving(1)
    pictures[1][2] = pictures[1][1]  # frames that are alike are no fewer
    levels = np.array([[0, 0, 1000, 1000], [0] * 4])
    clip = pipe(Timeline(levels), dict(enumerate(pictures)))
    clip.save(tmp_path / "clip.mp4")
    recipe = read_recipe(tmp_path / "clip.mp4")
    assert not recipe.missing and np.array_equal(recipe.pictures[1], pictures[1])
    again = pipe(recipe.timeline, recipe.pictures, recipe.options)
    assert again.recipe["keyframes"] == clip.recipe["keyframes"]
    assert np.array_equal(again.frames, clip.frames)
    stills = made(Constant(clip_of()), Slow())  # takes pictures only
    assert (stills.frames_per_latent, stills.frames_per_picture) == (3, 1)
    with pytest.raises(ValueError, match=r"index 1\): the picture has 3 frames; it must have one"):
        stills(recipe.timeline, recipe.pictures)


def test_an_animation_moves_where_it_has_as_many_frames_as_the_latent(tmp_path):
    pipe = made(Constant(clip_of()), Together())
    levels = np.array([[0, 0, 1000, 1000], [0] * 4])
    pictures, frames = moving(1)
    for count, moves in ((2, False), (3, True), (4, False)):
        file = tmp_path / f"{count}.png"
        write_png(file, np.concatenate([pictures[1], frames[:1]])[:count])
        for given in (file, Image.open(file)):
            x = begun(pipe, Timeline(levels), {0: pictures[0], 1: given})
            still = torch.from_numpy(pictures[1][0]).permute(2, 0, 1) / 127.5 - 1
            torch.testing.assert_close(x[1], together(frames)[1] if moves else still)
        first = begun(pipe, Timeline(levels), {0: file, 1: pictures[1]})[0]
        torch.testing.assert_close(first, still)  # which stands for one frame
    for layout in (frames[:3].transpose(0, 3, 1, 2), frames[:3] / 255):
        with pytest.raises(ValueError, match=r"it must be uint8 \(frames, height, width, 3\)"):
            begun(pipe, Timeline(levels), {0: pictures[0], 1: layout})
    for wrong in (2, 4):
        with pytest.raises(ValueError, match=f"has {wrong} frames; it must have one or 3"):
            begun(pipe, Timeline(levels), {0: pictures[0], 1: frames[:1].repeat(wrong, 0)})


def test_the_frames_of_a_video_are_pictures_of_the_columns_that_they_fill():
    frames = np.arange(9)[:, None, None, None] * np.ones((1, 8, 8, 3), np.uint8)
    for coder, wanted in (
        (PixelSpace(), [[k] for k in range(9)]),
        (Together(), [[2], [3, 4, 5], [6, 7, 8]]),
        (Slow(), [[2], [5], [8]]),  # which takes stills
    ):
        pictures = made(Constant(clip_of()), coder).pictures_of(frames)
        assert list(pictures) == list(range(len(wanted)))
        assert [np.atleast_1d(p.mean((-1, -2, -3))).tolist() for p in pictures.values()] == wanted
    for wrong in ((-1, 4), (9, 0), (9.5, 2)):
        with pytest.raises(ValueError, match="must be a whole number"):
            frames_of_columns(*wrong)
    assert frames_of_columns(0, 4) == []


def test_an_animation_is_the_same_however_often_it_is_given(tmp_path):
    pipe = made(Constant(clip_of()), Together())
    pictures, _ = moving(2)
    write_png(tmp_path / "a.png", pictures[1])
    animation = Image.open(tmp_path / "a.png")
    levels = Timeline(np.array([[1000, 0, 0, 1000], [0] * 4]))
    once, twice = (begun(pipe, levels, {1: animation, 2: animation}) for _ in range(2))
    expected = begun(pipe, levels, {1: pictures[1], 2: pictures[1]})
    assert torch.equal(once, expected) and torch.equal(twice, expected)
    clips = pipe.batch(levels, [1, 2], {1: animation, 2: animation})
    assert clips[0].recipe["keyframes"] == clips[1].recipe["keyframes"]
    assert animation.tell() == 0


def test_pictures_with_previews_and_pages_do_not_move(tmp_path):
    """Nor are they looked through: what is damaged behind the first does not matter."""
    red, blue = (Image.new("RGB", (8, 8), colour) for colour in ("red", "blue"))
    red.save(tmp_path / "pages.tiff", save_all=True, append_images=[blue, blue])
    red.save(tmp_path / "a.gif", save_all=True, append_images=[blue, red, blue])
    whole = (tmp_path / "a.gif").read_bytes()
    (tmp_path / "cut.gif").write_bytes(whole[: len(whole) - 12])
    assert load_moving(tmp_path / "pages.tiff", (8, 8), "crop", 3).shape == (8, 8, 3)
    assert load_moving(tmp_path / "a.gif", (8, 8), "crop", 4)[1, 0, 0].tolist() == [0, 0, 255]
    with Image.open(tmp_path / "a.gif") as closed:
        closed.load()
    for given in (tmp_path / "cut.gif", closed):
        assert load_image(given, (8, 8))[0, 0].tolist() == [255, 0, 0]
    with pytest.raises(ValueError, match="the picture is damaged"):
        load_moving(closed, (8, 8), "crop", 4)


def test_the_code_of_the_page_goes_on_from_a_video(tmp_path, monkeypatch):
    page = (Path(__file__).parents[2] / "docs" / "own-network.md").read_text("utf-8")
    code = next(part for part in page.split("```python\n") if "pictures_of" in part)
    monkeypatch.chdir(tmp_path)
    for coder in (Together(), PixelSpace()):
        each = 3 if isinstance(coder, Together) else 1
        write_video("walk.mp4", np.full((9, 8, 8, 3), 200, np.uint8), 8)
        made_here = {"pipe": made(Constant(clip_of()), coder)}
        exec(code.split("```")[0], made_here)
        assert len(made_here["clip"].frames) == 1 + each * 11
        kept = made_here["clip"].of_columns[: 1 + 8 // each]
        assert np.abs(kept.astype(int) - 200).max() < 3


def test_an_autoencoder_that_makes_other_latents_of_clips_is_told_so():
    class Wrong(Together):
        def encode_clip(self, video):
            return video[::2]

    with pytest.raises(ValueError, match=r"latents of shape \(4, 3, 8, 8\).*expected \(3,"):
        made(Constant(clip_of()), Wrong()).encode_clip(moving(2)[1])
