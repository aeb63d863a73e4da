"""Grids of rasters, and how truth lies on its image."""

import dataclasses
import os
import sys
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import numpy as np
import pytest
import rasterio

from segpipe.raw.rasters.gdal import opened, require_rasterio
from segpipe.raw.rasters.grid import Grid, read_grid, truth_ratio
from segpipe.runtime.errors import DataError, ParameterError
from tests.raw.rasters.geotiffs import METRES, UTM, coarser, write_tif

IMAGE = Grid(800, 400, 3, "uint16", tuple(METRES)[:6], rasterio.crs.CRS.from_string(UTM).to_wkt())
TRUTH = dataclasses.replace(
    IMAGE, height=16, width=8, bands=1, dtype="uint8", transform=tuple(coarser(50))[:6]
)


def refusal(truth: Grid, image: Grid = IMAGE) -> str:
    with pytest.raises(DataError) as caught:
        truth_ratio(image, truth, "images/a.tif", "masks/a.tif")
    text = str(caught.value)
    assert "images/a.tif" in text and "masks/a.tif" in text
    return text


def shifted(columns: float, ratio: int = 50) -> Grid:
    moved = (10.0 * ratio, 0.0, METRES.c + 10 * columns, 0.0, -10.0 * ratio, METRES.f)
    return dataclasses.replace(TRUTH, transform=moved)


def test_a_header_is_read_as_rasterio_tells_it(tmp_path: Path) -> None:
    path = write_tif(tmp_path / "a.tif", np.ones((3, 20, 30), np.int16), nodata=-9)
    grid = read_grid(path)
    assert (grid.height, grid.width, grid.bands, grid.dtype) == (20, 30, 3, "int16")
    assert grid.nodata == -9 and grid.transform == tuple(METRES)[:6]
    assert grid.crs is not None and rasterio.crs.CRS.from_wkt(grid.crs).to_epsg() == 32736


def test_a_raster_without_georeference_is_welcome_and_silent(tmp_path: Path) -> None:
    grid = read_grid(write_tif(tmp_path / "a.tif", np.ones((4, 4), np.uint8), None, None))
    assert not grid.placed and grid.crs is None and grid.nodata is None


def test_the_ratio_of_the_published_tiles_and_of_one_grid() -> None:
    assert truth_ratio(IMAGE, TRUTH, "i", "t") == 50
    assert truth_ratio(IMAGE, IMAGE, "i", "t") == 1


@pytest.mark.parametrize(("height", "width"), [(15, 8), (16, 16), (17, 8), (1600, 800)])
def test_a_ratio_that_is_no_whole_number_is_refused_with_the_sizes(height: int, width: int) -> None:
    text = refusal(dataclasses.replace(TRUTH, height=height, width=width))
    assert f"{height} x {width}" in text and "800 x 400" in text


def test_half_a_pixel_off_is_let_pass_and_more_is_not() -> None:
    assert truth_ratio(IMAGE, shifted(0.49), "i", "t") == 50
    assert "0.6 image pixels off" in refusal(shifted(0.6))


def test_another_pixel_size_is_refused_though_the_origin_is_the_same() -> None:
    assert "image pixels off" in refusal(shifted(0, ratio=49))


def test_another_coordinate_system_is_refused() -> None:
    other = rasterio.crs.CRS.from_epsg(32737).to_wkt()
    assert "coordinate reference systems differ" in refusal(dataclasses.replace(TRUTH, crs=other))


def test_the_same_coordinate_system_in_other_words_is_the_same() -> None:
    words = rasterio.crs.CRS.from_epsg(32736).to_wkt(version="WKT1_GDAL")
    newer = rasterio.crs.CRS.from_epsg(32736).to_wkt(version="WKT2_2018")
    assert words != newer
    image = dataclasses.replace(IMAGE, crs=words)
    assert truth_ratio(image, dataclasses.replace(TRUTH, crs=newer), "i", "t") == 50


def test_a_file_without_georeference_is_compared_by_shape_alone() -> None:
    bare = Grid(16, 8, 1, "uint8")
    assert truth_ratio(IMAGE, bare, "i", "t") == 50
    assert truth_ratio(Grid(800, 400, 3, "uint16"), TRUTH, "i", "t") == 50


def test_missing_foreign_and_cut_off_files_are_told_by_name(tmp_path: Path) -> None:
    whole = write_tif(tmp_path / "whole.tif", np.ones((50, 50), np.uint8))
    (tmp_path / "cut.tif").write_bytes(whole.read_bytes()[:60])
    (tmp_path / "text.tif").write_text("no raster at all")
    (tmp_path / "empty.tif").touch()
    for name in ("cut.tif", "text.tif", "empty.tif"):
        with pytest.raises(DataError, match=f"{name}: cannot be read as a GeoTIFF"):
            read_grid(tmp_path / name)
    with pytest.raises(DataError, match="there is no such file"):
        read_grid(tmp_path / "none.tif")


def test_a_virtual_raster_in_disguise_is_not_followed(tmp_path: Path) -> None:
    secret = write_tif(tmp_path / "elsewhere.tif", np.ones((5, 5), np.uint8))
    (tmp_path / "a.tif").write_text(
        '<VRTDataset rasterXSize="5" rasterYSize="5"><VRTRasterBand dataType="Byte" band="1">'
        f"<SimpleSource><SourceFilename>{secret}</SourceFilename></SimpleSource>"
        "</VRTRasterBand></VRTDataset>"
    )
    with pytest.raises(DataError, match=r"a\.tif: cannot be read as a GeoTIFF"):
        read_grid(tmp_path / "a.tif")


def test_without_rasterio_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "rasterio", None)
    with pytest.raises(ParameterError, match=r"pip install 'segpipe\[geo\]'"):
        require_rasterio()


def test_a_coarser_grid_has_the_same_extent() -> None:
    assert IMAGE.coarser(50).transform == TRUTH.transform
    with pytest.raises(ValueError, match="do not divide by 3"):
        IMAGE.coarser(3)


VRT = (
    '<VRTDataset rasterXSize="{side}" rasterYSize="{side}">'
    '<Metadata><MDI key="INTERNAL_MASK_FLAGS_1">2</MDI></Metadata>'
    '<VRTRasterBand dataType="Byte" band="1">'
    "<SimpleSource><SourceFilename>{secret}</SourceFilename></SimpleSource>"
    "</VRTRasterBand></VRTDataset>"
)


@pytest.mark.parametrize("suffix", [".msk", ".ovr"])
def test_a_virtual_raster_beside_a_raster_is_not_followed(suffix: str, tmp_path: Path) -> None:
    path = write_tif(tmp_path / "a.tif", np.ones((8, 8), np.uint8))
    secret = write_tif(tmp_path / "secret.tif", np.zeros((8, 8), np.uint8))
    (tmp_path / f"a.tif{suffix}").write_text(VRT.format(side=8, secret=secret))
    with pytest.raises(DataError, match=rf"a\.tif{suffix}: is not a TIFF"):
        read_grid(path)


@pytest.mark.parametrize("where", ["tag", "aux.xml"])
def test_overviews_that_the_metadata_name_are_not_followed(where: str, tmp_path: Path) -> None:
    path = write_tif(tmp_path / "a.tif", np.ones((8, 8), np.uint8))
    secret = write_tif(tmp_path / "secret.tif", np.zeros((8, 8), np.uint8))
    virtual = tmp_path / "o.vrt"
    virtual.write_text(VRT.format(side=4, secret=secret))
    if where == "tag":
        with rasterio.open(path, "r+") as file:
            file.update_tags(ns="OVERVIEWS", OVERVIEW_FILE=str(virtual))
    else:
        (tmp_path / "a.tif.aux.xml").write_text(
            '<PAMDataset><Metadata domain="OVERVIEWS">'
            f'<MDI key="OVERVIEW_FILE">{virtual}</MDI></Metadata></PAMDataset>'
        )
    with rasterio.open(path) as file:
        assert file.read(1, out_shape=(4, 4)).max() == 0, "GDAL itself follows them"
    with pytest.raises(DataError, match=r"a\.tif: takes its overviews from another file"):
        read_grid(path)


def test_a_mask_and_overviews_that_are_tiffs_are_used(tmp_path: Path) -> None:
    path = write_tif(tmp_path / "a.tif", np.ones((64, 64), np.uint8))
    with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=False, TIFF_USE_OVR=True):
        with rasterio.open(path, "r+") as file:
            file.write_mask(np.kron([[0, 255]], np.ones((64, 32))).astype(np.uint8))
        with rasterio.open(path, "r+") as file:
            file.build_overviews([2])
    assert {"a.tif.msk", "a.tif.ovr"} <= {item.name for item in tmp_path.iterdir()}
    with opened(path) as dataset:
        assert dataset.overviews(1) == [2]
        assert dataset.read_masks(1)[0, [0, 63]].tolist() == [0, 255]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
@pytest.mark.parametrize("name", ["a.tif", "a.tif.msk", "a.tif.aux.xml"])
def test_a_named_pipe_is_refused_and_not_waited_for(name: str, tmp_path: Path) -> None:
    if name != "a.tif":
        write_tif(tmp_path / "a.tif", np.ones((4, 4), np.uint8))
    os.mkfifo(tmp_path / name)
    with pytest.raises(DataError, match=f"{name}: is not a regular file"):
        read_grid(tmp_path / "a.tif")


def test_no_raster_is_read_over_the_network(tmp_path: Path) -> None:
    asked = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_error(404)

        do_HEAD = do_GET

        def log_message(self, format: str, *arguments: object) -> None:
            """Say nothing."""

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        address = f"/vsicurl/http://127.0.0.1:{server.server_port}"
        with pytest.raises(rasterio.errors.RasterioIOError):
            rasterio.open(f"{address}/open.tif")
        assert asked
        asked.clear()
        with opened(write_tif(tmp_path / "a.tif", np.ones((4, 4), np.uint8))):
            for name in ("shut.tif", "shut"):
                with pytest.raises(rasterio.errors.RasterioIOError):
                    rasterio.open(f"{address}/{name}")
        server.shutdown()
    assert not asked
