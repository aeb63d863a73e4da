"""One raw sample as arrays at its own resolution: the image (or clip) and its truth.

Shapes: T frames, H and W of the image, C channels, h and w of the truth, which may be coarser.
"""

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from segpipe.labels.scheme import VOID, LabelScheme
from segpipe.params.prepare import EsdParams
from segpipe.raw.esd.tile import read_tile
from segpipe.raw.input_spec import Reading
from segpipe.raw.pictures import read_image, read_mask
from segpipe.raw.rasters.read import coarse_valid, read_truth, read_window
from segpipe.raw.rasters.windows import counted
from segpipe.raw.sample import Sample, Window


@dataclass(frozen=True)
class RawTruth:
    """A mask as train ids, and what stood in it.

    mask_hw: uint8, VOID where nothing counts. unknown: values outside the scheme, with their
    pixels. values: all raw values with their pixels, of rasters. painted: in colours.
    """

    mask_hw: NDArray[np.uint8]
    unknown: dict[int, int]
    values: dict[int, int]
    painted: bool = False


@dataclass(frozen=True)
class RawSample:
    """frames_THWC: uint8, or float16 in 0..1, the annotated frame last.

    seen_hw: which truth pixels the image has data for; all, but for rasters with nodata. truth: None
    where it is withheld.
    """

    frames_THWC: NDArray[Any]
    seen_hw: NDArray[np.bool_]
    truth: RawTruth | None


def read_raw(sample: Sample, raw: Path, scheme: LabelScheme, reading: Reading) -> RawSample:
    """Read a sample at its own resolution, each of its files once.

    Where an image has no data, and where another window counts, the truth is VOID. Raises DataError
    when a file cannot be read.
    """
    if reading.kind == "picture":
        return _pictures(sample, raw, scheme)
    image_HWC, valid_HW = _bands(sample, raw, reading)
    seen_hw = coarse_valid(valid_HW, reading.truth_ratio)
    truth = None
    if sample.mask is not None:
        truth = _raster_truth(raw / sample.mask, _window(sample), seen_hw, scheme, reading)
    return RawSample(image_HWC[None], seen_hw, truth)


def _pictures(sample: Sample, raw: Path, scheme: LabelScheme) -> RawSample:
    frames = [read_image(raw / path) for path in (*sample.frames, sample.image)]
    frames_THWC = np.stack(frames) if len(frames) > 1 else frames[0][None]
    truth = None
    if sample.mask is not None:
        mask_HW, unknown, painted = read_mask(raw / sample.mask, scheme)
        truth = RawTruth(mask_HW, unknown, {}, painted)
    return RawSample(frames_THWC, np.ones(frames_THWC.shape[1:3], np.bool_), truth)


def _raster_truth(
    path: Path, window: Window, seen_hw: NDArray[np.bool_], scheme: LabelScheme, reading: Reading
) -> RawTruth:
    raw_hw, known_hw = read_truth(path, window, reading.truth_ratio)
    values, counts = np.unique(raw_hw[known_hw], return_counts=True)
    mask_hw, unknown = scheme.encode(np.where(known_hw, raw_hw, values[0] if len(values) else 0))
    counts_hw = known_hw & seen_hw & counted(window, reading.truth_ratio)
    return RawTruth(
        np.where(counts_hw, mask_hw, VOID).astype(np.uint8),
        unknown if known_hw.any() else {},
        dict(zip(values.tolist(), counts.tolist(), strict=True)),
    )


def _bands(
    sample: Sample, raw: Path, reading: Reading
) -> tuple[NDArray[np.float16], NDArray[np.bool_]]:
    """Return image_HWC and valid_HW of a window of a raster or tile."""
    window = _window(sample)
    if reading.scaling is not None:
        return read_window(raw / sample.image, window, reading.scaling)
    assert reading.esd is not None
    rows = slice(window.top, window.top + window.height)
    columns = slice(window.left, window.left + window.width)
    image_HWC = _tile(raw / sample.image, reading.esd.model_dump_json())[rows, columns]
    return image_HWC, np.ones(image_HWC.shape[:2], np.bool_)


@lru_cache(maxsize=1)
def _tile(tile: Path, esd: str) -> NDArray[np.float16]:
    """The last tile is kept: its subtiles follow one another, and reading it takes seconds."""
    return read_tile(tile, EsdParams.model_validate_json(esd))


def _window(sample: Sample) -> Window:
    assert sample.window is not None
    return sample.window
