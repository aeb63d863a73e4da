"""ESD tiles as a source."""

from pathlib import Path

import numpy as np
import pytest
import rasterio

from segpipe.params.prepare import SplitParams
from segpipe.raw.rasters.read import read_truth
from segpipe.raw.sample import SPLITS, Window
from segpipe.runtime.errors import DataError, ParameterError
from segpipe.sources.esd.fetch import fetch
from segpipe.sources.esd_tiles import list_samples
from tests.raw.rasters.geotiffs import coarser, write_tif

RATIO_SPLIT = SplitParams(by="ratio", val=0.25)
LISTS = SplitParams(by="lists")


def make_tiles(root: Path, count: int, truth: int = 4) -> Path:
    """Tiles with one image each: what the listing looks at."""
    for number in range(1, count + 1):
        tile = root / f"Tile{number}"
        random = np.random.default_rng(number)
        write_tif(tile / "DNB_VNP46A1_A2020221.tif", np.ones((10 * truth, 10 * truth), np.uint16))
        labels = random.integers(1, 5, (truth, truth)).astype(np.uint8)
        write_tif(tile / "groundTruth.tif", labels, transform=coarser(10))
    return root


def kinds(root: Path, split: SplitParams = RATIO_SPLIT) -> dict[str, str]:
    return {str(one.kind): str(one) for one in list_samples(root, split, 20, 20).findings}


def test_tiles_are_cut_and_split_as_wholes(tmp_path: Path) -> None:
    listing = list_samples(make_tiles(tmp_path, 12), RATIO_SPLIT, 20, 20)
    assert not listing.findings and listing.truth_ratio == 10
    assert [len(listing.samples[part]) for part in SPLITS] == [36, 12, 0]
    tiles = [{sample.group for sample in listing.samples[part]} for part in SPLITS]
    assert not tiles[0] & tiles[1] and len(tiles[0] | tiles[1]) == 12
    first = next(one for one in listing.samples["train"] if one.name.endswith("r1_c0"))
    assert first.name == f"{first.group}/r1_c0" and first.image == first.group
    assert first.mask == f"{first.group}/groundTruth.tif"
    assert first.window == Window(20, 0, 20, 20)
    again = list_samples(tmp_path, RATIO_SPLIT, 20, 20)
    assert again == listing


def test_tile10_comes_after_tile2(tmp_path: Path) -> None:
    samples = list_samples(make_tiles(tmp_path, 12), RATIO_SPLIT, 40, 40).samples["train"]
    numbers = [int(sample.group.removeprefix("Tile")) for sample in samples]
    assert numbers == sorted(numbers)


def test_subtiles_read_in_any_order_stitch_to_the_truth(tmp_path: Path) -> None:
    listing = list_samples(make_tiles(tmp_path, 4), RATIO_SPLIT, 10, 20)
    samples = [one for part in SPLITS for one in listing.samples[part] if one.group == "Tile3"]
    np.random.default_rng(1).shuffle(samples)  # type: ignore[arg-type]
    whole_hw = np.full((4, 4), 99)
    for sample in samples:
        assert sample.window and sample.mask
        truth_hw = read_truth(tmp_path / sample.mask, sample.window, 10).raw_hw
        whole_hw[sample.window.rows(10), sample.window.columns(10)] = truth_hw
    with rasterio.open(tmp_path / "Tile3/groundTruth.tif") as file:
        np.testing.assert_array_equal(whole_hw, file.read(1))


@pytest.mark.parametrize(("height", "width"), [(30, 20), (25, 40), (80, 40)])
def test_sizes_that_cut_no_tile_are_refused_with_those_that_do(
    tmp_path: Path, height: int, width: int
) -> None:
    with pytest.raises(ParameterError, match=rf"prepare.height is {height}.* 10, 20, 40"):
        list_samples(make_tiles(tmp_path, 2), RATIO_SPLIT, height, width)


def test_lists_name_tiles_and_test_needs_no_truth(tmp_path: Path) -> None:
    make_tiles(tmp_path, 5)
    (tmp_path / "Tile4/groundTruth.tif").unlink()
    (tmp_path / "train.txt").write_text("# two\nTile1\nTile2\n")
    (tmp_path / "val.txt").write_text("Tile3\n")
    (tmp_path / "test.txt").write_text("Tile4\n")
    listing = list_samples(tmp_path, LISTS, 40, 40)
    assert [sample.name for sample in listing.samples["test"]] == ["Tile4/r0_c0"]
    assert listing.samples["test"][0].mask is None
    assert [sample.group for sample in listing.samples["train"]] == ["Tile1", "Tile2"]
    assert [finding.kind for finding in listing.findings] == ["unlisted"]
    assert "Tile5" in str(listing.findings[0])


def test_a_tile_without_truth_elsewhere_is_an_error_and_left_out(tmp_path: Path) -> None:
    make_tiles(tmp_path, 3)
    (tmp_path / "Tile2/groundTruth.tif").unlink()
    found = kinds(tmp_path)
    assert "Tile2" in found["no_truth"] and "groundTruth.tif" in found["no_truth"]
    listing = list_samples(tmp_path, RATIO_SPLIT, 20, 20)
    assert all(one.group != "Tile2" for part in SPLITS for one in listing.samples[part])


def test_faults_of_lists_are_told_together(tmp_path: Path) -> None:
    make_tiles(tmp_path, 3)
    (tmp_path / "train.txt").write_text("Tile1\nTile2\nTile9\n")
    (tmp_path / "val.txt").write_text("Tile2\n")
    text = kinds(tmp_path, LISTS)["lists"]
    assert "Tile9 is not among the tiles" in text
    assert "val.txt: Tile2 is in train.txt too" in text
    (tmp_path / "val.txt").unlink()
    assert "val.txt: there is no such file" in kinds(tmp_path, LISTS)["lists"]


def test_tiles_that_are_damaged_do_not_hide_the_rest(tmp_path: Path) -> None:
    make_tiles(tmp_path, 6)
    (tmp_path / "Tile1/DNB_VNP46A1_A2020221.tif").write_text("x")
    (tmp_path / "Tile2/DNB_VNP46A1_A2020221.tif").unlink()
    write_tif(
        tmp_path / "Tile3/groundTruth.tif", np.ones((4, 4), np.float32), transform=coarser(10)
    )
    write_tif(tmp_path / "Tile4/groundTruth.tif", np.ones((3, 3), np.uint8), transform=coarser(10))
    found = kinds(tmp_path)
    assert "2 tiles cannot be read" in found["unreadable"] and "Tile2" in found["unreadable"]
    assert "float32" in found["truth"] and "Tile4/groundTruth.tif: has 3 x 3" in found["truth"]
    listing = list_samples(tmp_path, RATIO_SPLIT, 20, 20)
    assert {one.group for part in SPLITS for one in listing.samples[part]} == {"Tile5", "Tile6"}


def test_a_truth_of_another_resolution_or_place_is_told(tmp_path: Path) -> None:
    make_tiles(tmp_path, 4)
    write_tif(tmp_path / "Tile1/groundTruth.tif", np.ones((2, 2), np.uint8), transform=coarser(20))
    write_tif(tmp_path / "Tile2/groundTruth.tif", np.ones((4, 4), np.uint8), transform=coarser(12))
    listing = list_samples(tmp_path, RATIO_SPLIT, 20, 20)
    told = {finding.kind: finding for finding in listing.findings}
    assert told["truth"].severity == "error" and "Tile1: 20 image pixels" in str(told["truth"])
    assert told["georeference"].severity == "warning" and "Tile2" in str(told["georeference"])
    assert listing.truth_ratio == 10


def test_no_truth_no_tile_no_folder(tmp_path: Path) -> None:
    make_tiles(tmp_path / "a", 1)
    (tmp_path / "a/Tile1/groundTruth.tif").unlink()
    with pytest.raises(DataError, match=r"no tile has a groundTruth\.tif"):
        list_samples(tmp_path / "a", RATIO_SPLIT, 20, 20)
    (tmp_path / "b").mkdir()
    with pytest.raises(DataError, match="holds no folder Tile1"):
        list_samples(tmp_path / "b", RATIO_SPLIT, 20, 20)
    with pytest.raises(DataError, match="there is no such folder"):
        list_samples(tmp_path / "c", RATIO_SPLIT, 20, 20)
    with pytest.raises(ParameterError, match=r"prepare\.split\.by to ratio or lists"):
        list_samples(tmp_path / "a", SplitParams(by="folder"), 20, 20)


def test_fetching_brings_tiles_from_below_and_their_geotiffs_alone(tmp_path: Path) -> None:
    source, raw = tmp_path / "own", tmp_path / "raw"
    raw.mkdir()
    make_tiles(source / "dfc2021/Train", 3)
    make_tiles(tmp_path / "more", 1)
    (tmp_path / "more/Tile1").rename(source / "Tile12")
    (source / "dfc2021/Train/Tile1/readme.txt").write_text("no raster")
    (source / "dfc2021/Train/Tile2/groundTruth.tif").unlink()
    (source / "train.txt").write_text("Tile1\n")
    before = sorted((path, path.stat().st_mtime_ns) for path in source.rglob("*"))
    fetch(source, raw)
    assert sorted((path, path.stat().st_mtime_ns) for path in source.rglob("*")) == before
    names = sorted(path.relative_to(raw).as_posix() for path in raw.rglob("*") if path.is_file())
    assert names == [
        "Tile1/DNB_VNP46A1_A2020221.tif",
        "Tile1/groundTruth.tif",
        "Tile12/DNB_VNP46A1_A2020221.tif",
        "Tile12/groundTruth.tif",
        "Tile2/DNB_VNP46A1_A2020221.tif",
        "Tile3/DNB_VNP46A1_A2020221.tif",
        "Tile3/groundTruth.tif",
        "train.txt",
    ]
    copied = raw / "Tile12/groundTruth.tif"
    assert copied.read_bytes() == (source / "Tile12/groundTruth.tif").read_bytes()
    assert not copied.samefile(source / "Tile12/groundTruth.tif")


def test_two_tiles_of_one_name_and_nested_folders_are_refused(tmp_path: Path) -> None:
    make_tiles(tmp_path / "own/a", 1)
    make_tiles(tmp_path / "own/b", 1)
    (tmp_path / "raw").mkdir()
    with pytest.raises(DataError, match=r"(?s)2 tiles have the name.*a/Tile1.*b/Tile1"):
        fetch(tmp_path / "own", tmp_path / "raw")
    with pytest.raises(DataError, match="overlaps"):
        fetch(tmp_path / "own/a", tmp_path / "own/a/raw")


def test_the_listing_of_the_source_itself_finds_what_fetch_would_bring(tmp_path: Path) -> None:
    make_tiles(tmp_path / "own/deep/er", 4)
    (tmp_path / "raw").mkdir()
    fetch(tmp_path / "own", tmp_path / "raw")
    there = list_samples(tmp_path / "own", RATIO_SPLIT, 20, 20)
    here = list_samples(tmp_path / "raw", RATIO_SPLIT, 20, 20)
    for part in SPLITS:
        assert [one.name for one in there.samples[part]] == [one.name for one in here.samples[part]]
    assert there.samples["train"][0].image.startswith("deep/er/Tile")
