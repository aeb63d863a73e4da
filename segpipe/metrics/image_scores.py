"""Scores that give every image the same weight, and those of the worst images.

Of one confusion matrix of all pixels, large objects and images full of a class decide; means over
images do not let them (Wang et al., "Revisiting Evaluation Metrics for Semantic Segmentation:
Optimization and Evaluation of Fine-grained Intersection over Union", NeurIPS 2023).

Shapes: N images, K classes.
"""

import numpy as np

from segpipe.metrics.scores import Counts, Floats, class_iou, mean_defined, ratio


def iou_of_present(counts_NK3: Counts) -> Floats:
    """Return the IoU of each class in each image, (..., K); NaN where the truth has none of the class.

    counts_NK3: as `class_counts` gives them, (..., K, 3).
    """
    return np.where(counts_NK3[..., 0] > 0, class_iou(counts_NK3), np.nan)


def image_means(iou_NK: Floats) -> Floats:
    """Return the mean IoU of each image over the classes in its truth, (N,); NaN where it has none."""
    return mean_defined(iou_NK)


def sums_of_defined(values: Floats) -> Floats:
    """Return what adds up over images to the mean of the values that are not NaN: (..., 2).

    It is the value and 1, or 0 and 0: the mean is a ratio of sums, so that windows of one raster, or
    the images of a group, can be taken together.
    """
    defined = ~np.isnan(values)
    return np.stack([np.where(defined, values, 0.0), defined.astype(np.float64)], -1)


def mean_of_sums(sums_2: Floats) -> Floats:
    """Return the mean that such sums stand for, (...)."""
    return ratio(sums_2[..., 0], sums_2[..., 1])


def mean_of_class_sums(sums_K2: Floats) -> Floats:
    """Return mIoU^C of such sums, (...): the mean over classes of their means over images."""
    return mean_defined(mean_of_sums(sums_K2))


def worst_mean(values_N: Floats, percent: int) -> float:
    """Return the mean of the lowest `percent` % of the values that are not NaN, at least of one.

    NaN where there is none.
    """
    defined = np.sort(values_N[~np.isnan(values_N)])
    if not defined.size:
        return float("nan")
    return float(defined[: max(1, defined.size * percent // 100)].mean())
