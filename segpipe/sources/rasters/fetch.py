"""The user's own folder of rasters is copied; `samples.py` describes its layout."""

from pathlib import Path

from segpipe.runtime.findings import refuse, say_warnings
from segpipe.sources.copying import beside_data, copy_files, refuse_nested
from segpipe.sources.folder_walk import files_below
from segpipe.sources.layout import find_layout
from segpipe.sources.picture_files import ignored_files, read_files
from segpipe.sources.raster_files import SIDECARS, SUFFIXES, sidecars


def fetch(source: Path, target: Path) -> None:
    """Copy rasters, masks, label and list files from `source`, which is only read, to `target`.

    Files beside a raster that GDAL reads with it (world file, .aux.xml, mask, overviews) come along.
    What is passed over is said. Raises DataError, before anything is copied, where something in
    the folders of images or masks cannot be read.
    """
    layout = find_layout(source, SUFFIXES)
    refuse_nested(source, target)
    findings = layout.findings()
    files = files_below(source, layout.folders, findings)
    findings += ignored_files(source, files, SUFFIXES, SIDECARS)
    say_warnings(findings)
    refuse(findings)
    found = read_files(files, SUFFIXES)
    with_them = sorted({path for raster in found for path in sidecars(raster)})
    copy_files(source, [*beside_data(source), *found, *with_them], target)
