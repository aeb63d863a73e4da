import pytest
import torch
from torch import nn
from torchvision.models import get_model, resnet

from segpipe.models.parts.resnet import ResNetFeatures, first_convolution


def features(name: str, dilated: bool) -> ResNetFeatures:
    torch.manual_seed(0)
    return ResNetFeatures(name, 3, dilated).eval()  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["resnet18", "resnet50"])
@pytest.mark.parametrize("sides", [(64, 96), (65, 71)])
def test_dilated_maps_hold_the_undilated_ones(name, sides):
    # In double precision: processors sum the many channels in other orders.
    image = torch.randn(1, 3, *sides, dtype=torch.float64)
    with torch.no_grad():
        plain, dilated = (features(name, wide).double()(image) for wide in (False, True))
    assert len({maps.shape[-2:] for maps in dilated}) == 1
    for step, strided, dense in zip((1, 2, 4), plain, dilated, strict=True):
        torch.testing.assert_close(dense[..., ::step, ::step], strided, rtol=1e-9, atol=1e-9)


def test_dilation_is_that_of_torchvision_where_it_has_one():
    torch.manual_seed(0)
    official = resnet.ResNet(
        resnet.Bottleneck, [3, 4, 6, 3], replace_stride_with_dilation=[False, True, True]
    ).eval()
    own = features("resnet50", True)
    own.load_state_dict(
        {key: w for key, w in official.state_dict().items() if not key.startswith("fc.")}
    )
    image = torch.randn(1, 3, 50, 66)
    with torch.no_grad():
        x = official.maxpool(official.relu(official.bn1(official.conv1(image))))
        expected = official.layer4(official.layer3(official.layer2(official.layer1(x))))
        assert torch.equal(own(image)[2], expected)


@pytest.mark.parametrize("name", ["resnet18", "resnet34", "resnet50", "resnet101"])
def test_names_are_those_of_torchvision_so_that_its_weights_fit(name):
    with torch.device("meta"):
        own = ResNetFeatures(name, 3).state_dict()
        official = get_model(name).state_dict()
    assert own.keys() == {key for key in official if not key.startswith("fc.")}
    assert all(own[key].shape == official[key].shape for key in own)


def test_the_first_convolution_takes_any_number_of_channels():
    usual = nn.Conv2d(3, 8, 7, stride=2, padding=3, bias=True)
    assert first_convolution(usual, 3) is usual
    made = first_convolution(usual, 99)
    assert made(torch.zeros(1, 99, 20, 30)).shape == usual(torch.zeros(1, 3, 20, 30)).shape
    assert made.bias is not None and not made.bias.any()
    wide = first_convolution(nn.Conv2d(3, 64, 7, bias=False), 99)
    assert float(wide.weight.detach().std()) == pytest.approx((2 / (64 * 49)) ** 0.5, rel=0.02)
