"""Scaling: the values of each band that become 0 and 1, measured on the training rasters."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from segpipe.raw.rasters.gdal import opened
from segpipe.raw.rasters.grid import Grid, read_grid
from segpipe.raw.rasters.pixels import chosen_bands, read_values
from segpipe.runtime.console import progress
from segpipe.runtime.errors import DataError, listing

# Values read in all, over all rasters and bands: they bound the memory, whatever the rasters' size.
_BUDGET = 2**24


@dataclass(frozen=True)
class Scaling:
    """Which bands are read (numbers from 1), and the values of each that become 0 and 1."""

    bands: tuple[int, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]

    def to_json(self) -> dict[str, list[float]]:
        """Return plain lists for a JSON file."""
        return {"bands": [*self.bands], "low": [*self.low], "high": [*self.high]}

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> "Scaling":
        """Return the scaling that `to_json` described; DataError when it is none."""
        try:
            bands = tuple(int(band) for band in content["bands"])
            low, high = (tuple(float(end) for end in content[key]) for key in ("low", "high"))
        except (KeyError, TypeError, ValueError) as error:
            raise DataError(f"the scaling of the bands is damaged: {error!r}") from error
        if not len(bands) == len(low) == len(high) > 0 or not np.isfinite([*low, *high]).all():
            raise DataError(f"the scaling of the bands is damaged: {content!r}")
        return cls(bands, low, high)

    def apply(self, values_CHW: NDArray[Any], valid_HW: NDArray[np.bool_]) -> NDArray[np.float16]:
        """Scale values to 0..1, (H, W, C) float16; what is not valid becomes 0, and so does all of
        a band whose ends are equal.
        """
        image_HWC = np.zeros((*valid_HW.shape, len(self.bands)), np.float16)
        for channel, (low, high) in enumerate(zip(self.low, self.high, strict=True)):
            if high > low:
                # Clipped before the difference is taken, so that no value can overflow.
                wide_HW = np.where(valid_HW, values_CHW[channel], low).astype(np.float64)
                image_HWC[:, :, channel] = (wide_HW.clip(low, high) - low) / (high - low)
        return image_HWC


def measure_scaling(
    paths: Sequence[Path], bands: Sequence[int] | None, quantiles: tuple[float, float]
) -> Scaling:
    """Return the quantiles (two shares, ascending) of each band over all pixels of the rasters.

    bands: numbers from 1; None for all. Every pixel of every raster has the same weight; where
    they are more than 2^24 values in all, every n-th row and column of every raster is read, so
    that memory stays bounded. Pixels that are not valid in each of the bands do not count.

    Raises DataError with all rasters that lack a band, have another number of them (where all are
    read), or cannot be read; and when there is no valid pixel at all.
    """
    grids, chosen = _inspected(paths, bands)
    pixels = sum(grid.height * grid.width for grid in grids)
    every = max(1, math.ceil(math.sqrt(pixels * len(chosen) / _BUDGET)))
    parts = []
    for path, grid in progress(
        list(zip(paths, grids, strict=True)), "measure bands", "raster", len(paths)
    ):
        shape = (math.ceil(grid.height / every), math.ceil(grid.width / every))
        with opened(path) as dataset:
            values_CHW, valid_HW = read_values(dataset, path, chosen, shape=shape)
        parts.append(values_CHW[:, valid_HW])
    values_CN = np.concatenate(parts, axis=1)
    if not values_CN.shape[1]:
        raise DataError(
            f"{paths[0].parent}: the training rasters hold no pixel that is valid in all chosen "
            "bands; check their nodata value and prepare.rasters.bands"
        )
    ends_2C = np.array(
        [np.quantile(band_N.astype(np.float64), quantiles) for band_N in values_CN]
    ).T
    return Scaling(chosen, tuple(ends_2C[0].tolist()), tuple(ends_2C[1].tolist()))


def _inspected(
    paths: Sequence[Path], bands: Sequence[int] | None
) -> tuple[list[Grid], tuple[int, ...]]:
    """Return the grids and the bands that all rasters have; DataError lists all that have not."""
    if not paths:
        raise DataError("there is no training raster to measure the bands on")
    grids, chosen, faults = [], [], []
    for path in paths:
        try:
            grids.append(read_grid(path))
            chosen.append(chosen_bands(path, grids[-1].bands, bands))
        except DataError as error:
            faults.append(str(error))
    if not faults and len({len(one) for one in chosen}) > 1:
        faults = [f"{path}: {grid.bands} bands" for path, grid in zip(paths, grids, strict=True)]
        raise DataError(
            "the training rasters have different numbers of bands; choose those that all have in "
            f"prepare.rasters.bands:\n{listing(faults)}"
        )
    if faults:
        raise DataError(f"{len(faults)} training rasters cannot be used:\n{listing(faults)}")
    return grids, chosen[0]
