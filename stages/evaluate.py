"""Stage evaluate: score the model on the raw labels of a split, at their own resolution.

reads   models/, data/raw/, data/prepared/ (which images belong to the split)
writes  metrics/scores.json (the headline scores), metrics/evaluation.json and the tables classes.csv,
        images.csv, groups.csv, image_counts.csv, confusion.csv, precision_recall.csv, boundaries.csv and
        reliability.csv beside them

Example: dvc exp run -S evaluate.split=test
"""

import sys
from collections.abc import Mapping
from pathlib import Path

from segpipe.dataset.digests import prepared_samples
from segpipe.evaluation.evaluate import evaluate
from segpipe.evaluation.report import evaluation_report
from segpipe.inference.predictor import Predictor
from segpipe.inference.views import Views
from segpipe.params.schema import Params
from segpipe.results.evaluation import Evaluation, Foreground
from segpipe.results.evaluation_tables import HeadlineScores, headline_scores
from segpipe.results.records import METRICS, write_record
from segpipe.runtime.console import say
from segpipe.runtime.provenance import Snapshot
from segpipe.tracking.run import training_run
from stages.entry import run_stage

RAW, PREPARED, BUNDLE = Path("data/raw"), Path("data/prepared"), Path("models")


def run(params: Params, snapshot: Snapshot) -> None:
    """Evaluate, write the tables, and add the scores to the training's MLflow run."""
    options = params.evaluate
    predictor = Predictor.load(BUNDLE, views=Views.of(options))
    # Opened before the work: a server that does not answer is said at once.
    with training_run(params.tracking, METRICS / "mlflow.json") as tracker:
        samples = prepared_samples(PREPARED, options.split)
        counts = evaluate(
            predictor,
            samples,
            RAW,
            boundaries=options.boundaries,
            probabilities=options.probabilities,
            temporal=options.temporal != "none",
        )
        report = evaluation_report(counts, predictor, options.split)
        snapshot.verify()
        paths = report.write(METRICS)
        headline = headline_scores(report.evaluation)
        write_record(METRICS / HeadlineScores.file, headline)
        scores = headline.model_dump() | {"pixel_accuracy": report.evaluation.pixel_accuracy}
        tracker.log_metrics(_named(scores, options.split), step=None)
        for path in paths:
            tracker.log_files(path, "evaluation")
    _say_scores(report.evaluation)


def _say_scores(found: Evaluation) -> None:
    split, bounds = found.protocol.split, found.miou_interval
    if found.miou is None:
        say(
            f"{split}: the truth of all {found.protocol.images_without_truth} images is withheld, so "
            "there are no scores; `dvc repro render` writes the predictions"
        )
        return
    spread, reason = "", found.protocol.no_interval
    if bounds is not None:
        spread = f" (95 % interval {100 * bounds.low:.2f} to {100 * bounds.high:.2f} %)"
    elif reason is not None:
        spread = f" (no interval: {reason})"
    say(
        f"{split}: mIoU {_shown(found.miou)}{spread}, pixel accuracy {_shown(found.pixel_accuracy)} on "
        f"{found.protocol.images} images; see {METRICS / Evaluation.file}"
    )
    if found.foreground is not None:
        _say_foreground(found.foreground)


def _say_foreground(found: Foreground) -> None:
    by_image = found.by_image
    say(
        f"{found.class_name}: IoU {_shown(found.iou)} over the split, {_shown(by_image.iou)} by "
        f"image; Dice {_shown(found.dice)} and {_shown(by_image.dice)}; average precision "
        f"{_shown(found.average_precision)}"
    )


def _shown(score: float | None) -> str:
    return "-" if score is None else f"{100 * score:.2f} %"


def _named(scores: Mapping[str, float | None], split: str) -> dict[str, float]:
    """Return the scores as MLflow names them: `miou` of the validation split, `test_miou` of another.

    They are rounded, since its pages show all digits; evaluation.json among the artifacts is exact.
    """
    prefix = "" if split == "val" else f"{split}_"
    return {f"{prefix}{name}": round(one, 4) for name, one in scores.items() if one is not None}


if __name__ == "__main__":
    sys.exit(run_stage("evaluate", run, __doc__))
