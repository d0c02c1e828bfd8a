"""VideoDiT against a recorded network, a reference written here, and the paper's sizes."""

from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import load_file

from fvdm_core import VideoDiT, blocks, load_model
from fvdm_core.blocks import attend, gelu
from fvdm_core.embeddings import sincos_2d
from fvdm_core.shape import VideoDiTConfig

DATA = Path(__file__).parents[1] / "data"
SMALL = {
    "hidden_size": 16,
    "depth": 4,
    "num_heads": 2,
    "patch_size": 2,
    "latent_size": 4,
    "latent_channels": 3,
    "num_frames": 5,
    "num_classes": 3,
}


def random_model(**changes):
    """A small network without the zeros that adaLN-Zero starts from."""
    model = VideoDiT(VideoDiTConfig(**SMALL | changes)).eval()
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.requires_grad:
                parameter.copy_(0.2 * torch.randn(parameter.shape, generator=generator))
    return model


def clip(batch=2, frames=5, seed=1):
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(batch, frames, 3, 4, 4, generator=generator)
    return x, torch.randint(0, 1000, (batch, frames), generator=generator)


def test_a_published_file_gives_its_recorded_output():
    model = load_model(DATA / "published_fvdm_tiny.pt")
    recorded = load_file(DATA / "published_fvdm_tiny_io.safetensors")
    with torch.no_grad():
        out = model(recorded["x"], recorded["t"])
    torch.testing.assert_close(out, recorded["out"], rtol=0, atol=1e-5)


def test_a_fresh_network_has_the_published_position_tables():
    published = load_model(DATA / "published_fvdm_tiny.pt")
    fresh = VideoDiT(published.config)
    torch.testing.assert_close(fresh.pos_embed, published.pos_embed, rtol=0, atol=1e-6)
    torch.testing.assert_close(fresh.temp_embed, published.temp_embed, rtol=0, atol=1e-6)
    assert not fresh.pos_embed.requires_grad and not fresh.temp_embed.requires_grad


@pytest.mark.parametrize(
    "size, count, paper",
    [
        ("S", 32_585_120, 32.59),
        ("B", 129_755_936, 129.76),
        ("L", 457_094_176, 457.09),
        ("XL", 673_994_912, 674.00),  # the paper's figure is this, rounded to 673.995 in between
    ],
)
def test_sizes_have_the_papers_parameter_counts(size, count, paper):
    with torch.device("meta"):
        model = VideoDiT.from_size(f"{size}/2")
    parameters = sum(p.numel() for p in model.parameters())
    assert parameters == count
    assert round(round(parameters / 1e6, 3) + 1e-9, 2) == paper


@pytest.mark.parametrize("patch", [2, 4, 8])
def test_patches_of_a_size_change_the_tokens_only(patch):
    with torch.device("meta"):
        model = VideoDiT.from_size(f"S/{patch}", learn_sigma=False)
    assert model.pos_embed.shape == (1, (32 // patch) ** 2, 384)
    assert model.final_layer.linear.weight.shape[0] == patch * patch * 4
    assert len(model.blocks_spatial) == len(model.blocks_temp) == 6


def latte(model, x, t):
    """The same network for one timestep per clip, t (B,), with no frame axis in its modulation."""
    batch, frames = x.shape[:2]

    def modulated(x, shift, scale):
        return F.layer_norm(x, x.shape[-1:], eps=1e-6) * (1 + scale[:, None]) + shift[:, None]

    def block(weights, x, c):  # x (N, L, D), c (N, D)
        shift1, scale1, gate1, shift2, scale2, gate2 = weights.adaLN_modulation[1](c).chunk(6, 1)
        h = modulated(x, shift1, scale1)
        heads = [
            part.unflatten(-1, (weights.attn.num_heads, -1)).transpose(1, 2)
            for part in weights.attn.qkv(h).chunk(3, dim=-1)
        ]
        h = F.scaled_dot_product_attention(*heads).transpose(1, 2).flatten(2)
        x = x + gate1[:, None] * weights.attn.proj(h)
        return x + gate2[:, None] * weights.mlp(modulated(x, shift2, scale2))

    c = F.silu(model.t_embedder(t) + model.y_embedder.embedding_table.weight[-1])  # (B, D)
    proj = model.x_embedder.proj
    tokens = F.conv2d(x.flatten(0, 1), proj.weight, proj.bias, stride=2).flatten(2).mT
    x = tokens + model.pos_embed  # (B*F, N, D)
    spatial, temporal = c.repeat_interleave(frames, 0), c.repeat_interleave(x.shape[1], 0)
    for index, time in enumerate(model.blocks_temp):
        x = block(model.blocks_spatial[index], x, spatial)
        x = x.unflatten(0, (batch, frames)).transpose(1, 2).flatten(0, 1)  # (B*N, F, D)
        if index == 0:
            x = x + model.temp_embed
        x = block(time, x, temporal)
        x = x.unflatten(0, (batch, -1)).transpose(1, 2).flatten(0, 1)  # (B*F, N, D)
    shift, scale = model.final_layer.adaLN_modulation[1](spatial).chunk(2, dim=1)
    x = model.final_layer.linear(modulated(x, shift, scale))  # (B*F, N, P*P*C)
    x = x.reshape(batch, frames, 2, 2, 2, 2, -1)  # (B, F, h, w, P, P, C)
    return x.permute(0, 1, 6, 2, 4, 3, 5).reshape(batch, frames, -1, 4, 4)


@torch.no_grad()
def test_one_timestep_in_every_frame_is_a_network_with_a_scalar_timestep():
    model, (x, _) = random_model(learn_sigma=True), clip()
    t = torch.tensor([17, 900])
    out = model(x, t[:, None].expand(-1, 5))
    torch.testing.assert_close(out, latte(model, x, t), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("attention", ["interleaved", "joint"])
def test_modulation_is_computed_once_per_frame(attention):
    model, (x, t) = random_model(attention=attention), clip()
    rows = []
    for name, module in model.named_modules():
        if name.endswith("adaLN_modulation.1"):
            module.register_forward_hook(lambda _, given, out: rows.append(out.shape[:-1].numel()))
    model(x, t)
    assert rows == [2 * 5] * (SMALL["depth"] + 1)


@pytest.mark.parametrize("attention", ["interleaved", "joint"])
@torch.no_grad()
def test_adaln_zero_starts_with_an_output_of_zeros(attention):
    model, (x, t) = VideoDiT(VideoDiTConfig(**SMALL, attention=attention)), clip()
    assert torch.equal(model(x, t), torch.zeros(2, 5, 3, 4, 4))


@torch.no_grad()
def test_no_label_is_the_null_class_and_labels_belong_to_their_own_sample():
    model, (x, t) = random_model(), clip()
    assert model.null_label == 3
    assert torch.equal(model(x, t), model(x, t, torch.tensor([3, 3])))
    first = model(x, t, torch.tensor([0, 1]))
    second = model(x, t, torch.tensor([0, 2]))
    torch.testing.assert_close(first[0], second[0])
    assert not torch.isclose(first[1], second[1]).all(dim=(0, 1, 2, 3))


@pytest.mark.parametrize("attention", ["interleaved", "joint"])
@torch.no_grad()
def test_fewer_frames_are_the_first_places_of_a_longer_clip(attention):
    model, (x, t) = random_model(attention=attention), clip(frames=3)
    short = random_model(attention=attention, num_frames=3)
    torch.testing.assert_close(short.temp_embed, model.temp_embed[:, :3])
    torch.testing.assert_close(model(x, t), short(x, t))


@pytest.mark.parametrize("attention", ["interleaved", "joint"])
def test_every_frame_hears_of_every_other_and_of_its_timestep(attention):
    model, (x, t) = random_model(attention=attention), clip(batch=1)
    x.requires_grad_()
    model(x, t)[:, 0].square().sum().backward()
    assert (x.grad.abs().amax(dim=(0, 2, 3, 4)) > 0).all()
    with torch.no_grad():
        other = t.clone()
        other[0, 4] = (t[0, 4] + 500) % 1000
        assert not torch.allclose(model(x, t)[:, 0], model(x, other)[:, 0])


@torch.no_grad()
def test_a_sample_does_not_depend_on_its_batch():
    model, (x, t) = random_model(), clip(batch=3)
    torch.testing.assert_close(model(x, t)[1:2], model(x[1:2], t[1:2]), rtol=1e-5, atol=1e-5)


@torch.no_grad()
def test_bf16_weights_give_the_fp32_output_to_their_precision():
    model, (x, t) = random_model(), clip()
    exact = model(x, t)
    out = model.bfloat16()(x.bfloat16(), t)
    assert out.dtype == torch.bfloat16
    assert (out.float() - exact).abs().mean() < 0.05 * exact.abs().mean()


@pytest.mark.parametrize("length", [1, 16, 256, 257])
def test_attention_is_the_same_in_its_plain_and_its_fused_form(length):
    generator = torch.Generator().manual_seed(0)
    q, k, v = torch.randn(3, 2, 2, length, 8, generator=generator)
    weights = (q.double() @ k.double().mT / 8**0.5).softmax(dim=-1)
    expected = (weights @ v.double()).float()
    torch.testing.assert_close(attend(q, k, v), expected, rtol=1e-4, atol=1e-5)
    fused = F.scaled_dot_product_attention(q, k, v)
    torch.testing.assert_close(attend(q, k, v), fused, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("amx", [False, True])
@pytest.mark.parametrize("masked", [False, True])
def test_attention_in_bf16_is_the_same_on_every_processor(monkeypatch, amx, masked):
    """In two products or fused; both within what rounding to bf16 leaves of fp32."""
    monkeypatch.setattr(blocks, "HAS_AMX", amx)
    q, k, v = torch.randn(3, 2, 4, 40, 16, generator=torch.Generator().manual_seed(0))
    mask = torch.zeros(2, 1, 40, 40)
    mask[1, :, :, 20:] = -torch.inf
    mask = mask if masked else None
    exact = F.scaled_dot_product_attention(q, k, v, attn_mask=mask)
    low = None if mask is None else mask.bfloat16()
    found = attend(q.bfloat16(), k.bfloat16(), v.bfloat16(), low)
    assert found.dtype == torch.bfloat16
    assert (found.float() - exact).norm() < 0.01 * exact.norm()


def test_gelu_in_bf16_is_the_published_one_up_to_rounding():
    x = torch.linspace(-8, 8, 4001)
    published = F.gelu(x, approximate="tanh")
    assert torch.equal(gelu(x), published)  # as it is in fp32, and where it learns
    learning = x.bfloat16().requires_grad_()
    assert torch.equal(gelu(learning), F.gelu(learning, approximate="tanh"))
    rounded = F.gelu(x.bfloat16(), approximate="tanh")
    ours, theirs = ((y.float() - published).norm() for y in (gelu(x.bfloat16()), rounded))
    assert ours < 1.1 * theirs < 0.01 * published.norm()


def test_a_longer_grid_has_the_squares_places_in_its_middle():
    table = sincos_2d(16, (4, 4), 4)
    tall, wide = sincos_2d(16, (8, 4), 4), sincos_2d(16, (4, 8), 4)
    torch.testing.assert_close(tall.view(8, 4, 16)[2:6].reshape(16, 16), table)
    torch.testing.assert_close(wide.view(4, 8, 16)[:, 2:6].reshape(16, 16), table)


@pytest.mark.parametrize("attention", ["interleaved", "joint"])
@pytest.mark.parametrize("rotary", [False, True])
def test_frames_of_another_aspect_keep_rows_and_columns_apart(attention, rotary):
    """With tokens of one pixel, a network whose two axes know their places alike turns a picture
    that lies on its side into the same picture on its side."""
    model = random_model(patch_size=1, attention=attention, rotary=rotary, num_heads=1)
    x = torch.randn(1, 5, 3, 4, 6, generator=torch.Generator().manual_seed(2))
    t = torch.full((1, 5), 300)
    same_places = {(4, 6): torch.zeros(24, 16), (6, 4): torch.zeros(24, 16)}
    if not rotary:
        model._positions = lambda grid: same_places[grid]
        upright, lying = model(x, t), model(x.transpose(-1, -2), t)
        torch.testing.assert_close(lying.transpose(-1, -2), upright, rtol=1e-4, atol=1e-5)
    else:
        assert model(x, t).shape == x.shape
    model = random_model(patch_size=1, attention=attention, rotary=rotary, num_heads=1)
    upright, lying = model(x, t), model(x.transpose(-1, -2), t)
    assert not torch.allclose(lying.transpose(-1, -2), upright, atol=1e-2)


@pytest.mark.parametrize(
    "x, t, words",
    [
        (torch.zeros(1, 5, 4, 4, 4), torch.zeros(1, 5), r"\(1, 5, 4, 4, 4\); expected \(B, F, 3"),
        (torch.zeros(5, 3, 4, 4), torch.zeros(1, 5), r"\(B, F, 3, 4, 4\)"),
        (torch.zeros(1, 5, 3, 4, 7), torch.zeros(1, 5), r"other sides that are divisible by 2"),
        (torch.zeros(1, 5, 3, 4, 0), torch.zeros(1, 5), r"other sides that are divisible by 2"),
        (torch.zeros(1, 5, 3, 4, 4), torch.zeros(1), "one timestep per frame"),
        (torch.zeros(1, 6, 3, 4, 4), torch.zeros(1, 6), "6 frames were given to a model of 5"),
    ],
)
def test_inputs_that_do_not_fit_are_refused(x, t, words):
    with pytest.raises(ValueError, match=words):
        random_model()(x, t)


@pytest.mark.parametrize(
    "change, words",
    [
        ({"hidden_size": 0}, "hidden_size is 0"),
        ({"latent_channels": 0}, "latent_channels 0"),
        ({"num_classes": -1}, "num_classes -1"),
        ({"num_heads": 3}, "divisible by num_heads 3"),
        ({"latent_size": 5}, "latent_size 5 is not divisible by patch_size 2"),
        ({"attention": "sparse"}, "'sparse' is unknown; choose one of interleaved, joint"),
        ({"depth": 3}, "depth is 3; interleaved attention needs an even number"),
    ],
)
def test_a_config_that_does_not_fit_together_is_refused(change, words):
    with pytest.raises(ValueError, match=words):
        VideoDiTConfig(**SMALL | change)


@pytest.mark.parametrize("size", ["M/2", "S/3", "S", "", "XL/2/2"])
def test_an_unknown_size_is_refused_with_the_known_ones(size):
    with pytest.raises(ValueError, match="choose one of S/2, .*XL/8"):
        VideoDiT.from_size(size)


@pytest.mark.parametrize("alone", [None, torch.tensor([True, False])])
@pytest.mark.parametrize("attention", ["interleaved", "joint"])
def test_recomputed_activations_give_the_same_gradients(attention, alone):
    """Bit for bit, and what is kept for the backward pass is less."""
    model = random_model(attention=attention)
    x, t = clip()
    gradients, kept = [], []
    for recompute in (False, True):
        model.recompute = recompute
        model.zero_grad()
        sizes = []
        with torch.autograd.graph.saved_tensors_hooks(
            lambda tensor, sizes=sizes: (sizes.append(tensor.numel()), tensor)[1], lambda kept: kept
        ):
            loss = model(x, t, alone=alone).square().mean()
        loss.backward()
        gradients.append([p.grad for p in model.parameters() if p.grad is not None])
        kept.append(sum(sizes))
    assert len(gradients[0]) > 20 and all(map(torch.equal, *gradients))
    assert kept[1] < kept[0] / 2


@pytest.mark.parametrize("rotary", [False, True])
@pytest.mark.parametrize("attention", ["interleaved", "joint"])
def test_frames_that_are_alone_do_not_see_each_other(attention, rotary):
    sizes = {"hidden_size": 32} if rotary else {}
    model, (x, t) = random_model(attention=attention, rotary=rotary, **sizes), clip(batch=3)
    alone = torch.tensor([True, False, True])
    other = x.clone()
    other[:, 1:] += 1
    with torch.no_grad():
        out, changed, plain = model(x, t, alone=alone), model(other, t, alone=alone), model(x, t)
        first = model(x[:, :1], t[:, :1])  # a clip of one frame, in the place of the first
    torch.testing.assert_close(out[1], plain[1])
    torch.testing.assert_close(out[alone, :1], first[alone])
    torch.testing.assert_close(out[alone, 0], changed[alone, 0])
    assert not torch.allclose(out[1, 0], changed[1, 0])
    assert not torch.allclose(out[alone], plain[alone])


def test_masked_attention_is_the_same_where_it_learns():
    q, k, v = torch.randn(3, 2, 4, 6, 8, generator=torch.Generator().manual_seed(0))
    mask = torch.zeros(2, 1, 6, 6)
    mask[0] = torch.eye(6).log()
    learning = attend(q.clone().requires_grad_(), k, v, mask)
    torch.testing.assert_close(learning.detach(), attend(q, k, v, mask))
    torch.testing.assert_close(learning[0].detach(), v[0])  # a token that sees only itself
