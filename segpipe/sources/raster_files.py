"""Which files of a folder are rasters, and which belong to them."""

from pathlib import Path

from segpipe.errors import DataError
from segpipe.findings import Finding

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
    """Map names (the path below images/ or masks/, without suffix) to paths below `raw`, sorted.

    Files of one name are added to `findings`, and the first of them is taken. Raises DataError
    when there is none at all.
    """
    found: dict[str, str] = {}
    twice = []
    for path in raster_paths(raw / part):
        name = path.relative_to(raw / part).with_suffix("").as_posix()
        place = path.relative_to(raw).as_posix()
        if found.setdefault(name, place) != place:
            twice.append(f"{found[name]} and {place}")
    if not found:
        raise DataError(f"{raw / part}: holds no GeoTIFF ({', '.join(sorted(_SUFFIXES))})")
    if twice:
        text = f"{len(twice)} base names stand twice in {part}/; which one is meant?"
        repair = "remove or rename one of each two"
        findings.append(Finding("name_twice", "error", text, repair, tuple(twice)))
    return found
