"""Which files of a folder are rasters, and which belong to them."""

from pathlib import Path

SUFFIXES = frozenset({".tif", ".tiff"})
# Beside NAME.tif: georeference as NAME.tfw; statistics, mask and overviews as NAME.tif.aux.xml.
_REPLACED = (".tfw", ".tifw", ".wld", ".prj")
_APPENDED = (".aux.xml", ".msk", ".ovr")
SIDECARS = _REPLACED + _APPENDED


def sidecars(raster: Path) -> list[Path]:
    """Return the files beside a GeoTIFF that GDAL reads with it."""
    beside = [raster.with_suffix(suffix) for suffix in _REPLACED]
    beside += [raster.with_name(raster.name + suffix) for suffix in _APPENDED]
    return [path for path in beside if path.is_file()]
