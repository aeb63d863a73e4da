"""Windows of images and truth."""

import sys
from pathlib import Path

import numpy as np
import pytest
import rasterio

from segpipe.raw.input_spec import Scaling
from segpipe.raw.rasters.read import coarse_valid, read_truth, read_window
from segpipe.raw.sample import Window
from segpipe.runtime.errors import DataError
from tests.forge import ROOT, run_python
from tests.raw.rasters.geotiffs import METRES, write_tif

RANDOM = np.random.default_rng(5)


def test_a_window_is_the_slice_scaled(tmp_path: Path) -> None:
    values = RANDOM.integers(0, 5000, (4, 60, 70)).astype(np.uint16)
    path = write_tif(tmp_path / "a.tif", values)
    scaling = Scaling((3, 1), (100.0, 0.0), (4000.0, 5000.0))
    image, valid = read_window(path, Window(7, 11, 20, 30), scaling)
    assert image.dtype == np.float16 and image.shape == (20, 30, 2) and valid.all()
    for channel, (band, low, high) in enumerate(((2, 100, 4000), (0, 0, 5000))):
        wanted = ((values[band, 7:27, 11:41] - float(low)) / (high - low)).clip(0, 1)
        np.testing.assert_allclose(image[:, :, channel], wanted, atol=5e-4)


def test_a_pixel_without_a_value_in_any_band_is_invalid_and_zero_in_all(tmp_path: Path) -> None:
    values = np.full((2, 4, 5), 7, np.float32)
    values[0, 0, 0], values[1, 1, 1], values[0, 2, 2], values[1, 3, 3] = -1, np.nan, np.inf, -np.inf
    path = write_tif(tmp_path / "a.tif", values, nodata=-1)
    image, valid = read_window(path, Window(0, 0, 4, 5), Scaling((1, 2), (0, 0), (14, 14)))
    bad = np.zeros((4, 5), bool)
    bad[[0, 1, 2, 3], [0, 1, 2, 3]] = True
    np.testing.assert_array_equal(valid, ~bad)
    assert (image[bad] == 0).all() and (image[~bad] == 0.5).all()


def test_only_the_chosen_bands_decide_what_is_valid(tmp_path: Path) -> None:
    values = np.ones((2, 3, 3), np.uint8)
    values[1] = 0
    path = write_tif(tmp_path / "a.tif", values, nodata=0)
    assert read_window(path, Window(0, 0, 3, 3), Scaling((1,), (0,), (1,)))[1].all()
    image, valid = read_window(path, Window(0, 0, 3, 3), Scaling((1, 2), (0, 0), (1, 1)))
    assert not valid.any() and not image.any()


def test_the_files_own_mask_is_honoured(tmp_path: Path) -> None:
    path = write_tif(tmp_path / "a.tif", np.full((4, 4), 9, np.uint8))
    with rasterio.open(path, "r+") as file:
        mask = np.full((4, 4), 255, np.uint8)
        mask[0] = 0
        file.write_mask(mask)
    valid = read_window(path, Window(0, 0, 4, 4), Scaling((1,), (0,), (9,)))[1]
    assert not valid[0].any() and valid[1:].all()


def test_huge_values_do_not_overflow(tmp_path: Path) -> None:
    values = np.array([[-3e38, 3e38], [0, 1]], np.float32)
    path = write_tif(tmp_path / "a.tif", values)
    image, valid = read_window(path, Window(0, 0, 2, 2), Scaling((1,), (-1,), (1,)))
    assert valid.all()
    np.testing.assert_array_equal(image[:, :, 0], [[0, 1], [0.5, 1]])


def test_faults_of_a_window_are_told(tmp_path: Path) -> None:
    path = write_tif(tmp_path / "a.tif", RANDOM.integers(0, 255, (40, 40)).astype(np.uint8))
    with pytest.raises(DataError, match="has 1 bands, so band 2, 5 of"):
        read_window(path, Window(0, 0, 8, 8), Scaling((1, 2, 5), (0,) * 3, (1,) * 3))
    for window in (Window(36, 0, 8, 8), Window(-1, 0, 8, 8)):
        with pytest.raises(DataError, match="has 40 x 40 pixels"):
            read_window(path, window, Scaling((1,), (0,), (1,)))
    path.write_bytes(path.read_bytes()[:-400])
    with pytest.raises(DataError, match=r"a\.tif: cannot be read .* cut off"):
        read_window(path, Window(32, 0, 8, 8), Scaling((1,), (0,), (1,)))
    odd = write_tif(tmp_path / "odd.tif", np.ones((8, 8), np.complex64))
    with pytest.raises(DataError, match="complex numbers"):
        read_window(odd, Window(0, 0, 8, 8), Scaling((1,), (0,), (1,)))


def test_truth_comes_at_its_own_resolution_with_what_is_known(tmp_path: Path) -> None:
    labels = RANDOM.integers(0, 300, (8, 6)).astype(np.int16)
    labels[2, 1] = -7
    path = write_tif(tmp_path / "m.tif", labels, nodata=-7)
    raw, known = read_truth(path, Window(10, 5, 20, 15), 5)
    np.testing.assert_array_equal(raw, labels[2:6, 1:4])
    np.testing.assert_array_equal(known, labels[2:6, 1:4] != -7)
    with pytest.raises(ValueError, match="truth pixel of 5"):
        read_truth(path, Window(3, 0, 20, 15), 5)


def test_truth_must_be_one_band_of_whole_numbers(tmp_path: Path) -> None:
    floats = write_tif(tmp_path / "f.tif", np.ones((8, 8), np.float32))
    with pytest.raises(DataError, match="float32 values; labels are whole numbers"):
        read_truth(floats, Window(0, 0, 8, 8), 1)
    colours = write_tif(tmp_path / "c.tif", np.ones((3, 8, 8), np.uint8))
    with pytest.raises(DataError, match="3 bands; a raster of labels has one"):
        read_truth(colours, Window(0, 0, 8, 8), 1)


def test_a_truth_pixel_is_valid_where_half_of_its_image_pixels_are() -> None:
    valid = RANDOM.random((12, 18)) < 0.5
    wanted = np.array(
        [
            [valid[y : y + 3, x : x + 3].mean() >= 0.5 for x in range(0, 18, 3)]
            for y in range(0, 12, 3)
        ]
    )
    np.testing.assert_array_equal(coarse_valid(valid, 3), wanted)
    assert coarse_valid(np.array([[True, False], [False, True]]), 2).item()
    np.testing.assert_array_equal(coarse_valid(valid, 1), valid)
    with pytest.raises(ValueError, match="do not divide by 5"):
        coarse_valid(valid, 5)


def test_memory_is_bounded_by_the_window_not_by_the_raster(tmp_path: Path) -> None:
    if sys.platform == "win32":
        pytest.skip("resource is not there")
    path = tmp_path / "large.tif"
    # 16000 x 16000 x 4 of uint16 are 2 GB; blocks that were never written take no place on disk.
    with rasterio.open(
        path,
        "w",
        driver="GTiff",
        height=16000,
        width=16000,
        count=4,
        dtype="uint16",
        tiled=True,
        compress="deflate",
        SPARSE_OK="TRUE",
        crs="EPSG:32736",
        transform=METRES,
    ) as file:
        file.write(np.ones((4, 16, 16), np.uint16), window=((0, 16), (0, 16)))
    done = run_python(
        [str(ROOT / "tests/raw/rasters/read_large.py"), str(path)], ROOT, PYTHONPATH="."
    )
    assert done.returncode == 0, done.stderr
    windows_grew, whole_grew = (int(grown) for grown in done.stdout.split())
    assert windows_grew < 120, done.stdout
    assert whole_grew < 400, done.stdout
