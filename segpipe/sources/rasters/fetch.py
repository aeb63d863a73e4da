"""The user's own folder of rasters is copied; `samples.py` describes its layout."""

from pathlib import Path

from segpipe.sources.copying import beside_data, copy_files, refuse_nested
from segpipe.sources.picture_files import refuse_missing
from segpipe.sources.raster_files import raster_paths, sidecars


def fetch(source: Path, target: Path) -> None:
    """Copy rasters, masks, label and list files from `source`, which is only read, to `target`.

    Files beside a raster that GDAL reads with it (world file, .aux.xml, mask, overviews) come along.
    """
    refuse_missing(source)
    refuse_nested(source, target)
    found = [path for part in ("images", "masks") for path in raster_paths(source / part)]
    with_them = sorted({path for raster in found for path in sidecars(raster)})
    copy_files(source, [*beside_data(source), *found, *with_them], target)
