"""Prediction of georeferenced rasters: window by window, back onto the raster's own grid.

Shapes: H, W of a window in image pixels, h, w in truth pixels, C channels.
"""

from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from segpipe.console import progress
from segpipe.errors import DataError
from segpipe.inference.predictor import Predictor
from segpipe.labels.scheme import VOID, LabelScheme
from segpipe.rasters.esd import read_tile, tile_grid
from segpipe.rasters.grid import Grid, read_grid
from segpipe.rasters.read import coarse_valid, read_window
from segpipe.rasters.stitch import stitch
from segpipe.rasters.windows import windows
from segpipe.rasters.write import PredictionWriter
from segpipe.sample import Window

SUFFIXES = frozenset({".tif", ".tiff"})


def find_rasters(path: Path, kind: str) -> list[Path]:
    """Return the rasters (or, for `esd`, the tile folders) at `path`, sorted by name.

    path: one of them, or a folder that holds them. Raises DataError when there is none.
    """
    if not path.exists():
        raise DataError(f"{path}: there is no such file or folder")
    if kind == "esd":
        tiles = [path] if any(path.glob("*.tif")) else sorted(path.glob("Tile*"))
        found = [tile for tile in tiles if tile.is_dir()]
    elif path.is_file():
        found = [path]
    else:
        found = sorted(item for item in path.iterdir() if item.suffix.lower() in SUFFIXES)
    if not found:
        wanted = "folder Tile1, Tile2, ..." if kind == "esd" else "GeoTIFF"
        raise DataError(f"{path}: holds no {wanted}")
    return found


def predict_raster(
    predictor: Predictor, path: Path, target: Path, overlap: int | None = None
) -> None:
    """Write the labels of a raster or tile to the GeoTIFF `target`, which lines up with it.

    The windows have the training's size and share `overlap` image pixels (None: a quarter of the
    shorter side), of which each keeps the half that is nearer to it: at its edge a network sees
    half of what it needs. Pixels without data become void. Memory grows with the window, not with
    the raster; an ESD tile is read whole, and cut as it was in training, without overlap.

    Raises DataError when the raster cannot be read or is smaller than a window.
    """
    form, reading = predictor.bundle.form, predictor.reading
    grid = tile_grid(path) if reading.esd else read_grid(path)
    wanted = min(form.height, form.width) // 4 if overlap is None else overlap
    # An even number of truth pixels, so that neighbours can share it by halves.
    ratio = reading.truth_ratio
    shared = 0 if reading.esd else wanted // (2 * ratio) * 2 * ratio
    cut = _cut(path, grid, form.height, form.width, shared, ratio)
    palette_N3, void, kind = _colours(predictor.scheme)
    with PredictionWriter(target, grid, ratio, palette_N3, void, kind) as writer:
        if reading.esd:
            labels_hw = predict_tile(predictor, read_tile(path, reading.esd))
            whole = Window(0, 0, grid.height, grid.width)
            writer.write(whole, predictor.scheme.decode(labels_hw))
            return
        assert reading.scaling is not None
        for window in progress(cut, f"predict {path.name}", "window"):
            image_HWC, valid_HW = read_window(path, window, reading.scaling)
            labels_hw = predictor.predict(image_HWC[None])
            labels_hw[~coarse_valid(valid_HW, ratio)] = VOID
            part, own_hw = _own_part(window, labels_hw, shared // 2, ratio)
            writer.write(part, predictor.scheme.decode(own_hw))


def predict_tile(predictor: Predictor, tile_HWC: NDArray[np.float16]) -> NDArray[np.uint8]:
    """Return the train ids of a whole tile, (h, w), from subtiles of the training's size."""
    form, ratio = predictor.bundle.form, predictor.reading.truth_ratio
    height, width = tile_HWC.shape[:2]
    parts = {}
    for window in windows(height, width, form.height, form.width, 0, ratio):
        rows = slice(window.top, window.top + window.height)
        columns = slice(window.left, window.left + window.width)
        parts[window] = predictor.predict(tile_HWC[None, rows, columns])
    return stitch(parts, height, width, ratio)


def _cut(path: Path, grid: Grid, height: int, width: int, overlap: int, ratio: int) -> list[Window]:
    try:
        return windows(grid.height, grid.width, height, width, overlap, ratio)
    except DataError as error:
        raise DataError(f"{path}: {error}") from error


def _own_part(
    window: Window, labels_hw: NDArray[np.uint8], margin: int, ratio: int
) -> tuple[Window, NDArray[np.uint8]]:
    """What of a window is written: all but the margin that the windows before it own.

    Windows are written row by row, so that what a later one leaves to the earlier stays.
    """
    top = margin if window.top else 0
    left = margin if window.left else 0
    part = Window(window.top + top, window.left + left, window.height - top, window.width - left)
    return part, labels_hw[top // ratio :, left // ratio :]


def _colours(
    scheme: LabelScheme,
) -> tuple[NDArray[np.uint8] | None, int, Literal["uint8", "uint16"]]:
    """Colours by raw id, the raw id of void, and the type that holds all ids."""
    decoded = scheme.decode(np.array([[VOID]], np.uint8))
    void = int(decoded[0, 0])
    if decoded.dtype == np.uint16:
        return None, void, "uint16"
    palette_N3 = np.zeros((256, 3), np.uint8)
    for label in scheme.raw:
        palette_N3[label.id] = label.colour
    return palette_N3, void, "uint8"
