"""Prepared data that was changed by hand or by the disk is noticed, whatever its files are."""

import shutil
from pathlib import Path

import numpy as np
import pytest

from segpipe.dataset.digests import prepared_samples
from segpipe.dataset.layout import STORED_SPLITS
from segpipe.dataset.reader import Dataset, open_dataset
from segpipe.raw.sample import SPLITS
from segpipe.runtime.errors import DataError
from tests.training.conftest import prepared


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    """Ten training and five validation images."""
    return prepared(tmp_path_factory.mktemp("original"), None)


@pytest.fixture
def copied(original: Dataset, tmp_path: Path) -> Path:
    return Path(shutil.copytree(original.folder, tmp_path / "prepared"))


def read_all(folder: Path) -> None:
    """Read all that is prepared, as the stages do."""
    dataset = open_dataset(folder)
    for name in STORED_SPLITS:
        split = dataset.split(name)
        split.read(np.arange(len(split)), dataset.input.frames)
    for name in SPLITS:
        prepared_samples(folder, name)


def flip(path: Path, place: int) -> None:
    """Change one bit, as a failing disk does."""
    content = bytearray(path.read_bytes())
    content[place] ^= 1
    path.write_bytes(content)


def test_one_bit_of_any_file_is_noticed(copied: Path) -> None:
    read_all(copied)
    files = [path for path in copied.rglob("*") if path.is_file()]
    assert len(files) >= 10
    for path in files:
        before = path.read_bytes()
        for place in (len(before) // 2, -2):
            flip(path, place)
            with pytest.raises(DataError, match="dvc repro --force prepare"):
                read_all(copied)
            path.write_bytes(before)
    read_all(copied)


def test_a_changed_row_is_named_when_it_is_read(original: Dataset, copied: Path) -> None:
    before, after = original.split("train"), open_dataset(copied).split("train")
    rows = np.arange(len(after))
    largest = max(copied.glob("train/*.npy"), key=lambda path: path.stat().st_size)
    flip(largest, -1)  # the mapped arrays show it
    [changed] = [
        row
        for row in rows
        if (after.images_NTHWC[row] != before.images_NTHWC[row]).any()
        or (after.masks_Nhw[row] != before.masks_Nhw[row]).any()
    ]
    images, masks = after.read(rows[rows != changed], 1)
    assert (images == before.images_NTHWC[rows != changed]).all()
    assert (masks == before.masks_Nhw[rows != changed]).all()
    name = after.rows[changed].sample.name
    for split, row in ((after, changed), (after.subset([0, changed]), 1)):
        with pytest.raises(DataError, match=f"train: {name} is not as prepare wrote it"):
            split.read(np.array([row]), 1)


def test_a_row_is_compared_once(copied: Path) -> None:
    """Every later epoch costs nothing; that nothing changes meanwhile is seen at the end of the stage."""
    split = open_dataset(copied).split("train")
    rows = np.arange(len(split))
    split.read(rows, 1)
    assert split.digests.unread(rows) == []
    assert split.subset(rows[:4]).digests.unread(rows[:4]) == [0, 1, 2, 3]
