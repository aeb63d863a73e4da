"""Stage render: draw predictions beside the truth, and the figures of the training.

reads   models/, data/raw/, data/prepared/, data/report/report.json, metrics/
writes  predictions/ (labels, colours, overlays, comparisons, figures, contact_sheet.png, rows.png),
        metrics/report.html

Example: dvc exp run -S render.images=20 -S render.order=name
"""

import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from segpipe.dataset.digests import prepared_samples
from segpipe.inference.pictures import SHEET, Drawing, draw_examples, draw_samples
from segpipe.inference.predictor import Predictor
from segpipe.inference.views import Views
from segpipe.params.schema import Params
from segpipe.raw.sample import Sample
from segpipe.rendering.choice import spread_choice, worst_median_best
from segpipe.rendering.figures import (
    Point,
    class_bars,
    confusion_figure,
    precision_recall_figure,
    training_curves,
)
from segpipe.rendering.report.report import write_report
from segpipe.rendering.report.reproduction import reproduction
from segpipe.results.data_report import DATA_REPORT
from segpipe.results.evaluation_tables import (
    ClassRow,
    ConfusionCell,
    ImageRow,
    PrecisionRecallPoint,
)
from segpipe.results.records import METRICS, REPORT, Score, read_table
from segpipe.results.training import HistoryRow
from segpipe.runtime.atomic import atomic_dir
from segpipe.runtime.console import say
from segpipe.runtime.provenance import Snapshot
from segpipe.tracking.run import training_run
from stages.entry import run_stage

RAW, PREPARED, BUNDLE = Path("data/raw"), Path("data/prepared"), Path("models")
PREDICTIONS = Path("predictions")


def run(params: Params, snapshot: Snapshot) -> None:
    """Render into predictions/, whole or not at all, write the report, and add both to the MLflow run."""
    ious = {row.name: row.miou for row in read_table(ImageRow, METRICS / ImageRow.file)}
    samples = {sample.name: sample for sample in prepared_samples(PREPARED, params.evaluate.split)}
    # images.csv lists the worst first.
    ranked = [samples[name] for name in ious]
    predictor = Predictor.load(BUNDLE, views=Views.of(params.evaluate))
    chosen, title = _chosen(params, ranked, predictor)
    examples = worst_median_best([sample for sample in ranked if ious[sample.name] is not None])
    # Opened before the work: a server that does not answer is said at once.
    with training_run(params.tracking, METRICS / "mlflow.json") as tracker:
        with atomic_dir(PREDICTIONS) as partial:
            drawing = Drawing(predictor, RAW, partial, params.render.opacity, ious)
            drawn = draw_samples(chosen, drawing, title)
            _draw_figures(partial / "figures", predictor.bundle.threshold)
            shown, legend = draw_examples(examples, drawing, drawn)
            snapshot.verify()
        write_report(
            REPORT,
            METRICS,
            data=DATA_REPORT,
            examples=shown,
            legend=legend,
            reproduction=reproduction(predictor.bundle.lineage, params),
        )
        tracker.log_files(PREDICTIONS, "predictions")
        tracker.log_files(REPORT, "evaluation")
    say(f"{len(chosen)} predictions are in {PREDICTIONS}/; {PREDICTIONS / SHEET} shows them all")
    say(f"the report: {REPORT}; `segpipe show --open` opens it")


def _chosen(
    params: Params, ranked: Sequence[Sample], predictor: Predictor
) -> tuple[list[Sample], str]:
    """Return what is drawn, in its order, and the title of the sheet. ranked: the worst first."""
    number, split = params.render.images, params.evaluate.split
    if params.render.order == "name":
        ordered, words = sorted(ranked, key=lambda sample: sample.name), "the first by name"
    else:
        worst = spread_choice(ranked, number)
        ordered = [*worst, *(sample for sample in ranked if sample not in worst)]
        words = "the worst by mIoU, spread over their groups"
    drawn = predictor.reader.drawn(ordered, RAW, number)
    return drawn, f"Split {split}: {len(drawn)} of {len(ranked)} images, {words}"


def _draw_figures(folder: Path, threshold: float | None) -> None:
    history = read_table(HistoryRow, METRICS / HistoryRow.file)
    training_curves([row.model_dump(exclude_none=True) for row in history], folder / "training.png")
    classes = read_table(ClassRow, METRICS / ClassRow.file)
    names = [row.class_name for row in classes]
    cells = read_table(ConfusionCell, METRICS / ConfusionCell.file)
    counts = np.array([cell.count for cell in cells], np.int64).reshape(len(names), len(names))
    confusion_figure(counts, names, folder / "confusion.png")
    class_bars(
        {row.class_name: _or_nan(row.iou) for row in classes},
        {row.class_name: row.share for row in classes},
        folder / "classes.png",
    )
    points = [
        Point(row.class_name, row.threshold, _or_nan(row.precision), _or_nan(row.recall))
        for row in read_table(PrecisionRecallPoint, METRICS / PrecisionRecallPoint.file)
    ]
    precision_recall_figure(points, threshold, folder / "precision_recall.png")


def _or_nan(score: Score) -> float:
    return np.nan if score is None else score


if __name__ == "__main__":
    sys.exit(run_stage("render", run, __doc__))
