"""ResNet (He et al. 2016, "Deep residual learning for image recognition") as a source of features.

The layers are torchvision's, under torchvision's names, so that its weights fit.
Shapes: B batch, C channels, H height, W width.
"""

from typing import Literal

from torch import Tensor, nn

ResNetName = Literal["resnet18", "resnet34", "resnet50", "resnet101"]


class ResNetFeatures(nn.Module):
    """The feature maps of a ResNet at strides 8, 16 and 32.

    dilated: the last two are kept at stride 8, and their convolutions spread instead (Yu, Koltun
    and Funkhouser 2017, "Dilated residual networks"). With the same weights they hold the values
    of the undilated maps, and those that lie between.

    channels: of the three maps.
    """

    def __init__(self, name: ResNetName, in_channels: int, dilated: bool = False) -> None:
        """Build the layers with torchvision's first weights; none are loaded."""
        super().__init__()
        from torchvision.models import get_model  # takes seconds to import

        whole = get_model(name, weights=None)
        self.conv1 = first_convolution(whole.conv1, in_channels)
        self.bn1, self.relu, self.maxpool = whole.bn1, whole.relu, whole.maxpool
        self.layer1, self.layer2 = whole.layer1, whole.layer2
        self.layer3, self.layer4 = whole.layer3, whole.layer4
        widest = int(whole.fc.in_features)
        self.channels = (widest // 4, widest // 2, widest)
        if dilated:
            _dilate(self.layer3, before=1)
            _dilate(self.layer4, before=2)

    def forward(self, image_BCHW: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return the maps at strides 8, 16 and 32 (all 8 where dilated); sides are rounded up."""
        x = self.layer1(self.maxpool(self.relu(self.bn1(self.conv1(image_BCHW)))))
        at_8 = self.layer2(x)
        at_16 = self.layer3(at_8)
        return at_8, at_16, self.layer4(at_16)


def first_convolution(usual: nn.Conv2d, in_channels: int) -> nn.Conv2d:
    """Return `usual` itself where it takes `in_channels`, else one like it that does.

    Its weights are drawn as torchvision draws those of its classifiers: N(0, 2 / fan_out).
    """
    if usual.in_channels == in_channels:
        return usual
    made = nn.Conv2d(
        in_channels,
        usual.out_channels,
        usual.kernel_size,  # type: ignore[arg-type]
        usual.stride,  # type: ignore[arg-type]
        usual.padding,  # type: ignore[arg-type]
        bias=usual.bias is not None,
    )
    nn.init.kaiming_normal_(made.weight, mode="fan_out", nonlinearity="relu")
    if made.bias is not None:
        nn.init.zeros_(made.bias)
    return made


def _dilate(layer: nn.Module, before: int) -> None:
    """Take the stride of 2 out of a layer, and spread what comes after it twice as far.

    before: the dilation of the layers before. torchvision offers this for ResNet-50 and larger
    only, whose strided convolution is the only 3x3 one of its block.
    """
    dilation = before
    for convolution in layer.modules():
        if not isinstance(convolution, nn.Conv2d):
            continue
        if convolution.kernel_size == (3, 3):
            strided = convolution.stride == (2, 2)
            spread = before if strided else dilation
            convolution.dilation = convolution.padding = (spread, spread)
            if strided:
                dilation = 2 * before
        convolution.stride = (1, 1)
