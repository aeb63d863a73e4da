import pytest
import torch
from sklearn.metrics import f1_score

from segpipe.labels.scheme import VOID
from segpipe.losses.aligned import align
from segpipe.losses.dice import dice_sum
from tests.losses.cases import batch, gradient


def by_loop(logits, mask, smooth):
    """The definition, pixel by pixel."""
    total = 0.0
    for image, truth in zip(logits.double(), mask, strict=True):
        channels = len(image)
        shares = image.sigmoid() if channels == 1 else image.softmax(0)
        pixels = [(r, c) for r in range(len(truth)) for c in range(len(truth[0]))]
        pixels = [place for place in pixels if truth[place] != VOID]
        classes = {1: 0} if channels == 1 else {int(truth[place]): None for place in pixels}
        losses = []
        for train_id in classes:
            channel = 0 if channels == 1 else train_id
            both = sum(shares[channel][place] for place in pixels if truth[place] == train_id)
            seen = sum(shares[channel][place] for place in pixels)
            true = sum(truth[place] == train_id for place in pixels)
            losses.append(1 - (2 * both + smooth) / (seen + true + smooth))
        total = total + sum(losses) / len(losses) * len(pixels)
    return total


@pytest.mark.parametrize("channels", [1, 2, 4])
@pytest.mark.parametrize("smooth", [1e-6, 1.0])
def test_it_is_the_loop_over_pixels_with_the_same_gradient(channels, smooth):
    logits, mask = batch(samples=2, channels=channels, height=4, width=5)
    mask[0][mask[0] == 3] = 2  # a class that one image lacks
    found, expected = dice_sum(align(logits, mask), smooth), by_loop(logits, mask, smooth)
    torch.testing.assert_close(found, expected.float())
    torch.testing.assert_close(gradient(found, logits), gradient(expected, logits))


def test_of_hard_predictions_it_is_one_minus_sklearns_f1():
    _, mask = batch(samples=1, height=9, width=11)
    seen = torch.randint(0, 4, (1, 9, 11), generator=torch.Generator().manual_seed(5))
    logits = 1000.0 * torch.nn.functional.one_hot(seen, 4).permute(0, 3, 1, 2)
    valid = mask != VOID
    scores = f1_score(mask[valid], seen[valid], average=None)
    found = dice_sum(align(logits, mask), 1e-6) / valid.sum()
    assert found.item() == pytest.approx(1 - scores.mean(), abs=1e-6)


def test_hand_case():
    # sigmoid(0) = 1/2: truth 1, 1, 0 gives both 1, seen 1.5, true 2, so 1 - 3/4.5 with smooth 1
    mask = torch.tensor([[[1, 1, 0, VOID]]], dtype=torch.uint8)
    found = dice_sum(align(torch.zeros(1, 1, 1, 4), mask), smooth=1.0)
    assert found.item() == pytest.approx(3 * (1 - 3 / 4.5))


def test_one_logit_learns_from_an_image_without_its_class():
    mask = torch.zeros(1, 5, 5, dtype=torch.uint8)
    logits = torch.zeros(1, 1, 5, 5, requires_grad=True)
    assert (gradient(dice_sum(align(logits, mask), smooth=1.0), logits) > 0).all()


def test_many_pixels_are_counted_exactly():
    mask = torch.ones(1, 3000, 3000, dtype=torch.uint8)
    mask[:, :, :1500] = 0
    found = dice_sum(align(torch.zeros(1, 2, 3000, 3000), mask), smooth=1.0)
    assert found.item() / mask.numel() == pytest.approx(0.5, rel=1e-5)
