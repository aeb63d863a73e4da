"""Stage render: draw predictions beside the truth, and the figures of the training.

reads   models/, data/raw/, data/prepared/, metrics/
writes  predictions/ (labels, colours, overlays, comparisons, figures, contact_sheet.png, rows.png)

Example: dvc exp run -S render.images=20 -S render.order=name
"""

import csv
import sys
from pathlib import Path

import numpy as np

from segpipe.dataset.layout import INDEX, read_samples
from segpipe.inference.pictures import SHEET, Drawing, draw_rasters, draw_samples
from segpipe.inference.predictor import Predictor
from segpipe.params.schema import Params
from segpipe.raw.sample import Sample
from segpipe.rendering.figures import (
    Point,
    class_bars,
    confusion_figure,
    precision_recall_figure,
    training_curves,
)
from segpipe.runtime.atomic import whole_folder
from segpipe.runtime.console import say
from segpipe.runtime.provenance import Snapshot
from segpipe.tracking.training_run import training_run
from stages.entry import run_stage

RAW, PREPARED, BUNDLE = Path("data/raw"), Path("data/prepared"), Path("models")
METRICS, PREDICTIONS = Path("metrics"), Path("predictions")


def run(params: Params, snapshot: Snapshot) -> None:
    """Render into predictions/, whole or not at all, and add the pictures to the MLflow run."""
    ious = {row["name"]: _number(row["miou"]) for row in _table("images.csv")}
    samples = {
        sample.name: sample for sample in read_samples(PREPARED / params.evaluate.split / INDEX)
    }
    # images.csv lists the worst first.
    ordered = list(ious) if params.render.order == "worst" else sorted(samples)
    predictor = Predictor.load(BUNDLE)
    chosen, draw = [samples[name] for name in ordered], draw_samples
    if predictor.reading.kind == "picture":
        chosen = chosen[: params.render.images]
    else:
        chosen, draw = _of_first_rasters(chosen, params.render.images), draw_rasters
    # Opened before the work: a server that does not answer is said at once.
    with training_run(params.tracking, METRICS / "mlflow.json") as tracker:
        with whole_folder(PREDICTIONS) as partial:
            draw(chosen, Drawing(predictor, RAW, partial, params.render.opacity, ious))
            _draw_figures(partial / "figures", predictor.bundle.threshold)
            snapshot.verify()
        tracker.log_files(PREDICTIONS, "predictions")
    say(f"{len(chosen)} predictions are in {PREDICTIONS}/; {PREDICTIONS / SHEET} shows them all")


def _of_first_rasters(samples: list[Sample], rasters: int) -> list[Sample]:
    """The first window of each of the first rasters; of a tile any window stands for all of it."""
    first: dict[str, Sample] = {}
    for sample in samples:
        first.setdefault(sample.image, sample)
    return list(first.values())[:rasters]


def _draw_figures(folder: Path, threshold: float | None) -> None:
    history = [
        {key: float(value) for key, value in row.items() if value} for row in _table("history.csv")
    ]
    training_curves(history, folder / "training.png")
    classes = _table("classes.csv")
    names = [row["class"] for row in classes]
    counts = np.array([int(row["count"]) for row in _table("confusion.csv")], np.int64)
    confusion_figure(counts.reshape(len(names), len(names)), names, folder / "confusion.png")
    ious = {row["class"]: _number(row["iou"]) for row in classes}
    class_bars(
        {name: np.nan if iou is None else iou for name, iou in ious.items()},
        {row["class"]: float(row["share"]) for row in classes},
        folder / "classes.png",
    )
    points = [
        Point(
            row["class"],
            _number(row["threshold"]),
            *(float(row[name] or "nan") for name in ("precision", "recall")),
        )
        for row in _table("precision_recall.csv")
    ]
    precision_recall_figure(points, threshold, folder / "precision_recall.png")


def _table(name: str) -> list[dict[str, str]]:
    with (METRICS / name).open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def _number(cell: str) -> float | None:
    return float(cell) if cell else None


if __name__ == "__main__":
    sys.exit(run_stage("render", run, __doc__))
