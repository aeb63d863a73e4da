"""Prediction of georeferenced rasters: window by window, back onto the raster's own grid.

Shapes: H, W of a window in image pixels, h, w in truth pixels, C channels.
"""

from itertools import pairwise
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from segpipe.bundle import InputForm
from segpipe.inference.predictor import Predictor
from segpipe.labels.scheme import VOID, LabelScheme
from segpipe.raw.esd.tile import tile_grid
from segpipe.raw.rasters.grid import Grid, read_grid
from segpipe.raw.rasters.read import coarse_valid, read_window
from segpipe.raw.rasters.stitch import stitch
from segpipe.raw.rasters.windows import windows
from segpipe.raw.rasters.write import PredictionWriter
from segpipe.raw.sample import Window
from segpipe.runtime.console import progress
from segpipe.runtime.errors import DataError, ParameterError


def refuse_odd_overlap(form: InputForm, overlap: int) -> None:
    """Raise ParameterError when the windows of a model cannot share so many image pixels."""
    ratio = form.reading.truth_ratio
    most = min(form.height, form.width) // 2 // ratio * ratio
    if not 0 <= overlap <= most or overlap % ratio:
        wanted = f"0 to {most}" if ratio == 1 else f"a multiple of {ratio} from 0 to {most}"
        raise ParameterError(
            f"--overlap is {overlap}; for this model, whose windows have {form.height}x{form.width} "
            f"pixels{'' if ratio == 1 else f' and truth pixels {ratio}x{ratio}'}, it can be {wanted}"
        )


def predict_raster(
    predictor: Predictor, path: Path, target: Path, overlap: int | None = None
) -> None:
    """Write the labels of a raster to the GeoTIFF `target`, which lines up with it.

    The windows have the training's size and share `overlap` image pixels (None: a quarter of the
    shorter side), of which each keeps the half that is nearer to it: at its edge a network sees
    half of what it needs. With overlap 0 the labels are those that evaluation scores. A raster
    that is smaller than a window is one window. Pixels without data become void. Memory grows with
    the window, not with the raster.

    Raises DataError when the raster cannot be read or holds no whole number of truth pixels.
    """
    form, reading = predictor.bundle.form, predictor.reading
    assert reading.scaling is not None
    grid, ratio = read_grid(path), reading.truth_ratio
    wanted = min(form.height, form.width) // 4 if overlap is None else overlap
    cut = _cut(path, grid, form.height, form.width, wanted // ratio * ratio, ratio)
    with _writer(predictor, grid, target) as writer:
        for window in progress(cut, f"predict {path.name}", "window"):
            image_HWC, valid_HW = read_window(path, window, reading.scaling)
            labels_hw = predictor.predict(image_HWC[None])
            labels_hw[~coarse_valid(valid_HW, ratio)] = VOID
            part, own_hw = _own_part(window, labels_hw, ratio)
            writer.write(part, predictor.scheme.decode(own_hw))


def predict_tile(predictor: Predictor, tile_HWC: NDArray[np.float16]) -> NDArray[np.uint8]:
    """Return the train ids of a whole ESD tile, (h, w), from subtiles of the training's size.

    They lie side by side, as in training. Raises DataError when the tile is smaller than one, or
    holds no whole number of truth pixels.
    """
    form, ratio = predictor.bundle.form, predictor.reading.truth_ratio
    height, width = tile_HWC.shape[:2]
    parts = {}
    for window in windows(height, width, form.height, form.width, 0, ratio):
        rows = slice(window.top, window.top + window.height)
        columns = slice(window.left, window.left + window.width)
        parts[window] = predictor.predict(tile_HWC[None, rows, columns])
    return stitch(parts, height, width, ratio)


def write_tile(
    predictor: Predictor, tile: Path, labels_hw: NDArray[np.uint8], target: Path
) -> None:
    """Write the train ids of the ESD tile in the folder `tile` to the GeoTIFF `target`."""
    grid = tile_grid(tile)
    with _writer(predictor, grid, target) as writer:
        whole = Window(0, 0, grid.height, grid.width)
        writer.write(whole, predictor.scheme.decode(labels_hw))


def _writer(predictor: Predictor, grid: Grid, target: Path) -> PredictionWriter:
    palette_N3, void, kind = _colours(predictor.scheme)
    ratio = predictor.reading.truth_ratio
    return PredictionWriter(target, grid, ratio, palette_N3, void, kind)


def _cut(path: Path, grid: Grid, height: int, width: int, overlap: int, ratio: int) -> list[Window]:
    if grid.height % ratio or grid.width % ratio:
        raise DataError(
            f"{path}: has {grid.height} x {grid.width} pixels, which do not divide by {ratio}, the "
            "image pixels of a truth pixel of the model; cut it to a multiple (gdal_translate "
            "-srcwin)"
        )
    rows, columns = min(height, grid.height), min(width, grid.width)
    return [
        Window(top, left, rows, columns, skip_top, skip_left)
        for top, skip_top in _starts(grid.height, rows, overlap, ratio)
        for left, skip_left in _starts(grid.width, columns, overlap, ratio)
    ]


def _starts(length: int, window: int, overlap: int, ratio: int) -> list[tuple[int, int]]:
    """Where the windows along one side begin, and how much of each belongs to the one before.

    The last window may share more than `overlap`. Of an odd number of truth pixels the window
    before keeps one more; of what is shared where no overlap is wanted, all, as in evaluation.
    """
    room = min(overlap, window - ratio)
    starts = [one.top for one in windows(length, window, window, window, room, ratio)]
    shared = [before + window - start for before, start in pairwise(starts)]
    kept = [one // (2 * ratio) * ratio for one in shared] if overlap else shared
    return list(zip(starts, [0, *kept], strict=True))


def _own_part(
    window: Window, labels_hw: NDArray[np.uint8], ratio: int
) -> tuple[Window, NDArray[np.uint8]]:
    """What of a window is written: all but what the windows before it own.

    Windows are written row by row, so that what a later one leaves to the earlier stays.
    """
    top, left = window.skip_top, window.skip_left
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
