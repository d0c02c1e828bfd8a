"""The benchmark's yardstick is the published network: it gives its recorded outputs itself."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch.nn import functional as F

from benchmarks.machine import flops
from benchmarks.published_form import PublishedDiT
from fvdm_core import VideoDiT, load_model
from fvdm_core.shape import VideoDiTConfig

DATA = Path(__file__).parents[1] / "data"


@torch.no_grad()
def test_it_gives_the_recorded_outputs():
    ours = load_model(DATA / "published_fvdm_tiny.pt")
    recorded = load_file(DATA / "published_fvdm_tiny_io.safetensors")
    published = PublishedDiT(ours.config)
    published.load_state_dict(ours.state_dict())
    out = published(recorded["x"], recorded["t"])
    torch.testing.assert_close(out, recorded["out"], rtol=0, atol=1e-5)


@pytest.mark.parametrize("dtype, error", [(torch.float32, 1e-5), (torch.bfloat16, 1e-2)])
@torch.no_grad()
def test_the_network_that_is_timed_against_it_gives_the_same(dtype, error):
    """Every tensor random, as in the benchmark: a fresh network would give zeros."""
    config = VideoDiTConfig(64, 4, 2, 2, 8, 4, 6, num_classes=3, learn_sigma=True)
    ours, published = VideoDiT(config), PublishedDiT(config)
    generator = torch.Generator().manual_seed(0)
    for parameter in ours.parameters():
        parameter.copy_(0.05 * torch.randn(parameter.shape, generator=generator))
    published.load_state_dict(ours.state_dict())
    x = torch.randn(2, 6, 4, 8, 8, generator=generator)
    t, y = torch.randint(0, 1000, (2, 6), generator=generator), torch.tensor([1, 3])
    expected = published(x, t, y)
    out = ours.to(dtype)(x.to(dtype), t, y).float()
    assert expected.abs().mean() > 0.01
    assert (out - expected).norm() / expected.norm() < error


def test_attention_is_counted_on_a_processor():
    """Fused, torch counts nothing of it: two products of (heads, length, length, depth)."""
    q = torch.randn(1, 2, 300, 4)
    assert flops(lambda: F.scaled_dot_product_attention(q, q, q)) == 2 * (2 * 2 * 300 * 300 * 4)
