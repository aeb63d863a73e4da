"""Counting pairs of labels, truth and prediction, of one image: the work of every score of labels.

Shapes: H, W of the image; K classes; P = K + 1 answers, the classes and none of them.
"""

import numpy as np
from numpy.typing import NDArray

from segpipe.labels.counting import value_counts
from segpipe.labels.scheme import VOID
from segpipe.runtime.errors import DataError

_VALUES = 256


def label_confusion(
    prediction_HW: NDArray[np.uint8], truth_HW: NDArray[np.uint8], num_classes: int
) -> NDArray[np.int64]:
    """Return the confusion matrix of an image, (K, P): rows are the truth, columns the prediction.

    Both hold train ids. Pixels whose truth is VOID count nowhere. A prediction of VOID, which other
    programs write where they give no answer, stands in the last column: it misses its true class and
    is a false alarm of none, as in the official Cityscapes evaluator. The two bytes of a pixel are
    counted as one 16-bit number, which is several times faster than to pick the valid pixels out.

    Raises ValueError for shapes that differ and for a prediction that is neither VOID nor in 0..K-1
    on a valid pixel, DataError for such a truth.
    """
    if prediction_HW.shape != truth_HW.shape:
        raise ValueError(f"prediction {prediction_HW.shape} and truth {truth_HW.shape} differ")
    pairs_HW = truth_HW.astype(np.uint16)
    pairs_HW <<= 8
    pairs_HW |= prediction_HW
    counts = value_counts(pairs_HW.ravel(), _VALUES**2).reshape(_VALUES, _VALUES)
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
