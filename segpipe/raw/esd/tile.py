"""ESD tiles: many satellites, dates and bands in one array.

T dates, H and W pixels of the tile, C channels in the order of `channel_names`.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from segpipe.params.prepare import EsdParams
from segpipe.raw.esd import satellites
from segpipe.raw.esd.files import SATELLITES, chosen_bands, raster_files, tile_files
from segpipe.raw.rasters.gdal import opened
from segpipe.raw.rasters.grid import Grid, read_grid
from segpipe.raw.rasters.read import read_values
from segpipe.runtime.errors import DataError, listing

_PREPROCESS: dict[str, Callable[[NDArray[Any], NDArray[np.bool_]], NDArray[np.float32]]] = {
    "viirs": satellites.viirs,
    "sentinel1": satellites.sentinel1,
    "sentinel2": satellites.sentinel2,
    "landsat": satellites.landsat,
}
_MAXIMUM = "viirs_maximum"


def channel_names(params: EsdParams) -> list[str]:
    """Return what each channel is, such as sentinel2_1_B04: satellite, date, band.

    Dates count from 1, the earliest, since other tiles may have been taken on other days. In order:
    viirs, its maximum over dates, sentinel1, sentinel2, landsat, each date by date and in it band
    by band; 99 in all.
    """
    wanted = chosen_bands(params)
    names = []
    for satellite in SATELLITES:
        if satellite.name != "viirs" or params.viirs:
            names += [
                f"{satellite.name}_{date}_{band}"
                for date in range(1, satellite.dates + 1)
                for band in wanted[satellite.name]
            ]
        if satellite.name == "viirs" and params.viirs_maximum:
            names.append(_MAXIMUM)
    return names


def display_channels(names: Sequence[str]) -> tuple[int, int, int]:
    """Return which channels show a tile as red, green and blue.

    True colours of the first date of sentinel2 or else of landsat; else both polarisations of
    sentinel1; else the night light; else the first three there are (the last one again, where
    there are fewer).
    """
    for wanted in (
        [f"sentinel2_1_{band}" for band in ("B04", "B03", "B02")],
        [f"landsat_1_{band}" for band in ("B4", "B3", "B2")],
        [f"sentinel1_1_{band}" for band in ("VV", "VH", "VV")],
        [_MAXIMUM] * 3,
    ):
        if set(wanted) <= set(names):
            red, green, blue = (names.index(name) for name in wanted)
            return red, green, blue
    last = len(names) - 1
    return 0, min(1, last), min(2, last)


def read_tile(tile: Path, params: EsdParams) -> NDArray[np.float16]:
    """Read a tile, (H, W, C) float16 in 0..1, each satellite preprocessed as in `satellites`.

    All quantiles and extremes are those of the tile. Memory is the result and one band of all
    dates. Raises DataError with all files that are missing, misnamed, of another size, of several
    bands, or damaged.
    """
    files = tile_files(tile, params)
    height, width = _common_size(tile, [path for paths in files.values() for path in paths])
    channel = {name: place for place, name in enumerate(channel_names(params))}
    image_HWC = np.zeros((height, width, len(channel)), np.float16)
    for (satellite, band), paths in files.items():
        values_THW, valid_THW = _read_dates(paths)
        if satellite == "viirs" and params.viirs_maximum:
            maximum_HW = satellites.viirs_maximum(values_THW, valid_THW)
            image_HWC[:, :, channel[_MAXIMUM]] = maximum_HW
        if satellite != "viirs" or params.viirs:
            scaled_THW = _PREPROCESS[satellite](values_THW, valid_THW)
            for date, scaled_HW in enumerate(scaled_THW, 1):
                image_HWC[:, :, channel[f"{satellite}_{date}_{band}"]] = scaled_HW
    return image_HWC


def tile_grid(tile: Path) -> Grid:
    """Return the grid of a tile's images, from the first of them; DataError where there is none."""
    files = raster_files(tile)
    if not files:
        raise DataError(f"{tile}: holds no image; an ESD tile has 98 GeoTIFFs")
    return read_grid(files[0])


def _common_size(tile: Path, paths: Sequence[Path]) -> tuple[int, int]:
    """Return the size of all files; DataError lists those of another size or with several bands."""
    faults: list[str] = []
    grids: dict[Path, Grid] = {}
    for path in paths:
        try:
            grids[path] = read_grid(path)
        except DataError as error:
            faults.append(str(error))
    sizes = [(grid.height, grid.width) for grid in grids.values()]
    usual = max(sorted(set(sizes)), key=sizes.count, default=(0, 0))
    for path, grid in grids.items():
        if (grid.height, grid.width) != usual:
            faults.append(
                f"{path.name}: {grid.height} x {grid.width} pixels instead of "
                f"{usual[0]} x {usual[1]}"
            )
        if grid.bands != 1:
            faults.append(f"{path.name}: {grid.bands} bands instead of 1")
    if faults:
        raise DataError(f"{tile}: is not a complete ESD tile; get it again:\n{listing(faults)}")
    return usual


def _read_dates(paths: Sequence[Path]) -> tuple[NDArray[Any], NDArray[np.bool_]]:
    """Read the dates of one band: values and which are valid, (T, H, W)."""
    values, valid = [], []
    for path in paths:
        with opened(path) as dataset:
            read = read_values(dataset, path, (1,))
        values.append(read.values_CHW[0])
        valid.append(read.valid_HW)
    return np.stack(values), np.stack(valid)
