"""When a training is over: at its length, or where validation no longer gets better."""

import math
from collections.abc import Sequence

from segpipe.params.schedule import Metric
from segpipe.params.train import EarlyStoppingParams

Row = dict[str, float | None]


def metric_values(history: Sequence[Row], metric: Metric) -> list[float]:
    """Return a metric at each validation so far; not a number where it has no value."""
    validated = [row for row in history if row["val_loss"] is not None]
    return [math.nan if (value := row[metric]) is None else value for row in validated]


def validations_without_gain(values: Sequence[float], metric: Metric, threshold: float) -> int:
    """Return how many of the last values in a row were no gain.

    A gain is better than the best before it by more than `threshold`: larger, or smaller for a
    loss. The first value is one; what is not a number is none.
    """
    sign = -1.0 if metric.endswith("loss") else 1.0
    best, stale = -math.inf, 0
    for value in values:
        if sign * value > best + threshold:
            best, stale = sign * value, 0
        else:
            stale += 1
    return stale


def stops_early(stopping: EarlyStoppingParams, history: Sequence[Row]) -> bool:
    """Return whether `train.early_stopping` ends the training; a function of the history alone."""
    metric = stopping.metric
    if metric is None:
        return False
    values = metric_values(history, metric)
    return validations_without_gain(values, metric, stopping.threshold) >= stopping.patience
