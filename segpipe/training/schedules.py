"""The learning rate schedules by name, in optimizer steps.

Most decay after a linear warm-up (Goyal et al. 2017, section 2.2). Those that reach 0 do so at `total`;
the steps taken are 0..total-1, so the last one still moves.
"""

import math
from collections.abc import Sequence

from segpipe.params.train import TrainParams
from segpipe.training.lengths import StepLengths


def learning_rate(
    train: TrainParams, lengths: StepLengths, step: int, watched: Sequence[float] = ()
) -> float:
    """Return the rate for optimizer step 0..total-1 (`total`: training is over).

    watched: the value of `train.plateau.metric` at each validation before the step, which only
    plateau reads. Raises ValueError for a step outside of the schedule.
    """
    progress = _progress(step, lengths.total, lengths.warmup)
    match train.schedule:
        case "constant":
            decay = 1.0
        case "halving":
            # As torch's StepLR with gamma 0.5. The lengths are counted from the start of training,
            # so that a halving after whole epochs comes at the end of an epoch.
            decay = 0.5 ** (step // lengths.halve_every)
        case "poly":
            # DeepLab (Chen et al. 2016, https://arxiv.org/abs/1606.00915); 0 at `total`.
            decay = (1.0 - progress) ** train.poly.power
        case "cosine":
            # Loshchilov and Hutter 2016, https://arxiv.org/abs/1608.03983, equation 5; 0 at `total`.
            decay = (1.0 + math.cos(math.pi * progress)) / 2.0
        case "plateau":
            decay = plateau_decay(
                watched,
                larger_is_better=not train.plateau.metric.endswith("loss"),
                factor=train.plateau.factor,
                patience=train.plateau.patience,
                threshold=train.plateau.threshold,
            )
        case "one_cycle":
            return train.lr * one_cycle_factor(
                step,
                lengths.total,
                peak=train.one_cycle.peak,
                start_divisor=train.one_cycle.start_divisor,
                final_divisor=train.one_cycle.final_divisor,
            )
        case "warmup_sqrt":
            return warmup_sqrt_rate(
                step,
                lengths.warmup,
                base=train.lr,
                minimum=train.warmup_sqrt.minimum,
                decay=train.warmup_sqrt.decay,
            )
    # The warm-up climbs in equal parts and ends at 1. The first step already has 1 / (warmup + 1),
    # for a step at rate 0 would learn nothing.
    warmup = min(step + 1, lengths.warmup + 1) / (lengths.warmup + 1)
    return train.lr * (warmup * decay)


def one_cycle_factor(
    step: int, total: int, peak: float, start_divisor: float, final_divisor: float
) -> float:
    """Return the factor of the highest rate, 0..1 (Smith and Topin 2017, https://arxiv.org/abs/1708.07120).

    It climbs along half a cosine from 1 / start_divisor to 1, which it reaches after the fraction
    `peak` of the steps, and falls along another to 1 / (start_divisor * final_divisor), which is
    the last step's (total-1); `total` has the same. This is torch's OneCycleLR with cosines and two
    phases; where the climb has no step at all, the first step has the peak.
    """
    start = 1.0 / start_divisor
    end = start / final_divisor
    last = total - 1
    top = max(peak * total - 1.0, 0.0)
    if step <= top:
        return _half_cosine(start, 1.0, step / top) if top else 1.0
    return _half_cosine(1.0, end, min((step - top) / (last - top), 1.0)) if last > top else end


def plateau_decay(
    values: Sequence[float],
    larger_is_better: bool,
    factor: float,
    patience: int,
    threshold: float,
) -> float:
    """Return `factor` to the power of the number of plateaus, as torch's ReduceLROnPlateau.

    values: the watched metric at each validation so far. The result depends on them and on nothing
    else, so that a resumed run needs no state of the schedule. After more than `patience` of them in
    a row without gain the rate is multiplied by `factor`, and the count begins anew. A gain is better
    than the best value by the fraction `threshold` of it; not a number is no gain.
    """
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
    return decay


def warmup_sqrt_rate(step: int, warmup: int, base: float, minimum: float, decay: float) -> float:
    """Return the learning rate itself, of a quadratic warm-up and a square-root decay.

    Before `warmup` it is max(base step^2 / warmup^2, minimum), after it
    max(base - sqrt((step - warmup) / decay), minimum): with base 1e-3, minimum 1e-4, a warm-up of
    100 and decay 5e8 the minimum is reached at step 505. A minimum above the base rate counts as
    the base rate.
    """
    floor = min(minimum, base)
    if step < warmup:
        return max(base * step**2 / warmup**2, floor)
    return max(base - math.sqrt((step - warmup) / decay), floor)


def _progress(step: int, total: int, warmup: int) -> float:
    """Return the fraction, 0..1, of the steps after the warm-up that lie before `step`.

    Raises ValueError unless 0 <= step <= total and 0 <= warmup < total.
    """
    if not 0 <= warmup < total:
        raise ValueError(f"a warm-up of {warmup} steps does not fit into {total} steps")
    if not 0 <= step <= total:
        raise ValueError(f"step {step} lies outside of the schedule of {total} steps")
    return max(step - warmup, 0) / (total - warmup)


def _half_cosine(start: float, end: float, fraction: float) -> float:
    return end + (start - end) / 2.0 * (1.0 + math.cos(math.pi * fraction))


def _is_gain(value: float, best: float, threshold: float) -> bool:
    return not math.isnan(value) if math.isnan(best) else value > best + threshold * abs(best)
