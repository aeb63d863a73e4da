"""Evaluations side by side: rows of numbers, and what makes them hard to compare. Pure functions."""

import json
import textwrap
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import ceil
from typing import Any, Literal

from segpipe.cli.evaluations import Costs, Interval, Measured

Order = Literal["share", "difference", "name"]
# What must be equal in two protocols for their scores to speak of the same thing.
_MUST_AGREE = {
    "label_scheme": "label schemes",
    "split": "splits",
    "images": "numbers of images",
    "images_without_truth": "numbers of images without truth",
    "ignored_ids": "ignored label ids",
    "left_out": "images left out for what they hold",
    "resolution": "resolutions of the truth",
    "image_sizes": "sizes of the images",
    "counting": "ways of counting",
}
# What an experiment may well have changed on purpose.
_MAY_DIFFER = {
    "network_input": "inputs of the network",
    "precision": "precisions",
    "views": "views",
    "threshold": "thresholds",
}


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
    """Return the scores over all classes; `rare mIoU` is the mean IoU of the classes `rare`."""
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


def doubts(measured: Sequence[Measured], names: Sequence[str]) -> list[str]:
    """Return lines that say what differs between the evaluations beside their models.

    `warning:` where scores speak of different things, `note:` where an experiment may have meant it.
    names: what to call the evaluations.
    """
    protocols = [one.evaluation.protocol for one in measured]
    truth = [*_classes_differ(measured, names), *_disagree(protocols, _MUST_AGREE, names)]
    truth += [] if truth else _pixels_differ(measured, names)
    prepared = _disagree(protocols, {"data": "prepared data"}, names)
    trained = "; their models were trained on other images, sizes, labels or copies"
    scored = "" if truth else ", though scored on the same truth"
    warnings = [*truth, *(line + trained + scored for line in prepared)]
    warnings += _no_scores(measured, names)
    hardware = [
        {"on": f"{one.costs.device}, {one.costs.processes} process(es), {one.costs.precision}"}
        for one in measured
        if one.costs
    ]
    timed = [name for name, one in zip(names, measured, strict=True) if one.costs]
    notes = _disagree(protocols, _MAY_DIFFER, names)
    notes += [
        f"{line}; the costs speak of these"
        for line in _disagree(hardware, {"on": "devices"}, timed)
    ]
    untimed = [name for name in names if name not in timed]
    notes += [f"{', '.join(untimed)}: no training.json, so no costs"] if untimed else []
    return [f"warning: {line}" for line in warnings] + [f"note: {line}" for line in notes]


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


def _classes_differ(measured: Sequence[Measured], names: Sequence[str]) -> list[str]:
    tables = [one.evaluation.classes for one in measured]
    everything = dict.fromkeys(name for table in tables for name in table)
    lacking = [
        f"{name} has no {', '.join(missing)}"
        for name, table in zip(names, tables, strict=True)
        if (missing := [one for one in everything if one not in table])
    ]
    means = "their mIoU are means over different classes"
    return [f"the classes differ: {'; '.join(lacking)}; {means}"] if lacking else []


def _pixels_differ(measured: Sequence[Measured], names: Sequence[str]) -> list[str]:
    """Where the protocols agree, the pixels of each class must too, or the labels were changed."""
    tables = [one.evaluation.classes for one in measured]
    differing = [name for name in tables[0] if len({table[name].pixels for table in tables}) > 1]
    if not differing:
        return []
    counts = ", ".join(
        f"{table[differing[0]].pixels} in {name}" for name, table in zip(names, tables, strict=True)
    )
    return [
        f"the truth differs: other numbers of pixels in {len(differing)} of {len(tables[0])} classes, "
        f"such as {differing[0]}: {counts}"
    ]


def _no_scores(measured: Sequence[Measured], names: Sequence[str]) -> list[str]:
    empty = [n for n, one in zip(names, measured, strict=True) if one.evaluation.miou is None]
    return (
        [f"{', '.join(empty)}: no scores, since there is no truth in that split"] if empty else []
    )


def _disagree(
    contents: Sequence[dict[str, Any]], meanings: dict[str, str], names: Sequence[str]
) -> list[str]:
    """Return a line for each key of `meanings` whose values are not all equal."""
    lines = []
    for key, meaning in meanings.items():
        values = [_words(one.get(key)) for one in contents]
        if len(set(values)) > 1:
            pairs = [
                f"{name} {textwrap.shorten(value, 90, placeholder=' ...')}"
                for name, value in zip(names, values, strict=True)
            ]
            lines.append(f"the {meaning} differ: {', '.join(pairs)}")
    return lines


def _words(value: Any) -> str:
    match value:
        case None:
            return "(not said)"
        case str() | dict() if not value:
            return "(none)"
        case str():
            return value
        case dict():
            return ", ".join(f"{key}: {value[key]}" for key in sorted(value))
        case _:
            return json.dumps(value)
