"""What makes evaluations hard to compare. Pure functions."""

import json
import textwrap
from collections.abc import Sequence
from typing import Any

from segpipe.cli.evaluations import Measured

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
