"""What the probabilities are worth: ranking by class, and calibration.

Shapes: N images, K classes, T ranges of probability, B bins of calibration; h and w of an image's truth.
The first axis of counts is 1 for images that the temperature was fitted on, and 0 for the others.
"""

import math
from collections.abc import Collection, Mapping, Sequence
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from segpipe.evaluation.measure import MeasureSummary, ScoredImage, rounded, scores_of_parts
from segpipe.metrics.class_probabilities import (
    BINS,
    auroc,
    bin_counts,
    calibration_error,
    class_errors,
    class_probabilities,
    count_by_class,
    count_confidence,
    ranking,
    reliability,
)
from segpipe.metrics.precision_recall import (
    PROBABILITIES,
    average_precision,
    average_precision_bound,
)
from segpipe.metrics.scores import mean_defined, weighted_mean
from segpipe.raw.sample import Sample
from segpipe.results.evaluation_tables import ReliabilityBin

# Ranking by group needs 16 kB for each class of each group: those of 849 groups of 19 classes.
_MOST_BYTES_OF_GROUPS = 2**28
_RANKING = ("mean_auroc", "mean_average_precision")


class ClassProbabilities:
    """AUROC and average precision of each class against all others, and calibration errors.

    Calibration is measured on images that the temperature was not fitted on. The strips of an image
    come one after the other.
    """

    def __init__(
        self,
        classes: Sequence[str],
        temperature: float = 1.0,
        fitted_on: Collection[str] = (),
        fitted_views: bool = True,
    ) -> None:
        """fitted_on: the image files that the temperature was fitted on. fitted_views: whether images are
        shown to the network as they were for the fit: whole, at one scale, not mirrored.
        """
        self._classes, self._temperature, self._fitted_on = classes, temperature, fitted_on
        self._fitted_views = fitted_views
        self._by_class_2K2T = np.zeros((2, len(classes), 2, PROBABILITIES), np.int64)
        # Of the largest probability; nothing where the temperature was fitted on the image.
        self._bins_B3: dict[Sample, NDArray[np.int64]] = {}
        self._before_B3 = np.zeros((BINS, 3), np.int64)
        self._of_image: tuple[Sample, NDArray[np.int64]] | None = None  # the one that is counted
        self._ranking: dict[str, tuple[float, float]] = {}  # of the images before it, by name
        # None where there are too many groups for their counts.
        self._by_group_K2T: dict[str, NDArray[np.int64]] | None = {}

    def update(self, image: ScoredImage, logits_Khw: Tensor) -> None:
        """Count the probabilities of an image's valid pixels."""
        truth_hw = torch.from_numpy(image.truth_hw).to(logits_Khw.device)
        chances_Khw = class_probabilities(logits_Khw, self._temperature)
        used = int(image.sample.image in self._fitted_on)
        bins_B3 = self._bins_B3.setdefault(image.sample, np.zeros((BINS, 3), np.int64))
        self._add(image.sample, count_by_class(chances_Khw, truth_hw).cpu().numpy())
        if used:
            return
        bins_B3 += bin_counts(count_confidence(chances_Khw, truth_hw).cpu().numpy())
        if self._fitted_on:
            before_Khw = class_probabilities(logits_Khw)
            self._before_B3 += bin_counts(count_confidence(before_Khw, truth_hw).cpu().numpy())

    def _add(self, sample: Sample, counts_K2T: NDArray[np.int64]) -> None:
        """Add the counts of a strip of an image; the image before it has all of its strips."""
        if self._of_image is None or self._of_image[0] != sample:
            self._close_image()
            self._of_image = sample, np.zeros_like(counts_K2T)
        self._of_image[1][:] += counts_K2T

    def _close_image(self) -> None:
        """Score the image that was counted, and add it to its group and to all images."""
        if self._of_image is None:
            return
        sample, counts_K2T = self._of_image
        self._of_image = None
        self._by_class_2K2T[int(sample.image in self._fitted_on)] += counts_K2T
        self._ranking[sample.name] = ranking(counts_K2T)
        self._add_to_groups({sample.group: counts_K2T})

    def _add_to_groups(self, counts_K2T: Mapping[str, NDArray[np.int64]] | None) -> None:
        of_groups = self._by_group_K2T
        if of_groups is None or counts_K2T is None:
            self._by_group_K2T = None
            return
        for group, counts in counts_K2T.items():
            of_groups[group] = of_groups[group] + counts if group in of_groups else counts
        if sum(counts.nbytes for counts in of_groups.values()) > _MOST_BYTES_OF_GROUPS:
            self._by_group_K2T = None

    def merge(self, other: Self) -> None:
        """Add what another one has counted."""
        self._close_image()
        other._close_image()
        self._by_class_2K2T += other._by_class_2K2T
        self._bins_B3 |= other._bins_B3
        self._before_B3 += other._before_B3
        self._ranking |= other._ranking
        self._add_to_groups(other._by_group_K2T)

    def summary(self) -> MeasureSummary:
        """Return `probabilities`, three scores of each class, the means over the classes and the
        calibration error by image and by group, and reliability.csv.
        """
        self._close_image()
        by_class_K2T = self._by_class_2K2T.sum(0)
        pairs = [auroc(counts_2T) for counts_2T in by_class_K2T]
        auroc_K, auroc_bound_K = np.array(pairs).T
        precision_K = np.array([average_precision(counts_2T) for counts_2T in by_class_K2T])
        precision_bound_K = np.array(
            [average_precision_bound(counts_2T) for counts_2T in by_class_K2T]
        )
        pixels_K = by_class_K2T[:, 1].sum(1)
        error_K = class_errors(self._by_class_2K2T[0])
        bins_NB3 = np.array(list(self._bins_B3.values()), np.int64).reshape(-1, BINS, 3)
        total_B3: NDArray[np.int64] = bins_NB3.sum(0)
        of_images, of_groups = scores_of_parts(list(self._bins_B3), bins_NB3, calibration_error)
        found: dict[str, Any] = {
            "mean_auroc": rounded(float(mean_defined(auroc_K))),
            "weighted_auroc": rounded(float(weighted_mean(auroc_K, pixels_K))),
            "auroc_bound": _largest(auroc_bound_K),
            "mean_average_precision": rounded(float(mean_defined(precision_K))),
            "weighted_average_precision": rounded(float(weighted_mean(precision_K, pixels_K))),
            "average_precision_bound": _largest(precision_bound_K),
            "calibration_error": rounded(float(calibration_error(total_B3))),
            "classwise_calibration_error": rounded(float(mean_defined(error_K))),
        }
        if self._fitted_on:
            found["uncalibrated_error"] = rounded(float(calibration_error(self._before_B3)))
        by_class = {
            name: {
                "auroc": rounded(auroc_K[k]),
                "average_precision": rounded(precision_K[k]),
                "calibration_error": rounded(error_K[k]),
            }
            for k, name in enumerate(self._classes)
        }
        return MeasureSummary(
            scores={
                "probabilities": found,
                "classes": by_class,
                "protocol": {"temperature": self._temperature, "calibration": self._protocol()},
            },
            image_columns={"calibration_error": of_images} | _columns(self._ranking),
            group_columns={"calibration_error": of_groups} | self._ranking_of_groups(),
            tables={ReliabilityBin: _diagram(total_B3)},
        )

    def _ranking_of_groups(self) -> dict[str, dict[str, float | None]]:
        of_groups = self._by_group_K2T
        if of_groups is None:
            return {}
        return _columns({group: ranking(counts) for group, counts in of_groups.items()})

    def _protocol(self) -> str:
        """Say what the calibration errors were measured on."""
        images = len(self._bins_B3)
        used = sum(sample.image in self._fitted_on for sample in self._bins_B3)
        if not self._fitted_on:
            return f"no temperature was fitted; errors on all {images} images"
        views = (
            ""
            if self._fitted_views
            else "; it was fitted on whole images at a single scale without flip, and divides here the "
            "logits of other views, or of their mean, for which another one may be better"
        )
        return (
            f"temperature fitted on {len(self._fitted_on)} validation images; errors, before and after, "
            f"on the {images - used} others of {images} images{views}"
        )


def _columns(found: Mapping[str, tuple[float, float]]) -> dict[str, dict[str, float | None]]:
    """Return a column of a table for each of the two scores, by the name of its row."""
    return {
        column: {name: rounded(scores[place]) for name, scores in found.items()}
        for place, column in enumerate(_RANKING)
    }


def _diagram(bins_B3: NDArray[np.int64]) -> list[ReliabilityBin]:
    found = reliability(bins_B3)
    columns = (found.pixels_B, found.confidence_B, found.accuracy_B)
    return [
        ReliabilityBin(
            low=place / BINS,
            high=(place + 1) / BINS,
            pixels=int(pixels),
            confidence=rounded(confidence),
            accuracy=rounded(accuracy),
        )
        for place, (pixels, confidence, accuracy) in enumerate(zip(*columns, strict=True))
    ]


def _largest(bound_K: NDArray[np.float64]) -> float | None:
    """Return the bound of the classes that have one, rounded up."""
    defined_K = bound_K[~np.isnan(bound_K)]
    return math.ceil(float(defined_K.max()) * 1e6) / 1e6 if defined_K.size else None
