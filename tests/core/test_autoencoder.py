"""The autoencoder: shapes, the scale of its latents, and configs that do not fit."""

from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F

from fvdm_core.autoencoder import Autoencoder, AutoencoderConfig

CONFIG = AutoencoderConfig(image_size=16, latent_channels=3, widths=(4, 8), blocks=1)
DETAILED = replace(CONFIG, image_size=32, detail=6)


def autoencoder(config=CONFIG):
    torch.manual_seed(0)
    return Autoencoder(config).eval()


def pictures(*leading, size=16):
    return torch.rand(*leading, 3, size, size, generator=torch.Generator().manual_seed(1)) * 2 - 1


@pytest.mark.parametrize("leading", [(), (1,), (4,), (2, 3), (2, 1, 2)])
@torch.no_grad()
def test_any_leading_dimensions_go_through(leading):
    model = autoencoder()
    latents = model.encode(pictures(*leading))
    assert latents.shape == (*leading, 3, 4, 4)
    assert model.decode(latents).shape == (*leading, 3, 16, 16)


@pytest.mark.parametrize(
    "widths, size", [((4,), 8), ((4, 4), 4), ((4, 4, 8), 2), ((2, 2, 2, 2), 1)]
)
@torch.no_grad()
def test_a_width_halves_the_picture(widths, size):
    config = AutoencoderConfig(image_size=16, latent_channels=2, widths=widths, blocks=0)
    assert (config.downsample, config.latent_size) == (16 // size, size)
    assert autoencoder(config).encode(pictures(1)).shape == (1, 2, size, size)


def with_detail():
    """A model with a detail, and the one without it of the same weights."""
    detailed, plain = autoencoder(DETAILED), autoencoder()
    missing = detailed.load_state_dict(plain.state_dict(), strict=False).missing_keys
    assert missing and all(name.startswith("detail.") for name in missing)
    return detailed, plain


@torch.no_grad()
def test_a_detail_doubles_the_picture_and_leaves_the_latents():
    detailed, plain = with_detail()
    large = pictures(2, 3, size=32)
    small = large.unflatten(-1, (16, 2)).unflatten(-3, (16, 2)).mean(dim=(-1, -3))
    latents = detailed.encode(large)
    assert (DETAILED.downsample, DETAILED.latent_size) == (8, 4)
    torch.testing.assert_close(latents, plain.encode(small))
    torch.testing.assert_close(detailed.preview(latents), plain.decode(latents))
    assert detailed.decode(latents).shape == large.shape


@torch.no_grad()
def test_a_fresh_detail_adds_nothing_and_a_learned_one_does():
    detailed, _ = with_detail()
    latents = detailed.encode(pictures(4, size=32))
    doubled = F.interpolate(detailed.preview(latents), scale_factor=2, mode="bilinear")
    torch.testing.assert_close(detailed.decode(latents), doubled)
    torch.nn.init.normal_(detailed.detail[-2].weight)
    assert (detailed.decode(latents) - doubled).abs().max() > 0.1
    torch.testing.assert_close(  # what is looked at on the way does without it
        F.interpolate(detailed.preview(latents), scale_factor=2, mode="bilinear"), doubled
    )


@torch.no_grad()
def test_latents_have_unit_scale_once_their_scale_is_set():
    model, video = autoencoder(), pictures(64)
    raw = model.encode_raw(video)
    model.latent_mean.copy_(raw.mean(dim=(0, 2, 3))[:, None, None])
    model.latent_std.copy_(raw.std(dim=(0, 2, 3))[:, None, None])
    latents = model.encode(video)
    torch.testing.assert_close(latents.mean(dim=(0, 2, 3)), torch.zeros(3), rtol=0, atol=1e-5)
    torch.testing.assert_close(latents.std(dim=(0, 2, 3)), torch.ones(3), rtol=0, atol=1e-4)
    expected = model.decode_sizes(raw)[-1].clamp(-1, 1)  # decoding undoes the scale
    torch.testing.assert_close(model.decode(latents), expected, rtol=1e-4, atol=1e-5)


def test_the_scale_travels_with_the_weights():
    model, other = autoencoder(), autoencoder()
    model.latent_std.fill_(2.5)
    other.load_state_dict(model.state_dict())
    assert torch.equal(other.latent_std, torch.full((3, 1, 1), 2.5))
    assert torch.equal(other.latent_mean, torch.zeros(3, 1, 1))


@torch.no_grad()
def test_pictures_are_coded_one_by_one():
    model, video = autoencoder(), pictures(2, 3)
    torch.testing.assert_close(model.encode(video)[1, 2], model.encode(video[1, 2]))


@torch.no_grad()
def test_decoded_pictures_stay_in_range():
    decoded = autoencoder().decode(100 * torch.randn(4, 3, 4, 4))
    assert decoded.min() >= -1 and decoded.max() <= 1


def test_a_config_from_json_is_the_same_config():
    assert AutoencoderConfig(widths=[64, 128, 192]) == AutoencoderConfig()  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "change, words",
    [
        ({"widths": ()}, r"widths \(\)"),
        ({"widths": (4, 0)}, r"widths \(4, 0\)"),
        ({"latent_channels": 0}, "latent_channels 0"),
        ({"blocks": -1}, "blocks -1"),
        ({"detail": -1}, "detail -1"),
        ({"image_size": 20, "detail": 4}, "image_size 20 is not divisible by 8"),
        ({"image_size": 0}, "image_size 0"),
        ({"image_size": 18}, "image_size 18 is not divisible by 4"),
    ],
)
def test_a_config_that_does_not_fit_together_is_refused(change, words):
    with pytest.raises(ValueError, match=words):
        AutoencoderConfig(**{"image_size": 16, "widths": (4, 4)} | change)
