"""What makes the results of several runs hard to compare. Pure functions."""

import json
import textwrap
from collections.abc import Sequence
from typing import Any

from segpipe.results.experiments import RunResults

# Fields of two protocols that must be equal for their scores to speak of the same thing.
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
# Fields that an experiment may well have changed on purpose.
_MAY_DIFFER = {
    "network_input": "inputs of the network",
    "edges": "ways of continuing images beyond their edges",
    "precision": "precisions",
    "views": "views",
    "threshold": "thresholds",
    "temporal": "comparisons of frames",
}
# Parameters by which the runs of a family may differ, and sections that decide no result.
_OF_A_RUN = {"train.seed", "train.profile", "source.path"}
_WITHOUT_RESULT = ("tracking.", "render.", "checkpoint.")


def family_faults(runs: Sequence[RunResults]) -> list[str]:
    """Return what shows that the runs are not one training with several seeds, a line each.

    Their scores must speak of the same images, classes and inputs, their parameters must be the same
    but for the seed, which must differ. What is not known of a run is not compared.
    """
    names = [run.name for run in runs]
    found = _classes_differ(runs, names)
    equal = {"data": "prepared data", "network_input": "inputs of the network", "views": "views"}
    found += _protocols_differ(runs, names, _MUST_AGREE | equal | {"edges": _MAY_DIFFER["edges"]})
    found += [] if found else _pixels_differ(runs, names)
    found += _no_scores(runs, names)
    found += [
        line
        for key, line in _differing(runs, names).items()
        if key not in _OF_A_RUN and not key.startswith(_WITHOUT_RESULT)
    ]
    by_seed: dict[str, str] = {}
    for run in runs:
        seed = (run.parameters or {}).get("train.seed", f"of {run.name}")
        other = by_seed.setdefault(seed, run.name)
        if other != run.name:
            found.append(f"{other} and {run.name} have the same train.seed {seed}")
    return found


def family_notes(runs: Sequence[RunResults]) -> list[str]:
    """Return lines on what the runs of a family may differ in: precision, chosen threshold, hardware."""
    names = [run.name for run in runs]
    lines = [*_protocols_differ(runs, names, _MAY_DIFFER), *_costs_differ(runs, names)]
    return [f"note: {line}" for line in lines]


def comparability(runs: Sequence[RunResults], names: Sequence[str]) -> list[str]:
    """Return lines that say what differs between the runs apart from their models.

    `warning:` where scores speak of different things, `note:` where an experiment may have meant it.
    names: what to call the runs.
    """
    truth = [*_classes_differ(runs, names), *_protocols_differ(runs, names, _MUST_AGREE)]
    truth += [] if truth else _pixels_differ(runs, names)
    # Of label images alone nobody knows which model, of what data, has made them.
    of_models = [n for n, run in enumerate(runs) if not run.evaluation.protocol.of_labels_alone]
    models, model_names = [runs[n] for n in of_models], [names[n] for n in of_models]
    prepared = _protocols_differ(models, model_names, {"data": "prepared data"})
    trained = "; their models were trained on other images, sizes, labels or copies"
    scored = "" if truth else ", though scored on the same truth"
    warnings = [*truth, *(line + trained + scored for line in prepared)]
    warnings += _no_scores(runs, names)
    notes = [*_protocols_differ(models, model_names, _MAY_DIFFER), *_costs_differ(runs, names)]
    notes += _no_intervals(runs, names)
    return [f"warning: {line}" for line in warnings] + [f"note: {line}" for line in notes]


def _classes_differ(runs: Sequence[RunResults], names: Sequence[str]) -> list[str]:
    tables = [run.evaluation.classes for run in runs]
    everything = dict.fromkeys(name for table in tables for name in table)
    lacking = [
        f"{name} has no {', '.join(missing)}"
        for name, table in zip(names, tables, strict=True)
        if (missing := [one for one in everything if one not in table])
    ]
    means = "their mIoU are means over different classes"
    return [f"the classes differ: {'; '.join(lacking)}; {means}"] if lacking else []


def _pixels_differ(runs: Sequence[RunResults], names: Sequence[str]) -> list[str]:
    """Where the protocols agree, the pixels of each class must too, or the labels were changed."""
    tables = [run.evaluation.classes for run in runs]
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


def _no_scores(runs: Sequence[RunResults], names: Sequence[str]) -> list[str]:
    empty = [name for name, run in zip(names, runs, strict=True) if run.evaluation.miou is None]
    return (
        [f"{', '.join(empty)}: no scores, since there is no truth in that split"] if empty else []
    )


def _no_intervals(runs: Sequence[RunResults], names: Sequence[str]) -> list[str]:
    reasons = {n: r.evaluation.protocol.no_interval for n, r in zip(names, runs, strict=True)}
    return [f"{name}: no 95% interval: {why}" for name, why in reasons.items() if why]


def _costs_differ(runs: Sequence[RunResults], names: Sequence[str]) -> list[str]:
    trained = {n: run.training for n, run in zip(names, runs, strict=True) if run.training}
    hardware = [
        f"{one.device}, {one.processes} process(es), {one.precision}" for one in trained.values()
    ]
    lines = [
        f"{line}; the costs speak of these"
        for line in _difference("devices", hardware, list(trained))
    ]
    untimed = [name for name in names if name not in trained]
    return [*lines, f"{', '.join(untimed)}: no training.json, so no costs"] if untimed else lines


def _protocols_differ(
    runs: Sequence[RunResults], names: Sequence[str], meanings: dict[str, str]
) -> list[str]:
    """Return a line for each field of the protocols in `meanings` whose values are not all equal."""
    lines = []
    for field, meaning in meanings.items():
        values = [_words(getattr(run.evaluation.protocol, field)) for run in runs]
        lines += _difference(meaning, values, names)
    return lines


def _difference(meaning: str, values: Sequence[str], names: Sequence[str]) -> list[str]:
    if len(set(values)) < 2:
        return []
    pairs = [
        f"{name} {textwrap.shorten(value, 90, placeholder=' ...')}"
        for name, value in zip(names, values, strict=True)
    ]
    return [f"the {meaning} differ: {', '.join(pairs)}"]


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


def differing_parameters(runs: Sequence[RunResults], names: Sequence[str]) -> list[str]:
    """Return a line for each parameter that counts and is not the same in all runs.

    Options of alternatives that a run did not choose are no difference by themselves. names: what to
    call the runs; those without a params.yaml are left out.
    """
    return list(_differing(runs, names).values())


def _differing(runs: Sequence[RunResults], names: Sequence[str]) -> dict[str, str]:
    """Return the lines of `differing_parameters` by dotted key."""
    known = [
        (n, r.parameters) for n, r in zip(names, runs, strict=True) if r.parameters is not None
    ]
    keys = dict.fromkeys(key for _, values in known for key in values)
    lines = {}
    for key in keys:
        values = [values.get(key, "(not used)") for _, values in known]
        if len(set(values)) > 1:
            shown = (f"{name} {value}" for (name, _), value in zip(known, values, strict=True))
            lines[key] = f"parameter {key}: {', '.join(shown)}"
    return lines
