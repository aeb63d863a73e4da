"""The synthetic ESD data set: tiles in the file naming and the kinds of number of the published ones."""

import os
from functools import partial
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from segpipe.params.source import SyntheticEsdParams
from segpipe.raw.esd.files import TRUTH
from segpipe.raw.rasters.gdal import created, require_rasterio
from segpipe.runtime.atomic import atomic_dir, disk_errors_explained
from segpipe.runtime.console import progress
from segpipe.runtime.randomness import generator
from segpipe.runtime.workers import ordered_map
from segpipe.sources.synthetic_esd.land import Land, read_land
from segpipe.sources.synthetic_esd.sensors import landsat, sentinel1, sentinel2, viirs
from segpipe.sources.synthetic_esd.terrain import RATIO, compose

# Each satellite, how its files are called, and its dates.
_SATELLITES = (
    (viirs, "{band}_VNP46A1_A{date}.tif", [f"2020{day}" for day in range(221, 230)]),
    (sentinel1, "S1A_IW_GRDH_{date}_{band}.tif", ["20200723", "20200804", "20200816", "20200828"]),
    (sentinel2, "L2A_{date}_{band}.tif", ["20200811", "20200816", "20200826", "20200831"]),
    (landsat, "LC08_L1TP_{date}_{band}.tif", ["2020-07-29", "2020-08-14", "2020-08-30"]),
)
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
    draw = partial(_draw, land=read_land(world), options=options, target=target)
    require_rasterio()
    many = options.tiles * options.truth**2 // _WORTH_A_PROCESS
    processes = min(os.cpu_count() or 1, options.tiles, many)
    drawn = ordered_map(draw, range(1, options.tiles + 1), processes)
    with disk_errors_explained(target):
        for _ in progress(drawn, "draw synthetic tiles", "tile", options.tiles):
            pass


def _draw(tile: int, land: Land, options: SyntheticEsdParams, target: Path) -> None:
    terrain = compose(land, options.seed, tile, options.truth)
    row, column = divmod(tile - 1, _IN_A_ROW)
    metres = _METRES * RATIO * options.truth
    corner = (_ORIGIN[0] + column * metres, _ORIGIN[1] - row * metres)
    with atomic_dir(target / f"Tile{tile}") as folder:
        for satellite, pattern, dates in _SATELLITES:
            for k, date in enumerate(dates):
                draw = generator(options.seed, "esd look", tile, satellite.__name__, date)
                for band, band_HW in satellite(land, terrain, draw, k / (len(dates) - 1)):
                    _write(folder / pattern.format(band=band, date=date), band_HW, corner, _METRES)
        _write(folder / TRUTH, terrain.truth_tt, corner, _METRES * RATIO)


def _write(path: Path, band_HW: NDArray[Any], corner: tuple[float, float], pixel: float) -> None:
    with created(
        path,
        height=band_HW.shape[0],
        width=band_HW.shape[1],
        count=1,
        dtype=band_HW.dtype.name,
        compress="deflate",
        zlevel=1,
        crs=_CRS,
        transform=require_rasterio().Affine(pixel, 0, corner[0], 0, -pixel, corner[1]),
    ) as dataset:
        dataset.write(band_HW, 1)
