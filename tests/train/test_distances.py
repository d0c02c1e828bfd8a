"""Distances of sets: closed forms, and the order in which damage must put them."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from toys import Frozen, RealClips

from train.evaluate import WORLD_NETWORK, main
from train.evaluation import sets
from train.evaluation.distances import frechet_distance, kernel_distance
from train.evaluation.features import I3D, WorldFeatures, extract
from train.evaluation.network import NetworkConfig, WorldNetwork, save_network
from train.worlds import UNSEEN, WORLDS, render


def gaussian(count, mean, root, seed=0):
    """Draws whose mean and covariance (by N) are exactly `mean` and root·rootᵀ."""
    x = np.random.default_rng(seed).standard_normal((count, len(mean)))
    x -= x.mean(0)
    x = x @ np.linalg.inv(np.linalg.cholesky(x.T @ x / count)).T
    return x @ np.asarray(root, float).T + mean


def test_a_set_is_at_no_distance_from_itself():
    x = np.random.default_rng(0).standard_normal((40, 12))
    few = x[:5]  # fewer clips than features: the covariance has no inverse
    for features in (x, few, 1000 * x):
        assert frechet_distance(features, features) == pytest.approx(0, abs=1e-6 * features.var())
        assert tuple(kernel_distance(features, features)) == pytest.approx((0, 0), abs=1e-9)


def test_frechet_of_gaussians_in_closed_form():
    a = gaussian(50, [0, 0, 0], np.diag([1, 2, 3]))
    b = gaussian(70, [1, -2, 2], np.diag([2, 2, 1]), seed=1)
    # commuting covariances: |μ₁ − μ₂|² + Σ (σ₁ − σ₂)²
    assert frechet_distance(a, b) == pytest.approx(9 + 1 + 0 + 4)
    # a covariance that does not commute: of 2×2 matrices, tr √(AB) = √(tr AB + 2 √det AB)
    one, two = np.array([[2, 0], [0, 1]]), np.array([[1, 0], [1, 1]])
    A, B = one @ one.T, two @ two.T
    root = np.sqrt(np.trace(A @ B) + 2 * np.sqrt(np.linalg.det(A @ B)))
    found = frechet_distance(gaussian(30, [0, 0], one), gaussian(30, [0, 3], two, seed=2))
    assert found == pytest.approx(9 + np.trace(A) + np.trace(B) - 2 * root)


def test_the_kernel_distance_by_hand():
    x, y = np.array([[0.0], [1.0]]), np.array([[1.0], [2.0]])
    # k = (xy + 1)³: within x 1, within y 27, across without equal positions k(0, 2), k(1, 1) = 1, 8
    found = kernel_distance(x, y)
    assert found.value == pytest.approx(1 + 27 - 1 - 8)
    assert np.isnan(found.error) and found.show(1) == "19.0"  # of two clips nobody knows the error
    assert kernel_distance(np.vstack([x, [[3]]]), np.vstack([y, [[5]]])).error > 0


def test_the_kernel_distance_is_unbiased_and_knows_its_error():
    rng = np.random.default_rng(0)
    pairs = [rng.standard_normal((2, 32, 4)) for _ in range(200)]
    found = [kernel_distance(a, b) for a, b in pairs]
    values = np.array([distance.value for distance in found])
    assert abs(values.mean()) < 3 * values.std() / np.sqrt(200)
    shifted = [kernel_distance(a, b + 1) for a, b in pairs]
    spread = np.std([distance.value for distance in shifted])
    assert np.mean([distance.error for distance in shifted]) == pytest.approx(spread, rel=0.25)


def test_what_lies_between_kinds_of_clips_is_no_error():
    """Both sets have as many of each kind, so their distance does not vary with the kinds'."""
    rng = np.random.default_rng(0)
    far = np.repeat([0.0, 0.0, 0.0, 2.0], 8)[:, None]  # the last of four kinds is another one
    found = []
    for _ in range(200):
        first, second = rng.standard_normal((2, 32, 4))
        found.append(kernel_distance(first, second + far, strata=4))
    spread = np.std([distance.value for distance in found])
    assert np.mean([distance.error for distance in found]) == pytest.approx(spread, rel=0.25)


@pytest.mark.parametrize(
    ("first", "second", "named"),
    [
        (np.zeros((1, 3)), np.zeros((4, 3)), r"\(1, 3\)"),
        (np.zeros((4, 3)), np.zeros((4, 2)), "3 and 2 features"),
        (np.full((4, 3), np.nan), np.zeros((4, 3)), "NaN"),
        (np.zeros(4), np.zeros(4), r"\(4,\)"),
    ],
)
def test_what_has_no_distance_is_refused(first, second, named):
    for distance in (frechet_distance, kernel_distance):
        with pytest.raises(ValueError, match=named):
            distance(first, second)


def test_kid_wants_sets_of_one_size():
    with pytest.raises(ValueError, match="4 and 5 clips"):
        kernel_distance(np.zeros((4, 3)), np.zeros((5, 3)))


class ByMotion:
    """Features that see what moves, and nothing else."""

    distance, protocol = "motion", "change from frame to frame"

    def __call__(self, videos):
        moved = np.abs(np.diff(videos.astype(float), axis=1)).mean((2, 3, 4))  # (B, T - 1)
        return np.stack([moved.mean(1), moved.std(1), moved.max(1)], 1)


def damaged(clips):
    """By name: rising noise, and clips whose every frame is a real one, but not their motion."""
    noise = {amount: [noisy(v, amount, k) for k, v in enumerate(clips)] for amount in (8, 24, 60)}
    frozen = [np.repeat(v[:1], len(v), 0) for v in clips]
    return noise | {
        "frozen": frozen,
        "shuffled": [np.random.default_rng(k).permutation(v) for k, v in enumerate(clips)],
    }


def noisy(video, amount, seed):
    noise = np.random.default_rng(seed).normal(0, amount, video.shape)
    return np.clip(video + noise, 0, 255).astype(np.uint8)


@pytest.fixture(scope="module")
def clips():
    return [render("figures", UNSEEN + k, 16, 16).video for k in range(32)]


def test_damage_of_every_kind_is_seen(clips):
    def distances(videos):
        other = extract(ByMotion(), videos)
        return frechet_distance(real, other), kernel_distance(real, other).value

    real = extract(ByMotion(), clips[:16])
    floor = distances(clips[16:])  # other clips of the same world
    found = {name: distances(videos) for name, videos in damaged(clips[16:]).items()}
    for k, least in enumerate(floor):
        assert least < found[8][k] < found[24][k] < found[60][k]
        assert min(found["frozen"][k], found["shuffled"][k]) > 2 * least


def test_a_network_of_random_filters_sees_time_too(clips, tmp_path):
    """What only looked at single frames, or at their mean, would give 0 for shuffled ones."""
    torch.manual_seed(0)
    config = NetworkConfig(size=16, widths=(12, 12), squeeze=8, features=24)
    save_network(WorldNetwork(config), tmp_path / "network.safetensors")
    features = WorldFeatures(tmp_path / "network.safetensors")
    real = extract(features, clips)
    assert real.shape == (32, 24) and real.dtype == np.float64
    found = {
        name: frechet_distance(real, extract(features, videos))
        for name, videos in damaged(clips).items()
    }
    assert frechet_distance(real, real) == pytest.approx(0, abs=1e-6)
    assert 1e-4 < found[8] < found[24] < found[60]
    assert min(found["frozen"], found["shuffled"]) > 1e-4


def test_the_shipped_network_sees_damage_of_every_kind():
    """All worlds, at the size and length of the study, against the same clips unharmed."""
    clips = [render(world, UNSEEN + k, 8, 32).video for k in range(8) for world in WORLDS]
    features = WorldFeatures(WORLD_NETWORK)
    real = extract(features, clips)
    found = {
        name: frechet_distance(real, extract(features, videos))
        for name, videos in damaged(clips).items()
    }
    assert frechet_distance(real, real) == pytest.approx(0, abs=1e-6)
    assert 0.1 < found[8] < found[24] < found[60]
    assert min(found["frozen"], found["shuffled"]) > 0.1


class FakeI3D(torch.nn.Module):
    """Answers with what it was given, in the place of 400 features."""

    def forward(self, x: torch.Tensor, rescale: bool, resize: bool, return_features: bool):
        assert rescale and resize and return_features
        seen = torch.stack([x.amax((1, 2, 3, 4)), x[:, 0, 1, 2, 3], x[:, 2].mean((1, 2, 3))], 1)
        return torch.nn.functional.pad(seen, (0, 397))


class Narrow(FakeI3D):
    def forward(self, x: torch.Tensor, rescale: bool, resize: bool, return_features: bool):
        return x.mean((2, 3, 4))


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_i3d_is_called_as_stylegan_v_does(tmp_path):
    path = tmp_path / "i3d.pt"
    torch.jit.script(FakeI3D()).save(str(path))
    i3d = I3D(path)
    videos = np.random.default_rng(0).integers(0, 256, (3, 16, 8, 8, 3), np.uint8)
    features = i3d(videos)
    assert features.shape == (3, 400) and features.dtype == np.float64
    assert features[:, 0].tolist() == videos.max((1, 2, 3, 4)).tolist()  # 0 … 255, not rescaled yet
    assert features[:, 1].tolist() == videos[:, 1, 2, 3, 0].tolist()  # (B, C, T, H, W)
    assert features[:, 2] == pytest.approx(videos[..., 2].mean((1, 2, 3)))
    assert "sha256" in i3d.protocol and i3d.distance == "FVD"
    with pytest.raises(ValueError, match="4 frames; I3D needs 10"):
        i3d(videos[:, :4])
    torch.jit.script(Narrow()).save(str(path))
    with pytest.raises(ValueError, match=r"\(3, 3\).*\(3, 400\)"):
        I3D(path)(videos)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_other_files_are_no_i3d(tmp_path):
    path = tmp_path / "weights.pt"
    torch.save({"a": torch.zeros(2)}, path)
    with pytest.raises(ValueError, match="weights.pt is not loaded as TorchScript"):
        I3D(path)
    with pytest.raises(ValueError, match="nothing.pt does not exist"):
        I3D(tmp_path / "nothing.pt")


def test_the_section_compares_with_clips_that_the_model_was_not_shown():
    model = RealClips("figures", "sky")
    rows = sets.measure(model, ByMotion(), seeds=3)
    assert [row.world for row in rows] == ["figures", "sky", sets.ALL]
    for row in rows:
        assert row.frechet["standard"] == pytest.approx(0, abs=1e-6)  # it copies the reference
        assert row.frechet["real"] > 1e-3  # other clips of the same world
    frozen = sets.measure(Frozen("figures"), ByMotion(), seeds=3)[0]
    assert frozen.frechet["standard"] > rows[0].frechet["real"]
    lines = sets.table(rows, "motion").splitlines()
    assert len(lines) == 2 + 2 * 3 and lines[2].startswith("| figures    | motion")
    # the frames given are of the clips after the reference
    given = [(seed, frames[0]) for (_, seed), frames in zip(model.asked, model.given, strict=True)
             if frames]  # fmt: skip
    assert len(given) == 2 * 2 * 3
    for seed, frame in given[:6]:
        assert np.array_equal(frame, render("figures", UNSEEN + 3 + seed, 1).video[0])


def test_one_clip_is_no_set():
    with pytest.raises(ValueError, match="seeds is 1"):
        sets.measure(RealClips("sky"), ByMotion(), seeds=1)


def test_the_program_says_where_the_network_comes_from(finished_run, tmp_path, capsys):
    model = ["--model", str(finished_run / "model"), "--sections", "distances", "--seeds", "2"]
    assert main([*model, "--features", str(tmp_path / "none.safetensors")]) == 1
    assert "none.safetensors is not there; learn it with python -m train" in capsys.readouterr().err
