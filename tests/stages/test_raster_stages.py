"""The pipeline on rasters and on ESD tiles: every stage, against counts made with rasterio alone."""

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from numpy.typing import NDArray
from PIL import Image

from segpipe.cli.main import main
from segpipe.dataset.reader import open_dataset
from segpipe.inference.predictor import Predictor
from segpipe.params.load import load_params
from segpipe.runtime.errors import ParameterError
from segpipe.runtime.provenance import PARAMETERS, take_snapshot
from segpipe.training.run import run_training
from stages import evaluate, fetch, prepare, render, train
from tests.forge import ROOT, make_workspace, tiny_parameters, write_parameters
from tests.raw.rasters.geotiffs import coarser, write_tif

STAGES = {"fetch": fetch, "prepare": prepare, "train": train, "evaluate": evaluate}
STAGES["render"] = render
RATIO, HEIGHT, WIDTH, NODATA = 2, 50, 70, 60000
WINDOW = (16, 24)
VAL = ("c", "d")
CLASSES = "id,name,red,green,blue\n1,land,10,200,30\n4,water,20,30,250\n0,void,0,0,0\n"
ESD_WORLD = ROOT / "data/synthetic_esd.yaml"

RASTERS: dict[str, Any] = {
    "source__name": "rasters",
    "prepare__height": WINDOW[0],
    "prepare__width": WINDOW[1],
    "prepare__rasters__overlap": 4,
    "train__augment__scale": [1.0, 1.0],
    "train__augment__flip_vertical": 0.5,
    "train__augment__saturation": [1.0, 1.0],
    "render__images": 2,
}
TILES: dict[str, Any] = {
    **RASTERS,
    "source__name": "synthetic_esd",
    "source__synthetic_esd": {"tiles": 5, "truth": 2, "seed": 3},
    "labels__scheme": "land_cover4",
    "prepare__height": 50,
    "prepare__width": 50,
    "prepare__split__by": "ratio",
    "prepare__split__val": 0.3,
    "prepare__esd__viirs": False,
    "prepare__esd__sentinel1": ["VV"],
    "prepare__esd__sentinel2": ["B04", "B03", "B02"],
    "prepare__esd__landsat": [],
    "model__name": "truth_cnn",
    "model__truth_cnn__width": 4,
}


def make_rasters(root: Path) -> Path:
    """Four bands of which the second tells land from water; a strip of nodata, a hole in the truth."""
    random = np.random.default_rng(0)
    for name in ("train/a", "train/b", *(f"val/{name}" for name in VAL)):
        water_hw = np.kron(random.integers(0, 2, (5, 7)), np.ones((5, 5), int))
        water_HW = water_hw.repeat(RATIO, 0).repeat(RATIO, 1)
        bands = random.integers(100, 900, (4, HEIGHT, WIDTH))
        bands[1] += 3000 * water_HW
        bands[:, 11:20, 30:41] = NODATA
        write_tif(root / f"images/{name}.tif", bands.astype(np.uint16), nodata=NODATA)
        raw_hw = np.where(water_hw == 1, 4, 1)
        raw_hw[2:6, 3:9] = 0  # void by its label
        raw_hw[20:, :4] = 255  # void by nodata
        write_tif(
            root / f"masks/{name}.tif",
            raw_hw.astype(np.uint8),
            transform=coarser(RATIO),
            nodata=255,
        )
    (root / "classes.csv").write_text(CLASSES)
    return root


def run(stage: str) -> None:
    """Run a stage in this process, in the current folder."""
    params, snapshot = load_params(PARAMETERS), take_snapshot(stage)
    if stage == "train":
        run_training(train.planned(params, snapshot), train.PREPARED, train.OUTPUTS)
        return
    module: Any = STAGES[stage]
    module.run(params, snapshot)


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace in which all stages have run on rasters."""
    root = tmp_path_factory.mktemp("rasters")
    workspace = make_workspace(root / "w", make_rasters(root / "own"), **RASTERS)
    with pytest.MonkeyPatch.context() as patching:
        patching.chdir(workspace)
        for stage in STAGES:
            run(stage)
    return workspace


@pytest.fixture(scope="module")
def tiles(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace in which all stages have run on synthetic ESD tiles."""
    workspace = make_workspace(tmp_path_factory.mktemp("tiles") / "w", ESD_WORLD, **TILES)
    with pytest.MonkeyPatch.context() as patching:
        patching.chdir(workspace)
        for stage in STAGES:
            run(stage)
    return workspace


def band(path: Path, number: int = 1) -> NDArray[Any]:
    with rasterio.open(path) as file:
        values: NDArray[Any] = file.read(number)
    return values


def known_truth(name: str, source: Path) -> NDArray[np.int64]:
    """Train ids of a raster's truth, -1 where nothing counts; made by loops over its pixels."""
    raw_hw = band(source / f"masks/val/{name}.tif").astype(int)
    data_HW = band(source / f"images/val/{name}.tif") != NODATA
    truth_hw = np.full(raw_hw.shape, -1)
    for row in range(raw_hw.shape[0]):
        for column in range(raw_hw.shape[1]):
            rows = slice(row * RATIO, (row + 1) * RATIO)
            seen = data_HW[rows, column * RATIO : (column + 1) * RATIO].sum() * 2 >= RATIO**2
            if seen and raw_hw[row, column] in (1, 4):
                truth_hw[row, column] = (1, 4).index(raw_hw[row, column])
    return truth_hw


def own_rasters(workspace: Path) -> Path:
    return workspace.parent / "own"


def test_training_rasters_are_cut_into_windows_of_all_bands(finished: Path) -> None:
    dataset = open_dataset(finished / "data/prepared")
    split = dataset.split("train")
    assert dataset.truth_ratio == RATIO
    assert split.images_NTHWC.shape[1:] == (1, *WINDOW, 4)
    assert split.images_NTHWC.dtype == np.float16
    assert split.masks_Nhw.shape[1:] == (WINDOW[0] // RATIO, WINDOW[1] // RATIO)
    first = band(finished / "data/raw/images/train/a.tif", 2)[: WINDOW[0], : WINDOW[1]]
    scaling = dataset.input.files.scaling
    assert scaling is not None
    low, high = scaling.low[1], scaling.high[1]
    expected = ((first.astype(float).clip(low, high) - low) / (high - low)) * (first != NODATA)
    np.testing.assert_allclose(split.images_NTHWC[0, 0, :, :, 1], expected, atol=1e-3)


def test_evaluation_counts_every_known_truth_pixel_of_the_rasters_once(finished: Path) -> None:
    truths = [known_truth(name, own_rasters(finished)) for name in VAL]
    counts = np.bincount(np.concatenate([one[one >= 0] for one in truths]), minlength=2)
    summary = json.loads((finished / "metrics/evaluation.json").read_text())
    assert [summary["classes"][name]["pixels"] for name in ("land", "water")] == counts.tolist()
    assert summary["protocol"]["pixels"] == counts.sum()
    with (finished / "metrics/images.csv").open(newline="") as file:
        pixels = sum(int(row["pixels"]) for row in csv.DictReader(file))
    assert pixels == counts.sum()


def test_nodata_is_void_in_the_truth_that_is_trained_on(finished: Path) -> None:
    dataset = open_dataset(finished / "data/prepared")
    split = dataset.split("val")
    whole = {name: np.full((HEIGHT // RATIO, WIDTH // RATIO), 255) for name in VAL}
    for row, mask_hw in zip(split.rows, split.masks_Nhw, strict=True):
        window = row.sample.window
        assert window is not None
        part = whole[row.sample.name.split("/")[0]]
        top, left = window.top // RATIO, window.left // RATIO
        place = part[top : top + mask_hw.shape[0], left : left + mask_hw.shape[1]]
        assert (place[mask_hw != 255] == 255).all(), "a pixel counts in two windows"
        place[mask_hw != 255] = mask_hw[mask_hw != 255]
    for name in VAL:
        truth_hw = known_truth(name, own_rasters(finished))
        assert (whole[name] == np.where(truth_hw < 0, 255, truth_hw)).all()
        assert (truth_hw[6:10, 15:20] == -1).all()


def test_rendered_rasters_line_up_and_are_void_without_data(finished: Path) -> None:
    for name in VAL:
        image_path = finished / f"data/raw/images/val/{name}.tif"
        labels_path = finished / f"predictions/labels/val__{name}.tif"
        with rasterio.open(image_path) as image, rasterio.open(labels_path) as labels:
            assert labels.bounds == image.bounds
            assert labels.crs == image.crs
            assert labels.transform == coarser(RATIO)
            assert labels.nodata == 0
        data_HW = band(image_path) != NODATA
        blocks = data_HW.reshape(HEIGHT // RATIO, RATIO, WIDTH // RATIO, RATIO)
        expected_hw = blocks.sum((1, 3)) * 2 >= RATIO**2
        assert ((band(labels_path) != 0) == expected_hw).all()
    drawn = {path.name for path in (finished / "predictions").rglob("*.png")}
    assert {"contact_sheet.png", "training.png", "classes.png"} <= drawn
    window_png = next((finished / "predictions/labels").glob("*.png"))
    y, x = (int(part[1:]) for part in window_png.stem.split("__")[1].split("_"))
    name = window_png.stem.split("__")[0]
    with Image.open(window_png) as picture:
        labels_HW = np.asarray(picture)
    assert labels_HW.shape == WINDOW
    rows, columns = slice(y, y + WINDOW[0]), slice(x, x + WINDOW[1])
    lacking_HW = band(finished / f"data/raw/images/val/{name}.tif")[rows, columns] == NODATA
    blocks = lacking_HW.reshape(WINDOW[0] // RATIO, RATIO, WINDOW[1] // RATIO, RATIO).sum((1, 3))
    assert ((labels_HW[::RATIO, ::RATIO] == 0) == (blocks * 2 > RATIO**2)).all()
    assert (finished / f"predictions/truth/{window_png.name}").exists()


def test_predict_uses_the_bundle_alone(finished: Path, tmp_path: Path) -> None:
    """The rasters of the validation split, moved elsewhere, are labelled as render did."""
    for name in VAL:
        source = finished / f"data/raw/images/val/{name}.tif"
        (tmp_path / "in").mkdir(exist_ok=True)
        (tmp_path / f"in/{name}.tif").write_bytes(source.read_bytes())
    arguments = [str(tmp_path / "in"), "--out", str(tmp_path / "out")]
    assert main(["predict", *arguments, "--bundle", str(finished / "models")]) == 0
    for name in VAL:
        rendered = band(finished / f"predictions/labels/val__{name}.tif")
        assert (band(tmp_path / f"out/{name}.tif") == rendered).all()


def test_evaluation_is_the_confusion_of_truth_and_windows(finished: Path) -> None:
    """Windows without overlap, laid side by side, give the very matrix that evaluation wrote."""
    arguments = [str(finished / "data/raw/images/val"), "--out", str(finished / "side_by_side")]
    bundle = ["--bundle", str(finished / "models")]
    assert main(["predict", *arguments, *bundle, "--overlap", "0"]) == 0
    confusion = np.zeros((2, 2), int)
    for name in VAL:
        truth_hw = known_truth(name, own_rasters(finished))
        guess_hw = band(finished / f"side_by_side/{name}.tif")
        for actual in (0, 1):
            for guessed, raw_id in enumerate((1, 4)):
                confusion[actual, guessed] += ((truth_hw == actual) & (guess_hw == raw_id)).sum()
    with (finished / "metrics/confusion.csv").open(newline="") as file:
        written = [int(row["count"]) for row in csv.DictReader(file)]
    assert written == confusion.ravel().tolist()


def test_every_tile_gets_its_files_and_lines_up(tiles: Path) -> None:
    predictions = tiles / "predictions"
    drawn = sorted(path.stem for path in (predictions / "labels").glob("*.tif"))
    validated = {
        row.sample.group for row in open_dataset(tiles / "data/prepared").split("val").rows
    }
    assert drawn == sorted(validated) and drawn
    for name in drawn:
        tile = tiles / "data/raw" / name
        with (
            rasterio.open(predictions / f"labels/{name}.tif") as labels,
            rasterio.open(tile / "groundTruth.tif") as truth,
            rasterio.open(next(tile.glob("L2A_*_B02.tif"))) as image,
        ):
            assert labels.shape == truth.shape == (2, 2)
            assert labels.bounds == truth.bounds == image.bounds
            assert labels.crs == image.crs
        for part in ("labels", "colours", "overlays", "truth"):
            with Image.open(predictions / f"{part}/{name}.png") as picture:
                assert picture.size == (100, 100), part
        assert len(list((predictions / "comparisons").glob(f"*_{name}.png"))) == 1
    assert (predictions / "contact_sheet.png").exists()


def test_the_truth_picture_of_a_tile_is_its_truth(tiles: Path) -> None:
    palette = {1: (255, 0, 0), 2: (0, 0, 255), 3: (255, 255, 0), 4: (178, 102, 255)}
    path = next((tiles / "predictions/truth").glob("Tile*.png"))
    raw_hw = band(tiles / f"data/raw/{path.stem}/groundTruth.tif")
    with Image.open(path) as picture:
        painted = np.asarray(picture.convert("RGB"))
    for row in range(100):
        for column in range(100):
            assert tuple(painted[row, column]) == palette[raw_hw[row // 50, column // 50]]


def test_a_tile_is_its_subtiles_laid_by_row_and_column(tiles: Path) -> None:
    predictor = Predictor.load(tiles / "models")
    split = open_dataset(tiles / "data/prepared").split("val")
    whole: dict[str, NDArray[np.int64]] = {}
    for row, image_THWC in zip(split.rows, split.images_NTHWC, strict=True):
        name, place = row.sample.name.split("/")
        r, c = (int(part[1:]) for part in place.split("_"))
        labels_hw = whole.setdefault(name, np.zeros((2, 2), int))
        labels_hw[r, c] = predictor.predict(np.asarray(image_THWC))[0, 0] + 1
    for name, labels_hw in whole.items():
        assert (band(tiles / f"predictions/labels/{name}.tif") == labels_hw).all()


def test_tiles_are_counted_whole(tiles: Path) -> None:
    summary = json.loads((tiles / "metrics/evaluation.json").read_text())
    split = open_dataset(tiles / "data/prepared").split("val")
    names = {row.sample.group for row in split.rows}
    assert summary["protocol"]["pixels"] == 4 * len(names) == len(split)
    raw = np.concatenate([band(tiles / f"data/raw/{name}/groundTruth.tif") for name in names])
    counted = [one["pixels"] for one in summary["classes"].values()]
    assert counted == np.bincount(raw.ravel(), minlength=5)[1:].tolist()


def refused_after(
    stage: str, workspace: Path, data: Path, monkeypatch: pytest.MonkeyPatch, **changes: Any
) -> str:
    monkeypatch.chdir(workspace)
    write_parameters(PARAMETERS, tiny_parameters(data, **{**RASTERS, **changes}))
    with pytest.raises(ParameterError) as caught:
        run(stage)
    return str(caught.value)


def test_copies_with_coarse_truth_are_flips_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = make_rasters(tmp_path / "own")
    copies = {"prepare__copies__count": 1, "prepare__copies__saturation": [1.0, 1.0]}
    copies |= {"prepare__copies__gamma": [1.0, 1.0], "prepare__copies__flip": 1.0}
    workspace = make_workspace(tmp_path / "w", data, **{**RASTERS, **copies})
    monkeypatch.chdir(workspace)
    run("fetch")
    run("prepare")
    split = open_dataset(workspace / "data/prepared").split("train")
    assert [row.copy for row in split.rows[:4]] == [0, 1, 0, 1]
    for row in range(0, len(split), 2):
        image, flipped = split.images_NTHWC[row], split.images_NTHWC[row + 1]
        assert (flipped == image[:, :, ::-1]).all()
        assert (split.masks_Nhw[row + 1] == split.masks_Nhw[row][:, ::-1]).all()
    zoom = {**copies, "prepare__copies__zoom": [1.0, 1.25]}
    said = refused_after("prepare", workspace, data, monkeypatch, **zoom)
    assert "prepare.copies.zoom is [1.0, 1.25]" in said
    assert "the masks are coarser than the images" in said
    saturated = {**copies, "prepare__copies__saturation": [0.5, 1.5]}
    said = refused_after("prepare", workspace, data, monkeypatch, **saturated)
    assert "needs images of 3 channels; these have 4" in said


def test_training_does_not_scale_a_coarse_truth_or_crop_through_it(
    finished: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = (finished / PARAMETERS).read_text()
    try:
        changes = {"train__augment__scale": [0.75, 1.5], "train__augment__crop_width": 9}
        changes["train__augment__saturation"] = [0.8, 1.25]
        own = own_rasters(finished)
        said = refused_after("train", finished, own, monkeypatch, **changes)
    finally:
        (finished / PARAMETERS).write_text(before)
    assert "train.augment: scale is [0.75, 1.5], but the truth is 2 times coarser" in said
    assert "the crop of 16x9 is not a multiple of the 2 image pixels of a truth pixel" in said
    assert "the images have 4 channels" in said
