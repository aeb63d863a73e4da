import pytest
import torch
from torch import nn

from segpipe.models.compact_fpn import CompactFPN, ResidualBlock
from segpipe.models.parts.network import count_parameters
from segpipe.params.model import CompactFPNParams


def test_parameters_of_the_default():
    """About four million, all but 2 % of them in 3x3 convolutions."""
    with torch.device("meta"):
        model = CompactFPN(3, 19, CompactFPNParams())
    assert count_parameters(model) == 4_042_867
    plain = [m for m in model.modules() if isinstance(m, nn.Conv2d) and m.kernel_size == (3, 3)]
    assert sum(m.weight.numel() for m in plain) > 0.98 * count_parameters(model)


def test_convolutions_suit_matrix_units():
    """Dense, and of multiples of 32 channels but for the image and the scores."""
    with torch.device("meta"):
        model = CompactFPN(3, 19, CompactFPNParams())
    layers = [layer for layer in model.modules() if isinstance(layer, nn.Conv2d)]
    assert len(layers) > 20
    assert all(layer.groups == 1 for layer in layers)
    sides = [n for layer in layers for n in (layer.in_channels, layer.out_channels)]
    assert sorted(n for n in sides if n % 32) == [3, 19]


@pytest.mark.parametrize("width", [8, 12, 28, 48, 128])
@pytest.mark.parametrize("blocks", [(1, 1, 1), (1, 2, 5)])
def test_every_size_can_be_built(width, blocks):
    with torch.device("meta"):
        model = CompactFPN(3, 11, CompactFPNParams(width=width, blocks=blocks)).eval()
        assert model(torch.empty(1, 3, 65, 90)).shape == (1, 11, 65, 90)
    found = [len(stage) for stage in model.stages]
    assert tuple(found) == blocks


@pytest.mark.parametrize(("in_channels", "stride"), [(6, 1), (4, 1), (4, 2)])
def test_a_block_is_the_sum_of_its_parts(in_channels, stride):
    torch.manual_seed(0)
    block = ResidualBlock(in_channels, 6, stride).double().eval()
    for layer in block.modules():
        if isinstance(layer, nn.BatchNorm2d):
            layer.running_mean.normal_()
            layer.running_var.uniform_(0.5, 2)
    x = torch.randn(2, in_channels, 8, 10, dtype=torch.float64)
    (first, first_norm, _), (second, second_norm) = block.convolutions
    inner = first_norm(nn.functional.conv2d(x, first.weight, stride=stride, padding=1)).relu()
    inner = second_norm(nn.functional.conv2d(inner, second.weight, padding=1))
    around = x
    if stride == 2:
        around = x.unflatten(3, (-1, 2)).unflatten(2, (-1, 2)).mean((3, 5))
    if in_channels != 6 or stride == 2:
        convolution, norm = block.shortcut[-1]
        around = norm(torch.einsum("oi,bihw->bohw", convolution.weight[..., 0, 0], around))
    torch.testing.assert_close(block(x), (inner + around).relu())


def test_every_stride_reaches_the_scores():
    """The scores change with the map of each stage alone."""
    torch.manual_seed(0)
    model = CompactFPN(3, 4, CompactFPNParams(width=8)).eval()
    image = torch.randn(1, 3, 64, 96)
    with torch.no_grad():
        expected = model(image)
        for lateral in model.lateral:
            bias = lateral[1].bias
            bias += 1
            assert not torch.allclose(model(image), expected)
            bias -= 1
        torch.testing.assert_close(model(image), expected)


def test_a_single_image_of_one_cell_cannot_train():
    model = CompactFPN(3, 2, CompactFPNParams(width=8))
    with pytest.raises(ValueError, match=r"one pixel at stride 16; use larger images"):
        model(torch.zeros(1, 3, 16, 9))
    assert model(torch.zeros(2, 3, 16, 9)).shape == (2, 2, 16, 9)
    assert model.eval()(torch.zeros(1, 3, 1, 1)).shape == (1, 2, 1, 1)


def test_first_weights_keep_the_signal_at_its_strength():
    torch.manual_seed(0)
    logits = CompactFPN(3, 19, CompactFPNParams(width=16))(torch.randn(2, 3, 96, 128))
    assert 0.2 < logits.std() < 4
