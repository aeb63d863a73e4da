"""The learning rate falls where validation no longer gets better."""

import math
from collections.abc import Sequence

from segpipe.training.schedules.warmup import decay_progress, warmup_factor


def plateau_factor(
    step: int,
    total: int,
    warmup: int,
    values: Sequence[float],
    larger_is_better: bool,
    factor: float,
    patience: int,
    threshold: float,
) -> float:
    """Return the factor of the base rate at optimizer step 0..`total`.

    values: the watched metric at each validation before the step. It depends on them all, and on
    nothing else, so that a resumed run needs no state of the schedule. After more than `patience`
    of them in a row without gain the rate is multiplied by `factor`, and the count begins anew; a
    gain is a value that is better than the best by the share `threshold` of it. torch's
    ReduceLROnPlateau with a relative threshold; not a number is no gain. A linear warm-up lies over it.

    Raises ValueError for a step outside.
    """
    decay_progress(step, total, warmup)
    sign = 1.0 if larger_is_better else -1.0
    best, stale, falls = math.nan, 0, 0
    for value in values:
        if _is_gain(sign * value, best, threshold):
            best, stale = sign * value, 0
        else:
            stale += 1
        if stale > patience:
            falls, stale = falls + 1, 0
    decay: float = factor**falls
    return warmup_factor(step, warmup) * decay


def _is_gain(value: float, best: float, threshold: float) -> bool:
    return not math.isnan(value) if math.isnan(best) else value > best + threshold * abs(best)
