"""Results of several runs side by side, as rows of numbers. Pure functions."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import ceil
from typing import Any, Literal

from segpipe.results.experiments import RunResults
from segpipe.results.records import Interval, shown_fields, shown_values
from segpipe.results.training import TrainingSummary

Order = Literal["share", "difference", "name"]


@dataclass(frozen=True)
class Row:
    """A number of each run, None where it has none.

    kind: `class` for IoU by class, `class NAME` for another score by class, `score` or `cost`.
    share: of the class in the valid pixels of the truth. intervals: the 95 % interval of each value.
    difference_intervals: that of each of `differences`.
    decimals: digits after the point that are shown; None for a score in 0..1, shown in percent.
    """

    kind: str
    name: str
    values: tuple[float | None, ...]
    share: float | None = None
    intervals: tuple[Interval | None, ...] = ()
    decimals: int | None = None
    difference_intervals: tuple[Interval | None, ...] = ()

    @property
    def differences(self) -> tuple[float | None, ...]:
        """Each value but the first, less the first."""
        first, *others = self.values
        return tuple(None if one is None or first is None else one - first for one in others)


def class_rows(runs: Sequence[RunResults], order: Order, score: str) -> list[Row]:
    """Return a score (a shown field of `ClassScores`) and the pixel share of every class of any run.

    The share is that of the first run that knows the class. order: `share` puts rare classes first
    and those without a true pixel last; `difference` the largest loss of the last run against the
    first one first.
    """
    names = dict.fromkeys(name for run in runs for name in run.evaluation.classes)
    kind = "class" if score == "iou" else f"class {score}"
    rows = []
    for name in names:
        found = [run.evaluation.classes.get(name) for run in runs]
        values = tuple(getattr(one, score, None) for one in found)
        rows.append(Row(kind, name, values, _share(runs, name)))
    return sorted(rows, key=_KEYS[order])


def rare_classes(runs: Sequence[RunResults]) -> list[str]:
    """Return the rarest third of the classes (rounded up), the rarest first.

    Counted are the classes that have true pixels in every run; what is rare is told by the pixel
    shares of the first one, so that the mean is over the same classes in all of them.
    """
    tables = [run.evaluation.classes for run in runs]
    common = [
        name
        for name in tables[0]
        if all(name in table and table[name].pixels > 0 for table in tables)
    ]
    common.sort(key=lambda name: tables[0][name].pixels)
    return common[: ceil(len(common) / 3)]


def score_rows(runs: Sequence[RunResults], rare: Sequence[str]) -> list[Row]:
    """Return `rare mIoU`, the mean IoU of the classes `rare`, and all scores that any run has."""
    found = [{one.label: one for one in shown_values(run.evaluation)} for run in runs]
    rows = [Row("score", "rare mIoU", tuple(_mean_iou(run, rare) for run in runs))]
    for label in dict.fromkeys(label for one in found for label in one):
        values = [one.get(label) for one in found]
        rows.append(
            Row(
                kind="score",
                name=label,
                values=tuple(one.value if one else None for one in values),
                intervals=tuple(one.interval if one else None for one in values),
            )
        )
    return rows


def cost_rows(runs: Sequence[RunResults]) -> list[Row]:
    """Return what the trainings cost; None where training.json is missing."""
    rows = []
    for name, shown in shown_fields(TrainingSummary).items():
        values = tuple(getattr(run.training, name, None) for run in runs)
        rows.append(Row("cost", shown.label, values, decimals=shown.decimals))
    return rows


def _share(runs: Sequence[RunResults], name: str) -> float:
    classes = next(run.evaluation.classes for run in runs if name in run.evaluation.classes)
    return classes[name].pixels / max(sum(one.pixels for one in classes.values()), 1)


def _mean_iou(run: RunResults, names: Sequence[str]) -> float | None:
    ious = [run.evaluation.classes[name].iou for name in names]
    known = [iou for iou in ious if iou is not None]
    return sum(known) / len(known) if known else None


def _by_share(row: Row) -> tuple[Any, ...]:
    return not row.share, row.share, row.name


def _by_difference(row: Row) -> tuple[Any, ...]:
    last = row.differences[-1]
    return last is None, last or 0.0, row.name


def _by_name(row: Row) -> tuple[Any, ...]:
    return row.name.casefold(), row.name


_KEYS: dict[Order, Callable[[Row], tuple[Any, ...]]] = {
    "share": _by_share,
    "difference": _by_difference,
    "name": _by_name,
}
