"""What torchvision's MobileNetV3 needs as the backbone of a segmentation model."""

from torch import nn


def rest_idle_biases(backbone: nn.Module) -> None:
    """Leave the biases of those norms at rest that another norm undoes.

    backbone: torchvision's IntermediateLayerGetter over the layers of a MobileNetV3. No ReLU
    follows the last norm of an inverted residual, only the next one's 1x1 convolution and norm,
    which takes a constant out again; the gradient is nothing but rounding, as before a batch norm
    in `blocks`. What is handed on to a head (`return_layers`) is another matter.
    """
    from torchvision.models.mobilenetv3 import InvertedResidual  # takes seconds to import

    for name, layer in backbone.named_children():
        if isinstance(layer, InvertedResidual) and name not in backbone.return_layers:  # type: ignore[operator]
            layer.block[-1][1].bias.requires_grad_(False)
