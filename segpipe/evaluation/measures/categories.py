"""IoU of categories, the kinds that classes are of (car and bus: vehicle).

Shapes: K classes, P = K + 1 answers, the classes and none of them; C categories; S bootstrap samples.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from segpipe.evaluation.measure import MeasureSummary, interval, rounded
from segpipe.evaluation.measures.by_image import ConfusionByImage
from segpipe.labels.scheme import LabelScheme
from segpipe.metrics.scores import class_counts, class_iou, mean_defined


def class_categories(scheme: LabelScheme) -> list[str | None]:
    """Return the category of each class, K: that of the first of its raw labels which has one."""
    labels = [[one for one in scheme.raw if one.train_id == k] for k in range(scheme.num_classes)]
    return [next((one.category for one in of if one.category), None) for of in labels]


class Categories(ConfusionByImage):
    """The confusion matrix with the classes of a category joined, scored as Cityscapes does.

    A class taken for another one of its category is right. Pixels of classes without a category are
    false alarms where a category is predicted (`getIouScoreForCategory` of cityscapesscripts).
    """

    def __init__(self, classes: Sequence[str], categories_K: Sequence[str | None]) -> None:
        """categories_K: the category of each class; None for one without."""
        super().__init__(classes)
        self._names = list(dict.fromkeys(name for name in categories_K if name is not None))
        others = len(self._names)
        places_K = [others if name is None else self._names.index(name) for name in categories_K]
        self._joined_PC = np.eye(others + 1, dtype=np.int64)[[*places_K, others]]

    def summary(self) -> MeasureSummary:
        """Return `category_iou`, the mean, and `categories`."""
        confusion_KP: NDArray[np.int64] = self.confusion_NKP.sum(0)
        pixels_C = confusion_KP.sum(1) @ self._joined_PC[:-1]
        columns = zip(self._names, self._iou(confusion_KP), pixels_C.tolist(), strict=False)
        return MeasureSummary(
            scores={
                "category_iou": rounded(float(self._mean_iou(confusion_KP))),
                "category_iou_interval": interval(self.samples, self.confusion_NKP, self._mean_iou),
                "categories": {
                    name: {"iou": rounded(score), "pixels": pixels}
                    for name, score, pixels in columns
                },
            }
        )

    def _iou(self, confusion_SKP: NDArray[Any]) -> NDArray[np.float64]:
        joined_SCC = self._joined_PC[:-1].T @ confusion_SKP @ self._joined_PC
        return class_iou(class_counts(joined_SCC))[..., : len(self._names)]

    def _mean_iou(self, confusion_SKP: NDArray[Any]) -> NDArray[np.float64]:
        return mean_defined(self._iou(confusion_SKP))
