"""What is measured of a clip, by hand."""

import math

import numpy as np
import pytest

from fvdm_core.measures import changes


def clip(*levels):
    shape = (len(levels), 2, 2, 3)
    return np.broadcast_to(np.array(levels, np.uint8)[:, None, None, None], shape)


def test_the_change_beside_kept_frames_and_elsewhere():
    video = clip(0, 10, 12, 14, 44)
    both = changes(video, [0, 4])
    assert (both.motion, both.beside, both.elsewhere) == (11.0, 20.0, 2.0) and both.seam == 10.0
    first = changes(video, [0])
    assert first.beside == 10.0 and first.elsewhere == pytest.approx((2 + 2 + 30) / 3)
    assert changes(clip(200, 0, 200)).motion == 200  # bytes do not wrap around
    assert changes(np.array([[[[0, 0, 0]]], [[[0, 0, 30]]]], np.uint8)).motion == 10  # of colours


def test_kept_frames_beside_each_other_are_no_seam():
    change = changes(clip(0, 100, 101, 103), [0, 1])
    assert (change.beside, change.elsewhere, change.seam) == (1.0, 2.0, 0.5)


def test_what_is_not_there_is_no_number():
    assert math.isnan(changes(clip(5)).motion)
    alone = changes(clip(5, 6, 7), [])
    assert alone.motion == alone.elsewhere == 1.0 and math.isnan(alone.seam)
    assert math.isnan(changes(clip(5, 6), [0]).seam)  # nothing to compare with
    still = changes(clip(5, 9, 9, 9), [0])
    assert still.elsewhere == 0 and still.seam == math.inf
    assert changes(clip(9, 9, 9, 9), [0]).seam == 0
