"""Which files of a folder are rasters, and which belong to them."""

from pathlib import Path

from segpipe.runtime.findings import Finding
from segpipe.sources.picture_files import named_apart

_SUFFIXES = frozenset({".tif", ".tiff"})
# Beside NAME.tif: georeference as NAME.tfw; statistics, mask and overviews as NAME.tif.aux.xml.
_REPLACED = (".tfw", ".tifw", ".wld", ".prj")
_APPENDED = (".aux.xml", ".msk", ".ovr")


def raster_paths(folder: Path) -> list[Path]:
    """Return the GeoTIFFs below `folder`, in any case of the suffix, sorted; no hidden files."""
    return sorted(
        path
        for path in folder.rglob("*")
        if path.suffix.lower() in _SUFFIXES
        and path.is_file()
        and not any(part.startswith(".") for part in path.relative_to(folder).parts)
    )


def sidecars(raster: Path) -> list[Path]:
    """Return the files beside a GeoTIFF that GDAL reads with it."""
    beside = [raster.with_suffix(suffix) for suffix in _REPLACED]
    beside += [raster.with_name(raster.name + suffix) for suffix in _APPENDED]
    return [path for path in beside if path.is_file()]


def rasters_by_name(raw: Path, part: str, findings: list[Finding]) -> dict[str, str]:
    """Map the names of the rasters below images/ or masks/ to paths, as `named_apart` does."""
    return named_apart(raster_paths(raw / part), raw, part, _SUFFIXES, findings)
