"""The nodata tags of rasters: a mask whose tag is a class, an image with nodata in some bands."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio

from segpipe.cli.main import main
from segpipe.labels.load import load_scheme
from segpipe.preflight.nodata import hidden_classes, partly_nodata
from segpipe.preparation.sample_stats import SampleStats
from segpipe.raw.sample import Sample
from tests.forge import tiny_parameters, write_parameters
from tests.raw.rasters.geotiffs import write_tif

RANDOM = np.random.default_rng(8)
CLASSES = "id,name,red,green,blue\n0,background,0,0,0\n1,building,9,9,9\n"


def stats(mask: str, train: dict[int, int], hidden: dict[int, int], **more: Any) -> SampleStats:
    sample = Sample(mask, mask, f"images/{mask}", f"masks/{mask}")
    return SampleStats(sample, "train", train_pixels=train, hidden_class=hidden, **more)


@pytest.fixture
def rasters(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A workspace whose rasters are saturated red in 2 of 10 rows; masks of 0 and 1 without a tag."""
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    monkeypatch.setattr("segpipe.training.forecast.available_bytes", lambda _device: 1 << 40)
    data = tmp_path / "data"
    for name in ("train/a", "train/b", "train/c", "val/d", "val/e"):
        bands = RANDOM.integers(1, 255, (3, 40, 32)).astype(np.uint8)
        bands[1:, :8] = 0
        write_tif(data / f"images/{name}.tif", bands, nodata=0)
        write_tif(data / f"masks/{name}.tif", RANDOM.integers(0, 2, (40, 32)).astype(np.uint8))
    (data / "classes.csv").write_text(CLASSES)
    content = tiny_parameters(
        data,
        source__name="rasters",
        labels__scheme="classes.csv",
        prepare__height=16,
        prepare__width=32,
    )
    write_parameters(Path("params.yaml"), content)
    return data


def check(capsys: pytest.CaptureFixture[str]) -> tuple[int, str]:
    code = main(["check"])
    said = capsys.readouterr()
    return code, said.out + said.err


def test_check_counts_pixels_with_nodata_in_some_bands(
    rasters: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, said = check(capsys)
    assert code == 0
    # The last of the three windows begins at row 24: 8 of 48 rows are red.
    assert "in 5 rasters 16.7 % of the pixels hold the nodata value in some of the bands" in said
    assert "images/train/a.tif: 16.7 %" in said
    assert "gdal_edit.py -unsetnodata FILE" in said


def test_check_refuses_a_nodata_tag_that_is_a_class_until_it_is_removed(
    rasters: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with rasterio.open(rasters / "masks/train/b.tif", "r+") as file:
        file.nodata = 0
        lost = np.mean(file.read(1) == 0)
    code, said = check(capsys)
    assert code == 1
    assert "the nodata tag of 1 masks is the value of a class" in said
    assert f"masks/train/b.tif: nodata is 0, which is background; {100 * lost:.1f} %" in said
    assert "gdal_edit.py -unsetnodata FILE" in said
    assert "make background void in the file of the labels" in said
    with rasterio.open(rasters / "masks/train/b.tif", "r+") as file:
        file.nodata = None
    assert check(capsys)[0] == 0


def test_masks_of_signed_numbers_with_minus_one_need_one_line(
    rasters: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    mask = rasters / "masks/train/a.tif"
    labels = RANDOM.integers(-1, 2, (40, 32)).astype(np.int16)
    write_tif(mask, labels)
    code, said = check(capsys)
    assert code == 1
    assert "masks/train/a.tif: value -1 in" in said
    assert "`map: {-1: void}`" in said
    text = Path("params.yaml").read_text()
    assert text.count("\n  map: {}") == 1
    Path("params.yaml").write_text(text.replace("\n  map: {}", "\n  map: {-1: void}"))
    assert check(capsys)[0] == 0


def test_a_mask_without_pixels_of_its_tag_is_sound(tmp_path: Path) -> None:
    (tmp_path / "classes.csv").write_text(CLASSES)
    scheme = load_scheme("classes.csv", {}, tmp_path)
    assert hidden_classes([stats("a", {0: 50, 1: 50}, {})], scheme) == []
    assert hidden_classes([stats("a", {0: 50, 1: 50}, {0: 0})], scheme) == []


def test_the_repair_is_a_map_where_the_class_has_another_value(tmp_path: Path) -> None:
    (tmp_path / "classes.csv").write_text(CLASSES)
    scheme = load_scheme("classes.csv", {7: "background"}, tmp_path)
    samples = [
        stats("a", {0: 50, 1: 25, 255: 25}, {0: 25}),
        stats("a", {0: 100}, {0: 0}),
        stats("b", {0: 100}, {}),
    ]
    (found,) = hidden_classes(samples, scheme)
    assert (found.kind, found.severity) == ("nodata_class", "error")
    assert "so that 12.5 % of their pixels" in found.text
    assert "`map: {0: void}`" in found.repair
    assert found.items == ("masks/a: nodata is 0, which is background; 12.5 %",)


def test_a_few_pixels_with_nodata_in_some_bands_are_not_worth_a_word() -> None:
    few = stats("a", {}, {}, image_side=(10, 100), partly_nodata=9)
    many = stats("b", {}, {}, image_side=(10, 100), partly_nodata=10)
    assert partly_nodata([few]) == []
    (found,) = partly_nodata([few, many])
    assert (found.kind, found.severity, found.items) == (
        "partly_nodata",
        "warning",
        ("images/b: 1.0 %",),
    )
