"""A network brought to the grid of a truth that is coarser than the image.

Shapes: B batch, K classes, r scored pixels along each side of a truth pixel.
"""

import torch.nn.functional as F
from torch import Tensor

from segpipe.models.parts.network import Logits, Network


class Coarse(Network):
    """Average the logits of a network over r x r pixels, so that each belongs to one truth pixel."""

    def __init__(self, network: Network, ratio: int) -> None:
        """Wrap `network`; ratio: r, above 1, on the grid of the network's own logits."""
        super().__init__()
        self.network = network
        self.ratio = ratio
        self.takes_clips = network.takes_clips
        self.auxiliary_heads = network.auxiliary_heads
        self.multiple = network.multiple
        self.reduction = network.reduction * ratio
        self.inner_path = ".".join(("network", *filter(None, [network.inner_path])))
        self.backbone_path = network.backbone_path and f"network.{network.backbone_path}"
        self.published = network.published

    def forward(self, image_BCHW: Tensor) -> Logits:
        """Return logits_BKhw with h = H / r, w = W / r; incomplete truth pixels are left out."""
        logits: Logits = self.network(image_BCHW)
        if isinstance(logits, tuple):
            return tuple(F.avg_pool2d(one, self.ratio) for one in logits)
        return F.avg_pool2d(logits, self.ratio)

    def input_side(self, wanted: int) -> int:
        """Return the smallest input side (image pixels) for `wanted` truth pixels."""
        return self.network.input_side(wanted * self.ratio)

    def output_side(self, given: int) -> int:
        """Return the side of the logits (truth pixels) of an input side in image pixels."""
        side = self.network.output_side(given) // self.ratio
        if side < 1:
            raise ValueError(
                f"an input side of {given} pixels gives not one truth pixel of {self.reduction} "
                "image pixels"
            )
        return side
