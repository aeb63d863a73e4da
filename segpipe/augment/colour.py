"""Changing colours, with one strength a sample.

Shapes: B batch, C channels. Images are float in 0..1.
"""

import torch
from torch import Tensor


def adjust_gamma(image_BCHW: Tensor, gamma_B: Tensor) -> Tensor:
    """Return image^gamma, in 0..1: above 1 darkens, below 1 brightens, 0 and 1 stay."""
    return image_BCHW.clamp(0, 1).pow_(gamma_B[:, None, None, None])


def adjust_saturation(image_BCHW: Tensor, saturation_B: Tensor) -> Tensor:
    """Return grey + saturation (image - grey), clamped to 0..1: 0 is grey, 1 leaves the colours.

    Grey is the luma of ITU-R BT.601: 0.299 red + 0.587 green + 0.114 blue. Raises ValueError
    unless there are three channels.
    """
    channels = image_BCHW.shape[1]
    if channels != 3:
        raise ValueError(
            f"saturation is a matter of red, green and blue, and the images have {channels} "
            "channels; set train.augment.saturation to [1.0, 1.0]"
        )
    red, green, blue = image_BCHW.unbind(dim=1)
    luma_B1HW = (0.299 * red + 0.587 * green + 0.114 * blue)[:, None]
    return torch.lerp(luma_B1HW, image_BCHW, saturation_B[:, None, None, None]).clamp_(0, 1)
