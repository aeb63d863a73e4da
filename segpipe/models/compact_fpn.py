"""A compact feature pyramid of plain convolutions: residual blocks and a light decoder.

The blocks are those of ResNet (He et al. 2016, "Deep residual learning for image recognition"), the
decoder is a feature pyramid (Lin et al. 2017, "Feature pyramid networks for object detection") of
one head, as Kirillov et al. 2019, "Panoptic feature pyramid networks", use it for segmentation.

Shapes: B batch, C channels, K classes.
"""

import torch.nn.functional as F
from torch import Tensor, nn

from segpipe.models.parts.blocks import conv_norm, initialise_normed, initialise_scores
from segpipe.models.parts.enlarging import doubled, enlarged_scores
from segpipe.models.parts.fitting import fitted
from segpipe.models.parts.network import Network
from segpipe.params.model import CompactFPNParams

_STRIDE = 16


class ResidualBlock(nn.Module):
    """ResNet's basic block: two 3x3 convolutions and a shortcut.

    Where channels or stride change the shortcut is a 1x1 convolution, after an average pool at stride
    2, so that no pixel is left out of it (He et al. 2019, "Bag of tricks for image classification
    with convolutional neural networks", ResNet-D).
    """

    def __init__(self, in_channels: int, channels: int, stride: int) -> None:
        """stride: 1 or 2."""
        super().__init__()
        self.convolutions = nn.Sequential(
            conv_norm(in_channels, channels, 3, stride),
            conv_norm(channels, channels, 3, relu=False),
        )
        shortcut: list[nn.Module] = [nn.AvgPool2d(2)] if stride == 2 else []
        if stride == 2 or in_channels != channels:
            shortcut.append(conv_norm(in_channels, channels, relu=False))
        self.shortcut = nn.Sequential(*shortcut)

    def forward(self, x_BCHW: Tensor) -> Tensor:
        """Return as many pixels, or at stride 2 a quarter of them (of even sides)."""
        return F.relu(self.convolutions(x_BCHW) + self.shortcut(x_BCHW))


class CompactFPN(Network):
    """Residual stages down to stride 16, and a feature pyramid that scores at stride 4.

    At width 32 the strides 2, 4, 8 and 16 have 32, 64, 128 and 256 channels and the pyramid 64: with
    2, 2 and 3 blocks 4,042,867 parameters at 19 classes. All convolutions but the 1x1 ones are dense
    3x3 ones, of multiples of `width` channels: matrix units of processors are fed best by those of
    multiples of 32, and starve on grouped ones. All channels grow with the width.
    """

    multiple = _STRIDE

    def __init__(self, in_channels: int, num_classes: int, options: CompactFPNParams) -> None:
        """Build the layers and draw their first weights."""
        super().__init__()
        width, pyramid = options.width, 2 * options.width
        self.stem = conv_norm(in_channels, width, 3, stride=2)
        self.stages = nn.ModuleList(
            _stage(width << level, blocks) for level, blocks in enumerate(options.blocks)
        )
        self.lateral = nn.ModuleList(
            conv_norm(width << level, pyramid) for level in range(1, len(options.blocks) + 1)
        )
        self.smooth = nn.ModuleList(
            conv_norm(pyramid, pyramid, 3) for _ in range(len(options.blocks) - 1)
        )
        self.head = nn.Conv2d(pyramid, num_classes, 1)
        initialise_normed(self)
        initialise_scores(self.head)

    def forward(self, image_BCHW: Tensor) -> Tensor:
        """Return logits_BKHW of normalised images of any size.

        Raises ValueError in training when a single image has one cell of 16x16 pixels.
        """
        height, width = image_BCHW.shape[-2:]
        fitting_BCHW = fitted(self, image_BCHW, _STRIDE)
        x_BCHW = self.stem(fitting_BCHW)
        maps = []
        for stage, lateral in zip(self.stages, self.lateral, strict=True):
            x_BCHW = stage(x_BCHW)
            maps.append(lateral(x_BCHW))
        x_BCHW = maps.pop()
        for smooth in self.smooth:
            x_BCHW = smooth(maps.pop() + doubled(x_BCHW))
        logits_BKHW = enlarged_scores(
            self.head(x_BCHW), fitting_BCHW.shape[-2:], learnt=self.training
        )
        return logits_BKHW[..., :height, :width]


def _stage(in_channels: int, blocks: int) -> nn.Sequential:
    """Return residual blocks that halve the sides and double the channels."""
    channels = 2 * in_channels
    return nn.Sequential(
        ResidualBlock(in_channels, channels, stride=2),
        *(ResidualBlock(channels, channels, stride=1) for _ in range(blocks - 1)),
    )
