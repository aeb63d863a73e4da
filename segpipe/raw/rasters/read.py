"""Windows of images and truth, read without the rest of the raster.

Shapes: H, W pixels of the image's window, h, w those of the truth; ratio = H / h = W / w.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from segpipe.raw.input_spec import Scaling
from segpipe.raw.rasters.gdal import opened
from segpipe.raw.sample import Window
from segpipe.runtime.errors import DataError


def read_window(
    path: Path, window: Window | None, scaling: Scaling
) -> tuple[NDArray[np.float16], NDArray[np.bool_]]:
    """Read a window of an image, or all of it: (H, W, C) float16 in 0..1, and which pixels are valid.

    A pixel that is nodata, masked, NaN or infinite in any of the bands is not valid, and 0 in all.
    Memory grows with the window (and the file's blocks that it touches), not with the raster.

    Raises DataError when the file cannot be read, lacks a band, or the window reaches outside.
    """
    with opened(path) as dataset:
        bands = chosen_bands(path, dataset.count, scaling.bands)
        values_CHW, valid_HW = read_values(dataset, path, bands, window)
    return scale_bands(values_CHW, valid_HW, scaling), valid_HW


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


def read_truth(
    path: Path, window: Window, ratio: int
) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Read the labels of an image's window at the truth's own resolution.

    window: in image pixels; its edges must be multiples of `ratio`. Returns the raw ids, (h, w),
    and which of them are known, (h, w): False where the truth is nodata or masked.

    Raises DataError when the file cannot be read, has several bands, or holds no whole numbers.
    """
    sides = (window.top, window.left, window.height, window.width)
    if any(side % ratio for side in sides):
        raise ValueError(f"{window} does not begin and end with a truth pixel of {ratio}")
    with opened(path) as dataset:
        refuse_odd_labels(path, dataset.count, dataset.dtypes[0])
        part = Window(*(side // ratio for side in sides))
        raw_1hw, known_hw = read_values(dataset, path, (1,), part)
    return raw_1hw[0].astype(np.int64), known_hw


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
) -> tuple[NDArray[Any], NDArray[np.bool_]]:
    """Read bands of an open raster: values (C, H, W) and which pixels are valid, (H, W).

    A pixel is valid where every band has a finite value that is not nodata, nor masked by the
    file's own mask or alpha band. window: the part to read; None for all. shape: of the result,
    where a reduced reading by nearest is wanted.
    """
    if any(dataset.dtypes[band - 1].startswith("complex") for band in bands):
        raise DataError(
            f"{path}: holds complex numbers; write their magnitude as a band of its own"
        )
    values_CHW = dataset.read(
        list(bands),
        window=None if window is None else _edges(dataset, path, window),
        out_shape=None if shape is None else (len(bands), *shape),
        masked=True,
    )
    valid_HW: NDArray[np.bool_] = ~np.logical_or.reduce(np.ma.getmaskarray(values_CHW), axis=0)
    plain_CHW = np.ma.getdata(values_CHW)
    if plain_CHW.dtype.kind == "f":
        valid_HW &= np.isfinite(plain_CHW).all(0)
    return plain_CHW, valid_HW


def _edges(dataset: Any, path: Path, window: Window) -> tuple[tuple[int, int], tuple[int, int]]:
    """Return a window as rasterio takes it; DataError where it reaches outside the raster."""
    bottom, right = window.top + window.height, window.left + window.width
    if min(window.top, window.left) < 0 or bottom > dataset.height or right > dataset.width:
        raise DataError(
            f"{path}: has {dataset.height} x {dataset.width} pixels, but rows {window.top} to "
            f"{bottom} and columns {window.left} to {right} are wanted; was it replaced? "
            "Run the fetch stage again"
        )
    return (window.top, bottom), (window.left, right)
