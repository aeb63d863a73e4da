"""Enlarged scores beside torch's own interpolation: values, gradients, and what it is for."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from segpipe.models.parts.enlarging import Enlarging, enlarged_scores


@pytest.mark.parametrize("sides", [(24, 40), (13, 17), (6, 10), (1, 1)])
@pytest.mark.parametrize("align_corners", [True, False])
def test_what_is_learnt_from_is_torchs_interpolation(
    sides: tuple[int, int], align_corners: bool
) -> None:
    torch.manual_seed(0)
    scores = torch.randn(2, 3, 6, 10, dtype=torch.float64, requires_grad=True)
    expected = F.interpolate(scores, size=sides, mode="bilinear", align_corners=align_corners)
    found = enlarged_scores(scores, list(sides), learnt=True, align_corners=align_corners)
    torch.testing.assert_close(found, expected)
    weights = torch.randn_like(expected)
    torch.testing.assert_close(
        torch.autograd.grad(found, scores, weights), torch.autograd.grad(expected, scores, weights)
    )
    plain = enlarged_scores(scores, list(sides), learnt=False, align_corners=align_corners)
    assert torch.equal(plain, expected)


def test_scores_of_bf16_are_widened_before_they_are_mixed() -> None:
    """As exact as float32 is, also under autocast, which would multiply in bf16."""
    scores = torch.randn(2, 3, 6, 10).bfloat16()
    expected = F.interpolate(scores.float(), scale_factor=4, mode="bilinear", align_corners=False)
    with torch.autocast("cpu", torch.bfloat16):
        found = enlarged_scores(scores, [24, 40], learnt=True)
    assert found.dtype == torch.float32
    torch.testing.assert_close(found, expected)


@pytest.mark.parametrize("training", [True, False])
def test_the_layer_is_torchs_upsample(training: bool) -> None:
    scores = torch.randn(2, 3, 6, 10)
    expected = nn.Upsample(scale_factor=4.0, mode="bilinear", align_corners=True)(scores)
    torch.testing.assert_close(Enlarging(4).train(training)(scores), expected)
