from math import ceil

import pytest
import torch

from segpipe.labels.scheme import VOID
from segpipe.losses.aligned import align
from segpipe.losses.binary_cross_entropy import binary_cross_entropy_sum
from segpipe.losses.cross_entropy import cross_entropy_sum
from segpipe.losses.ohem import ohem_sum
from tests.losses.cases import WEIGHTS, batch, gradient


def by_loop(logits, mask, share, threshold, min_kept, weights):
    total = 0.0
    for image, truth in zip(logits.double(), mask, strict=True):
        image = image if len(image) > 1 else torch.cat([torch.zeros_like(image), image])
        chances = image.softmax(0)
        pixels = []
        for row in range(len(truth)):
            for column in range(len(truth[0])):
                train_id = int(truth[row, column])
                if train_id != VOID:
                    pixels.append((chances[train_id, row, column], weights[train_id]))
        pixels.sort(key=lambda pixel: pixel[0].item())
        least = max(ceil(share * len(pixels)), min(min_kept, len(pixels)), 1)
        kept = [pixel for rank, pixel in enumerate(pixels) if rank < least or pixel[0] < threshold]
        mean = sum(-weight * chance.log() for chance, weight in kept) / len(kept)
        total = total + mean * len(pixels)
    return total


@pytest.mark.parametrize("channels", [1, 4])
@pytest.mark.parametrize(
    ("share", "threshold", "min_kept"),
    [(0.25, 0.0, 1), (0.0, 0.4, 1), (0.1, 0.3, 1), (0.1, 0.01, 9), (0.0, 0.0, 1), (0.0, 0.0, 999)],
)
def test_it_is_the_loop_over_pixels_with_the_same_gradient(channels, share, threshold, min_kept):
    logits, mask = batch(channels=channels)
    weights = WEIGHTS[channels]
    found = ohem_sum(align(logits, mask), share, threshold, min_kept, weights)
    expected = by_loop(logits, mask, share, threshold, min_kept, weights)
    torch.testing.assert_close(found, expected.float())
    torch.testing.assert_close(gradient(found, logits), gradient(expected, logits))


@pytest.mark.parametrize("options", [(1.0, 0.0, 1), (0.0, 1.0, 1), (0.0, 0.0, 10_000)])
def test_all_pixels_kept_are_cross_entropy(options):
    logits, mask = batch()
    torch.testing.assert_close(
        ohem_sum(align(logits, mask), *options), cross_entropy_sum(align(logits, mask))
    )
    logits, mask = batch(channels=1)
    expected = binary_cross_entropy_sum(align(logits, mask))
    torch.testing.assert_close(ohem_sum(align(logits, mask), *options), expected)


def test_only_the_hard_pixels_move():
    logits, mask = batch(samples=1, height=20, width=20)
    found = ohem_sum(align(logits, mask), share=0.25, threshold=0.0, min_kept=1)
    moved = (gradient(found, logits) != 0).any(dim=1)
    assert moved.sum() == ceil(0.25 * (mask != VOID).sum().item())


def test_pixels_that_tie_are_all_kept():
    mask = torch.tensor([[[0, 0, 0, 1, VOID]]], dtype=torch.uint8)
    logits = torch.zeros(1, 2, 1, 5, requires_grad=True)
    found = ohem_sum(align(logits, mask), share=0.0, threshold=0.0, min_kept=1)
    assert found.item() == pytest.approx(4 * torch.tensor(2.0).log().item())
    assert (gradient(found, logits)[0, 0, 0] != 0).tolist() == [True] * 4 + [False]
