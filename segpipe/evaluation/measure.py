"""What a measure is: a family of scores that is counted image by image and summed up at the end.

A measure is a file in `measures/` and a line in `EvaluationCounts.of` (`counts.py`). Whatever keys its
summary has must be declared in `segpipe.results.evaluation`.

Shapes: N images, K classes, F image files, h and w of an image's truth.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from math import isnan
from typing import Any, Protocol, Self

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from segpipe.metrics.jackknife import Statistic, Uncertainty, jackknife, sums_by
from segpipe.metrics.label_pairs import label_confusion, pair_counts
from segpipe.metrics.scores import class_counts
from segpipe.raw.sample import Sample
from segpipe.results.records import Interval, Record


@dataclass(frozen=True, eq=False)
class ScoredImage:
    """An image with its truth and the labels that were predicted for it.

    truth_hw, prediction_hw: train ids, uint8; pixels whose truth is VOID are not scored.
    scored_mask_hw: which pixels belong to this sample and not to a neighbouring window; of the others
    the truth is VOID. classes: their number, K. instances_hw: which object each pixel shows, as
    Cityscapes numbers them; None where no file says so. moved_hw: the train ids that were predicted one
    frame earlier, where their pixels are in this image; VOID where there is none; None without clips.
    """

    sample: Sample
    truth_hw: NDArray[np.uint8]
    prediction_hw: NDArray[np.uint8]
    scored_mask_hw: NDArray[np.bool_]
    classes: int
    instances_hw: NDArray[np.int32] | None = None
    moved_hw: NDArray[np.uint8] | None = None

    @cached_property
    def confusion_KP(self) -> NDArray[np.int64]:
        """The pixels by true class (row) and answer (column, the last for none), counted once for all."""
        return label_confusion(pair_counts(self.prediction_hw, self.truth_hw), self.classes)

    @cached_property
    def counts_K3(self) -> NDArray[np.int64]:
        """The true pixels, the predicted ones and the hits of each class, counted once for all."""
        return class_counts(self.confusion_KP)


@dataclass(frozen=True)
class MeasureSummary:
    """What a measure says of all images that it has seen.

    scores: keys of evaluation.json, nested as there. image_columns: by column of images.csv and name
    of the sample; one that is missing has no score. group_columns: likewise of groups.csv, by group;
    count_columns: of image_counts.csv, by name of the sample. tables: the rows of files of the measure's
    own, by their model.
    """

    scores: Mapping[str, Any]
    image_columns: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    group_columns: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    count_columns: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
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


def uncertainty(
    samples: Sequence[Sample], values_N: NDArray[Any], statistic: Statistic
) -> Uncertainty:
    """Return the 95 % interval of a statistic of the sum of `values_N`, of any shape a sample.

    Windows of one raster count as one image: they are too alike to be told apart. Files follow each
    other as the samples do.
    """
    files = [sample.image for sample in samples]
    groups = list({sample.image: sample.group for sample in samples}.values())
    return jackknife(sums_by(files, values_N), groups, statistic)


def interval(
    samples: Sequence[Sample], values_N: NDArray[Any], statistic: Statistic
) -> Interval | None:
    """Return the interval of `uncertainty` as the results have it; None where there is none."""
    found = uncertainty(samples, values_N, statistic)
    return Interval(low=round(found.low, 6), high=round(found.high, 6)) if found.known else None


def sums_by_group(samples: Sequence[Sample], values_N: NDArray[Any]) -> dict[str, NDArray[Any]]:
    """Return the sum of `values_N` over the samples of each group, in the order of the groups."""
    groups = [sample.group for sample in samples]
    return dict(zip(dict.fromkeys(groups), sums_by(groups, values_N), strict=True))


def scores_of_parts(
    samples: Sequence[Sample], values_N: NDArray[Any], statistic: Statistic
) -> tuple[dict[str, float | None], dict[str, float | None]]:
    """Return a statistic of the values of each sample, by name, and of the sum of each group."""
    images = {sample.name: one for sample, one in zip(samples, values_N, strict=True)}
    of_images, of_groups = (
        {name: rounded(float(statistic(one[None])[0])) for name, one in parts.items()}
        for parts in (images, sums_by_group(samples, values_N))
    )
    return of_images, of_groups


def rounded(score: float) -> float | None:
    """Return a score with six digits; None, which is null in JSON, for one without meaning (NaN)."""
    return None if isnan(score) else round(float(score), 6)
