"""The polynomial schedule of DeepLab (Chen et al. 2016, https://arxiv.org/abs/1606.00915)."""

from segpipe.training.schedules.warmup import decay_progress, warmup_factor


def poly_factor(step: int, total: int, warmup: int, power: float) -> float:
    """Return the factor of the base rate, 0..1, at optimizer step 0..`total`.

    After a linear warm-up of `warmup` steps it is (1 - progress)^power, 0 at `total`. The steps
    taken are 0..total-1, so the last one still moves. Raises ValueError for a step outside.
    """
    decay: float = (1.0 - decay_progress(step, total, warmup)) ** power
    return warmup_factor(step, warmup) * decay
