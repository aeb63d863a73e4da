"""What is made of the values of each satellite before a network sees them.

values_THW: all dates of one band of one tile. valid_THW: which of them were measured. Each function
returns float32 in 0..1; what is not valid is 0, and so is a band that is the same everywhere.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.float32]
Valid = NDArray[np.bool_]
# The exponent of a display of gamma 2.2: it spreads the dark values, where land lies.
_GAMMA = 1 / 2.2


def viirs(values_THW: NDArray[Any], valid_THW: Valid) -> Values:
    """Clip the night light to its quantiles 0.05 and 0.95, then bring it to 0..1.

    Quantiles and extremes are those of all dates together, so that a cloudy night stays dark.
    """
    return _min_max(_clipped(values_THW, valid_THW, 0.05, 0.95), valid_THW)


def viirs_maximum(values_THW: NDArray[Any], valid_THW: Valid) -> Values:
    """Return the brightest of the nights, (H, W): the clipped values' maximum over dates, to 0..1.

    Quantiles are those of all dates, extremes those of the maximum itself.
    """
    clipped_THW = np.where(valid_THW, _clipped(values_THW, valid_THW, 0.05, 0.95), -np.inf)
    valid_HW: Valid = np.logical_or.reduce(valid_THW, axis=0)
    return _min_max(np.where(valid_HW, clipped_THW.max(0), 0).astype(np.float32), valid_HW)


def sentinel1(values_THW: NDArray[Any], valid_THW: Valid) -> Values:
    """Logarithm, clip to the quantiles 0.01 and 0.99, Gaussian of sigma 1 over space, to 0..1.

    Quantiles and extremes are those of each date by itself. Zeros and negative values have no
    logarithm: they count in no quantile and become the darkest value.
    """
    from scipy.ndimage import gaussian_filter

    scaled_THW = np.zeros(values_THW.shape, np.float32)
    for date, values_HW in enumerate(values_THW):
        bright_HW = valid_THW[date] & (values_HW > 0)
        log_HW = np.log10(np.where(bright_HW, values_HW, 1).astype(np.float32))
        smooth_HW = gaussian_filter(_clipped(log_HW, bright_HW, 0.01, 0.99), sigma=1)
        scaled_THW[date] = _min_max(smooth_HW, valid_THW[date])
    return scaled_THW


def sentinel2(values_THW: NDArray[Any], valid_THW: Valid) -> Values:
    """Clip to the quantiles 0.10 and 0.90, gamma 1/2.2, to 0..1; over all dates together."""
    return _reflectance(values_THW, valid_THW, 0.10, 0.90)


def landsat(values_THW: NDArray[Any], valid_THW: Valid) -> Values:
    """Clip to the quantiles 0.05 and 0.95, gamma 1/2.2, to 0..1; over all dates together."""
    return _reflectance(values_THW, valid_THW, 0.05, 0.95)


def _reflectance(values_THW: NDArray[Any], valid_THW: Valid, low: float, high: float) -> Values:
    # A reflectance below 0 comes from the correction of the air; its power would be no number.
    clipped_THW: Values = _clipped(values_THW, valid_THW, low, high).clip(min=0)
    return _min_max(np.power(clipped_THW, np.float32(_GAMMA)), valid_THW)


def _clipped(values: NDArray[Any], valid: Valid, low: float, high: float) -> Values:
    """Clip to quantiles of the valid values; what is not valid becomes the lower of them."""
    measured = values[valid]
    if not measured.size:
        return np.zeros(values.shape, np.float32)
    floor, ceiling = np.quantile(measured, [low, high])
    clipped: Values = np.where(valid, values, floor).clip(floor, ceiling).astype(np.float32)
    return clipped


def _min_max(values: Values, valid: Valid) -> Values:
    """Bring the extremes of the valid values to 0 and 1."""
    if not valid.any():
        return np.zeros(values.shape, np.float32)
    measured = values[valid]
    lowest, span = measured.min(), np.ptp(measured)
    if span == 0:
        return np.zeros(values.shape, np.float32)
    scaled: Values = np.where(valid, (values - lowest) / span, 0).astype(np.float32)
    return scaled
