"""The order in which images are worth an annotation: uncertain ones first, each unlike those before it.

Shapes: N images, D numbers of a descriptor, K classes; H and W of an image, h and w of its labels.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

_SIDE = 4  # of the picture's colours, in areas


@dataclass(frozen=True)
class Ranked:
    """place: of the image, in the order given. distance: to the nearest image before it, 0..1; 1 for
    the first.
    """

    place: int
    distance: float


def descriptor(
    picture_HW3: NDArray[np.uint8], labels_hw: NDArray[np.uint8], classes: int
) -> NDArray[np.float32]:
    """Return what an image is like, (D,): the fractions of its predicted classes, and its colours.

    The distance of two descriptors is sqrt((H² + C²) / 2), in 0..1. H: Hellinger's distance of the
    fractions. C: root mean square difference of the colours, 0..1, of 4x4 areas.
    """
    counts_K = np.bincount(labels_hw.ravel(), minlength=classes)[:classes]
    fraction_K = counts_K / max(int(counts_K.sum()), 1)
    small = Image.fromarray(picture_HW3).resize((_SIDE, _SIDE), Image.Resampling.BOX)
    colour_N = np.asarray(small, np.float64).ravel() / 255
    parts = [np.sqrt(fraction_K) / 2, colour_N / np.sqrt(2 * colour_N.size)]
    return np.concatenate(parts).astype(np.float32)


def rank(
    uncertainty_N: NDArray[np.float64], descriptor_ND: NDArray[np.float32], number: int
) -> list[Ranked]:
    """Return the first `number` images, the best first: a greedy k-centre weighted by uncertainty.

    The next image is always that of the largest uncertainty times distance to the nearest one chosen
    so far; the first has the largest uncertainty. Greedy k-centre: Gonzalez 1985; as a choice of
    images to annotate: Sener and Savarese, "Active Learning for Convolutional Neural Networks: A
    Core-Set Approach", ICLR 2018, Algorithm 1, here weighted. Of equals the farther comes first, then
    the earlier. uncertainty_N: 0..1.
    """
    distance_N = np.ones(len(uncertainty_N))
    left_N = np.ones(len(uncertainty_N), np.bool_)
    found: list[Ranked] = []
    for _ in range(min(number, len(uncertainty_N))):
        worth_N = np.where(left_N, uncertainty_N * distance_N, -1)
        best_N = np.where(worth_N == worth_N.max(), distance_N, -1)
        place = int(best_N.argmax())
        found.append(Ranked(place, float(distance_N[place])))
        left_N[place] = False
        to_it_N = np.linalg.norm(descriptor_ND - descriptor_ND[place], axis=1)
        distance_N = np.minimum(distance_N, to_it_N)
    return found
