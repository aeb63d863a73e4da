"""Class colours laid over an image.

Shapes: H height, W width, 3 colour channels. Images are uint8; masks are uint8 train ids, VOID
where nothing counts.
"""

import numpy as np
from numpy.typing import NDArray

from segpipe.labels.scheme import VOID, LabelScheme

_BORDER_LIGHT = 0.5  # share of white in a border


def overlay(
    image_HW3: NDArray[np.uint8],
    mask_HW: NDArray[np.uint8],
    scheme: LabelScheme,
    opacity: float,
) -> NDArray[np.uint8]:
    """Blend the colours of `mask_HW` over the image, (H, W, 3) uint8.

    opacity: 0 shows the image alone, 1 the colours alone; borders are drawn at full strength in a
        lighter shade of their class with either, so that regions stay apart.
    Void pixels are the image's own.

    Raises ValueError when image and mask differ in size or `opacity` is not in 0..1.
    """
    _same_size(image_HW3, mask_HW)
    if not 0 <= opacity <= 1:
        raise ValueError(f"opacity is {opacity}; it must be in 0..1")
    colour_HW3 = scheme.paint(mask_HW).astype(np.float32)
    blended_HW3 = (1 - opacity) * image_HW3 + opacity * colour_HW3
    border_HW = class_borders(mask_HW)
    light_HW3 = (1 - _BORDER_LIGHT) * colour_HW3 + _BORDER_LIGHT * 255
    blended_HW3[border_HW] = light_HW3[border_HW]
    void_HW1 = (mask_HW == VOID)[..., None]
    shown_HW3 = np.where(void_HW1, image_HW3, np.rint(blended_HW3))
    return shown_HW3.astype(np.uint8)


def class_borders(mask_HW: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Return where a class ends, (H, W) bool: one pixel wide, and never on a void pixel.

    A pixel is border when the pixel to its right or below is of another class; beside void the
    valid one of the two is taken.
    """
    border_HW = np.zeros(mask_HW.shape, np.bool_)
    for first, second in (
        ((slice(None), slice(None, -1)), (slice(None), slice(1, None))),
        ((slice(None, -1), slice(None)), (slice(1, None), slice(None))),
    ):
        differs = mask_HW[first] != mask_HW[second]
        border_HW[first] |= differs
        border_HW[second] |= differs & (mask_HW[first] == VOID)
    valid_border_HW: NDArray[np.bool_] = border_HW & (mask_HW != VOID)
    return valid_border_HW


def _same_size(image_HW3: NDArray[np.uint8], mask_HW: NDArray[np.uint8]) -> None:
    if image_HW3.shape != (*mask_HW.shape, 3):
        raise ValueError(
            f"an image of shape {image_HW3.shape} and a mask of shape {mask_HW.shape} do not fit; "
            "they must be (H, W, 3) and (H, W)"
        )
