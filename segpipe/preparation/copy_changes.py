"""What can be changed on a copy of a training image: colours, geometry, blur, noise.

Shapes: T frames of a clip, H height, W width, C channels, R rows of a strip, N pixels, K taps of
a kernel. Images are uint8, or float32 in 0..1, and keep their type and range. All functions return
new arrays.
"""

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageEnhance, ImageFilter

from segpipe.labels.scheme import VOID

_LUMA = np.array([0.299, 0.587, 0.114], np.float32)  # ITU-R BT.601, as in Pillow
_TRUNCATE = 4  # standard deviations at which a Gaussian kernel ends, as in scipy.ndimage
_STRIP = 32  # rows that are turned at once: their positions stay in the cache


def apply_gamma(image: NDArray[Any], gamma: float) -> NDArray[Any]:
    """Return x ** gamma of values in 0..1, of any shape; above 1 darkens, below 1 brightens.

    uint8: 255 * (x / 255) ** gamma, rounded.
    """
    if image.dtype != np.uint8:
        return np.asarray(image ** np.float32(gamma))
    return np.take(_rounded(255 * (np.arange(256) / 255) ** gamma), image)


def brighten(image: NDArray[Any], factor: float) -> NDArray[Any]:
    """Return x * factor, clipped, of an image of any shape: 0 is black, 1 the image."""
    if image.dtype != np.uint8:
        return np.clip(image * np.float32(factor), 0, 1)
    return np.take(_rounded(np.arange(256) * factor), image)


def saturate(image_HW3: NDArray[Any], factor: float) -> NDArray[Any]:
    """Blend with the image's own grey (ITU-R 601 luma): 0 is grey, 1 the image, 2 twice as vivid."""
    if image_HW3.dtype == np.uint8:
        return np.asarray(ImageEnhance.Color(Image.fromarray(image_HW3)).enhance(factor))
    grey_HW1 = (image_HW3 @ _LUMA)[..., None]
    return np.clip(grey_HW1 + np.float32(factor) * (image_HW3 - grey_HW1), 0, 1)


def add_noise(frames_THWC: NDArray[Any], std: float, random: np.random.Generator) -> NDArray[Any]:
    """Add Gaussian noise, the same to each frame, independent between pixels and channels; clipped.

    std: standard deviation in steps of 1/255, for float images as well.
    """
    noise_HWC = random.standard_normal(frames_THWC.shape[1:], np.float32) * np.float32(std)
    if frames_THWC.dtype == np.uint8:
        return _rounded(frames_THWC + noise_HWC)
    return np.clip(frames_THWC + noise_HWC / 255, 0, 1)


def blur(image_HWC: NDArray[Any], radius: float) -> NDArray[Any]:
    """Convolve each channel with a Gaussian of standard deviation `radius` in pixels.

    The image's edge is repeated outwards. uint8: Pillow's GaussianBlur, which is made of box
    filters; float: the truncated kernel itself, as in scipy.ndimage.gaussian_filter
    (mode="nearest").
    """
    if image_HWC.dtype != np.uint8:
        kernel_K = gaussian_kernel(radius)
        return _convolve(_convolve(image_HWC, kernel_K, 0), kernel_K, 1)
    soft = ImageFilter.GaussianBlur(radius)
    if image_HWC.shape[2] == 3:
        return np.asarray(Image.fromarray(image_HWC).filter(soft))
    bands = [Image.fromarray(band_HW).filter(soft) for band_HW in np.moveaxis(image_HWC, 2, 0)]
    return np.stack([np.asarray(band) for band in bands], axis=2)


def gaussian_kernel(sigma: float) -> NDArray[np.float32]:
    """Return the weights of a Gaussian of standard deviation `sigma` > 0 pixels; their sum is 1."""
    reach = int(_TRUNCATE * sigma + 0.5)
    weights_K = np.exp(-0.5 * (np.arange(-reach, reach + 1) / sigma) ** 2)
    return np.asarray(weights_K / weights_K.sum(), np.float32)


def zoom_and_rotate(
    frames_THWC: NDArray[Any], mask_HW: NDArray[np.uint8], zoom: float, degrees: float
) -> tuple[NDArray[Any], NDArray[np.uint8], NDArray[np.bool_]]:
    """Enlarge and turn image and mask about their centre, and cut out the original rectangle.

    zoom: above 1 enlarges; below 1 the image is not smoothed beforehand, so that fine patterns
        alias a little. degrees: counter-clockwise.

    Returns frames, mask and `inside` (H, W). One set of positions, with pixel centres at halves,
    serves both: the image is interpolated bilinearly between pixels (its edge repeated by half a
    pixel), the mask takes the pixel in which the position lies. What lies outside of the image is
    0 in the frames, VOID in the mask and False in `inside`.
    """
    turned_THWC, turned_HW = np.zeros_like(frames_THWC), np.full_like(mask_HW, VOID)
    inside_HW = np.zeros(mask_HW.shape, np.bool_)
    for first in range(0, mask_HW.shape[0], _STRIP):
        strip = slice(first, min(first + _STRIP, mask_HW.shape[0]))
        y_RW, x_RW = _positions(mask_HW.shape, strip, zoom, degrees)
        inside_RW = (y_RW >= 0) & (y_RW < mask_HW.shape[0])
        inside_RW &= (x_RW >= 0) & (x_RW < mask_HW.shape[1])
        inside_HW[strip] = inside_RW
        y_N, x_N = y_RW[inside_RW], x_RW[inside_RW]
        turned_HW[strip][inside_RW] = mask_HW[y_N.astype(np.intp), x_N.astype(np.intp)]
        for source_HWC, target_HWC in zip(frames_THWC, turned_THWC, strict=True):
            target_HWC[strip][inside_RW] = _bilinear(source_HWC, y_N - 0.5, x_N - 0.5)
    return turned_THWC, turned_HW, inside_HW


def _positions(
    shape: tuple[int, ...], strip: slice, zoom: float, degrees: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return y and x in the source, (R, W), of each pixel centre of the result's rows `strip`."""
    height, width = shape
    cosine = math.cos(math.radians(degrees)) / zoom
    sine = math.sin(math.radians(degrees)) / zoom
    down_R1 = np.arange(strip.start, strip.stop)[:, None] + 0.5 - height / 2
    right_1W = np.arange(width)[None, :] + 0.5 - width / 2
    y_RW = height / 2 + cosine * down_R1 + sine * right_1W
    x_RW = width / 2 - sine * down_R1 + cosine * right_1W
    return y_RW, x_RW


def _bilinear(
    image_HWC: NDArray[Any], y_N: NDArray[np.float64], x_N: NDArray[np.float64]
) -> NDArray[Any]:
    """Interpolate at y and x, counted in pixels from the first one's centre: (N, C)."""
    height, width, channels = image_HWC.shape
    flat_PC = image_HWC.reshape(-1, channels)
    above_N, before_N = np.floor(y_N), np.floor(x_N)
    down_N1 = (y_N - above_N).astype(np.float32)[:, None]
    right_N1 = (x_N - before_N).astype(np.float32)[:, None]
    rows = [(above_N + step).clip(0, height - 1).astype(np.intp) * width for step in (0, 1)]
    columns = [(before_N + step).clip(0, width - 1).astype(np.intp) for step in (0, 1)]
    found_NC = np.zeros((len(y_N), channels), np.float32)
    for row_N, weight_N1 in zip(rows, (1 - down_N1, down_N1), strict=True):
        for column_N, fraction_N1 in zip(columns, (1 - right_N1, right_N1), strict=True):
            found_NC += np.take(flat_PC, row_N + column_N, axis=0) * (weight_N1 * fraction_N1)
    return _rounded(found_NC) if image_HWC.dtype == np.uint8 else found_NC


def _convolve(
    image_HWC: NDArray[np.float32], kernel_K: NDArray[np.float32], axis: int
) -> NDArray[np.float32]:
    """Convolve along one axis, the edge repeated outwards."""
    reach, length = len(kernel_K) // 2, image_HWC.shape[axis]
    margins = [(reach, reach) if place == axis else (0, 0) for place in range(image_HWC.ndim)]
    padded = np.moveaxis(np.pad(image_HWC, margins, mode="edge"), axis, 0)
    total = np.zeros(np.moveaxis(image_HWC, axis, 0).shape, np.float32)
    for tap, weight in enumerate(kernel_K):
        total += weight * padded[tap : tap + length]
    return np.moveaxis(total, 0, axis)


def _rounded(values: NDArray[Any]) -> NDArray[np.uint8]:
    return np.asarray(np.rint(values).clip(0, 255), np.uint8)
