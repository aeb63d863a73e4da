"""Counting pairs of labels, truth and prediction, of one image: the work of every score of labels.

Shapes: H, W of the image; V values; K classes; P = K + 1 answers, the classes and none of them.
"""

import numpy as np
from numpy.typing import NDArray

from segpipe.labels.scheme import VOID
from segpipe.runtime.errors import DataError

_PART = 1 << 17  # pixels: their pairs as 64-bit numbers stay in the cache
_SAME_V = np.arange(256, dtype=np.uint8)


def pair_counts(prediction_HW: NDArray[np.uint8], truth_HW: NDArray[np.uint8]) -> NDArray[np.int64]:
    """Return the pixels by value of the truth (row) and of the prediction (column), (V, V).

    V is one more than the largest value of both. All that is asked of the two images, their own values
    included, follows from these counts. Runs of equal pairs are counted, as in `value_counts`, or all
    pixels where there is noise. Raises ValueError for shapes that differ.
    """
    if prediction_HW.shape != truth_HW.shape:
        raise ValueError(f"prediction {prediction_HW.shape} and truth {truth_HW.shape} differ")
    if not truth_HW.size:
        return np.zeros((1, 1), np.int64)
    values = 1 + max(int(prediction_HW.max()), int(truth_HW.max()))
    counts = np.zeros(values**2, np.int64)
    prediction_N, truth_N = prediction_HW.ravel(), truth_HW.ravel()
    changed_N = truth_N[1:] != truth_N[:-1]
    changed_N |= prediction_N[1:] != prediction_N[:-1]
    if 4 * np.count_nonzero(changed_N) < truth_N.size:
        ends = np.append(np.flatnonzero(changed_N), truth_N.size - 1)
        pairs = _pairs(prediction_N[ends], truth_N[ends], values)
        np.add.at(counts, pairs, np.diff(ends, prepend=-1))
    else:
        for start in range(0, truth_N.size, _PART):
            part = slice(start, start + _PART)
            pairs = _pairs(prediction_N[part], truth_N[part], values)
            counts += np.bincount(pairs, minlength=values**2)
    return counts.reshape(values, values)


def _pairs(
    prediction_N: NDArray[np.uint8], truth_N: NDArray[np.uint8], values: int
) -> NDArray[np.uint16]:
    pairs_N = truth_N.astype(np.uint16)
    pairs_N *= values
    pairs_N += prediction_N
    return pairs_N


def label_confusion(
    counts_VV: NDArray[np.int64],
    num_classes: int,
    prediction_ids_V: NDArray[np.uint8] = _SAME_V,
    truth_ids_V: NDArray[np.uint8] = _SAME_V,
) -> NDArray[np.int64]:
    """Return the confusion matrix of an image, (K, P): rows are the truth, columns the prediction.

    counts_VV: as `pair_counts` gives them. prediction_ids_V, truth_ids_V: the train id of each value;
    without them the values are train ids. Pixels whose truth is VOID count nowhere. A prediction of
    VOID, which other programs write where they give no answer, stands in the last column: it misses its
    true class and is a false alarm of none, as in the official Cityscapes evaluator.

    Raises ValueError for a prediction that is neither VOID nor in 0..K-1 on a valid pixel, DataError
    for such a truth.
    """
    rows_N, columns_N = counts_VV.nonzero()
    pixels_N = counts_VV[rows_N, columns_N]
    truth_N, prediction_N = truth_ids_V[rows_N], prediction_ids_V[columns_N]
    valid_N = truth_N != VOID
    truth_N, prediction_N, pixels_N = truth_N[valid_N], prediction_N[valid_N], pixels_N[valid_N]
    if (strange := truth_N[truth_N >= num_classes]).size:
        raise DataError(
            f"a mask holds train id {strange.min()}, outside of 0..{num_classes - 1}: it was "
            "prepared for another label scheme than the model's; run the prepare stage again, or use "
            "the model with its own data"
        )
    answered_N = prediction_N != VOID
    if (strange := prediction_N[answered_N & (prediction_N >= num_classes)]).size:
        raise ValueError(
            f"a prediction holds train id {strange.min()}, outside of 0..{num_classes - 1}"
        )
    confusion_KP = np.zeros((num_classes, num_classes + 1), np.int64)
    np.add.at(confusion_KP, (truth_N, np.where(answered_N, prediction_N, num_classes)), pixels_N)
    return confusion_KP
