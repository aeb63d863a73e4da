"""The folders of ESD tiles below a folder: Tile1, Tile2, ..., at most three deep."""

import re
from pathlib import Path

from segpipe.runtime.errors import DataError, listing

_TILE = re.compile(r"Tile(\d+)")
_DEPTHS = ("*", "*/*", "*/*/*")


def find_tiles(source: Path) -> list[Path]:
    """Return the folders of the tiles below `source`, Tile2 before Tile10; at most three deep.

    Raises DataError when there is no tile, or two have the same name.
    """
    if not source.is_dir():
        raise DataError(
            f"{source}: there is no such folder; set source.path in params.yaml to the one with the "
            "ESD tiles"
        )
    found = [
        path
        for depth in _DEPTHS
        for path in source.glob(depth)
        if _TILE.fullmatch(path.name) and path.is_dir()
    ]
    if not found:
        raise DataError(
            f"{source}: holds no folder Tile1, Tile2, ... of ESD GeoTIFFs, nor do the folders in "
            "it; unpack the data set there, or set source.path in params.yaml"
        )
    tiles = sorted(found, key=lambda tile: (tile_number(tile.name), tile))
    _refuse_twins(tiles)
    return tiles


def tile_number(name: str) -> int:
    """Return 7 of Tile7."""
    return int(name.removeprefix("Tile"))


def _refuse_twins(tiles: list[Path]) -> None:
    names = [tile.name for tile in tiles]
    twins = [str(tile) for tile in tiles if names.count(tile.name) > 1]
    if twins:
        raise DataError(
            f"{len(twins)} tiles have the name of another one; which one is meant? Rename or remove "
            f"the rest:\n{listing(twins)}"
        )
