import dataclasses

import pytest
import torch
from torch import Tensor
from torchvision.transforms.v2 import functional as tv

from segpipe.augment.apply import augment_batch, normalise_batch
from segpipe.augment.draw import neutral
from segpipe.labels.scheme import VOID
from segpipe.params.augment import AugmentParams
from tests.augment.conftest import draw

MEAN, STD = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
PLAIN = {"scale": (1.0, 1.0), "flip": 0.0, "gamma": (1.0, 1.0), "saturation": (1.0, 1.0)}


def batch(
    samples: int = 4, channels: int = 3, height: int = 37, width: int = 53
) -> tuple[Tensor, Tensor]:
    random = torch.Generator().manual_seed(0)
    image = torch.randint(0, 256, (samples, 1, height, width, channels), generator=random)
    mask = torch.randint(0, 19, (samples, height, width), generator=random)
    mask[torch.rand(mask.shape, generator=random) < 0.1] = VOID
    return image.to(torch.uint8), mask.to(torch.uint8)


def test_normalising_is_torchvisions():
    image, _ = batch()
    planes = image[:, 0].permute(0, 3, 1, 2)
    expected = tv.normalize(tv.to_dtype(planes, torch.float32, scale=True), MEAN, STD)
    found = normalise_batch(image, MEAN, STD)
    torch.testing.assert_close(found, expected)
    assert found.is_contiguous(memory_format=torch.channels_last)


def test_floats_in_0_to_1_are_taken_as_they_are():
    image, mask = batch()
    unit = image.float() / 255
    expected = normalise_batch(image, MEAN, STD)
    assert torch.equal(normalise_batch(unit, MEAN, STD), expected)
    found, _ = augment_batch(unit, mask, neutral(4), MEAN, STD, (37, 53))
    assert torch.equal(found, expected)


def test_neutral_draws_only_normalise():
    image, mask = batch()
    found, labels = augment_batch(image, mask, neutral(4), MEAN, STD, (37, 53))
    assert torch.equal(found, normalise_batch(image, MEAN, STD))
    assert torch.equal(labels, mask)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("kind", [torch.uint8, torch.float32])
def test_the_input_is_left_as_it_was(channels, kind):
    image, mask = batch(channels=channels)
    image = (image / 255).to(kind)
    before = image.clone()
    params = AugmentParams(**PLAIN | {"gamma": (0.5, 2.0)})
    draws = draw(params, 0, 0, range(4), 37, 53, 37, 53)
    augment_batch(image, mask, draws, MEAN[:channels], STD[:channels], (37, 53))
    normalise_batch(image, MEAN[:channels], STD[:channels])
    assert torch.equal(image, before)


def test_outside_is_the_mean_and_void_while_void_inside_keeps_its_colours():
    image, mask = batch(height=10, width=12)
    mask[:, :2] = VOID
    params = AugmentParams(**PLAIN | {"gamma": (0.5, 0.7), "saturation": (0.5, 0.7)})
    draws = draw(params, 0, 0, range(4), 10, 12, 20, 30)
    found, labels = augment_batch(image, mask, draws, MEAN, STD, (20, 30))
    for b in range(4):
        top, left = int(-draws.top_B[b]), int(-draws.left_B[b])
        outside = torch.ones(20, 30, dtype=torch.bool)
        outside[top : top + 10, left : left + 12] = False
        assert (found[b, :, outside] == 0).all() and (labels[b, outside] == VOID).all()
        assert (found[b, :, ~outside] != 0).float().mean() > 0.99
        assert torch.equal(labels[b, ~outside], mask[b].flatten())


def test_window_gamma_saturation_and_normalising_follow_each_other():
    image, mask = batch()
    params = AugmentParams(**PLAIN | {"flip": 0.5, "gamma": (0.5, 1.5), "saturation": (0.5, 1.5)})
    draws = draw(params, 0, 1, range(4), 37, 53, 16, 24)
    found, labels = augment_batch(image, mask, draws, MEAN, STD, (16, 24))
    for b in range(4):
        window = (slice(int(draws.top_B[b]), None), slice(int(draws.left_B[b]), None))
        by_hand = image[b, 0][window][:16, :24].permute(2, 0, 1).float() / 255
        by_hand = tv.adjust_gamma(by_hand, float(draws.gamma_B[b]))
        by_hand = tv.adjust_saturation(by_hand, float(draws.saturation_B[b]))
        truth = mask[b][window][:16, :24]
        if draws.flip_B[b]:
            by_hand, truth = by_hand.flip(-1), truth.flip(-1)
        torch.testing.assert_close(found[b], tv.normalize(by_hand, MEAN, STD), rtol=0, atol=2e-3)
        assert torch.equal(labels[b], truth)
    assert draws.flip_B.any() and not draws.flip_B.all()


def test_a_sample_looks_the_same_in_any_batch():
    """Law 5, to the last bit: alone, in another order, on one thread."""
    image, mask = batch(samples=6)
    params, sizes = AugmentParams(), (37, 53, 29, 31)

    def augmented(indices: list[int]) -> tuple[Tensor, Tensor]:
        draws = draw(params, 5, 2, indices, *sizes)
        return augment_batch(image[indices], mask[indices], draws, MEAN, STD, (29, 31))

    whole = augmented(list(range(6)))
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        single = augmented(list(range(6)))
    finally:
        torch.set_num_threads(threads)
    for indices in ([3], [5, 0, 2], [4, 1, 0, 3, 5, 2]):
        for all_of_them, found in zip(whole, augmented(indices), strict=True):
            assert torch.equal(found, all_of_them[indices])
    for first, second in zip(whole, single, strict=True):
        assert torch.equal(first, second)


def test_a_neutral_sample_is_not_touched_by_its_neighbours():
    image, mask = batch()
    lively = draw(
        AugmentParams(**PLAIN | {"gamma": (0.5, 0.9), "saturation": (0.5, 0.9)}),
        0,
        0,
        range(4),
        37,
        53,
        37,
        53,
    )
    gamma, saturation = lively.gamma_B.copy(), lively.saturation_B.copy()
    gamma[1] = saturation[1] = 1
    draws = dataclasses.replace(lively, gamma_B=gamma, saturation_B=saturation)
    found, _ = augment_batch(image, mask, draws, MEAN, STD, (37, 53))
    assert torch.equal(found[1], normalise_batch(image, MEAN, STD)[1])
    assert not torch.equal(found[0], normalise_batch(image, MEAN, STD)[0])


def test_twelve_bands_are_augmented_but_not_saturated():
    image, mask = batch(channels=12)
    mean, std = torch.full((12,), 0.4), torch.full((12,), 0.2)
    sizes = (37, 53, 16, 16)
    calm = AugmentParams(saturation=(1.0, 1.0))
    found, _ = augment_batch(image, mask, draw(calm, 0, 0, range(4), *sizes), mean, std, (16, 16))
    assert found.shape == (4, 12, 16, 16)
    with pytest.raises(ValueError, match=r"12 channels; set train\.augment\.saturation"):
        draws = draw(AugmentParams(), 0, 0, range(4), *sizes)
        augment_batch(image, mask, draws, mean, std, (16, 16))


def test_the_frames_of_a_clip_share_their_draws():
    """A clip of one frame twice gives the same picture twice; other frames change nothing of it."""
    image, mask = batch(samples=3)
    clip = torch.cat([image, image.flip(2), image], dim=1)
    params = AugmentParams()
    draws = draw(params, 0, 0, range(3), 37, 53, 20, 30)
    single, labels = augment_batch(image, mask, draws, MEAN, STD, (20, 30))
    frames, same_labels = augment_batch(clip, mask, draws, MEAN, STD, (20, 30))
    frames_BTCHW = frames.view(3, 3, 3, 20, 30)
    assert torch.equal(frames_BTCHW[:, 0], single) and torch.equal(frames_BTCHW[:, 2], single)
    assert not torch.equal(frames_BTCHW[:, 1], single)
    assert torch.equal(labels, same_labels)
    plain = normalise_batch(clip, MEAN, STD).view(3, 3, 3, 37, 53)
    assert torch.equal(plain[:, 0], normalise_batch(image, MEAN, STD))
