"""Stage evaluate: score the model on the raw labels of a split, at their own resolution.

reads   models/, data/raw/, data/prepared/ (which images belong to the split)
writes  metrics/evaluation.json and the tables classes.csv, images.csv, confusion.csv and
        precision_recall.csv beside it

Example: dvc exp run -S evaluate.split=test
"""

import sys
from pathlib import Path
from typing import Any

from segpipe.dataset.layout import INDEX, read_samples
from segpipe.evaluation.evaluate import count
from segpipe.evaluation.intervals import Interval
from segpipe.evaluation.report import SUMMARY, TABLES, summarise, write_tables
from segpipe.inference.predictor import Predictor
from segpipe.params.schema import Params
from segpipe.runtime.console import say
from segpipe.runtime.provenance import Snapshot
from segpipe.tracking.training_run import training_run
from stages.entry import run_stage

RAW, PREPARED, BUNDLE, METRICS = (
    Path("data/raw"),
    Path("data/prepared"),
    Path("models"),
    Path("metrics"),
)


def run(params: Params, snapshot: Snapshot) -> None:
    """Evaluate, write the tables, and add the scores to the training's MLflow run."""
    options = params.evaluate
    predictor = Predictor.load(BUNDLE)
    interval = Interval(options.bootstrap, options.seed)
    # Opened before the work: a server that does not answer is said at once.
    with training_run(params.tracking, METRICS / "mlflow.json") as tracker:
        counts = count(predictor, read_samples(PREPARED / options.split / INDEX), RAW)
        summary = summarise(counts, predictor, options.split, interval)
        snapshot.verify()
        write_tables(counts, predictor, summary, METRICS)
        scores = {
            f"evaluation/{options.split}_{name}": value for name, value in _flat(summary).items()
        }
        tracker.log_metrics(scores, step=None)
        for name in TABLES:
            tracker.log_file(METRICS / name, "evaluation")
    if summary["miou"] is None:
        say(
            f"{options.split}: the truth of all {len(counts.names)} images is withheld, so there are no "
            f"scores; `dvc repro render` writes the predictions"
        )
        return
    bounds = summary["miou_interval"]
    spread = f" (95% interval {bounds['low']:.4f} to {bounds['high']:.4f})" if bounds else ""
    say(
        f"{options.split}: mIoU {summary['miou']:.4f}{spread}, pixel accuracy "
        f"{summary['pixel_accuracy']:.4f} on {len(counts.names)} images; see {METRICS / SUMMARY}"
    )
    if "foreground" in summary:
        _say_foreground(summary["foreground"])


def _say_foreground(found: dict[str, Any]) -> None:
    by_image = found["by_image"]
    say(
        f"{found['class']}: IoU {_shown(found['iou'])} over the split, {_shown(by_image['iou'])} by "
        f"image; Dice {_shown(found['dice'])} and {_shown(by_image['dice'])}; average precision "
        f"{_shown(found['average_precision'])}"
    )


def _shown(score: float | None) -> str:
    return "-" if score is None else f"{score:.4f}"


def _flat(summary: dict[str, Any]) -> dict[str, float]:
    """The scores that MLflow shows as curves and bars: the numbers, the foreground's, IoU by class."""
    flat = {name: value for name, value in summary.items() if isinstance(value, float)}
    foreground = summary.get("foreground", {})
    for prefix, group in (("foreground", foreground), ("by_image", foreground.get("by_image", {}))):
        flat |= {
            f"{prefix}_{name}": value for name, value in group.items() if isinstance(value, float)
        }
    classes = summary["classes"]
    return flat | {
        f"iou_{name}": found["iou"] for name, found in classes.items() if found["iou"] is not None
    }


if __name__ == "__main__":
    sys.exit(run_stage("evaluate", run, __doc__))
