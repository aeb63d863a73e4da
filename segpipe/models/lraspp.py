"""LR-ASPP (Howard et al. 2019, "Searching for MobileNetV3", https://arxiv.org/abs/1905.02244)."""

from segpipe.models.parts.mobilenet import rest_idle_biases
from segpipe.models.parts.resnet import first_convolution
from segpipe.models.parts.torchvision_network import TorchvisionNetwork

_NAME = "lraspp_mobilenet_v3_large"


def lraspp(in_channels: int, num_classes: int) -> TorchvisionNetwork:
    """Return torchvision's LR-ASPP on MobileNetV3-Large, for any number of channels.

    Stride 16; it has no options. With 3 channels and 21 classes it has 3,221,538 parameters, as
    torchvision publishes.
    """
    from torchvision.models import get_model  # takes seconds to import

    network = get_model(_NAME, weights=None, weights_backbone=None, num_classes=num_classes)
    network.backbone["0"][0] = first_convolution(network.backbone["0"][0], in_channels)
    rest_idle_biases(network.backbone)
    published = {"imagenet": "mobilenet_v3_large", "coco": _NAME}
    return TorchvisionNetwork(network, False, stride=16, pooled=False, published=published)
