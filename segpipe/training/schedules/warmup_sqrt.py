"""Quadratic warm-up and square-root decay."""

import math

from segpipe.training.schedules.warmup import decay_progress


def warmup_sqrt_rate(
    step: int, total: int, warmup: int, base: float, minimum: float, decay: float
) -> float:
    """Return the learning rate at optimizer step 0..`total`; the last is no special step.

    Before `warmup` it is max(base step^2 / warmup^2, minimum), after it
    max(base - sqrt((step - warmup) / decay), minimum): with base 1e-3, minimum 1e-4, a warm-up of
    100 and decay 5e8 the minimum is reached at step 505. A minimum above the base rate counts as
    the base rate. Raises ValueError for a step outside.
    """
    decay_progress(step, total, warmup)
    floor = min(minimum, base)
    if step < warmup:
        return max(base * step**2 / warmup**2, floor)
    return max(base - math.sqrt((step - warmup) / decay), floor)
