"""PSPNet (Zhao et al. 2017, "Pyramid scene parsing network", https://arxiv.org/abs/1612.01105).

Shapes: B batch, C channels, K classes.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from segpipe.models.parts.blocks import conv_norm, initialise_normed, initialise_scores
from segpipe.models.parts.enlarging import enlarged_scores
from segpipe.models.parts.fitting import fitted
from segpipe.models.parts.network import Logits, Network
from segpipe.models.parts.resnet import ResNetFeatures
from segpipe.params.model import PSPNetParams

_STRIDE = 8
_BINS = (1, 2, 3, 6)


class Pyramid(nn.Module):
    """Join a feature map with its averages over 1x1, 2x2, 3x3 and 6x6 parts of the image.

    Each part goes through a 1x1 convolution to a quarter of the channels, a norm and ReLU. The
    whole image's average has a bias in place of the norm: with one value a channel and image a
    batch norm would compare images with each other, and could not learn from a batch of one.
    """

    def __init__(self, channels: int) -> None:
        """channels: of the feature map; twice as many come out."""
        super().__init__()
        self.branches = nn.ModuleList(
            nn.Sequential(nn.AdaptiveAvgPool2d(bins), *_projection(channels, channels // 4, bins))
            for bins in _BINS
        )

    def forward(self, x_BCHW: Tensor) -> Tensor:
        """Return (B, 2C, H, W), the map itself first."""
        averages = [_resized(branch(x_BCHW), x_BCHW.shape[-2:]) for branch in self.branches]
        return torch.cat([x_BCHW, *averages], dim=1)


class PSPNet(Network):
    """A ResNet dilated to stride 8, the pyramid, a 3x3 convolution, dropout, scores.

    The auxiliary head scores the ResNet's third layer in training (weight 0.4 in the paper). The
    stem is torchvision's one 7x7 convolution, where the paper has three 3x3 ones. With ResNet-50,
    19 classes and no auxiliary head it has 46,591,059 parameters.
    """

    backbone_path = "backbone"
    multiple = _STRIDE

    def __init__(self, in_channels: int, num_classes: int, options: PSPNetParams) -> None:
        """Build the layers and draw their first weights."""
        super().__init__()
        self.published = {"imagenet": options.backbone}
        self.auxiliary_heads = int(options.auxiliary)
        self.backbone = ResNetFeatures(options.backbone, in_channels, dilated=True)
        _, middle, widest = self.backbone.channels
        self.pyramid = Pyramid(widest)
        self.head = _head(2 * widest, widest // 4, num_classes, options.dropout)
        self.auxiliary = (
            _head(middle, middle // 4, num_classes, options.dropout) if options.auxiliary else None
        )
        initialise_normed(self.pyramid)

    def forward(self, image_BCHW: Tensor) -> Logits:
        """Return logits_BKHW of normalised images of any size, in training the auxiliary too.

        Raises ValueError in training when a single image has one cell of 8x8 pixels.
        """
        height, width = image_BCHW.shape[-2:]
        fitting_BCHW = fitted(self, image_BCHW, _STRIDE)
        _, middle, last = self.backbone(fitting_BCHW)
        sides = fitting_BCHW.shape[-2:]
        scores = self.head(self.pyramid(last))
        logits_BKHW = enlarged_scores(scores, sides, self.training)[..., :height, :width]
        if self.auxiliary is None or not self.training:
            return logits_BKHW
        auxiliary_BKHW = enlarged_scores(self.auxiliary(middle), sides, learnt=True)
        return logits_BKHW, auxiliary_BKHW[..., :height, :width]


def _projection(in_channels: int, out_channels: int, bins: int) -> nn.Sequential:
    if bins > 1:
        return conv_norm(in_channels, out_channels)
    return nn.Sequential(nn.Conv2d(in_channels, out_channels, 1), nn.ReLU(inplace=True))


def _head(in_channels: int, channels: int, num_classes: int, dropout: float) -> nn.Sequential:
    scores = nn.Conv2d(channels, num_classes, 1)
    head = nn.Sequential(*conv_norm(in_channels, channels, 3), nn.Dropout2d(dropout), scores)
    initialise_normed(head)
    initialise_scores(scores)
    return head


def _resized(x_BCHW: Tensor, sides: tuple[int, int] | torch.Size) -> Tensor:
    return F.interpolate(x_BCHW, size=tuple(sides), mode="bilinear", align_corners=False)
