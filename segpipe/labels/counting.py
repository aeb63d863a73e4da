"""Counting the values of label images.

A module of its own, since masks are counted below the metrics, which count pairs of labels.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray


def value_counts(values_N: NDArray[Any], bins: int) -> NDArray[np.int64]:
    """Return how often each whole number from 0 to bins - 1 occurs, (bins,).

    Neighbours in a label image are mostly equal, so runs of equal values are counted: on 2048x1024
    pixels several times faster than bincount, which counts where there is noise instead.
    """
    if not values_N.size:
        return np.zeros(bins, np.int64)
    last = np.flatnonzero(values_N[1:] != values_N[:-1])
    if 4 * last.size > values_N.size:
        return np.bincount(values_N, minlength=bins).astype(np.int64, copy=False)
    ends = np.append(last, values_N.size - 1)
    counts = np.zeros(bins, np.int64)
    np.add.at(counts, values_N[ends], np.diff(ends, prepend=-1))
    return counts
