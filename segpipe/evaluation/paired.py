"""Whether one run is better than another: differences of scores on the same images, with intervals.

Both runs see the same images, so that what makes an image hard for both cancels: the interval of the
difference is narrower than those of the scores suggest.

Shapes: S sums over images; C the counts of a score.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from segpipe.evaluation.shared_images import shared_images
from segpipe.metrics.jackknife import Statistic, Uncertainty, jackknife
from segpipe.results.comparison import Row
from segpipe.results.experiments import RunResults
from segpipe.results.records import Interval


@dataclass(frozen=True)
class Differences:
    """Of one run against another, by kind and name of the row of a comparison.

    refusal: why there are none; None where there are.
    """

    images: int = 0
    refusal: str | None = None
    of_row: dict[tuple[str, str], Uncertainty] = field(default_factory=dict)

    def verdict(self, difference: float | None, names: tuple[str, str]) -> str:
        """Return in words whether the mIoU of the second of `names` differs from the first's."""
        found = self.of_row.get(("score", "mIoU"))
        if difference is None or found is None or not found.known:
            reason = self.refusal or (found and found.basis.removeprefix("none: ")) or "no score"
            return f"mIoU, {names[1]} against {names[0]}: no verdict: {reason}"
        low, high = 100 * found.low, 100 * found.high
        verdict = f"not shown with these {self.images} images: {100 * difference:+.2f} points"
        if low > 0 or high < 0:
            better, worse = names[::-1] if low > 0 else names
            verdict = (
                f"shown: {better} is better than {worse} by {100 * abs(difference):.2f} points"
            )
            low, high = (low, high) if low > 0 else (-high, -low)
        spread = f"95% interval {low:.2f} to {high:.2f}, {found.basis.removeprefix('95% ')}"
        return f"mIoU, {names[1]} against {names[0]}: {verdict} ({spread})"


def paired_differences(
    first: RunResults, other: RunResults, rare: Sequence[str], score: str
) -> Differences:
    """Return the intervals of all differences that counts of labels determine.

    rare: the classes of the row `rare mIoU`. score: which one is compared by class.
    """
    shared = shared_images([first, other], rare, score)
    if isinstance(shared, str):
        return Differences(refusal=shared)
    found = {
        (one.kind, one.name): jackknife(
            one.counts_FRC, shared.groups, partial(_difference, one.statistic), difference=True
        )
        for one in shared.scores
    }
    return Differences(images=shared.images, of_row=found)


def with_intervals(rows: Sequence[Row], differences: Sequence[Differences]) -> list[Row]:
    """Return the rows with the intervals of their differences; None where there is none.

    differences: one for each run but the first.
    """
    return [
        replace(
            row,
            intervals=row.intervals or (None,) * len(row.values),
            difference_intervals=tuple(
                _ends(one.of_row.get((row.kind, row.name))) for one in differences
            ),
        )
        for row in rows
    ]


def _difference(statistic: Statistic, sums_S2C: NDArray[Any]) -> NDArray[np.float64]:
    scores_S2 = statistic(sums_S2C)
    return scores_S2[:, 1] - scores_S2[:, 0]


def _ends(found: Uncertainty | None) -> Interval | None:
    known = found is not None and found.known
    return Interval(low=found.low, high=found.high) if found is not None and known else None
