"""What the probabilities are worth: ranking by class, and calibration.

Shapes: K classes, T ranges of probability; h and w of an image's truth. The first axis of counts is 1
for images that the temperature was fitted on, and 0 for the others.
"""

import math
from collections.abc import Collection, Sequence
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from segpipe.evaluation.measure import MeasureSummary, ScoredImage, rounded
from segpipe.metrics.class_probabilities import (
    BINS,
    auroc,
    class_probabilities,
    classwise_error,
    count_by_class,
    count_confidence,
    reliability,
)
from segpipe.metrics.precision_recall import (
    PROBABILITIES,
    average_precision,
    average_precision_bound,
)
from segpipe.metrics.scores import mean_defined, weighted_mean
from segpipe.results.evaluation_tables import ReliabilityBin


class ClassProbabilities:
    """AUROC and average precision of each class against all others, and calibration errors.

    Calibration is measured on images that the temperature was not fitted on.
    """

    def __init__(
        self, classes: Sequence[str], temperature: float = 1.0, fitted_on: Collection[str] = ()
    ) -> None:
        """fitted_on: the image files that the temperature was fitted on."""
        self._classes, self._temperature, self._fitted_on = classes, temperature, fitted_on
        self._by_class_2K2T = np.zeros((2, len(classes), 2, PROBABILITIES), np.int64)
        self._confidence_2T = np.zeros((2, PROBABILITIES), np.int64)
        self._before_2T = np.zeros((2, PROBABILITIES), np.int64)
        self._images: dict[str, int] = {}  # by name: 1 where the temperature was fitted on it

    def update(self, image: ScoredImage, logits_Khw: Tensor) -> None:
        """Count the probabilities of an image's valid pixels."""
        truth_hw = torch.from_numpy(image.truth_hw).to(logits_Khw.device)
        chances_Khw = class_probabilities(logits_Khw, self._temperature)
        used = int(image.sample.image in self._fitted_on)
        self._images[image.sample.name] = used
        self._by_class_2K2T[used] += count_by_class(chances_Khw, truth_hw).cpu().numpy()
        if used:
            return
        self._confidence_2T += count_confidence(chances_Khw, truth_hw).cpu().numpy()
        if self._fitted_on:
            before_Khw = class_probabilities(logits_Khw)
            self._before_2T += count_confidence(before_Khw, truth_hw).cpu().numpy()

    def merge(self, other: Self) -> None:
        """Add what another one has counted."""
        self._by_class_2K2T += other._by_class_2K2T
        self._confidence_2T += other._confidence_2T
        self._before_2T += other._before_2T
        self._images |= other._images

    def summary(self) -> MeasureSummary:
        """Return `probabilities`, two scores of each class, and reliability.csv."""
        by_class_K2T = self._by_class_2K2T.sum(0)
        pairs = [auroc(counts_2T) for counts_2T in by_class_K2T]
        auroc_K, auroc_bound_K = np.array(pairs).T
        precision_K = np.array([average_precision(counts_2T) for counts_2T in by_class_K2T])
        precision_bound_K = np.array(
            [average_precision_bound(counts_2T) for counts_2T in by_class_K2T]
        )
        pixels_K = by_class_K2T[:, 1].sum(1)
        found: dict[str, Any] = {
            "mean_auroc": rounded(float(mean_defined(auroc_K))),
            "weighted_auroc": rounded(float(weighted_mean(auroc_K, pixels_K))),
            "auroc_bound": _largest(auroc_bound_K),
            "mean_average_precision": rounded(float(mean_defined(precision_K))),
            "weighted_average_precision": rounded(float(weighted_mean(precision_K, pixels_K))),
            "average_precision_bound": _largest(precision_bound_K),
            "calibration_error": rounded(reliability(self._confidence_2T).error),
            "classwise_calibration_error": rounded(classwise_error(self._by_class_2K2T[0])),
        }
        if self._fitted_on:
            found["uncalibrated_error"] = rounded(reliability(self._before_2T).error)
        classes = zip(self._classes, auroc_K, precision_K, strict=True)
        by_class = {
            name: {"auroc": rounded(area), "average_precision": rounded(precision)}
            for name, area, precision in classes
        }
        return MeasureSummary(
            scores={
                "probabilities": found,
                "classes": by_class,
                "protocol": {"temperature": self._temperature, "calibration": self._protocol()},
            },
            tables={ReliabilityBin: self._bins()},
        )

    def _protocol(self) -> str:
        """Say what the calibration errors were measured on."""
        images, used = len(self._images), sum(self._images.values())
        if not self._fitted_on:
            return f"no temperature was fitted; errors on all {images} images"
        return (
            f"temperature fitted on {len(self._fitted_on)} validation images; errors, before and after, "
            f"on the {images - used} others of {images} images"
        )

    def _bins(self) -> list[ReliabilityBin]:
        found = reliability(self._confidence_2T)
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
