"""Windows of images and truth."""

import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from numpy.typing import NDArray

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
    found = read_window(path, Window(7, 11, 20, 30), scaling)
    image = found.image_HWC
    assert image.dtype == np.float16 and image.shape == (20, 30, 2) and found.valid_HW.all()
    for channel, (band, low, high) in enumerate(((2, 100, 4000), (0, 0, 5000))):
        wanted = ((values[band, 7:27, 11:41] - float(low)) / (high - low)).clip(0, 1)
        np.testing.assert_allclose(image[:, :, channel], wanted, atol=5e-4)


def test_a_pixel_with_nodata_in_all_bands_or_nan_in_one_is_invalid_and_zero_in_all(
    tmp_path: Path,
) -> None:
    values = np.full((2, 4, 5), 7, np.float32)
    values[:, 0, 0] = -1
    values[1, 1, 1], values[0, 2, 2], values[1, 3, 3] = np.nan, np.inf, -np.inf
    values[0, 0, 4] = -1  # nodata in one band alone
    path = write_tif(tmp_path / "a.tif", values, nodata=-1)
    found = read_window(path, Window(0, 0, 4, 5), Scaling((1, 2), (0, 0), (14, 14)))
    bad = np.zeros((4, 5), bool)
    bad[[0, 1, 2, 3], [0, 1, 2, 3]] = True
    np.testing.assert_array_equal(found.valid_HW, ~bad)
    assert found.partly_nodata == 1
    assert found.image_HWC[0, 4].tolist() == [0, 0.5]
    bad[0, 4] = True
    assert (found.image_HWC[~bad] == 0.5).all()
    bad[0, 4] = False
    assert (found.image_HWC[bad] == 0).all()


def coloured(alpha: bool, dtype: str = "uint8") -> NDArray[Any]:
    """Random colours, of which every third value is 0; perhaps with an alpha band."""
    values = RANDOM.integers(1, 255, (4 if alpha else 3, 30, 40)).astype(dtype)
    values[:3][RANDOM.random((3, 30, 40)) < 0.3] = 0
    values[:, :5] = 0
    if alpha:
        values[3] = np.where(RANDOM.random((30, 40)) < 0.4, 0, 255)
    return values


@pytest.mark.parametrize(
    ("values", "profile"),
    [
        (coloured(alpha=False), {"nodata": 0}),
        (coloured(alpha=False), {}),
        (coloured(alpha=False, dtype="uint16"), {"nodata": 0}),
        (coloured(alpha=False, dtype="float32"), {"nodata": 0}),
        (coloured(alpha=True), {"photometric": "RGB", "ALPHA": "YES"}),
        (coloured(alpha=True), {"photometric": "RGB", "ALPHA": "YES", "nodata": 0}),
    ],
)
def test_what_is_valid_is_what_rasterio_says(
    values: NDArray[Any], profile: dict[str, Any], tmp_path: Path
) -> None:
    path = write_tif(tmp_path / "a.tif", values, **profile)
    for masked in (False, True):
        if masked:
            with rasterio.open(path, "r+") as file:
                file.write_mask(RANDOM.random((30, 40)) < 0.5)
        with rasterio.open(path) as file, warnings.catch_warnings():
            warnings.simplefilter("ignore", rasterio.errors.NodataShadowWarning)
            expected = file.dataset_mask() > 0
        assert masked or profile or expected.all()
        scaling = Scaling((1, 2, 3), (0,) * 3, (255,) * 3)
        found = read_window(path, None, scaling)
        np.testing.assert_array_equal(found.valid_HW, expected)
        part = read_window(path, Window(3, 4, 12, 9), scaling)
        np.testing.assert_array_equal(part.valid_HW, expected[3:15, 4:13])


def test_a_saturated_red_is_data_and_black_is_not(tmp_path: Path) -> None:
    values = np.full((3, 2, 5), 90, np.uint8)
    values[:, 0, 0] = 255, 0, 0
    values[:, 1, 1] = 0
    path = write_tif(tmp_path / "a.tif", values, nodata=0)
    found = read_window(path, None, Scaling((1, 2, 3), (0,) * 3, (255,) * 3))
    assert np.argwhere(~found.valid_HW).tolist() == [[1, 1]]
    assert found.image_HWC[0, 0].tolist() == [1, 0, 0]
    assert found.partly_nodata == 1


def test_a_transparent_pixel_has_no_data_whatever_the_nodata_tag(tmp_path: Path) -> None:
    values = np.full((4, 2, 2), 255, np.uint8)
    values[3, 0, 0] = 0
    path = write_tif(tmp_path / "a.tif", values, nodata=255, photometric="RGB", ALPHA="YES")
    found = read_window(path, None, Scaling((1, 2, 3), (0,) * 3, (255,) * 3))
    assert found.valid_HW.tolist() == [[False, True], [True, True]]


def test_only_the_chosen_bands_decide_what_is_valid(tmp_path: Path) -> None:
    values = np.ones((2, 3, 3), np.uint8)
    values[1] = 0
    path = write_tif(tmp_path / "a.tif", values, nodata=0)
    assert read_window(path, Window(0, 0, 3, 3), Scaling((1,), (0,), (1,))).valid_HW.all()
    assert read_window(path, Window(0, 0, 3, 3), Scaling((1, 2), (0, 0), (1, 1))).valid_HW.all()
    found = read_window(path, Window(0, 0, 3, 3), Scaling((2,), (0,), (1,)))
    assert not found.valid_HW.any() and not found.image_HWC.any()


def test_the_files_own_mask_is_honoured(tmp_path: Path) -> None:
    path = write_tif(tmp_path / "a.tif", np.full((4, 4), 9, np.uint8))
    with rasterio.open(path, "r+") as file:
        mask = np.full((4, 4), 255, np.uint8)
        mask[0] = 0
        file.write_mask(mask)
    valid = read_window(path, Window(0, 0, 4, 4), Scaling((1,), (0,), (9,))).valid_HW
    assert not valid[0].any() and valid[1:].all()


def test_huge_values_do_not_overflow(tmp_path: Path) -> None:
    values = np.array([[-3e38, 3e38], [0, 1]], np.float32)
    path = write_tif(tmp_path / "a.tif", values)
    found = read_window(path, Window(0, 0, 2, 2), Scaling((1,), (-1,), (1,)))
    assert found.valid_HW.all()
    np.testing.assert_array_equal(found.image_HWC[:, :, 0], [[0, 1], [0.5, 1]])


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
    found = read_truth(path, Window(10, 5, 20, 15), 5)
    np.testing.assert_array_equal(found.raw_hw, labels[2:6, 1:4])
    np.testing.assert_array_equal(found.known_hw, labels[2:6, 1:4] != -7)
    assert found.nodata == -7
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
