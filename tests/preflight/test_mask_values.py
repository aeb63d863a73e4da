"""What stands in a mask, told without a label scheme."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from segpipe.preflight.mask_values import MaskValues, read_mask_values
from segpipe.raw.sample import Sample, Window
from segpipe.runtime.errors import DataError
from tests.raw.rasters.geotiffs import write_tif

RAW_HW = np.array([[0, 5, 5], [5, 5, 9]], np.uint8)
COUNTS = {0: 1, 5: 4, 9: 1}


def values_of(raw: Path, name: str, window: Window | None = None, ratio: int = 1) -> MaskValues:
    return read_mask_values(Sample("a", "a", "a.png", name, window=window), raw, ratio)


def test_numbers_have_no_colours(tmp_path: Path) -> None:
    Image.fromarray(RAW_HW).save(tmp_path / "a.png")
    assert values_of(tmp_path, "a.png") == MaskValues(COUNTS, painted=False, palette={})
    Image.fromarray(RAW_HW.astype(np.uint16) * 300).save(tmp_path / "b.png")
    assert values_of(tmp_path, "b.png").pixels == {0: 1, 1500: 4, 2700: 1}


def test_a_palette_gives_numbers_their_colours(tmp_path: Path) -> None:
    picture = Image.fromarray(RAW_HW)
    picture.putpalette([1, 2, 3] * 5 + [50, 60, 70] + [0, 0, 0] * 3 + [200, 201, 202])
    picture.save(tmp_path / "a.png")
    found = values_of(tmp_path, "a.png")
    assert (found.pixels, found.painted) == (COUNTS, False)
    colours = [found.palette[value] for value in COUNTS]
    assert colours == [(1, 2, 3), (50, 60, 70), (200, 201, 202)]


def test_a_painted_mask_holds_colours(tmp_path: Path) -> None:
    painted = np.array([[[1, 2, 3], [255, 0, 16], [255, 0, 16]]], np.uint8)
    Image.fromarray(painted).save(tmp_path / "a.png")
    expected = MaskValues({0x010203: 1, 0xFF0010: 2}, painted=True, palette={})
    assert values_of(tmp_path, "a.png") == expected


def test_of_a_raster_the_window_counts_and_nodata_does_not(tmp_path: Path) -> None:
    rows = np.arange(16, dtype=np.uint8).reshape(4, 4)
    write_tif(tmp_path / "a.tif", rows, nodata=5)
    found = values_of(tmp_path, "a.tif", Window(0, 0, 4, 4), ratio=2)
    assert found == MaskValues({0: 1, 1: 1, 4: 1}, painted=False, palette={})


def test_a_colour_table_of_a_raster_is_its_palette(tmp_path: Path) -> None:
    import rasterio

    write_tif(tmp_path / "a.tif", RAW_HW)
    with rasterio.open(tmp_path / "a.tif", "r+") as dataset:
        dataset.write_colormap(1, {0: (1, 2, 3, 255), 5: (50, 60, 70, 255)})
    found = values_of(tmp_path, "a.tif", Window(0, 0, 2, 3))
    assert found.pixels == COUNTS
    assert (found.palette[0], found.palette[5]) == ((1, 2, 3), (50, 60, 70))


def test_a_mask_that_cannot_be_read_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"none")
    with pytest.raises(DataError, match=r"a\.png: cannot be read"):
        values_of(tmp_path, "a.png")
