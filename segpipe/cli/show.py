"""segpipe show: the scores of the last run, and where everything is."""

import argparse
import json
from pathlib import Path
from typing import Any

from segpipe.runtime.console import say
from segpipe.runtime.errors import DataError

_METRICS = Path("metrics")
_PLACES = (
    ("model", "models/", "weights and description; `segpipe predict IMAGES --out DIR` uses it"),
    ("pictures", "predictions/contact_sheet.png", "truth against prediction, the worst first"),
    ("rows", "predictions/rows.png", "image, truth and prediction below each other"),
    (
        "figures",
        "predictions/figures/",
        "training curves, IoU by class, confusion, precision and recall",
    ),
    ("plots", "dvc_plots/index.html", "made by `dvc plots show`"),
    ("scores", "metrics/evaluation.json", "with their protocol; `dvc metrics diff` compares"),
    ("MLflow", "mlflow.db", "`make ui` shows the runs on http://127.0.0.1:5000"),
)


def add_command(commands: "argparse._SubParsersAction[Any]") -> None:
    """Add `show` to the command line."""
    parser = commands.add_parser(
        "show",
        help="show the scores of the last run and where its results are",
        description="Print the scores of metrics/ as a table, and the places of the model, pictures, "
        "plots and MLflow run.",
    )
    parser.set_defaults(run=_run)


def _run(_options: argparse.Namespace) -> int:
    evaluation, training = _read("evaluation.json"), _read("training.json")
    for line in [*_classes(evaluation), "", *_totals(evaluation, training), "", *_places()]:
        say(line)
    return 0


def _read(name: str) -> dict[str, Any]:
    path = _METRICS / name
    try:
        content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise DataError(f"{path}: there is no such file; run `dvc repro` first") from error
    return content


def _classes(evaluation: dict[str, Any]) -> list[str]:
    classes = evaluation["classes"]
    total = max(sum(found["pixels"] for found in classes.values()), 1)
    width = max(len(name) for name in classes)
    lines = [f"{'class':<{width}}  {'IoU':>6}  {'Dice':>6}  {'accuracy':>8}  {'pixels':>7}"]
    for name, found in classes.items():
        lines.append(
            f"{name:<{width}}  {_percent(found['iou']):>6}  {_percent(found['dice']):>6}  "
            f"{_percent(found['accuracy']):>8}  {100 * found['pixels'] / total:>6.2f}%"
        )
    return lines


def _totals(evaluation: dict[str, Any], training: dict[str, Any]) -> list[str]:
    protocol = evaluation["protocol"]
    return [
        f"mIoU                {_percent(evaluation['miou'])}{_between(evaluation['miou_interval'])}",
        f"pixel accuracy      {_percent(evaluation['pixel_accuracy'])}"
        f"{_between(evaluation['pixel_accuracy_interval'])}",
        f"mean accuracy       {_percent(evaluation['mean_accuracy'])}",
        f"weighted IoU        {_percent(evaluation['frequency_weighted_iou'])}",
        *_foreground(evaluation),
        f"measured on         {protocol['images']} images of split {protocol['split']}, "
        f"{protocol['resolution']}",
        *_few_samples(training),
        f"training            {training['seconds']:.0f} s, {training['images_per_second']:.1f} images/s, "
        f"{training['wait_share']:.1%} waiting for data, {training['peak_memory_mb']:.0f} MB, "
        f"{training['processes']} process(es), {training['precision']}",
    ]


def _few_samples(training: dict[str, Any]) -> list[str]:
    """Say so where the training saw a part of the data alone."""
    return [
        f"ATTENTION           train.{name} was {training[name]}: trained on {training['train_samples']} "
        "samples for a try"
        for name in ("limit", "overfit")
        if name in training
    ]


def _foreground(evaluation: dict[str, Any]) -> list[str]:
    """What is said of the class that one logit scores; nothing for other networks."""
    if "foreground" not in evaluation:
        return []
    found, images = evaluation["foreground"], evaluation["foreground"]["by_image"]
    counted = (
        f"{images['images']} images with {found['class']}, "
        f"{images['images_without_the_class']} without"
    )
    return [
        f"IoU by image        {_percent(images['iou'])}{_between(images['iou_interval'])}, {counted}",
        f"Dice by image       {_percent(images['dice'])}{_between(images['dice_interval'])}",
        f"average precision   {_percent(found['average_precision'])}",
        f"threshold           {evaluation['protocol']['threshold']} "
        f"({evaluation['protocol']['threshold_choice']})",
    ]


def _places() -> list[str]:
    return [f"{what:<10}{place:<32}{note}" for what, place, note in _PLACES]


def _percent(value: float | None) -> str:
    return "-" if value is None else f"{100 * value:.2f}"


def _between(bounds: dict[str, float] | None) -> str:
    if bounds is None:
        return ""
    return f"  (95% interval {100 * bounds['low']:.2f} to {100 * bounds['high']:.2f})"
