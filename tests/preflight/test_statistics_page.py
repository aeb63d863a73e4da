"""The statistics page: its numbers are those of the masks and images themselves."""

import csv
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from segpipe.labels.load import load_scheme
from segpipe.params.prepare import CopyParams, PrepareParams, SplitParams
from segpipe.preflight.statistics_page import write_statistics
from segpipe.preparation.prepare import prepare_data
from segpipe.preparation.sample_job import PrepareContext
from segpipe.raw.input_spec import PICTURES
from segpipe.sources.folder.samples import list_samples
from tests.forge import make_folder


def drawn(root: Path, **prepare: Any) -> Path:
    raw, target, page = root / "raw", root / "prepared", root / "statistics"
    make_folder(raw, train=5, val=3, test=2)
    for folder in (target, page):
        folder.mkdir()
    context = PrepareContext(
        raw,
        load_scheme("classes.csv", {}, raw),
        PICTURES,
        PrepareParams(height=24, width=32, **prepare),
    )
    survey, totals = prepare_data(list_samples(raw, SplitParams()).samples, context, target)
    write_statistics(page, survey, target, totals["train"].histogram_C256)
    return page


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return drawn(tmp_path_factory.mktemp("statistics"))


def table(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_the_classes_are_counted_in_the_masks_as_they_are_stored(page: Path) -> None:
    rows = {(row["class"], row["split"]): row for row in table(page / "classes.csv")}
    assert len(rows) == 9
    for split in ("train", "val", "test"):
        masks = [np.asarray(Image.open(p)) for p in (page.parent / "raw/masks" / split).iterdir()]
        valid = sum(int((mask != 9).sum()) for mask in masks)
        for value, name in enumerate(("sky", "road", "car")):
            pixels = [int((mask == value).sum()) for mask in masks]
            row = rows[name, split]
            assert int(row["pixels"]) == sum(pixels)
            assert int(row["images"]) == np.count_nonzero(pixels)
            assert float(row["share"]) == pytest.approx(sum(pixels) / valid, rel=1e-5)
            mean = sum(pixels) / np.count_nonzero(pixels)
            assert float(row["mean_pixels"]) == pytest.approx(mean, rel=1e-5)


def test_each_image_has_its_place_in_the_brightness(page: Path) -> None:
    rows = table(page / "brightness.csv")
    images = dict.fromkeys(("train", "val", "test"), 0)
    for row in rows:
        images[row["split"]] += int(row["images"])
    assert images == {"train": 5, "val": 3, "test": 2}
    grey = [
        np.asarray(Image.open(path).resize((32, 24), 2).convert("L")).mean() / 255
        for path in (page.parent / "raw/images/train").iterdir()
    ]
    for row in rows:
        if row["split"] == "train":
            low, high = float(row["from"]), float(row["to"])
            assert int(row["images"]) == sum(low <= value < high for value in grey)


def test_every_picture_of_the_page_is_there(page: Path) -> None:
    text = (page / "statistics.md").read_text()
    linked = re.findall(r"\]\(([^)]+)\)", text)
    html = (page / "statistics.html").read_text()
    assert re.findall(r'src="([^"]+)"', html) == linked
    assert len(linked) == 5
    assert all((page / name).stat().st_size > 100 for name in linked)
    assert "5 train, 3 val, 2 test images with truth; 3 classes" in text
    assert "5 train, 3 val, 2 test images with truth; 3 classes" in html
    assert not (page / "copies.png").exists()


def test_copies_are_shown_before_and_after(tmp_path: Path) -> None:
    page = drawn(tmp_path, copies=CopyParams(count=2))
    assert "![copies](copies.png)" in (page / "statistics.md").read_text()
    with Image.open(page / "copies.png") as sheet:
        assert sheet.width > 4 * 32
