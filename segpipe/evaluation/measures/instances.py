"""Instance-weighted IoU (iIoU), by class and by category, where files tell objects apart.

Shapes: N images, R sets of classes (classes, then categories), S sums over images.
"""

from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from segpipe.evaluation.measure import (
    MeasureSummary,
    ScoredImage,
    interval,
    rounded,
    scores_of_parts,
)
from segpipe.metrics.instances import InstanceSets, instance_counts, instance_iou
from segpipe.metrics.scores import mean_defined
from segpipe.raw.sample import Sample


class Instances:
    """The score that the official evaluator of Cityscapes calls iIoU; see `segpipe.metrics.instances`.

    It has a meaning only where all images tell objects apart: without, there are false alarms alone.
    """

    def __init__(self, sets: InstanceSets) -> None:
        self._sets = sets
        self._samples: list[Sample] = []
        self._counts_NR3: list[NDArray[np.float64]] = []
        self._without = 0

    def update(self, image: ScoredImage) -> None:
        """Count an image."""
        if image.instances_hw is None:
            self._without += 1
            return
        self._samples.append(image.sample)
        self._counts_NR3.append(
            instance_counts(image.prediction_hw, image.instances_hw, image.confusion_KP, self._sets)
        )

    def merge(self, other: Self) -> None:
        """Add what another one has counted on images that come after."""
        self._samples += other._samples
        self._counts_NR3 += other._counts_NR3
        self._without += other._without

    def summary(self) -> MeasureSummary:
        """Return the means, also by image and by group, the score of each class and category, and what
        the protocol says.
        """
        images = len(self._samples) + self._without
        if not images:
            return MeasureSummary({})
        if self._without:
            reason = f"none: {self._without} of {images} images have no file of instances"
            return MeasureSummary({"protocol": {"instances": reason}})
        counts_NR3 = np.array(self._counts_NR3)
        scores = [rounded(one) for one in instance_iou(counts_NR3.sum(0))]
        named = list(zip(self._sets.names, scores, strict=True))
        found: dict[str, Any] = {
            "classes": {name: {"instance_iou": one} for name, one in named[: self._sets.classes]},
            "categories": {
                name: {"instance_iou": one} for name, one in named[self._sets.classes :]
            },
            "protocol": {
                "instances": f"files of all {images} images; average sizes of objects as in "
                "cityscapesscripts; false alarms count as pixels"
            },
        }
        of_images: dict[str, Any] = {}
        of_groups: dict[str, Any] = {}
        for name, part in (
            ("instance_iou", slice(self._sets.classes)),
            ("category_instance_iou", slice(self._sets.classes, None)),
        ):
            own_NR3 = counts_NR3[:, part]
            if not own_NR3.size:
                continue
            found[name] = rounded(float(_mean(own_NR3.sum(0))))
            found[f"{name}_interval"] = interval(self._samples, own_NR3, _mean)
            of_images[name], of_groups[name] = scores_of_parts(self._samples, own_NR3, _mean)
        return MeasureSummary(found, of_images, of_groups)


def _mean(counts_SR3: NDArray[Any]) -> NDArray[np.float64]:
    return mean_defined(instance_iou(counts_SR3))
