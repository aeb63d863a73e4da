"""Early stopping: a function of the history."""

import math

import pytest

from segpipe.params.train import EarlyStoppingParams
from segpipe.training.history import metric_values, stops_early, validations_without_gain

NAN = math.nan


def rows(*values: float | None) -> list[dict]:
    return [{"val_loss": 1.0, "val_miou": value, "train_loss": 0.5} for value in values]


@pytest.mark.parametrize(
    ("values", "metric", "threshold", "stale"),
    [
        ([], "val_miou", 0.0, 0),
        ([0.1], "val_miou", 0.0, 0),
        ([0.1, 0.2, 0.3], "val_miou", 0.0, 0),
        ([0.3, 0.2, 0.3], "val_miou", 0.0, 2),
        ([0.3, 0.2, 0.1], "val_loss", 0.0, 0),
        ([0.1, 0.2, 0.1], "train_loss", 0.0, 2),
        ([0.1, 0.14, 0.18, 0.22], "val_miou", 0.1, 0),
        ([0.1, 0.14, 0.18], "val_miou", 0.1, 2),
        ([NAN, NAN], "val_miou", 0.0, 2),
        ([NAN, 0.1, NAN], "val_pixel_accuracy", 0.0, 1),
    ],
)
def test_validations_without_gain(values, metric, threshold, stale) -> None:
    assert validations_without_gain(values, metric, threshold) == stale


def test_rows_without_validation_do_not_count() -> None:
    history = rows(0.3, 0.2)
    history.insert(1, {"val_loss": None, "val_miou": None, "train_loss": 0.1})
    stopping = EarlyStoppingParams(metric="val_miou", patience=2)
    assert not stops_early(stopping, history)
    assert stops_early(stopping, [*history, *rows(0.25)])
    assert metric_values(history, "train_loss") == [0.5, 0.5]


def test_without_a_metric_it_never_stops() -> None:
    assert not stops_early(EarlyStoppingParams(patience=1), rows(0.3, 0.2, 0.1))


def test_a_score_that_has_no_value_is_no_gain() -> None:
    assert stops_early(EarlyStoppingParams(metric="val_miou", patience=1), rows(0.3, None))
