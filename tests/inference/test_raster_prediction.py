"""Rasters and tiles, window by window: the same labels as in one piece, on the image's own grid."""

import os
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from segpipe.bundle import Bundle, plain_weights, save_bundle
from segpipe.bundle_format import DESCRIPTION
from segpipe.cli.main import main
from segpipe.cli.predict_options import refuse_odd_overlap
from segpipe.inference.files import predict_files, predict_raster
from segpipe.inference.output import Output, read_window
from segpipe.inference.predictor import Predictor
from segpipe.inference.strips import Strip
from segpipe.labels.scheme import LabelScheme, RawLabel
from segpipe.models.build import build_model
from segpipe.models.parts.coarse import Coarse
from segpipe.models.parts.network import Network
from segpipe.params.model import ModelParams, UNetParams
from segpipe.params.prepare import EsdParams, SplitParams
from segpipe.raw.esd.tile import channel_names, display_channels, read_tile
from segpipe.raw.input_spec import PICTURES, FileSpec, InputSpec, Scaling
from segpipe.runtime.errors import DataError, ParameterError
from segpipe.sources.esd_tiles import list_samples
from tests.forge import ROOT, run_python, save, scene
from tests.raw.rasters.geotiffs import METRES, UTM, coarser, make_esd_tile, write_tif
from tests.small_disk import small_disk

DARK, BRIGHT, VOID_ID = 3, 7, 9
SCHEME = LabelScheme(
    "two",
    ("dark", "bright"),
    (
        RawLabel(DARK, "dark", (10, 20, 30), 0),
        RawLabel(BRIGHT, "bright", (200, 210, 220), 1),
        RawLabel(VOID_ID, "void", (0, 0, 0), 255),
    ),
)
BANDS = EsdParams(viirs=False, sentinel1=["VV"], sentinel2=["B04", "B03", "B02"], landsat=[])
UNET = ModelParams(unet=UNetParams(width=4, depth=1))


class Above(Network):
    """Looks at one pixel of the first band alone: bright where it is above a half."""

    def forward(self, image_BCHW: Tensor) -> Tensor:
        above_B1HW = image_BCHW[:, :1] - 0.5
        return torch.cat([-above_B1HW, above_B1HW], 1)


def raster_files(bands: int = 1, ratio: int = 1) -> FileSpec:
    scaling = Scaling(tuple(range(1, bands + 1)), (0.0,) * bands, (1.0,) * bands)
    names = tuple(f"band {band}" for band in scaling.bands)
    return FileSpec("raster", names, (0, 0, 0), ratio, scaling=scaling)


def spec_of(files: FileSpec, height: int, width: int) -> InputSpec:
    channels = len(files.channels)
    return InputSpec(files, height, width, "stretch", 1, [0.0] * channels, [1.0] * channels)


def pixelwise(height: int = 16, width: int = 24, ratio: int = 1, bands: int = 1) -> Predictor:
    network: Network = Coarse(Above(), ratio) if ratio > 1 else Above()
    spec = spec_of(raster_files(bands, ratio), height, width)
    bundle = Bundle(network.eval(), ModelParams(), SCHEME, spec, "fp32", {})
    return Predictor(bundle, torch.device("cpu"))


def values(height: int, width: int, seed: int = 0) -> NDArray[np.float32]:
    # Steps that float16 holds exactly.
    steps = np.random.default_rng(seed).integers(0, 1025, (height, width))
    return (steps / 1024).astype(np.float32)


def read(path: Path) -> NDArray[Any]:
    with rasterio.open(path) as file:
        band: NDArray[Any] = file.read(1)
    return band


@pytest.mark.parametrize("overlap", [None, 0, 1, 2, 5, 8])
@pytest.mark.parametrize("size", [(16, 24), (37, 53), (48, 25)])
def test_windows_give_what_the_whole_raster_gives(
    overlap: int | None, size: tuple[int, int], tmp_path: Path
) -> None:
    band_HW = values(*size)
    band_HW[3:20, 5:9] = -1
    path = write_tif(tmp_path / "a.tif", band_HW, nodata=-1)
    predict_raster(pixelwise(), path, tmp_path / "out.tif", overlap)
    expected = np.where(band_HW < 0, VOID_ID, np.where(band_HW > 0.5, BRIGHT, DARK))
    assert (read(tmp_path / "out.tif") == expected).all()


def test_a_pixel_with_nodata_in_one_band_is_predicted(tmp_path: Path) -> None:
    values_2HW = np.full((2, 20, 30), 1, np.float32)
    values_2HW[1, :5] = 0  # bright, with nodata in the second band alone
    values_2HW[:, 5:9] = 0
    path = write_tif(tmp_path / "a.tif", values_2HW, nodata=0)
    predict_raster(pixelwise(bands=2), path, tmp_path / "out.tif")
    expected = np.full((20, 30), BRIGHT)
    expected[5:9] = VOID_ID
    assert (read(tmp_path / "out.tif") == expected).all()


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
@pytest.mark.parametrize(
    ("where", "said"),
    [
        ("in", "what it holds: 1 pipes, devices or broken links"),
        ("in/a.tif", "a.tif: is neither a"),
    ],
)
def test_a_named_pipe_is_told_and_not_waited_for(
    where: str, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bundle = save_random_bundle(tmp_path / "bundle", raster_files(), 16, 16)
    (tmp_path / "in").mkdir()
    os.mkfifo(tmp_path / "in/a.tif")
    assert predict(tmp_path / where, "--out", tmp_path / "out", "--bundle", bundle) == 1
    assert said in capsys.readouterr().err


@pytest.mark.parametrize("overlap", [None, 0, 4, 8])
def test_coarse_labels_are_those_of_each_truth_pixel(overlap: int | None, tmp_path: Path) -> None:
    band_HW = values(36, 52)
    band_HW[:4, :4] = np.nan  # all of one truth pixel
    band_HW[4:6, 4:8] = np.nan  # half of another
    band_HW[8:11, 8:12] = np.nan  # three quarters
    path = write_tif(tmp_path / "a.tif", band_HW)
    predict_raster(pixelwise(ratio=4), path, tmp_path / "out.tif", overlap)
    blocks = np.nan_to_num(band_HW).reshape(9, 4, 13, 4)
    seen = np.isfinite(band_HW).reshape(9, 4, 13, 4).sum((1, 3))
    expected = np.where(blocks.mean((1, 3)) > 0.5, BRIGHT, DARK)
    expected[seen < 8] = VOID_ID
    assert (expected == VOID_ID).sum() == 2
    assert (read(tmp_path / "out.tif") == expected).all()


class WindowNumbers:
    """Stands in for a Predictor; labels each pixel by its distance to the window's nearest edge."""

    def __init__(self, one: Predictor) -> None:
        self.input, self.reader, self.device = one.input, one.reader, one.device
        decoded = tuple(RawLabel(k, str(k), (k, k, k), k) for k in range(50))
        self.scheme = LabelScheme("distance", tuple(map(str, range(50))), decoded)

    def score_strips(self, clips: list[NDArray[Any]]) -> list[Iterator[Strip]]:
        [frames_THWC] = clips
        rows, columns = (np.arange(side) for side in frames_THWC.shape[1:3])
        near_H, near_W = (np.minimum(place, place[::-1]) for place in (rows, columns))
        distance_HW = torch.from_numpy(np.minimum.outer(near_H, near_W))
        return [iter([(slice(0, len(rows)), distance_HW[None])])]

    def train_ids(self, logits_KHW: Tensor) -> NDArray[np.uint8]:
        return logits_KHW[0].numpy().astype(np.uint8)


def test_no_label_comes_from_the_edge_of_a_window_but_at_the_edge_of_the_raster(
    tmp_path: Path,
) -> None:
    path = write_tif(tmp_path / "a.tif", values(61, 83))
    stand_in: Any = WindowNumbers(pixelwise(16, 16))
    predict_raster(stand_in, path, tmp_path / "out.tif", 8)
    inner = read(tmp_path / "out.tif")[4:-4, 4:-4]
    assert inner.min() == 4
    predict_raster(stand_in, path, tmp_path / "out.tif", 0)
    assert read(tmp_path / "out.tif")[4:-4, 4:-4].min() == 0


MAPS = Output(0.5, probabilities=True, uncertainty=True, class_ids=(0, 1), bits=16)
FOLDERS = ("probabilities", "uncertainty", "probabilities/000_dark", "probabilities/001_bright")


@pytest.mark.parametrize("overlap", [None, 0, 4])
@pytest.mark.parametrize("ratio", [1, 4])
def test_maps_are_those_of_the_whole_raster_on_the_grid_of_its_labels(
    ratio: int, overlap: int | None, tmp_path: Path
) -> None:
    band_HW = values(36, 52)
    band_HW[4:12, 8:20] = np.nan
    path = write_tif(tmp_path / "a.tif", band_HW)
    one, out = pixelwise(ratio=ratio), tmp_path / "out"
    done = predict_files([one], {path: "sub/a"}, out, MAPS, overlap)
    assert (done.written, done.skipped) == (1, [])
    whole = read_window(one, np.nan_to_num(band_HW)[..., None].astype(np.float16), MAPS)
    nodata = (slice(4 // ratio, 12 // ratio), slice(8 // ratio, 20 // ratio))
    assert set(whole.others_hw) == set(FOLDERS)
    for folder, map_hw in whole.others_hw.items():
        map_hw[nodata] = 0
        with rasterio.open(path) as image, rasterio.open(out / folder / "sub/a.tif") as file:
            assert (file.crs, file.bounds) == (image.crs, image.bounds)
            assert (file.nodata, file.dtypes) == (None, ("uint16",))
            np.testing.assert_array_equal(file.read(1), map_hw)
            mask_hw = file.dataset_mask()
            assert not mask_hw[nodata].any()
            assert (mask_hw == 0).sum() == mask_hw[nodata].size
    both = sum(read(out / folder / "sub/a.tif").astype(int) for folder in FOLDERS[2:])
    assert set(np.unique(both)) <= {0, 65534, 65535, 65536}
    assert not list(out.rglob("*.msk"))


@pytest.mark.parametrize("threshold", [None, 0.5])
def test_maps_are_those_of_a_picture_of_the_same_pixels(
    threshold: float | None, tmp_path: Path
) -> None:
    """Within the last digit: rasters are float16."""

    class FirstOf(Above):
        def forward(self, image_BCHW: Tensor) -> Tensor:
            return super().forward(image_BCHW)[:, 1:]

    pixels_HW3 = np.random.default_rng(0).integers(0, 256, (16, 24, 3)).astype(np.uint8)
    save(tmp_path / "a.png", pixels_HW3)
    write_tif(tmp_path / "a.tif", pixels_HW3.transpose(2, 0, 1).astype(np.float32) / 255)
    network = Above() if threshold is None else FirstOf()
    for files, name in ((raster_files(3), "a.tif"), (PICTURES, "a.png")):
        spec = spec_of(files, 16, 24)
        bundle = Bundle(network.eval(), ModelParams(), SCHEME, spec, "fp32", {}, threshold)
        one = Predictor(bundle, torch.device("cpu"))
        predict_files([one], {tmp_path / name: "a"}, tmp_path / "out", replace(MAPS, bits=8))
    for folder in FOLDERS:
        raster_HW = read(tmp_path / "out" / folder / "a.tif").astype(int)
        with Image.open(tmp_path / "out" / folder / "a.png") as file:
            picture_HW = np.asarray(file).astype(int)
        assert raster_HW.shape == picture_HW.shape == (16, 24)
        assert raster_HW.std() > 1
        assert np.abs(raster_HW - picture_HW).max() <= 1


@pytest.mark.parametrize("ratio", [1, 4])
def test_the_labels_lie_where_the_raster_lies(ratio: int, tmp_path: Path) -> None:
    path = write_tif(tmp_path / "a.tif", values(32, 48))
    predict_raster(pixelwise(ratio=ratio), path, tmp_path / "out.tif")
    with rasterio.open(path) as image, rasterio.open(tmp_path / "out.tif") as labels:
        assert labels.crs == image.crs == rasterio.crs.CRS.from_string(UTM)
        assert labels.bounds == image.bounds
        assert labels.transform == coarser(ratio)
        assert labels.shape == (32 // ratio, 48 // ratio)
        assert (labels.nodata, labels.dtypes) == (VOID_ID, ("uint8",))
        assert labels.colormap(1)[BRIGHT][:3] == (200, 210, 220)


def test_a_raster_smaller_than_a_window_is_one_window(tmp_path: Path) -> None:
    for number, size in enumerate([(5, 7), (40, 3), (9, 100)]):
        band_HW = values(*size)
        path = write_tif(tmp_path / f"{number}.tif", band_HW)
        predict_raster(pixelwise(), path, tmp_path / "out.tif", 8)
        assert (read(tmp_path / "out.tif") == np.where(band_HW > 0.5, BRIGHT, DARK)).all()


def test_a_raster_of_broken_truth_pixels_is_refused(tmp_path: Path) -> None:
    path = write_tif(tmp_path / "a.tif", values(34, 48))
    with pytest.raises(DataError, match=r"a\.tif: has 34 x 48 pixels, which do not divide by 4"):
        predict_raster(pixelwise(ratio=4), path, tmp_path / "out.tif")
    assert not (tmp_path / "out.tif").exists()


@pytest.mark.parametrize(
    ("ratio", "overlap", "message"),
    [
        (1, -1, "--overlap is -1; .* windows have 16x24 pixels, it can be 0 to 8"),
        (1, 9, "it can be 0 to 8"),
        (4, 6, "truth pixels 4x4, it can be a multiple of 4 from 0 to 8"),
    ],
)
def test_an_impossible_overlap_is_refused(ratio: int, overlap: int, message: str) -> None:
    spec = spec_of(raster_files(ratio=ratio), 16, 24)
    with pytest.raises(ParameterError, match=message):
        refuse_odd_overlap(spec, overlap)
    for fitting in (0, 4, 8):
        refuse_odd_overlap(spec, fitting)


def save_random_bundle(folder: Path, files: FileSpec, height: int, width: int) -> Path:
    folder.mkdir(parents=True)
    torch.manual_seed(0)
    network = build_model(UNET, len(files.channels), 2, files.truth_ratio).eval()
    with torch.inference_mode():  # both classes near to even
        means_K = network(torch.rand(8, len(files.channels), height, width)).mean((0, 2, 3))
    weights = plain_weights(network)
    bias = next(name for name in weights if name.endswith("head.bias"))
    weights[bias] -= means_K
    save_bundle(folder, weights, weights, UNET, SCHEME, spec_of(files, height, width), "fp32", {})
    return folder


def predict(*arguments: Path | str) -> int:
    return main(["predict", *map(str, arguments)])


def test_the_command_labels_the_rasters_of_a_folder_and_names_what_it_cannot_read(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bundle = save_random_bundle(tmp_path / "bundle", raster_files(2), 16, 16)
    for name in ("a.tif", "b.TIFF"):
        write_tif(tmp_path / "in" / name, np.stack([values(20, 40), values(20, 40, 1)]))
    write_tif(tmp_path / "in/lacks.tif", values(20, 40))
    (tmp_path / "in/cut.tif").write_bytes((tmp_path / "in/a.tif").read_bytes()[:900])
    (tmp_path / "in/notes.txt").write_text("no raster")
    code = predict(tmp_path / "in", "--out", tmp_path / "out", "--bundle", bundle)
    said = capsys.readouterr()
    assert code == 1
    assert "2 of 4 label images" in said.out
    assert "2 rasters were skipped" in said.err
    assert "cut.tif: cannot be read as a GeoTIFF" in said.err
    assert "lacks.tif: has 1 bands, so band 2" in said.err
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["a.tif", "b.tif"]
    with (
        rasterio.open(tmp_path / "in/a.tif") as image,
        rasterio.open(tmp_path / "out/a.tif") as out,
    ):
        assert (out.bounds, out.crs, out.transform) == (image.bounds, image.crs, image.transform)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["one/a.tif", "--out", "one"], "--out is the folder of the rasters"),
        (["one", "--out", "one"], "--out is the folder of the rasters"),
        (["one", "--out", "o", "--opacity", "0.5"], "--opacity is for overlays"),
        (["one", "--out", "o", "--overlap", "9"], "it can be 0 to 8"),
        (["empty", "--out", "o"], "holds no GeoTIFF"),
        (["nowhere", "--out", "o"], "there is no such file or folder"),
        (["drive.mp4", "--out", "o"], "films and cameras give pictures of 8 bits"),
        (
            ["one/a.tif", "--out", "o", "--bundle", "tiles"],
            "is not an ESD tile, nor a folder of tiles",
        ),
        (["Tile3", "--out", "Tile3", "--bundle", "tiles"], "--out is the folder of the tiles"),
        (
            ["Tile3", "--out", "o", "--bundle", "tiles", "--overlap", "0"],
            "--overlap is for rasters",
        ),
        (["p.png", "--out", "o", "--bundle", "pictures", "--overlap", "0"], "reads whole images"),
    ],
)
def test_a_wrong_call_for_rasters_is_explained(
    arguments: list[str],
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    save_random_bundle(Path("models"), raster_files(), 16, 16)
    save_random_bundle(Path("pictures"), PICTURES, 16, 16)
    save_random_bundle(Path("tiles"), esd_files(10), 20, 20)
    Path("empty").mkdir()
    Path("drive.mp4").touch()
    for name in ("one/a.tif", "Tile3/a.tif"):
        write_tif(Path(name), values(20, 20))
    before = Path("one/a.tif").read_bytes()
    save(Path("p.png"), scene(0)[0])
    assert predict(*arguments) == 1
    assert message in capsys.readouterr().err
    assert Path("one/a.tif").read_bytes() == before
    assert not Path("o").exists()


def test_rasters_of_others_are_overwritten_by_force_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bundle = save_random_bundle(tmp_path / "bundle", raster_files(), 16, 16)
    for name in ("a.tif", "sub/a.tif", "sub/a.tiff"):
        write_tif(tmp_path / "in" / name, values(20, 40))
    arguments = (tmp_path / "in", "--out", tmp_path / "out", "--bundle", bundle, "--uncertainty")
    labels = ["a.tif", "sub/a.tif.tif", "sub/a.tiff.tif"]
    for _ in range(2):  # what it wrote itself is no hindrance
        assert predict(*arguments) == 0
        names = sorted(
            path.relative_to(tmp_path / "out").as_posix()
            for path in (tmp_path / "out").rglob("*.tif")
        )
        assert names == [*labels, *(f"uncertainty/{name}" for name in labels)]
    for name in ("a.tif", "uncertainty/a.tif"):
        theirs = write_tif(tmp_path / "out" / name, values(20, 40)).read_bytes()
    assert predict(*arguments) == 1
    assert "2 files there were not written by `segpipe predict`" in capsys.readouterr().err
    assert (tmp_path / "out/a.tif").read_bytes() == theirs
    assert predict(*arguments, "--force") == 0
    assert set(np.unique(read(tmp_path / "out/a.tif"))) <= {DARK, BRIGHT}


def test_a_full_disk_ends_the_rasters(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Of which GDAL does not say why it could not write."""
    bundle = save_random_bundle(tmp_path / "bundle", raster_files(), 128, 128)
    for number in range(4):
        write_tif(tmp_path / f"in/{number}.tif", values(600, 900, number))
    small = tmp_path / "small"
    with small_disk(small, "64k"):
        assert predict(tmp_path / "in", "--out", small / "out", "--bundle", bundle) == 1
        kept = sorted(path.name for path in (small / "out").iterdir())
    said = capsys.readouterr()
    assert f"the labels of {len(kept)} of 4 are finished" in said.out
    assert kept == [f"{number}.tif" for number in range(len(kept))]
    assert len(kept) < 4
    assert f"{small}/out/{len(kept)}.tif: the disk is full" in said.err


def test_a_tif_that_is_a_picture_goes_with_a_picture_model(tmp_path: Path) -> None:
    bundle = save_random_bundle(tmp_path / "bundle", PICTURES, 24, 32)
    image = scene(0)[0]
    save(tmp_path / "in/a.tif", image)
    save(tmp_path / "png/a.png", image)
    for folder in ("in", "png"):
        code = predict(tmp_path / folder, "--out", tmp_path / f"of_{folder}", "--bundle", bundle)
        assert code == 0
    results = [(tmp_path / f"of_{folder}/a.png").read_bytes() for folder in ("in", "png")]
    assert results[0] == results[1]


def esd_files(ratio: int) -> FileSpec:
    names = channel_names(BANDS)
    return FileSpec("esd", tuple(names), display_channels(names), ratio, esd=BANDS)


def by_hand(predictor: Predictor, raw: Path, tile: str, truth: int, each: int) -> NDArray[np.uint8]:
    """Each subtile is read as evaluation reads it, and laid where its name says."""
    split = SplitParams(by="ratio", val=0.4)
    listed = list_samples(raw, split, predictor.input.height, predictor.input.width)
    whole = np.full((truth, truth), 99, np.uint8)
    mine = [one for part in listed.samples.values() for one in part if one.group == tile]
    assert len(mine) == (truth // each) ** 2
    for sample in reversed(mine):
        row, column = (int(part[1:]) for part in sample.name.split("/")[1].split("_"))
        found = predictor.reader.read(sample, raw, predictor.scheme)
        labels = predictor.predict(found.frames_THWC)
        place = slice(row * each, (row + 1) * each), slice(column * each, (column + 1) * each)
        whole[place] = labels
    return whole


def test_tiles_are_stitched_by_row_and_column(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    raw, out = tmp_path / "raw", tmp_path / "out"
    for number in (2, 10):
        make_esd_tile(raw / f"Tile{number}", truth=6, ratio=8, seed=number)
    bundle = save_random_bundle(tmp_path / "bundle", esd_files(8), 16, 16)
    make_esd_tile(raw / "Tile11", truth=6, ratio=8)
    (raw / "Tile11/L2A_20200811_B04.tif").unlink()
    assert predict(raw, "--out", out, "--bundle", bundle) == 1
    said = capsys.readouterr()
    assert "2 of 3 label images" in said.out
    assert "Tile11: is not a complete ESD tile" in said.err
    assert "band B04 is missing" in said.err
    (raw / "Tile11/groundTruth.tif").unlink()
    for path in sorted((raw / "Tile11").iterdir()):
        path.unlink()
    (raw / "Tile11").rmdir()
    predictor = Predictor.load(bundle, torch.device("cpu"))
    found = set()
    for name in ("Tile2", "Tile10"):
        expected = by_hand(predictor, raw, name, truth=6, each=2)
        found |= set(np.unique(expected))
        assert (predictor.predict(read_tile(raw / name, BANDS)[None]) == expected).all()
        assert (read(out / f"{name}.tif") == SCHEME.decode(expected)).all()
        with (
            rasterio.open(out / f"{name}.tif") as labels,
            rasterio.open(raw / name / "L2A_20200811_B02.tif") as band,
        ):
            assert (labels.bounds, labels.crs) == (band.bounds, band.crs)
        assert (out / f"{name}.png").exists()
        assert (out / f"overlays/{name}.png").exists()
    assert found == {0, 1}, "a constant prediction would fit in any order"
    alone = tmp_path / "alone"
    assert predict(raw / "Tile2", "--out", alone, "--bundle", bundle) == 0
    assert (alone / "Tile2.tif").read_bytes() == (out / "Tile2.tif").read_bytes()


def test_a_damaged_description_is_no_other_kind_of_model(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bundle = save_random_bundle(tmp_path / "bundle", raster_files(), 16, 16)
    save(tmp_path / "in/a.png", scene(0)[0])
    (bundle / DESCRIPTION).write_text("{")
    assert predict(tmp_path / "in", "--out", tmp_path / "out", "--bundle", bundle) == 1
    assert f"{DESCRIPTION}: cannot be read" in capsys.readouterr().err


def test_a_raster_whose_scores_are_not_finite_is_named_and_not_written(tmp_path: Path) -> None:
    class Broken(Above):
        def forward(self, image_BCHW: Tensor) -> Tensor:
            return super().forward(image_BCHW) / (image_BCHW[:, :1] - 0.25)

    one = replace(pixelwise().bundle, model=Broken().eval())
    image = np.ones((40, 30), np.float32)
    path = write_tif(tmp_path / "a.tif", image[None])
    predict_raster(Predictor(one, torch.device("cpu")), path, tmp_path / "whole.tif")
    assert read(tmp_path / "whole.tif").tolist() == [[BRIGHT] * 30] * 40
    image[33, 20] = 0.25
    path = write_tif(tmp_path / "b.tif", image[None])
    with pytest.raises(DataError, match=f"^{path}: the network's scores of it are not finite"):
        predict_raster(Predictor(one, torch.device("cpu")), path, tmp_path / "part.tif")
    assert sorted(found.name for found in tmp_path.iterdir()) == ["a.tif", "b.tif", "whole.tif"]


MEMORY = """
import resource, sys
from pathlib import Path
import torch
from segpipe.inference.predictor import Predictor
from segpipe.inference.files import predict_raster
from segpipe.inference.output import Output
torch.set_num_threads(1)
predictor = Predictor.load(Path(sys.argv[1]), torch.device("cpu"))
peaks = []
for number, name in enumerate(sys.argv[2:]):
    target = Path(sys.argv[1]) / f"{number}.tif"
    folders = ("uncertainty", "probabilities")
    maps = {folder: target.with_name(f"{number}{folder}.tif") for folder in folders}
    output = Output(0.5, probabilities=True, uncertainty=True, bits=16)
    predict_raster(predictor, Path(name), target, output=output, maps=maps)
    peaks.append(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)
print(*peaks)
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="resource is not there")
def test_memory_grows_with_the_window_not_with_the_raster(tmp_path: Path) -> None:
    bundle = save_random_bundle(tmp_path / "bundle", raster_files(4), 512, 512)
    names = []
    for side in (1024, 5000):  # 5000 x 5000 x 4 of float32 are 400 MB
        names.append(str(tmp_path / f"{side}.tif"))
        with rasterio.open(
            names[-1],
            "w",
            driver="GTiff",
            height=side,
            width=side,
            count=4,
            dtype="float32",
            tiled=True,
            compress="deflate",
            SPARSE_OK="TRUE",
            crs=UTM,
            transform=METRES,
        ) as file:
            file.write(np.ones((4, 16, 16), np.float32), window=((0, 16), (0, 16)))
    done = run_python(["-c", MEMORY, str(bundle), *names], ROOT)
    assert done.returncode == 0, done.stderr
    small, large = map(int, done.stdout.split())
    assert large - small < 150, done.stdout
