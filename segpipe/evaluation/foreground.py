"""What is said of the class that one logit scores: over the split, by image, at every threshold.

Shapes: N images, S bootstrap samples, K = 2 classes, T thresholds.
"""

from collections.abc import Callable, Iterable, Sequence
from math import isnan
from typing import Any

import numpy as np
from numpy.typing import NDArray

from segpipe.bundle import Bundle
from segpipe.evaluation.evaluate import Counts
from segpipe.evaluation.intervals import Interval, number
from segpipe.metrics.precision_recall import (
    FOREGROUND,
    average_precision,
    best_threshold,
    curve,
)
from segpipe.metrics.scores import Scores, dice, iou, ratio

Measure = Callable[[NDArray[Any]], NDArray[np.float64]]
_MEASURES: dict[str, Measure] = {"iou": iou, "dice": dice}


def foreground_summary(counts: Counts, name: str, interval: Interval) -> dict[str, Any]:
    """Return IoU, Dice and average precision of the class `name`, train id 1, of one logit.

    by_image: means over the images that hold the class in truth or prediction. The others have no
    score there (0/0); they are counted, and left out. best_threshold: what the evaluated split itself
    would choose; it is told, and used nowhere.
    """
    assert counts.probabilities_2T is not None
    drawn, chosen = curve(counts.probabilities_2T), best_threshold(counts.probabilities_2T)
    best = float(drawn.iou_T[drawn.threshold_T == chosen].item())
    return {
        "class": name,
        **_over_split(counts, interval),
        "by_image": _by_image(counts, interval),
        "average_precision": number(average_precision(counts.probabilities_2T)),
        "best_threshold": None if isnan(best) else chosen,
        "best_iou": number(best),
        "best_dice": number(2 * best / (1 + best)),
    }


def threshold_choice(bundle: Bundle) -> str | None:
    """Return in words where the threshold of one logit is from; None where there is none."""
    if bundle.threshold is None:
        return None
    if bundle.lineage["parameters"]["train"]["threshold"] == "auto":
        return "largest IoU on the prepared validation split, for the kept weights"
    return "train.threshold"


def image_scores(confusion_KK: NDArray[np.int64]) -> dict[str, float | None]:
    """Return the foreground's columns of images.csv; None where an image has no score."""
    return {
        "foreground_iou": number(float(iou(confusion_KK)[FOREGROUND])),
        "foreground_dice": number(float(dice(confusion_KK)[FOREGROUND])),
    }


def curve_rows(counts: Counts, names: Sequence[str], found: Scores) -> Iterable[dict[str, Any]]:
    """Return the rows of precision_recall.csv: class, threshold, precision, recall.

    One logit gives a row for each threshold. Of several, the largest one wins, without a threshold:
    each class is one point then.
    """
    if counts.probabilities_2T is None:
        points = zip(found.precision_K, found.accuracy_K, strict=True)
        for name, point in zip(names, points, strict=True):
            yield _row(name, None, *point)
        return
    drawn = curve(counts.probabilities_2T)
    points = zip(drawn.precision_T, drawn.recall_T, strict=True)
    for threshold, point in zip(drawn.threshold_T.tolist(), points, strict=True):
        yield _row(names[FOREGROUND], threshold, *point)


def _row(name: str, threshold: float | None, precision: float, recall: float) -> dict[str, Any]:
    return {
        "class": name,
        "threshold": threshold,
        "precision": number(precision),
        "recall": number(recall),
    }


def _over_split(counts: Counts, interval: Interval) -> dict[str, Any]:
    summary: dict[str, Any] = {}
    for name, measure in _MEASURES.items():

        def of_class(
            confusion_SKK: NDArray[Any], measure: Measure = measure
        ) -> NDArray[np.float64]:
            return np.asarray(measure(confusion_SKK)[..., FOREGROUND])

        summary[name] = number(float(of_class(counts.confusion_KK)))
        summary[f"{name}_interval"] = interval.of(counts.confusion_by_file, of_class)
    return summary


def _by_image(counts: Counts, interval: Interval) -> dict[str, Any]:
    told_N = counts.confusion_NKK.any((1, 2))
    summary: dict[str, Any] = {}
    for name, measure in _MEASURES.items():
        score_N = measure(counts.confusion_NKK)[:, FOREGROUND]
        scored_N = ~np.isnan(score_N)
        # The mean is a ratio of sums, so that windows of one raster can be drawn together.
        sums_F2 = counts.sums_by_file(np.stack([np.where(scored_N, score_N, 0), scored_N], 1))
        summary[name] = number(float(_mean(sums_F2.sum(0))))
        summary[f"{name}_interval"] = interval.of(sums_F2[sums_F2[:, 1] > 0], _mean)
    images, skipped = int(scored_N.sum()), int((told_N & ~scored_N).sum())
    return {**summary, "images": images, "images_without_the_class": skipped}


def _mean(sums_S2: NDArray[np.float64]) -> NDArray[np.float64]:
    return ratio(sums_S2[..., 0], sums_S2[..., 1])
