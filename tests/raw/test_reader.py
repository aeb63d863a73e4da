"""The shape that all readers have: what they find, cut, resize and draw (raw/*/reader.py)."""

from pathlib import Path

import numpy as np
import pytest
import rasterio

from segpipe.labels.load import built_in_scheme, load_scheme
from segpipe.labels.scheme import VOID
from segpipe.params.prepare import PrepareParams
from segpipe.raw.build import build_reader
from segpipe.raw.input_spec import PICTURES, FileSpec, Scaling
from segpipe.raw.sample import Sample, Window
from segpipe.runtime.errors import DataError
from tests.forge import save
from tests.raw.rasters.geotiffs import make_esd_tile, write_tif
from tests.raw.test_build import RASTERS, TILES

ONE_BAND = FileSpec("raster", ("band 1",), (0, 0, 0), scaling=Scaling((1,), (0.0,), (1.0,)))
CANVAS = PrepareParams(height=16, width=24, fit="pad")


def test_pictures_are_seen_whole_and_resized() -> None:
    reader = build_reader(PICTURES)
    assert reader.parts(90, 70, CANVAS) == [Window(0, 0, 90, 70)]
    assert reader.network_size(32, 32, CANVAS) == (16, 16)
    samples = [Sample(str(n), "g", f"{n}.png", None) for n in range(4)]
    assert reader.drawn(samples, Path(), 3) == samples[:3]
    assert reader.grid(Path("a.png")) is None


def test_a_picture_covers_a_part_of_its_canvas(tmp_path: Path) -> None:
    save(tmp_path / "a.png", np.full((32, 32, 3), 9, np.uint8))
    sample = Sample("a", "a", "a.png", None)
    scheme = built_in_scheme("land_cover4")
    seen = build_reader(PICTURES).read_onto_canvas(sample, tmp_path, scheme, CANVAS)
    assert seen.frames_THWC is not None
    covered_HW = np.zeros((16, 24), bool)
    covered_HW[seen.area] = True
    assert seen.area == (slice(0, 16), slice(4, 20))
    np.testing.assert_array_equal(seen.frames_THWC[0].any(2), covered_HW)


def test_rasters_are_cut_and_never_resized(tmp_path: Path) -> None:
    reader = build_reader(RASTERS)
    assert reader.parts(9, 30, CANVAS) == [Window(0, 0, 9, 24), Window(0, 6, 9, 24, 0, 18)]
    assert reader.network_size(9, 30, CANVAS) == (9, 30)
    with pytest.raises(DataError, match="has 60 x 50 pixels, which do not divide by 50"):
        build_reader(TILES).parts(60, 50, CANVAS)
    samples = [Sample(f"{name}{n}", "g", name, None) for n in range(2) for name in "abc"]
    assert [one.name for one in reader.drawn(samples, tmp_path, 2)] == ["a0", "b0"]


def test_tiles_are_drawn_whole(tmp_path: Path) -> None:
    reader = build_reader(TILES)
    make_esd_tile(tmp_path / "Tile2", truth=2, ratio=50)
    part = Sample(
        "Tile2/y0_x0", "Tile2", "Tile2", "Tile2/groundTruth.tif", (), Window(0, 0, 50, 50)
    )
    (whole,) = reader.drawn([part, part], tmp_path, 5)
    assert (whole.name, whole.mask) == ("Tile2", part.mask)
    assert whole.window == Window(0, 0, 100, 100)
    found = reader.read(whole, tmp_path, built_in_scheme("land_cover4"))
    assert found.truth is not None
    assert found.truth.mask_hw.shape == (2, 2)
    image_HWC, valid_HW = reader.read_image(tmp_path / "Tile2", Window(50, 0, 50, 50))
    np.testing.assert_array_equal(image_HWC, found.frames_THWC[0, 50:, :50, :])
    assert valid_HW.all()


def test_only_a_reader_of_streamed_files_leaves_them_on_the_disk(tmp_path: Path) -> None:
    assert [build_reader(files).streamed for files in (PICTURES, RASTERS, TILES)] == [
        False,
        True,
        False,
    ]
    path = write_tif(tmp_path / "a.tif", np.full((20, 30), 0.5, np.float32))
    image_HWC, _ = build_reader(RASTERS).read_image(path, Window(4, 6, 8, 9))
    assert image_HWC.shape == (8, 9, 1)


def test_inputs_are_known_by_their_names(tmp_path: Path) -> None:
    pictures, rasters, tiles = (build_reader(files) for files in (PICTURES, RASTERS, TILES))
    names = ("a.JPG", "a.tif", "a.gif", "notes.txt", "Tile7", "Tile7b")
    assert [pictures.is_input(Path(name)) for name in names] == [True, True, *[False] * 4]
    assert [rasters.is_input(Path(name)) for name in names] == [False, True, *[False] * 4]
    assert [tiles.is_input(Path(name)) for name in names] == [*[False] * 4, True, False]
    write_tif(tmp_path / "mine/a.tif", np.zeros((2, 2), np.float32))
    assert tiles.is_input(tmp_path / "mine", given=True)
    assert not tiles.is_input(tmp_path, given=True)
    assert pictures.left_out(tmp_path / "a.png") is None


@pytest.mark.parametrize("dtype", [np.int16, np.int32])
def test_masks_of_signed_numbers_may_hold_minus_one(
    dtype: type[np.integer], tmp_path: Path
) -> None:
    """TIFF pictures are read by Pillow, rasters by GDAL: both know the same values."""
    values_HW = np.zeros((16, 24), dtype)
    values_HW[:8], values_HW[:, 0], values_HW[15, 23] = 4, -1, -9
    write_tif(tmp_path / "m.tif", values_HW, None, None)
    save(tmp_path / "i.png", np.zeros((16, 24, 3), np.uint8))
    write_tif(tmp_path / "i.tif", np.ones((1, 16, 24), np.uint8))
    scheme = load_scheme("land_cover4", {-1: "void", 0: "void"}, Path("nowhere"))
    expected = {4: 8 * 23, 0: 8 * 23 - 1, -1: 16, -9: 1}
    for files, image in ((PICTURES, "i.png"), (ONE_BAND, "i.tif")):
        sample = Sample("a", "a", image, "m.tif", window=Window(0, 0, 16, 24))
        seen = build_reader(files).read_onto_canvas(sample, tmp_path, scheme, CANVAS)
        assert not seen.unreadable
        assert seen.values == expected
        assert seen.unknown == {-9: 1}
        found = build_reader(files).read(sample, tmp_path, scheme).truth
        assert found is not None
        assert (found.mask_hw[:8, 1:] == 3).all()
        assert (found.mask_hw[:, 0] == VOID).all()


@pytest.mark.parametrize(("tag", "hidden"), [(None, {}), (4, {4: 30}), (0, {}), (200, {})])
def test_a_nodata_tag_that_is_a_class_is_told(
    tag: int | None, hidden: dict[int, int], tmp_path: Path
) -> None:
    values_HW = np.ones((16, 24), np.uint8)
    values_HW[:3, :10], values_HW[4] = 4, 0
    write_tif(tmp_path / "m.tif", values_HW, nodata=tag)
    write_tif(tmp_path / "i.tif", np.ones((1, 16, 24), np.uint8))
    sample = Sample("a", "a", "i.tif", "m.tif", window=Window(0, 0, 16, 24))
    scheme = load_scheme("land_cover4", {0: "void"}, Path("nowhere"))
    seen = build_reader(ONE_BAND).read_onto_canvas(sample, tmp_path, scheme, CANVAS)
    assert (seen.hidden_class, seen.unknown, seen.unreadable) == (hidden, {}, [])


def test_an_unknown_value_is_counted_where_it_stands(tmp_path: Path) -> None:
    values_HW = np.full((16, 24), 200, np.uint8)
    values_HW[0], values_HW[1, :5] = 9, 0
    write_tif(tmp_path / "m.tif", values_HW, nodata=200)
    write_tif(tmp_path / "i.tif", np.ones((1, 16, 24), np.uint8))
    sample = Sample("a", "a", "i.tif", "m.tif", window=Window(0, 0, 16, 24))
    scheme = built_in_scheme("land_cover4")
    seen = build_reader(ONE_BAND).read_onto_canvas(sample, tmp_path, scheme, CANVAS)
    assert seen.unknown == seen.values == {9: 24, 0: 5}


def test_a_class_under_the_mask_of_a_raster_is_no_fault_of_its_tag(tmp_path: Path) -> None:
    values_HW = np.full((16, 24), 4, np.uint8)
    mask = write_tif(tmp_path / "m.tif", values_HW)
    with rasterio.open(mask, "r+") as file:
        file.write_mask(np.zeros((16, 24), np.bool_))
    write_tif(tmp_path / "i.tif", np.ones((1, 16, 24), np.uint8))
    sample = Sample("a", "a", "i.tif", "m.tif", window=Window(0, 0, 16, 24))
    scheme = built_in_scheme("land_cover4")
    seen = build_reader(ONE_BAND).read_onto_canvas(sample, tmp_path, scheme, CANVAS)
    assert seen.hidden_class == {}
    assert seen.train_pixels == {VOID: 16 * 24}
