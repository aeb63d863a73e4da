"""How well the outlines of classes are met: Boundary IoU and boundary F.

Shapes: N images, W widths, K classes; S sums over images.
"""

from collections.abc import Mapping, Sequence
from typing import Self

import numpy as np
from numpy.typing import NDArray

from segpipe.evaluation.measure import (
    MeasureSummary,
    ScoredImage,
    interval,
    rounded,
    sums_by_group,
)
from segpipe.metrics.boundaries import boundary_counts, boundary_distance, boundary_f
from segpipe.metrics.image_scores import mean_of_class_sums, sums_of_defined
from segpipe.metrics.scores import class_iou, mean_defined, miou
from segpipe.raw.sample import Sample
from segpipe.results.evaluation_tables import BoundaryRow
from segpipe.results.records import Interval


class Boundaries:
    """Both scores at one or more widths.

    Boundary IoU is of the pixels of all images, like IoU. Boundary F is, by class, the mean over the
    images that hold an outline of the class.
    """

    def __init__(self, classes: Sequence[str], percents: Sequence[float]) -> None:
        """percents: how far an outline may be off, each in percent of the image's diagonal."""
        self._classes, self._percents = classes, percents
        self._samples: list[Sample] = []
        self._pixels_NWK3: list[NDArray[np.int64]] = []
        self._f_NWK: list[NDArray[np.float64]] = []

    def update(self, image: ScoredImage) -> None:
        """Count an image."""
        classes, (height, width) = len(self._classes), image.truth_hw.shape
        pixels, f = [], []
        for percent in self._percents:
            distance = boundary_distance(height, width, percent / 100)
            labels = image.prediction_hw, image.truth_hw
            found = boundary_counts(*labels, classes, distance)
            pixels.append(np.stack([found.truth_K, found.predicted_K, found.both_K], 1))
            f.append(boundary_f(*labels, classes, distance))
        self._samples.append(image.sample)
        self._pixels_NWK3.append(np.stack(pixels))
        self._f_NWK.append(np.stack(f))

    def merge(self, other: Self) -> None:
        """Add what another one has counted on images that come after."""
        self._samples += other._samples
        self._pixels_NWK3 += other._pixels_NWK3
        self._f_NWK += other._f_NWK

    def summary(self) -> MeasureSummary:
        """Return `boundaries`, an element for each width, boundaries.csv, and columns of images.csv and
        groups.csv at the smallest width.
        """
        shape, scores, rows = (-1, len(self._percents), len(self._classes)), [], []
        pixels_NWK3 = np.array(self._pixels_NWK3, np.int64).reshape(*shape, 3)
        f_NWK = np.array(self._f_NWK, np.float64).reshape(shape)
        for place, percent in enumerate(self._percents):
            pixels_NK3, f_NK = pixels_NWK3[:, place], f_NWK[:, place]
            scores.append({"percent": percent, **self._means(pixels_NK3, sums_of_defined(f_NK))})
            columns = (self._classes, class_iou(pixels_NK3.sum(0)), mean_defined(f_NK.T))
            rows += [
                BoundaryRow(
                    class_name=name,
                    percent=percent,
                    boundary_iou=rounded(iou),
                    boundary_f=rounded(f),
                )
                for name, iou, f in zip(*columns, strict=True)
            ]
        narrow = int(np.argmin(self._percents))
        pixels_NK3, f_NK2 = pixels_NWK3[:, narrow], sums_of_defined(f_NWK[:, narrow])
        names = [sample.name for sample in self._samples]
        return MeasureSummary(
            scores={"boundaries": scores},
            tables={BoundaryRow: rows},
            image_columns=_columns(
                dict(zip(names, pixels_NK3, strict=True)), dict(zip(names, f_NK2, strict=True))
            ),
            group_columns=_columns(
                sums_by_group(self._samples, pixels_NK3), sums_by_group(self._samples, f_NK2)
            ),
        )

    def _means(
        self, pixels_NK3: NDArray[np.int64], f_NK2: NDArray[np.float64]
    ) -> dict[str, float | Interval | None]:
        return {
            "iou": rounded(float(miou(pixels_NK3.sum(0)))),
            "iou_interval": interval(self._samples, pixels_NK3, miou),
            "f": rounded(float(mean_of_class_sums(f_NK2.sum(0)))),
            "f_interval": interval(self._samples, f_NK2, mean_of_class_sums),
        }


def _columns(
    pixels_K3: Mapping[str, NDArray[np.int64]], f_K2: Mapping[str, NDArray[np.float64]]
) -> dict[str, dict[str, float | None]]:
    """Return both scores of images, or of groups, by column and name."""
    return {
        "boundary_iou": {name: rounded(float(miou(one))) for name, one in pixels_K3.items()},
        "boundary_f": {name: rounded(float(mean_of_class_sums(one))) for name, one in f_K2.items()},
    }
