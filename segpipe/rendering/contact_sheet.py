"""Many pictures on one sheet."""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from segpipe.rendering.text import INK, PAPER, fitted, font

WIDEST = 2400  # pixels

_NARROWEST_TILE = 160
_GAP = 12


def contact_sheet(
    tiles: Sequence[tuple[NDArray[np.uint8], str]], columns: int
) -> NDArray[np.uint8]:
    """Return the tiles in a grid, row by row, each above its caption: (H, W, 3) uint8.

    tiles: pictures (h, w, 3) uint8 of any sizes, and their captions.
    columns: tiles in a row. The sheet is at most `WIDEST` pixels wide, so with more columns tiles
        are smaller; every tile keeps its proportions.

    Raises ValueError when there is no tile or no column.
    """
    if not tiles or columns < 1:
        raise ValueError(f"{len(tiles)} tiles in {columns} columns; a sheet needs one of each")
    columns = min(columns, len(tiles))
    room = (WIDEST - _GAP * (columns + 1)) // columns
    if room < 1:
        raise ValueError(f"{columns} columns do not fit on a sheet of {WIDEST} pixels")
    widest = max(tile_HW3.shape[1] for tile_HW3, _ in tiles)
    cell = min(room, widest * math.ceil(_NARROWEST_TILE / widest))
    points = min(18, max(12, cell // 28))
    strip = round(points * 1.8)
    pictures = [_fitting(tile_HW3, cell) for tile_HW3, _ in tiles]
    rows = math.ceil(len(tiles) / columns)
    heights = [
        max(picture.height for picture in pictures[row * columns : (row + 1) * columns])
        for row in range(rows)
    ]
    sheet_size = (_GAP + columns * (cell + _GAP), _GAP + sum(heights) + rows * (strip + _GAP))
    sheet = Image.new("RGB", sheet_size, PAPER)
    draw = ImageDraw.Draw(sheet)
    face = font(points)
    for index, (picture, (_, caption)) in enumerate(zip(pictures, tiles, strict=True)):
        row, column = divmod(index, columns)
        x = _GAP + column * (cell + _GAP)
        y = _GAP + sum(heights[:row]) + row * (strip + _GAP)
        sheet.paste(picture, (x + (cell - picture.width) // 2, y))
        place = (x + cell // 2, y + picture.height + strip // 2)
        draw.text(place, fitted(caption, face, cell), fill=INK, font=face, anchor="mm")
    return np.asarray(sheet)


def _fitting(tile_HW3: NDArray[np.uint8], cell: int) -> Image.Image:
    """Reduce a tile to the cell's width, or enlarge a small one by a whole factor."""
    picture = Image.fromarray(np.ascontiguousarray(tile_HW3))
    if picture.width > cell:
        height = max(1, round(picture.height * cell / picture.width))
        return picture.resize((cell, height), Image.Resampling.LANCZOS)
    factor = cell // picture.width
    return picture.resize(
        (picture.width * factor, picture.height * factor), Image.Resampling.NEAREST
    )
