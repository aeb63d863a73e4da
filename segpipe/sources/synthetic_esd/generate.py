"""The synthetic ESD data set: tiles in the file naming and the kinds of number of the published ones."""

import multiprocessing
import os
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from segpipe.params.source import SyntheticEsdParams
from segpipe.raw.esd.files import TRUTH
from segpipe.raw.rasters.gdal import created, require_rasterio
from segpipe.runtime.atomic import disk_errors_explained, whole_folder
from segpipe.runtime.console import progress
from segpipe.sources.synthetic_esd import sensors
from segpipe.sources.synthetic_esd.land import Land, read_land
from segpipe.sources.synthetic_esd.terrain import RATIO, Terrain, compose

_VIIRS = tuple(f"2020{day}" for day in range(221, 230))
_SENTINEL1 = ("20200723", "20200804", "20200816", "20200828")
_SENTINEL2 = ("20200811", "20200816", "20200826", "20200831")
_LANDSAT = ("2020-07-29", "2020-08-14", "2020-08-30")
_METRES = 10.0
# UTM zone 36 south: the tiles lie side by side, eight in a row.
_CRS = "EPSG:32736"
_ORIGIN = (500_000.0, 8_500_000.0)
_IN_A_ROW = 8
# Truth pixels to draw for which another process pays; one needs about 20 ms, its start a second.
_WORTH_A_PROCESS = 200


def write_tiles(options: SyntheticEsdParams, world: Path, target: Path) -> None:
    """Draw all tiles into the folder `target`: Tile1, Tile2, ..., each whole or not at all.

    world: the description of the land (data/synthetic_esd.yaml). A tile has 98 GeoTIFFs of
    50 * options.truth pixels a side, and groundTruth.tif of options.truth.

    The same arguments give the same pixels, whatever the number of processes; a tile depends on
    (seed, its number, truth, land) alone. Raises ParameterError when `world` is missing or faulty,
    SegpipeError when the disk is full.
    """
    land = read_land(world)
    require_rasterio()
    jobs = [(land, options, target, tile) for tile in range(1, options.tiles + 1)]
    with disk_errors_explained(target):
        for _ in progress(_drawn(jobs), "draw synthetic tiles", "tile", len(jobs)):
            pass


_Job = tuple[Land, SyntheticEsdParams, Path, int]


def _drawn(jobs: list[_Job]) -> Iterator[None]:
    """Draw the tiles by as many processes as pay off."""
    truth = jobs[0][1].truth
    workers = min(os.cpu_count() or 1, len(jobs), len(jobs) * truth**2 // _WORTH_A_PROCESS)
    if workers < 2:
        yield from map(_draw, jobs)
        return
    # A forked copy of a process with running threads can hang; a spawned one starts clean.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, context) as pool:
        try:
            yield from pool.map(_draw, jobs)
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


def _draw(job: _Job) -> None:
    land, options, target, tile = job
    terrain = compose(land, options.seed, tile, options.truth)
    row, column = divmod(tile - 1, _IN_A_ROW)
    metres = _METRES * RATIO * options.truth
    corner = (_ORIGIN[0] + column * metres, _ORIGIN[1] - row * metres)
    with whole_folder(target / f"Tile{tile}") as folder:
        for name, band_HW in _looks(land, terrain, options.seed, tile):
            _write(folder / name, band_HW, corner, _METRES)
        _write(folder / TRUTH, terrain.truth_tt, corner, _METRES * RATIO)


def _looks(
    land: Land, terrain: Terrain, seed: int, tile: int
) -> Iterator[tuple[str, NDArray[Any]]]:
    """Yield the name and the pixels of each of the 98 files."""
    for date in _VIIRS:
        draw = sensors.date_draw(seed, tile, "viirs", date)
        for band, band_HW in sensors.viirs(land, terrain, draw):
            yield f"{band}_VNP46A1_A{date}.tif", band_HW
    for date in _SENTINEL1:
        draw = sensors.date_draw(seed, tile, "sentinel1", date)
        for band, band_HW in sensors.sentinel1(land, terrain, draw):
            yield f"S1A_IW_GRDH_{date}_{band}.tif", band_HW
    for date, passed in zip(_SENTINEL2, np.linspace(0, 1, len(_SENTINEL2)), strict=True):
        draw = sensors.date_draw(seed, tile, "sentinel2", date)
        for band, band_HW in sensors.sentinel2(land, terrain, draw, float(passed)):
            yield f"L2A_{date}_{band}.tif", band_HW
    for date, passed in zip(_LANDSAT, np.linspace(0, 1, len(_LANDSAT)), strict=True):
        draw = sensors.date_draw(seed, tile, "landsat", date)
        for band, band_HW in sensors.landsat(land, terrain, draw, float(passed)):
            yield f"LC08_L1TP_{date}_{band}.tif", band_HW


def _write(path: Path, band_HW: NDArray[Any], corner: tuple[float, float], pixel: float) -> None:
    rasterio = require_rasterio()
    height, width = band_HW.shape
    with created(
        path,
        height=height,
        width=width,
        count=1,
        dtype=band_HW.dtype.name,
        compress="deflate",
        zlevel=1,
        crs=_CRS,
        transform=rasterio.Affine(pixel, 0, corner[0], 0, -pixel, corner[1]),
    ) as dataset:
        dataset.write(band_HW, 1)
