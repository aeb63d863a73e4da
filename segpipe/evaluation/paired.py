"""Whether one run is better than another: differences of scores on the same images, with intervals.

Both runs see the same images, so that what makes an image hard for both cancels: the interval of the
difference is narrower than those of the scores suggest.

Shapes: N samples, K classes; S sums over images.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from segpipe.metrics.image_scores import (
    image_means,
    iou_of_present,
    mean_of_class_sums,
    mean_of_sums,
    sums_of_defined,
)
from segpipe.metrics.jackknife import Statistic, Uncertainty, jackknife, sums_by
from segpipe.metrics.scores import OF_CLASS, OF_SPLIT, miou
from segpipe.results.comparison import Row
from segpipe.results.evaluation import Evaluation, ImageMeanScores
from segpipe.results.evaluation_tables import ImageCountsRow
from segpipe.results.experiments import RunResults
from segpipe.results.records import Interval, shown_fields


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
    names = list(first.evaluation.classes)
    refusal = _refusal(first, other)
    if refusal is not None:
        return Differences(refusal=refusal)
    rows = first.image_counts or []
    by_name = {row.name: row for row in other.image_counts or []}
    counts_N2K3 = np.stack([_counts(rows), _counts([by_name[row.name] for row in rows])], 1)
    files = [row.image for row in rows]
    groups = list({row.image: row.group for row in rows}.values())

    def interval(values_N: NDArray[Any], statistic: Statistic) -> Uncertainty:
        of_both = partial(_difference, statistic)
        return jackknife(sums_by(files, values_N), groups, of_both, difference=True)

    labels = shown_fields(Evaluation)
    found = {
        ("score", labels[name].label): interval(counts_N2K3, statistic)
        for name, statistic in OF_SPLIT.items()
    }
    if rare:
        rarest = [names.index(name) for name in rare]
        found["score", "rare mIoU"] = interval(counts_N2K3[:, :, rarest], miou)
    iou_N2K = iou_of_present(counts_N2K3)
    by_image = shown_fields(ImageMeanScores)
    means_N22 = sums_of_defined(image_means(iou_N2K))
    found["score", by_image["miou"].label] = interval(means_N22, mean_of_sums)
    found["score", by_image["class_miou"].label] = interval(
        sums_of_defined(iou_N2K), mean_of_class_sums
    )
    if score in OF_CLASS:
        kind = "class" if score == "iou" else f"class {score}"
        for k, name in enumerate(names):
            of_class = partial(_only_class, OF_CLASS[score])
            found[kind, name] = interval(counts_N2K3[:, :, [k]], of_class)
    return Differences(images=len(files), of_row=found)


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


def _refusal(first: RunResults, other: RunResults) -> str | None:
    tables = [run.image_counts for run in (first, other)]
    if tables[0] is None or tables[1] is None:
        lacking = first if tables[0] is None else other
        return f"{lacking.name} has no {ImageCountsRow.file}; evaluate it with this version"
    if list(first.evaluation.classes) != list(other.evaluation.classes):
        return "the classes differ"
    truths = [{row.name: row.truth for row in table} for table in tables if table is not None]
    if truths[0].keys() != truths[1].keys():
        apart = len(truths[0].keys() ^ truths[1].keys())
        return f"the images differ: {apart} are in one of them alone"
    changed = sum(truth != truths[1][name] for name, truth in truths[0].items())
    return f"the truth of {changed} images differs" if changed else None


def _counts(rows: Sequence[ImageCountsRow]) -> NDArray[np.int64]:
    return np.array([[row.truth, row.predicted, row.hits] for row in rows]).swapaxes(1, 2)


def _difference(statistic: Statistic, sums_S2: NDArray[Any]) -> NDArray[np.float64]:
    return statistic(sums_S2[:, 1]) - statistic(sums_S2[:, 0])


def _only_class(score: Statistic, sums_S13: NDArray[Any]) -> NDArray[np.float64]:
    return score(sums_S13)[..., 0]


def _ends(found: Uncertainty | None) -> Interval | None:
    known = found is not None and found.known
    return Interval(low=found.low, high=found.high) if found is not None and known else None
