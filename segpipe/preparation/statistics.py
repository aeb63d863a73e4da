"""Statistics of prepared data, from exact whole-number counts where the pixels are whole numbers.

Shapes: T frames, H, W, C of the images, h, w of the masks.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import sqrt
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from segpipe.labels.scheme import VOID, LabelScheme

_NONE_256 = np.zeros(256, np.int64)
_ARRAYS = ("pixels_256", "rows_256", "present_256", "histogram_C256")
# Of one sample: sum and sum of squares by channel.
Sums = tuple[NDArray[np.float64], NDArray[np.float64]]


@dataclass(frozen=True)
class RowStatistics:
    """What is counted in one row of the arrays.

    pixels_256: of the mask, by train id. histogram_C256: of the image, by channel and value; values
    in 0..1 go to the nearest of 256 steps. sums: sum and sum of squares by channel, of values in
    0..1, None where the histogram holds them exactly. pixels: of the image.
    """

    pixels_256: NDArray[np.int64]
    histogram_C256: NDArray[np.int64] | None
    pixels: int
    sums: Sums | None = None


def row_statistics(frames_THWC: NDArray[Any] | None, mask_hw: NDArray[np.uint8]) -> RowStatistics:
    """Count the pixels of one row.

    frames_THWC: uint8, or float16 in 0..1, without padding; None where only the mask is counted.
    """
    pixels_256 = np.array(Image.fromarray(mask_hw).histogram(), np.int64)
    if frames_THWC is None:
        return RowStatistics(pixels_256, None, 0)
    pixels = int(np.prod(frames_THWC.shape[:3]))
    if frames_THWC.dtype == np.uint8:
        return RowStatistics(pixels_256, _histogram(frames_THWC), pixels)
    wide_NC = frames_THWC.reshape(-1, frames_THWC.shape[-1]).astype(np.float64)
    steps_NC = np.rint(wide_NC * 255).astype(np.uint8)
    return RowStatistics(
        pixels_256,
        np.stack([np.bincount(channel, minlength=256) for channel in steps_NC.T]),
        pixels,
        (wide_NC.sum(0), np.square(wide_NC).sum(0)),
    )


def _histogram(frames_THWC: NDArray[np.uint8]) -> NDArray[np.int64]:
    """Pillow counts three channels in a third of the time of numpy's bincount."""
    total = np.zeros((frames_THWC.shape[-1], 256), np.int64)
    for frame_HWC in frames_THWC:
        total += np.array(Image.fromarray(np.ascontiguousarray(frame_HWC)).histogram()).reshape(
            -1, 256
        )
    return total


@dataclass
class Totals:
    """What is counted over a split; it does not grow with the number of samples.

    rows_256: rows that hold a train id. present_256: valid pixels of the rows that hold it.
    """

    samples: int = 0
    rows: int = 0
    pixels_256: NDArray[np.int64] = field(default_factory=_NONE_256.copy)
    rows_256: NDArray[np.int64] = field(default_factory=_NONE_256.copy)
    present_256: NDArray[np.int64] = field(default_factory=_NONE_256.copy)
    histogram_C256: NDArray[np.int64] | None = None
    pixels: int = 0
    first_C: NDArray[np.float64] | None = None
    second_C: NDArray[np.float64] | None = None

    def add(self, rows: tuple[RowStatistics, ...]) -> None:
        """Count one more sample and its copies, whole numbers alone: these need no order."""
        self.samples += 1
        for row in rows:
            self.rows += 1
            self.pixels_256 += row.pixels_256
            held_256 = row.pixels_256 > 0
            self.rows_256 += held_256
            self.present_256 += held_256 * int(row.pixels_256[:VOID].sum())
            self.pixels += row.pixels
            self.histogram_C256 = _plus(self.histogram_C256, row.histogram_C256)

    def add_sums(self, sums: Sums | None) -> None:
        """Add the sums of one more sample, in the order of the samples: that of floats decides bits."""
        if sums is not None:
            self.first_C, self.second_C = (
                _plus(self.first_C, sums[0]),
                _plus(self.second_C, sums[1]),
            )

    def merge(self, other: "Totals") -> None:
        """Add the whole numbers of another part of the split."""
        self.samples += other.samples
        self.rows += other.rows
        self.pixels += other.pixels
        for name in _ARRAYS:
            setattr(self, name, _plus(getattr(self, name), getattr(other, name)))

    def whole_numbers(self) -> dict[str, Any]:
        """Return plain values, of which `of` makes totals without sums of floats."""
        arrays = {name: getattr(self, name) for name in _ARRAYS}
        plain = {name: None if each is None else each.tolist() for name, each in arrays.items()}
        return {"samples": self.samples, "rows": self.rows, "pixels": self.pixels, **plain}

    @staticmethod
    def of(content: Mapping[str, Any]) -> "Totals":
        """Return the totals of which `whole_numbers` are `content`."""
        arrays = {name: content[name] for name in _ARRAYS}
        made = {name: None if each is None else np.array(each) for name, each in arrays.items()}
        return Totals(**{**content, **made})

    def mean_and_std(self) -> tuple[list[float], list[float]]:
        """Return mean and population standard deviation by channel, of values in 0..1.

        A channel without variation has the std 1/255, one step of its values, so that dividing by
        it stays possible.
        """
        if self.first_C is None or self.second_C is None:
            assert self.histogram_C256 is not None
            return mean_and_std(self.histogram_C256)
        means = self.first_C / self.pixels
        variances = self.second_C / self.pixels - means**2
        stds = np.sqrt(np.maximum(variances, 0)).clip(min=1 / 255)
        return means.tolist(), stds.tolist()

    def describe(self, scheme: LabelScheme) -> dict[str, Any]:
        """Return what dataset.json says of the split."""

        def by_class(counts_256: NDArray[np.int64]) -> dict[str, int]:
            counts = counts_256[: scheme.num_classes].tolist()
            return dict(zip(scheme.classes, counts, strict=True))

        return {
            "samples": self.samples,
            "rows": self.rows,
            "class_pixels": by_class(self.pixels_256),
            "class_rows": by_class(self.rows_256),
            "class_present_pixels": by_class(self.present_256),
            "void_pixels": int(self.pixels_256[VOID]),
        }


def _plus(total: NDArray[Any] | None, more: NDArray[Any] | None) -> NDArray[Any] | None:
    return total if more is None else more if total is None else total + more


def mean_and_std(histogram_C256: NDArray[np.int64]) -> tuple[list[float], list[float]]:
    """Return mean and population standard deviation by channel, in 0..1, of a (C, 256) histogram.

    A channel without variation has the std 1/255.
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
