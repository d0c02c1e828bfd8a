"""The noise of training: its frames are related as those of a prior are in sampling."""

from __future__ import annotations

import pytest
import torch

from fvdm_core import noise
from fvdm_core.noise import frame_noise, training_noise

FRAMES, ALPHA = 5, 1.5
SHARE = ALPHA**2 / (1 + ALPHA**2)
FRAME = torch.arange(FRAMES)
APART = (FRAME[:, None] - FRAME).abs()
COVARIANCE = {  # of frames i and j, in closed form
    "independent": torch.eye(FRAMES),
    "mixed": torch.where(APART == 0, 1.0, SHARE),
    "progressive": SHARE ** (APART / 2),
}


def covariance(values: torch.Tensor) -> torch.Tensor:
    return values.T @ values / len(values)


@pytest.mark.parametrize("prior", COVARIANCE)
def test_the_frames_covariance_is_that_of_the_prior_in_training_and_sampling(prior):
    generator = torch.Generator().manual_seed(0)
    drawn = training_noise((400, FRAMES, 3, 8, 8), prior, ALPHA, generator=generator)
    values = drawn.movedim(1, -1).reshape(-1, FRAMES)  # 76 800 of each frame
    torch.testing.assert_close(covariance(values), COVARIANCE[prior], rtol=0, atol=0.02)
    sampled = frame_noise(0, range(FRAMES), 0, (76_800,), prior=prior, alpha=ALPHA)
    torch.testing.assert_close(covariance(sampled.T), COVARIANCE[prior], rtol=0, atol=0.02)


@pytest.mark.parametrize("prior", COVARIANCE)
def test_clips_of_a_batch_share_nothing(prior):
    generator = torch.Generator().manual_seed(1)
    drawn = training_noise((2, FRAMES, 20_000), prior, ALPHA, generator=generator)
    assert abs((drawn[0] * drawn[1]).mean().item()) < 0.02


def test_independent_noise_takes_from_the_generator_what_it_always_took():
    """So that runs from before there was a choice go on as they were."""
    one, other = (torch.Generator().manual_seed(3) for _ in range(2))
    drawn = training_noise((2, 3, 4), generator=one)
    assert torch.equal(drawn, torch.randn(2, 3, 4, generator=other))
    assert torch.equal(torch.rand(3, generator=one), torch.rand(3, generator=other))


def test_what_is_only_for_sampling_is_refused():
    assert "shuffled" in noise.PRIORS
    with pytest.raises(ValueError, match="'shuffled': choose one of independent, mixed, progr"):
        training_noise((1, 2, 3), "shuffled")
