"""The charts of a report: what a training reached over its epochs, and what probabilities are worth."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from markupsafe import Markup

from segpipe.rendering.report.charts import Line, Scale, fitted, line_chart
from segpipe.results.evaluation_tables import PrecisionRecallPoint, ReliabilityBin
from segpipe.results.training import HistoryRow

_MOST_POINTS = 400  # of a line
_Row = TypeVar("_Row")


@dataclass(frozen=True)
class Chart:
    """A chart and the names of its lines, in the order of their colours."""

    title: str
    names: Sequence[str]
    drawing: Markup


def training_charts(history: Sequence[HistoryRow]) -> list[Chart]:
    """Return the losses, and the scores of validation and, where they were counted, training."""
    rows = _thinned(history)
    losses = {
        "train_loss": "training",
        "val_loss": "validation",
        "partial_val_loss": "validation, few samples",
    }
    scores = {
        "val_miou": "mIoU",
        "val_pixel_accuracy": "pixel accuracy",
        "val_weighted_f1": "weighted F1",
        "partial_val_miou": "mIoU, few samples",
    }
    trained = {"train_miou": "training", "val_miou": "validation"}
    accuracies = {"train_pixel_accuracy": "training", "val_pixel_accuracy": "validation"}
    counted = any(row.train_miou is not None for row in rows)
    return [
        *_over_epochs("Loss per valid pixel", "loss", rows, losses),
        *_over_epochs("Scores of the validation images", "score", rows, scores, percent=True),
        *(_over_epochs("Mean IoU", "score", rows, trained, percent=True) if counted else []),
        *(
            _over_epochs("Pixel accuracy", "score", rows, accuracies, percent=True)
            if counted
            else []
        ),
    ]


def _over_epochs(
    title: str,
    label: str,
    rows: Sequence[HistoryRow],
    columns: Mapping[str, str],
    *,
    percent: bool = False,
) -> list[Chart]:
    """Return the chart of the columns, by their names in the legend, in a list; empty without a value."""
    lines = []
    for column, name in columns.items():
        values = [(row.epoch, getattr(row, column)) for row in rows]
        known = [(epoch, value) for epoch, value in values if value is not None]
        if known:  # a history of an earlier version lacks some columns
            lines.append(Line(name, known))
    points = [point for line in lines for point in line.points]
    if not points:
        return []
    x = fitted("epoch", [epoch for epoch, _ in points])
    y = fitted(label, [value for _, value in points], percent=percent)
    return [Chart(title, [line.name for line in lines], line_chart(lines, x, y))]


def reliability_chart(bins: Sequence[ReliabilityBin]) -> list[Chart]:
    """Return accuracy over confidence, in a list; empty where no bin holds a pixel."""
    points = [
        (one.confidence, one.accuracy)
        for one in bins
        if one.confidence is not None and one.accuracy is not None
    ]
    if not points:
        return []
    x = Scale("confidence", min(one[0] for one in points) // 0.1 * 0.1, 1.0, percent=True)
    drawing = line_chart(
        [Line("pixels", points)], x, Scale("accuracy", 0.0, 1.0, percent=True), diagonal=True
    )
    return [Chart("Accuracy over confidence", [], drawing)]


def precision_recall_chart(points: Sequence[PrecisionRecallPoint]) -> list[Chart]:
    """Return precision over recall at each threshold, in a list; empty unless there is one logit."""
    known = [
        (one.recall, one.precision)
        for one in points
        if one.threshold is not None and one.precision is not None and one.recall is not None
    ]
    if not known:
        return []
    whole = (Scale(label, 0.0, 1.0, percent=True) for label in ("recall", "precision"))
    drawing = line_chart([Line(points[0].class_name, _thinned(known))], *whole)
    return [Chart(f"Precision over recall of {points[0].class_name}", [], drawing)]


def _thinned(rows: Sequence[_Row]) -> list[_Row]:
    """Return at most 400 of the rows, evenly spaced, and the last one."""
    step = max(1, -(-len(rows) // _MOST_POINTS))
    return [*rows[:-1:step], *rows[-1:]]
