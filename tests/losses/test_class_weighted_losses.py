"""Cross-entropy with weights and label smoothing; weights of the other pixel losses."""

import pytest
import torch
import torch.nn.functional as F

from segpipe.labels.scheme import VOID
from segpipe.losses.aligned import align
from segpipe.losses.cross_entropy import cross_entropy_sum
from segpipe.losses.valid import valid_pixels
from tests.losses.cases import WEIGHTS, batch, gradient, named

WEIGHTED = ["cross_entropy", "focal", "ohem", "boundary"]


@pytest.mark.parametrize("label_smoothing", [0.0, 0.1, 0.6])
@pytest.mark.parametrize("weights", [None, WEIGHTS[4]])
def test_it_is_torchs_sum_with_the_same_gradient(weights, label_smoothing):
    logits, mask = batch()
    found = cross_entropy_sum(align(logits, mask), weights, label_smoothing)
    expected = F.cross_entropy(
        logits,
        mask.long(),
        weight=weights,
        ignore_index=VOID,
        reduction="sum",
        label_smoothing=label_smoothing,
    )
    torch.testing.assert_close(found, expected)
    torch.testing.assert_close(gradient(found, logits), gradient(expected, logits))


def test_label_smoothing_is_the_cross_entropy_towards_a_softened_truth():
    logits, mask = batch()
    valid = mask != VOID
    truth = F.one_hot(mask[valid].long(), 4) * 0.9 + 0.1 / 4
    logs = logits.permute(0, 2, 3, 1)[valid].log_softmax(1)
    torch.testing.assert_close(
        cross_entropy_sum(align(logits, mask), None, 0.1), -(truth * logs).sum()
    )


@pytest.mark.parametrize("name", WEIGHTED)
@pytest.mark.parametrize("factor", [1.0, 2.0])
def test_equal_weights_scale_the_whole(name, factor):
    logits, mask = batch()
    weighted = named(name, weights=torch.full((4,), factor))(logits, mask)
    torch.testing.assert_close(weighted, factor * named(name)(logits, mask))


@pytest.mark.parametrize("name", ["dice", "lovasz"])
def test_losses_of_whole_classes_take_no_weights(name):
    logits, mask = batch()
    assert torch.equal(named(name, weights=WEIGHTS[4])(logits, mask), named(name)(logits, mask))


@pytest.mark.parametrize("name", WEIGHTED)
def test_the_parts_of_the_classes_add_up_to_the_whole(name):
    logits, mask = batch()
    parts = [named(name, weights=row)(logits, mask) for row in torch.diag(WEIGHTS[4])]
    whole = named(name, weights=WEIGHTS[4])(logits, mask)
    torch.testing.assert_close(sum(parts), whole)
    assert all(part > 0 for part in parts[:3]) and parts[3] == 0


def test_with_a_mean_weight_of_one_a_constant_loss_keeps_its_size():
    _, mask = batch()
    pixels = torch.bincount(mask[mask != VOID].long(), minlength=4)
    weights = torch.tensor([3.0, 1.0, 0.5, 0.1])
    weights *= pixels.sum() / (weights * pixels).sum()
    mean = cross_entropy_sum(align(torch.zeros(3, 4, 6, 7), mask), weights) / valid_pixels(mask)
    assert mean.item() == pytest.approx(torch.tensor(4.0).log().item(), rel=1e-6)
