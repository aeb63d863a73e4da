"""metrics/report.html: the results of a run on one page, from the records that the stages wrote."""

from collections.abc import Sequence
from pathlib import Path
from typing import TypeVar

from segpipe.rendering.html.page import render_page
from segpipe.rendering.layout import LegendEntry
from segpipe.rendering.report.curves import (
    precision_recall_chart,
    reliability_chart,
    training_charts,
)
from segpipe.rendering.report.examples import Example, embedded_examples
from segpipe.rendering.report.reproduction import Reproduction
from segpipe.results.data_report import DataReport
from segpipe.results.evaluation import ClassScores, Evaluation, EvaluationProtocol
from segpipe.results.evaluation_tables import (
    BoundaryRow,
    ClassRow,
    ConfusionCell,
    GroupRow,
    ImageRow,
    PrecisionRecallPoint,
    ReliabilityBin,
    class_rows,
)
from segpipe.results.records import (
    Record,
    Score,
    read_record,
    read_table,
    set_labels,
    shown_fields,
    shown_values,
)
from segpipe.results.training import ClassHistoryRow, HistoryRow, TrainingSummary
from segpipe.runtime.atomic import write_text

_MOST_CLASSES = 40  # of a confusion matrix; of more the largest confusions are listed
_MOST_ROWS = 60  # of groups and of confusions
_MOST_EPOCHS = 16  # of the validations by class
_Row = TypeVar("_Row", bound=Record)


def write_report(
    path: Path,
    metrics: Path,
    *,
    data: Path | None = None,
    examples: Sequence[Example] = (),
    legend: Sequence[LegendEntry] = (),
    reproduction: Reproduction | None = None,
) -> None:
    """Write the page, self-contained and under 5 MB, from the files in the folders `metrics` and `data`.

    evaluation.json must be there; a file that is missing or empty, as results of earlier versions and
    scores of label images lack some, leaves its section out. data: the folder of report.json; None
    where no data was prepared. examples: images to show; legend: of their colours.
    Raises DataError when a file is damaged.
    """
    evaluation = read_record(Evaluation, metrics / Evaluation.file)
    training_file = metrics / TrainingSummary.file
    training = read_record(TrainingSummary, training_file) if training_file.is_file() else None
    groups = _table(GroupRow, metrics)
    found = None if data is None else read_record(DataReport, data / DataReport.file)
    page = render_page(
        "report/report.html.jinja",
        evaluation=evaluation,
        protocol=_protocol(evaluation.protocol),
        scores=shown_values(evaluation),
        training=training,
        costs=_costs(training),
        class_columns=_class_columns(evaluation),
        classes=_by_need(class_rows(evaluation)),
        curves=training_charts(_table(HistoryRow, metrics)),
        precision_recall=precision_recall_chart(_table(PrecisionRecallPoint, metrics)),
        reliability=reliability_chart(_table(ReliabilityBin, metrics)),
        class_history=_class_history(_table(ClassHistoryRow, metrics)),
        confusion=_confusion(_table(ConfusionCell, metrics)),
        confusions=_largest_confusions(_table(ConfusionCell, metrics)),
        groups=groups[:_MOST_ROWS] if len(groups) > 1 else [],
        group_count=len(groups),
        group_columns=set_labels(GroupRow, groups),
        group_classes=_group_classes(evaluation, groups),
        outlines=_outlines(_table(BoundaryRow, metrics)),
        images={row.name: row for row in _table(ImageRow, metrics)},
        data=found,
        examples=embedded_examples(examples),
        legend=legend,
        reproduction=reproduction,
    )
    write_text(path, page)


def _table(model: type[_Row], folder: Path) -> list[_Row]:
    path = folder / model.file
    return read_table(model, path) if path.is_file() else []


def _protocol(protocol: EvaluationProtocol) -> dict[str, str]:
    """Return what the protocol says, in words, under the names of its fields."""
    found = {}
    for name, value in protocol:
        if value is None or value in ("", {}):
            continue
        if isinstance(value, dict):
            text = ", ".join(f"{key}: {count:,}" for key, count in value.items())
        else:
            text = f"{value:,}" if isinstance(value, int) else str(value)
        found[name.replace("_", " ")] = text
    return found


def _costs(training: TrainingSummary | None) -> dict[str, tuple[float, int | None]]:
    """Return the costs that tables show: value and digits after the point, by label."""
    if training is None:
        return {}
    return {
        shown.label: (getattr(training, name), shown.decimals)
        for name, shown in shown_fields(TrainingSummary).items()
        if getattr(training, name) is not None
    }


def _class_columns(evaluation: Evaluation) -> dict[str, str]:
    """Return the labels of the scores that any class has, by field; IoU apart, which is always shown."""
    labels = set_labels(ClassScores, evaluation.classes.values())
    return {name: label for name, label in labels.items() if name != "iou"}


def _by_need(rows: Sequence[ClassRow]) -> list[ClassRow]:
    """Return the lowest IoU first, the classes without a score last."""
    return sorted(rows, key=lambda row: (row.iou is None, row.iou or 0.0, row.class_name))


def _class_history(rows: Sequence[ClassHistoryRow]) -> dict[float, dict[str, Score]]:
    """Return IoU by class at each validation, by epoch; of many validations every n-th and the last."""
    found: dict[float, dict[str, Score]] = {}
    for row in rows:
        found.setdefault(row.epoch, {})[row.class_name] = row.iou
    epochs = list(found)
    step = max(1, -(-len(epochs) // _MOST_EPOCHS))
    return {epoch: found[epoch] for epoch in [*epochs[:-1:step], *epochs[-1:]]}


def _confusion(cells: Sequence[ConfusionCell]) -> dict[str, list[ConfusionCell]]:
    """Return the cells by true class; nothing where there are more classes than a page can show."""
    rows: dict[str, list[ConfusionCell]] = {}
    for cell in cells:
        rows.setdefault(cell.actual, []).append(cell)
    return rows if len(rows) <= _MOST_CLASSES else {}


def _largest_confusions(cells: Sequence[ConfusionCell]) -> list[ConfusionCell]:
    """Return the cells beside the diagonal that hold most of their true class."""
    wrong = [cell for cell in cells if cell.actual != cell.predicted and cell.share]
    return sorted(wrong, key=lambda cell: -(cell.share or 0.0))[:_MOST_ROWS]


def _group_classes(evaluation: Evaluation, groups: Sequence[GroupRow]) -> list[str]:
    """Return the classes whose IoU by group is shown; none where the groups have none, or for too many."""
    known = bool(groups) and groups[0].class_iou is not None
    return list(evaluation.classes) if known and len(evaluation.classes) <= _MOST_CLASSES else []


def _outlines(rows: Sequence[BoundaryRow]) -> dict[str, dict[float, BoundaryRow]]:
    """Return the scores of outlines by class and width, the lowest Boundary IoU first."""
    found: dict[str, dict[float, BoundaryRow]] = {}
    for row in rows:
        found.setdefault(row.class_name, {})[row.percent] = row
    return dict(sorted(found.items(), key=lambda item: _need(next(iter(item[1].values())))))


def _need(row: BoundaryRow) -> tuple[bool, float]:
    return row.boundary_iou is None, row.boundary_iou or 0.0
