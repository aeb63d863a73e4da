"""What a measure is: a family of scores that is counted image by image and summed up at the end.

A measure is a file in `measures/` and a line in `EvaluationCounts.of` (`counts.py`). Whatever keys its
summary has must be declared in `segpipe.results.evaluation`.

Shapes: N images, K classes, F image files, h and w of an image's truth.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from math import isnan
from typing import Any, Protocol, Self, TypeVar

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from segpipe.metrics.bootstrap import LEAST_IMAGES, Statistic, bootstrap_interval
from segpipe.metrics.label_pairs import label_confusion
from segpipe.metrics.scores import ratio
from segpipe.raw.sample import Sample
from segpipe.results.records import Interval, Record

Number = TypeVar("Number", np.int64, np.float64)


@dataclass(frozen=True, eq=False)
class ScoredImage:
    """An image with its truth and the labels that were predicted for it.

    truth_hw, prediction_hw: train ids, uint8; pixels whose truth is VOID are not scored.
    scored_mask_hw: which pixels belong to this sample and not to a neighbouring window; of the others
    the truth is VOID. classes: their number, K. instances_hw: which object each pixel shows, as
    Cityscapes numbers them; None where no file says so.
    """

    sample: Sample
    truth_hw: NDArray[np.uint8]
    prediction_hw: NDArray[np.uint8]
    scored_mask_hw: NDArray[np.bool_]
    classes: int
    instances_hw: NDArray[np.int32] | None = None

    @cached_property
    def confusion_KP(self) -> NDArray[np.int64]:
        """The pixels by true class (row) and answer (column, the last for none), counted once for all."""
        return label_confusion(self.prediction_hw, self.truth_hw, self.classes)


@dataclass(frozen=True)
class MeasureSummary:
    """What a measure says of all images that it has seen.

    scores: keys of evaluation.json, nested as there. image_columns: by column of images.csv and name
    of the sample; one that is missing has no score. tables: the rows of
    files of the measure's own, by their model.
    """

    scores: Mapping[str, Any]
    image_columns: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    tables: Mapping[type[Record], Sequence[Record]] = field(default_factory=dict)


class _Measure(Protocol):
    def merge(self, other: Self) -> None:
        """Add what another one has counted on images that come after."""

    def summary(self) -> MeasureSummary:
        """Return the scores; None for one without meaning."""


class LabelMeasure(_Measure, Protocol):
    """A measure that needs labels alone, so that label images of any origin can be scored."""

    def update(self, image: ScoredImage) -> None:
        """Count an image."""


class LogitMeasure(_Measure, Protocol):
    """A measure that needs the network's logits as well."""

    def update(self, image: ScoredImage, logits_Khw: Tensor) -> None:
        """Count an image; the logits, float32, lie on the network's device."""


@dataclass(frozen=True)
class Bootstrap:
    """How the uncertainty of scores is found: bootstrap samples (0: not at all) and their seed."""

    samples: int
    seed: int

    def interval(
        self, samples: Sequence[Sample], values_N: NDArray[Number], statistic: Statistic
    ) -> Interval | None:
        """Return the 95 % interval of a statistic of the sum of `values_N`, of any shape a sample.

        What is drawn is image files: windows of one raster are too alike to be drawn apart, and the
        interval would be too narrow. Files without a count are left out. None for fewer than
        `LEAST_IMAGES` of them, and where `bootstrap_interval` has none.
        """
        counted_F = _counted_files(samples, values_N)
        if len(counted_F) < LEAST_IMAGES:
            return None
        found = bootstrap_interval(counted_F, statistic, self.samples, self.seed)
        return None if found is None else Interval(low=round(found[0], 6), high=round(found[1], 6))

    def protocol(self, samples: Sequence[Sample], values_N: NDArray[Number]) -> str:
        """Say how `interval` finds the intervals of such values, or `none: ` and why there is none."""
        if not self.samples:
            return "none: evaluate.bootstrap is 0"
        images = len(_counted_files(samples, values_N))
        if images < LEAST_IMAGES:
            return f"none: {images} image files with truth; at least {LEAST_IMAGES} are needed"
        return (
            f"95% percentile bootstrap over images, {self.samples} samples, seed {self.seed}; none for "
            f"a score that fewer than {LEAST_IMAGES} images have"
        )


def _counted_files(samples: Sequence[Sample], values_N: NDArray[Number]) -> NDArray[Number]:
    summed_F = sums_by_file(samples, values_N)
    return summed_F[summed_F.any(tuple(range(1, summed_F.ndim)))]


def sums_by_file(samples: Sequence[Sample], values_N: NDArray[Number]) -> NDArray[Number]:
    """Return what stands for each sample, of any shape, added up by image file, (F, ...)."""
    places = {file: place for place, file in enumerate(dict.fromkeys(s.image for s in samples))}
    summed = np.zeros((len(places), *values_N.shape[1:]), values_N.dtype)
    np.add.at(summed, [places[sample.image] for sample in samples], values_N)
    return summed


def sums_of_defined(values_N: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return what adds up over images to the mean of the values that are not NaN, (N, 2)."""
    defined_N = ~np.isnan(values_N)
    # The mean is a ratio of sums, so that windows of one raster can be drawn together.
    return np.stack([np.where(defined_N, values_N, 0), defined_N], 1)


def mean_of_sums(sums_S2: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the mean that such sums stand for, (...)."""
    return ratio(sums_S2[..., 0], sums_S2[..., 1])


def rounded(score: float) -> float | None:
    """Return a score with six digits; None, which is null in JSON, for one without meaning (NaN)."""
    return None if isnan(score) else round(float(score), 6)
