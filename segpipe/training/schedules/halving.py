"""The learning rate is halved again and again, after equal lengths."""

from segpipe.training.schedules.warmup import decay_progress, warmup_factor


def halving_factor(step: int, total: int, warmup: int, every: int) -> float:
    """Return the factor of the base rate at optimizer step 0..`total`: 1/2 to the step // `every`.

    The lengths are counted from the start of training, so that a halving after whole epochs comes
    at the end of an epoch; a linear warm-up of `warmup` steps lies over them. torch's StepLR with
    gamma 0.5. Raises ValueError for a step outside.
    """
    decay_progress(step, total, warmup)
    decay: float = 0.5 ** (step // every)
    return warmup_factor(step, warmup) * decay
