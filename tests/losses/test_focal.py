import pytest
import torch

from segpipe.labels.scheme import VOID
from segpipe.losses.aligned import align
from segpipe.losses.binary_cross_entropy import binary_cross_entropy_sum
from segpipe.losses.cross_entropy import cross_entropy_sum
from segpipe.losses.focal import focal_sum
from tests.losses.cases import WEIGHTS, batch, gradient


@pytest.mark.parametrize("gamma", [0.0, 0.5, 1.0, 2.0, 5.0])
@pytest.mark.parametrize("channels", [1, 4])
def test_it_is_the_formula_with_the_same_gradient(channels, gamma):
    logits, mask = batch(channels=channels)
    wide = logits.double()
    if channels == 1:
        wide = torch.cat([torch.zeros_like(wide), wide], dim=1)
    valid = mask != VOID
    truth = mask[valid].long()
    shares = wide.softmax(1).permute(0, 2, 3, 1)[valid].gather(1, truth[:, None])[:, 0]
    expected = -(WEIGHTS[channels][truth] * (1 - shares) ** gamma * shares.log()).sum()
    found = focal_sum(align(logits, mask), gamma, WEIGHTS[channels])
    torch.testing.assert_close(found, expected.float())
    torch.testing.assert_close(gradient(found, logits), gradient(expected, logits))


def test_gamma_zero_is_cross_entropy():
    logits, mask = batch()
    torch.testing.assert_close(
        focal_sum(align(logits, mask), 0.0), cross_entropy_sum(align(logits, mask))
    )
    logits, mask = batch(channels=1)
    torch.testing.assert_close(
        focal_sum(align(logits, mask), 0.0), binary_cross_entropy_sum(align(logits, mask))
    )


@pytest.mark.parametrize("gamma", [0.1, 0.5, 10.0])
def test_the_gradient_of_a_certain_pixel_is_a_number(gamma):
    logits = torch.tensor([[[[1e4]], [[-1e4]]]], requires_grad=True)
    found = focal_sum(align(logits, torch.zeros(1, 1, 1, dtype=torch.uint8)), gamma)
    assert found.item() == 0 and not gradient(found, logits).any()
