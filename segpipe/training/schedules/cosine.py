"""Half a cosine (Loshchilov and Hutter 2016, https://arxiv.org/abs/1608.03983, equation 5)."""

import math

from segpipe.training.schedules.warmup import decay_progress, warmup_factor


def cosine_factor(step: int, total: int, warmup: int) -> float:
    """Return the factor of the base rate, 0..1, at optimizer step 0..`total`.

    After a linear warm-up of `warmup` steps it is (1 + cos(pi progress)) / 2, 0 at `total`. The
    steps taken are 0..total-1, so the last one still moves. Raises ValueError for a step outside.
    """
    decay = (1.0 + math.cos(math.pi * decay_progress(step, total, warmup))) / 2.0
    return warmup_factor(step, warmup) * decay
