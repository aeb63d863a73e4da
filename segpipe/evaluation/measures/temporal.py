"""Temporal consistency of clips: do labels stay with what they mark, from one frame to the next?

Shapes: N images, K classes; S sums over images.
"""

from collections import Counter
from collections.abc import Sequence
from typing import Self

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
from segpipe.metrics.label_pairs import label_confusion, pair_counts
from segpipe.metrics.optical_flow import flow_name
from segpipe.metrics.scores import class_counts, class_iou, miou
from segpipe.results.evaluation_tables import TEMPORAL_COUNTS
from segpipe.sources.cityscapes_layout.layout import clip_stride


class Temporal(CountsByImage):
    """mIoU of the labels of each image against those of the frame before it, moved by optical flow.

    Liu et al., "Efficient semantic video segmentation with per-frame inference", ECCV 2020: one count of
    all pixels of all pairs of frames. There the later labels are moved, by FlowNet2, and all pixels
    count. The truth, and void in it, plays no part.
    """

    def __init__(self, classes: Sequence[str]) -> None:
        super().__init__(classes)
        self._pixels, self._without = 0, 0
        self._strides = Counter[int]()

    def update(self, image: ScoredImage) -> None:
        """Count an image."""
        if image.moved_hw is None:
            self._without += 1
            return
        counts_VV = pair_counts(image.prediction_hw, image.moved_hw)
        confusion_KP = label_confusion(counts_VV, image.classes)
        self.by_sample[image.sample] = class_counts(confusion_KP)
        self._pixels += image.moved_hw.size
        self._strides[clip_stride(image.sample)] += 1

    def merge(self, other: Self) -> None:
        """Add what another one has counted on images that come after."""
        super().merge(other)
        self._pixels += other._pixels
        self._without += other._without
        self._strides += other._strides

    def summary(self) -> MeasureSummary:
        """Return `temporal`, the IoU of each class, and the columns of images.csv, groups.csv and
        image_counts.csv.
        """
        samples, counts_NK3 = self.samples, self.counts_NK3
        total_K3: NDArray[np.int64] = counts_NK3.sum(0)
        compared = total_K3[:, 0].sum() / self._pixels if self._pixels else float("nan")
        of_images, of_groups = scores_of_parts(samples, counts_NK3, miou)
        by_class = zip(self.classes, class_iou(total_K3), strict=True)
        return MeasureSummary(
            scores={
                "temporal": {
                    "consistency": rounded(float(miou(total_K3))),
                    "consistency_interval": interval(samples, counts_NK3, miou),
                    "compared": rounded(compared),
                },
                "classes": {name: {"temporal_iou": rounded(iou)} for name, iou in by_class},
                "protocol": {"temporal": self._protocol(compared)},
            },
            image_columns={"temporal_miou": of_images},
            group_columns={"temporal_miou": of_groups},
            count_columns={
                name: {
                    one.name: counts[:, place].tolist() for one, counts in self.by_sample.items()
                }
                for place, name in enumerate(TEMPORAL_COUNTS)
            },
        )

    def _protocol(self, compared: float) -> str:
        """Say which frames were compared, how, and what was left out."""
        if not self.by_sample:
            return "none: no image was compared with the frame before it"
        strides = " or ".join(map(str, sorted(self._strides)))
        left_out = (
            f"; {self._without} further images left out, whose earlier frame lacks frames before it"
            if self._without
            else ""
        )
        return (
            f"labels of {len(self.by_sample)} images and of the frame {strides} before each, predicted in "
            f"the same way, moved by {flow_name()} to the nearest pixel; {100 * compared:.2f} % of the "
            "pixels compared, the others were outside the image or fail the forward-backward check; one "
            f"count of all pixels, void of the truth among them{left_out}"
        )
