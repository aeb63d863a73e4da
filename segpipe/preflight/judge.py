"""The judgement over a data set: all rules, from facts alone."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from segpipe.labels.scheme import LabelScheme
from segpipe.params.prepare import PrepareParams
from segpipe.preflight import classes, duplicates, files, looks, memory, splits, values
from segpipe.preparation.sample_stats import Survey
from segpipe.runtime.console import say
from segpipe.runtime.errors import DataError
from segpipe.runtime.findings import Finding


def judge(
    survey: Survey,
    listed: Sequence[Finding],
    scheme: LabelScheme,
    prepare: PrepareParams,
    batch_size: int | None = None,
    forecast: Mapping[str, Any] | None = None,
) -> list[Finding]:
    """Return all that is wrong or doubtful in a data set, errors first.

    survey: the facts of all samples. listed: what the source found in the names of the files.
    batch_size: train.batch_size, where a training is about to use the data. forecast: its memory
    (see `memory.too_large`), where it is known.
    """
    facts = survey.facts
    # What is left out is read all the same, and must be whole; it takes no part in training.
    kept = survey.kept
    found = [
        *listed,
        *splits.empty_splits(splits.count_splits(kept), len(facts) - len(kept)),
        *files.unreadable(facts),
        *files.sizes_differ(facts),
        *files.lossy_masks(facts),
        *values.numbers_as_colours(facts, scheme),
        *values.unknown_values(facts, scheme),
        *values.swapped_ids(kept, scheme),
        *splits.torn_groups(kept),
        *classes.void_share(kept),
        *classes.one_class(kept, scheme),
        *classes.absent_classes(kept, scheme),
        *files.mask_modes(facts),
        *files.image_modes(facts),
        *duplicates.near_duplicates(kept),
        *looks.featureless(kept),
        *looks.enlarged(kept, prepare),
        *looks.distorted(kept, prepare),
        *splits.few_samples(kept),
        *splits.large_batch(kept, batch_size, prepare.copies.count),
        *memory.too_large(forecast),
    ]
    return sorted(_once(found), key=lambda finding: finding.severity == "warning")


def refuse(findings: Sequence[Finding], report: Path | None = None) -> None:
    """Raise one DataError with all errors among the findings, which says where the report is."""
    errors = [str(finding) for finding in findings if finding.severity == "error"]
    if errors:
        where = [] if report is None else [f"the whole report, with pictures: {report}"]
        raise DataError("\n".join([*errors, *where]))


def say_warnings(findings: Sequence[Finding]) -> None:
    """Say each warning among the findings."""
    for finding in findings:
        if finding.severity == "warning":
            say(f"warning: {finding}")


def _once(findings: Sequence[Finding]) -> list[Finding]:
    """Leave out what a rule finds again that the source has said already."""
    named = {"torn_group"}
    kept: list[Finding] = []
    for finding in findings:
        if finding.kind not in named or finding.kind not in {other.kind for other in kept}:
            kept.append(finding)
    return kept
