"""Predictions as GeoTIFFs that line up with their image."""

import contextlib
import shutil
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from segpipe.inference.targets import SOFTWARE
from segpipe.labels.scheme import VOID, LabelScheme
from segpipe.raw.rasters.gdal import created, require_rasterio
from segpipe.raw.rasters.grid import Grid
from segpipe.raw.sample import Window
from segpipe.runtime.atomic import atomic_file
from segpipe.runtime.errors import DataError, SegpipeError

_BLOCK = 256
_FULL = 2**20  # bytes that are free; GDAL does not say why a write has failed


class PredictionWriter:
    """Writes one band of labels, or of a map, window by window; the file appears whole or not at all.

    path: of the GeoTIFF (tiled, deflate). like: the image's grid, whose extent and coordinate
    reference system the file gets. ratio: image pixels along a side of a label's pixel. palette:
    colours by label, (K, 3), for viewers. void: the label of what is not known; it fills what no
    window covers and is the file's nodata value; None for none (such pixels are 0 then). dtype:
    uint16 where labels are above 255.

    As a context manager: `with PredictionWriter(...) as writer: writer.write(window, labels_hw)`.
    Raises ValueError when the image's sides do not divide by `ratio`, SegpipeError when the disk is
    full, DataError when it fails otherwise.
    """

    def __init__(
        self,
        path: Path,
        like: Grid,
        ratio: int = 1,
        palette_K3: NDArray[np.uint8] | None = None,
        void: int | None = VOID,
        dtype: Literal["uint8", "uint16"] = "uint8",
    ) -> None:
        self._path = path
        self._grid = like.coarser(ratio)
        self._ratio = ratio
        self._palette_K3 = palette_K3
        self._void = void
        self._dtype = dtype
        self._dataset: Any = None
        self._closing = contextlib.ExitStack()

    def __enter__(self) -> "PredictionWriter":
        with contextlib.ExitStack() as stack:
            partial = stack.enter_context(atomic_file(self._path))
            stack.enter_context(_write_errors_explained(self._path, partial))
            self._dataset = stack.enter_context(created(partial, **self._profile()))
            self._dataset.update_tags(TIFFTAG_SOFTWARE=SOFTWARE)
            if self._palette_K3 is not None:
                colours = {label: tuple(rgb) for label, rgb in enumerate(self._palette_K3.tolist())}
                self._dataset.write_colormap(1, colours)
            self._closing = stack.pop_all()
        return self

    def write(
        self, window: Window, labels_hw: NDArray[Any], valid_hw: NDArray[np.bool_] | None = None
    ) -> None:
        """Write the labels of a window (in image pixels): (height / ratio, width / ratio).

        valid_hw: where there are data, for the file's mask; None for a file without mask.
        """
        ratio = self._ratio
        sides = (window.top, window.left, window.height, window.width)
        top, left, rows, columns = (side // ratio for side in sides)
        inside = top + rows <= self._grid.height and left + columns <= self._grid.width
        if any(side % ratio for side in sides) or labels_hw.shape != (rows, columns) or not inside:
            raise ValueError(f"labels of shape {labels_hw.shape} do not fit {window} ({ratio=})")
        if labels_hw.size and int(labels_hw.max()) > np.iinfo(self._dtype).max:
            raise ValueError(f"label {labels_hw.max()} does not fit into {self._dtype}")
        place = ((top, top + rows), (left, left + columns))
        if valid_hw is not None:
            self._dataset.write_mask(valid_hw, window=place)
        self._dataset.write(labels_hw.astype(self._dtype), 1, window=place)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._closing.__exit__(kind, error, trace)

    def _profile(self) -> dict[str, Any]:
        grid, rasterio = self._grid, require_rasterio()
        return {
            "height": grid.height,
            "width": grid.width,
            "count": 1,
            "dtype": self._dtype,
            "nodata": self._void,
            "crs": rasterio.crs.CRS.from_wkt(grid.crs) if grid.crs else None,
            "transform": rasterio.Affine(*grid.transform) if grid.placed else None,
            "tiled": True,
            "blockxsize": _BLOCK,
            "blockysize": _BLOCK,
            "compress": "deflate",
            "BIGTIFF": "IF_SAFER",
        }


@contextlib.contextmanager
def _write_errors_explained(path: Path, partial: Path) -> Iterator[None]:
    """Let an error about the temporary file name the file that is to be; see whether the disk is full."""
    try:
        yield
    except DataError as error:
        if str(partial) not in str(error):
            raise  # of the image that is read
        if shutil.disk_usage(partial.parent).free < _FULL:
            raise SegpipeError(
                f"{path}: the disk is full; free some space and start again"
            ) from error
        raise DataError(str(error).replace(str(partial), str(path))) from error


def label_writer(path: Path, grid: Grid, ratio: int, scheme: LabelScheme) -> PredictionWriter:
    """Return a writer of raw ids on the grid of an image, in the scheme's colours."""
    void = scheme.void_id
    if scheme.decode(np.array([[VOID]], np.uint8)).dtype == np.uint16:
        return PredictionWriter(path, grid, ratio, None, void, "uint16")
    palette_N3 = np.zeros((256, 3), np.uint8)
    for label in scheme.raw:
        if label.id >= 0:
            palette_N3[label.id] = label.colour
    return PredictionWriter(path, grid, ratio, palette_N3, void)


def map_writer(path: Path, grid: Grid, ratio: int, bits: Literal[8, 16]) -> PredictionWriter:
    """Return a writer of fractions on the grid of an image, as whole numbers of so many bits.

    Each value means something, so that what has no data is told by a mask, not by a nodata value.
    """
    return PredictionWriter(path, grid, ratio, None, None, "uint8" if bits == 8 else "uint16")


def write_labels(
    path: Path, grid: Grid, ratio: int, labels_hw: NDArray[np.uint8], scheme: LabelScheme
) -> None:
    """Write the train ids of a whole image to the GeoTIFF `path`, as raw ids."""
    with label_writer(path, grid, ratio, scheme) as writer:
        writer.write(Window(0, 0, grid.height, grid.width), scheme.decode(labels_hw))
