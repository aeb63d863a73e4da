"""segpipe show: the scores of the last run, and where everything is."""

import argparse
import webbrowser
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

from segpipe.results.evaluation import (
    CategoryScores,
    ClassScores,
    Evaluation,
    EvaluationProtocol,
    Foreground,
)
from segpipe.results.evaluation_tables import GroupRow
from segpipe.results.records import (
    METRICS,
    REPORT,
    Interval,
    Score,
    read_record,
    read_table,
    set_labels,
    shown_values,
)
from segpipe.results.training import TrainingSummary
from segpipe.runtime.console import say
from segpipe.runtime.errors import DataError

_Scores = TypeVar("_Scores", ClassScores, CategoryScores, GroupRow)
_MOST_GROUPS = 8
_PLACES = (
    ("report", REPORT, "all of it on one page; `segpipe show --open` opens it"),
    (
        "model",
        Path("models"),
        "weights and description; `segpipe predict IMAGES --out DIR` uses it",
    ),
    ("pictures", Path("predictions/contact_sheet.png"), "truth against prediction"),
    ("rows", Path("predictions/rows.png"), "image, truth and prediction below each other"),
    (
        "figures",
        Path("predictions/figures"),
        "training curves, IoU by class, confusion, precision and recall",
    ),
    ("plots", Path("dvc_plots/index.html"), "made by `dvc plots show`"),
    (
        "scores",
        METRICS / Evaluation.file,
        "with their protocol; `segpipe compare` and `dvc metrics diff` compare",
    ),
    ("MLflow", Path("mlflow.db"), "`segpipe ui` shows the runs"),
)


def add_command(commands: "argparse._SubParsersAction[Any]") -> None:
    """Add `show` to the command line."""
    parser = commands.add_parser(
        "show",
        help="show the scores of the last run and where its results are",
        description="Print the scores of metrics/ as a table, and the places of the model, pictures, "
        "plots and MLflow run, as far as they are there.",
    )
    parser.add_argument("--open", action="store_true", help="open the report in the browser")
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    show_results()
    if options.open:
        _open(REPORT)
    return 0


def show_results() -> None:
    """Print the scores of metrics/ and the places of all results; DataError where there are none."""
    evaluation = read_record(Evaluation, METRICS / Evaluation.file)
    training = read_record(TrainingSummary, METRICS / TrainingSummary.file)
    lines = [*_table("class, all in %", ClassScores, evaluation.classes), ""]
    if evaluation.categories:
        lines += [*_table("category, all in %", CategoryScores, evaluation.categories), ""]
    lines += [*_groups(), *_totals(evaluation), *_training(training)]
    for line in [*lines, "", *_places()]:
        say(line)


def _open(report: Path) -> None:
    if not report.is_file():
        raise DataError(f"{report}: there is no such file; run `dvc repro render`, or `dvc pull`")
    if not webbrowser.open(report.absolute().as_uri()):
        say(f"no browser was found here; open {report.absolute()} in one")


def _table(
    head: str, model: type[_Scores], classes: Mapping[str, _Scores], pixels: int | None = None
) -> list[str]:
    """Return a table in percent with a column for each score that any class (or category, or group) has.

    pixels: of which the last column says the share; None for those of all rows.
    """
    total = max(pixels or sum(found.pixels for found in classes.values()), 1)
    width = max(map(len, (head, *classes)))
    columns = set_labels(model, classes.values())
    labels = "".join(f"  {label:>6}" for label in columns.values())
    lines = [f"{head:<{width}}{labels}  {'pixels':>6}"]
    for name, found in classes.items():
        scores = (
            f"  {_percent(getattr(found, column)):>{max(6, len(label))}}"
            for column, label in columns.items()
        )
        lines.append(f"{name:<{width}}{''.join(scores)}  {100 * found.pixels / total:>6.2f}")
    return lines


def _groups() -> list[str]:
    """Return the scores of the worst groups; nothing of a single one, or where each image is one."""
    path = METRICS / GroupRow.file
    rows = read_table(GroupRow, path) if path.is_file() else []
    if not 1 < len(rows) < sum(row.images for row in rows):
        return []
    worst = {row.group or "(no name)": row for row in rows[:_MOST_GROUPS]}
    more = len(rows) - len(worst)
    return [
        *_table("group, all in %", GroupRow, worst, sum(row.pixels for row in rows)),
        *([f"and {more} more groups with a higher mIoU, in {path}"] if more else []),
        "",
    ]


def _totals(evaluation: Evaluation) -> list[str]:
    protocol, shown = evaluation.protocol, shown_values(evaluation)
    width = max(len(one.label) for one in shown) + 2
    return [
        *(
            f"{one.label:<{max(width, 20)}}{_with_sign(one.value)}{_between(one.interval)}"
            for one in shown
        ),
        *_foreground(evaluation, evaluation.foreground),
        f"measured on         {protocol.summary}",
        *(f"{name:<20}{text}" for name, text in _protocol_lines(protocol).items() if text),
    ]


def _protocol_lines(protocol: EvaluationProtocol) -> dict[str, str | None]:
    """Return what else of the protocol the scores cannot be read without."""
    mirrored = (protocol.edges or "none") != "none"
    return {
        "edges": protocol.edges if mirrored else None,
        "95 % interval": protocol.interval,
        "iIoU": protocol.instances,
        "over time": protocol.temporal,
        "calibration": protocol.calibration,
    }


def _foreground(evaluation: Evaluation, found: Foreground | None) -> list[str]:
    """Return what belongs to the scores of one logit; nothing for other networks."""
    if found is None:
        return []
    images, protocol = found.by_image, evaluation.protocol
    best = "" if found.best_threshold is None else f"; {found.best_threshold:g} is best here"
    return [
        f"by image            {images.images} images with {found.class_name}, "
        f"{images.images_without_the_class} without",
        f"threshold           {protocol.threshold} ({protocol.threshold_choice}){best}",
    ]


def _training(training: TrainingSummary) -> list[str]:
    """Return what the training cost, and whether it saw only a part of the data."""
    limits = {"limit": training.limit, "overfit": training.overfit}
    return [
        *(
            f"ATTENTION           train.{name} was {value}: trained on {training.train_samples} "
            "samples for a try"
            for name, value in limits.items()
            if value is not None
        ),
        f"training            {training.seconds:.0f} s, {training.images_per_second:.1f} images/s, "
        f"{100 * training.wait_share:.1f} % waiting for data, {training.peak_memory_mb:.0f} MB, "
        f"{training.processes} process(es), {training.precision}",
        *([f"MLflow run          {training.mlflow_run}"] if training.mlflow_run else []),
    ]


def _places() -> list[str]:
    """Return what is there; a fresh clone, for instance, has neither MLflow's store nor plots."""
    names = {place: f"{place}/" if place.is_dir() else f"{place}" for _, place, _ in _PLACES}
    return [
        f"{what:<10}{names[place]:<32}{note}" for what, place, note in _PLACES if place.exists()
    ]


def _percent(value: Score) -> str:
    return "-" if value is None else f"{100 * value:.2f}"


def _with_sign(value: Score) -> str:
    return "-" if value is None else f"{_percent(value)} %"


def _between(bounds: Interval | None) -> str:
    if bounds is None:
        return ""
    return f"  (95 % interval {100 * bounds.low:.2f} to {100 * bounds.high:.2f} %)"
