import dataclasses
import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor
from torchvision.transforms import InterpolationMode
from torchvision.transforms.v2 import functional as tv

from segpipe.augment.affine import sample_window
from segpipe.augment.draw import Draws, neutral
from segpipe.labels.scheme import VOID
from segpipe.params.augment import AugmentParams
from tests.augment.conftest import draw


def batch(
    samples: int = 3, channels: int = 3, height: int = 14, width: int = 19
) -> tuple[Tensor, Tensor]:
    random = torch.Generator().manual_seed(0)
    image = torch.randint(0, 256, (samples, channels, height, width), generator=random)
    mask = torch.randint(0, 256, (samples, height, width), generator=random)
    return image.to(torch.uint8), mask.to(torch.uint8)


def geometry(scale: float, top: float, left: float, flip: bool = False, samples: int = 3) -> Draws:
    one = np.ones(samples)
    return dataclasses.replace(
        neutral(samples),
        scale_B=one * scale,
        top_B=one * top,
        left_B=one * left,
        flip_B=np.full(samples, flip),
    )


@pytest.mark.parametrize("kind", [torch.uint8, torch.float32, torch.float16])
def test_neutral_draws_return_the_input(kind):
    image, mask = batch()
    found, labels, inside = sample_window(image.to(kind), mask, neutral(3), 14, 19)
    assert torch.equal(found, image.float()) and found.dtype == torch.float32
    assert torch.equal(labels, mask) and labels.dtype == torch.uint8
    assert inside.all()


@pytest.mark.parametrize(("top", "left"), [(0, 0), (3, 0), (2, 7), (6, 11)])
def test_whole_shifts_are_slices(top, left):
    image, mask = batch()
    found, labels, inside = sample_window(image, mask, geometry(1, top, left), 8, 8)
    assert torch.equal(found, image[:, :, top : top + 8, left : left + 8].float())
    assert torch.equal(labels, mask[:, top : top + 8, left : left + 8])
    assert inside.all()


@pytest.mark.parametrize("scale", [1.0, 0.7, 1.3])
def test_flip_is_torchs(scale):
    image, mask = batch()
    straight = sample_window(image, mask, geometry(scale, -1.3, 2.2), 9, 12)
    mirrored = sample_window(image, mask, geometry(scale, -1.3, 2.2, flip=True), 9, 12)
    for plain, flipped in zip(straight, mirrored, strict=True):
        assert torch.equal(flipped, plain.flip(-1))


def test_a_window_larger_than_the_image_is_void_outside():
    image, mask = batch(height=4, width=5)
    found, labels, inside = sample_window(image, mask, geometry(1, -2, -3), 9, 10)
    within = (..., slice(2, 6), slice(3, 8))
    expected = torch.full((3, 9, 10), VOID, dtype=torch.uint8)
    expected[within] = mask
    assert torch.equal(labels, expected)
    assert torch.equal(found, F.pad(image.float(), (3, 2, 2, 3), mode="replicate"))
    assert inside.sum() == 3 * 4 * 5 and inside[within].all()


@pytest.mark.parametrize("seed", range(4))
def test_random_windows_are_those_of_the_loop(seed):
    image, mask = batch()
    params = AugmentParams(scale=(0.4, 2.5))
    draws = draw(params, seed, 0, range(3), 14, 19, 11, 13)
    found, labels, inside = sample_window(image, mask, draws, 11, 13)
    for b in range(3):
        for i in range(11):
            for j in range(13):
                column = 12 - j if draws.flip_B[b] else j
                y = draws.top_B[b] + (i + 0.5) / draws.scale_B[b]
                x = draws.left_B[b] + (column + 0.5) / draws.scale_B[b]
                here = 0 <= y < 14 and 0 <= x < 19
                assert inside[b, i, j] == here
                assert labels[b, i, j] == (mask[b, int(y), int(x)] if here else VOID)
                expected = bilinear(image[b].double(), y - 0.5, x - 0.5)
                torch.testing.assert_close(found[b, :, i, j].double(), expected, rtol=0, atol=1e-3)


def bilinear(image_CHW: Tensor, y: float, x: float) -> Tensor:
    total = torch.zeros(image_CHW.shape[0], dtype=torch.float64)
    for row in (math.floor(y), math.floor(y) + 1):
        for column in (math.floor(x), math.floor(x) + 1):
            weight = (1 - abs(y - row)) * (1 - abs(x - column))
            total += weight * image_CHW[:, min(max(row, 0), 13), min(max(column, 0), 18)]
    return total


@pytest.mark.parametrize("scale", [0.5, 1.5, 2.0, 3.0])
def test_the_whole_image_scaled_is_torchvisions_resize(scale):
    image, mask = batch(height=16, width=24)
    sides = [int(16 * scale), int(24 * scale)]
    found, labels, inside = sample_window(image, mask, geometry(scale, 0, 0), *sides)
    expected = tv.resize(image.float(), sides, InterpolationMode.BILINEAR, antialias=False)
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-3)
    nearest = tv.resize(mask, sides, InterpolationMode.NEAREST_EXACT)
    assert torch.equal(labels, nearest) and inside.all()


def test_a_scaled_crop_is_torchvisions_resized_crop():
    image, mask = batch(height=30, width=40)
    found, labels, _ = sample_window(image, mask, geometry(2, 5, 8), 24, 32)
    expected = tv.resized_crop(image.float(), 5, 8, 12, 16, [24, 32], antialias=False)
    # Its crop has lost the neighbours that the outermost pixels blend with.
    inner = (..., slice(1, -1), slice(1, -1))
    torch.testing.assert_close(found[inner], expected[inner], rtol=0, atol=1e-3)
    assert torch.equal(labels, mask[:, 5:17, 8:24].repeat_interleave(2, 1).repeat_interleave(2, 2))


@pytest.mark.parametrize(("scale", "down", "right"), [(1.37, 2.0, -3.0), (0.81, -1.0, 2.0)])
def test_scale_and_shift_are_torchvisions_affine(scale, down, right):
    image, mask = batch(height=21, width=27)
    top, left = (side / 2 - (side / 2 + move) / scale for side, move in ((21, down), (27, right)))
    found, labels, inside = sample_window(image, mask, geometry(scale, top, left), 21, 27)
    given = {"angle": 0.0, "translate": [right, down], "scale": scale, "shear": [0.0, 0.0]}
    expected = tv.affine(image.float(), interpolation=InterpolationMode.BILINEAR, **given)
    # At the edge torchvision blends with its fill, this repeats the edge.
    near_outside = F.max_pool2d((~inside[:, None]).float(), 5, 1, 2)
    inner = (near_outside == 0).expand_as(found)
    assert inner.float().mean() > 0.3
    torch.testing.assert_close(found[inner], expected[inner], rtol=0, atol=2e-2)
    nearest = tv.affine(mask[:, None], interpolation=InterpolationMode.NEAREST, fill=VOID, **given)
    assert torch.equal(labels, nearest[:, 0])


def test_no_label_is_invented():
    image, _ = batch(samples=1)
    mask = torch.zeros(1, 14, 19, dtype=torch.uint8)
    mask[:, :, 10:] = 23
    draws = geometry(1.7, 0.4, 0.2, samples=1)
    _, labels, _ = sample_window(image, mask, draws, 20, 30)
    assert set(labels.unique().tolist()) == {0, 23}


def test_image_and_mask_move_together():
    mask = torch.arange(14 * 16, dtype=torch.uint8).reshape(1, 14, 16)
    draws = draw(AugmentParams(scale=(3.0, 3.0)), 0, 0, [4], 14, 16, 20, 20)
    image, labels, _ = sample_window(mask[:, None], mask, draws, 20, 20)
    # In the middle of an enlarged pixel the two must agree.
    assert (image[:, 0] == labels).float().mean() > 0.1
    assert ((image[:, 0] - labels.float()).abs() <= 17 / 3 + 1e-3).all()


def test_the_result_of_a_sample_does_not_depend_on_its_batch():
    image, mask = batch(samples=4, height=33, width=47)
    params = AugmentParams(scale=(0.5, 2.0))
    sizes = (33, 47, 25, 31)
    together = sample_window(image, mask, draw(params, 0, 0, range(4), *sizes), 25, 31)
    for index in range(4):
        part = (image[index, None], mask[index, None], draw(params, 0, 0, [index], *sizes))
        for whole, alone in zip(together, sample_window(*part, 25, 31), strict=True):
            assert torch.equal(whole[index], alone[0])


def test_sizes_that_differ_are_refused():
    image, mask = batch()
    with pytest.raises(ValueError, match="do not fit together"):
        sample_window(image, mask[:, :-1], neutral(3), 8, 8)
    for samples in (2, 4):
        with pytest.raises(ValueError, match=f"draws of {samples} samples do not fit together"):
            sample_window(image, mask, neutral(samples), 8, 8)


@pytest.mark.parametrize("crop", [(15, 20), (10, 15)])
def test_a_coarser_mask_moves_with_the_image(crop: tuple[int, int]):
    """Each truth pixel covers 5x5 image pixels, which all carry its number as their colour."""
    random = torch.Generator().manual_seed(1)
    mask = torch.randint(0, 200, (6, 3, 4), generator=random).to(torch.uint8)
    image = mask.repeat_interleave(5, 1).repeat_interleave(5, 2)[:, None]
    params = AugmentParams(scale=(1.0, 1.0), flip=0.5, flip_vertical=0.5)
    draws = draw(params, 3, 0, range(6), 15, 20, *crop, step=5)
    assert draws.flip_B.any() and draws.upend_B.any() and not draws.upend_B.all()
    found, labels, inside = sample_window(image, mask, draws, *crop)
    assert inside.all()
    assert labels.shape == (6, crop[0] // 5, crop[1] // 5)
    expected = labels.repeat_interleave(5, 1).repeat_interleave(5, 2)[:, None]
    assert torch.equal(found, expected.float())


def test_a_coarser_mask_is_not_scaled():
    mask = torch.zeros(2, 3, 4, dtype=torch.uint8)
    image = torch.zeros(2, 3, 15, 20, dtype=torch.uint8)
    draws = draw(AugmentParams(scale=(0.5, 0.9)), 0, 0, range(2), 15, 20, 15, 20, step=5)
    with pytest.raises(ValueError, match="5 times coarser"):
        sample_window(image, mask, draws, 15, 20)


def test_upside_down_is_torchs_flip():
    image, mask = batch()
    draws = dataclasses.replace(neutral(3), upend_B=np.ones(3, np.bool_))
    found, labels, _ = sample_window(image, mask, draws, 14, 19)
    assert torch.equal(found, image.float().flip(-2)) and torch.equal(labels, mask.flip(-2))
