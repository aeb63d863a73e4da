"""ESD tiles on the user's disk are copied; `segpipe/sources/esd_tiles.py` describes their layout."""

from pathlib import Path

from segpipe.raw.esd.files import TRUTH, raster_files
from segpipe.runtime.findings import Finding, refuse, say_warnings
from segpipe.sources.copying import beside_data, copy_files, refuse_nested
from segpipe.sources.folder_walk import files_below
from segpipe.sources.tile_folders import find_tiles


def fetch(source: Path, target: Path) -> None:
    """Copy the tiles below `source`, which is only read, into `target`, one folder each.

    Tiles may lie up to three folders deep. Only their .tif files are copied, and lists and label
    files in `source` itself. Raises DataError when there is no tile, two have the same name, or
    something below `source` cannot be read.
    """
    tiles = find_tiles(source)
    refuse_nested(source, target)
    findings: list[Finding] = []
    files_below(source, ["."], findings)
    say_warnings(findings)
    refuse(findings)
    for folder in sorted({tile.parent for tile in tiles}):
        inside = [tile for tile in tiles if tile.parent == folder]
        files = [path for tile in inside for path in [*raster_files(tile), tile / TRUTH]]
        copy_files(folder, [path for path in files if path.is_file()], target)
    copy_files(source, beside_data(source), target)
