"""How weights move: AdamW, or Muon for the matrices of the blocks and AdamW for all the rest."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from .config import OptimConfig
from .muon import Muon
from .sharding import like, whole

BETAS = (0.9, 0.99)


class Optimizers:
    """The optimizers of a module as one: `step`, `set_lr`, and a state to save and restore.

    Muon's updates are scaled to the size of AdamW's, so both take the same learning rate.
    """

    def __init__(self, module: nn.Module, optim: OptimConfig) -> None:
        named = [(n, p) for n, p in module.named_parameters() if p.requires_grad]
        matrices = [p for n, p in named if optim.optimizer == "muon" and _is_inner_matrix(n, p)]
        chosen = {id(p) for p in matrices}
        rest = [p for _, p in named if id(p) not in chosen]
        self.parameters = [p for _, p in named]
        self._weight_decay = optim.weight_decay
        self._each: list[torch.optim.Optimizer] = []
        if rest:
            self._each.append(
                torch.optim.AdamW(rest, lr=optim.lr, betas=BETAS, weight_decay=optim.weight_decay)
            )
        if matrices:
            self._each.append(Muon(matrices, lr=optim.lr, weight_decay=optim.weight_decay))

    def set_lr(self, lr: float) -> None:
        for optimizer in self._each:
            for group in optimizer.param_groups:
                group["lr"] = lr

    def step(self) -> None:
        for optimizer in self._each:
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)

    def state_dict(self) -> list[dict[str, Any]]:
        """Of whole tensors; where weights are in parts, all processes have to ask, and the first is
        told."""
        return [whole(each.state_dict(), everywhere=False) for each in self._each]

    def load_state_dict(self, states: list[dict[str, Any]]) -> None:
        """Raises `ValueError` for the state of other optimizers."""
        if not isinstance(states, list) or len(states) != len(self._each):
            raise ValueError("the saved state is of another optimizer")
        for optimizer, state in zip(self._each, states, strict=True):
            weights = [weight for group in optimizer.param_groups for weight in group["params"]]
            moments = {
                number: {name: like(value, weights[number]) for name, value in values.items()}
                for number, values in state["state"].items()
            }
            optimizer.load_state_dict({**state, "state": moments})
            for values in optimizer.state.values():  # a mapped state keeps its file's room
                values |= {n: t.clone() for n, t in values.items() if isinstance(t, Tensor)}
            for group in optimizer.param_groups:  # the config may have changed since
                group["weight_decay"] = self._weight_decay


def _is_inner_matrix(name: str, parameter: nn.Parameter) -> bool:
    """A matrix of attention or of a feed-forward layer; not an embedding, modulation or output."""
    return parameter.ndim == 2 and (".attn." in name or ".mlp." in name) and "blocks" in name
