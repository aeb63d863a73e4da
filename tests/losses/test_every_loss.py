"""What holds for each loss, of several classes and of one logit."""

import pytest
import torch
from torch import Tensor

from segpipe.labels.scheme import VOID
from segpipe.models.parts.cropping import centre_crop
from tests.losses.cases import EVERY, WEIGHTS, batch, gradient, named

every_loss = pytest.mark.parametrize(("name", "channels"), EVERY)


def perfect(mask: Tensor, channels: int, height: float = 40.0) -> Tensor:
    """Logits that are sure of the truth; of class 0 where it is void."""
    ids = torch.arange(channels)[:, None, None] if channels > 1 else torch.ones(1, 1, 1)
    return ((mask[:, None] == ids).float() * 2 - 1) * height


@every_loss
def test_the_gradient_is_that_of_finite_differences(name, channels):
    logits, mask = batch(samples=2, channels=channels, height=2, width=3)
    loss = named(name, channels, WEIGHTS[channels])
    wide = logits.detach().double().requires_grad_()
    assert torch.autograd.gradcheck(lambda given: loss(given, mask), (wide,), atol=1e-6)


@every_loss
def test_the_gradient_in_float32_is_that_in_float64(name, channels):
    logits, mask = batch(channels=channels, height=12, width=15)
    loss, wide = named(name, channels), logits.detach().double().requires_grad_()
    found, expected = loss(logits, mask), loss(wide, mask)
    torch.testing.assert_close(found, expected.float())
    torch.testing.assert_close(gradient(found, logits), gradient(expected, wide).float())


@every_loss
@pytest.mark.parametrize("parts", [[1, 2], [1, 1, 1]])
def test_parts_of_a_batch_add_up(name, channels, parts):
    logits, mask = batch(channels=channels)
    loss = named(name, channels, WEIGHTS[channels])
    whole = loss(logits, mask)
    pieces = sum(map(loss, logits.split(parts), mask.split(parts)))
    torch.testing.assert_close(pieces, whole)
    torch.testing.assert_close(gradient(pieces, logits), gradient(whole, logits))


@every_loss
def test_a_batch_of_void_costs_nothing_and_moves_nothing(name, channels):
    logits, mask = batch(channels=channels)
    found = named(name, channels)(logits, torch.full_like(mask, VOID))
    found.backward()
    assert found.item() == 0
    assert torch.equal(logits.grad, torch.zeros_like(logits))


@every_loss
def test_an_image_of_void_changes_nothing_of_the_others(name, channels):
    logits, mask = batch(channels=channels)
    mask[1] = VOID
    loss = named(name, channels)
    found = loss(logits, mask)
    torch.testing.assert_close(found, loss(logits[::2], mask[::2]))
    assert torch.equal(gradient(found, logits)[1], torch.zeros_like(logits[1]))


@every_loss
def test_what_stands_in_void_pixels_is_ignored(name, channels):
    logits, mask = batch(channels=channels)
    loss = named(name, channels)
    found = loss(logits, mask)
    void = (mask == VOID)[:, None].expand_as(logits)
    assert void.any() and not gradient(found, logits)[void].any()
    torch.testing.assert_close(loss(logits.detach().masked_fill(void, 77.0), mask), found)


@every_loss
def test_smaller_logits_belong_to_the_centre(name, channels):
    logits, mask = batch(channels=channels, height=9, width=10)
    loss, small = named(name, channels), centre_crop(logits, 4, 5)
    torch.testing.assert_close(loss(small, mask), loss(small, mask[:, 2:6, 2:7]), rtol=0, atol=0)


@every_loss
def test_bf16_logits_are_widened(name, channels):
    logits, mask = batch(channels=channels)
    coarse = logits.detach().bfloat16().requires_grad_()
    loss = named(name, channels)
    found = loss(coarse, mask)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        cast = loss(coarse, mask)
    assert found.dtype == cast.dtype == torch.float32
    assert gradient(found, coarse).dtype == torch.bfloat16
    for other in (cast, loss(coarse.detach().float(), mask)):
        torch.testing.assert_close(found, other, rtol=0, atol=0)


@every_loss
def test_the_memory_layout_does_not_matter(name, channels):
    logits, mask = batch(channels=channels)
    last = logits.detach().to(memory_format=torch.channels_last).requires_grad_()
    loss = named(name, channels)
    found, expected = loss(last, mask), loss(logits, mask)
    torch.testing.assert_close(found, expected)
    torch.testing.assert_close(gradient(found, last), gradient(expected, logits))


@every_loss
def test_a_perfect_prediction_costs_nothing_and_moves_nothing(name, channels):
    _, mask = batch(channels=channels)
    mask[0] = 1
    logits = perfect(mask, channels).requires_grad_()
    found = named(name, channels)(logits, mask)
    assert found.item() == pytest.approx(0, abs=1e-5)
    assert gradient(found, logits).abs().max() < 1e-5


@every_loss
@pytest.mark.parametrize("height", [1e4, -1e4])
def test_extreme_logits_stay_finite(name, channels, height):
    _, mask = batch(channels=channels)
    mask[0] = 0
    logits = perfect(mask, channels, height).requires_grad_()
    found = named(name, channels, WEIGHTS[channels])(logits, mask)
    assert found.isfinite() and gradient(found, logits).isfinite().all()
    assert found.item() == 0 if height > 0 else found.item() > 1


@every_loss
def test_what_is_no_number_does_not_hide(name, channels):
    logits, mask = batch(channels=channels)
    mask[1, 2, 3] = 0
    spoilt = logits.detach().clone()
    spoilt[1, 0, 2, 3] = torch.nan
    assert named(name, channels)(spoilt, mask).isnan()


@every_loss
def test_a_train_id_beyond_the_classes_is_an_error(name, channels):
    logits, mask = batch(channels=channels)
    with pytest.raises(IndexError, match=f"train ids {max(channels, 2)}, 9, but there are"):
        mask[0, 0, :2] = torch.tensor([max(channels, 2), 9])
        named(name, channels)(logits, mask)


@every_loss
def test_a_step_downhill_lowers_it(name, channels):
    logits, mask = batch(channels=channels)
    loss = named(name, channels)
    found = loss(logits, mask)
    slope = gradient(found, logits)
    assert slope.abs().max() > 0
    assert loss(logits - 1e-3 * slope / slope.norm(), mask) < found


@every_loss
def test_the_same_bits_twice(name, channels):
    logits, mask = batch(channels=channels, height=31, width=33)
    loss = named(name, channels)
    first, second = loss(logits, mask), loss(logits, mask)
    assert torch.equal(first, second)
    assert torch.equal(gradient(first, logits), gradient(second, logits))
