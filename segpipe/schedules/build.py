"""The learning rate schedules by name; one unit inside: optimizer steps."""

from segpipe.params.train import TrainParams
from segpipe.schedules.cosine import cosine_factor
from segpipe.schedules.poly import poly_factor


def learning_rate(params: TrainParams, step: int, steps_per_epoch: int) -> float:
    """Return the rate for optimizer step 0..total-1 (`total` gives 0: training is over).

    Epochs become steps here and nowhere else: the warm-up is rounded to whole steps and leaves at
    least one for the decay. Raises ValueError for a step outside of the schedule.
    """
    total = params.epochs * steps_per_epoch
    warmup = min(round(params.warmup_epochs * steps_per_epoch), total - 1)
    match params.schedule:
        case "poly":
            return params.lr * poly_factor(step, total, warmup, params.poly_power)
        case "cosine":
            return params.lr * cosine_factor(step, total, warmup)
