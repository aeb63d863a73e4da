"""Scores: pure functions of a confusion matrix (law 7).

Shapes: K classes; P answers, which are the classes, or one more for no answer. In a confusion matrix,
(K, P), rows are the truth, columns the prediction. The functions that return an array
or a number for a matrix do so for each matrix of (..., K, P) as well.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

ConfusionCounts = NDArray[np.int64] | NDArray[np.float64]
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


def scores(confusion_KP: NDArray[np.int64]) -> Scores:
    """Return the scores of a (K, P) matrix of counts.

    When a class has no score, as the official Cityscapes evaluator has it: one that is neither in
    the truth nor in the prediction is NaN and left out of the mean. A class that is predicted but
    not in the truth has IoU and Dice 0, which count; only its recall is NaN. One that is in the
    truth but never predicted has IoU, Dice and recall 0; only its precision is NaN.
    """
    hits, truth, predicted = _marginals(confusion_KP)
    return Scores(
        iou_K=iou(confusion_KP),
        dice_K=dice(confusion_KP),
        accuracy_K=ratio(hits, truth),
        precision_K=ratio(hits, predicted),
        pixels_K=truth.astype(np.int64),
        miou=float(mean_iou(confusion_KP)),
        mean_dice=float(mean_defined(dice(confusion_KP))),
        mean_accuracy=float(mean_defined(ratio(hits, truth))),
        mean_precision=float(mean_defined(ratio(hits, predicted))),
        pixel_accuracy=float(pixel_accuracy(confusion_KP)),
        frequency_weighted_iou=float(weighted_mean(iou(confusion_KP), truth)),
        frequency_weighted_dice=float(weighted_mean(dice(confusion_KP), truth)),
    )


def iou(confusion_KP: ConfusionCounts) -> Floats:
    """Return the intersection over union of each class, (..., K): hits / (truth or predicted)."""
    hits, truth, predicted = _marginals(confusion_KP)
    return ratio(hits, truth + predicted - hits)


def dice(confusion_KP: ConfusionCounts) -> Floats:
    """Return Dice (F1) of each class, (..., K): 2 hits / (truth + predicted)."""
    hits, truth, predicted = _marginals(confusion_KP)
    return ratio(2 * hits, truth + predicted)


def mean_iou(confusion_KP: ConfusionCounts) -> Floats:
    """Return the mean IoU of the classes that are not NaN, (...); NaN when none is."""
    return mean_defined(iou(confusion_KP))


def pixel_accuracy(confusion_KP: ConfusionCounts) -> Floats:
    """Return the share of valid pixels whose class is right, (...); NaN without pixels."""
    hits, truth, _ = _marginals(confusion_KP)
    return ratio(hits.sum(axis=-1), truth.sum(axis=-1))


def weighted_mean(values_K: Floats, truth_K: NDArray[Any]) -> Floats:
    """Return the mean of scores by class weighted by the truth's pixels, (...).

    Of IoU it is the frequency-weighted IoU (Long et al. 2015, section 5); of the recall it is the
    pixel accuracy. A class without truth has no weight, also where its score is NaN.
    """
    weighted = np.where(truth_K > 0, truth_K * values_K, 0.0)
    return ratio(weighted.sum(axis=-1), truth_K.sum(axis=-1))


def ratio(part: NDArray[Any], whole: NDArray[Any]) -> Floats:
    """Return part / whole, element by element; NaN, and no warning, where whole is 0."""
    quotient: Floats = np.full(np.shape(whole), np.nan)
    np.divide(part, whole, out=quotient, where=np.asarray(whole) > 0)
    return quotient


def _marginals(confusion_KP: ConfusionCounts) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
    """Hits, pixels in the truth and pixels predicted of each class, (..., K)."""
    hits = np.diagonal(confusion_KP, axis1=-2, axis2=-1)
    predicted = confusion_KP.sum(axis=-2)[..., : confusion_KP.shape[-2]]
    return hits, confusion_KP.sum(axis=-1), predicted


def mean_defined(values_K: Floats) -> Floats:
    """Return the mean over the last axis without its NaNs; NaN, and no warning, where all are."""
    defined = ~np.isnan(values_K)
    return ratio(np.where(defined, values_K, 0.0).sum(axis=-1), defined.sum(axis=-1))
