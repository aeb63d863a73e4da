"""ESD tiles: names of files, channels, and what is made of each satellite."""

from pathlib import Path

import numpy as np
import pytest
import rasterio
from scipy.ndimage import gaussian_filter

from segpipe.params.prepare import EsdParams
from segpipe.raw.esd import satellites
from segpipe.raw.esd.tile import channel_names, display_channels, read_tile, tile_grid
from segpipe.runtime.errors import DataError
from tests.raw.rasters.geotiffs import ESD_FILES, make_esd_tile, write_tif

ALL = EsdParams()
RADAR = EsdParams(viirs=False, viirs_maximum=False, sentinel2=[], landsat=[])


def band(tile: Path, name: str) -> np.ndarray:
    with rasterio.open(tile / name) as file:
        return file.read(1).astype(np.float64)


def scaled(values: np.ndarray) -> np.ndarray:
    return (values - values.min()) / (values.max() - values.min())


def clipped(values: np.ndarray, low: float, high: float) -> np.ndarray:
    return values.clip(np.quantile(values, low), np.quantile(values, high))


def refusal(tile: Path, params: EsdParams = ALL) -> str:
    with pytest.raises(DataError) as caught:
        read_tile(tile, params)
    assert tile.name in str(caught.value)
    return str(caught.value)


def test_all_channels_are_99_in_the_given_order() -> None:
    names = channel_names(ALL)
    assert len(ESD_FILES) == 98 and len(names) == len(set(names)) == 99
    assert names[8:12] == ["viirs_9_DNB", "viirs_maximum", "sentinel1_1_VH", "sentinel1_1_VV"]
    assert names[18:21] == ["sentinel2_1_B01", "sentinel2_1_B02", "sentinel2_1_B03"]
    assert names[66] == "landsat_1_B1" and names[-1] == "landsat_3_B11"


def test_each_satellite_is_preprocessed_as_written(tmp_path: Path) -> None:
    tile = make_esd_tile(tmp_path / "Tile1")
    image = read_tile(tile, ALL)
    assert image.shape == (20, 20, 99) and image.dtype == np.float16
    assert image.min() == 0 and image.max() == 1
    place = {name: index for index, name in enumerate(channel_names(ALL))}

    nights = np.stack([band(tile, f"DNB_VNP46A1_A2020{day}.tif") for day in range(221, 230)])
    nights = clipped(nights, 0.05, 0.95)
    radar = gaussian_filter(
        clipped(np.log10(band(tile, "S1A_IW_GRDH_20200828_VV.tif")), 0.01, 0.99), 1
    )
    sentinel = [band(tile, f"L2A_202008{day}_B8A.tif") for day in ("11", "16", "26", "31")]
    landsat = [band(tile, f"LC08_L1TP_2020-{day}_B11.tif") for day in ("07-29", "08-14", "08-30")]
    for name, wanted in {
        "viirs_3_DNB": scaled(nights)[2],
        "viirs_maximum": scaled(nights.max(0)),
        "sentinel1_3_VV": scaled(radar),
        "sentinel2_2_B8A": scaled(clipped(np.stack(sentinel), 0.1, 0.9) ** (1 / 2.2))[1],
        "landsat_3_B11": scaled(clipped(np.stack(landsat), 0.05, 0.95) ** (1 / 2.2))[2],
    }.items():
        np.testing.assert_allclose(image[:, :, place[name]], wanted, atol=1e-3, err_msg=name)


def test_chosen_bands_are_those_of_the_whole(tmp_path: Path) -> None:
    tile = make_esd_tile(tmp_path / "Tile1")
    some = EsdParams(viirs=False, sentinel1=["VV"], sentinel2=["B04", "B03", "B02"], landsat=[])
    names = channel_names(some)
    assert len(names) == 1 + 4 + 12
    whole = read_tile(tile, ALL)[:, :, [channel_names(ALL).index(name) for name in names]]
    np.testing.assert_array_equal(read_tile(tile, some), whole)


def test_a_satellite_that_is_not_chosen_may_be_absent(tmp_path: Path) -> None:
    tile = make_esd_tile(tmp_path / "Tile3")
    for path in tile.iterdir():
        if not path.name.startswith("S1A"):
            path.unlink()
    assert read_tile(tile, RADAR).shape == (20, 20, 8)
    text = refusal(tile)
    assert "viirs: 0 dates instead of 9" in text and "sentinel1" not in text


def test_everything_wrong_with_the_files_is_told_at_once(tmp_path: Path) -> None:
    tile = make_esd_tile(tmp_path / "Tile7")
    (tile / "L2A_20200816_B8A.tif").unlink()
    (tile / "DNB_VNP46A1_A2020225.tif").unlink()
    write_tif(tile / "L2A_20200816_B10.tif", np.ones((20, 20), np.uint16))
    write_tif(tile / "S1B_IW_GRDH_20200804_VV.tif", np.ones((20, 20), np.float32))
    write_tif(tile / "notes.tif", np.ones((20, 20), np.uint8))
    (tile / "._L2A_20200816_B01.tif").write_text("left by macOS")
    text = refusal(tile)
    for part in (
        "sentinel2 of 20200816: band B8A is missing",
        "viirs: 8 dates (2020221, ",
        "L2A_20200816_B10.tif: tells no satellite",
        "S1B_IW_GRDH_20200804_VV.tif: is the same date and band as S1A_IW_GRDH_20200804_VV.tif",
        "notes.tif: tells no satellite",
    ):
        assert part in text
    assert "macOS" not in text and "._" not in text


def test_files_of_another_size_several_bands_or_none_are_listed(tmp_path: Path) -> None:
    tile = make_esd_tile(tmp_path / "Tile7")
    write_tif(tile / "S1A_IW_GRDH_20200804_VV.tif", np.ones((20, 19), np.float32))
    write_tif(tile / "S1A_IW_GRDH_20200816_VV.tif", np.ones((2, 20, 20), np.float32))
    (tile / "S1A_IW_GRDH_20200828_VV.tif").write_bytes(b"II*")
    text = refusal(tile, RADAR)
    assert "20200804_VV.tif: 20 x 19 pixels instead of 20 x 20" in text
    assert "20200816_VV.tif: 2 bands instead of 1" in text
    assert "20200828_VV.tif: cannot be read" in text


def test_a_folder_that_is_no_tile_is_told(tmp_path: Path) -> None:
    (tmp_path / "Tile1").mkdir()
    with pytest.raises(DataError, match="holds no image"):
        tile_grid(tmp_path / "Tile1")
    with pytest.raises(DataError, match="no such tile"):
        read_tile(tmp_path / "Tile2", ALL)


@pytest.mark.parametrize(
    "preprocess",
    [satellites.viirs, satellites.sentinel1, satellites.sentinel2, satellites.landsat],
)
def test_no_value_of_the_instrument_gives_what_is_no_number(preprocess: object) -> None:
    random = np.random.default_rng(3)
    hard = random.normal(0, 100, (3, 12, 12)).astype(np.float32)
    hard[0, 0], hard[1, 1], hard[2, 2], hard[0, 5] = np.nan, np.inf, -np.inf, 0
    cases = {
        "hard": hard,
        "zeros": np.zeros((3, 12, 12), np.float32),
        "constant": np.full((3, 12, 12), 7, np.uint16),
        "negative": np.full((3, 12, 12), -7, np.float32),
        "all unknown": np.full((3, 12, 12), np.nan, np.float32),
        "largest": np.array([0, 3e38, 1e38] * 144, np.float32).reshape(3, 12, 12),
    }
    for name, values in cases.items():
        valid = np.isfinite(values)
        result = preprocess(values, valid)  # type: ignore[operator]
        assert np.isfinite(result).all(), name
        assert result.min() >= 0 and result.max() <= 1, name
        assert (result[~valid] == 0).all(), name
        if name in ("zeros", "constant", "negative", "all unknown"):
            assert not result.any(), name
    maximum = satellites.viirs_maximum(hard, np.isfinite(hard))
    assert maximum.shape == (12, 12) and np.isfinite(maximum).all()


def test_an_edge_of_zeros_does_not_change_what_the_radar_saw() -> None:
    random = np.random.default_rng(4)
    seen = random.gamma(4, 0.02, (1, 60, 60)).astype(np.float32)
    edged = seen.copy()
    edged[0, :, :6] = 0
    valid = np.ones(seen.shape, bool)
    whole, cut = (satellites.sentinel1(one, valid)[0, :, 12:] for one in (seen, edged))
    assert np.corrcoef(whole.ravel(), cut.ravel())[0, 1] > 0.999
    # A logarithm of a tiny number in place of zero would press all others together near 1.
    assert cut.std() > 0.5 * whole.std()
    assert satellites.sentinel1(edged, valid)[0, :, :2].max() == 0


def test_a_pixel_unknown_at_one_date_is_known_at_the_others() -> None:
    values = np.arange(3 * 16, dtype=np.float32).reshape(3, 4, 4)
    values[1, 2, 2] = np.nan
    result = satellites.landsat(values, np.isfinite(values))
    assert result[1, 2, 2] == 0 and result[2, 2, 2] > 0.5
    maximum = satellites.viirs_maximum(values, np.isfinite(values))
    assert maximum[2, 2] > 0


def test_a_tile_shows_its_true_colours() -> None:
    names = channel_names(ALL)
    shown = [names[index] for index in display_channels(names)]
    assert shown == ["sentinel2_1_B04", "sentinel2_1_B03", "sentinel2_1_B02"]
    for params, wanted in (
        (EsdParams(sentinel2=["B08"]), ["landsat_1_B4", "landsat_1_B3", "landsat_1_B2"]),
        (RADAR, ["sentinel1_1_VV", "sentinel1_1_VH", "sentinel1_1_VV"]),
        (
            EsdParams(
                viirs=False, viirs_maximum=False, sentinel1=[], sentinel2=["B08"], landsat=[]
            ),
            ["sentinel2_1_B08", "sentinel2_2_B08", "sentinel2_3_B08"],
        ),
        (
            EsdParams(viirs=False, sentinel1=[], sentinel2=[], landsat=[]),
            ["viirs_maximum"] * 3,
        ),
    ):
        names = channel_names(params)
        assert [names[index] for index in display_channels(names)] == wanted
    assert display_channels(["a", "b"]) == (0, 1, 1)
