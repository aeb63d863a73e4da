"""The linear warm-up in front of a schedule (Goyal et al. 2017, section 2.2)."""


def warmup_factor(step: int, warmup: int) -> float:
    """Return the factor, 0..1, of step 0..`warmup`: it climbs in equal parts and ends at 1.

    The first step already has 1 / (warmup + 1), for a step at rate 0 would learn nothing.
    """
    return min(step + 1, warmup + 1) / (warmup + 1)


def decay_progress(step: int, total: int, warmup: int) -> float:
    """Return the share, 0..1, of the steps after the warm-up that lie before `step`.

    Raises ValueError unless 0 <= step <= total and 0 <= warmup < total.
    """
    if not 0 <= warmup < total:
        raise ValueError(f"a warm-up of {warmup} steps does not fit into {total} steps")
    refuse_outside(step, total)
    return max(step - warmup, 0) / (total - warmup)


def refuse_outside(step: int, total: int) -> None:
    """Raise ValueError unless 0 <= step <= total."""
    if not 0 <= step <= total:
        raise ValueError(f"step {step} lies outside of the schedule of {total} steps")
