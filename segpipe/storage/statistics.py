"""Statistics of prepared data, from exact whole-number counts."""

from collections.abc import Iterable, Sequence
from math import sqrt
from typing import Any

import numpy as np
from numpy.typing import NDArray

from segpipe.labels.scheme import VOID, LabelScheme
from segpipe.storage.task import Outcome


def mean_and_std(histograms: Iterable[NDArray[np.int64]]) -> tuple[list[float], list[float]]:
    """Return mean and population standard deviation by channel, in 0..1, of (C, 256) histograms.

    A channel without variation has the std 1/255, one step of its values, so that dividing by it
    stays possible.
    """
    total_C256 = sum(histograms, np.zeros((1, 256), np.int64))
    values = list(range(256))
    means, stds = [], []
    for counts in total_C256.tolist():
        pixels = sum(counts)
        first = sum(n * v for n, v in zip(counts, values, strict=True))
        second = sum(n * v * v for n, v in zip(counts, values, strict=True))
        # Python's integers do not overflow: the difference of two large sums stays exact.
        variance = (second * pixels - first * first) / (pixels * pixels)
        means.append(first / pixels / 255)
        stds.append(max(sqrt(variance), 1.0) / 255)
    return means, stds


def describe_split(outcomes: Sequence[Outcome], scheme: LabelScheme) -> dict[str, Any]:
    """Return what dataset.json says of a split: samples, rows, pixels by class and void pixels."""
    pixels = sum((outcome.pixels_256 for outcome in outcomes), np.zeros(256, np.int64))
    return {
        "samples": len(outcomes),
        "rows": sum(len(outcome.digests) for outcome in outcomes),
        "class_pixels": dict(
            zip(scheme.classes, pixels[: scheme.num_classes].tolist(), strict=True)
        ),
        "void_pixels": int(pixels[VOID]),
    }
