"""How the files of a source are read; the scaling of bands is measured on the training split.

Shapes: C bands, H and W of a raster, N valid pixels of all rasters.
"""

import contextlib
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from segpipe.params.prepare import PrepareParams
from segpipe.raw.esd.tile import channel_names, display_channels
from segpipe.raw.input_spec import PICTURES, FileSpec, Scaling
from segpipe.raw.pictures.deep import PictureHeader, picture_header, read_channels
from segpipe.raw.rasters.gdal import opened
from segpipe.raw.rasters.grid import Grid, read_grid
from segpipe.raw.rasters.read import chosen_bands, read_values
from segpipe.raw.sample import Sample
from segpipe.runtime.console import progress
from segpipe.runtime.errors import DataError, listing

# Values read in all, over all rasters and bands: they bound the memory, whatever the rasters' size.
_BUDGET = 2**24
# So many training pictures, and up to twice as many, are asked what they hold, and measured.
_LOOKED_AT = 100
# Of the values of pictures: what a sensor's few dead and saturated pixels hold counts for nothing.
_PICTURE_QUANTILES = (0.001, 0.999)


def choose_files(
    source: str,
    samples: Mapping[str, Sequence[Sample]],
    raw: Path,
    prepare: PrepareParams,
    truth_ratio: int,
) -> FileSpec:
    """Return how the files of a source (by its name in params.yaml) are read.

    The scaling of rasters, and of pictures of more than 8 bits or of other channels than grey and RGB,
    is measured on the training split alone; DataError when one of the rasters cannot be read.
    """
    match source:
        case "rasters":
            return _rasters(samples["train"], raw, prepare, truth_ratio)
        case "esd" | "synthetic_esd":
            names = channel_names(prepare.esd)
            return FileSpec(
                "esd", tuple(names), display_channels(names), truth_ratio, esd=prepare.esd
            )
        case "folder":
            return _pictures(samples["train"], raw)
        case _:
            return PICTURES


def _pictures(samples: Sequence[Sample], raw: Path) -> FileSpec:
    """Return how most of the pictures are read; the others are refused when they are.

    What cannot be read is passed over here, and told then.
    """
    deep: list[tuple[Path, PictureHeader]] = []
    looked_at = samples[:: max(1, len(samples) // _LOOKED_AT)]
    for sample in looked_at:
        path = raw / sample.image
        with contextlib.suppress(DataError):
            if (header := picture_header(path)).deep:
                deep.append((path, header))
    if 2 * len(deep) <= len(looked_at):
        return PICTURES
    counts = Counter(len(header.bands) for _, header in deep)
    channels = counts.most_common(1)[0][0]
    low, high = _picture_range([each for each in deep if len(each[1].bands) == channels])
    names = {1: ("grey",), 3: PICTURES.channels}.get(
        channels, tuple(f"channel {number + 1}" for number in range(channels))
    )
    scaling = Scaling(tuple(range(1, channels + 1)), low, high)
    return FileSpec("picture", names, _display(channels), scaling=scaling)


def _picture_range(
    pictures: Sequence[tuple[Path, PictureHeader]],
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Return the values of each channel that become 0 and 1: quantiles of the finite values.

    Red, green and blue share theirs, so that colours stay as they are. Raises DataError when no
    picture holds a finite value.
    """
    pixels = sum(header.height * header.width for _, header in pictures)
    channels = len(pictures[0][1].bands)
    every = max(1, math.ceil(math.sqrt(pixels * channels / _BUDGET)))
    parts = []
    for path, header in progress(pictures, "measure pictures", "picture", len(pictures)):
        with contextlib.suppress(DataError):
            values_NC = read_channels(path, header)[::every, ::every].reshape(-1, channels)
            parts.append(values_NC[np.isfinite(values_NC).all(1)].astype(np.float64))
    values_NC = np.concatenate(parts) if parts else np.empty((0, channels))
    if not len(values_NC):
        raise DataError(
            f"{pictures[0][0].parent}: no picture of more than 8 bits, or of other channels than grey "
            "and RGB, could be read there, or they hold no numbers; look at one of them, such as "
            f"{pictures[0][0].name}"
        )
    measured = [values_NC] if channels == 3 else values_NC.T
    ends = [np.quantile(values, _PICTURE_QUANTILES).tolist() for values in measured]
    ends *= channels // len(ends)
    return tuple(low for low, _ in ends), tuple(high for _, high in ends)


def _display(channels: int) -> tuple[int, int, int]:
    """Return which channels are shown: the first three; of fewer, the last one again."""
    last = channels - 1
    return 0, min(1, last), min(2, last)


def _rasters(
    samples: Sequence[Sample], raw: Path, prepare: PrepareParams, truth_ratio: int
) -> FileSpec:
    paths = [raw / image for image in sorted({sample.image for sample in samples})]
    scaling = measure_scaling(paths, prepare.rasters.bands, prepare.rasters.quantiles)
    names = tuple(f"band {number}" for number in scaling.bands)
    return FileSpec("raster", names, _display(len(names)), truth_ratio, scaling=scaling)


def measure_scaling(
    paths: Sequence[Path], bands: Sequence[int] | None, quantiles: tuple[float, float]
) -> Scaling:
    """Return the quantiles (two fractions, ascending) of each band over all pixels of the rasters.

    bands: numbers from 1; None for all. Every pixel of every raster has the same weight; where
    they are more than 2^24 values in all, every n-th row and column of every raster is read, so
    that memory stays bounded. Pixels that are not valid do not count, nor does a nodata value that
    stands in some of the bands of a valid pixel, such as -9999; but 0 does: it can be a measurement,
    and then dark, or it changes the range of a band little.

    Raises DataError with all rasters that lack a band, have another number of them (where all are
    read), or cannot be read; and when there is no valid pixel at all.
    """
    grids, chosen = _inspected(paths, bands)
    pixels = sum(grid.height * grid.width for grid in grids)
    every = max(1, math.ceil(math.sqrt(pixels * len(chosen) / _BUDGET)))
    parts = []
    for path, grid in progress(
        list(zip(paths, grids, strict=True)), "measure bands", "raster", len(paths)
    ):
        shape = (math.ceil(grid.height / every), math.ceil(grid.width / every))
        with opened(path) as dataset:
            read = read_values(dataset, path, chosen, shape=shape)
        counted_CHW = read.valid_HW & (read.measured_CHW | (read.values_CHW == 0))
        pairs = zip(read.values_CHW, counted_CHW, strict=True)
        parts.append([band_HW[counted_HW] for band_HW, counted_HW in pairs])
    bands_CN = [np.concatenate(band_parts) for band_parts in zip(*parts, strict=True)]
    empty = [number for number, band_N in zip(chosen, bands_CN, strict=True) if not band_N.size]
    if empty:
        raise DataError(
            f"{paths[0].parent}: the training rasters hold no valid pixel in band "
            f"{', '.join(map(str, empty))}; check their nodata value and prepare.rasters.bands"
        )
    ends_2C = np.array([np.quantile(band_N.astype(np.float64), quantiles) for band_N in bands_CN]).T
    return Scaling(chosen, tuple(ends_2C[0].tolist()), tuple(ends_2C[1].tolist()))


def _inspected(
    paths: Sequence[Path], bands: Sequence[int] | None
) -> tuple[list[Grid], tuple[int, ...]]:
    """Return the grids and the bands that all rasters have; DataError lists all that have not."""
    if not paths:
        raise DataError("there is no training raster to measure the bands on")
    grids, chosen, faults = [], [], []
    for path in paths:
        try:
            grids.append(read_grid(path))
            chosen.append(chosen_bands(path, grids[-1].bands, bands))
        except DataError as error:
            faults.append(str(error))
    if not faults and len({len(one) for one in chosen}) > 1:
        faults = [f"{path}: {grid.bands} bands" for path, grid in zip(paths, grids, strict=True)]
        raise DataError(
            "the training rasters have different numbers of bands; choose those that all have in "
            f"prepare.rasters.bands:\n{listing(faults)}"
        )
    if faults:
        raise DataError(f"{len(faults)} training rasters cannot be used:\n{listing(faults)}")
    return grids, chosen[0]
