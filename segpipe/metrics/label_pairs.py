"""Counting pairs of labels, truth and prediction, of one image: the work of every score of labels.

Shapes: H, W of the image; V = 256 values; K classes; P = K + 1 answers, the classes and none of them.
"""

import numpy as np
from numpy.typing import NDArray

from segpipe.labels.scheme import VOID
from segpipe.runtime.errors import DataError

_VALUES = 256


def pair_counts(prediction_HW: NDArray[np.uint8], truth_HW: NDArray[np.uint8]) -> NDArray[np.int64]:
    """Return the pixels by value of the truth (row) and of the prediction (column), (256, 256).

    All that is asked of the two images, their own values included, follows from these counts. Runs of
    equal pairs are counted, as in `value_counts`. Raises ValueError for shapes that differ.
    """
    if prediction_HW.shape != truth_HW.shape:
        raise ValueError(f"prediction {prediction_HW.shape} and truth {truth_HW.shape} differ")
    prediction_N, truth_N = prediction_HW.ravel(), truth_HW.ravel()
    changed_N = truth_N[1:] != truth_N[:-1]
    changed_N |= prediction_N[1:] != prediction_N[:-1]
    ends = np.append(np.flatnonzero(changed_N), truth_N.size - 1)[truth_N.size == 0 :]
    if 4 * ends.size > truth_N.size:
        pairs_N = truth_N.astype(np.uint16) << 8 | prediction_N
        counts = np.bincount(pairs_N, minlength=_VALUES**2).astype(np.int64, copy=False)
    else:
        counts = np.zeros(_VALUES**2, np.int64)
        pairs_N = truth_N[ends].astype(np.uint16) << 8 | prediction_N[ends]
        np.add.at(counts, pairs_N, np.diff(ends, prepend=-1))
    return counts.reshape(_VALUES, _VALUES)


def encoded_counts(
    counts_VV: NDArray[np.int64],
    prediction_ids_V: NDArray[np.uint8],
    truth_ids_V: NDArray[np.uint8],
) -> NDArray[np.int64]:
    """Return the counts of `pair_counts` with each value replaced by its train id, (256, 256)."""
    found_VV = np.zeros_like(counts_VV)
    rows_N, columns_N = counts_VV.nonzero()
    places = truth_ids_V[rows_N], prediction_ids_V[columns_N]
    np.add.at(found_VV, places, counts_VV[rows_N, columns_N])
    return found_VV


def label_confusion(counts_VV: NDArray[np.int64], num_classes: int) -> NDArray[np.int64]:
    """Return the confusion matrix of an image, (K, P): rows are the truth, columns the prediction.

    counts_VV: `pair_counts` of train ids. Pixels whose truth is VOID count nowhere. A prediction of
    VOID, which other programs write where they give no answer, stands in the last column: it misses its
    true class and is a false alarm of none, as in the official Cityscapes evaluator.

    Raises ValueError for a prediction that is neither VOID nor in 0..K-1 on a valid pixel, DataError
    for such a truth.
    """
    counts = counts_VV.copy()
    counts[VOID] = 0
    if strange := np.flatnonzero(counts[num_classes:].any(1)).tolist():
        raise DataError(
            f"a mask holds train id {num_classes + strange[0]}, outside of 0..{num_classes - 1}: it was "
            "prepared for another label scheme than the model's; run the prepare stage again, or use "
            "the model with its own data"
        )
    if strange := np.flatnonzero(counts[:, num_classes:VOID].any(0)).tolist():
        raise ValueError(
            f"a prediction holds train id {num_classes + strange[0]}, outside of 0..{num_classes - 1}"
        )
    columns = [*range(num_classes), VOID]
    return counts[:num_classes, columns]
