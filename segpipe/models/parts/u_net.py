"""U-Net (Ronneberger, Fischer and Brox 2015, https://arxiv.org/abs/1505.04597).

Shapes: B batch, C channels, K classes.

Side lengths without padding (valid convolutions), in pixels: down, two 3x3 convolutions take 4
pixels and a pool halves (an odd side loses its last row); up, the side doubles and two convolutions
take 4. With b pixels before the first convolution of the way up, that is, after the two of the
lowest level, the output has 2^depth (b - 4) + 4.
"""

import torch.nn.functional as F
from torch import Tensor, nn

from segpipe.models.parts.blocks import double_conv, initialise, joined, upsampling
from segpipe.models.parts.cropping import centre_crop
from segpipe.models.parts.network import Network
from segpipe.params.model import UNetParams


class UNet(Network):
    """`depth` levels below the first, each with half the sides and twice the channels.

    With width 64, depth 4, batch norm and 34 classes it has 31,047,586 parameters: every
    convolution has a bias, and the transposed ones have a norm after them as well.

    Dropout follows each pool and each upsampling (before the skip is joined). It drops whole
    channels: neighbouring pixels are so alike that dropping single ones teaches little (Tompson
    et al. 2015, "Efficient object localization using convolutional networks"), and costs more.
    """

    def __init__(self, in_channels: int, num_classes: int, options: UNetParams) -> None:
        """Build the layers and draw their first weights."""
        super().__init__()
        self.depth = options.depth
        self.padding = options.padding
        self.multiple = 2**options.depth if options.padding == "same" else 1
        self.norm = options.norm
        norm, padding = options.norm, options.padding
        widths = [options.width * 2**level for level in range(options.depth + 1)]
        above = [in_channels, *widths[:-1]]
        self.down = nn.ModuleList(
            double_conv(before, after, norm, padding)
            for before, after in zip(above, widths, strict=True)
        )
        climb = list(zip(widths[:0:-1], widths[-2::-1], strict=True))
        self.up = nn.ModuleList(upsampling(before, after, norm) for before, after in climb)
        self.join = nn.ModuleList(
            double_conv(2 * after, after, norm, padding) for _, after in climb
        )
        self.head = nn.Conv2d(options.width, num_classes, 1)
        self.pool = nn.MaxPool2d(2)
        self.dropout = nn.Dropout2d(options.dropout)
        initialise(self)

    def forward(self, image_BCHW: Tensor) -> Tensor:
        """Return logits_BKHW of normalised images of any size.

        `same`: as large as the image. Sides that are not a multiple of 2^depth are continued at the
        bottom and right by repeating the last pixels, and the logits cut back.
        `valid`: `output_side` of each side, in the centre. First the image is cut to the sides from
        which no pool drops a row; else the way up would lie up to some pixels off the skips.

        Raises ValueError when the image is too small.
        """
        height, width = image_BCHW.shape[-2:]
        if self.padding == "valid":
            sides = [self.input_side(self.output_side(side)) for side in (height, width)]
            return self._score(centre_crop(image_BCHW, sides[0], sides[1]))
        bottom, right = (-side % self.multiple for side in (height, width))
        if not bottom and not right:
            return self._score(image_BCHW)
        fitting_BCHW = F.pad(image_BCHW, (0, right, 0, bottom), mode="replicate")
        return self._score(fitting_BCHW)[..., :height, :width]

    def input_side(self, wanted: int) -> int:
        """Return the smallest input side (pixels) whose logits are at least `wanted` long."""
        return valid_input(wanted, self.depth) if self.padding == "valid" else wanted

    def output_side(self, given: int) -> int:
        """Return the side of the logits (pixels); raises ValueError when `given` is too small."""
        return valid_output(given, self.depth) if self.padding == "valid" else given

    def _score(self, image_BCHW: Tensor) -> Tensor:
        x: Tensor = self.down[0](image_BCHW)
        skips: list[Tensor] = []
        for block in self.down[1:]:
            skips.append(x)
            x = self.dropout(self.pool(x))
            self._check_batch_norm(x)
            x = block(x)
        for up, join in zip(self.up, self.join, strict=True):
            x = self.dropout(up(x))
            skip = centre_crop(skips.pop(), x.shape[-2], x.shape[-1])
            x = join(joined(skip, x))
        logits_BKHW: Tensor = self.head(x)
        return logits_BKHW

    def _check_batch_norm(self, x: Tensor) -> None:
        if self.training and self.norm == "batch" and x.shape[0] * x.shape[2] * x.shape[3] == 1:
            raise ValueError(
                "batch norm cannot learn from one value a channel: a single image shrinks to one "
                f"pixel at depth {self.depth}; use larger images, a larger train.batch_size, a "
                "smaller model.unet.depth, or set model.unet.norm to group"
            )


def valid_output(length: int, depth: int) -> int:
    """Return the output side of an input side of `length`; 572 gives 388 at depth 4.

    Raises ValueError, with the smallest side that works, when nothing would be left.
    """
    lowest = length - 4
    for _ in range(depth):
        lowest = lowest // 2 - 4
    output = (lowest - 4 << depth) + 4
    if output < 1:
        raise ValueError(
            f"an image side of {length} pixels is too small for a U-Net of depth {depth} with "
            f"valid padding: it needs at least {valid_input(1, depth)}; use larger images, a "
            "smaller model.unet.depth, or set model.unet.padding to same"
        )
    return output


def valid_input(length: int, depth: int) -> int:
    """Return the smallest input side whose output has at least `length` pixels (`length` >= 1).

    It is one of the sides from which no pool drops a row, so that the output lies exactly in the
    centre, `margin(depth)` from each edge.
    """
    lowest_less_4 = -((4 - length) >> depth)  # (length - 4) / 2^depth, rounded up
    return (lowest_less_4 << depth) + 4 + 2 * margin(depth)


def margin(depth: int) -> int:
    """Return the pixels that the output lacks at each edge; 92 at depth 4."""
    return (6 << depth) - 4
