"""Temperature scaling: one number by which logits are divided, so that probabilities mean something.

Guo et al., "On calibration of modern neural networks", ICML 2017, section 4.2. It changes no label:
the largest logit stays the largest. Of one logit z the logits are 0 and z.

Shapes: N pixels, K classes.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

SMALLEST, LARGEST = 0.05, 20.0
_ROWS = 20_000  # whose terms are in memory together
_ITERATIONS = 100


def fit_temperature(logits_NK: NDArray[Any], truth_N: NDArray[np.integer[Any]]) -> float | None:
    """Return the temperature of the least mean negative log likelihood of the truth.

    truth_N: train ids, none of them VOID. None where no temperature within 0.05 and 20 is best, as for
    pixels that are all right, or no better than chance; without pixels; and for logits that are not
    finite. The likelihood is convex in 1 / temperature, whose best value Newton's method finds in a
    bracket; sums are in float64 and in the order of the pixels.
    """
    if not len(truth_N) or not np.isfinite(logits_NK).all():
        return None
    low, high = 1 / LARGEST, 1 / SMALLEST
    if _slope(logits_NK, truth_N, low)[0] >= 0 or _slope(logits_NK, truth_N, high)[0] <= 0:
        return None
    scale = 1.0
    for _ in range(_ITERATIONS):
        slope, curvature = _slope(logits_NK, truth_N, scale)
        low, high = (low, scale) if slope > 0 else (scale, high)
        following = scale - slope / curvature if curvature > 0 else low
        if not low < following < high:
            following = (low + high) / 2
        if abs(following - scale) <= 1e-9 * scale:
            break
        scale = following
    return round(1 / scale, 6)


def _slope(
    logits_NK: NDArray[Any], truth_N: NDArray[np.integer[Any]], scale: float
) -> tuple[float, float]:
    """Return the first and second derivative, by the scale 1 / temperature, of the summed loss.

    Of a pixel they are mean - z[truth] and the variance of z, both under softmax(scale z).
    """
    slope = curvature = 0.0
    for start in range(0, len(truth_N), _ROWS):
        rows = slice(start, start + _ROWS)
        z_NK = logits_NK[rows].astype(np.float64)
        z_NK -= z_NK.max(1, keepdims=True)
        chance_NK = np.exp(scale * z_NK)
        chance_NK /= chance_NK.sum(1, keepdims=True)
        mean_N = (chance_NK * z_NK).sum(1)
        slope += float((mean_N - z_NK[np.arange(len(z_NK)), truth_N[rows]]).sum())
        curvature += float(((chance_NK * z_NK**2).sum(1) - mean_N**2).sum())
    return slope, curvature
