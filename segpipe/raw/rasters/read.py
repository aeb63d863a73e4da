"""Windows of images and truth, read without the rest of the raster.

Shapes: H, W pixels of the image's window, h, w those of the truth; ratio = H / h = W / w.
"""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from segpipe.raw.rasters.gdal import opened
from segpipe.raw.rasters.pixels import chosen_bands, read_values
from segpipe.raw.rasters.scaling import Scaling
from segpipe.raw.sample import Window
from segpipe.runtime.errors import DataError


def read_window(
    path: Path, window: Window, scaling: Scaling
) -> tuple[NDArray[np.float16], NDArray[np.bool_]]:
    """Read a window of an image: (H, W, C) float16 in 0..1, and which pixels are valid, (H, W).

    A pixel that is nodata, masked, NaN or infinite in any of the bands is not valid, and 0 in all.
    Memory grows with the window (and the file's blocks that it touches), not with the raster.

    Raises DataError when the file cannot be read, lacks a band, or the window reaches outside.
    """
    with opened(path) as dataset:
        bands = chosen_bands(path, dataset.count, scaling.bands)
        values_CHW, valid_HW = read_values(dataset, path, bands, window)
    return scaling.apply(values_CHW, valid_HW), valid_HW


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
