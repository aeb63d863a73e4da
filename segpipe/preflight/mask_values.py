"""What stands in a mask, without a label scheme: for a person who has yet to write one."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from segpipe.labels.scheme import Colour, LabelScheme
from segpipe.raw.pictures.files import open_mask
from segpipe.raw.pictures.opener import open_picture
from segpipe.raw.rasters.gdal import opened
from segpipe.raw.rasters.read import read_truth
from segpipe.raw.sample import Sample

# Contradicts no palette and gives no colour two meanings.
_NO_SCHEME = LabelScheme("none", (), ())


@dataclass(frozen=True)
class MaskValues:
    """pixels: by raw value, 0xRRGGBB where the mask is painted. palette: the colours that a file of
    numbers gives its values; empty where it gives none.
    """

    pixels: dict[int, int]
    painted: bool
    palette: dict[int, Colour]


def read_mask_values(sample: Sample, raw: Path, truth_ratio: int) -> MaskValues:
    """Read the mask of a sample below `raw`, which must have one; of a raster, its window alone.

    truth_ratio: image pixels along each side of a truth pixel. Raises DataError when the mask cannot
    be read.
    """
    assert sample.mask is not None
    path = raw / sample.mask
    if sample.window is None:
        mask = open_mask(path, _NO_SCHEME)
        palette = _palette(path) if mask.mode == "P" else {}
        return MaskValues(mask.values, mask.painted, palette)
    truth = read_truth(path, sample.window, truth_ratio)
    values, counts = np.unique(truth.raw_hw[truth.known_hw], return_counts=True)
    pixels = dict(zip(values.tolist(), counts.tolist(), strict=True))
    return MaskValues(pixels, False, _colour_table(path))


def _palette(path: Path) -> dict[int, Colour]:
    flat = open_picture(path).picture.getpalette("RGB") or []
    return dict(enumerate(zip(flat[::3], flat[1::3], flat[2::3], strict=True)))


def _colour_table(path: Path) -> dict[int, Colour]:
    with opened(path) as dataset:
        try:
            table = dataset.colormap(1)
        except ValueError:  # so rasterio says that there is none
            return {}
    return {value: (red, green, blue) for value, (red, green, blue, _) in table.items()}
