"""RegSeg (Gao 2021, "Rethinking dilated convolution for real-time semantic segmentation").

https://arxiv.org/abs/2111.09957. Shapes: B batch, C channels, K classes.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from segpipe.models.parts.blocks import conv_norm, initialise_normed, initialise_scores
from segpipe.models.parts.enlarging import doubled, enlarged_scores
from segpipe.models.parts.fitting import fitted
from segpipe.models.parts.network import Network
from segpipe.params.model import RegSegParams

_STRIDE = 16


class DilatedBlock(nn.Module):
    """The paper's D block: a residual block whose 3x3 convolution looks near and far at once.

    Its channels are cut into as many equal parts as there are dilations; each part is convolved in
    groups with its own. Squeeze-and-excitation (Hu et al. 2018) follows, as in RegNetY. At
    stride 2 the way around is an average pool, so that no pixel is left out of it.
    """

    def __init__(
        self, in_channels: int, channels: int, dilations: tuple[int, ...], group: int, stride: int
    ) -> None:
        """group: channels of one group of the 3x3 convolutions."""
        super().__init__()
        part = channels // len(dilations)
        self.enter = conv_norm(in_channels, channels)
        self.look = nn.ModuleList(
            nn.Conv2d(part, part, 3, stride, far, far, groups=part // group, bias=False)
            for far in dilations
        )
        self.norm = nn.BatchNorm2d(channels)
        self.excite = _excitation(channels, squeezed=in_channels // 4)
        self.leave = conv_norm(channels, channels, relu=False)
        around: list[nn.Module] = [nn.AvgPool2d(2)] if stride == 2 else []
        if stride == 2 or in_channels != channels:
            around.append(conv_norm(in_channels, channels, relu=False))
        self.around = nn.Sequential(*around)

    def forward(self, x_BCHW: Tensor) -> Tensor:
        """Return as many pixels, or at stride 2 a quarter of them (of even sides)."""
        parts = self.enter(x_BCHW).chunk(len(self.look), dim=1)
        seen = torch.cat([look(part) for look, part in zip(self.look, parts, strict=True)], dim=1)
        inner = F.relu(self.norm(seen))
        inner = self.leave(inner * self.excite(inner))
        return F.relu(inner + self.around(x_BCHW))


class RegSeg(Network):
    """A backbone that ends at stride 16 and widens its view by dilation, and a light decoder.

    At width 32 (the paper's) the stem has 32 channels and the strides 4, 8 and 16 have 48, 128 and
    256, the last block 320: 3,334,951 parameters at 19 classes. All else grows with the width,
    groups (16 channels) included. The paper reports 78.3 mIoU on the test set of Cityscapes without
    pretraining. The dilations are its (1), (1, 2), (1, 4) four times and (1, 14) seven times; the
    far one of the last seven can be chosen, since 14 cells of 16 pixels suit images 1000 pixels
    high.
    """

    multiple = _STRIDE

    def __init__(self, in_channels: int, num_classes: int, options: RegSegParams) -> None:
        """Build the layers and draw their first weights."""
        super().__init__()
        width, group = options.width, options.width // 2
        at_4, at_8, at_16, last = 3 * width // 2, 4 * width, 8 * width, 10 * width
        middle = [(1,), (1, 2), *[(1, 4)] * 4, *[(1, options.dilation)] * 6]
        self.stem = conv_norm(in_channels, width, 3, stride=2)
        self.stage_4 = DilatedBlock(width, at_4, (1,), group, 2)
        self.stage_8 = nn.Sequential(
            DilatedBlock(at_4, at_8, (1,), group, 2),
            *(DilatedBlock(at_8, at_8, (1,), group, 1) for _ in range(2)),
        )
        self.stage_16 = nn.Sequential(
            DilatedBlock(at_8, at_16, (1,), group, 2),
            *(DilatedBlock(at_16, at_16, dilations, group, 1) for dilations in middle),
            DilatedBlock(at_16, last, (1, options.dilation), group, 1),
        )
        self.head_16 = conv_norm(last, 4 * width)
        self.head_8 = conv_norm(at_8, 4 * width)
        self.head_4 = conv_norm(at_4, width // 4)
        self.join_8 = conv_norm(4 * width, 2 * width, 3)
        self.join_4 = conv_norm(2 * width + width // 4, 2 * width, 3)
        self.head = nn.Conv2d(2 * width, num_classes, 1)
        initialise_normed(self)
        initialise_scores(self.head)

    def forward(self, image_BCHW: Tensor) -> Tensor:
        """Return logits_BKHW of normalised images of any size.

        Raises ValueError in training when a single image has one cell of 16x16 pixels.
        """
        height, width = image_BCHW.shape[-2:]
        fitting_BCHW = fitted(self, image_BCHW, _STRIDE)
        logits_BKHW = enlarged_scores(
            self._score(fitting_BCHW), fitting_BCHW.shape[-2:], learnt=self.training
        )
        return logits_BKHW[..., :height, :width]

    def _score(self, image_BCHW: Tensor) -> Tensor:
        at_4 = self.stage_4(self.stem(image_BCHW))
        at_8 = self.stage_8(at_4)
        at_16 = self.stage_16(at_8)
        x = self.join_8(self.head_8(at_8) + doubled(self.head_16(at_16)))
        x = self.join_4(torch.cat([doubled(x), self.head_4(at_4)], dim=1))
        logits_BKhw: Tensor = self.head(x)
        return logits_BKhw


def _excitation(channels: int, squeezed: int) -> nn.Sequential:
    """Return the layers that give each channel of an image a factor from 0 to 1."""
    return nn.Sequential(
        nn.AdaptiveAvgPool2d(1),
        nn.Conv2d(channels, squeezed, 1),
        nn.ReLU(inplace=True),
        nn.Conv2d(squeezed, channels, 1),
        nn.Sigmoid(),
    )
