"""Offline copies of training images with other gamma and saturation; the label is unchanged."""

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageEnhance

from segpipe.params.schema import PrepareParams
from segpipe.randomness import generator


def recoloured(
    image_HW3: NDArray[np.uint8], name: str, copy: int, prepare: PrepareParams
) -> NDArray[np.uint8]:
    """Return copy number `copy` (from 1) of the sample `name`; copy 0 is the image itself.

    Gamma and saturation are uniform draws from `prepare.gamma` and `prepare.saturation` that
    depend on (prepare.seed, name, copy) alone (law 5).
    """
    if copy == 0:
        return image_HW3
    random = generator(prepare.seed, "copy", name, copy)
    return saturate(
        apply_gamma(image_HW3, random.uniform(*prepare.gamma)), random.uniform(*prepare.saturation)
    )


def apply_gamma(image_HW3: NDArray[np.uint8], gamma: float) -> NDArray[np.uint8]:
    """Return 255 * (x / 255) ** gamma, rounded; above 1 darkens, below 1 brightens."""
    table = np.rint(255 * (np.arange(256) / 255) ** gamma).astype(np.uint8)
    changed: NDArray[np.uint8] = table[image_HW3]
    return changed


def saturate(image_HW3: NDArray[np.uint8], factor: float) -> NDArray[np.uint8]:
    """Blend with the image's own grey (ITU-R 601 luma): 0 is grey, 1 the image, 2 twice as vivid."""
    return np.asarray(ImageEnhance.Color(Image.fromarray(image_HW3)).enhance(factor))
