"""The picture of augmentation: what training sees of its samples."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from segpipe.dataset.reader import Dataset, open_dataset
from segpipe.params.train import AugmentParams
from segpipe.rendering.samples import copies_sheet
from segpipe.training.watch.preview import augmentation_sheet, write_sheet
from tests.forge import make_folder, make_prepared


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    root = tmp_path_factory.mktemp("preview")
    workspace = make_prepared(root / "work", make_folder(root / "data"))
    return open_dataset(workspace / "data/prepared")


def test_without_augmentation_before_is_after(dataset: Dataset) -> None:
    calm = AugmentParams(scale=(1.0, 1.0), flip=0.0, gamma=(1.0, 1.0), saturation=(1.0, 1.0))
    split = dataset.split("train")
    rows = np.unique(np.linspace(0, len(split) - 1, 6).astype(np.int64))
    same = [
        (split.rows[row].sample.name, *(2 * (split.images_NTHWC[row, 0], split.masks_Nhw[row])))
        for row in rows
    ]
    assert (augmentation_sheet(dataset, split, calm, 0) == copies_sheet(same, dataset.scheme)).all()


def test_the_file_holds_the_sheet(dataset: Dataset, tmp_path: Path) -> None:
    split, augment = dataset.split("train"), AugmentParams(scale=(1.0, 1.5))
    write_sheet(tmp_path / "sheet.png", dataset, split, augment, 3)
    written = np.asarray(Image.open(tmp_path / "sheet.png"))
    np.testing.assert_array_equal(written, augmentation_sheet(dataset, split, augment, 3))


def test_it_shows_the_draws_of_its_seed(dataset: Dataset) -> None:
    lively = AugmentParams(crop_height=16, crop_width=24)
    split = dataset.split("train")
    one, other = (augmentation_sheet(dataset, split, lively, seed) for seed in (0, 1))
    assert (one == augmentation_sheet(dataset, split, lively, 0)).all()
    assert one.shape != other.shape or (one != other).any()
