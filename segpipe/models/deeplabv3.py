"""DeepLabV3 (Chen et al. 2017, "Rethinking atrous convolution for semantic image segmentation").

https://arxiv.org/abs/1706.05587
"""

from segpipe.models.parts.mobilenet import rest_idle_biases
from segpipe.models.parts.resnet import first_convolution
from segpipe.models.parts.torchvision_network import TorchvisionNetwork
from segpipe.params.model import DeepLabV3Params


def deeplabv3(in_channels: int, num_classes: int, options: DeepLabV3Params) -> TorchvisionNetwork:
    """Return torchvision's DeepLabV3 for any number of channels, with its first weights.

    Stride 8 on a ResNet, 16 on MobileNetV3 (Howard et al. 2019, "Searching for MobileNetV3"). With
    3 channels, 21 classes and the auxiliary head it has 42,004,074 parameters with ResNet-50,
    60,996,202 with ResNet-101, 11,029,328 with MobileNetV3, as torchvision publishes. It cannot
    learn from one sample at a time: a batch norm sees the average of the whole image.
    """
    from torchvision.models import get_model  # takes seconds to import

    name = f"deeplabv3_{options.backbone}"
    network = get_model(
        name,
        weights=None,
        weights_backbone=None,
        num_classes=num_classes,
        aux_loss=options.auxiliary,
    )
    backbone, published = network.backbone, {"imagenet": options.backbone, "coco": name}
    if options.backbone == "mobilenet_v3_large":
        backbone["0"][0] = first_convolution(backbone["0"][0], in_channels)
        rest_idle_biases(backbone)
        return TorchvisionNetwork(network, options.auxiliary, 16, pooled=True, published=published)
    backbone.conv1 = first_convolution(backbone.conv1, in_channels)
    return TorchvisionNetwork(network, options.auxiliary, 8, pooled=True, published=published)
