"""How well the outlines of classes are met, from the labels of one image.

Shapes: H, W of the image; K classes; P points.
"""

from dataclasses import dataclass
from math import hypot

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.spatial import KDTree

from segpipe.labels.scheme import VOID

Labels = NDArray[np.uint8]


@dataclass(frozen=True)
class BoundaryCounts:
    """Pixels near the outlines, by class, (K,): in the truth, in the prediction, and in both."""

    truth_K: NDArray[np.int64]
    predicted_K: NDArray[np.int64]
    both_K: NDArray[np.int64]


def boundary_distance(height: int, width: int, share: float) -> int:
    """Return `share` of the image's diagonal in whole pixels, at least 1."""
    return max(1, round(share * hypot(height, width)))


def boundary_counts(
    prediction_HW: Labels, truth_HW: Labels, classes: int, distance: int
) -> BoundaryCounts:
    """Count the pixels that lie within `distance` of the outline of their own class.

    Their intersection over union is the Boundary IoU (Cheng et al., "Boundary IoU: Improving
    Object-Centric Image Segmentation Evaluation", CVPR 2021). As in the authors' program, distances
    are those of a square neighbourhood and the edge of the image is an outline. A border with void
    is none, and pixels whose truth is VOID count nowhere, whatever is predicted there.
    """
    shown_HW = np.where(truth_HW == VOID, VOID, prediction_HW)
    truth = _near(truth_HW, distance)
    predicted = _near(shown_HW, distance)
    return BoundaryCounts(
        truth_K=_by_class(truth_HW[truth], classes),
        predicted_K=_by_class(shown_HW[predicted], classes),
        both_K=_by_class(truth_HW[truth & predicted & (truth_HW == shown_HW)], classes),
    )


def boundary_f(
    prediction_HW: Labels, truth_HW: Labels, classes: int, distance: int
) -> NDArray[np.float64]:
    """Return the boundary F score of each class in an image, (K,), in 0..1.

    The harmonic mean of two shares: that of the outline in the prediction that lies within
    `distance` pixels of the outline of the same class in the truth, and the reverse (Csurka et al.,
    "What is a good evaluation measure for semantic segmentation?", BMVC 2013). An outline is made
    of the pixels of a class that touch another one, diagonally too; the edge of the image and void
    are no outlines. 0 where the prediction has no outline of a class, NaN where the truth has none.
    """
    shown_HW = np.where(truth_HW == VOID, VOID, prediction_HW)
    truth_P2, truth_P = _outline(truth_HW)
    predicted_P2, predicted_P = _outline(shown_HW)
    score_K = np.full(classes, np.nan)
    for k in np.unique(truth_P):
        true_P2, guess_P2 = truth_P2[truth_P == k], predicted_P2[predicted_P == k]
        precision = _share_near(guess_P2, true_P2, distance)
        recall = _share_near(true_P2, guess_P2, distance)
        both = precision + recall
        score_K[k] = 2 * precision * recall / both if both else 0.0
    return score_K


def _outline(labels_HW: Labels) -> tuple[NDArray[np.int64], Labels]:
    """Return the pixels that touch another class: row and column, (P, 2), and class, (P,)."""
    places = _touching(labels_HW, 1)
    return np.argwhere(places), labels_HW[places]


def _share_near(points_P2: NDArray[np.int64], others_P2: NDArray[np.int64], distance: int) -> float:
    if not len(points_P2) or not len(others_P2):
        return 0.0
    # The bound of the query is exclusive.
    found_P, _ = KDTree(others_P2).query(points_P2, distance_upper_bound=distance + 1e-6)
    return float(np.isfinite(found_P).mean())


def _near(labels_HW: Labels, distance: int) -> NDArray[np.bool_]:
    """Return the pixels within `distance` of another class or of the edge of the image."""
    near_HW = _touching(labels_HW, distance)
    for rows, columns in (
        (slice(0, distance), slice(None)),
        (slice(-distance, None), slice(None)),
        (slice(None), slice(0, distance)),
        (slice(None), slice(-distance, None)),
    ):
        near_HW[rows, columns] = True
    own_HW: NDArray[np.bool_] = near_HW & (labels_HW != VOID)
    return own_HW


def _touching(labels_HW: Labels, distance: int) -> NDArray[np.bool_]:
    """Return the pixels of a class in whose square neighbourhood another class lies.

    All classes at once: the smallest and the largest label of the neighbourhood differ.
    """
    size = 2 * distance + 1
    void_HW = labels_HW == VOID
    # Void is neither the smallest nor the largest: 255 is above all labels, and 0 not above any.
    smallest_HW = ndimage.minimum_filter(labels_HW, size, mode="nearest")
    largest_HW = ndimage.maximum_filter(np.where(void_HW, 0, labels_HW), size, mode="nearest")
    touching_HW: NDArray[np.bool_] = (smallest_HW != largest_HW) & ~void_HW
    return touching_HW


def _by_class(labels_P: Labels, classes: int) -> NDArray[np.int64]:
    return np.bincount(labels_P, minlength=classes)[:classes]
