import pytest
import torch
from torch import nn

from segpipe.models.build import build_model
from segpipe.models.parts.coarse import Coarse
from segpipe.models.parts.network import Network, count_parameters
from segpipe.models.truth_cnn import TruthCNN
from segpipe.params.model import ModelParams, PSPNetParams, TruthCNNParams
from segpipe.runtime.errors import ParameterError


def truth_cnn(width: int = 4) -> TruthCNN:
    torch.manual_seed(0)
    return TruthCNN(6, 3, TruthCNNParams(width=width))


def test_parameters_of_the_satellite_recipe():
    with torch.device("meta"):
        model = build_model(ModelParams(name="truth_cnn"), 99, 4, truth_ratio=50)
    levels = [(99, 64), (64, 128), (128, 256)]
    convolutions = sum(9 * a * b + b + 9 * b * b + 2 * b for a, b in levels)
    assert count_parameters(model) == convolutions + 256 * 4 + 4 == 1_202_180


def test_layers_stand_in_the_order_of_the_original():
    kinds = [type(layer).__name__ for layer in truth_cnn().features]
    assert kinds == ["Conv2d", "ReLU", "Conv2d", "BatchNorm2d", "ReLU", "MaxPool2d"] * 3
    pools = [layer for layer in truth_cnn().features if isinstance(layer, nn.MaxPool2d)]
    assert [pool.kernel_size for pool in pools] == [5, 5, 2]


@pytest.mark.parametrize("side", [50, 99, 100, 149, 151, 200])
def test_one_score_for_each_whole_truth_pixel(side):
    model = truth_cnn().eval()
    assert model(torch.zeros(1, 6, side, 50)).shape == (1, 3, side // 50, 1)
    assert model.output_side(side) == side // 50
    assert model.input_side(side // 50) == side // 50 * 50


def test_a_truth_pixel_sees_the_image_around_its_own_place():
    """Two 3x3 convolutions before each pool reach 2, 10 and 50 image pixels beyond its 50."""
    model = truth_cnn().eval()
    for number, layer in enumerate(model.features):
        if isinstance(layer, nn.MaxPool2d):  # passes a gradient on to all pixels
            model.features[number] = nn.AvgPool2d(layer.kernel_size)
    with torch.no_grad():
        for weight in model.parameters():
            weight.abs_().add_(0.01)  # nothing cancels out, no ReLU is shut
    image = torch.ones(1, 6, 300, 250, requires_grad=True)
    model(image)[0, :, 3, 2].sum().backward()
    seen = image.grad[0].abs().sum(0) > 0
    rows, columns = seen.any(1).nonzero().flatten(), seen.any(0).nonzero().flatten()
    assert rows.tolist() == list(range(150 - 62, 200 + 62))
    assert columns.tolist() == list(range(100 - 62, 150 + 62))


def test_what_is_smaller_than_a_truth_pixel_is_refused():
    with pytest.raises(ValueError, match=r"49 pixels is too small for model\.name truth_cnn"):
        truth_cnn()(torch.zeros(1, 6, 49, 60))


@pytest.mark.parametrize("ratio", [1, 10, 75])
def test_a_finer_truth_is_refused(ratio):
    with pytest.raises(ParameterError, match=rf"one for every {ratio}x{ratio}; choose another"):
        build_model(ModelParams(name="truth_cnn", truth_cnn=TruthCNNParams(width=4)), 3, 2, ratio)


def test_a_still_coarser_truth_gets_averages():
    params = ModelParams(name="truth_cnn", truth_cnn=TruthCNNParams(width=4))
    torch.manual_seed(0)
    model = build_model(params, 6, 3, truth_ratio=100).eval()
    assert isinstance(model, Coarse)
    assert (model.reduction, model.ratio) == (100, 2)
    assert (model.input_side(3), model.output_side(399)) == (300, 3)
    image = torch.randn(1, 6, 200, 300)
    fine = model.network(image)
    expected = fine.unflatten(3, (3, 2)).unflatten(2, (2, 2)).mean((3, 5))
    torch.testing.assert_close(model(image), expected)
    with pytest.raises(ValueError, match="not one truth pixel of 100 image pixels"):
        model.output_side(99)


def test_auxiliary_logits_come_to_the_truth_as_well():
    params = ModelParams(name="pspnet", pspnet=PSPNetParams())
    model = build_model(params, 3, 2, truth_ratio=10)
    assert isinstance(model, Network) and model.auxiliary_heads == 1
    assert [logits.shape for logits in model(torch.randn(2, 3, 40, 60))] == [(2, 2, 4, 6)] * 2
