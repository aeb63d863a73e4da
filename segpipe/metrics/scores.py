"""Scores: pure functions of counts of pixels (law 7).

Shapes: K classes; P answers, which are the classes, or one more for no answer. In a confusion matrix,
(K, P), rows are the truth, columns the prediction. Of each class three counts are enough for all
scores, (K, 3): true pixels, predicted ones, and hits, which are both. Functions of them take sums over
any number of images, (..., K, 3).
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Counts = NDArray[Any]  # int64, or float64 of sums
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Scores:
    """All scores of one confusion matrix, each in 0..1 or NaN where it has no meaning.

    By class: `iou_K`, `dice_K` (F1), `accuracy_K` (recall), `precision_K`, and `pixels_K`, the
    valid pixels that truly belong to the class. The means are over the classes that are not NaN.
    """

    iou_K: Floats
    dice_K: Floats
    accuracy_K: Floats
    precision_K: Floats
    pixels_K: NDArray[np.int64]
    miou: float
    mean_dice: float
    mean_accuracy: float
    mean_precision: float
    pixel_accuracy: float
    frequency_weighted_iou: float
    frequency_weighted_dice: float
    frequency_weighted_precision: float


def scores(confusion_KP: NDArray[np.int64]) -> Scores:
    """Return the scores of a (K, P) matrix of counts.

    When a class has no score, as the official Cityscapes evaluator has it: one that is neither in
    the truth nor in the prediction is NaN and left out of the mean. A class that is predicted but
    not in the truth has IoU and Dice 0, which count; only its recall is NaN. One that is in the
    truth but never predicted has IoU, Dice and recall 0; only its precision is NaN.
    """
    return scores_of_counts(class_counts(confusion_KP))


def scores_of_counts(counts_K3: Counts) -> Scores:
    """Return the scores of the counts of each class, (K, 3), which are all that `scores` needs."""
    of_class: dict[str, Any] = {f"{name}_K": score(counts_K3) for name, score in OF_CLASS.items()}
    of_split: dict[str, Any] = {name: float(score(counts_K3)) for name, score in OF_SPLIT.items()}
    return Scores(**of_class, pixels_K=counts_K3[:, 0], **of_split)


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


def weighted_mean(values_K: Floats, truth_K: NDArray[Any]) -> Floats:
    """Return the mean of scores by class weighted by the truth's pixels, (...).

    Of IoU it is the frequency-weighted IoU (Long et al. 2015, section 5); of the recall it is the
    pixel accuracy. A class without truth has no weight, also where its score is NaN.
    """
    weighted = np.where(truth_K > 0, truth_K * values_K, 0.0)
    return ratio(weighted.sum(axis=-1), truth_K.sum(axis=-1))


def weighted_precision(counts_K3: Counts) -> Floats:
    """Return the mean precision weighted by the truth's pixels; classes never predicted are left out."""
    precision_K = class_precision(counts_K3)
    return weighted_mean(precision_K, np.where(np.isnan(precision_K), 0, counts_K3[..., 0]))


def ratio(part: NDArray[Any], whole: NDArray[Any]) -> Floats:
    """Return part / whole, element by element; NaN, and no warning, where whole is 0."""
    quotient: Floats = np.full(np.shape(whole), np.nan)
    np.divide(part, whole, out=quotient, where=np.asarray(whole) > 0)
    return quotient


def mean_defined(values_K: Floats) -> Floats:
    """Return the mean over the last axis without its NaNs; NaN, and no warning, where all are."""
    defined = ~np.isnan(values_K)
    return ratio(np.where(defined, values_K, 0.0).sum(axis=-1), defined.sum(axis=-1))


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
    "frequency_weighted_precision": weighted_precision,
}
