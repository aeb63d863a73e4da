"""Scores of the class that one logit scores, train id 1: over the split and by image.

Shapes: N images, S sums over images, K = 2 classes, P = 3 answers, the classes and none of them.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from segpipe.evaluation.measure import (
    MeasureSummary,
    interval,
    mean_of_sums,
    rounded,
    sums_of_defined,
)
from segpipe.evaluation.measures.by_image import ConfusionByImage
from segpipe.metrics.precision_recall import FOREGROUND
from segpipe.metrics.scores import dice, iou

ClassScore = Callable[[NDArray[Any]], NDArray[np.float64]]
_SCORES: dict[str, ClassScore] = {"iou": iou, "dice": dice}


class Foreground(ConfusionByImage):
    """IoU and Dice of the foreground, of all pixels and as a mean over images."""

    def summary(self) -> MeasureSummary:
        """Return `foreground` but for what needs probabilities, and its columns of images.csv.

        by_image: means over the images that hold the class in truth or prediction. The others have
        no score there (0/0); they are counted, and left out.
        """
        confusion_NKP = self.confusion_NKP
        scored_N = ~np.isnan(iou(confusion_NKP)[:, FOREGROUND])
        valid_N = confusion_NKP.any((1, 2))
        found: dict[str, Any] = {"class": self.classes[FOREGROUND]}
        by_image: dict[str, Any] = {
            "images": int(scored_N.sum()),
            "images_without_the_class": int((valid_N & ~scored_N).sum()),
        }
        columns = {}
        for name, score in _SCORES.items():
            score_N = score(confusion_NKP)[:, FOREGROUND]
            found |= self._of_all_pixels(name, score, confusion_NKP)
            by_image |= self._mean_by_image(name, score_N)
            rows = zip(self.samples, score_N, strict=True)
            columns[f"foreground_{name}"] = {sample.name: rounded(one) for sample, one in rows}
        return MeasureSummary(
            scores={"foreground": {**found, "by_image": by_image}}, image_columns=columns
        )

    def _of_all_pixels(
        self, name: str, score: ClassScore, confusion_NKP: NDArray[np.int64]
    ) -> dict[str, Any]:
        def of_class(confusion_SKP: NDArray[Any]) -> NDArray[np.float64]:
            return np.asarray(score(confusion_SKP)[..., FOREGROUND])

        value = rounded(float(of_class(confusion_NKP.sum(0))))
        return {name: value, f"{name}_interval": interval(self.samples, confusion_NKP, of_class)}

    def _mean_by_image(self, name: str, score_N: NDArray[np.float64]) -> dict[str, Any]:
        sums_N2 = sums_of_defined(score_N)
        mean = rounded(float(mean_of_sums(sums_N2.sum(0))))
        return {name: mean, f"{name}_interval": interval(self.samples, sums_N2, mean_of_sums)}
