"""Where in the training images each class is: the table from which samples are chosen for a class.

As in Zhu et al. 2019, "Improving semantic segmentation via video propagation and label relaxation"
(class uniform sampling): each image is divided into squares, and each class has one centroid in each
square that shows it. Here the point is the class's own pixel nearest to the mean of its pixels, for
the mean itself may lie beside the class, between two poles for instance; and squares that the
image's border cuts count too.

Shapes: h, w of a mask; K classes; M points; R runs (pieces of a row of one label in one square).
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from segpipe.runtime.errors import DataError
from segpipe.runtime.randomness import generator

# Eight bytes a point. Sides are 65536 at most (segpipe.params).
POINT = np.dtype([("row", np.uint32), ("y", np.uint16), ("x", np.uint16)])
Points = NDArray[np.void]
# More points of a class are thinned by chance, so that memory does not grow with the data.
_MOST = 1 << 20
_MASKS_AT_ONCE = 256


@dataclass(frozen=True)
class Centroids:
    """The points of each class, in the order of the label scheme.

    points_K: row of the arrays, y and x in pixels of the mask; empty where the class is absent.
    found_K: how many there are, of which so many are kept at most. ratio: image pixels along each
    side of a pixel of the mask.
    """

    points_K: list[Points]
    found_K: list[int]
    ratio: int

    @property
    def present(self) -> list[int]:
        """The train ids of the classes that have a point."""
        return [k for k, points in enumerate(self.points_K) if len(points)]


def find_centroids(
    masks: Iterable[NDArray[np.uint8]], classes: int, cell: int, ratio: int = 1
) -> Centroids:
    """Return the centroids of all `masks` (train ids, in the order of their rows), read one by one.

    cell: side of the squares in pixels of the image; in pixels of the mask it is rounded down, but
    not to 0. Void and other values from `classes` on are passed over. The result depends on the
    masks alone.

    Raises DataError when no pixel shows a class.
    """
    kept = [_Kept(k) for k in range(classes)]
    waiting: list[tuple[NDArray[np.int64], Points]] = []
    for row, mask_hw in enumerate(masks):
        class_M, y_M, x_M = mask_centroids(mask_hw, classes, max(cell // ratio, 1))
        points_M = np.empty(len(class_M), POINT)
        points_M["row"], points_M["y"], points_M["x"] = row, y_M, x_M
        waiting.append((class_M, points_M))
        if len(waiting) == _MASKS_AT_ONCE:
            _hand_over(waiting, kept)
    _hand_over(waiting, kept)
    found = Centroids([one.points for one in kept], [one.found for one in kept], ratio)
    if not found.present:
        raise DataError(
            "no training pixel shows any class, so no sample can be picked for one; look at the masks "
            "and at the label scheme with `segpipe check`"
        )
    return found


def mask_centroids(
    mask_hw: NDArray[np.uint8], classes: int, cell: int
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Return the classes, y and x of a mask's centroids, square by square, then by class.

    cell: side of the squares in pixels of the mask. Of pixels that are as near to the mean, the
    uppermost counts, then the leftmost.
    """
    mask_hw = np.ascontiguousarray(mask_hw)
    width = mask_hw.shape[1]
    # Masks are of few pieces: a run is some dozen pixels, which are dealt with at once.
    begins_hw = np.ones(mask_hw.shape, np.bool_)
    np.not_equal(mask_hw[:, 1:], mask_hw[:, :-1], out=begins_hw[:, 1:])
    begins_hw[:, ::cell] = True
    first_R = np.flatnonzero(begins_hw)
    length_R = np.diff(first_R, append=mask_hw.size)
    label_R = mask_hw.reshape(-1)[first_R]
    known_R = label_R < classes
    first_R, length_R = first_R[known_R], length_R[known_R]
    y_R, x_R = np.divmod(first_R, width)
    square_R = (y_R // cell) * -(-width // cell) + x_R // cell
    groups_M, of_R = np.unique(square_R * classes + label_R[known_R], return_inverse=True)
    pixels_M = np.bincount(of_R, length_R)
    mean_y_R = (np.bincount(of_R, length_R * y_R) / pixels_M)[of_R]
    mean_x_R = (np.bincount(of_R, length_R * (x_R + (length_R - 1) / 2)) / pixels_M)[of_R]
    # The run's pixel that is nearest to the mean, the left one of two.
    near_R = np.clip(np.ceil(mean_x_R - 0.5), x_R, x_R + length_R - 1)
    distance_R = (y_R - mean_y_R) ** 2 + (near_R - mean_x_R) ** 2
    sorted_R = np.lexsort((distance_R, of_R))  # stable: the uppermost run stays the first
    nearest_M = sorted_R[np.searchsorted(of_R[sorted_R], np.arange(len(groups_M)))]
    return groups_M % classes, y_R[nearest_M], near_R[nearest_M].astype(np.int64)


class _Kept:
    """The points of one class, all of them or, past the limit, a uniform choice of them.

    Algorithm R of Vitter 1985, "Random sampling with a reservoir".
    """

    def __init__(self, number: int) -> None:
        self.points: Points = np.empty(0, POINT)
        self.found = 0
        self._random = generator("centroids", number)

    def add(self, points_M: Points) -> None:
        """Take more points of the class, in the order of the images."""
        free = _MOST - len(self.points)
        self.points = np.concatenate([self.points, points_M[:free]])
        late_M = points_M[free:]
        before = self.found + len(points_M) - len(late_M)
        self.found += len(points_M)
        # The n-th point takes one of n places, and is dropped where that is past the limit. Of
        # several for one place the last stays.
        place_M = self._random.integers(0, before + 1 + np.arange(len(late_M)))
        taken_M = place_M < _MOST
        self.points[place_M[taken_M]] = late_M[taken_M]


def _hand_over(waiting: list[tuple[NDArray[Any], Points]], kept: list[_Kept]) -> None:
    """Give what waits to its classes; a few arrays at a time would be many small copies."""
    if not waiting:
        return
    class_M = np.concatenate([classes for classes, _ in waiting])
    points_M = np.concatenate([points for _, points in waiting])
    for k, one in enumerate(kept):
        one.add(points_M[class_M == k])
    waiting.clear()
