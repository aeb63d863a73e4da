"""Families: runs that differ in their seed alone. Their scores with spread, and two of them compared.

docs/uncertainty.md says how the intervals are found and what was measured.

Shapes: R runs.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean, stdev

import numpy as np

from segpipe.evaluation.paired import Differences
from segpipe.evaluation.shared_images import SharedImages, shared_images
from segpipe.metrics.jackknife import Uncertainty, no_interval
from segpipe.metrics.repeats import Variances, difference_interval, mean_interval, variances
from segpipe.results.comparability import family_faults
from segpipe.results.comparison import Order, Row, class_rows, cost_rows, rare_classes, score_rows
from segpipe.results.experiments import RunResults
from segpipe.runtime.errors import DataError, ParameterError, listing


@dataclass(frozen=True)
class FamilyScore:
    """A row of a comparison over the runs of a family; None where a run has no such score.

    deviation: between the runs, with R - 1. interval: of the mean, for other images and other seeds.
    variances: where they come from; None for scores that the counts of labels do not determine.
    """

    row: Row
    interval: Uncertainty
    variances: Variances | None = None

    @property
    def values(self) -> list[float] | None:
        """The value of each run; None unless all have one."""
        known = [value for value in self.row.values if value is not None]
        return known if len(known) == len(self.row.values) else None

    @property
    def mean(self) -> float | None:
        """The mean of the runs."""
        return fmean(self.values) if self.values else None

    @property
    def deviation(self) -> float | None:
        """The sample standard deviation of the runs."""
        return stdev(self.values) if self.values else None

    @property
    def images_share(self) -> float | None:
        """The images' share of the variance of a single run, in 0..1."""
        share = self.variances.images_share if self.variances else float("nan")
        return None if np.isnan(share) else share


@dataclass(frozen=True)
class Family:
    """Runs that differ in their seed alone. score: the one by class; rare: the classes of rare mIoU."""

    runs: Sequence[RunResults]
    rows: list[list[FamilyScore]]
    rare: Sequence[str]

    @property
    def miou(self) -> FamilyScore:
        """The mean IoU."""
        return next(one for rows in self.rows for one in rows if one.row.name == "mIoU")

    @property
    def seeds(self) -> list[int | None]:
        """train.seed of each run, None where it is not known."""
        known = [(run.parameters or {}).get("train.seed") for run in self.runs]
        return [None if seed is None else int(seed) for seed in known]


def family(runs: Sequence[RunResults], order: Order = "share", score: str = "iou") -> Family:
    """Return the scores of runs that differ in their seed, with mean and spread.

    order, score: of the rows by class, as `class_rows` takes them. Raises DataError when the runs were
    scored on other images or otherwise, or differ in more than the seed.
    """
    refuse_no_family(runs)
    rare = rare_classes(runs)
    groups = [class_rows(runs, order, score), score_rows(runs, rare), cost_rows(runs)]
    shared = shared_images(runs, rare, score)
    found = _measured(shared, len(runs))
    reason = shared if isinstance(shared, str) else "what other images would change is not known"
    unknown = no_interval(reason), None
    rows = [
        [FamilyScore(row, *found.get((row.kind, row.name), unknown)) for row in group]
        for group in groups
    ]
    return Family(runs, rows, rare)


def refuse_no_family(runs: Sequence[RunResults]) -> None:
    """Raise an error unless there are two runs or more that differ in their seed alone."""
    if len(runs) < 2:
        raise ParameterError("a family has two runs or more; name another one")
    if faults := family_faults(runs):
        raise DataError(
            "these runs are not one training with several seeds, so their mean says nothing; `segpipe "
            f"compare` shows them side by side:\n{listing(faults)}"
        )


def family_differences(
    first: Sequence[RunResults], other: Sequence[RunResults], score: str = "iou"
) -> Differences:
    """Return the intervals of the differences of two families' means, for other images and seeds.

    Both must have scored the same images, or there are none. Seeds of the two are not paired, also
    where they have the same number: another network draws other numbers.
    """
    refuse_no_family(first)
    refuse_no_family(other)
    runs = [*first, *other]
    shared = shared_images(runs, rare_classes(runs), score)
    if isinstance(shared, str):
        return Differences(refusal=shared)
    found = {
        (one.kind, one.name): difference_interval(
            one.counts_FRC, shared.groups, one.statistic, first=len(first)
        )
        for one in shared.scores
    }
    return Differences(images=shared.images, of_row=found)


def _measured(
    shared: SharedImages | str, runs: int
) -> dict[tuple[str, str], tuple[Uncertainty, Variances]]:
    if isinstance(shared, str):
        return {}
    found = {}
    for one in shared.scores:
        parts = variances(one.counts_FRC, shared.groups, one.statistic)
        found[one.kind, one.name] = mean_interval(parts, runs), parts
    return found
