"""How sure a study is of a distance, beside what training seeds change."""

from __future__ import annotations

import numpy as np
import pytest

from train.evaluation.distances import kernel_distance
from train.evaluation.features import Extractor
from train.study.measure import Reference


class Means(Extractor):
    """The mean and the deviation of each clip."""

    protocol = "means"

    def __call__(self, video):
        flat = video.reshape(len(video), -1).astype(np.float64) / 255
        return np.stack([flat.mean(1), flat.std(1)], axis=1)


@pytest.mark.parametrize(("clips", "known"), [(3, True), (1, False)])
def test_the_error_of_a_kernel_distance_is_noted_with_it(clips, known):
    worlds = ["sky", "figures"]
    reference = Reference(worlds, clips, 2, 16, 8.0, Means())
    found = reference.floor()
    sets = [
        Means()(np.stack([video for world in worlds for video in way(world, 2)]))
        for way in (reference.compared, reference.giving)
    ]
    assert (found["kid_error"] is not None) == known
    if known:  # what lies between the worlds is no error
        assert (found["kid"], found["kid_error"]) == kernel_distance(*sets, strata=2)
        assert found["kid_error"] < kernel_distance(*sets).error
