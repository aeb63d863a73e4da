"""The results of an evaluation: the scores with their protocol, and the tables beside them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from segpipe.bundle import Bundle
from segpipe.evaluation.counts import EvaluationCounts
from segpipe.evaluation.measure import MeasureSummary
from segpipe.inference.predictor import Predictor
from segpipe.labels.scheme import LabelScheme
from segpipe.results.evaluation import Evaluation
from segpipe.results.evaluation_tables import (
    BoundaryRow,
    ClassRow,
    GroupRow,
    ImageCountsRow,
    ImageRow,
    PrecisionRecallPoint,
    ReliabilityBin,
    class_rows,
)
from segpipe.results.records import Record, new_record, write_record, write_table


@dataclass(frozen=True)
class EvaluationReport:
    """evaluation.json and the tables beside it, by the model of their rows."""

    evaluation: Evaluation
    tables: Mapping[type[Record], Sequence[Record]]

    def write(self, folder: Path) -> list[Path]:
        """Write all files into `folder`; return their paths."""
        paths = [folder / Evaluation.file]
        write_record(paths[0], self.evaluation)
        for model, rows in self.tables.items():
            paths.append(folder / model.file)
            write_table(paths[-1], model, rows, protocol=self.evaluation.protocol.summary)
        return paths


def evaluation_report(
    counts: EvaluationCounts, predictor: Predictor, split: str
) -> EvaluationReport:
    """Return what was measured; a score without meaning is None.

    `foreground` is there only where the network has one logit a pixel. precision_recall.csv is there
    for all: with several logits the largest wins, so each class is one point.
    """
    one_logit = predictor.bundle.threshold is not None
    protocol = _protocol_of_labels(counts, predictor.scheme, split) | _protocol_of_model(predictor)
    return _report(counts, protocol, one_point_a_class=not one_logit)


def label_report(
    counts: EvaluationCounts,
    scheme: LabelScheme,
    split: str,
    predictor: Predictor | None = None,
) -> EvaluationReport:
    """Return what was measured of label images.

    predictor: the model that has made them; without it, what only a model has is None in the protocol.
    """
    of_model = {"left_out": {}} if predictor is None else _protocol_of_model(predictor)
    protocol = _protocol_of_labels(counts, scheme, split) | of_model
    return _report(counts, protocol, one_point_a_class=True)


def _report(
    counts: EvaluationCounts, protocol: Mapping[str, Any], one_point_a_class: bool
) -> EvaluationReport:
    found = counts.summary()
    about = {**protocol, **found.scores["protocol"]}
    evaluation = new_record(Evaluation, {**found.scores, "protocol": about})
    images = _image_rows(found, counts.withheld)
    # DVC wants every file, also that of a measure that was not asked for.
    tables: dict[type[Record], Sequence[Record]] = {BoundaryRow: [], ReliabilityBin: []}
    tables |= found.tables
    tables[GroupRow] = _with_columns(found.tables[GroupRow], "group", found.group_columns)
    tables[ImageCountsRow] = _with_columns(
        found.tables[ImageCountsRow], "name", found.count_columns
    )
    tables[ClassRow], tables[ImageRow] = class_rows(evaluation), images
    if one_point_a_class:
        tables[PrecisionRecallPoint] = _class_points(evaluation)
    return EvaluationReport(evaluation, tables)


def _protocol_of_labels(
    counts: EvaluationCounts, scheme: LabelScheme, split: str
) -> dict[str, Any]:
    return {
        "split": split,
        "images_without_truth": len(counts.withheld),
        "resolution": "raw labels, each at its own size",
        "label_scheme": scheme.name,
        "class_count": scheme.num_classes,
        "ignored_ids": " ".join(map(str, scheme.void_ids)),
        "counting": "one confusion matrix of all valid pixels of the split; a class in neither truth "
        "nor prediction is left out of the means",
    }


def _protocol_of_model(predictor: Predictor) -> dict[str, Any]:
    return {
        "left_out": predictor.bundle.lineage.get("excluded", {}),
        "network_input": _network_input(predictor),
        "edges": _edges(predictor),
        "precision": predictor.precision,
        "processes": 1,
        "threshold": predictor.bundle.threshold,
        "threshold_choice": _threshold_choice(predictor.bundle),
        "views": predictor.views.summary(),
        "data": predictor.bundle.lineage.get("data"),
    }


def _network_input(predictor: Predictor) -> str:
    spec = predictor.input
    shown = f"{spec.height}x{spec.width}"
    if predictor.views.windows == "whole":
        return f"{shown}, {spec.fit}"
    return (
        f"windows of {shown} at the image's resolution, half shared; mean weighted to their middle"
    )


def _edges(predictor: Predictor) -> str:
    """Return in words what the network is shown beyond the edges of its input."""
    if not predictor.bundle.model.missing_pixels(predictor.input.height):
        return "none"
    return "mirrored: the output of the network is smaller than its input; all pixels are scored"


def _threshold_choice(bundle: Bundle) -> str | None:
    """Return in words where the threshold of one logit is from; None where there is none."""
    if bundle.threshold is None:
        return None
    train = bundle.lineage.get("parameters", {}).get("train", {})
    if train.get("threshold") == "auto":
        return "largest IoU on the prepared validation split, for the kept weights"
    return "train.threshold" if "threshold" in train else None


def _image_rows(found: MeasureSummary, withheld: Sequence[str]) -> list[ImageRow]:
    """Return the worst image first; those without a valid pixel, which have no score, last."""
    names = [*found.image_columns["pixels"], *withheld]
    rows = []
    for name in names:
        scores = {column: values.get(name) for column, values in found.image_columns.items()}
        pixels = scores["pixels"] or 0
        rows.append(new_record(ImageRow, {"name": name, **scores, "pixels": pixels}))
    return sorted(rows, key=lambda row: (row.miou is None, row.miou or 0.0, row.name))


def _with_columns(
    rows: Sequence[Record], key: str, added: Mapping[str, Mapping[str, Any]]
) -> list[Record]:
    """Return the rows with the columns that other measures add, by the field `key`."""
    return [
        row.model_copy(update={name: of.get(getattr(row, key)) for name, of in added.items()})
        for row in rows
    ]


def _class_points(evaluation: Evaluation) -> list[PrecisionRecallPoint]:
    return [
        PrecisionRecallPoint(
            class_name=name, threshold=None, precision=scores.precision, recall=scores.accuracy
        )
        for name, scores in evaluation.classes.items()
    ]
