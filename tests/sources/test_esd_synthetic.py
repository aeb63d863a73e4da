"""The synthetic ESD tiles: names, kinds, sameness, and that they can be learnt."""

from pathlib import Path

import numpy as np
import pytest
import rasterio
from sklearn.metrics import roc_auc_score

from segpipe.params.prepare import EsdParams, SplitParams
from segpipe.params.source import SyntheticEsdParams
from segpipe.raw.esd.files import SATELLITES, raster_files
from segpipe.raw.esd.tile import read_tile
from segpipe.raw.rasters.grid import read_grid, truth_ratio
from segpipe.runtime.errors import ParameterError
from segpipe.sources.esd_tiles import list_samples
from segpipe.sources.synthetic_esd import generate
from segpipe.sources.synthetic_esd.generate import write_tiles
from segpipe.sources.synthetic_esd.land import read_land
from segpipe.sources.synthetic_esd.sensors import coarse
from segpipe.sources.synthetic_esd.terrain import compose, smooth
from tests.forge import ROOT

LAND = ROOT / "data/synthetic_esd.yaml"


@pytest.fixture(scope="module")
def tiles(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tiles")
    write_tiles(SyntheticEsdParams(tiles=3, truth=2, seed=5), LAND, folder)
    return folder


def test_a_tile_has_the_files_of_the_published_ones(tiles: Path) -> None:
    assert sorted(path.name for path in tiles.iterdir()) == ["Tile1", "Tile2", "Tile3"]
    for tile in tiles.iterdir():
        files = raster_files(tile)
        assert len(files) == 98 and len(list(tile.iterdir())) == 99
        for satellite in SATELLITES:
            own = [path for path in files if satellite.pattern.fullmatch(path.name)]
            assert len(own) == satellite.dates * len(satellite.bands)
            assert {read_grid(path).dtype for path in own} == {satellite.dtype}
        image, truth = read_grid(files[0]), read_grid(tile / "groundTruth.tif")
        assert (image.height, image.width, truth.height) == (100, 100, 2)
        assert image.crs and truth_ratio(image, truth, "image", "truth") == 50


def test_tiles_go_through_listing_and_reading(tiles: Path) -> None:
    listing = list_samples(tiles, SplitParams(by="ratio", val=0.3), 50, 50)
    assert not listing.findings and listing.truth_ratio == 50
    assert len(listing.samples["train"]) == 8 and len(listing.samples["val"]) == 4
    image = read_tile(tiles / "Tile2", EsdParams())
    assert image.shape == (100, 100, 99) and np.isfinite(image).all()
    assert (image.reshape(-1, 99).std(0) > 0.01).all()


def test_tiles_lie_side_by_side(tiles: Path) -> None:
    first, second = (read_grid(tiles / f"Tile{n}/groundTruth.tif") for n in (1, 2))
    assert second.transform[2] - first.transform[2] == 1000
    assert second.transform[5] == first.transform[5]


def test_the_same_arguments_give_the_same_bytes_in_any_number_of_processes(
    tiles: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(generate, "_WORTH_A_PROCESS", 1)
    monkeypatch.setattr("os.cpu_count", lambda: 2)
    write_tiles(SyntheticEsdParams(tiles=2, truth=2, seed=5), LAND, tmp_path)
    for path in sorted(tmp_path.rglob("*.tif")):
        assert path.read_bytes() == (tiles / path.relative_to(tmp_path)).read_bytes(), path


def test_another_seed_gives_other_tiles_and_tiles_differ(tiles: Path, tmp_path: Path) -> None:
    write_tiles(SyntheticEsdParams(tiles=2, truth=2, seed=6), LAND, tmp_path)
    name = "L2A_20200816_B04.tif"
    contents = [(folder / "Tile1" / name).read_bytes() for folder in (tiles, tmp_path)]
    assert contents[0] != contents[1]
    assert contents[0] != (tiles / "Tile2" / name).read_bytes()


def test_all_four_classes_come_in_the_shares_of_the_land() -> None:
    land = read_land(LAND)
    raw = np.concatenate([compose(land, 1, tile, 4).truth_tt.ravel() for tile in range(60)])
    assert set(raw.tolist()) == {1, 2, 3, 4}
    settled = np.isin(raw, (1, 3))
    assert abs(settled.mean() - land.shares.settled) < 0.08
    assert abs((raw[settled] == 3).mean() - land.shares.lit_if_settled) < 0.1
    assert abs((raw[~settled] == 4).mean() - land.shares.lit_if_empty) < 0.1


def test_classes_show_in_the_bands_but_not_without_doubt(tmp_path: Path) -> None:
    write_tiles(SyntheticEsdParams(tiles=5, truth=3), LAND, tmp_path)
    truth, night, radar = [], [], []
    for tile in sorted(tmp_path.iterdir()):
        truth.append(pixels(tile / "groundTruth.tif").ravel())
        night.append(cells(pixels(tile / "DNB_VNP46A1_A2020223.tif")).mean((1, 3)).ravel())
        bright = cells(pixels(tile / "S1A_IW_GRDH_20200816_VV.tif") > 0.3)
        radar.append(bright.mean((1, 3)).ravel())
    lit, settled = np.isin(truth, (3, 4)).ravel(), np.isin(truth, (1, 3)).ravel()
    # One look of one instrument tells much of one question, not all, and little of the other.
    assert 0.8 < roc_auc_score(lit, np.ravel(night)) < 0.999
    assert 0.85 < roc_auc_score(settled, np.ravel(radar)) <= 1
    assert roc_auc_score(lit, np.ravel(radar)) < 0.8
    assert roc_auc_score(settled, np.ravel(night)) < 0.8


def pixels(path: Path) -> np.ndarray:
    with rasterio.open(path) as file:
        return file.read(1)


def cells(values: np.ndarray) -> np.ndarray:
    return values.reshape(3, 50, 3, 50)


def test_smooth_fields_have_unit_variance_and_change_slowly() -> None:
    fields = np.stack([smooth(np.random.default_rng(seed), 40, 8) for seed in range(400)])
    assert abs(fields.mean()) < 0.1
    np.testing.assert_allclose(fields.std(0), 1, atol=0.2)
    assert np.abs(np.diff(fields, axis=1)).mean() < 0.3


def test_a_coarser_instrument_shows_means_of_squares() -> None:
    values = np.random.default_rng(0).random((10, 7))
    wanted = np.empty_like(values)
    for y in range(10):
        for x in range(7):
            top, left = y // 3 * 3, x // 3 * 3
            wanted[y, x] = values[top : top + 3, left : left + 3].mean()
    np.testing.assert_allclose(coarse(values, 3), wanted)


def test_a_faulty_description_is_refused_with_all_its_faults(tmp_path: Path) -> None:
    text = LAND.read_text()
    path = tmp_path / "land.yaml"
    path.write_text(
        text.replace("settled: 0.45 ", "settled: 1.5 ")
        .replace("  looks: 4.0", "  loks: 4.0")
        .replace("  cover: 0.3 ", "  cover: thick ")
    )
    with pytest.raises(ParameterError) as caught:
        read_land(path)
    message = str(caught.value)
    assert "shares.settled is 1.5; it must be less than 1" in message
    assert "sensors.looks is missing" in message
    assert "sensors.loks is not a key of this file; sensors has: noise, looks, border" in message
    assert "weather.cover is 'thick'; it must be number" in message
    path.write_text("- a list")
    with pytest.raises(ParameterError, match="must hold the sections shares, buildings"):
        read_land(path)
    with pytest.raises(ParameterError, match=r"usually data/synthetic_esd\.yaml"):
        write_tiles(SyntheticEsdParams(), tmp_path / "none.yaml", tmp_path)


def test_a_land_without_weather_or_faults_can_be_drawn(tmp_path: Path) -> None:
    path = tmp_path / "land.yaml"
    text = LAND.read_text()
    for key in ("cloudy", "cover", "season", "noise", "border", "empty", "variation"):
        text = "\n".join(
            f"  {key}: 0.0" if line.strip().startswith(f"{key}:") else line
            for line in text.splitlines()
        )
    path.write_text(text)
    write_tiles(SyntheticEsdParams(tiles=2, truth=1), path, tmp_path / "raw")
    assert len(list((tmp_path / "raw/Tile2").iterdir())) == 99
