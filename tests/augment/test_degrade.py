"""Blur and noise against scipy, Pillow and a reference loop; what is neutral stays, to the bit."""

import numpy as np
import pytest
import torch
from PIL import Image, ImageFilter
from scipy import ndimage
from torch import Tensor

from segpipe.augment.apply import augment_batch, normalise_batch
from segpipe.augment.degrade import add_noise, blur
from segpipe.params.augment import AugmentParams
from tests.augment.conftest import draw

CALM = {"scale": (1.0, 1.0), "flip": 0.0, "gamma": (1.0, 1.0), "saturation": (1.0, 1.0)}
ZEROS, ONES = torch.zeros(3), torch.ones(3)


def images(samples: int = 4, height: int = 23, width: int = 31) -> Tensor:
    return torch.rand(samples, 3, height, width, generator=torch.Generator().manual_seed(0))


def test_blur_is_scipys_gaussian_of_each_image() -> None:
    given, sigmas = images(), np.array([0.4, 1.0, 2.5, 9.0])
    found = blur(given, sigmas)
    for image_CHW, sigma, blurred in zip(given.numpy(), sigmas, found.numpy(), strict=True):
        expected = ndimage.gaussian_filter(image_CHW, (0, sigma, sigma), mode="nearest")
        np.testing.assert_allclose(blurred, expected, atol=2e-6)


def test_blur_is_about_pillows() -> None:
    given = (images(1, 60, 80) * 255).round()
    plane = Image.fromarray(given[0, 0].numpy().astype(np.uint8))
    expected = np.asarray(plane.filter(ImageFilter.GaussianBlur(2)), np.float64)
    found = blur(given / 255, np.array([2.0]))[0, 0].numpy() * 255
    assert np.abs(found - expected).mean() < 1.5, "Pillow's is made of box filters"


def test_no_blur_and_a_blur_too_small_for_a_neighbour_change_no_bit() -> None:
    given = images()
    found = blur(given, np.array([0.0, 1e-9, 3.0, 0.1]))
    for same in (0, 1, 3):
        assert torch.equal(found[same], given[same])
    assert not torch.equal(found[2], given[2])


def test_noise_is_drawn_from_the_seed_of_its_sample_and_shared_by_its_frames() -> None:
    given = torch.full((6, 3, 40, 50), 0.5)
    found = add_noise(given, np.array([4.0, 0.0, 9.0]), np.array([11, 12, 13]))
    for sample, std, seed in ((0, 4.0, 11), (2, 9.0, 13)):
        random = torch.Generator().manual_seed(seed)
        expected = given[0] + torch.randn(3, 40, 50, generator=random) * std / 255
        for frame in (2 * sample, 2 * sample + 1):
            torch.testing.assert_close(found[frame], expected, rtol=0, atol=1e-6)
    assert torch.equal(found[2:4], given[2:4]), "a sample without noise is left alone"


def test_noise_has_its_standard_deviation_mean_and_shape() -> None:
    found = add_noise(torch.full((1, 3, 200, 200), 0.5), np.array([10.0]), np.array([5])) - 0.5
    assert abs(float(found.std()) * 255 - 10) < 0.1
    assert abs(float(found.mean()) * 255) < 0.15
    beyond = (found.abs() * 255 > 10).float().mean()
    assert abs(float(beyond) - 0.3173) < 0.01, "one standard deviation of a Gaussian"
    channels = found.flatten(2)[0]
    assert torch.corrcoef(channels).fill_diagonal_(0).abs().max() < 0.02
    neighbours = torch.stack([found[..., 1:].flatten(), found[..., :-1].flatten()])
    assert abs(float(torch.corrcoef(neighbours)[0, 1])) < 0.02


def test_noise_stays_in_range() -> None:
    found = add_noise(images(1), np.array([255.0]), np.array([1]))
    assert found.min() == 0 and found.max() == 1


def bytes_and_masks(samples: int = 5) -> tuple[Tensor, Tensor]:
    random = torch.Generator().manual_seed(3)
    image = torch.randint(0, 256, (samples, 1, 20, 30, 3), generator=random).to(torch.uint8)
    mask = torch.randint(0, 4, (samples, 20, 30), generator=random).to(torch.uint8)
    mask[:, 4:7] = 255
    return image, mask


@pytest.mark.parametrize("change", [{"noise": (2.0, 30.0)}, {"blur": (0.5, 3.0)}])
def test_the_mask_and_its_void_stay_and_outside_is_the_mean(change: dict[str, object]) -> None:
    image, mask = bytes_and_masks()
    params = AugmentParams.model_validate(CALM | change)
    draws = draw(params, 0, 0, range(5), 20, 30, 26, 36)
    plain = draw(AugmentParams.model_validate(CALM), 0, 0, range(5), 20, 30, 26, 36)
    found, labels = augment_batch(image, mask, draws, ZEROS, ONES, (26, 36))
    still, same_labels = augment_batch(image, mask, plain, ZEROS, ONES, (26, 36))
    assert torch.equal(labels, same_labels)
    outside = (still == 0).all(1, keepdim=True).expand_as(found) & (labels == 255)[:, None]
    assert outside.any() and (found[outside] == 0).all()
    assert not torch.equal(found, still)


def test_blur_comes_before_noise_and_both_after_the_colours() -> None:
    image, mask = bytes_and_masks()
    params = AugmentParams.model_validate(
        CALM | {"gamma": (0.5, 0.9), "noise": (3.0, 9.0), "blur": (0.5, 2.0)}
    )
    draws = draw(params, 4, 2, range(5), 20, 30, 20, 30)
    found, _ = augment_batch(image, mask, draws, ZEROS, ONES, (20, 30))
    pictures = normalise_batch(image, ZEROS, ONES)
    dark = pictures ** torch.from_numpy(draws.gamma_B).float()[:, None, None, None]
    expected = add_noise(blur(dark, draws.blur_B), draws.noise_B, draws.noise_seed_B)
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-6)


def test_a_sample_is_blurred_and_noisy_alike_in_any_batch() -> None:
    image, mask = bytes_and_masks()
    params = AugmentParams(noise=(0.0, 9.0), blur=(0.0, 3.0))

    def augmented(rows: list[int]) -> Tensor:
        draws = draw(params, 5, 2, rows, 20, 30, 12, 16)
        return augment_batch(image[rows], mask[rows], draws, ZEROS, ONES, (12, 16))[0]

    whole = augmented([0, 1, 2, 3, 4])
    for rows in ([3], [4, 0], [2, 1, 4, 3]):
        assert torch.equal(augmented(rows), whole[rows])


def test_the_frames_of_a_clip_are_blurred_and_noisy_alike() -> None:
    image, mask = bytes_and_masks(2)
    params = AugmentParams(noise=(2.0, 9.0), blur=(0.5, 3.0))
    draws = draw(params, 0, 0, range(2), 20, 30, 20, 30)
    single, _ = augment_batch(image, mask, draws, ZEROS, ONES, (20, 30))
    clips, _ = augment_batch(torch.cat([image, image], 1), mask, draws, ZEROS, ONES, (20, 30))
    assert torch.equal(clips, single.repeat_interleave(2, 0))
