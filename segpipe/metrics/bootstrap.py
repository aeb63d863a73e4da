"""How far a score would move with other images of the same kind.

Shapes: N images, S bootstrap samples, K classes.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from segpipe.randomness import generator

# Confusion matrices (S, K, K), whole numbers in float64, to one number each (S,); NaN where it has
# no meaning. `segpipe.metrics.scores` has some: mean_iou, pixel_accuracy.
Statistic = Callable[[NDArray[np.float64]], NDArray[np.float64]]

_BLOCK = 256


def bootstrap_interval(
    confusion_NKK: NDArray[np.int64],
    statistic: Statistic,
    samples: int,
    seed: int,
    level: float = 0.95,
) -> tuple[float, float] | None:
    """Return the lower and upper end of the percentile interval of a score of the whole split.

    Images, not pixels, are drawn with replacement, for the pixels of an image are not independent
    (Efron 1979, "Bootstrap methods: another look at the jackknife"). The matrices of the drawn
    images are added and scored; the ends are the (1 -+ `level`) / 2 quantiles of the scores.
    Samples without a score (NaN) are left out.

    Returns None where there is nothing to say: fewer than two images (one image would give an
    interval of width 0, as if it were certain), no samples asked for, or no sample with a score.
    The result depends on its arguments alone (law 5).
    """
    images, classes = confusion_NKK.shape[:2]
    if images < 2 or samples < 1:
        return None
    rng = generator(seed, "bootstrap", samples)
    shares = np.full(images, 1.0 / images)
    # float64 holds whole numbers up to 2^53, so this product is exact, and fast.
    counts_NC = confusion_NKK.reshape(images, classes**2).astype(np.float64)
    values = []
    for start in range(0, samples, _BLOCK):
        drawn_SN = rng.multinomial(images, shares, size=min(_BLOCK, samples - start))
        sums_SC = drawn_SN.astype(np.float64) @ counts_NC
        values.append(statistic(sums_SC.reshape(-1, classes, classes)))
    values_S = np.concatenate(values)
    defined = values_S[~np.isnan(values_S)]
    if not defined.size:
        return None
    low, high = np.quantile(defined, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)
