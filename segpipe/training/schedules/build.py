"""The learning rate schedules by name; one unit inside: optimizer steps."""

from collections.abc import Sequence

from segpipe.params.train import TrainParams
from segpipe.training.schedules.constant import constant_factor
from segpipe.training.schedules.cosine import cosine_factor
from segpipe.training.schedules.halving import halving_factor
from segpipe.training.schedules.lengths import StepLengths
from segpipe.training.schedules.one_cycle import one_cycle_factor
from segpipe.training.schedules.plateau import plateau_factor
from segpipe.training.schedules.poly import poly_factor
from segpipe.training.schedules.warmup_sqrt import warmup_sqrt_rate


def learning_rate(
    train: TrainParams, steps: StepLengths, step: int, watched: Sequence[float] = ()
) -> float:
    """Return the rate for optimizer step 0..total-1 (`total`: training is over).

    watched: what `train.plateau.metric` was at each validation before the step; only plateau looks
    at it. Raises ValueError for a step outside of the schedule.
    """
    total, warmup = steps.total, steps.warmup
    match train.schedule:
        case "constant":
            return train.lr * constant_factor(step, total, warmup)
        case "halving":
            return train.lr * halving_factor(step, total, warmup, steps.halve_every)
        case "poly":
            return train.lr * poly_factor(step, total, warmup, train.poly.power)
        case "cosine":
            return train.lr * cosine_factor(step, total, warmup)
        case "one_cycle":
            cycle = train.one_cycle
            divisors = cycle.start_divisor, cycle.final_divisor
            return train.lr * one_cycle_factor(step, total, cycle.peak, *divisors)
        case "plateau":
            return train.lr * _plateau(train, steps, step, watched)
        case "warmup_sqrt":
            sqrt = train.warmup_sqrt
            return warmup_sqrt_rate(step, total, warmup, train.lr, sqrt.minimum, sqrt.decay)


def _plateau(train: TrainParams, steps: StepLengths, step: int, watched: Sequence[float]) -> float:
    plateau = train.plateau
    return plateau_factor(
        step,
        steps.total,
        steps.warmup,
        watched,
        not plateau.metric.endswith("loss"),
        plateau.factor,
        plateau.patience,
        plateau.threshold,
    )
