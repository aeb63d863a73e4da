"""ESD tiles: read as a whole, predicted in subtiles, drawn whole."""

import re
from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from segpipe.params.prepare import EsdParams
from segpipe.raw.esd.tile import read_tile, tile_grid
from segpipe.raw.rasters.grid import Grid
from segpipe.raw.rasters.read import ImageWindow
from segpipe.raw.rasters.reader import RasterReader
from segpipe.raw.sample import Sample, Window

_TILE = re.compile(r"Tile\d+")


class TileReader(RasterReader):
    """Reads subtiles of tiles, whose bands lie in a folder of GeoTIFFs each."""

    unit = "tile"
    folders = True
    streamed = False
    samples_a_process = 1  # a tile takes seconds

    def image_window(self, path: Path, window: Window | None) -> ImageWindow:
        """As `RasterReader.image_window`; every pixel holds data."""
        assert self.files.esd is not None
        image_HWC = _tile(path, self.files.esd.model_dump_json())
        if window is not None:
            image_HWC = image_HWC[window.rows(), window.columns()]
        return ImageWindow(image_HWC, np.ones(image_HWC.shape[:2], np.bool_))

    def grid(self, path: Path) -> Grid:
        """As `Reader.grid`."""
        return tile_grid(path)

    def drawn(self, samples: Sequence[Sample], raw: Path, number: int) -> list[Sample]:
        """Return each tile as one sample; it has the name of its folder."""
        tiles = []
        for sample in super().drawn(samples, raw, number):
            grid = tile_grid(raw / sample.image)
            window = Window(0, 0, grid.height, grid.width)
            name = Path(sample.image).name
            tiles.append(replace(sample, name=name, group=sample.image, window=window))
        return tiles

    def is_input(self, path: Path, given: bool = False) -> bool:
        """As `Reader.is_input`: Tile1, Tile2, ..., or a folder of GeoTIFFs that a person has named."""
        return any(path.glob("*.tif")) if given else bool(_TILE.fullmatch(path.name))

    def nothing_found(self) -> str:
        """As `Reader.nothing_found`."""
        return "is not an ESD tile, nor a folder of tiles (Tile1, Tile2, ...)"


@lru_cache(maxsize=1)
def _tile(tile: Path, esd: str) -> NDArray[np.float16]:
    """The last tile is kept: its subtiles follow one another, and reading it takes seconds."""
    return read_tile(tile, EsdParams.model_validate_json(esd))
