"""What the counts of the same images in several runs determine: scores as functions of sums over images.

Shapes: N samples, F image files, R runs, K classes; S any sums over images; C the counts of a score.
"""

from collections.abc import Sequence
from dataclasses import dataclass
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
from segpipe.metrics.jackknife import Statistic, sums_by
from segpipe.metrics.scores import OF_CLASS, OF_SPLIT, class_iou, miou
from segpipe.results.evaluation import Evaluation, ImageMeanScores, TemporalScores
from segpipe.results.evaluation_tables import TEMPORAL_COUNTS, ImageCountsRow
from segpipe.results.experiments import RunResults
from segpipe.results.records import shown_fields


@dataclass(frozen=True)
class CountedScore:
    """A score of each of R runs, of what adds up over image files.

    kind, name: those of the row of a comparison. statistic: (S, R, *C) to (S, R).
    """

    kind: str
    name: str
    counts_FRC: NDArray[Any]
    statistic: Statistic


@dataclass(frozen=True)
class SharedImages:
    """The scores that the counts of images determine, of runs that scored the same truth.

    images: how many files. groups: the group of each file.
    """

    images: int
    groups: list[str]
    scores: list[CountedScore]


def shared_images(
    runs: Sequence[RunResults], rare: Sequence[str], score: str
) -> SharedImages | str:
    """Return the scores of runs on the same images, or why their images are not the same.

    rare: the classes of the row `rare mIoU`. score: which one is wanted by class.
    """
    refusal = next(filter(None, (_refusal(runs[0], run) for run in runs)), None)
    if refusal is not None:
        return refusal
    rows = runs[0].image_counts or []
    tables = [{row.name: row for row in run.image_counts or []} for run in runs]
    counted, over_time = (
        np.stack([_counts([table[row.name] for row in rows], names) for table in tables], 1)
        for names in (("truth", "predicted", "hits"), TEMPORAL_COUNTS)
    )
    classes = list(runs[0].evaluation.classes)
    files = [row.image for row in rows]
    groups = {row.image: row.group for row in rows}
    scores = [
        CountedScore(kind, name, sums_by(files, counts_NRC), statistic)
        for kind, name, counts_NRC, statistic in [
            *_of_split(counted),
            *_of_classes(counted, classes, rare, score),
            *_over_time(over_time, classes, score),
        ]
    ]
    return SharedImages(len(groups), list(groups.values()), scores)


_Parts = tuple[str, str, NDArray[Any], Statistic]


def _of_split(counts_NRK3: NDArray[np.int64]) -> list[_Parts]:
    labels, by_image = shown_fields(Evaluation), shown_fields(ImageMeanScores)
    iou_NRK = iou_of_present(counts_NRK3)
    means_NR2 = sums_of_defined(image_means(iou_NRK))
    of_split: list[_Parts] = [
        ("score", labels[name].label, counts_NRK3, statistic)
        for name, statistic in OF_SPLIT.items()
    ]
    return [
        *of_split,
        ("score", by_image["miou"].label, means_NR2, mean_of_sums),
        ("score", by_image["class_miou"].label, sums_of_defined(iou_NRK), mean_of_class_sums),
    ]


def _of_classes(
    counts_NRK3: NDArray[np.int64], names: list[str], rare: Sequence[str], score: str
) -> list[_Parts]:
    kind = "class" if score == "iou" else f"class {score}"
    found: list[_Parts] = []
    if rare:
        rarest = [names.index(name) for name in rare]
        found.append(("score", "rare mIoU", counts_NRK3[:, :, rarest], miou))
    if score in OF_CLASS:
        of_class = partial(_only_class, OF_CLASS[score])
        found += [(kind, name, counts_NRK3[:, :, [k]], of_class) for k, name in enumerate(names)]
    return found


def _over_time(counts_NRK3: NDArray[np.int64], names: list[str], score: str) -> list[_Parts]:
    """Return temporal consistency, and by class where it is wanted; nothing unless all runs compared the
    same pixels: a model of clips cannot compare images that one of single images can.
    """
    compared_NR = counts_NRK3[..., 0].sum(-1)
    if not compared_NR.any() or (compared_NR != compared_NR[:, :1]).any():
        return []
    label = shown_fields(TemporalScores)["consistency"].label
    found: list[_Parts] = [("score", label, counts_NRK3, miou)]
    if score == "temporal_iou":
        of_class = partial(_only_class, class_iou)
        for k, name in enumerate(names):
            found.append((f"class {score}", name, counts_NRK3[:, :, [k]], of_class))
    return found


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
    if not truths[0]:
        return "no image has truth"
    changed = sum(truth != truths[1][name] for name, truth in truths[0].items())
    return f"the truth of {changed} images differs" if changed else None


def _counts(rows: Sequence[ImageCountsRow], names: Sequence[str]) -> NDArray[np.int64]:
    """Return the counts in three columns, (N, K, 3); 0 where an image has none."""
    nothing = [0] * len(rows[0].truth)
    counts = [[getattr(row, name) or nothing for name in names] for row in rows]
    return np.array(counts, np.int64).swapaxes(1, 2)


def _only_class(score: Statistic, sums_SR13: NDArray[Any]) -> NDArray[np.float64]:
    return score(sums_SR13)[..., 0]
