import math

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from segpipe.labels.scheme import VOID
from segpipe.losses.build import build_loss
from segpipe.losses.valid import valid_pixels
from segpipe.models.parts.cropping import centre_crop
from segpipe.params.loss import LossParams

loss = build_loss(LossParams(name="cross_entropy"))


def batch(
    samples: int = 3, classes: int = 4, height: int = 5, width: int = 6
) -> tuple[Tensor, Tensor]:
    random = torch.Generator().manual_seed(0)
    logits = 3 * torch.randn(samples, classes, height, width, generator=random)
    mask = torch.randint(0, classes, (samples, height, width), generator=random)
    void = torch.rand(mask.shape, generator=random) < 0.3
    return logits.requires_grad_(), mask.masked_fill(void, VOID).to(torch.uint8)


def test_it_is_torchs_sum_with_the_same_gradient():
    logits, mask = batch()
    found = loss(logits, mask)
    (gradient,) = torch.autograd.grad(found, logits)
    expected = F.cross_entropy(logits, mask.long(), ignore_index=VOID, reduction="sum")
    (expected_gradient,) = torch.autograd.grad(expected, logits)
    torch.testing.assert_close(found, expected)
    torch.testing.assert_close(gradient, expected_gradient)


def test_divided_by_the_valid_pixels_it_is_torchs_mean():
    logits, mask = batch()
    expected = F.cross_entropy(logits, mask.long(), ignore_index=VOID)
    torch.testing.assert_close(loss(logits, mask) / valid_pixels(mask), expected)


def test_it_is_the_loop_over_pixels_with_the_same_gradient():
    logits, mask = batch(samples=2, classes=3, height=3, width=4)
    total, gradient = 0.0, torch.zeros_like(logits)
    for b, row, column in torch.cartesian_prod(*map(torch.arange, mask.shape)).tolist():
        true = int(mask[b, row, column])
        if true == VOID:
            continue
        powers = [math.exp(value) for value in logits[b, :, row, column].tolist()]
        total -= math.log(powers[true] / sum(powers))
        for k, power in enumerate(powers):
            gradient[b, k, row, column] = power / sum(powers) - (k == true)
    found = loss(logits, mask)
    found.backward()
    assert found.item() == pytest.approx(total, rel=1e-6)
    torch.testing.assert_close(logits.grad, gradient)


def test_hand_case():
    logits = torch.zeros(1, 2, 2, 4)
    mask = torch.tensor([[[0, 1, VOID, 1], [VOID, 0, 0, VOID]]], dtype=torch.uint8)
    assert loss(logits, mask).item() == pytest.approx(5 * math.log(2))
    assert valid_pixels(mask) == 5 and valid_pixels(mask).dtype == torch.int64


def test_a_batch_of_void_costs_nothing_and_moves_nothing():
    logits, mask = batch()
    found = loss(logits, torch.full_like(mask, VOID))
    found.backward()
    assert found.item() == 0 and valid_pixels(torch.full_like(mask, VOID)) == 0
    assert torch.equal(logits.grad, torch.zeros_like(logits))


def test_void_pixels_get_no_gradient():
    logits, mask = batch()
    loss(logits, mask).backward()
    moved = (logits.grad != 0).any(dim=1)
    assert torch.equal(moved, mask != VOID)


@pytest.mark.parametrize("parts", [1, 3])
def test_parts_of_a_batch_add_up(parts):
    logits, mask = batch(samples=6)
    whole = loss(logits, mask)
    pieces = zip(logits.chunk(parts), mask.chunk(parts), strict=True)
    torch.testing.assert_close(sum(loss(*piece) for piece in pieces), whole)
    assert sum(valid_pixels(piece) for piece in mask.chunk(parts)) == valid_pixels(mask)


def test_smaller_logits_belong_to_the_centre_of_the_mask():
    logits, mask = batch(height=9, width=10)
    small = centre_crop(logits, 4, 5)
    torch.testing.assert_close(loss(small, mask), loss(small, mask[:, 2:6, 2:7]))


def test_bf16_logits_are_summed_in_float32():
    logits, mask = batch()
    coarse = logits.detach().bfloat16().requires_grad_()
    found = loss(coarse, mask)
    found.backward()
    assert found.dtype == torch.float32 and coarse.grad.dtype == torch.bfloat16
    torch.testing.assert_close(found, loss(coarse.detach().float(), mask), rtol=0, atol=0)


def test_autocast_does_not_lower_the_precision():
    logits, mask = batch()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = loss(logits, mask)
    torch.testing.assert_close(found, loss(logits, mask), rtol=0, atol=0)


def test_a_large_sum_keeps_its_digits():
    logits = torch.zeros(1, 2, 2048, 2048)
    mask = torch.zeros(1, 2048, 2048, dtype=torch.uint8)
    assert loss(logits, mask).item() == pytest.approx(2048 * 2048 * math.log(2), rel=1e-6)


def test_a_train_id_beyond_the_classes_is_an_error():
    logits, mask = batch()
    with pytest.raises(IndexError):
        loss(logits, torch.full_like(mask, 4))
