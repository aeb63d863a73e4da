"""Coarse: the scores of a network, averaged over the pixels of each truth pixel."""

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from segpipe.models.build import build_model
from segpipe.models.parts.coarse import Coarse
from segpipe.models.parts.network import Logits, Network
from segpipe.models.truth_cnn import TruthCNN
from segpipe.params.model import ModelParams, TruthCNNParams, UNetParams
from segpipe.runtime.errors import ParameterError

CLASSES = 3


class TwoHeads(Network):
    """Scores each pixel by itself; in training with a second head."""

    auxiliary_heads = 1

    def __init__(self) -> None:
        super().__init__()
        self.head = nn.Conv2d(2, CLASSES, 1)
        self.auxiliary = nn.Conv2d(2, CLASSES, 1)

    def forward(self, image_BCHW: Tensor) -> Logits:
        if self.training:
            return self.head(image_BCHW), self.auxiliary(image_BCHW)
        scores: Tensor = self.head(image_BCHW)
        return scores


def averaged(fine_BKHW: Tensor, ratio: int) -> Tensor:
    """One truth pixel at a time, in float64."""
    fine = fine_BKHW.detach().double().numpy()
    batch, classes, height, width = fine.shape
    coarse = np.zeros((batch, classes, height // ratio, width // ratio))
    for row in range(height // ratio):
        for column in range(width // ratio):
            block = fine[
                :, :, row * ratio : (row + 1) * ratio, column * ratio : (column + 1) * ratio
            ]
            coarse[:, :, row, column] = block.mean((2, 3))
    return torch.from_numpy(coarse).float()


@pytest.mark.parametrize(("ratio", "height", "width"), [(2, 8, 6), (5, 15, 10), (4, 11, 9)])
def test_the_logits_are_averages_over_each_truth_pixel(ratio: int, height: int, width: int) -> None:
    torch.manual_seed(0)
    fine, image = TwoHeads(), torch.randn(2, 2, height, width)
    coarse = Coarse(fine, ratio)
    for training in (True, False):
        coarse.train(training)
        given, expected = coarse(image), fine(image)
        if not training:
            given, expected = (given,), (expected,)
        assert len(given) == len(expected) == 1 + training
        for one, other in zip(given, expected, strict=True):
            assert one.shape[-2:] == (height // ratio, width // ratio)
            torch.testing.assert_close(one, averaged(other, ratio), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("ratio", [2, 7, 50])
def test_the_sides_are_those_that_come_out(ratio: int) -> None:
    torch.manual_seed(0)
    coarse = Coarse(TwoHeads(), ratio).eval()
    for wanted in (1, 2, 5):
        side = coarse.input_side(wanted)
        assert coarse.output_side(side) == wanted
        assert coarse(torch.zeros(1, 2, side, side)).shape[-2:] == (wanted, wanted)
        assert coarse.output_side(side + ratio - 1) == wanted
    with pytest.raises(ValueError, match=f"not one truth pixel of {ratio} image pixels"):
        coarse.output_side(ratio - 1)


def test_a_network_that_reduces_by_itself_is_averaged_over_the_rest() -> None:
    torch.manual_seed(0)
    fine = TruthCNN(2, CLASSES, TruthCNNParams(width=4)).eval()
    coarse, image = Coarse(fine, 2).eval(), torch.randn(1, 2, 200, 100)
    assert coarse.reduction == 100
    assert (coarse.output_side(200), coarse.input_side(2)) == (2, 200)
    torch.testing.assert_close(coarse(image), averaged(fine(image), 2), rtol=1e-5, atol=1e-6)
    with pytest.raises(ValueError, match="not one truth pixel of 100 image pixels"):
        coarse.output_side(99)


@pytest.mark.parametrize(("ratio", "wrapped"), [(1, False), (8, True)])
def test_networks_are_wrapped_where_the_truth_is_coarser(ratio: int, wrapped: bool) -> None:
    params = ModelParams(unet=UNetParams(width=4, depth=1))
    network = build_model(params, 5, CLASSES, ratio).eval()
    assert isinstance(network, Coarse) == wrapped
    assert network.reduction == ratio
    assert network(torch.zeros(1, 5, 16, 24)).shape == (1, CLASSES, 16 // ratio, 24 // ratio)


def test_a_network_made_for_this_truth_is_not_wrapped_and_another_truth_is_refused() -> None:
    params = ModelParams(name="truth_cnn", truth_cnn=TruthCNNParams(width=4))
    assert isinstance(build_model(params, 5, CLASSES, 50), TruthCNN)
    assert isinstance(build_model(params, 5, CLASSES, 100), Coarse)
    for ratio in (1, 25, 75):
        with pytest.raises(ParameterError, match=f"has one for every {ratio}x{ratio}"):
            build_model(params, 5, CLASSES, ratio)


def test_every_pixel_of_a_truth_pixel_gets_the_same_share_of_the_gradient() -> None:
    fine, image = TwoHeads(), torch.zeros(1, 2, 8, 8, requires_grad=True)
    logits_BKhw = Coarse(fine, 4).eval()(image)
    logits_BKhw[0, 0, 1, 0].backward()
    assert image.grad is not None
    expected = torch.zeros(8, 8)
    expected[4:, :4] = fine.head.weight[0, 1, 0, 0].detach() / 16
    torch.testing.assert_close(image.grad[0, 1], expected)
