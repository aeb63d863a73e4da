"""Scores of the confusion matrix: of all valid pixels, by class, and of each image.

Shapes: N images, K classes, P = K + 1 answers, the classes and none of them.
"""

from collections.abc import Sequence
from typing import Self

import numpy as np
from numpy.typing import NDArray

from segpipe.evaluation.measure import (
    MeasureSummary,
    ScoredImage,
    interval,
    rounded,
    uncertainty,
)
from segpipe.evaluation.measures.by_image import CountsByImage
from segpipe.metrics.scores import Scores, miou, pixel_accuracy, scores, scores_of_counts
from segpipe.results.evaluation_tables import ConfusionCell, ImageCountsRow


class Confusion(CountsByImage):
    """IoU, Dice and accuracies, from one confusion matrix of all images (law 7)."""

    def __init__(self, classes: Sequence[str]) -> None:
        super().__init__(classes)
        self.confusion_KP = np.zeros((len(classes), len(classes) + 1), np.int64)

    def update(self, image: ScoredImage) -> None:
        """Count an image."""
        super().update(image)
        self.confusion_KP += image.confusion_KP

    def merge(self, other: Self) -> None:
        """Add what another one has counted on images that come after."""
        super().merge(other)
        self.confusion_KP += other.confusion_KP

    def summary(self) -> MeasureSummary:
        """Return the means, the scores by class, the columns of each image, and confusion.csv."""
        confusion_KP = self.confusion_KP
        found, counts_NK3 = scores(confusion_KP), self.counts_NK3
        by_image = {one.name: scores_of_counts(counts) for one, counts in self.by_sample.items()}
        return MeasureSummary(
            scores={
                "miou": rounded(found.miou),
                "miou_interval": interval(self.samples, counts_NK3, miou),
                "pixel_accuracy": rounded(found.pixel_accuracy),
                "pixel_accuracy_interval": interval(self.samples, counts_NK3, pixel_accuracy),
                "mean_accuracy": rounded(found.mean_accuracy),
                "mean_dice": rounded(found.mean_dice),
                "mean_precision": rounded(found.mean_precision),
                "frequency_weighted_iou": rounded(found.frequency_weighted_iou),
                "frequency_weighted_dice": rounded(found.frequency_weighted_dice),
                "frequency_weighted_precision": rounded(found.frequency_weighted_precision),
                "classes": {name: _of_class(found, k) for k, name in enumerate(self.classes)},
                "protocol": {
                    "pixels": int(confusion_KP.sum()),
                    "interval": uncertainty(self.samples, counts_NK3, miou).basis,
                },
            },
            image_columns={
                "miou": {name: rounded(one.miou) for name, one in by_image.items()},
                "pixel_accuracy": {n: rounded(one.pixel_accuracy) for n, one in by_image.items()},
                "mean_accuracy": {n: rounded(one.mean_accuracy) for n, one in by_image.items()},
                "mean_dice": {n: rounded(one.mean_dice) for n, one in by_image.items()},
                "pixels": {name: int(one.pixels_K.sum()) for name, one in by_image.items()},
            },
            tables={
                ConfusionCell: self._cells(confusion_KP),
                ImageCountsRow: self._image_counts(counts_NK3),
            },
        )

    def _image_counts(self, counts_NK3: NDArray[np.int64]) -> list[ImageCountsRow]:
        return [
            ImageCountsRow(
                name=sample.name,
                group=sample.group,
                image=sample.image,
                truth=truth,
                predicted=predicted,
                hits=hits,
            )
            for sample, (truth, predicted, hits) in zip(
                self.samples, counts_NK3.swapaxes(1, 2).tolist(), strict=True
            )
        ]

    def _cells(self, confusion_KP: NDArray[np.int64]) -> list[ConfusionCell]:
        """Return the rows of confusion.csv; those of no answer only where there is one."""
        cells, answers = [], [*self.classes, "void"]
        if not confusion_KP[:, -1].any():
            answers.pop()
        for actual, row in zip(self.classes, confusion_KP.tolist(), strict=True):
            total = sum(row)
            for predicted, pixels in zip(answers, row, strict=False):
                share = pixels / total if total else None
                cells.append(
                    ConfusionCell(actual=actual, predicted=predicted, count=pixels, share=share)
                )
        return cells


def _of_class(found: Scores, k: int) -> dict[str, float | int | None]:
    return {
        "iou": rounded(found.iou_K[k]),
        "dice": rounded(found.dice_K[k]),
        "accuracy": rounded(found.accuracy_K[k]),
        "precision": rounded(found.precision_K[k]),
        "pixels": int(found.pixels_K[k]),
    }
