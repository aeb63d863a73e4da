"""The same learning rate from the warm-up to the end."""

from segpipe.training.schedules.warmup import decay_progress, warmup_factor


def constant_factor(step: int, total: int, warmup: int) -> float:
    """Return the factor of the base rate at optimizer step 0..`total`: 1 after a linear warm-up.

    Raises ValueError for a step outside.
    """
    decay_progress(step, total, warmup)
    return warmup_factor(step, warmup)
