"""IoU of categories, the kinds that classes are of (car and bus: vehicle).

Shapes: N images, K classes, P = K + 1 answers, the classes and none of them; C categories, in matrices
with one more for what belongs to none.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from segpipe.evaluation.measure import (
    MeasureSummary,
    ScoredImage,
    interval,
    rounded,
    scores_of_parts,
)
from segpipe.evaluation.measures.by_image import CountsByImage
from segpipe.labels.scheme import LabelScheme
from segpipe.metrics.scores import class_counts, class_iou, miou


def class_categories(scheme: LabelScheme) -> list[str | None]:
    """Return the category of each class, K: that of the first of its raw labels which has one."""
    labels = [[one for one in scheme.raw if one.train_id == k] for k in range(scheme.num_classes)]
    return [next((one.category for one in of if one.category), None) for of in labels]


class Categories(CountsByImage):
    """The confusion matrix with the classes of a category joined, scored as Cityscapes does.

    A class taken for another one of its category is right. Pixels of classes without a category are
    false alarms where a category is predicted (`getIouScoreForCategory` of cityscapesscripts).
    """

    def __init__(self, categories_K: Sequence[str | None]) -> None:
        """categories_K: the category of each class; None for one without."""
        names = list(dict.fromkeys(name for name in categories_K if name is not None))
        super().__init__(names)
        others = len(names)
        places_K = [others if name is None else names.index(name) for name in categories_K]
        self._joined_PC = np.eye(others + 1, dtype=np.int64)[[*places_K, others]]

    def update(self, image: ScoredImage) -> None:
        """Count an image."""
        joined_CC = self._joined_PC[:-1].T @ image.confusion_KP @ self._joined_PC
        self.by_sample[image.sample] = class_counts(joined_CC)[: len(self.classes)]

    def summary(self) -> MeasureSummary:
        """Return `category_iou`, the mean, also by image and by group, and `categories`."""
        counts_NC3 = self.counts_NK3
        counts_C3: NDArray[np.int64] = counts_NC3.sum(0)
        columns = zip(self.classes, class_iou(counts_C3), counts_C3[:, 0].tolist(), strict=True)
        of_images, of_groups = scores_of_parts(self.samples, counts_NC3, miou)
        return MeasureSummary(
            scores={
                "category_iou": rounded(float(miou(counts_C3))),
                "category_iou_interval": interval(self.samples, counts_NC3, miou),
                "categories": {
                    name: {"iou": rounded(score), "pixels": pixels}
                    for name, score, pixels in columns
                },
            },
            image_columns={"category_iou": of_images},
            group_columns={"category_iou": of_groups},
        )
