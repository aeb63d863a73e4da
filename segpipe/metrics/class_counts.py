"""Scores of the pixels of each class: true ones, predicted ones, and hits, which are both.

They are what IoU, Dice, recall, precision and their means need of a confusion matrix, in 3 numbers a
class instead of K. Each function takes sums over any number of images, (..., K, 3), and returns (...).
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from segpipe.metrics.scores import Floats, mean_defined, ratio, weighted_mean

Counts = NDArray[Any]


def class_counts(confusion_KP: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the true pixels, the predicted ones and the hits of each class, (..., K, 3)."""
    hits = np.diagonal(confusion_KP, axis1=-2, axis2=-1)
    predicted = confusion_KP.sum(-2)[..., : confusion_KP.shape[-2]]
    return np.stack([confusion_KP.sum(-1), predicted, hits], -1)


def class_iou(counts_K3: Counts) -> Floats:
    """Return the IoU of each class, (..., K)."""
    truth, predicted, hits = np.moveaxis(counts_K3, -1, 0)
    return ratio(hits, truth + predicted - hits)


def class_dice(counts_K3: Counts) -> Floats:
    """Return Dice (F1) of each class, (..., K)."""
    truth, predicted, hits = np.moveaxis(counts_K3, -1, 0)
    return ratio(2 * hits, truth + predicted)


def class_accuracy(counts_K3: Counts) -> Floats:
    """Return the accuracy (recall) of each class, (..., K)."""
    return ratio(counts_K3[..., 2], counts_K3[..., 0])


def class_precision(counts_K3: Counts) -> Floats:
    """Return the precision of each class, (..., K)."""
    return ratio(counts_K3[..., 2], counts_K3[..., 1])


def miou(counts_K3: Counts) -> Floats:
    """Return the mean IoU of the classes that are in truth or prediction."""
    return mean_defined(class_iou(counts_K3))


def pixel_accuracy(counts_K3: Counts) -> Floats:
    """Return the share of the valid pixels whose class is right."""
    return ratio(counts_K3[..., 2].sum(-1), counts_K3[..., 0].sum(-1))


# By the field of an evaluation: the scores that these counts determine.
OF_CLASS: dict[str, Callable[[Counts], Floats]] = {
    "iou": class_iou,
    "dice": class_dice,
    "accuracy": class_accuracy,
    "precision": class_precision,
}
OF_SPLIT: dict[str, Callable[[Counts], Floats]] = {
    "miou": miou,
    "pixel_accuracy": pixel_accuracy,
    "mean_accuracy": lambda counts_K3: mean_defined(class_accuracy(counts_K3)),
    "mean_precision": lambda counts_K3: mean_defined(class_precision(counts_K3)),
    "mean_dice": lambda counts_K3: mean_defined(class_dice(counts_K3)),
    "frequency_weighted_iou": lambda counts_K3: weighted_mean(
        class_iou(counts_K3), counts_K3[..., 0]
    ),
    "frequency_weighted_dice": lambda counts_K3: weighted_mean(
        class_dice(counts_K3), counts_K3[..., 0]
    ),
}
