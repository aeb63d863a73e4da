"""The learning rate schedules by name, in optimizer steps.

Each schedule is a function of the step 0..`total` (at `total` training is over), of the steps in all
and of the warm-up: it returns the factor of the base rate, or the rate, and raises ValueError for a
step outside. After a linear warm-up (Goyal et al. 2017, section 2.2) `progress` is the fraction of the
remaining steps that lie before the present one.
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
    total, warmup = lengths.total, lengths.warmup
    match train.schedule:
        case "constant":
            return train.lr * constant_factor(step, total, warmup)
        case "halving":
            return train.lr * halving_factor(step, total, warmup, lengths.halve_every)
        case "poly":
            return train.lr * poly_factor(step, total, warmup, train.poly.power)
        case "cosine":
            return train.lr * cosine_factor(step, total, warmup)
        case "one_cycle":
            return train.lr * one_cycle_factor(
                step,
                total,
                peak=train.one_cycle.peak,
                start_divisor=train.one_cycle.start_divisor,
                final_divisor=train.one_cycle.final_divisor,
            )
        case "plateau":
            return train.lr * plateau_factor(
                step,
                total,
                warmup,
                watched,
                larger_is_better=not train.plateau.metric.endswith("loss"),
                factor=train.plateau.factor,
                patience=train.plateau.patience,
                threshold=train.plateau.threshold,
            )
        case "warmup_sqrt":
            return warmup_sqrt_rate(
                step,
                total,
                warmup,
                base=train.lr,
                minimum=train.warmup_sqrt.minimum,
                decay=train.warmup_sqrt.decay,
            )


def constant_factor(step: int, total: int, warmup: int) -> float:
    """Return 1 after the warm-up."""
    _progress(step, total, warmup)
    return _warmup_factor(step, warmup)


def halving_factor(step: int, total: int, warmup: int, every: int) -> float:
    """Return 1/2 to the power of step // `every`, as torch's StepLR with gamma 0.5.

    The lengths are counted from the start of training, so that a halving after whole epochs comes
    at the end of an epoch; the warm-up is multiplied in.
    """
    _progress(step, total, warmup)
    decay: float = 0.5 ** (step // every)
    return _warmup_factor(step, warmup) * decay


def poly_factor(step: int, total: int, warmup: int, power: float) -> float:
    """Return (1 - progress)^power, 0..1, which is 0 at `total`; the last step taken still moves.

    The schedule of DeepLab (Chen et al. 2016, https://arxiv.org/abs/1606.00915).
    """
    decay: float = (1.0 - _progress(step, total, warmup)) ** power
    return _warmup_factor(step, warmup) * decay


def cosine_factor(step: int, total: int, warmup: int) -> float:
    """Return (1 + cos(pi progress)) / 2, 0..1, which is 0 at `total`; the last step taken still moves.

    Loshchilov and Hutter 2016, https://arxiv.org/abs/1608.03983, equation 5.
    """
    decay = (1.0 + math.cos(math.pi * _progress(step, total, warmup))) / 2.0
    return _warmup_factor(step, warmup) * decay


def one_cycle_factor(
    step: int, total: int, peak: float, start_divisor: float, final_divisor: float
) -> float:
    """Return the factor of the highest rate, 0..1 (Smith and Topin 2017, https://arxiv.org/abs/1708.07120).

    It climbs along half a cosine from 1 / start_divisor to 1, which it reaches after the fraction
    `peak` of the steps, and falls along another to 1 / (start_divisor * final_divisor), which is
    the last step's (total-1); `total` has the same. This is torch's OneCycleLR with cosines and two
    phases; where the climb has no step at all, the first step has the peak.
    """
    _refuse_outside(step, total)
    start = 1.0 / start_divisor
    end = start / final_divisor
    last = total - 1
    top = max(peak * total - 1.0, 0.0)
    if step <= top:
        return _half_cosine(start, 1.0, step / top) if top else 1.0
    return _half_cosine(1.0, end, min((step - top) / (last - top), 1.0)) if last > top else end


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
    """Return `factor` to the power of the number of plateaus, as torch's ReduceLROnPlateau.

    values: the watched metric at each validation before the step. The result depends on them and
    on nothing else, so that a resumed run needs no state of the schedule. After more than `patience`
    of them in a row without gain the rate is multiplied by `factor`, and the count begins anew. A
    gain is better than the best value by the fraction `threshold` of it; not a number is no gain.
    """
    _progress(step, total, warmup)
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
    return _warmup_factor(step, warmup) * decay


def warmup_sqrt_rate(
    step: int, total: int, warmup: int, base: float, minimum: float, decay: float
) -> float:
    """Return the learning rate itself, of a quadratic warm-up and a square-root decay.

    Before `warmup` it is max(base step^2 / warmup^2, minimum), after it
    max(base - sqrt((step - warmup) / decay), minimum): with base 1e-3, minimum 1e-4, a warm-up of
    100 and decay 5e8 the minimum is reached at step 505. A minimum above the base rate counts as
    the base rate.
    """
    _progress(step, total, warmup)
    floor = min(minimum, base)
    if step < warmup:
        return max(base * step**2 / warmup**2, floor)
    return max(base - math.sqrt((step - warmup) / decay), floor)


def _warmup_factor(step: int, warmup: int) -> float:
    """Return the factor, 0..1, of step 0..`warmup`: it climbs in equal parts and ends at 1.

    The first step already has 1 / (warmup + 1), for a step at rate 0 would learn nothing.
    """
    return min(step + 1, warmup + 1) / (warmup + 1)


def _progress(step: int, total: int, warmup: int) -> float:
    """Return the fraction, 0..1, of the steps after the warm-up that lie before `step`.

    Raises ValueError unless 0 <= step <= total and 0 <= warmup < total.
    """
    if not 0 <= warmup < total:
        raise ValueError(f"a warm-up of {warmup} steps does not fit into {total} steps")
    _refuse_outside(step, total)
    return max(step - warmup, 0) / (total - warmup)


def _refuse_outside(step: int, total: int) -> None:
    if not 0 <= step <= total:
        raise ValueError(f"step {step} lies outside of the schedule of {total} steps")


def _half_cosine(start: float, end: float, fraction: float) -> float:
    return end + (start - end) / 2.0 * (1.0 + math.cos(math.pi * fraction))


def _is_gain(value: float, best: float, threshold: float) -> bool:
    return not math.isnan(value) if math.isnan(best) else value > best + threshold * abs(best)
