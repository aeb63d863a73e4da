"""Scores that give every image the same weight, and those of the worst images.

Of one confusion matrix of all pixels, large objects and images full of a class decide; means over
images do not let them (Wang et al., "Revisiting Evaluation Metrics for Semantic Segmentation:
Optimization and Evaluation of Fine-grained Intersection over Union", NeurIPS 2023).

Shapes: N images, K classes, P answers (see `segpipe.metrics.scores`).
"""

import numpy as np
from numpy.typing import NDArray

from segpipe.metrics.scores import Floats, iou, mean_defined, ratio


def iou_of_present(confusion_NKP: NDArray[np.int64]) -> Floats:
    """Return the IoU of each class in each image, (N, K); NaN where the truth has none of the class."""
    return np.where(confusion_NKP.sum(2) > 0, iou(confusion_NKP), np.nan)


def image_means(iou_NK: Floats) -> Floats:
    """Return the mean IoU of each image over the classes in its truth, (N,); NaN where it has none."""
    return mean_defined(iou_NK)


def class_sums(iou_NK: Floats) -> Floats:
    """Return what adds up over images to the mean of each class: (N, K, 2), IoU and 1, or 0 and 0."""
    defined_NK = ~np.isnan(iou_NK)
    return np.stack([np.where(defined_NK, iou_NK, 0.0), defined_NK.astype(np.float64)], -1)


def mean_of_class_sums(sums_K2: Floats) -> Floats:
    """Return mIoU^C of such sums, (...): the mean over classes of their means over images."""
    return mean_defined(ratio(sums_K2[..., 0], sums_K2[..., 1]))


def worst_mean(values_N: Floats, percent: int) -> float:
    """Return the mean of the lowest `percent` % of the values that are not NaN, at least of one.

    NaN where there is none.
    """
    defined = np.sort(values_N[~np.isnan(values_N)])
    if not defined.size:
        return float("nan")
    return float(defined[: max(1, defined.size * percent // 100)].mean())
