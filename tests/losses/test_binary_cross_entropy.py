import pytest
import torch
import torch.nn.functional as F
from sklearn.metrics import log_loss

from segpipe.labels.scheme import VOID
from segpipe.losses.aligned import align
from segpipe.losses.binary_cross_entropy import binary_cross_entropy_sum
from segpipe.losses.cross_entropy import cross_entropy_sum
from tests.losses.cases import batch


def test_it_is_sklearns_log_loss():
    logits, mask = batch(channels=1)
    valid = mask != VOID
    shares = logits.detach().double().sigmoid()[:, 0][valid]
    expected = log_loss(mask[valid], shares, normalize=False)
    assert binary_cross_entropy_sum(align(logits, mask)).item() == pytest.approx(expected, rel=1e-6)


def test_weights_are_those_of_sklearns_samples():
    logits, mask = batch(channels=1)
    valid, weights = mask != VOID, torch.tensor([0.25, 4.0])
    shares = logits.detach().double().sigmoid()[:, 0][valid]
    each = weights[mask[valid].long()]
    expected = log_loss(mask[valid], shares, normalize=False, sample_weight=each.numpy())
    found = binary_cross_entropy_sum(align(logits, mask), weights)
    assert found.item() == pytest.approx(expected, rel=1e-6)


def test_it_is_the_cross_entropy_of_two_classes_with_one_logit_at_rest():
    logits, mask = batch(channels=1)
    both = torch.cat([torch.zeros_like(logits), logits], dim=1)
    weights = torch.tensor([0.3, 2.0])
    found = binary_cross_entropy_sum(align(logits, mask), weights)
    torch.testing.assert_close(found, cross_entropy_sum(align(both, mask), weights))


def test_a_weight_of_the_positive_class_is_torchs_pos_weight():
    logits, mask = batch(channels=1)
    mask[mask == VOID] = 0
    weight = torch.tensor([5.0])
    expected = F.binary_cross_entropy_with_logits(
        logits[:, 0], mask.float(), pos_weight=weight, reduction="sum"
    )
    found = binary_cross_entropy_sum(align(logits, mask), torch.tensor([1.0, 5.0]))
    torch.testing.assert_close(found, expected)


def test_several_logits_and_other_weights_are_refused():
    logits, mask = batch(channels=2)
    with pytest.raises(ValueError, match="one logit a pixel is needed, not 2"):
        binary_cross_entropy_sum(align(logits, mask))
    with pytest.raises(ValueError, match="two weights are needed, of train ids 0 and 1, not 3"):
        binary_cross_entropy_sum(align(logits[:, :1], mask), torch.ones(3))
