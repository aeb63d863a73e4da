"""One cycle (Smith and Topin 2017, "Super-convergence", https://arxiv.org/abs/1708.07120)."""

import math

from segpipe.training.schedules.warmup import refuse_outside


def one_cycle_factor(
    step: int, total: int, peak: float, start_divisor: float, final_divisor: float
) -> float:
    """Return the factor of the highest rate, 0..1, at optimizer step 0..`total`.

    It climbs along half a cosine from 1 / start_divisor to 1, which it reaches after the share
    `peak` of the steps, and falls along another to 1 / (start_divisor * final_divisor), which is
    the last step's (total-1); `total` has the same. torch's OneCycleLR with cosines and two phases;
    where the climb has no step at all, the first step has the peak.

    Raises ValueError for a step outside.
    """
    refuse_outside(step, total)
    start = 1.0 / start_divisor
    end = start / final_divisor
    last = total - 1
    top = max(peak * total - 1.0, 0.0)
    if step <= top:
        return _cosine(start, 1.0, step / top) if top else 1.0
    return _cosine(1.0, end, min((step - top) / (last - top), 1.0)) if last > top else end


def _cosine(start: float, end: float, share: float) -> float:
    return end + (start - end) / 2.0 * (1.0 + math.cos(math.pi * share))
