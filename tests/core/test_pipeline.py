"""The pipeline, with a tiny random model: what is kept, refused, repeated, and what it costs."""

import base64
import copy
import json
import pickle
import re
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from tiny import CODER, LABELS, load, save_tiny

from fvdm_core import Pipeline, Timeline
from fvdm_core.autoencoder import Autoencoder
from fvdm_core.files import SaveError
from fvdm_core.guidance import denoiser
from fvdm_core.measures import changes
from fvdm_core.media import read_metadata, read_video
from fvdm_core.model import VideoDiT
from fvdm_core.network import PixelSpace
from fvdm_core.noise import frame_noise
from fvdm_core.options import RunOptions
from fvdm_core.presets import PRESETS
from fvdm_core.recipe import read_recipe
from fvdm_core.sampler import SOLVERS, NotFinite, sample
from fvdm_core.schedule import NoiseSchedule
from fvdm_core.timeline import PRIORS, Window


@pytest.fixture(scope="module")
def pipe(tmp_path_factory):
    return load(save_tiny(tmp_path_factory.mktemp("models") / "tiny"))


@pytest.fixture
def calls(pipe):
    """The shapes of x and the labels of every call of the network."""
    seen = []
    hook = pipe.model.register_forward_pre_hook(lambda _, given: seen.append(given))
    yield seen
    hook.remove()


def picture(seed=0, size=8):
    return np.random.default_rng(seed).integers(0, 256, (size, size, 3), dtype=np.uint8)


def preset(name="standard", frames=16, steps=4, **params):
    return Timeline.preset(name, frames=frames, steps=steps, **params)


def pictures_for(timeline):
    return {frame: picture(frame) for frame in timeline.needs_picture()}


def encoded(pipe, frame):
    video = torch.from_numpy(frame).permute(2, 0, 1)[None].float() / 127.5 - 1
    with torch.no_grad():
        return pipe.autoencoder.encode(video)[0]


def test_a_stream_starts_at_step_0_and_brings_the_clip_last(pipe):
    timeline = preset("interpolation", steps=5)
    options = {"keyframes": pictures_for(timeline), "label": "sky"}
    states = list(pipe.stream(timeline, **options))
    assert [state.step for state in states] == [0, 1, 2, 3, 4, 5]
    assert {state.num_steps for state in states} == {5}
    for state, row in zip(states, timeline.levels, strict=True):
        assert np.array_equal(state.levels, row)
        assert state.x.shape == (1, 16, 3, 2, 2)
        assert state.preview.shape == (16, 8, 8, 3) and state.preview.dtype == np.uint8
    assert [state.clip is not None for state in states] == [False] * 5 + [True]
    clip = states[-1].clip
    assert clip.frames.shape == (16, 8, 8, 3) and clip.frames.dtype == np.uint8 and clip.fps == 8
    assert np.array_equal(clip.frames, pipe(timeline, **options).frames)


def test_a_state_can_be_kept_small_and_seen_later(pipe):
    states = list(pipe.stream(preset("interpolation"), keyframes={0: picture(), 15: picture(1)}))
    for state in states:
        kept = state.light()
        tensors = 2 if state.step else 1
        held = tensors * state.x.nbytes + state.timeline.levels.nbytes
        assert kept.clip is None and kept.nbytes == held
        assert "timeline" not in kept.recipe and kept.recipe["keyframes"]
        for later, now in ((kept.preview, state.preview), (kept.noisy, state.noisy)):
            allowed = 0 if state.clip is None else 8  # a clip is decoded in full precision
            assert np.abs(later.astype(int) - now).max() <= allowed
    assert not np.array_equal(states[1].noisy, states[1].preview)
    assert np.array_equal(states[-1].noisy, states[-1].preview)  # nothing is noisy any more


def test_frames_are_seen_smaller_on_the_way_where_their_detail_is_dear(pipe):
    """The strip's pictures are those of a decoder without its last stage; the clip's are not."""
    coder = Autoencoder(replace(CODER, image_size=16, detail=4))
    coder.load_state_dict(pipe.autoencoder.state_dict(), strict=False)
    large = Pipeline(pipe.model, coder, pipe.schedule, pipe.card)
    *early, last = large.stream(preset("standard", steps=3), label="sky", seed=1)
    *same, _ = pipe.stream(preset("standard", steps=3), label="sky", seed=1)
    for ours, theirs in zip(early, same, strict=True):
        assert np.array_equal(ours.preview, theirs.preview) and ours.preview.shape[1:3] == (8, 8)
    assert last.clip.frames.shape[1:3] == (16, 16)
    assert last.preview is last.clip.frames and last.noisy is last.clip.frames
    assert early[1].frames.shape[1:3] == (16, 16)  # what a run that is stopped there gives


def test_a_run_stopped_in_another_process_is_decoded_whole_in_this_one(pipe):
    """Where a GPU is lent, states are pickled; previews may be smaller than the clip."""
    coder = Autoencoder(replace(CODER, image_size=16, detail=4))
    large = Pipeline(pipe.model, coder, pipe.schedule, pipe.card)
    timeline = preset("image-to-video", steps=3)
    picture = np.random.default_rng(0).integers(0, 256, (16, 16, 3), np.uint8)
    for exact in (False, True):
        states = large.stream(timeline, keyframes={0: picture}, seed=1, splice_exact=exact)
        next(states)
        there = next(states)
        here = pickle.loads(pickle.dumps(there)).arrived(large.decode)
        assert here.preview.shape[1:3] == (8, 8) and here.frames.shape[1:3] == (16, 16)
        assert np.abs(here.frames.astype(int) - there.frames).max() <= 2  # it was halved on its way
        assert np.array_equal(here.frames[0], picture) == exact
        assert vars(copy.copy(there)) == vars(there)  # nothing is decoded for it
        assert here.light().nbytes == here.nbytes == here.preview.nbytes + here.noisy.nbytes


def test_a_dtype_that_was_asked_for_stays_when_the_model_moves(tmp_path, monkeypatch):
    pipe = load(save_tiny(tmp_path / "m"))  # in float32
    monkeypatch.setattr("fvdm_core.device.fast_bf16", lambda device: True)
    assert pipe.to("cpu").dtype == pipe.model.final_layer.linear.weight.dtype == torch.float32
    with pytest.raises(ValueError, match="torch.int8 cannot be computed in"):
        pipe.to("cpu", torch.int8)
    assert pipe.to("cpu").dtype == torch.float32
    assert pipe.to("cpu", torch.float64).to("cpu").dtype == torch.float64
    free = Pipeline(pipe.model, pipe.autoencoder, pipe.schedule, pipe.card)
    assert free.dtype == free.model.final_layer.linear.weight.dtype == torch.bfloat16


def test_another_dtype_leaves_a_model_where_it_is(tmp_path, monkeypatch):
    pipe = load(save_tiny(tmp_path / "m"))
    asked = []
    monkeypatch.setattr(
        "fvdm_core.pipeline.pick_device", lambda given: asked.append(given) or given
    )
    assert pipe.to(dtype=torch.float64).dtype == torch.float64
    assert pipe.to(torch.float32).dtype == torch.float32
    assert asked == [torch.device("cpu")] * 2


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_previews_are_in_the_precision_of_the_model(tmp_path, monkeypatch, dtype):
    monkeypatch.setattr("fvdm_core.codec.fast_bf16", lambda device: True)
    pipe = Pipeline.from_pretrained(save_tiny(tmp_path / "m"), device="cpu", dtype=dtype)
    seen, real = [], pipe.autoencoder.preview

    def preview(latents):
        seen.append(torch.is_autocast_enabled("cpu"))
        return real(latents)

    monkeypatch.setattr(pipe.autoencoder, "preview", preview)
    _ = next(pipe.stream(preset(frames=2, steps=1))).preview
    assert seen == [dtype == torch.bfloat16]


SAMPLING = {"temporal_scale": 1.5, "by_label": {"sky": {"guidance_from": 200}}}


@pytest.mark.parametrize(
    "schedule",
    [NoiseSchedule("cosine", prediction_type="x0"), NoiseSchedule("flow", 1000, "flow", shift=3.0)],
    ids=["cosine", "shifted flow"],
)
def test_what_is_saved_makes_the_same_clip(tmp_path, schedule):
    from_disk = load(save_tiny(tmp_path / "first", sampling=SAMPLING))
    card = replace(from_disk.card, name="Mine", prior="progressive", prior_alpha=2.0)
    compiled = torch.compile(from_disk.model), torch.compile(from_disk.autoencoder)
    pipe = Pipeline(*compiled, schedule, card, device="cpu", dtype=torch.float32)
    pipe.save_pretrained(tmp_path / "second")
    again = load(tmp_path / "second")
    assert again.card == card and again.schedule.written() == schedule.written()
    one, other = (
        each(preset("image-to-video"), {0: picture()}, label="sky") for each in (from_disk, again)
    )
    assert not np.array_equal(one.frames, other.frames)  # another schedule
    from_disk.schedule = schedule
    one = from_disk(preset("image-to-video"), {0: picture()}, label="sky")
    assert np.array_equal(one.frames, other.frames)
    again.save_pretrained(str(tmp_path / "third"))
    assert load(tmp_path / "third").model_hash == again.model_hash == from_disk.model_hash


def test_a_model_is_saved_in_the_precision_that_is_asked_for(pipe, tmp_path):
    pipe.save_pretrained(tmp_path / "half", torch.bfloat16)
    assert next(pipe.model.parameters()).dtype == torch.float32
    again = load(tmp_path / "half")
    for mine, its in zip(pipe.tensors(), again.tensors(), strict=True):
        assert torch.equal(mine.bfloat16().float(), its)
    for wrong in (torch.int8, torch.bool, torch.float8_e4m3fn, torch.complex64, "bfloat16"):
        with pytest.raises(ValueError, match=r"dtype is .*; weights are saved as torch\.float32"):
            pipe.save_pretrained(tmp_path / "wrong", wrong)
    assert not (tmp_path / "wrong").exists()


def test_what_a_model_folder_cannot_hold_is_not_saved(pipe, tmp_path):
    parts = pipe.model, pipe.autoencoder, pipe.schedule, pipe.card
    own = Pipeline(*parts[:2], NoiseSchedule.from_function(lambda s: 1 - s), parts[3])
    with pytest.raises(ValueError, match="from a table or a function"):
        own.save_pretrained(tmp_path / "own")
    foreign = Pipeline(pipe.model, PixelSpace(), *parts[2:])
    with pytest.raises(ValueError, match="Tiny has networks of its own"):
        foreign.save_pretrained(tmp_path / "own")
    assert not (tmp_path / "own").exists()
    (tmp_path / "file").write_text("")
    with pytest.raises(SaveError, match="file"):
        pipe.save_pretrained(tmp_path / "file")


def test_states_and_clips_are_told_apart_and_copied_whole(pipe):
    states = list(pipe.stream(preset("image-to-video"), keyframes={0: picture()}, seed=1))
    assert states[1] == states[1] != states[2] and states[-1].clip != pipe(preset())
    assert len({states[1], states[1], states[2], states[-1].clip}) == 3
    for state in (states[1], states[-1]):
        own = copy.deepcopy(state)
        own.x.zero_()
        own.recipe["timeline"].clear()
        assert state.x.any() and state.recipe["timeline"]
        assert np.array_equal(own.frames, state.frames)
    assert np.array_equal(own.clip.frames, state.clip.frames) and own.clip.recipe is own.recipe
    with pytest.raises(ValueError, match=r"no decoder: take state.arrived\(pipeline.decode\)"):
        _ = pickle.loads(pickle.dumps(states[1])).frames


def test_the_pipeline_says_what_it_opened(pipe):
    assert (pipe.card.name, pipe.card.labels, pipe.card.fps) == ("Tiny", tuple(LABELS), 8)
    assert (pipe.num_frames, pipe.image_size) == (16, (8, 8))
    assert len(pipe.model_hash) >= 16


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("name", ["image-to-video", "interpolation", "transition"])
def test_a_frozen_latent_is_bit_identical_through_the_run(pipe, name, solver):
    timeline = preset(name)
    kept = np.flatnonzero(timeline.levels[0] == 0)
    given = pictures_for(timeline)
    states = pipe.stream(timeline, keyframes=given, label=1, solver=solver, eta=1.0, seed=3)
    start = next(states)
    for frame in kept:
        torch.testing.assert_close(start.x[0, frame], encoded(pipe, given[frame]))
    for state in states:
        assert torch.equal(state.x[:, kept], start.x[:, kept])
        assert torch.equal(state.pred_x_start[:, kept], start.x[:, kept])
        assert not torch.equal(state.x[:, 5], start.x[:, 5])


@pytest.mark.parametrize("learn_sigma", [False, True])
def test_guidance_is_one_batch_and_equals_two_calls(tmp_path, learn_sigma):
    pipe = load(save_tiny(tmp_path / "m", learn_sigma=learn_sigma))
    timeline, scale, solver = preset(frames=6), 3.0, "ddpm" if learn_sigma else "dpmpp_2m"
    batches = []
    hook = pipe.model.register_forward_pre_hook(lambda _, given: batches.append(given[2].tolist()))
    options = {"cfg_scale": scale, "solver": solver, "eta": 0.0, "seed": 5}
    states = list(pipe.stream(timeline, label="faces", **options))
    assert batches == [[1, 3]] * 4  # the label and the null class, together
    hook.remove()

    def two_calls(x, t):
        label = pipe.model(x, t, torch.tensor([1]))
        null = pipe.model(x, t, torch.tensor([3]))
        guided = null + scale * (label - null)
        return torch.cat([guided[:, :, :3], label[:, :, 3:]], dim=2)  # the variance is not guided

    expected = list(sample(two_calls, states[0].x, timeline, pipe.schedule, solver, seed=5))
    torch.testing.assert_close(states[-1].x, expected[-1].x, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("learn_sigma", [False, True])
@pytest.mark.parametrize("label, scale", [("faces", 3.0), ("faces", 1.0), (None, 3.0)])
def test_temporal_guidance_leads_away_from_what_each_frame_is_alone(
    tmp_path, learn_sigma, label, scale
):
    pipe = load(save_tiny(tmp_path / "m", learn_sigma=learn_sigma))
    timeline, solver = preset(frames=6), "ddpm" if learn_sigma else "dpmpp_2m"
    options = {"cfg_scale": scale, "solver": solver, "eta": 0.0, "seed": 5, "label": label}
    states = list(pipe.stream(timeline, temporal_scale=0.5, **options))
    own = 3 if label is None else 1

    def three_calls(x, t):
        plain = pipe.model(x, t, torch.tensor([own]))
        null = pipe.model(x, t, torch.tensor([3]))
        alone = pipe.model(x, t, torch.tensor([own]), alone=torch.tensor([True]))
        led = plain + (scale - 1) * (plain - null) + 0.5 * (plain - alone)
        return torch.cat([led[:, :, :3], plain[:, :, 3:]], dim=2)  # the variance is not guided

    expected = list(sample(three_calls, states[0].x, timeline, pipe.schedule, solver, seed=5))
    torch.testing.assert_close(states[-1].x, expected[-1].x, rtol=1e-4, atol=1e-5)
    without = pipe(timeline, temporal_scale=0.0, **options)
    assert (states[-1].clip.frames != without.frames).any()


def test_temporal_guidance_of_many_clips_is_that_of_each(tmp_path):
    pipe = load(save_tiny(tmp_path / "m"))
    options = {"label": "faces", "temporal_scale": 1.0}
    together = pipe.batch(preset(frames=6), [1, 2, 3], **options)
    for seed, clip in zip([1, 2, 3], together, strict=True):
        alone = pipe(preset(frames=6), seed=seed, **options)
        assert np.abs(clip.frames.astype(int) - alone.frames).max() <= 1


def test_without_a_label_at_guidance_0_nothing_of_it_is_left(tmp_path):
    pipe = load(save_tiny(tmp_path / "m"))
    options = {"temporal_scale": 1.0, "cfg_scale": 0.0}
    one, other = (pipe(preset(), label=label, **options).frames for label in ("faces", "sky"))
    np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("key, value", [("temporal_scale", 0.75), ("guidance_from", 400)])
def test_sampling_is_the_models_where_nothing_is_said(tmp_path, key, value):
    pipe = load(save_tiny(tmp_path / "m", sampling={key: value}))
    assert pipe(preset()).recipe[key] == value
    assert pipe(preset(), **{key: 0.0}).recipe[key] == 0.0
    assert load(save_tiny(tmp_path / "n"))(preset()).recipe[key] == 0.0


def test_a_label_may_have_sampling_of_its_own(tmp_path):
    sampling = {"temporal_scale": 2.0, "by_label": {"sky": {"temporal_scale": 0.5}}}
    pipe = load(save_tiny(tmp_path / "m", sampling=sampling))
    for label, scale in (("sky", 0.5), (0, 0.5), ("faces", 2.0), (None, 2.0)):
        assert pipe(preset(), label=label).recipe["temporal_scale"] == scale
    assert pipe(preset(), label="sky", temporal_scale=1.0).recipe["temporal_scale"] == 1.0
    pipe.card = replace(pipe.card, sampling=pipe.card.sampling.for_all(temporal_scale=0.25))
    assert {pipe(preset(), label=label).recipe["temporal_scale"] for label in (0, 1)} == {0.25}


@pytest.mark.parametrize("temporal_scale", [0.0, 0.5])
def test_guidance_ends_at_a_level_of_each_frames_own(tmp_path, temporal_scale):
    """Frames above it are led as ever, those at it and below get what is predicted plainly."""
    pipe = load(save_tiny(tmp_path / "m"))
    x = torch.randn(2, 4, 3, 2, 2, generator=torch.Generator().manual_seed(0))
    levels = torch.tensor([[1000, 501, 500, 1]]).expand(2, -1)
    t = pipe.schedule.timesteps(levels)
    ways = [
        denoiser(pipe.model, 1, cfg, None, temporal_scale=temporal, led_from=end)(x, t)
        for cfg, temporal, end in (
            (3.0, temporal_scale, 500),
            (3.0, temporal_scale, 0),
            (1.0, 0.0, 0),
        )
    ]
    ended, everywhere, plain = ways
    torch.testing.assert_close(ended[:, :2], everywhere[:, :2])
    torch.testing.assert_close(ended[:, 2:], plain[:, 2:])
    assert not torch.isclose(everywhere, plain).any()


def test_where_guidance_has_ended_nothing_but_the_plain_prediction_is_made(
    pipe, calls, monkeypatch
):
    options = {"label": "faces", "cfg_scale": 2.0, "temporal_scale": 0.5, "guidance_from": 500}
    pipe(preset(steps=4), **options)  # at levels 1000, 750, 500 and 250
    assert [len(call[0]) for call in calls] == [3, 3, 1, 1]
    flow = NoiseSchedule("flow", 1000, "flow")  # whose timesteps are the levels themselves
    monkeypatch.setattr(pipe, "schedule", flow)
    for end, parts in ((500, [3, 3, 1, 1]), (499.5, [3, 3, 3, 1]), (0, [3, 3, 3, 3])):
        del calls[:]
        pipe(preset(steps=4), **options | {"guidance_from": end})
        assert [len(call[0]) for call in calls] == parts


@pytest.mark.parametrize(
    "label, scale, labels", [("faces", 1.0, [1]), (None, 1.5, [3]), (0, 2.0, [0, 3])]
)
def test_a_label_is_given_to_the_network(pipe, calls, label, scale, labels):
    pipe(preset(frames=3, steps=2), label=label, cfg_scale=scale)
    assert [call[2].tolist() for call in calls] == [labels] * 2  # 3 is the null class


def test_a_name_and_its_index_are_one_label_and_none_is_another(pipe):
    clips = [pipe(preset(), label=label).frames for label in ("faces", 1, "sky", None)]
    assert np.array_equal(clips[0], clips[1])
    assert not np.array_equal(clips[0], clips[2]) and not np.array_equal(clips[0], clips[3])


def test_guidance_of_0_is_the_null_class(pipe):
    unguided = list(pipe.stream(preset(), label=None))[-1]
    torch.testing.assert_close(
        list(pipe.stream(preset(), label=1, cfg_scale=0.0))[-1].x, unguided.x, rtol=1e-4, atol=1e-5
    )


def test_a_model_without_labels_takes_none(tmp_path):
    pipe = load(save_tiny(tmp_path / "m", labels=[]))
    assert pipe(preset(frames=3), cfg_scale=4.0).recipe["label"] is None
    with pytest.raises(ValueError, match="'sky' is unknown; .*no labels"):
        pipe.stream(preset(frames=3), label="sky")


@pytest.mark.parametrize(
    "options, words",
    [
        ({"label": "cats"}, "'cats' is unknown; the model's labels are sky, faces, collisions"),
        ({"label": 3}, "label 3 is unknown"),
        ({"label": -1}, "label -1 is unknown"),
        ({"label": True}, "label True is unknown"),
        ({"label": "half a \ud83d"}, "which has half a letter"),
        ({"seed": -1}, "seed is -1; it must be an integer from 0"),
        ({"seed": 2**63}, "seed is 9223372036854775808"),
        ({"seed": 2**70}, "seed is"),
        ({"seed": 1.0}, "seed is 1.0"),
        ({"seed": True}, "seed is True"),
        ({"seed": "7"}, "seed is '7'"),
        ({"cfg_scale": -0.1}, "cfg_scale is -0.1; it must be from 0 to 20"),
        ({"cfg_scale": float("nan")}, "cfg_scale is nan"),
        ({"cfg_scale": 1e9}, "cfg_scale is"),
        ({"solver": "euler"}, "'euler' is unknown; choose one of dpmpp_2m, ddim, ddpm"),
        ({"eta": 1.5}, "eta is 1.5; it must be from 0 to 1"),
        ({"eta": float("nan")}, "eta is nan"),
        ({"fps": 0}, "fps is 0"),
        ({"splice_exact": 1}, "splice_exact is 1; it must be true or false"),
        ({"keyframes": {16: picture()}}, r"frame 17 \(index 16\), but the timeline has 16 frames"),
        ({"keyframes": {-1: picture()}}, "frame index .*got -1"),
        ({"keyframes": {"0": picture()}}, "frame index .*got '0'"),
        ({"keyframes": {0: picture()}, "fit": "zoom"}, "'zoom'; choose one of crop"),
        ({"fit": None}, "fit is None; choose one of crop"),
        ({"fit": {3: "cover"}}, "fit is 'cover'; choose one of crop"),
        ({"fit": {"a": "crop"}}, "fit: frame index"),
        ({"fit": {-1: "crop"}}, "fit: frame index"),
        ({"fps": 1e-4}, "fps is 0.0001; it must be at least 0.001"),
        ({"keyframes": {0: "gone.png"}}, "gone.png does not exist"),
        ({"keyframes": {0: np.zeros((8, 8, 3))}}, r"frame 1 \(index 0\): the picture is float64"),
        ({"keyframes": {2: None}}, r"frame 3 \(index 2\): a picture is a path, .*got None"),
        ({"keyframes": {2: [[1]]}}, r"frame 3 \(index 2\): a picture is .*got \[\[1\]\]"),
        ({"keyframes": {0: torch.zeros(8, 8, 3)}}, r"frame 1 \(index 0\): a picture is a path"),
        ({"keyframes": [picture()]}, "keyframes is .*it must map frames to pictures"),
    ],
)
def test_options_are_checked_at_the_call_before_any_work(pipe, calls, options, words):
    with pytest.raises(ValueError, match=words):
        pipe.stream(preset(), **options)  # not iterated
    assert not calls


@pytest.mark.parametrize("seed", [0, 2**32, 2**63 - 1])
def test_seeds_reach_as_far_as_they_say(pipe, seed):
    assert pipe(preset(frames=2, steps=1), seed=seed).recipe["seed"] == seed


def test_options_may_be_numbers_of_numpy(pipe):
    plain = {"label": 1, "seed": 3, "cfg_scale": 1.5, "splice_exact": True, "fps": 12}
    given = {
        **{"label": np.int64(1), "seed": np.int64(3), "cfg_scale": np.float32(1.5)},
        **{"splice_exact": np.bool_(True), "fps": np.int32(12)},
    }
    assert RunOptions(**given) == RunOptions(**plain)
    one, other = (pipe(preset(), **options) for options in (given, plain))
    assert np.array_equal(one.frames, other.frames)
    assert json.dumps(one.recipe) == json.dumps(other.recipe)


def test_a_frame_below_noise_without_a_picture_is_refused_with_what_to_do(pipe):
    levels = np.array(preset().levels)
    levels[0, 4] = 600
    levels[1:, 4] = np.minimum(levels[1:, 4], 600)
    with pytest.raises(
        ValueError, match=r"frame 5 \(index 4\) starts at level 600, below"
    ) as refusal:
        pipe.stream(Timeline(levels), keyframes={0: picture()})
    assert "drop a picture on frame 5" in str(refusal.value)
    assert "1000" in str(refusal.value)


def test_a_held_frame_without_any_picture_is_refused(pipe):
    with pytest.raises(ValueError, match=r"frame 1 \(index 0\) starts at level .*a picture"):
        pipe.stream(preset("late-start"))


@pytest.mark.parametrize("name", ["standard", "extend", "diagonal", "hierarchical"])
def test_64_frames_never_give_the_network_more_than_it_knows(pipe, calls, name):
    timeline = preset(name, frames=64, steps=3)
    clip = pipe(timeline, keyframes=pictures_for(timeline), label=0)
    assert clip.frames.shape == (64, 8, 8, 3)
    assert calls and all(x.shape[1] <= 16 and t.shape[1] <= 16 for x, t, *_ in calls)
    assert len(calls) == timeline.with_windows(16).model_calls
    assert len({frame.tobytes() for frame in clip.frames}) == 64  # each was made, none repeated


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_costs_the_calls_that_its_timeline_says(pipe, calls, name):
    timeline = preset(name, frames=9, steps=4)
    pipe(timeline, keyframes=pictures_for(timeline), label=1, cfg_scale=2.0)
    assert len(calls) == timeline.model_calls > 0


def test_a_recipe_repeats_the_clip_byte_for_byte(pipe, tmp_path):
    timeline, given = preset("ramp", rate=0.3), {0: picture()}
    options = {"label": 2, "seed": 11, "cfg_scale": 2.5, "solver": "ddpm", "eta": 0.5}
    clip = pipe(timeline, keyframes=given, **options)
    recipe = json.loads(json.dumps(clip.recipe))
    again = pipe(
        Timeline.from_json(json.dumps(recipe["timeline"])),
        keyframes=given,
        **{name: recipe[name] for name in (*options, "fit", "splice_exact")},
    )
    assert np.array_equal(clip.frames, again.frames)
    assert again.recipe == clip.recipe
    clip.save(tmp_path / "one.mp4")
    again.save(tmp_path / "two.mp4")
    assert (tmp_path / "one.mp4").read_bytes() == (tmp_path / "two.mp4").read_bytes()


@pytest.mark.parametrize("solver, usual", [("dpmpp_2m", 1.0), ("ddim", 0.0)])
def test_fresh_noise_is_what_is_usual_for_the_solver_and_the_recipe_says_it(pipe, solver, usual):
    clip = pipe(preset(), solver=solver, seed=3)
    assert clip.recipe["eta"] == usual
    assert np.array_equal(clip.frames, pipe(preset(), solver=solver, seed=3, eta=usual).frames)
    other = pipe(preset(), solver=solver, seed=3, eta=1 - usual)
    assert other.recipe["eta"] == 1 - usual and not np.array_equal(clip.frames, other.frames)


def test_a_state_s_recipe_says_where_to_stop_and_the_last_is_the_clip_s(pipe):
    options = RunOptions(seed=3, label="sky", fps=5)
    states = list(pipe.stream(preset(), options=options, seed=4))
    assert [state.recipe.get("stopped_after_step") for state in states] == [0, 1, 2, 3, None]
    assert states[-1].recipe == states[-1].clip.recipe
    assert states[2].recipe == states[-1].recipe | {"stopped_after_step": 2}
    assert (states[0].recipe["seed"], states[0].recipe["fps"], states[-1].clip.fps) == (4, 5, 5)


def lowered(timeline, row, frame):
    """The same timeline up to a row, below which a frame is clean at once."""
    levels = np.array(timeline.levels)
    levels[row + 1 :, frame] = 0
    return replace(timeline, levels=levels)


@pytest.mark.parametrize("conditioning", ["clean", "replacement"])
@pytest.mark.parametrize("solver", SOLVERS)
def test_a_run_goes_on_from_what_another_has_walked(pipe, calls, solver, conditioning):
    timeline = preset("interpolation", frames=20, steps=6)  # of more frames than a window has
    options = {
        "keyframes": pictures_for(timeline),
        "solver": solver,
        "conditioning": conditioning,
        "seed": 4,
        "label": "sky",
    }
    earlier = [state.light() for state in pipe.stream(timeline, **options)]
    other = lowered(timeline, 4, 7)
    whole = pipe(other, **options)
    calls.clear()
    states = list(pipe.stream(other, **options, reuse=reversed(earlier)))
    assert len(calls) == sum(len(other.with_windows(16).active_windows(m)) for m in (4, 5))
    assert [state.step for state in states] == [4, 5, 6]
    assert np.array_equal(states[-1].clip.frames, whole.frames)
    assert states[-1].clip.recipe == whole.recipe
    assert states[0].recipe["timeline"] == whole.recipe["timeline"]  # and not the earlier run's
    assert states[0].recipe["stopped_after_step"] == 4 and states[0].num_steps == 6

    calls.clear()
    again = list(pipe.stream(timeline, **options, reuse=earlier, fps=3, splice_exact=True))
    assert len(again) == 1 and not calls and again[0].clip.fps == 3
    cut = Timeline(timeline.levels[:4], sources=timeline.sources)
    assert [state.step for state in pipe.stream(cut, **options, reuse=earlier)] == [3]
    assert pipe(timeline, **options, reuse=earlier).recipe == pipe(timeline, **options).recipe


def test_a_run_that_is_not_the_same_so_far_begins_at_the_beginning(pipe, tmp_path):
    timeline = preset("interpolation", steps=4)
    pictures = pictures_for(timeline)
    options = {"keyframes": pictures, "seed": 4, "label": "sky", "cfg_scale": 2.0}
    earlier = [state.light() for state in pipe.stream(timeline, **options)]
    others = [
        {"seed": 5},
        {"label": "faces"},
        {"cfg_scale": 2.5},
        {"solver": "ddim"},
        {"eta": 0.5},
        {"temporal_scale": 0.5},
        {"conditioning": "replacement"},
        {"step_cache": 0.1},
        {"keyframes": pictures | {0: picture(9)}},
    ]
    for other in others:
        states = pipe.stream(timeline, **options | other, reuse=earlier)
        assert next(states).step == 0, other
    cached = [s.light() for s in pipe.stream(timeline, **options, step_cache=0.1)]
    assert next(pipe.stream(timeline, **options, step_cache=0.1, reuse=cached)).step == 0
    arrived = [pickle.loads(pickle.dumps(state)).light() for state in earlier]
    assert next(pipe.stream(timeline, **options, reuse=arrived)).step == 0
    unlike = load(save_tiny(tmp_path / "other", depth=4))
    assert next(unlike.stream(timeline, **options, reuse=earlier)).step == 0
    same = Pipeline(  # with another schedule, which the hash of the weights does not tell
        pipe.model, pipe.autoencoder, NoiseSchedule("cosine"), pipe.card, model_hash=pipe.model_hash
    )
    assert next(same.stream(timeline, **options, reuse=earlier)).step == 0
    assert next(pipe.stream(timeline, **options, reuse=earlier)).step == 4


def test_the_start_of_a_run_is_that_of_runs_with_its_noise_alone(pipe):
    timeline = preset("standard", frames=12, steps=3)
    earlier = [state.light() for state in pipe.stream(timeline, seed=4)]
    levels = np.array(timeline.levels)
    for other in (
        replace(timeline, prior="mixed"),
        replace(timeline, prior="shuffled"),
        Timeline(levels[:, :11]),
        Timeline(np.where(np.arange(4)[:, None] == 0, 1000, levels // 2)),
    ):
        states = list(pipe.stream(other, seed=4, reuse=earlier))
        assert [state.step for state in states] == [0, 1, 2, 3]
        assert np.array_equal(states[-1].clip.frames, pipe(other, seed=4).frames)
    kept = {0: picture(), 1: picture(1)}
    held = replace(timeline, levels=np.where(np.arange(12) < 2, 0, levels))
    soft = replace(timeline, levels=np.where(np.arange(12) < 2, 200, levels))
    begun = [state.light() for state in pipe.stream(held, kept, seed=4)]
    clip = pipe(soft, keyframes=kept, seed=4, reuse=begun)
    assert np.array_equal(clip.frames, pipe(soft, keyframes=kept, seed=4).frames)


def test_a_saved_clip_brings_its_pictures_along(pipe, tmp_path):
    timeline = preset("interpolation", steps=2)
    given = pictures_for(timeline)
    for clip in (pipe(timeline, given), pipe.batch(timeline, [0], given)[0]):
        clip.save(tmp_path / "clip.mp4")
        found = read_recipe(tmp_path / "clip.mp4")
        assert found.missing == [] and found.pictures.keys() == given.keys()
        assert all(np.array_equal(found.pictures[frame], given[frame]) for frame in given)
        again = pipe(found.timeline, found.pictures, found.options)
        assert np.array_equal(again.frames, pipe(timeline, given).frames)
        assert "pictures" not in clip.recipe


def test_what_is_saved_can_be_read_again(pipe, tmp_path, monkeypatch):
    """Pictures are left out where a reader would refuse them, and letters may be many bytes."""
    timeline = preset("interpolation", steps=1)
    monkeypatch.setattr("fvdm_core.recipe.MAX_PIXELS", 8 * 8 * 3 // 2)
    pipe(timeline, pictures_for(timeline)).save(tmp_path / "clip.mp4")
    assert read_recipe(tmp_path / "clip.mp4").missing == [15]
    monkeypatch.setattr("fvdm_core.recipe.MAX_PIXELS", 2**25)
    clip = pipe(timeline, pictures_for(timeline))
    many = {frame: picture(frame, 40) for frame in range(900)}
    wordy = replace(clip, pictures=many, recipe=clip.recipe | {"label": "視" * 5000})
    wordy.save(tmp_path / "wordy.mp4")
    assert json.loads(read_metadata(tmp_path / "wordy.mp4"))["label"] == "視" * 5000


def test_a_clip_says_what_it_is_and_how_it_changes(pipe, tmp_path):
    timeline = preset("interpolation", steps=2)
    clip = pipe(timeline, pictures_for(timeline), seed=3, fps=6)
    assert repr(clip) == "<Clip: 16 frames of 8×8 at 6 a second, seed 3>"
    assert clip.kept == timeline.kept == (0, 15)
    assert clip.changes == changes(clip.frames, [0, 15])
    assert np.isnan(pipe(preset(steps=2)).changes.beside)  # none is kept
    packed = re.search(r'src="data:video/mp4;base64,([^"]+)"', clip._repr_html_())
    (tmp_path / "shown.mp4").write_bytes(base64.b64decode(packed[1]))
    assert read_video(tmp_path / "shown.mp4").frames.shape == (16, 8, 8, 3)
    assert repr(pipe) == "<Pipeline: Tiny, 16 frames of 8×8, on cpu in float32>"


def test_the_usual_size_is_no_option_of_a_recipe(pipe):
    assert pipe(preset(steps=1), size=(8, 8)).recipe["size"] is None


def test_an_option_that_is_none_is_refused_with_what_may_be_meant(pipe):
    for name, meant in (
        ("guidance", "cfg_scale"),
        ("lable", "label"),
        ("prior", "the timeline's prior"),
    ):
        with pytest.raises(TypeError, match=f"there is no option '{name}': do you mean {meant}"):
            pipe.stream(preset(), **{name: 1})
        with pytest.raises(TypeError, match=f"there is no option '{name}'"):
            pipe.batch(preset(), [1], **{name: 1})
    with pytest.raises(TypeError, match="there is no option 'xyz'; there are label, seed,"):
        pipe.stream(preset(), xyz=1)


def test_a_recipe_tells_pictures_models_and_seeds_apart(pipe, tmp_path):
    other = load(save_tiny(tmp_path / "m", depth=4))
    timeline = preset("image-to-video")

    def recipe(pipe=pipe, frame=0, **options):
        return pipe(timeline, keyframes={0: picture(frame)}, **options).recipe

    first = recipe()
    assert recipe(frame=1)["keyframes"] != first["keyframes"] == recipe()["keyframes"]
    assert recipe(pipe=other)["model"] != first["model"]
    assert recipe(seed=1)["seed"] != first["seed"]
    assert set(first["versions"]) >= {"torch", "numpy", "python"}


def test_a_recipe_tells_nothing_of_this_machine(pipe):
    text = json.dumps(pipe(preset(), label="sky").recipe)
    for place in (Path.home(), Path.cwd(), Path(tempfile.gettempdir())):
        assert str(place) not in text or place == Path("/")


def test_the_first_frames_start_the_same_however_long_the_clip(pipe):
    def start(frames, seed=4):
        return next(iter(pipe.stream(preset(frames=frames, steps=1), seed=seed))).x

    long = start(64)
    for frames in (1, 8, 16):
        assert torch.equal(start(frames), long[:, :frames])
    assert not torch.isclose(start(16, seed=5), long[:, :16]).all(dim=(2, 3, 4)).any()
    assert long.std().item() == pytest.approx(1, abs=0.1)


def test_a_model_that_gives_nan_stops_with_the_step_and_the_frame(tmp_path):
    pipe = load(save_tiny(tmp_path / "m"))
    with torch.no_grad():
        pipe.model.final_layer.linear.bias.fill_(torch.nan)
    states = pipe.stream(preset("image-to-video"), keyframes={0: picture()}, label=0)
    assert next(states).step == 0
    with pytest.raises(NotFinite, match="step 1 .*frame 2"):
        next(states)


def test_an_autoencoder_that_gives_nan_makes_no_black_clip(pipe, monkeypatch):
    """Of 20 frames the last four are decoded together; what is wrong is seen there."""
    real = pipe.autoencoder.decode

    def broken(latents):
        video = real(latents).clone()
        if len(video) == 4:
            video[1, 0, 0, 0] = torch.nan
        return video

    for method in ("decode", "preview"):
        monkeypatch.setattr(pipe.autoencoder, method, broken)
    states = pipe.stream(preset(frames=20), seed=1)
    assert next(states).preview.shape == (20, 8, 8, 3)  # the run goes on
    with pytest.raises(NotFinite, match="autoencoder gave .* not a number in frame 18; "):
        list(states)


def test_spliced_keyframes_are_their_pictures_pixel_for_pixel(pipe):
    timeline, given = preset("interpolation"), {0: picture(0), 15: picture(15)}
    rendered = pipe(timeline, keyframes=given)
    exact = pipe(timeline, keyframes=given, splice_exact=True)
    for frame, pixels in given.items():
        assert np.array_equal(exact.frames[frame], pixels)
        assert not np.array_equal(rendered.frames[frame], pixels)
    assert np.array_equal(exact.frames[1:15], rendered.frames[1:15])


def test_a_run_that_is_stopped_has_the_spliced_pictures_too(pipe):
    states = pipe.stream(preset("image-to-video"), keyframes={0: picture()}, splice_exact=True)
    frames = [next(states), next(states)][1].frames
    assert np.array_equal(frames[0], picture())


def test_a_batch_refuses_what_would_depend_on_its_company(pipe):
    for wrong, words in (
        ({"step_cache": 0.1}, "step_cache is for single"),
        ({}, "at least one seed"),
    ):
        with pytest.raises(ValueError, match=words):
            pipe.batch(preset(), [1, 2] if wrong else [], **wrong)


@pytest.mark.parametrize(
    "seeds, options, words",
    [
        (9, {}, "seeds is 9; it must be a list of integers"),
        ([1, 2.5], {}, "seed is 2.5; it must be an integer"),
        (np.arange(0), {}, "at least one seed"),
        ([1, 2], {"seed": 9}, "seed is not for a batch, which has seeds"),
        ([1, 2], {"keyframes": [{0: picture()}]}, "keyframes for 1 clips and 2 seeds; give one"),
        ([1, 2], {"keyframes": [picture(), picture()]}, "keyframes is .*it must map frames"),
    ],
)
def test_what_no_batch_can_be_made_of_is_refused(pipe, seeds, options, words):
    with pytest.raises(ValueError, match=words):
        pipe.batch(preset("image-to-video"), seeds, **options)


def test_a_batch_takes_what_a_run_takes(pipe):
    """Any list of seeds, one mapping of pictures for all, and options as one object."""
    timeline, given = preset("image-to-video"), {0: picture()}
    usual = pipe.batch(timeline, [1, 2], [given, given], label="sky", fps=5)
    options = RunOptions(label="sky")
    for seeds in (np.arange(1, 3), (seed for seed in (1, 2)), range(1, 3)):
        for one, other in zip(
            pipe.batch(timeline, seeds, given, options, fps=5), usual, strict=True
        ):
            assert np.array_equal(one.frames, other.frames)
            assert json.dumps(one.recipe) == json.dumps(other.recipe)


def test_what_is_no_timeline_is_refused(pipe):
    for run in (pipe, pipe.stream, lambda levels: pipe.batch(levels, [1])):
        with pytest.raises(ValueError, match=r"timeline is \[\[1000\], \[0\]\]; .*Timeline"):
            run([[1000], [0]])


def test_a_config_needs_no_name_no_labels_and_no_rate(tmp_path):
    folder = save_tiny(tmp_path / "unnamed", labels=[])
    config = json.loads((folder / "config.json").read_text())
    for key in ("name", "labels", "fps"):
        del config[key]
    (folder / "config.json").write_text(json.dumps(config))
    pipe = load(folder)
    assert (pipe.card.name, pipe.card.labels, pipe.card.fps) == ("unnamed", (), 8)
    (folder / "config.json").write_text(json.dumps(config | {"sizes": [[9, 11]]}))
    with pytest.raises(ValueError, match="unnamed: frames of 9×11 are not divisible"):
        load(folder)


def test_splicing_leaves_frames_that_were_remade(pipe):
    timeline, given = preset("soft-keyframes", softness={0: 0.4}), {0: picture()}
    clips = [pipe(timeline, keyframes=given, splice_exact=exact).frames for exact in (False, True)]
    assert np.array_equal(*clips)


def test_a_loop_closes_on_the_exact_picture(pipe):
    clip = pipe(preset("loop"), keyframes={0: picture()}, splice_exact=True)
    assert np.array_equal(clip.frames[0], picture()) and np.array_equal(clip.frames[-1], picture())


def test_held_frames_start_as_the_nearest_picture_the_earlier_on_a_tie(pipe):
    levels = np.repeat(np.array([[0], [0]]), 7, axis=1)
    levels[0, 2] = levels[1, 2] = 0
    timeline = Timeline(levels, sources=("keyframe", *["hold"] * 5, "keyframe"))
    given = {0: picture(0), 6: picture(6)}
    state = next(iter(pipe.stream(timeline, keyframes=given)))
    first, last = encoded(pipe, given[0]), encoded(pipe, given[6])
    for frame, expected in enumerate([first, first, first, first, last, last, last]):
        torch.testing.assert_close(state.x[0, frame], expected)


@pytest.mark.parametrize("prior", PRIORS)
def test_a_run_begins_with_noise_of_the_prior(pipe, prior):
    timeline = replace(preset(frames=20), prior=prior, prior_alpha=2.0).with_windows(8)
    first = next(pipe.stream(timeline, seed=5))
    noise = frame_noise(5, range(20), 0, (3, 2, 2), prior=prior, alpha=2.0, window=8)
    scale = pipe.schedule.noise(torch.tensor(1000))
    torch.testing.assert_close(first.x[0], scale * noise)


def test_a_noisy_start_mixes_the_picture_and_its_own_noise(pipe):
    levels = np.array([[600, 1000], [600, 1000]])
    state = next(iter(pipe.stream(Timeline(levels), keyframes={0: picture()}, seed=2)))
    noise = next(iter(pipe.stream(preset(frames=2, steps=1), seed=2))).x
    schedule, level = NoiseSchedule("linear"), torch.tensor(600)
    # at level 1000 a trace of signal is left, but there is no picture on frame 2
    full = noise[0, 0] / schedule.noise(torch.tensor(1000))
    expected = schedule.signal(level) * encoded(pipe, picture()) + schedule.noise(level) * full
    torch.testing.assert_close(state.x[0, 0], expected, rtol=1e-4, atol=1e-4)
    assert torch.equal(state.x[0, 1], noise[0, 1])


def test_pictures_come_as_paths_pil_images_and_arrays(pipe, tmp_path):
    Image.fromarray(picture()).save(tmp_path / "a.png")
    timeline = preset("image-to-video")
    kinds = [picture(), Image.fromarray(picture()), tmp_path / "a.png", str(tmp_path / "a.png")]
    recipes = [pipe(timeline, keyframes={0: kind}).recipe for kind in kinds]
    assert all(recipe == recipes[0] for recipe in recipes)


def test_fit_is_one_for_all_or_one_for_each(pipe):
    wide = np.concatenate([np.zeros((8, 8, 3), np.uint8), np.full((8, 8, 3), 255, np.uint8)], 1)
    timeline, given = preset("interpolation"), {0: wide, 15: wide}
    clip = pipe(timeline, keyframes=given, fit={"0": "contain"}, splice_exact=True)  # as in JSON
    assert clip.frames[0].max() == 255 and not clip.frames[0, :2].any()  # bars above
    assert not np.array_equal(clip.frames[0], clip.frames[15])
    crop = pipe(timeline, keyframes=given, fit="crop", splice_exact=True)
    assert np.array_equal(crop.frames[15], clip.frames[15])


def test_nothing_moves_means_no_call_and_the_pictures_come_back(pipe, calls):
    given = {0: picture(0), 1: picture(1)}
    clip = pipe(Timeline(np.zeros((4, 2), dtype=int)), keyframes=given, splice_exact=True)
    assert not calls
    assert np.array_equal(clip.frames, np.stack([given[0], given[1]]))


def test_painted_windows_are_kept_where_they_fit(pipe, calls):
    steps = (Window((0, 1, 2, 3), (0, 1)), Window((2, 3), (2, 3)))
    timeline = Timeline(preset(frames=4, steps=2).levels, windows=(steps, steps))
    pipe(timeline)
    assert [x.shape[1] for x, *_ in calls] == [4, 2, 4, 2]


def test_a_model_without_an_autoencoder_is_refused(tmp_path):
    save_tiny(tmp_path / "m", autoencoder=False)
    with pytest.raises(ValueError, match="without an autoencoder.*open a model folder"):
        load(tmp_path / "m")


def test_a_model_of_another_number_of_timesteps_is_refused(tmp_path):
    save_tiny(tmp_path / "m", timesteps=500)
    with pytest.raises(ValueError, match="trained on 500 timesteps; .* must have 1000"):
        load(tmp_path / "m")


def test_the_papers_ramp_as_a_formula_needs_no_more_than_one_picture(pipe):
    formula = Timeline.formula("min(0.2*i*t, t)", frames=16, steps=4)
    ramp = preset("ramp")
    assert np.array_equal(formula.levels, ramp.levels)
    by_formula = pipe(formula, keyframes={0: picture()}, seed=3).frames
    assert np.array_equal(by_formula, pipe(ramp, keyframes={0: picture()}, seed=3).frames)


def test_a_frame_that_a_formula_freezes_still_needs_its_own_picture():
    frozen = Timeline.formula("where(i == 3, 0, t)", frames=8, steps=4)
    assert list(frozen.needs_picture([0])) == [2]


@pytest.mark.parametrize("name", ["extend", "diagonal", "hierarchical"])
def test_a_clip_goes_on_without_more_memory_than_a_window_takes(pipe, calls, name, monkeypatch):
    """20 frames that are there and 20 that are made: no network ever sees more than 16 at once."""
    seen = []
    for method in ("encode", "decode", "preview"):
        real = getattr(pipe.autoencoder, method)

        def counted(video, real=real):
            seen.append(len(video))
            return real(video)

        monkeypatch.setattr(pipe.autoencoder, method, counted)
    timeline = Timeline.preset(name, frames=40, steps=3, window=16).keeping(range(20))
    pictures = {frame: picture(frame) for frame in range(20)}
    for state in pipe.stream(timeline, pictures, splice_exact=True):
        assert len(state.preview) == 40
    assert state.clip.frames.shape == (40, 8, 8, 3)
    for frame, kept in pictures.items():
        assert np.array_equal(state.clip.frames[frame], kept)
    assert max(seen) == 16
    assert max(given[0].shape[1] for given in calls) == 16
    assert len(calls) == timeline.model_calls


def test_a_model_of_frames_that_no_file_can_hold_is_refused(tmp_path):
    pipe = load(save_tiny(tmp_path))
    latent_size = 4224 // pipe.autoencoder.config.downsample
    model = VideoDiT(replace(pipe.model.config, latent_size=latent_size))
    with pytest.raises(ValueError, match=r"makes frames of 4224×4224; at most 4096 pixels a side"):
        Pipeline(model, pipe.autoencoder, pipe.schedule, pipe.card)


def test_a_model_of_more_frames_than_a_timeline_has_is_refused(tmp_path):
    pipe = load(save_tiny(tmp_path))
    with torch.device("meta"):
        model = VideoDiT(replace(pipe.model.config, num_frames=2048))
    with pytest.raises(ValueError, match="num_frames is 2048; timelines have at most 1024 frames"):
        Pipeline(model, pipe.autoencoder, pipe.schedule, pipe.card)


def test_a_scheduler_of_diffusers_is_no_schedule(tmp_path):
    from diffusers import DDIMScheduler

    pipe = load(save_tiny(tmp_path))
    with pytest.raises(ValueError, match="a DDIMScheduler, not a NoiseSchedule; .*alphas_cumprod"):
        Pipeline(pipe.model, pipe.autoencoder, DDIMScheduler(), pipe.card)
