"""Blur and noise, with one strength a sample; the mask is not concerned.

Shapes: B images, S samples of one or several frames each, C channels, H and W the image's sides, K
taps of a kernel. Images are float32 in 0..1.
"""

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

_TRUNCATE = 4  # standard deviations at which a Gaussian kernel ends, as in scipy.ndimage


def blur(image_BCHW: Tensor, sigma_B: NDArray[np.float64]) -> Tensor:
    """Return each image convolved with a Gaussian of its own standard deviation in pixels, 0 or more.

    The kernel ends as that of scipy.ndimage.gaussian_filter, and the image's edge is repeated
    outwards (mode="nearest"). An image at 0 stays as it is, to the bit; the others do not depend on
    their batch.
    """
    # Sums of shifted images: a convolution of cuDNN may compute in TF32, and in an order of its own.
    kernel_BK = torch.from_numpy(_kernels(sigma_B)).to(image_BCHW.device)
    return _convolve(_convolve(image_BCHW, kernel_BK, axis=2), kernel_BK, axis=3)


def add_noise(image_BCHW: Tensor, std_S: NDArray[np.float64], seed_S: NDArray[np.int64]) -> Tensor:
    """Return images with Gaussian noise, independent between pixels and channels, clamped to 0..1.

    std_S: standard deviation in steps of 1/255; 0 leaves a sample as it is. seed_S: the noise of a
    sample depends on its seed, its size and the kind of device. The frames of a sample follow one
    another and have the same noise.
    """
    frames = image_BCHW.shape[0] // max(len(std_S), 1)
    noisy_BCHW, random = image_BCHW.clone(), torch.Generator(image_BCHW.device)
    for s, (std, seed) in enumerate(zip(std_S.tolist(), seed_S.tolist(), strict=True)):
        if std > 0:
            random.manual_seed(seed)
            noise_CHW = torch.empty_like(image_BCHW[0], memory_format=torch.contiguous_format)
            noise_CHW.normal_(generator=random)
            own_TCHW = noisy_BCHW[s * frames : (s + 1) * frames]
            own_TCHW.add_(noise_CHW, alpha=std / 255).clamp_(0, 1)
    return noisy_BCHW


def _kernels(sigma_B: NDArray[np.float64]) -> NDArray[np.float32]:
    """Return the weights of each Gaussian, (B, K); they sum to 1 and end in zeros."""
    reach_B = np.floor(_TRUNCATE * sigma_B + 0.5)
    place_K = np.arange(-reach_B.max(), reach_B.max() + 1)
    # A kernel that reaches no neighbour is the pixel itself, at whatever width.
    width_B1 = np.where(reach_B > 0, sigma_B, 1.0)[:, None]
    weight_BK = np.exp(-0.5 * (place_K / width_B1) ** 2)
    weight_BK[np.abs(place_K) > reach_B[:, None]] = 0.0
    return np.asarray(weight_BK / weight_BK.sum(1, keepdims=True), np.float32)


def _convolve(image_BCHW: Tensor, kernel_BK: Tensor, axis: int) -> Tensor:
    """Convolve along one axis, the edge repeated outwards."""
    reach, length = kernel_BK.shape[1] // 2, image_BCHW.shape[axis]
    margins = (0, 0, reach, reach) if axis == 2 else (reach, reach, 0, 0)
    padded = F.pad(image_BCHW, margins, mode="replicate")
    total = torch.zeros_like(image_BCHW)
    for tap, weight_B in enumerate(kernel_BK.unbind(1)):
        total.addcmul_(padded.narrow(axis, tap, length), weight_B[:, None, None, None])
    return total
