"""Values of an open raster, with the pixels that were measured in every chosen band."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from segpipe.raw.sample import Window
from segpipe.runtime.errors import DataError


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
        window=None if window is None else edges(dataset, path, window),
        out_shape=None if shape is None else (len(bands), *shape),
        masked=True,
    )
    valid_HW: NDArray[np.bool_] = ~np.logical_or.reduce(np.ma.getmaskarray(values_CHW), axis=0)
    plain_CHW = np.ma.getdata(values_CHW)
    if plain_CHW.dtype.kind == "f":
        valid_HW &= np.isfinite(plain_CHW).all(0)
    return plain_CHW, valid_HW


def edges(dataset: Any, path: Path, window: Window) -> tuple[tuple[int, int], tuple[int, int]]:
    """Return a window as rasterio takes it; DataError where it reaches outside the raster."""
    bottom, right = window.top + window.height, window.left + window.width
    if min(window.top, window.left) < 0 or bottom > dataset.height or right > dataset.width:
        raise DataError(
            f"{path}: has {dataset.height} x {dataset.width} pixels, but rows {window.top} to "
            f"{bottom} and columns {window.left} to {right} are wanted; was it replaced? "
            "Run the fetch stage again"
        )
    return (window.top, bottom), (window.left, right)
