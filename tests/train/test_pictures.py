"""What a step of training is shown of pictures."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from train import stages
from train.clips import Clips
from train.config import load_config
from train.run import Run


def test_pictures_have_the_levels_that_the_config_asks_for(tiny_toml, tmp_path, monkeypatch):
    """Spread evenly, more of the noisy ones, and none staggered or kept, as of one frame."""
    count, caught = 400, []
    asked = {"shift": 3.0, "stratified": True, "p_staggered": 0.5, "p_condition": 1.0}
    asked |= {"p_independent": 0.0, "batch_size": count}
    config = load_config(tiny_toml, {f"optim.{name}": value for name, value in asked.items()})
    pictures, labels = np.zeros((count, 4, 16, 16, 3), np.uint8), np.zeros(count, np.int64)
    clips = Clips(pictures, labels, ["a"] * count, stills=np.ones(count, np.int64))
    monkeypatch.setattr(stages, "fit", lambda model, make, *rest, **o: caught.append(make) or model)
    latents = np.zeros((count, 4, 4, 8, 8), np.float16)
    stages.train_transformer(config, latents, clips, None, Run(tmp_path))

    generator = torch.Generator().manual_seed(0)
    _, levels, _, _, counted, _ = caught[0](0, generator, slice(None))
    assert (counted.sum(dim=1) == 1).all() and (levels[~counted] == 1000).all()
    own = levels[counted]
    assert own.min() >= 1
    assert (own > 750).float().mean().item() == pytest.approx(0.5, abs=0.003)  # of a draw ± 0.025
