"""From the bytes of a batch to what a network is fed, with and without augmentation.

Shapes: B batch, T frames, C channels, H and W the image's sides, h and w the window's.
"""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from segpipe.augment.affine import sample_window
from segpipe.augment.colour import adjust_gamma, adjust_saturation
from segpipe.augment.degrade import add_noise, blur
from segpipe.augment.draw import Draws


def augment_batch(
    image_BTHWC: Tensor,
    mask_Bhw: Tensor,
    draws: Draws,
    mean_C: Tensor,
    std_C: Tensor,
    crop: tuple[int, int],
) -> tuple[Tensor, Tensor]:
    """Return images (B*T, C, h, w) float32, normalised and channels-last, and the mask's window.

    The frames of a clip, T of them, share the draws of their sample and follow one another.
    `image_BTHWC` is uint8, or float in 0..1; `mean_C` and `std_C` are those of images in 0..1;
    `crop` is (h, w), the one that the draws were made for. All tensors lie on one device and the
    work is done there. Gamma, saturation, blur and noise follow in this order (the scene, the lens,
    the sensor) after the window is cut: there are fewer pixels then. Those outside of the image
    become exactly 0, the mean of the training set, with VOID in the mask. Neutral draws give what
    `normalise_batch` gives, bit for bit.

    Raises ValueError when image and mask do not fit, and for a saturation other than 1 unless
    there are three channels.
    """
    batch, frames, height, width, channels = image_BTHWC.shape
    # Frames side by side as channels: one geometry cuts them all.
    stacked_BSHW = image_BTHWC.permute(0, 1, 4, 2, 3).reshape(batch, -1, height, width)
    window_BSHW, labels_Bhw, inside_BHW = sample_window(stacked_BSHW, mask_Bhw, draws, *crop)
    image_BCHW = window_BSHW.view(batch * frames, channels, *crop)
    if image_BTHWC.dtype == torch.uint8:
        image_BCHW.div_(255)
    if (draws.gamma_B != 1).any():
        image_BCHW = adjust_gamma(image_BCHW, _like(draws.gamma_B, frames, image_BCHW))
    if (draws.saturation_B != 1).any():
        image_BCHW = adjust_saturation(image_BCHW, _like(draws.saturation_B, frames, image_BCHW))
    if draws.blur_B.any():
        image_BCHW = blur(image_BCHW, np.repeat(draws.blur_B, frames))
    if draws.noise_B.any():
        image_BCHW = add_noise(image_BCHW, draws.noise_B, draws.noise_seed_B)
    outside_BHW = ~inside_BHW.repeat_interleave(frames, 0)
    _normalise_(image_BCHW, mean_C, std_C).masked_fill_(outside_BHW[:, None], 0.0)
    return image_BCHW.contiguous(memory_format=torch.channels_last), labels_Bhw


def normalise_batch(image_BTHWC: Tensor, mean_C: Tensor, std_C: Tensor) -> Tensor:
    """Return (image - mean) / std, (B*T, C, H, W) float32, channels-last.

    `image_BTHWC` is uint8, or float in 0..1; `mean_C` and `std_C` are those of images in 0..1.
    """
    # Always a copy, for the steps below write into it; channel by channel they are faster.
    image_BCHW = (
        image_BTHWC.flatten(0, 1)
        .permute(0, 3, 1, 2)
        .to(torch.float32, copy=True, memory_format=torch.contiguous_format)
    )
    if image_BTHWC.dtype == torch.uint8:
        image_BCHW.div_(255)
    _normalise_(image_BCHW, mean_C, std_C)
    return image_BCHW.contiguous(memory_format=torch.channels_last)


def _normalise_(image_BCHW: Tensor, mean_C: Tensor, std_C: Tensor) -> Tensor:
    return image_BCHW.sub_(mean_C[:, None, None]).div_(std_C[:, None, None])


def _like(values_B: NDArray[np.float64], frames: int, image_BCHW: Tensor) -> Tensor:
    each_B = np.repeat(values_B, frames).astype(np.float32)
    return torch.from_numpy(each_B).to(image_BCHW.device)
