"""Windows of images and truth, read without the rest of the raster.

Shapes: C bands, H, W pixels of the image's window, h, w those of the truth; ratio = H / h = W / w.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from segpipe.raw.input_spec import Scaling
from segpipe.raw.rasters.gdal import opened, require_rasterio
from segpipe.raw.sample import Window
from segpipe.runtime.errors import DataError

_Edges = tuple[tuple[int, int], tuple[int, int]]  # first and end of the rows, and of the columns


@dataclass(frozen=True)
class RasterValues:
    """Values of bands, (C, H, W), and what is known of them.

    measured_CHW: False where a value is its band's nodata value, or the pixel is masked by the file's
    mask or alpha band. valid_HW: the pixels with data, as `read_values` says.
    """

    values_CHW: NDArray[Any]
    measured_CHW: NDArray[np.bool_]
    valid_HW: NDArray[np.bool_]


@dataclass(frozen=True)
class ImageWindow:
    """A part of an image.

    image_HWC: float16 in 0..1. valid_HW: the pixels with data. partly_nodata: how many of those hold
    the nodata value in some of the bands.
    """

    image_HWC: NDArray[np.float16]
    valid_HW: NDArray[np.bool_]
    partly_nodata: int = 0


@dataclass(frozen=True)
class TruthWindow:
    """A part of a raster of labels.

    raw_hw: int64 raw ids. known_hw: False where the file has nodata or a mask. nodata: the value that
    the file's nodata tag declares, where that decides what is known.
    """

    raw_hw: NDArray[np.int64]
    known_hw: NDArray[np.bool_]
    nodata: int | None


def read_window(path: Path, window: Window | None, scaling: Scaling) -> ImageWindow:
    """Read a window of an image, or all of it.

    A pixel that is not valid (see `read_values`) is 0 in all bands. Memory grows with the window (and
    the file's blocks that it touches), not with the raster.

    Raises DataError when the file cannot be read, lacks a band, or the window reaches outside.
    """
    with opened(path) as dataset:
        bands = chosen_bands(path, dataset.count, scaling.bands)
        read = read_values(dataset, path, bands, window)
    partly_HW = read.valid_HW & ~np.logical_and.reduce(read.measured_CHW, axis=0)
    image_HWC = scale_bands(read.values_CHW, read.valid_HW, scaling)
    return ImageWindow(image_HWC, read.valid_HW, int(np.count_nonzero(partly_HW)))


def scale_bands(
    values_CHW: NDArray[Any], valid_HW: NDArray[np.bool_], scaling: Scaling
) -> NDArray[np.float16]:
    """Scale values to 0..1, (H, W, C) float16; what is not valid becomes 0, and so does all of a
    band whose ends are equal.
    """
    image_HWC = np.zeros((*valid_HW.shape, len(scaling.bands)), np.float16)
    for channel, (low, high) in enumerate(zip(scaling.low, scaling.high, strict=True)):
        if high > low:
            # Clipped before the difference is taken, so that no value can overflow.
            wide_HW = np.where(valid_HW, values_CHW[channel], low).astype(np.float64)
            image_HWC[:, :, channel] = (wide_HW.clip(low, high) - low) / (high - low)
    return image_HWC


def read_truth(path: Path, window: Window, ratio: int) -> TruthWindow:
    """Read the labels of an image's window, (h, w), at the truth's own resolution.

    window: in image pixels; its edges must be multiples of `ratio`.

    Raises DataError when the file cannot be read, has several bands, or holds no whole numbers.
    """
    sides = (window.top, window.left, window.height, window.width)
    if any(side % ratio for side in sides):
        raise ValueError(f"{window} does not begin and end with a truth pixel of {ratio}")
    with opened(path) as dataset:
        refuse_odd_labels(path, dataset.count, dataset.dtypes[0])
        part = Window(*(side // ratio for side in sides))
        read = read_values(dataset, path, (1,), part)
        by_tag = require_rasterio().enums.MaskFlags.nodata in dataset.mask_flag_enums[0]
        # A tag that is no whole number, such as nan, hides nothing in a raster of such.
        nodata = int(dataset.nodata) if by_tag and float(dataset.nodata).is_integer() else None
    return TruthWindow(read.values_CHW[0].astype(np.int64), read.valid_HW, nodata)


def refuse_odd_labels(path: Path | str, bands: int, dtype: Any) -> None:
    """Raise DataError when a raster of such bands cannot be one of labels."""
    if bands != 1:
        raise DataError(f"{path}: has {bands} bands; a raster of labels has one, the ids")
    if np.dtype(dtype).kind not in "iu":
        raise DataError(
            f"{path}: holds {dtype} values; labels are whole numbers, so convert it "
            "(gdal_translate -ot Byte), after a look whether it was interpolated"
        )


def coarse_valid(valid_HW: NDArray[np.bool_], ratio: int) -> NDArray[np.bool_]:
    """Return which truth pixels are valid, (h, w): those with at least half of theirs valid.

    valid_HW: by image pixel; both sides must divide by `ratio`.
    """
    height, width = valid_HW.shape
    if height % ratio or width % ratio:
        raise ValueError(f"{height} x {width} pixels do not divide by {ratio}")
    blocks = valid_HW.reshape(height // ratio, ratio, width // ratio, ratio)
    valid_hw: NDArray[np.bool_] = blocks.sum((1, 3)) * 2 >= ratio * ratio
    return valid_hw


def chosen_bands(path: Path, count: int, bands: Sequence[int] | None) -> tuple[int, ...]:
    """Return the numbers of the bands to read, all where `bands` is None.

    Raises DataError that names the chosen ones that a raster of `count` bands has not.
    """
    chosen = tuple(range(1, count + 1)) if bands is None else tuple(bands)
    missing = sorted({band for band in chosen if band > count})
    if missing:
        raise DataError(
            f"{path}: has {count} bands, so band {', '.join(map(str, missing))} of "
            "prepare.rasters.bands is not there; choose others, or null for all"
        )
    return chosen


def read_values(
    dataset: Any,
    path: Path,
    bands: Sequence[int],
    window: Window | None = None,
    shape: tuple[int, int] | None = None,
) -> RasterValues:
    """Read bands of an open raster.

    A pixel is valid where the file's own mask or alpha band says so; where the file has none, where
    any of the bands has a value that is not nodata: a saturated red is 0 in green and blue. That is
    the rule of rasterio's dataset_mask(), applied to the bands that are read; that function also
    takes the fourth band of a file for alpha that says nothing of the kind. NaN and infinity in any
    of the bands are no measurement: such a pixel is never valid.

    window: the part to read; None for all. shape: of the result, where a reduced reading by nearest
    is wanted.
    """
    if any(dataset.dtypes[band - 1].startswith("complex") for band in bands):
        raise DataError(
            f"{path}: holds complex numbers; write their magnitude as a band of its own"
        )
    edges = None if window is None else _edges(dataset, path, window)
    values_CHW = dataset.read(
        list(bands), window=edges, out_shape=None if shape is None else (len(bands), *shape)
    )
    measured_CHW = _measured(dataset, bands, edges, values_CHW.shape)
    valid_HW: NDArray[np.bool_] = np.logical_or.reduce(measured_CHW, axis=0)
    if values_CHW.dtype.kind == "f":
        valid_HW &= np.isfinite(values_CHW).all(0)
    return RasterValues(values_CHW, measured_CHW, valid_HW)


def _measured(
    dataset: Any, bands: Sequence[int], edges: _Edges | None, shape: tuple[int, ...]
) -> NDArray[np.bool_]:
    """Return where the file says that its bands have data, (C, H, W); for all bands alike if masked."""
    enums = require_rasterio().enums
    flags = dataset.mask_flag_enums
    if enums.MaskFlags.per_dataset in flags[0]:
        mask = dataset.read_masks(1, window=edges, out_shape=shape[1:])
    elif enums.ColorInterp.alpha in dataset.colorinterp:  # a nodata tag hides it from the flags
        alpha = dataset.colorinterp.index(enums.ColorInterp.alpha) + 1
        mask = dataset.read(alpha, window=edges, out_shape=shape[1:])
    elif all(enums.MaskFlags.all_valid in flags[band - 1] for band in bands):
        mask = np.ones((1, 1), np.bool_)
    else:
        mask = dataset.read_masks(list(bands), window=edges, out_shape=shape)
    return np.broadcast_to(mask > 0, shape)


def _edges(dataset: Any, path: Path, window: Window) -> _Edges:
    """Return a window as rasterio takes it; DataError where it reaches outside the raster."""
    bottom, right = window.top + window.height, window.left + window.width
    if min(window.top, window.left) < 0 or bottom > dataset.height or right > dataset.width:
        raise DataError(
            f"{path}: has {dataset.height} x {dataset.width} pixels, but rows {window.top} to "
            f"{bottom} and columns {window.left} to {right} are wanted; was it replaced? "
            "Run the fetch stage again"
        )
    return (window.top, bottom), (window.left, right)
