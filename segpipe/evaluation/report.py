"""What evaluation says: scores with their protocol and their uncertainty, and the tables behind them.

Shapes: N images, K classes.
"""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from segpipe.evaluation.evaluate import Counts
from segpipe.evaluation.foreground import (
    curve_rows,
    foreground_summary,
    image_scores,
    threshold_choice,
)
from segpipe.evaluation.intervals import Interval, number
from segpipe.inference.predictor import Predictor
from segpipe.metrics.precision_recall import FOREGROUND
from segpipe.metrics.scores import Scores, mean_iou, pixel_accuracy, scores
from segpipe.runtime.atomic import write_csv, write_json

SUMMARY, CLASSES, IMAGES = "evaluation.json", "classes.csv", "images.csv"
CONFUSION, PRECISION_RECALL = "confusion.csv", "precision_recall.csv"
TABLES = (SUMMARY, CLASSES, IMAGES, CONFUSION, PRECISION_RECALL)


def summarise(
    counts: Counts, predictor: Predictor, split: str, interval: Interval
) -> dict[str, Any]:
    """Return what metrics/evaluation.json holds; a score without meaning is null.

    `foreground` is there only where the network has one logit a pixel.
    """
    found, by_file = scores(counts.confusion_KK), counts.confusion_by_file
    names = predictor.scheme.classes
    foreground = (
        {}
        if counts.probabilities_2T is None
        else {"foreground": foreground_summary(counts, names[FOREGROUND], interval)}
    )
    return {
        "miou": number(found.miou),
        "miou_interval": interval.of(by_file, mean_iou),
        "pixel_accuracy": number(found.pixel_accuracy),
        "pixel_accuracy_interval": interval.of(by_file, pixel_accuracy),
        "mean_accuracy": number(found.mean_accuracy),
        "mean_dice": number(found.mean_dice),
        "frequency_weighted_iou": number(found.frequency_weighted_iou),
        **foreground,
        "classes": {name: _of_class(found, k) for k, name in enumerate(names)},
        "protocol": _protocol(counts, predictor, split, interval),
    }


def write_tables(
    counts: Counts, predictor: Predictor, summary: dict[str, Any], folder: Path
) -> None:
    """Write evaluation.json, classes.csv, images.csv (worst first), confusion.csv and
    precision_recall.csv to `folder`.
    """
    found, names = scores(counts.confusion_KK), predictor.scheme.classes
    write_json(folder / SUMMARY, summary)
    write_csv(folder / CLASSES, _cells(_class_rows(found, names)))
    write_csv(folder / IMAGES, _cells(_image_rows(counts)))
    write_csv(folder / CONFUSION, _cells(_confusion_rows(counts.confusion_KK, names)))
    write_csv(folder / PRECISION_RECALL, _cells(curve_rows(counts, names, found)))


def _protocol(
    counts: Counts, predictor: Predictor, split: str, interval: Interval
) -> dict[str, Any]:
    spec, scheme = predictor.input, predictor.scheme
    return {
        "split": split,
        "images": len(counts.names) - counts.untold,
        "images_without_truth": counts.untold,
        "pixels": int(counts.confusion_KK.sum()),
        "void_pixels": counts.void_pixels,
        "resolution": "raw labels, each at its own size",
        "left_out": predictor.bundle.lineage.get("excluded", {}),
        "image_sizes": dict(sorted(counts.image_sizes.items())),
        "label_scheme": scheme.name,
        "class_count": scheme.num_classes,
        "ignored_ids": " ".join(map(str, scheme.void_ids)),
        "counting": "one confusion matrix of all valid pixels of the split; a class in neither truth "
        "nor prediction is left out of the means",
        "network_input": f"{spec.height}x{spec.width}, {spec.fit}",
        "precision": predictor.precision,
        "threshold": predictor.bundle.threshold,
        "threshold_choice": threshold_choice(predictor.bundle),
        "views": "single scale, no flip",
        "interval": f"95% percentile bootstrap over images, {interval.samples} samples, seed {interval.seed}"
        if interval.samples
        else "none",
        "data": predictor.bundle.lineage.get("data"),
    }


def _of_class(found: Scores, k: int) -> dict[str, float | int | None]:
    return {
        "iou": number(found.iou_K[k]),
        "dice": number(found.dice_K[k]),
        "accuracy": number(found.accuracy_K[k]),
        "precision": number(found.precision_K[k]),
        "pixels": int(found.pixels_K[k]),
    }


def _class_rows(found: Scores, names: Sequence[str]) -> Iterable[dict[str, Any]]:
    total = max(int(found.pixels_K.sum()), 1)
    for k, name in enumerate(names):
        yield {"class": name, **_of_class(found, k), "share": int(found.pixels_K[k]) / total}


def _image_rows(counts: Counts) -> Iterable[dict[str, Any]]:
    """The worst image first; those without a valid pixel, which have no score, last."""
    rows = []
    for name, confusion_KK in zip(counts.names, counts.confusion_NKK, strict=True):
        found = scores(confusion_KK)
        rows.append(
            {
                "name": name,
                "miou": number(found.miou),
                "pixel_accuracy": number(found.pixel_accuracy),
                "pixels": int(confusion_KK.sum()),
                **({} if counts.probabilities_2T is None else image_scores(confusion_KK)),
            }
        )
    return sorted(rows, key=lambda row: (row["miou"] is None, row["miou"] or 0.0, row["name"]))


def _confusion_rows(
    confusion_KK: NDArray[np.int64], names: Sequence[str]
) -> Iterable[dict[str, Any]]:
    for actual, row in zip(names, confusion_KK.tolist(), strict=True):
        total = sum(row)
        for predicted, pixels in zip(names, row, strict=True):
            share = pixels / total if total else None
            yield {"actual": actual, "predicted": predicted, "count": pixels, "share": share}


def _cells(rows: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{key: _cell(value) for key, value in row.items()} for row in rows]


def _cell(value: Any) -> Any:
    return f"{value:.6g}" if isinstance(value, float) else "" if value is None else value
