"""Means that give every image the same weight, and those of the worst images.

Shapes: N images, K classes.
"""

import numpy as np

from segpipe.evaluation.measure import MeasureSummary, interval, rounded
from segpipe.evaluation.measures.by_image import CountsByImage
from segpipe.metrics.image_scores import (
    image_means,
    iou_of_present,
    mean_of_class_sums,
    mean_of_sums,
    sums_of_defined,
    worst_mean,
)
from segpipe.metrics.scores import mean_defined

WORST = (5, 25)  # percent


class ImageMeans(CountsByImage):
    """mIoU by image (mIoU^I), and by class of images (mIoU^C); see `segpipe.metrics.image_scores`."""

    def summary(self) -> MeasureSummary:
        """Return `by_image`, and of each class its mean IoU over the images that hold it."""
        iou_NK = iou_of_present(self.counts_NK3)
        mean_N, sums_NK2 = image_means(iou_NK), sums_of_defined(iou_NK)
        found = {
            "images": int((~np.isnan(mean_N)).sum()),
            "miou": rounded(float(mean_defined(mean_N))),
            "miou_interval": interval(self.samples, sums_of_defined(mean_N), mean_of_sums),
            "class_miou": rounded(float(mean_of_class_sums(sums_NK2.sum(0)))),
            "class_miou_interval": interval(self.samples, sums_NK2, mean_of_class_sums),
        }
        for percent in WORST:
            worst_K = np.array([worst_mean(iou_N, percent) for iou_N in iou_NK.T])
            found[f"miou_worst_{percent}"] = rounded(worst_mean(mean_N, percent))
            found[f"class_miou_worst_{percent}"] = rounded(float(mean_defined(worst_K)))
        by_class = mean_defined(iou_NK.T).tolist()
        classes = zip(self.classes, by_class, strict=True)
        return MeasureSummary(
            scores={
                "by_image": found,
                "classes": {name: {"iou_by_image": rounded(mean)} for name, mean in classes},
            }
        )
