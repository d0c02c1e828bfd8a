"""Rotary positions: products of queries and keys know differences of places, and nothing else."""

from __future__ import annotations

import pytest
import torch

from fvdm_core.model import VideoDiT
from fvdm_core.rotary import rotate, rotation
from fvdm_core.shape import VideoDiTConfig

LENGTHS = (3, 4, 5)
HEAD = 22  # 11 pairs: 4 for frames, 4 for rows, 3 for columns


def products() -> torch.Tensor:
    """One query and one key at every place: their products (F, H, W, F, H, W)."""
    query, key = torch.randn(2, HEAD, generator=torch.Generator().manual_seed(0))
    by = rotation(LENGTHS, HEAD, query)
    places = torch.Size(LENGTHS).numel()
    q, k = rotate(query.expand(places, -1), by), rotate(key.expand(places, -1), by)
    return (q @ k.T).reshape(*LENGTHS, *LENGTHS)


def test_a_product_depends_on_the_difference_of_places_alone():
    all_of_them = products()
    for axis in range(3):
        here = [slice(None)] * 6
        there = [slice(None)] * 6
        here[axis] = here[axis + 3] = slice(0, -1)
        there[axis] = there[axis + 3] = slice(1, None)
        assert torch.allclose(all_of_them[tuple(here)], all_of_them[tuple(there)], atol=1e-4)


@pytest.mark.parametrize("axis", range(3))
def test_every_axis_is_known(axis):
    moved = products()[0, 0, 0].movedim(axis, 0)[:, 0, 0]
    assert len({round(v.item(), 3) for v in moved}) == LENGTHS[axis]


def test_turning_keeps_lengths_and_leaves_the_first_place():
    x = torch.randn(2, 60, HEAD)
    turned = rotate(x, rotation(LENGTHS, HEAD, x))
    assert torch.allclose(turned.norm(dim=-1), x.norm(dim=-1), atol=1e-5)
    assert torch.equal(turned[:, 0], x[:, 0])


def test_a_head_needs_a_pair_for_every_axis():
    with pytest.raises(ValueError, match="4 channels have no pair for each of 3 axes"):
        rotation(LENGTHS, 4, torch.zeros(1))
    for width in (16, 28):  # heads of 4 and of 7
        with pytest.raises(ValueError, match="an even number from 6 on"):
            VideoDiTConfig(width, 2, 4, 2, 4, 4, 3, rotary=True)


@pytest.mark.parametrize("attention", ["joint", "interleaved"])
def test_a_network_with_it_adds_no_parameters_and_gives_other_outputs(attention):
    shape = {"hidden_size": 32, "depth": 2, "num_heads": 2, "patch_size": 2, "latent_size": 4}
    shape |= {"latent_channels": 3, "num_frames": 5, "attention": attention}
    torch.manual_seed(0)
    plain, turned = (VideoDiT(VideoDiTConfig(**shape, rotary=r)) for r in (False, True))
    for parameter in plain.parameters():
        torch.nn.init.normal_(parameter, std=0.2)
    turned.load_state_dict(plain.state_dict())  # the same names and shapes
    x, t = torch.randn(2, 4, 3, 4, 4), torch.tensor([[0, 5, 400, 999]]).expand(2, -1)
    with torch.no_grad():
        assert not torch.allclose(plain(x, t), turned(x, t), atol=1e-3)
        turned.recompute = True
    with torch.enable_grad():
        recomputed = turned(x, t)
    with torch.no_grad():
        assert torch.allclose(recomputed, turned(x, t), atol=1e-5)
