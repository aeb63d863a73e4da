import pytest
import torch
from torch import nn

from segpipe.models.parts.network import count_parameters
from segpipe.models.regseg import DilatedBlock, RegSeg
from segpipe.params.model import RegSegParams


def test_parameters_of_the_paper():
    """3.34 million at the 19 classes of Cityscapes."""
    with torch.device("meta"):
        assert count_parameters(RegSeg(3, 19, RegSegParams())) == 3_334_951


@pytest.mark.parametrize("width", [8, 12, 28, 32, 48, 64, 128])
def test_every_width_can_be_built(width):
    with torch.device("meta"):
        model = RegSeg(3, 11, RegSegParams(width=width)).eval()
        assert model(torch.empty(1, 3, 64, 96)).shape == (1, 11, 64, 96)


@pytest.mark.parametrize("dilation", [1, 2, 5])
def test_one_half_looks_near_and_the_other_far(dilation):
    """Which neighbours of a cell change it, by their gradient."""
    torch.manual_seed(0)
    block = DilatedBlock(16, 16, (1, dilation), group=4, stride=1).double()
    block.excite = nn.Sequential(nn.AdaptiveAvgPool2d(1), Nothing())
    block.norm.eval()
    side = 2 * dilation + 3
    centre = side // 2
    for convolution, reach in zip(block.look, (1, dilation), strict=True):
        x = torch.zeros(1, 8, side, side, dtype=torch.float64, requires_grad=True)
        convolution(x)[:, :, centre, centre].sum().backward()
        rows = x.grad.abs().sum((0, 1, 3)).nonzero().flatten() - centre
        assert rows.tolist() == [-reach, 0, reach]


class Nothing(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.ones_like(x)


def test_a_block_is_the_sum_of_its_parts():
    """Against dense convolutions whose weights are zero outside the groups."""
    torch.manual_seed(0)
    block = DilatedBlock(16, 32, (1, 3), group=8, stride=1).double().eval()
    x = torch.randn(2, 16, 9, 11, dtype=torch.float64)
    entered = block.enter(x)
    seen = []
    for part, convolution in enumerate(block.look):
        dense = torch.zeros(16, 16, 3, 3, dtype=torch.float64)
        for group in range(2):
            channels = slice(8 * group, 8 * group + 8)
            dense[channels, channels] = convolution.weight[channels]
        half = entered[:, 16 * part : 16 * part + 16]
        far = (1, 3)[part]
        seen.append(nn.functional.conv2d(half, dense, padding=far, dilation=far))
    inner = block.norm(torch.cat(seen, 1)).relu()
    average = inner.mean((2, 3), keepdim=True)
    factor = block.excite[3](block.excite[1](average).relu()).sigmoid()
    expected = (block.leave(inner * factor) + block.around(x)).relu()
    torch.testing.assert_close(block(x), expected)


def test_a_single_image_of_one_cell_cannot_train():
    model = RegSeg(3, 2, RegSegParams(width=8))
    with pytest.raises(ValueError, match=r"one pixel at stride 16; use larger images"):
        model(torch.zeros(1, 3, 16, 9))
    assert model(torch.zeros(2, 3, 16, 9)).shape == (2, 2, 16, 9)
    assert model(torch.zeros(1, 3, 17, 9)).shape == (1, 2, 17, 9)
    assert model.eval()(torch.zeros(1, 3, 1, 1)).shape == (1, 2, 1, 1)


def test_what_is_left_and_right_of_the_image_does_not_move_it():
    """The sides are continued at the bottom and right, so a larger image scores the same there."""
    torch.manual_seed(0)
    model = RegSeg(3, 4, RegSegParams(width=8)).eval()
    image = torch.randn(1, 3, 30, 44)
    rows, columns = [*range(30), 29, 29], [*range(44), *[43] * 4]
    by_hand = model(image[:, :, rows][:, :, :, columns])[..., :30, :44]
    torch.testing.assert_close(model(image), by_hand, rtol=0, atol=0)


def test_first_weights_keep_the_signal_at_its_strength():
    torch.manual_seed(0)
    logits = RegSeg(3, 19, RegSegParams(width=16))(torch.randn(2, 3, 96, 128))
    assert 0.2 < logits.std() < 4
