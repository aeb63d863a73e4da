"""The pixels by which a summed loss is divided.

Shapes: B batch.
"""

from torch import Tensor

from segpipe.labels.scheme import VOID


def valid_pixels(mask_BHW: Tensor) -> Tensor:
    """Return the number of pixels that are not VOID, an int64 scalar on the mask's device.

    Where the logits are smaller than the mask, give it the mask cut to their sides with
    `segpipe.models.parts.cropping.centre_crop`: only those pixels are in the loss.
    """
    return (mask_BHW != VOID).sum()
