"""Evaluations side by side as rows of numbers. Pure functions."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import ceil
from typing import Any, Literal

from segpipe.cli.evaluations import Costs, Foreground, Interval, Measured

Order = Literal["share", "difference", "name"]


@dataclass(frozen=True)
class Row:
    """A number of each evaluation, None where it has none.

    kind: class, score (both in 0..1) or cost. share: of the class in the valid pixels of the truth.
    intervals: the 95 % interval of each value, where the kind of score has one.
    """

    kind: Literal["class", "score", "cost"]
    name: str
    values: tuple[float | None, ...]
    share: float | None = None
    intervals: tuple[Interval | None, ...] = ()

    @property
    def differences(self) -> tuple[float | None, ...]:
        """Each value but the first, less the first."""
        first, *others = self.values
        return tuple(None if one is None or first is None else one - first for one in others)


def class_rows(measured: Sequence[Measured], order: Order) -> list[Row]:
    """Return IoU and pixel share of every class that any evaluation knows.

    The share is that of the first evaluation that knows the class. order: `share` puts rare classes
    first and those without a true pixel last; `difference` the largest loss of the last evaluation
    against the first one first.
    """
    names = dict.fromkeys(name for one in measured for name in one.evaluation.classes)
    rows = [Row("class", name, _ious(measured, name), _share(measured, name)) for name in names]
    return sorted(rows, key=_KEYS[order])


def rare_classes(measured: Sequence[Measured]) -> list[str]:
    """Return the rarest third of the classes (rounded up), the rarest first.

    Counted are the classes that have true pixels in every evaluation; what is rare is told by the
    pixel shares of the first one, so that the mean is over the same classes in all of them.
    """
    tables = [one.evaluation.classes for one in measured]
    common = [
        name
        for name in tables[0]
        if all(name in table and table[name].pixels > 0 for table in tables)
    ]
    common.sort(key=lambda name: tables[0][name].pixels)
    return common[: ceil(len(common) / 3)]


def score_rows(measured: Sequence[Measured], rare: Sequence[str]) -> list[Row]:
    """Return the scores over all classes; `rare mIoU` is the mean IoU of the classes `rare`.

    Where a network has one logit a pixel, those of its class by image follow.
    """
    results = [one.evaluation for one in measured]
    return [
        Row("score", "rare mIoU", tuple(_mean_iou(one, rare) for one in measured)),
        Row(
            "score",
            "mIoU",
            tuple(one.miou for one in results),
            intervals=tuple(one.miou_interval for one in results),
        ),
        Row(
            "score",
            "pixel accuracy",
            tuple(one.pixel_accuracy for one in results),
            intervals=tuple(one.pixel_accuracy_interval for one in results),
        ),
        *_foreground_rows([one.foreground for one in results]),
    ]


def _foreground_rows(found: Sequence[Foreground | None]) -> list[Row]:
    if not any(found):
        return []
    images = [one.by_image if one else None for one in found]
    return [
        Row(
            "score",
            "IoU by image",
            tuple(one.iou if one else None for one in images),
            intervals=tuple(one.iou_interval if one else None for one in images),
        ),
        Row(
            "score",
            "Dice by image",
            tuple(one.dice if one else None for one in images),
            intervals=tuple(one.dice_interval if one else None for one in images),
        ),
        Row(
            "score",
            "average precision",
            tuple(one.average_precision if one else None for one in found),
        ),
    ]


def cost_rows(measured: Sequence[Measured]) -> list[Row]:
    """Return what the trainings cost; none where training.json is missing."""

    def row(name: str, cost: Callable[[Costs], float]) -> Row:
        return Row(
            "cost", name, tuple(None if one.costs is None else cost(one.costs) for one in measured)
        )

    return [
        row("images/s", lambda costs: costs.images_per_second),
        row("training, s", lambda costs: costs.seconds),
        row("peak memory, MB", lambda costs: costs.peak_memory_mb),
    ]


def _ious(measured: Sequence[Measured], name: str) -> tuple[float | None, ...]:
    found = [one.evaluation.classes.get(name) for one in measured]
    return tuple(None if one is None else one.iou for one in found)


def _share(measured: Sequence[Measured], name: str) -> float:
    classes = next(one.evaluation.classes for one in measured if name in one.evaluation.classes)
    return classes[name].pixels / max(sum(one.pixels for one in classes.values()), 1)


def _mean_iou(one: Measured, names: Sequence[str]) -> float | None:
    ious = [one.evaluation.classes[name].iou for name in names]
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
