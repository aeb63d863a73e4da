"""Class colours over an image, and the pixels that a prediction has wrong.

Shapes: H height, W width, R rows of a part, 3 colour channels. Images are uint8; masks are uint8 train ids,
VOID where nothing counts.
"""

import numpy as np

from segpipe.labels.scheme import VOID, Colour, LabelScheme
from segpipe.rendering.layout import Mask, Picture, hatched

WRONG: Colour = (255, 64, 32)

_BORDER_LIGHT = 0.5  # share of white in a border
_ROWS = 64  # are blended at once: colours as float32 take twelve times the memory of labels


def overlay(image_HW3: Picture, mask_HW: Mask, scheme: LabelScheme, opacity: float) -> Picture:
    """Blend the colours of `mask_HW` over the image, (H, W, 3) uint8.

    opacity: 0 shows the image alone, 1 the colours alone; borders are drawn at full strength in a
        lighter shade of their class with either, so that regions stay apart.
    Void pixels are the image's own.

    Raises ValueError when image and mask differ in size or `opacity` is not in 0..1.
    """
    if image_HW3.shape != (*mask_HW.shape, 3):
        raise ValueError(
            f"an image of shape {image_HW3.shape} and a mask of shape {mask_HW.shape} do not fit; "
            "they must be (H, W, 3) and (H, W)"
        )
    if not 0 <= opacity <= 1:
        raise ValueError(f"opacity is {opacity}; it must be in 0..1")
    border_HW, painted_HW3 = class_borders(mask_HW), np.empty_like(image_HW3)
    for start in range(0, len(mask_HW), _ROWS):
        rows = slice(start, start + _ROWS)
        image_RW3, mask_RW = image_HW3[rows], mask_HW[rows]
        colour_RW3 = scheme.paint(mask_RW).astype(np.float32)
        blended_RW3 = (1 - opacity) * image_RW3 + opacity * colour_RW3
        light_RW3 = (1 - _BORDER_LIGHT) * colour_RW3 + _BORDER_LIGHT * 255
        blended_RW3 = np.where(border_HW[rows][..., None], light_RW3, blended_RW3)
        void_RW1 = (mask_RW == VOID)[..., None]
        painted_HW3[rows] = np.where(void_RW1, image_RW3, np.rint(blended_RW3))
    return painted_HW3


def class_borders(mask_HW: Mask) -> np.typing.NDArray[np.bool_]:
    """Return where a class ends, (H, W) bool: one pixel wide, and never on a void pixel.

    A pixel is border when the pixel to its right or below is of another class; beside void the
    valid one of the two is taken.
    """
    border_HW = np.zeros(mask_HW.shape, np.bool_)
    for mask, border in ((mask_HW, border_HW), (mask_HW.T, border_HW.T)):
        differs = mask[:-1] != mask[1:]
        border[:-1] |= differs
        border[1:] |= differs & (mask[:-1] == VOID)
    border_HW &= mask_HW != VOID
    return border_HW


def error_panel(image_HW3: Picture, truth_HW: Mask, prediction_HW: Mask) -> Picture:
    """Return the image in grey, wrong valid pixels in `WRONG`, void hatched: (H, W, 3) uint8."""
    luma_HW = image_HW3 @ np.array([0.299, 0.587, 0.114], np.float32)
    grey_HW = np.rint(40 + 0.6 * luma_HW).astype(np.uint8)
    panel_HW3 = np.repeat(grey_HW[..., None], 3, axis=2)
    void_HW = truth_HW == VOID
    panel_HW3[void_HW] = hatched(*truth_HW.shape)[void_HW]
    panel_HW3[(truth_HW != prediction_HW) & ~void_HW] = WRONG
    return panel_HW3
