"""A small network for a truth that is 50 times coarser than the image.

Shapes: B batch, C channels, K classes.
"""

from torch import Tensor, nn

from segpipe.models.parts.blocks import conv_norm, initialise_normed, initialise_scores
from segpipe.models.parts.network import Network
from segpipe.params.model import TruthCNNParams

_POOLS = (5, 5, 2)
_REDUCTION = 50


class TruthCNN(Network):
    """Three times (convolution, ReLU, convolution, batch norm, ReLU, max pool), then the scores.

    The pools are 5, 5 and 2, so that each score belongs to one truth pixel of 50x50 image pixels.
    The channels are 64, 128 and 256 at width 64: with 99 channels in and 4 classes 1,202,180
    parameters.
    """

    reduction = _REDUCTION

    def __init__(self, in_channels: int, num_classes: int, options: TruthCNNParams) -> None:
        """Build the layers and draw their first weights."""
        super().__init__()
        layers: list[nn.Module] = []
        before = in_channels
        for level, pool in enumerate(_POOLS):
            channels = options.width * 2**level
            layers += [nn.Conv2d(before, channels, 3, padding=1), nn.ReLU(inplace=True)]
            layers += [*conv_norm(channels, channels, 3), nn.MaxPool2d(pool)]
            before = channels
        self.features = nn.Sequential(*layers)
        self.head = nn.Conv2d(before, num_classes, 1)
        initialise_normed(self)
        initialise_scores(self.head)

    def forward(self, image_BCHW: Tensor) -> Tensor:
        """Return logits_BKhw with h = H / 50, w = W / 50; incomplete truth pixels are left out."""
        for side in image_BCHW.shape[-2:]:
            self.output_side(side)  # refuses what is too small for the pools
        logits_BKhw: Tensor = self.head(self.features(image_BCHW))
        return logits_BKhw

    def input_side(self, wanted: int) -> int:
        """Return the smallest input side (image pixels) for `wanted` truth pixels."""
        return wanted * _REDUCTION

    def output_side(self, given: int) -> int:
        """Return the side of the logits (truth pixels) of an input side in image pixels."""
        if given < _REDUCTION:
            raise ValueError(
                f"an input side of {given} pixels is too small for model.name truth_cnn: one truth "
                f"pixel has {_REDUCTION}; use larger images, or another model"
            )
        return given // _REDUCTION
