"""GELU through a sigmoid is torch's tanh form, forwards and backwards."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from fvdm_core.gelu import gelu

SLACK = {torch.float32: 2e-6, torch.bfloat16: 0.02}  # relative, below 1 absolute


@pytest.fixture(params=[False, True], ids=["eager", "as compiled"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both forms; the compiler itself would take a test half a minute."""
    monkeypatch.setattr(torch.compiler, "is_compiling", lambda: request.param)


def values(dtype: torch.dtype) -> torch.Tensor:
    """Both tails, the bend, zero, and what overflows when it is cubed."""
    edges = torch.tensor([0.0, -0.0, 1e-30, -1e-30, 60.0, -60.0, 1e15, -1e15, -0.75, 3e38, -3e38])
    return torch.cat([torch.linspace(-8, 8, 4001), edges]).to(dtype)


def near(found: torch.Tensor, wanted: torch.Tensor, dtype: torch.dtype) -> None:
    assert found.dtype == dtype and torch.isfinite(found).all()
    error = (found.double() - wanted).abs() / wanted.abs().clamp(min=1)
    assert error.max() < SLACK[dtype]


@pytest.mark.parametrize("dtype", SLACK, ids=str)
def test_it_is_torch_s_tanh_form(dtype, way):
    x = values(dtype)
    near(gelu(x), F.gelu(x.double(), approximate="tanh"), dtype)
    assert torch.equal(x, values(dtype))  # it is not written over


@pytest.mark.parametrize("dtype", SLACK, ids=str)
def test_its_gradient_is_torch_s(dtype, way):
    x, exact = values(dtype)[:4001].requires_grad_(), values(dtype)[:4001].double().requires_grad_()
    weights = torch.linspace(-1, 1, 4001)
    out = gelu(x)
    near(out.detach(), F.gelu(exact, approximate="tanh").detach(), dtype)
    (out * weights.to(dtype)).sum().backward()
    (F.gelu(exact, approximate="tanh") * weights.to(dtype).double()).sum().backward()
    near(x.grad, exact.grad, dtype)


def test_its_gradient_is_that_of_its_values(way):
    x = torch.linspace(-5, 5, 41, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(gelu, x)
