"""The files of an ESD tile: one band of one date each, and what their names tell.

The layout is that of the 2021 IEEE GRSS Data Fusion Contest, track DSE (detection of settlements
without electricity).
"""

import re
from dataclasses import dataclass
from pathlib import Path

from segpipe.params.prepare import EsdParams
from segpipe.runtime.errors import DataError, listing

TRUTH = "groundTruth.tif"


@dataclass(frozen=True)
class Satellite:
    """How the files of a satellite are named, and how many there are.

    pattern: of a whole name, catches `date` and `band`. dates: number of them. bands: in the order
    of their channels. dtype: of the values, as published.
    """

    name: str
    pattern: re.Pattern[str]
    dates: int
    bands: tuple[str, ...]
    dtype: str


VIIRS = Satellite(
    "viirs", re.compile(r"(?P<band>DNB)_VNP46A1_A(?P<date>\d{7})\.tif"), 9, ("DNB",), "uint16"
)
SENTINEL1 = Satellite(
    "sentinel1",
    re.compile(r"S1[A-D]_IW_GRDH_(?P<date>\d{8})_(?P<band>VH|VV)\.tif"),
    4,
    ("VH", "VV"),
    "float32",
)
SENTINEL2 = Satellite(
    "sentinel2",
    re.compile(r"L2A_(?P<date>\d{8})_(?P<band>B0[1-9]|B8A|B11|B12)\.tif"),
    4,
    ("B01", "B02", "B03", "B04", "B05", "B06", "B07", "B08", "B8A", "B09", "B11", "B12"),
    "uint16",
)
LANDSAT = Satellite(
    "landsat",
    re.compile(r"LC08_L1TP_(?P<date>\d{4}-\d{2}-\d{2})_(?P<band>B[1-9]|B10|B11)\.tif"),
    3,
    ("B1", "B2", "B3", "B4", "B5", "B6", "B7", "B8", "B9", "B10", "B11"),
    "float32",
)
SATELLITES = (VIIRS, SENTINEL1, SENTINEL2, LANDSAT)


def chosen_bands(params: EsdParams) -> dict[str, tuple[str, ...]]:
    """Return the bands to read by satellite, in the order of their channels."""
    viirs = VIIRS.bands if params.viirs or params.viirs_maximum else ()
    wanted = {"viirs": viirs}
    for satellite, bands in (
        (SENTINEL1, params.sentinel1),
        (SENTINEL2, params.sentinel2),
        (LANDSAT, params.landsat),
    ):
        kept = (band for band in satellite.bands if bands is None or band in bands)
        wanted[satellite.name] = tuple(kept)
    return wanted


def raster_files(tile: Path) -> list[Path]:
    """Return the GeoTIFFs of a tile, sorted, without hidden files and without the truth."""
    return sorted(
        path
        for path in tile.iterdir()
        if path.suffix == ".tif"
        and path.is_file()  # a pipe would block whoever opens it
        and not path.name.startswith(".")
        and path.name != TRUTH
    )


def tile_files(tile: Path, params: EsdParams) -> dict[tuple[str, str], list[Path]]:
    """Return the chosen files of a tile by (satellite, band), sorted by date.

    A satellite of which no band is chosen may be absent. Raises DataError with all names that tell
    no satellite, date and band, all that tell the same, and all files that are missing.
    """
    if not tile.is_dir():
        raise DataError(f"{tile}: there is no such tile")
    found, faults = _parsed(tile)
    wanted = chosen_bands(params)
    for satellite in SATELLITES:
        if wanted[satellite.name]:
            faults += _missing(satellite, wanted[satellite.name], found)
    if faults:
        raise DataError(f"{tile}: is not a complete ESD tile; get it again:\n{listing(faults)}")
    return {
        (satellite.name, band): [found[key] for key in sorted(found) if _is(key, satellite, band)]
        for satellite in SATELLITES
        for band in wanted[satellite.name]
    }


def _parsed(tile: Path) -> tuple[dict[tuple[str, str, str], Path], list[str]]:
    """Return the files by (satellite, date, band), and what is wrong with the names."""
    found: dict[tuple[str, str, str], Path] = {}
    faults = []
    for path in raster_files(tile):
        for satellite in SATELLITES:
            match = satellite.pattern.fullmatch(path.name)
            if match is not None:
                key = (satellite.name, match["date"], match["band"])
                if key in found:
                    faults.append(f"{path.name}: is the same date and band as {found[key].name}")
                found.setdefault(key, path)
                break
        else:
            faults.append(f"{path.name}: tells no satellite, date and band")
    return found, faults


def _missing(
    satellite: Satellite, bands: tuple[str, ...], found: dict[tuple[str, str, str], Path]
) -> list[str]:
    dates = sorted({date for name, date, _ in found if name == satellite.name})
    faults = [
        f"{satellite.name} of {date}: band {band} is missing"
        for date in dates
        for band in bands
        if (satellite.name, date, band) not in found
    ]
    if len(dates) != satellite.dates:
        there = f" ({', '.join(dates)})" if dates else ""
        faults.append(f"{satellite.name}: {len(dates)} dates{there} instead of {satellite.dates}")
    return faults


def _is(key: tuple[str, str, str], satellite: Satellite, band: str) -> bool:
    return (key[0], key[2]) == (satellite.name, band)
