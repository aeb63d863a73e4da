"""Windows of georeferenced rasters: bands scaled to 0..1, never resized.

Shapes: H and W of the window in image pixels, h and w in truth pixels, C channels.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from segpipe.labels.scheme import VOID, LabelScheme
from segpipe.raw.rasters.grid import Grid, read_grid
from segpipe.raw.rasters.read import ImageWindow, coarse_valid, read_truth, read_window
from segpipe.raw.rasters.windows import ownership_mask, prediction_windows
from segpipe.raw.reader import Canvas, CanvasSample, RawSample, RawTruth, Reader
from segpipe.raw.sample import Sample, Window
from segpipe.runtime.errors import DataError


class RasterReader(Reader):
    """Reads windows of GeoTIFFs with their truth."""

    unit = "raster"
    suffixes = frozenset({".tif", ".tiff"})
    file_type = "GeoTIFF"
    on_earth = True
    streamed = True

    def read(self, sample: Sample, raw: Path, scheme: LabelScheme) -> RawSample:
        """As `Reader.read`."""
        assert sample.window is not None
        image = self.image_window(raw / sample.image, sample.window)
        seen_hw = coarse_valid(image.valid_HW, self.files.truth_ratio)
        truth = None
        if sample.mask is not None:
            truth = self._truth(raw / sample.mask, sample.window, seen_hw, scheme)
        return RawSample(image.image_HWC[None], seen_hw, truth, image.partly_nodata)

    def _truth(
        self, path: Path, window: Window, seen_hw: NDArray[np.bool_], scheme: LabelScheme
    ) -> RawTruth:
        ratio = self.files.truth_ratio
        read = read_truth(path, window, ratio)
        found, counts = np.unique(read.raw_hw[read.known_hw], return_counts=True)
        values = dict(zip(found.tolist(), counts.tolist(), strict=True))
        mask_hw, unknown = scheme.encode(read.raw_hw)
        own_hw = ownership_mask(window, ratio)
        scored_hw = read.known_hw & seen_hw & own_hw
        hidden = {}
        if read.nodata is not None and scheme.meanings.get(read.nodata, "void") != "void":
            hidden = {read.nodata: int(np.count_nonzero(own_hw & ~read.known_hw))}
        return RawTruth(
            np.where(scored_hw, mask_hw, VOID).astype(np.uint8),
            {value: values[value] for value in unknown if value in values},
            values,
            hidden_class=hidden,
        )

    def read_onto_canvas(
        self, sample: Sample, raw: Path, scheme: LabelScheme, canvas: Canvas
    ) -> CanvasSample:
        """Read a window, which is as large as the canvas already."""
        seen = CanvasSample()
        try:
            found = self.read(sample, raw, scheme)
        except DataError as error:
            seen.unreadable.append(str(error))
            return seen
        truth, seen.frames_THWC = found.truth, found.frames_THWC
        seen.partly_nodata = found.partly_nodata
        height, width, channels = seen.frames_THWC.shape[1:]
        seen.image_side, seen.image_mode = (height, width), f"{channels} bands"
        if truth is not None:
            ratio = self.files.truth_ratio
            seen.mask_side = truth.mask_hw.shape[0] * ratio, truth.mask_hw.shape[1] * ratio
            seen.mask_hw, seen.mask_mode = truth.mask_hw, "raster"
            seen.unknown, seen.values = truth.unknown, truth.values
            seen.hidden_class = truth.hidden_class
            assert sample.window is not None
            own = truth.mask_hw[ownership_mask(sample.window, ratio)]
            ids, counts = np.unique(own, return_counts=True)
            seen.train_pixels = dict(zip(ids.tolist(), counts.tolist(), strict=True))
        return seen

    def read_image(
        self, path: Path, window: Window | None = None
    ) -> tuple[NDArray[np.float16], NDArray[np.bool_]]:
        """As `Reader.read_image`."""
        image = self.image_window(path, window)
        return image.image_HWC, image.valid_HW

    def image_window(self, path: Path, window: Window | None) -> ImageWindow:
        """Read a window of an image, or all of it; DataError when it cannot be read."""
        assert self.files.scaling is not None
        return read_window(path, window, self.files.scaling)

    def grid(self, path: Path) -> Grid:
        """As `Reader.grid`."""
        return read_grid(path)

    def parts(self, height: int, width: int, canvas: Canvas, overlap: int = 0) -> list[Window]:
        """As `Reader.parts`: windows of the canvas's size, or one where the raster is smaller."""
        return prediction_windows(
            height,
            width,
            min(height, canvas.height),
            min(width, canvas.width),
            overlap,
            self.files.truth_ratio,
        )

    def drawn(self, samples: Sequence[Sample], raw: Path, number: int) -> list[Sample]:
        """Return the first window of each raster."""
        first: dict[str, Sample] = {}
        for sample in samples:
            first.setdefault(sample.image, sample)
        return list(first.values())[:number]
