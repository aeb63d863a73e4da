"""The judgement over a data set: all rules, from the statistics of its samples alone."""

from collections.abc import Mapping, Sequence
from typing import Any

from segpipe.labels.scheme import LabelScheme
from segpipe.params.prepare import PrepareParams
from segpipe.preflight import (
    classes,
    duplicates,
    files,
    image_rules,
    nodata,
    splits,
    training_rules,
    values,
)
from segpipe.preparation.sample_stats import Survey
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

    survey: the statistics of all samples. listed: what the source found in the names of the files.
    batch_size: train.batch_size, where a training is about to use the data. forecast: its memory
    (see `training_rules.too_large`), where it is known.
    """
    samples = survey.samples
    # What is left out is read all the same, and must be whole; it takes no part in training.
    kept = survey.kept
    found = [
        *listed,
        *splits.empty_splits(splits.count_splits(kept), len(samples) - len(kept)),
        *files.unreadable(samples),
        *files.further_pages(samples),
        *files.sizes_differ(samples),
        *files.lossy_masks(samples),
        *values.grey_masks(samples),
        *values.unknown_values(samples, scheme),
        *values.swapped_ids(kept, scheme),
        *nodata.hidden_classes(samples, scheme),
        *nodata.partly_nodata(kept),
        *splits.torn_groups(kept),
        *classes.unnamed_classes(scheme),
        *classes.void_share(kept),
        *classes.one_class(kept, scheme),
        *classes.absent_classes(kept, scheme),
        *files.mask_modes(samples),
        *files.image_modes(samples),
        *duplicates.near_duplicates(kept),
        *image_rules.featureless(kept),
        *image_rules.enlarged(kept, prepare),
        *image_rules.distorted(kept, prepare),
        *splits.few_samples(kept),
        *training_rules.large_batch(kept, batch_size, prepare.copies.count),
        *training_rules.too_large(forecast),
    ]
    return sorted(_once(found), key=lambda finding: finding.severity == "warning")


def _once(findings: Sequence[Finding]) -> list[Finding]:
    """Leave out what a rule finds again that the source has said already."""
    named = {"torn_group"}
    kept: list[Finding] = []
    for finding in findings:
        if finding.kind not in named or finding.kind not in {other.kind for other in kept}:
            kept.append(finding)
    return kept
