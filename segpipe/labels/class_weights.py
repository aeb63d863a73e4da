"""Weights of the classes in a loss, from how often each class occurs in the training pixels.

K classes. All weights are scaled so that their mean over the training pixels is 1 (the loss keeps
its size and the learning rate its meaning); a class without a pixel has weight 0.
"""

from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from segpipe.runtime.errors import DataError, ParameterError

ClassWeightKind = Literal["inverse", "median", "enet", "effective"]
KINDS: tuple[ClassWeightKind, ...] = get_args(ClassWeightKind)

_ENET_C = 1.02


def class_weights(
    kind: ClassWeightKind, pixels_K: NDArray[np.int64], present_pixels_K: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Return the weight of each class, (K,).

    pixels_K: pixels of each class over the training split. present_pixels_K: valid (not void) pixels
    of all training images in which the class is present.

    With n the pixels of a class, N those of all, before scaling:
    - inverse: N / n, so that every class has the same say;
    - median: median of f over f, with f = n / present pixels, the frequency of the class where it is
      present (Eigen and Fergus 2015, "Predicting depth, surface normals and semantic labels with a
      common multi-scale convolutional architecture", section 6.3.2); the median is over the classes
      that occur;
    - enet: 1 / ln(1.02 + n / N) (Paszke et al. 2016, "ENet", section 5.2), between 1.4 and 50;
    - effective: (1 - b) / (1 - b^n) (Cui et al. 2019, "Class-balanced loss based on effective number
      of samples", equation 12) with b = (N - 1) / N.

    Raises DataError when no class has a pixel, ParameterError for another kind, ValueError for counts
    that cannot be.
    """
    _refuse_impossible(pixels_K, present_pixels_K)
    total = int(pixels_K.sum())
    if not total:
        raise DataError(
            "no training pixel shows any class, so classes cannot be weighted; look at the masks and "
            "at the label scheme with `segpipe check`"
        )
    seen_K = pixels_K > 0
    counts = pixels_K[seen_K].astype(np.float64)
    match kind:
        case "inverse":
            raw = total / counts
        case "median":
            frequencies = counts / present_pixels_K[seen_K]
            raw = np.median(frequencies) / frequencies
        case "enet":
            raw = 1 / np.log(_ENET_C + counts / total)
        case "effective":
            raw = _inverse_effective_number(counts, total)
        case _:
            raise ParameterError(
                f"classes cannot be weighted by {kind!r}; it can be {', '.join(KINDS)}"
            )
    weights_K = np.zeros(len(pixels_K))
    weights_K[seen_K] = raw * total / (raw * counts).sum()
    return weights_K


def _inverse_effective_number(counts: NDArray[np.float64], total: int) -> NDArray[np.float64]:
    """Return (1 - b) / (1 - b^n) for b = (N - 1) / N, exact also where b is nearly 1."""
    if total == 1:
        return np.ones_like(counts)
    return np.asarray((1 / total) / -np.expm1(counts * np.log1p(-1 / total)))


def _refuse_impossible(pixels_K: NDArray[np.int64], present_pixels_K: NDArray[np.int64]) -> None:
    if pixels_K.ndim != 1 or pixels_K.shape != present_pixels_K.shape:
        raise ValueError(
            f"counts of shapes {pixels_K.shape} and {present_pixels_K.shape}, not (K,)"
        )
    if (pixels_K < 0).any() or (pixels_K > present_pixels_K).any():
        raise ValueError(
            "pixels of a class must be 0 or more, and no more than all pixels of the images that hold it"
        )
