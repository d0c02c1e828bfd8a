"""Muon for the matrices of the blocks, AdamW for the rest, saved and restored as one."""

from __future__ import annotations

import copy

import pytest
import torch

from fvdm_core.model import VideoDiT
from fvdm_core.shape import VideoDiTConfig
from train import muon as muon_module
from train.config import OptimConfig
from train.muon import Muon, orthogonalized
from train.optimizer import Optimizers

CONFIG = VideoDiTConfig(
    hidden_size=16,
    depth=2,
    num_heads=2,
    patch_size=1,
    latent_size=2,
    latent_channels=2,
    num_frames=3,
    attention="joint",
)
MUON = OptimConfig(optimizer="muon", weight_decay=0.0)


def network() -> VideoDiT:
    torch.manual_seed(0)
    model = VideoDiT(CONFIG)
    with torch.no_grad():
        for parameter in model.parameters():  # a fresh network has gradients of zero
            parameter.add_(0.1 * torch.randn(parameter.shape))
    return model


def step(model: VideoDiT, optimizers: Optimizers, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(2, 3, 2, 2, 2, generator=generator)
    model(x, torch.randint(1000, (2, 3), generator=generator)).square().mean().backward()
    optimizers.step()


def change(optim: OptimConfig, lr: float = 1e-3) -> dict[str, torch.Tensor]:
    model = network()
    before = copy.deepcopy(model.state_dict())
    optimizers = Optimizers(model, optim)
    optimizers.set_lr(lr)
    step(model, optimizers, 0)
    return {name: value - before[name] for name, value in model.state_dict().items()}


def test_muon_turns_the_step_of_a_matrix_about_orthogonal_and_as_large_as_adamws():
    model = network()
    before = copy.deepcopy(model.state_dict())
    optimizers = Optimizers(model, MUON)
    generator = torch.Generator().manual_seed(0)
    for parameter in optimizers.parameters:
        parameter.grad = torch.randn(parameter.shape, generator=generator)
    optimizers.set_lr(1e-3)
    optimizers.step()
    for name in ("blocks.0.attn.qkv.weight", "blocks.1.mlp.fc2.weight"):
        weight = model.state_dict()[name]
        values = torch.linalg.svdvals(weight - before[name])
        size = 1e-3 * 0.2 * max(weight.shape) ** 0.5  # match_rms_adamw
        assert (values > 0.6 * size).all() and (values < 1.3 * size).all(), name


@pytest.mark.parametrize(("fast", "tolerance"), [(True, 1e-7), (False, 0.03)])
def test_muon_moves_matrices_as_torchs_does(monkeypatch, fast, tolerance):
    """The same in bf16, which torch always takes; in fp32 up to what bf16 rounds away."""
    monkeypatch.setattr("train.muon.fast_bf16", lambda device: fast)
    moved = []
    for kind, scaling in ((Muon, {}), (torch.optim.Muon, {"adjust_lr_fn": "match_rms_adamw"})):
        generator = torch.Generator().manual_seed(0)
        weights = [
            torch.nn.Parameter(torch.randn(s, generator=generator)) for s in ((48, 16), (16, 64))
        ]
        optimizer = kind(weights, lr=1.0, weight_decay=0.01, **scaling)
        for _ in range(3):
            for weight in weights:
                weight.grad = torch.randn(weight.shape, generator=generator)
            optimizer.step()
        moved.append(weights)
    for one, other in zip(*moved, strict=True):
        assert (one - other).norm() <= tolerance * other.norm()


@pytest.mark.parametrize("fast, tolerance", [(False, 1e-4), (True, 0.05)])  # of processors
@pytest.mark.parametrize("shape", [(7, 3), (3, 7), (4, 4)])
def test_an_update_keeps_its_directions_and_gets_lengths_near_one(
    shape, fast, tolerance, monkeypatch
):
    monkeypatch.setattr(muon_module, "fast_bf16", lambda device: fast)
    update = torch.randn(shape, generator=torch.Generator().manual_seed(1))
    left, _, right = torch.linalg.svd(update, full_matrices=False)
    lengths = left.mT @ orthogonalized(update).float() @ right.mT
    assert ((lengths.diag() > 0.6) & (lengths.diag() < 1.3)).all()
    assert (lengths - lengths.diag().diag()).abs().max() < tolerance


def test_what_is_no_matrix_of_a_block_moves_as_with_adamw():
    muon, adamw = change(MUON), change(OptimConfig(weight_decay=0.0))
    same = {name for name in muon if torch.equal(muon[name], adamw[name])}
    different = set(muon) - same
    assert different == {
        f"blocks.{block}.{layer}.weight"
        for block in range(2)
        for layer in ("attn.qkv", "attn.proj", "mlp.fc1", "mlp.fc2")
    }
    assert adamw["x_embedder.proj.weight"].abs().max() > 0


def test_a_restored_state_goes_on_bit_for_bit():
    model = network()
    optimizers = Optimizers(model, MUON)
    for seed in range(3):
        step(model, optimizers, seed)
    again = copy.deepcopy(model)
    restored = Optimizers(again, MUON)
    restored.load_state_dict(copy.deepcopy(optimizers.state_dict()))
    for one, its in ((model, optimizers), (again, restored)):
        step(one, its, 5)
    for name, value in model.state_dict().items():
        assert torch.equal(value, again.state_dict()[name]), name


def test_a_restored_state_takes_the_weight_decay_of_now():
    state = Optimizers(network(), MUON).state_dict()
    model = network()
    now = Optimizers(model, OptimConfig(optimizer="muon", weight_decay=0.5, lr=0.1))
    now.load_state_dict(state)
    now.set_lr(0.1)
    before = model.final_layer.linear.weight.detach().clone()
    for parameter in model.parameters():
        parameter.grad = torch.zeros_like(parameter)
    now.step()
    assert torch.allclose(model.final_layer.linear.weight, before * 0.95)


def test_the_state_of_another_optimizer_is_refused():
    model = network()
    with pytest.raises(ValueError, match="of another optimizer"):
        Optimizers(model, MUON).load_state_dict(Optimizers(model, OptimConfig()).state_dict())


def test_an_unknown_optimizer_is_refused_by_name():
    with pytest.raises(ValueError, match="optim.optimizer is 'sgd'; choose one of adamw, muon"):
        OptimConfig(optimizer="sgd")
