"""From the bytes of a batch to what a network is fed, with and without augmentation.

Shapes: B batch, C channels, H and W the image's sides, h and w the window's.
"""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from segpipe.augment.affine import sample_window
from segpipe.augment.colour import adjust_gamma, adjust_saturation
from segpipe.augment.draw import Draws


def augment_batch(
    image_BHWC: Tensor,
    mask_BHW: Tensor,
    draws: Draws,
    mean_C: Tensor,
    std_C: Tensor,
    crop: tuple[int, int],
) -> tuple[Tensor, Tensor]:
    """Return image (B, C, h, w) float32, normalised and channels-last, and mask (B, h, w).

    `image_BHWC` is uint8, or float in 0..1; `mean_C` and `std_C` are those of images in 0..1;
    `crop` is (h, w), the one that the draws were made for. All tensors lie on one device and the
    work is done there. Colours change after the window is cut: there are fewer pixels then, and
    those outside of the image become exactly 0, the mean of the training set, with VOID in the
    mask. Neutral draws give what `normalise_batch` gives, bit for bit.

    Raises ValueError when image and mask differ in size, and for a saturation other than 1 unless
    there are three channels.
    """
    image_BCHW, window_BHW, inside_BHW = sample_window(
        image_BHWC.permute(0, 3, 1, 2), mask_BHW, draws, *crop
    )
    if image_BHWC.dtype == torch.uint8:
        image_BCHW.div_(255)
    if (draws.gamma_B != 1).any():
        image_BCHW = adjust_gamma(image_BCHW, _like(draws.gamma_B, image_BCHW))
    if (draws.saturation_B != 1).any():
        image_BCHW = adjust_saturation(image_BCHW, _like(draws.saturation_B, image_BCHW))
    _normalise_(image_BCHW, mean_C, std_C).masked_fill_(~inside_BHW[:, None], 0.0)
    return image_BCHW.contiguous(memory_format=torch.channels_last), window_BHW


def normalise_batch(image_BHWC: Tensor, mean_C: Tensor, std_C: Tensor) -> Tensor:
    """Return (image - mean) / std, (B, C, H, W) float32, channels-last.

    `image_BHWC` is uint8, or float in 0..1; `mean_C` and `std_C` are those of images in 0..1.
    """
    # Always a copy, for the steps below write into it; channel by channel they are faster.
    image_BCHW = image_BHWC.permute(0, 3, 1, 2).to(
        torch.float32, copy=True, memory_format=torch.contiguous_format
    )
    if image_BHWC.dtype == torch.uint8:
        image_BCHW.div_(255)
    _normalise_(image_BCHW, mean_C, std_C)
    return image_BCHW.contiguous(memory_format=torch.channels_last)


def _normalise_(image_BCHW: Tensor, mean_C: Tensor, std_C: Tensor) -> Tensor:
    return image_BCHW.sub_(mean_C[:, None, None]).div_(std_C[:, None, None])


def _like(values_B: NDArray[np.float64], image_BCHW: Tensor) -> Tensor:
    return torch.from_numpy(values_B.astype(np.float32)).to(image_BCHW.device)
