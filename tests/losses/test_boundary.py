from math import exp

import numpy as np
import pytest
import torch
from scipy.ndimage import distance_transform_edt

from segpipe.labels.scheme import VOID
from segpipe.losses.aligned import align
from segpipe.losses.boundary import border_factors, boundary_sum
from segpipe.losses.cross_entropy import cross_entropy_sum
from tests.losses.cases import WEIGHTS, batch, gradient


def borders_by_loop(mask: np.ndarray) -> np.ndarray:
    border = np.zeros(mask.shape, bool)
    for row, column in np.ndindex(*mask.shape):
        for down, right in ((-1, 0), (1, 0), (0, -1), (0, 1)):
            other = row + down, column + right
            if 0 <= other[0] < mask.shape[0] and 0 <= other[1] < mask.shape[1]:
                pair = {int(mask[row, column]), int(mask[other])}
                border[row, column] |= len(pair) == 2 and VOID not in pair
    return border


def patches(samples: int, height: int, width: int) -> torch.Tensor:
    """Masks of rectangles, some of them void, so that distances to a border grow."""
    random = np.random.default_rng(4)
    mask = np.zeros((samples, height, width), np.uint8)
    for image in mask:
        for value in (1, 2, VOID, 3):
            top, left = random.integers(height - 4), random.integers(width - 4)
            image[top : top + random.integers(3, 9), left : left + random.integers(3, 9)] = value
    return torch.from_numpy(mask)


@pytest.mark.parametrize("distance", [0.4, 1.0, 2.5, 5.0, 32.0])
def test_factors_follow_scipys_distance_transform(distance):
    mask = patches(3, 40, 52)
    found = border_factors(mask, distance, strength=7.0)
    for image, factors in zip(mask.numpy(), found, strict=True):
        away = distance_transform_edt(~borders_by_loop(image))
        expected = 1 + 7.0 * np.exp(-(away**2) / (2 * distance**2))
        expected[away > 3 * distance] = 1
        np.testing.assert_allclose(factors, expected, rtol=1e-5)
    assert found.unique().numel() > 2


def test_hand_case():
    mask = torch.tensor([[[0, 0, 0, 1, VOID, 2, 2]]], dtype=torch.uint8)
    one, two = 1 + 3 * exp(-1 / 2), 1 + 3 * exp(-4 / 2)
    expected = torch.tensor([two, one, 4, 4, one, two, 1 + 3 * exp(-9 / 2)])
    found = border_factors(mask, distance=1.0, strength=3.0)
    torch.testing.assert_close(found[0, 0], expected)


@pytest.mark.parametrize(
    "mask",
    [
        torch.zeros(2, 5, 6, dtype=torch.uint8),
        torch.full((1, 4, 4), VOID, dtype=torch.uint8),
        torch.tensor([[[1, VOID, 2, VOID, 0]]], dtype=torch.uint8),
        torch.tensor([[[1]]], dtype=torch.uint8),
    ],
)
def test_neither_void_nor_the_edge_of_the_image_is_a_border(mask):
    assert torch.equal(border_factors(mask, 5.0, 10.0), torch.ones(mask.shape))


def test_the_loss_is_the_cross_entropy_of_each_pixel_times_its_factor():
    logits, mask = batch(samples=2, height=5, width=6)
    factors = border_factors(mask, 1.5, 4.0)
    expected = 0.0
    for b, row, column in torch.cartesian_prod(*map(torch.arange, mask.shape)).tolist():
        one = slice(b, b + 1), slice(row, row + 1), slice(column, column + 1)
        pixel = cross_entropy_sum(align(logits[one[0], :, one[1], one[2]], mask[one]), WEIGHTS[4])
        expected = expected + factors[b, row, column] * pixel
    found = boundary_sum(align(logits, mask), 1.5, 4.0, WEIGHTS[4])
    torch.testing.assert_close(found, expected)
    torch.testing.assert_close(gradient(found, logits), gradient(expected, logits))


def test_without_strength_it_is_cross_entropy():
    logits, mask = batch()
    torch.testing.assert_close(
        boundary_sum(align(logits, mask), 5.0, 0.0), cross_entropy_sum(align(logits, mask))
    )
