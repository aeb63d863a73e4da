"""FCN (Long, Shelhamer and Darrell 2015, https://arxiv.org/abs/1411.4038) on a dilated ResNet."""

from segpipe.models.parts.resnet import first_convolution
from segpipe.models.parts.torchvision_network import TorchvisionNetwork
from segpipe.params.model import FCNParams


def fcn(in_channels: int, num_classes: int, options: FCNParams) -> TorchvisionNetwork:
    """Return torchvision's FCN at stride 8 for any number of channels, with its first weights.

    With ResNet-50, 3 channels, 21 classes and the auxiliary head it has 35,322,218 parameters,
    with ResNet-101 54,314,346, as torchvision publishes.
    """
    from torchvision.models import get_model  # takes seconds to import

    name = f"fcn_{options.backbone}"
    network = get_model(
        name,
        weights=None,
        weights_backbone=None,
        num_classes=num_classes,
        aux_loss=options.auxiliary,
    )
    network.backbone.conv1 = first_convolution(network.backbone.conv1, in_channels)
    published = {"imagenet": options.backbone, "coco": name}
    return TorchvisionNetwork(network, options.auxiliary, 8, pooled=False, published=published)
