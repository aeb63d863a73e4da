"""Statistics of prepared data, from exact whole-number counts."""

from dataclasses import dataclass, field
from math import sqrt
from typing import Any

import numpy as np
from numpy.typing import NDArray

from segpipe.labels.scheme import VOID, LabelScheme
from segpipe.storage.task import Outcome


@dataclass
class Totals:
    """What is counted over a split; it does not grow with the number of samples."""

    samples: int = 0
    rows: int = 0
    pixels_256: NDArray[np.int64] = field(default_factory=lambda: np.zeros(256, np.int64))
    histogram_3x256: NDArray[np.int64] = field(default_factory=lambda: np.zeros((3, 256), np.int64))

    def add(self, outcome: Outcome) -> None:
        """Count one more sample and its copies."""
        self.samples += 1
        self.rows += len(outcome.digests)
        self.pixels_256 += outcome.pixels_256
        self.histogram_3x256 += outcome.histogram_3x256

    def describe(self, scheme: LabelScheme) -> dict[str, Any]:
        """Return what dataset.json says of the split."""
        counted = self.pixels_256[: scheme.num_classes].tolist()
        return {
            "samples": self.samples,
            "rows": self.rows,
            "class_pixels": dict(zip(scheme.classes, counted, strict=True)),
            "void_pixels": int(self.pixels_256[VOID]),
        }


def mean_and_std(histogram_C256: NDArray[np.int64]) -> tuple[list[float], list[float]]:
    """Return mean and population standard deviation by channel, in 0..1, of a (C, 256) histogram.

    A channel without variation has the std 1/255, one step of its values, so that dividing by it
    stays possible.
    """
    values = list(range(256))
    means, stds = [], []
    for counts in histogram_C256.tolist():
        pixels = sum(counts)
        first = sum(n * v for n, v in zip(counts, values, strict=True))
        second = sum(n * v * v for n, v in zip(counts, values, strict=True))
        # Python's integers do not overflow: the difference of two large sums stays exact.
        variance = (second * pixels - first * first) / (pixels * pixels)
        means.append(first / pixels / 255)
        stds.append(max(sqrt(variance), 1.0) / 255)
    return means, stds
