"""Models that a Python file of one's own makes: `--model my_network.py`."""

import importlib.util
import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from tiny import save_tiny

from fvdm_core import NoiseSchedule, Timeline, device, media
from fvdm_core.__main__ import main
from fvdm_core.own import load_own, open_pipeline

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "docs" / "examples"
NETWORK = """
import torch
from fvdm_core import NoiseSchedule, Pipeline
from fvdm_core.card import ModelCard
from fvdm_core.network import NetworkShape, PixelSpace
from beside import NAME

class Grey(torch.nn.Module):
    config = NetworkShape(num_frames=4, latent_channels=3, latent_size=8)

    def __init__(self):
        super().__init__()
        self.level = torch.nn.Parameter(torch.tensor(0.0))

    def forward(self, x, t, y):
        assert y is None
        return torch.zeros_like(x) + self.level

def load():
    return Pipeline(Grey(), PixelSpace(), NoiseSchedule(prediction_type="x0"), ModelCard(NAME))
"""


def preset(name="standard", frames=16, steps=3, **params):
    return Timeline.preset(name, frames=frames, steps=steps, **params)


@pytest.fixture
def own(tmp_path):
    (tmp_path / "beside.py").write_text("NAME = 'Grey of mine'")
    (tmp_path / "network.py").write_text(NETWORK)
    return tmp_path / "network.py"


def test_a_file_makes_the_model_and_the_command_line_runs_it(own, tmp_path):
    """In a process of its own, as what lies beside the file is imported."""
    done = subprocess.run(
        [
            *(sys.executable, "-m", "fvdm_core", "generate", "--model", str(own)),
            *("--device", "cpu", "--steps", "2", "-o", str(tmp_path / "a.mp4")),
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert "4 frames" in done.stdout
    frames = media.read_video(tmp_path / "a.mp4").frames
    assert frames.shape == (4, 8, 8, 3) and abs(frames.mean() - 127.5) < 3
    assert '"name": "Grey of mine"' in media.read_metadata(tmp_path / "a.mp4")


COMPRESSING = """
import torch
from fvdm_core import NoiseSchedule, Pipeline
from fvdm_core.card import ModelCard
from fvdm_core.network import NetworkShape, PixelSpace

class Grey(torch.nn.Module):
    config = NetworkShape(4, 3, 8)
    def forward(self, x, t, y=None):
        return 0 * x

class Slow(PixelSpace):
    frames_per_latent = 2
    def encode_clip(self, video):
        return video[::2]
    def decode(self, latents):
        return torch.cat([latents[:1], latents[1:].repeat_interleave(2, 0)])

def load():
    return Pipeline(Grey(), Slow(), NoiseSchedule("cosine", 1000, "x0"), ModelCard(name="Grey"))
"""


@pytest.mark.parametrize(
    "right, wrong, words",
    [
        ("", "", None),
        ("video[::2]", "video", r"encode_clip made latents of shape \(3, 3, 8, 8\).*expected \(2,"),
        ("return video[::2]", "pass", "encode_clip returned a NoneType, not a tensor"),
        ("video[::2]", "video[::2] / 0", "gives values that are not numbers"),
        (
            "def encode_clip(self, video):",
            "encode_clip = 3\n    def other(self, video):",
            "a int, not",
        ),
        ("= 2\n", "= 0\n", "frames_per_latent must be a whole number from 1 to 64, got 0"),
        ("= 2\n", "= 2.5\n", "frames_per_latent must be a whole number from 1 to 64, got 2.5"),
        ("= 2\n", "= 3\n", "made 3 frames of 2 latents; it should have made 4"),
        ("encode_clip", "other", None),  # of stills
        ("repeat_interleave(2, 0)", "clone()", "made 2 frames of 2 latents; it should have made 3"),
    ],
)
def test_what_compresses_time_is_tried_when_it_is_loaded(tmp_path, right, wrong, words):
    file = tmp_path / "slow.py"
    assert right in COMPRESSING
    file.write_text(COMPRESSING.replace(right, wrong) if right else COMPRESSING)
    if words is None:
        assert load_own(file).frames_per_latent == 2
    else:
        with pytest.raises(ValueError, match=words):
            load_own(file)


def test_its_hash_is_of_the_weights_and_of_the_file(own):
    first = load_own(own)
    assert len(first.model_hash) == 16 and load_own(own).model_hash == first.model_hash
    with_buffer = NETWORK.replace("tensor(0.0)", "tensor(float(NAME[-1] == '5'))")
    own.write_text(with_buffer)
    zero = load_own(own)
    (own.parent / "beside.py").write_text("NAME = 'Grey 5'")
    weights = load_own(own)  # what lies beside it is read anew
    assert weights.card.name == "Grey 5" and float(weights.model.level) == 1
    own.write_text(NETWORK + "\n# a word\n")
    hashes = {first.model_hash, zero.model_hash, weights.model_hash, load_own(own).model_hash}
    assert len(hashes) == 4
    own.write_text(NETWORK.replace("ModelCard(NAME))", "ModelCard(NAME), model_hash='mine')"))
    assert load_own(own).model_hash == "mine"


def test_its_hash_is_the_same_in_any_precision_and_on_any_device(own, monkeypatch):
    own.write_text(NETWORK.replace("tensor(0.0)", "tensor(0.1234568)"))
    exact = load_own(own)
    asked = []
    monkeypatch.setattr(device, "fast_bf16", lambda place: asked.append(place.type) or True)
    rounded = load_own(own, "cpu")
    assert rounded.dtype == torch.bfloat16 and exact.dtype == torch.float32
    assert rounded.model_hash == exact.model_hash and asked == ["cpu"]


def test_the_named_device_is_the_only_one_that_is_used(own, monkeypatch):
    """Or a model for the processor would fill the GPU first."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert load_own(own, "cpu").device.type == "cpu"


@pytest.mark.parametrize(
    "code, words",
    [
        (NETWORK.replace("def load", "def lode"), r"must have a function load\(\) that returns"),
        ("load = 3", r"must have a function load\(\) that returns a fvdm_core.Pipeline$"),
        ("def load(): return 3", "Pipeline, not int$"),
        ("def load(): raise OSError('no\\nway')", "network.py: OSError: no way$"),
        ("import nothing_of_that_name", "network.py: ModuleNotFoundError: No module"),
        ("def load(:", "network.py: SyntaxError: "),
        ("import sys\ndef load(): sys.exit('no more')", "network.py: SystemExit: no more$"),
        ("def load(): open('/home/alice/weights.pt')", "No such file or directory: weights.pt$"),
    ],
)
def test_a_file_that_makes_none_is_told_why(own, code, words, caplog):
    own.write_text(code)
    with pytest.raises(ValueError, match=words):
        load_own(own)
    own_fault = "must have a function" not in words and "not int" not in words
    assert bool(caplog.records) == own_fault  # with its traceback, where its own code failed
    assert all(record.exc_info for record in caplog.records)


@pytest.mark.parametrize(
    "before, after, words",
    [
        ("torch.zeros_like(x) + self.level", "(x,)", "network returned a tuple, not a tensor$"),
        ("torch.zeros_like(x)", "torch.full_like(x, torch.nan)", "gives values that are not num"),
        ("assert y is None", "assert x.shape[1] < 4, 'no'", r"16, forward: AssertionError: no$"),
        ("PixelSpace()", "Half()", "frames of 4×4 of what it made of 8×8; its downsample is 1$"),
        ("PixelSpace()", "Less()", r"made latents of shape \(1, 3, 4, 4\) of pictures of"),
        ("PixelSpace()", "Wrapped()", r"decode returned a tuple, not pictures \(K, 3, H, W\)$"),
        ("PixelSpace()", "Flat()", r"preview returned a tensor of shape \(3, 8, 8\), not pictures"),
    ],
)
def test_what_does_not_fit_is_said_when_it_is_loaded(own, before, after, words):
    code = NETWORK.replace(before, after)
    assert code != NETWORK
    halves = "return {}[..., ::2, ::2]"
    code += f"""
class Half(PixelSpace):
    def decode(self, latents):
        {halves.format("latents")}

class Less(PixelSpace):
    def encode(self, video):
        {halves.format("video")}

class Wrapped(PixelSpace):
    def decode(self, latents):
        return (latents,)

class Flat(PixelSpace):
    def preview(self, latents):
        return latents[0]
"""
    own.write_text(code)
    with pytest.raises(ValueError, match=f"^network.py:.*{words}") as refused:
        load_own(own)
    assert str(refused.value).count("network.py") == 1


def test_it_may_import_what_has_the_name_of_a_package_here(own):
    """In a process of its own, where nothing of that name was imported before."""
    (own.parent / "train.py").write_text("NAME = 'Grey of train'")
    own.write_text(NETWORK.replace("from beside", "from train"))
    code = f"from fvdm_core.own import load_own; print(load_own({str(own)!r}).card.name)"
    code += "; import fvdm_core.formula"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.stdout == "Grey of train\n", done.stderr


def test_what_a_file_makes_can_be_pickled_also_after_another_load_failed(own):
    pipe, beside = load_own(own), sys.modules["beside"]
    (own.parent / "beside.py").write_text("NAME = 'Another'")
    own.write_text("import beside\ndef load(): raise ValueError('no')")
    with pytest.raises(ValueError, match="network.py: ValueError: no"):
        load_own(own)
    assert float(pickle.loads(pickle.dumps(pipe.model)).level) == 0
    assert sys.modules["beside"] is beside


def test_a_folder_of_modules_without_an_init_is_read_anew_too(own):
    parts = own.parent / "parts_of_mine"
    parts.mkdir()
    (parts / "names.py").write_text("NAME = 'First'")
    own.write_text(NETWORK.replace("from beside", "from parts_of_mine.names"))
    first = load_own(own)
    (parts / "names.py").write_text("NAME = 'Second, longer'")
    second = load_own(own)
    assert (first.card.name, second.card.name) == ("First", "Second, longer")
    assert first.model_hash != second.model_hash


def test_what_is_no_program_is_opened_as_always(own, tmp_path):
    assert open_pipeline(str(save_tiny(tmp_path / "tiny")), "cpu").card.name == "Tiny"
    assert open_pipeline(str(save_tiny(tmp_path / "dir.py")), "cpu").card.name == "Tiny"
    with pytest.raises(ValueError, match="gone.py' is not a folder or file here"):
        open_pipeline(str(tmp_path / "gone.py"))
    with pytest.raises(ValueError, match="gone.py is not a file here"):
        load_own(tmp_path / "gone.py")
    with pytest.raises(ValueError, match="network.py brings its own autoencoder; leave out --vae"):
        open_pipeline(str(own), autoencoder="somewhere")
    assert open_pipeline(str(own), "cpu").device.type == "cpu"


def test_the_command_line_says_what_is_wrong_in_a_line(own, tmp_path, capsys):
    own.write_text("load = 3")
    assert main(["generate", "--model", str(own), "-o", str(tmp_path / "a.mp4")]) == 1
    said = capsys.readouterr().err
    assert said.startswith("fvdm_core: network.py must have a function load()")
    assert said.count("\n") == 1


# ── The examples of the docs ─────────────────────────────────────────────────────────────────────


@pytest.fixture
def example(monkeypatch):
    """example(name) is the module of an example, which may import others beside it."""
    monkeypatch.syspath_prepend(EXAMPLES)
    yield _example
    for shared in ("wan_parts", "video_parts"):
        sys.modules.pop(shared, None)


def _example(name):
    spec = importlib.util.spec_from_file_location(name, EXAMPLES / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_code_of_the_page_makes_a_model(tmp_path):
    page = (ROOT / "docs" / "own-network.md").read_text("utf-8")
    (tmp_path / "mine.py").write_text(page.split("```python\n")[1].split("```")[0])
    pipe = open_pipeline(str(tmp_path / "mine.py"), "cpu")
    states = pipe.stream(pipe.with_own_noise(preset()), label="run", seed=1)
    assert next(states).x.shape == next(states).x.shape == (1, 16, 3, 64, 64)


def test_remembered_clips_give_the_mean_of_what_x_may_have_been(example):
    generator = torch.Generator().manual_seed(0)
    clips = torch.rand(3, 2, 3, 4, 4, generator=generator) * 0.2
    labels, schedule = torch.tensor([0, 1, 1]), NoiseSchedule("cosine", prediction_type="x0")
    network = example("remembered_clips").RememberedClips(clips, labels, schedule)
    x = torch.randn(2, 2, 3, 4, 4, generator=generator)
    t = torch.tensor([[900, 400], [999, 0]])
    for y, allowed in ((0, [0]), (1, [1, 2]), (2, [0, 1, 2])):
        given = network(x, t, torch.full((2,), y))
        for b in range(2):
            log_odds = []
            for clip in clips[allowed].double():
                total = 0.0
                for f in range(2):
                    signal, noise = (schedule.pair(t[b, f] + 1)[k].double() for k in (0, 1))
                    total -= ((x[b, f].double() - signal * clip[f]) ** 2 / 2 / noise**2).sum()
                log_odds.append(float(total))
            weights = np.exp(np.array(log_odds) - max(log_odds))
            weights /= weights.sum()
            mean = sum(w * clip for w, clip in zip(weights, clips[allowed].double(), strict=True))
            torch.testing.assert_close(given[b].double(), mean, atol=1e-3, rtol=1e-3)


def test_remembered_clips_end_in_one_of_them(example, monkeypatch):
    module = example("remembered_clips")
    monkeypatch.setattr(module, "OF_EACH", 2)
    pipe = module.load()
    assert pipe.image_size == (64, 64) and pipe.num_frames == 16
    clip = pipe(preset(steps=10), label="faces", seed=3)
    known = ((pipe.model.clips[2:4] + 1) * 127.5).round().permute(0, 1, 3, 4, 2).numpy()
    apart = np.abs(known - clip.frames).mean(axis=(1, 2, 3, 4))
    assert apart.min() < 1 < 10 < apart.max()


SMALL = {
    "patch_size": (1, 2, 2),
    "num_attention_heads": 2,
    "attention_head_dim": 12,
    "in_channels": 4,
    "out_channels": 4,
    "text_dim": 16,
    "freq_dim": 32,
    "ffn_dim": 32,
    "num_layers": 2,
}


def saved(folder, transformer, vae):
    """Both, after they were saved as diffusers does, with random weights."""
    for parameter in transformer.parameters():
        torch.nn.init.normal_(parameter, std=0.1)
    transformer.save_pretrained(folder / "transformer")
    vae.save_pretrained(folder / "vae")
    return transformer.eval(), vae.eval()


def wan_vae():
    import diffusers  # which takes seconds

    return diffusers.AutoencoderKLWan(
        base_dim=4,
        z_dim=4,
        dim_mult=[1, 1, 1, 1],
        num_res_blocks=1,
        latents_mean=[0.1, 0.2, 0.3, 0.4],
        latents_std=[1.0, 2.0, 0.5, 1.5],
    )


def small_skyreels(folder):
    """Each of these gives a small model of the published classes, and how diffusers' own pipeline
    calls the transformer, with a time for each latent frame, or for each token of it."""
    import diffusers

    network = diffusers.SkyReelsV2Transformer3DModel(**SMALL, inject_sample_info=True)
    transformer, vae = saved(folder, network, wan_vae())

    def predicted(x, sigma, text):
        told = {"timestep": 1000 * sigma[None], "enable_diffusion_forcing": True, "fps": [1]}
        return transformer(
            hidden_states=x, encoder_hidden_states=text[None], return_dict=False, **told
        )[0]

    return vae, predicted, lambda latents: vae.decode(latents).sample


def small_wan(folder):
    import diffusers

    transformer, vae = saved(folder, diffusers.WanTransformer3DModel(**SMALL), wan_vae())

    def predicted(x, sigma, text):
        mask = torch.ones(1, 1, 5, 4, 6) * sigma[None, None, :, None, None]
        times = (1000 * mask)[0][0][:, ::2, ::2].flatten()[None]
        return transformer(
            hidden_states=x, encoder_hidden_states=text[None], timestep=times, return_dict=False
        )[0]

    return vae, predicted, lambda latents: vae.decode(latents).sample


def small_ltx(folder):
    import diffusers

    network = diffusers.LTXVideoTransformer3DModel(
        *(4, 4, 1, 1, 2, 12, 24), num_layers=2, caption_channels=16
    )
    vae = diffusers.AutoencoderKLLTXVideo(
        latent_channels=4,
        block_out_channels=(8, 8, 8, 8),
        decoder_block_out_channels=(8, 8, 8, 8),
        layers_per_block=(1, 1, 1, 1, 1),
        decoder_layers_per_block=(1, 1, 1, 1, 1),
        timestep_conditioning=True,
    )
    vae.latents_mean[:] = torch.tensor([0.1, 0.2, 0.3, 0.4])
    vae.latents_std[:] = torch.tensor([1.0, 2.0, 0.5, 1.5])
    transformer, vae = saved(folder, network, vae)

    def predicted(x, sigma, text):
        seconds = [0, 1 / 25, 9 / 25, 17 / 25, 25 / 25]
        places = [[s, y, x] for s in seconds for y in (0, 32) for x in (0, 32, 64)]
        flow = transformer(
            hidden_states=x.flatten(2).transpose(1, 2),
            encoder_hidden_states=text[None],
            timestep=1000 * sigma.repeat_interleave(6)[None],
            encoder_attention_mask=torch.ones(1, len(text)),
            video_coords=torch.tensor(places).T[None],
            return_dict=False,
        )[0]
        return flow.transpose(1, 2).unflatten(2, (5, 2, 3))

    def decoded(latents):
        noise = torch.randn(latents.shape, generator=torch.Generator().manual_seed(0))
        return vae.decode(0.975 * latents + 0.025 * noise, torch.tensor([0.05])).sample

    return vae, predicted, decoded


@pytest.mark.parametrize(
    "name, small, size, each, shift",
    [
        ("skyreels", small_skyreels, (32, 48), 4, 8),
        ("wan", small_wan, (32, 48), 4, 5),
        ("ltx", small_ltx, (64, 96), 8, np.exp(0.95 + 1.1 * (30 - 1024) / 3072)),
    ],
)
def test_a_published_model_runs_as_diffusers_has_it(
    name, small, size, each, shift, tmp_path, monkeypatch, example
):
    """A small model of the same classes with random weights, saved by diffusers; the reference is
    its transformer called as diffusers' own pipeline does, with Euler steps of each frame."""
    torch.manual_seed(0)
    vae, predicted, decoded = small(tmp_path)
    module = example(name)
    monkeypatch.setattr(module, "MODEL", str(tmp_path))
    prompts = {text: torch.randn(7, 16) for text in (module.AGAINST, "A cat.", "Waves.")}
    if name == "ltx":  # the end of the shorter one is hidden
        prompts["Waves."][4:] = 0
    if name == "wan":
        monkeypatch.setattr(module, "CLIPS", {8: (5, *size, 16)})
        pipe = module.pipeline(prompts.__getitem__).to("cpu", torch.float32)
    else:
        monkeypatch.setattr(module, "FRAMES", 5)
        pipe = module.pipeline(prompts.__getitem__, size).to("cpu", torch.float32)
    assert pipe.frames_per_latent == each and pipe.image_size == size

    timeline = preset("diagonal", frames=5, steps=4)
    assert pipe.model.class_of("A cat.") == 1
    options = {"label": "Waves.", "cfg_scale": 6.0, "solver": "ddim", "eta": 0.0}
    states = list(pipe.stream(timeline, seed=3, **options))
    x = states[0].x.transpose(1, 2)  # (1, C, F, h, w)
    shown = prompts["Waves."][: 4 if name == "ltx" else 7]
    for now, to in zip(timeline.levels, timeline.levels[1:], strict=False):
        share, share_to = (torch.tensor(row) / 1000 for row in (now, to))
        sigma, sigma_to = (shift * s / (1 + (shift - 1) * s) for s in (share, share_to))
        with torch.no_grad():
            flow, other = (predicted(x, sigma, text) for text in (shown, prompts[module.AGAINST]))
        guided = other + 6 * (flow - other)
        x = x + ((sigma_to - sigma)[:, None, None]) * guided
    torch.testing.assert_close(states[-1].x, x.transpose(1, 2), atol=1e-3, rtol=1e-3)

    mean, std = torch.tensor([0.1, 0.2, 0.3, 0.4]), torch.tensor([1.0, 2.0, 0.5, 1.5])
    with torch.no_grad():
        video = decoded(x * std.view(1, 4, 1, 1, 1) + mean.view(1, 4, 1, 1, 1))
    wanted = ((video[0] + 1) * 127.5).permute(1, 2, 3, 0).numpy()
    clip = states[-1].clip
    assert clip.frames.shape == (4 * each + 1, *size, 3)
    assert np.abs(clip.frames - wanted.clip(0, 255)).max() < 1.5

    picture = np.random.default_rng(0).integers(0, 256, (*size, 3), dtype=np.uint8)
    kept = next(pipe.stream(preset("image-to-video", frames=5), keyframes={0: picture}))
    with torch.no_grad():
        pixels = torch.from_numpy(picture).permute(2, 0, 1)[None, :, None].float() / 127.5 - 1
        latent = vae.encode(pixels).latent_dist.mode()[0, :, 0]
    wanted = (latent - mean[:, None, None]) / std[:, None, None]
    torch.testing.assert_close(kept.x[0, 0], wanted, atol=1e-4, rtol=1e-4)

    # a clip that goes on is kept as a clip
    given = np.random.default_rng(1).integers(0, 256, (2 * each + 1, *size, 3), dtype=np.uint8)
    known = {0: given[0], 1: given[1 : each + 1], 2: given[each + 1 :]}
    longer = preset("extend", frames=6, steps=1, given=3, context=2).with_windows(5)
    begun = next(pipe.stream(longer, keyframes=known))
    with torch.no_grad():
        pixels = torch.from_numpy(given).permute(3, 0, 1, 2)[None].float() / 127.5 - 1
        latents = vae.encode(pixels).latent_dist.mode()[0].transpose(0, 1)
    wanted = (latents - mean[:, None, None]) / std[:, None, None]
    torch.testing.assert_close(begun.x[0, :3], wanted, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("style", ["{}", "diffusion_model.{}", "{}.default", "pipe.dit.{}.default"])
def test_a_lora_is_read_under_whichever_names_it_was_saved(style, tmp_path, example):
    layer = "blocks.0.self_attn.q"
    saved = {
        f"{style.format(f'{layer}.{part}')}.weight": torch.ones(2) for part in ("lora_A", "lora_B")
    }
    torch.save(saved, tmp_path / "lora.pt")
    save_file(saved, tmp_path / "lora.safetensors")
    for name in ("lora.pt", "lora.safetensors"):
        found = example("wan").lora_weights(str(tmp_path / name))
        assert found.keys() == {
            f"diffusion_model.{layer}.{part}.weight" for part in ("lora_A", "lora_B")
        }
