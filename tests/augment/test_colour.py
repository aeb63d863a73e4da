import pytest
import torch
from torchvision.transforms.v2 import functional as tv

from segpipe.augment.colour import adjust_gamma, adjust_saturation

STRENGTHS = torch.tensor([0.0, 0.5, 0.8, 1.0, 1.25, 2.0])


def images(samples: int = 6, channels: int = 3) -> torch.Tensor:
    return torch.rand(samples, channels, 9, 11, generator=torch.Generator().manual_seed(0))


def test_gamma_is_torchvisions_sample_by_sample():
    found = adjust_gamma(images(), STRENGTHS)
    for image, gamma, changed in zip(images(), STRENGTHS, found, strict=True):
        torch.testing.assert_close(changed, tv.adjust_gamma(image, float(gamma)))


def test_saturation_is_torchvisions_sample_by_sample():
    found = adjust_saturation(images(), STRENGTHS)
    for image, strength, changed in zip(images(), STRENGTHS, found, strict=True):
        expected = tv.adjust_saturation(image, float(strength))
        # torchvision rounds the luma of red to 0.2989.
        torch.testing.assert_close(changed, expected, rtol=0, atol=2e-4)


def test_strength_1_returns_the_very_colours():
    ones = torch.ones(6)
    assert torch.equal(adjust_gamma(images(), ones), images())
    assert torch.equal(adjust_saturation(images(), ones), images())


def test_black_and_white_stay():
    image = torch.tensor([0.0, 1.0]).expand(6, 3, 4, 2)
    assert torch.equal(adjust_gamma(image, STRENGTHS + 0.1), image)
    torch.testing.assert_close(adjust_saturation(image, STRENGTHS), image)


def test_results_stay_in_0_to_1_and_the_input_as_it_was():
    image = 3 * images() - 1
    before = image.clone()
    for changed in (adjust_gamma(image, STRENGTHS), adjust_saturation(image, STRENGTHS)):
        assert changed.min() >= 0 and changed.max() <= 1
    assert torch.equal(image, before)


def test_grey_has_no_saturation_to_change():
    grey = images(channels=1).expand(6, 3, 9, 11)
    torch.testing.assert_close(adjust_saturation(grey, STRENGTHS), grey)


@pytest.mark.parametrize("channels", [1, 4, 12])
def test_saturation_needs_three_channels(channels):
    with pytest.raises(ValueError, match=rf"{channels} channels; set train\.augment\.saturation"):
        adjust_saturation(images(channels=channels), STRENGTHS)
