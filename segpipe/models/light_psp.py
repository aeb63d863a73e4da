"""A light pyramid head: PSPNet's pyramid with few channels and no norm.

Shapes: B batch, C channels, H height, W width, K classes.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from segpipe.models.blocks import initialise_scores

_BINS = (1, 2, 3, 6)
_CHANNELS = 16


class LightPSP(nn.Module):
    """Score a map together with its averages over 1x1, 2x2, 3x3 and 6x6 parts of the image.

    Each average goes through a 1x1 convolution to 16 channels; the classes come from a 1x1
    convolution over the map and all four.
    """

    def __init__(self, in_channels: int, num_classes: int) -> None:
        """Build the layers and draw their first weights."""
        super().__init__()
        self.branches = nn.ModuleList(nn.Conv2d(in_channels, _CHANNELS, 1) for _ in _BINS)
        self.head = nn.Conv2d(in_channels + len(_BINS) * _CHANNELS, num_classes, 1)
        for layer in (*self.branches, self.head):
            assert isinstance(layer, nn.Conv2d)
            initialise_scores(layer)

    def forward(self, x_BCHW: Tensor) -> Tensor:
        """Return logits_BKHW."""
        sides = x_BCHW.shape[-2:]
        averages = [
            F.interpolate(
                branch(F.adaptive_avg_pool2d(x_BCHW, bins)),
                size=sides,
                mode="bilinear",
                align_corners=False,
            )
            for bins, branch in zip(_BINS, self.branches, strict=True)
        ]
        logits_BKHW: Tensor = self.head(torch.cat([x_BCHW, *averages], dim=1))
        return logits_BKHW
