"""Scores of the class that one logit scores, train id 1: over the split and by image.

Shapes: N images, S sums over images, K = 2 classes.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from segpipe.evaluation.measure import MeasureSummary, interval, rounded
from segpipe.evaluation.measures.by_image import CountsByImage
from segpipe.metrics.image_scores import mean_of_sums, sums_of_defined
from segpipe.metrics.precision_recall import FOREGROUND
from segpipe.metrics.scores import Counts, class_dice, class_iou

ClassScore = Callable[[Counts], NDArray[np.float64]]
_SCORES: dict[str, ClassScore] = {"iou": class_iou, "dice": class_dice}


class Foreground(CountsByImage):
    """IoU and Dice of the foreground, of all pixels and as a mean over images."""

    def summary(self) -> MeasureSummary:
        """Return `foreground` but for what needs probabilities, and its columns of images.csv.

        by_image: means over the images that hold the class in truth or prediction. The others have
        no score there (0/0); they are counted, and left out.
        """
        counts_NK3 = self.counts_NK3
        scored_N = ~np.isnan(class_iou(counts_NK3)[:, FOREGROUND])
        valid_N = counts_NK3.any((1, 2))
        found: dict[str, Any] = {"class": self.classes[FOREGROUND]}
        by_image: dict[str, Any] = {
            "images": int(scored_N.sum()),
            "images_without_the_class": int((valid_N & ~scored_N).sum()),
        }
        columns = {}
        for name, score in _SCORES.items():
            score_N = score(counts_NK3)[:, FOREGROUND]
            found |= self._of_all_pixels(name, score, counts_NK3)
            by_image |= self._mean_by_image(name, score_N)
            rows = zip(self.samples, score_N, strict=True)
            columns[f"foreground_{name}"] = {sample.name: rounded(one) for sample, one in rows}
        return MeasureSummary(
            scores={"foreground": {**found, "by_image": by_image}}, image_columns=columns
        )

    def _of_all_pixels(self, name: str, score: ClassScore, counts_NK3: Counts) -> dict[str, Any]:
        def of_class(counts_SK3: Counts) -> NDArray[np.float64]:
            return np.asarray(score(counts_SK3)[..., FOREGROUND])

        value = rounded(float(of_class(counts_NK3.sum(0))))
        return {name: value, f"{name}_interval": interval(self.samples, counts_NK3, of_class)}

    def _mean_by_image(self, name: str, score_N: NDArray[np.float64]) -> dict[str, Any]:
        sums_N2 = sums_of_defined(score_N)
        mean = rounded(float(mean_of_sums(sums_N2.sum(0))))
        return {name: mean, f"{name}_interval": interval(self.samples, sums_N2, mean_of_sums)}
