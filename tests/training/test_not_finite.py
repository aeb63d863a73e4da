"""What is not finite stops the training, and the samples it comes from are found."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from segpipe.dataset.reader import Dataset, open_dataset
from segpipe.params.length import Length
from segpipe.runtime.errors import TrainingError
from segpipe.training import step
from tests.forge import poisoned_bands


def poisoned(dataset: Dataset, folder: Path, split: str, row: int) -> tuple[Dataset, str]:
    """The data set as bands in float16, one sample with a value that is no number; its name."""
    shutil.copytree(dataset.folder, folder)
    name = poisoned_bands(folder, split, row)
    return open_dataset(folder), name


def test_a_spoilt_image_is_found_among_the_batch(dataset, trained, tmp_path: Path) -> None:
    data, name = poisoned(dataset, tmp_path / "data", "train", 6)
    options = {"batch_size": 5, "validate_every": Length(1, "steps")}
    with pytest.raises(TrainingError) as caught:
        trained(data, **options)
    said = str(caught.value)
    assert "is not finite at epoch 1, step " in said
    assert said.count("drive") == 1
    assert f"hold values that are not finite:\n  {name}\n" in said
    assert "the weights were not changed, and the last checkpoint is kept" in said


def test_a_spoilt_validation_image_is_found(dataset, trained, tmp_path: Path) -> None:
    data, name = poisoned(dataset, tmp_path / "data", "val", 3)
    with pytest.raises(TrainingError, match="the validation loss is nan") as caught:
        trained(data, batch_size=2)
    listed = str(caught.value).partition("by batches):\n")[2].split()
    assert name in listed
    assert len(listed) == 2, "no more than its batch of two"


def test_of_a_loss_without_bounds_the_micro_batch_is_named(
    dataset, trained, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second of five micro-batches of two; no image is at fault."""
    real, seen = step._loss_sums, []

    def loss_sums(*given):  # type: ignore[no-untyped-def]
        main, whole = real(*given)
        seen.append(main)
        return (main * torch.inf, whole) if len(seen) == 2 else (main, whole)

    monkeypatch.setattr(step, "_loss_sums", loss_sums)
    with pytest.raises(TrainingError) as caught:
        trained(dataset, batch_size=10, accumulation=5)
    assert str(caught.value).count("drive") == 2
    assert "the batch, as far as it is to blame, is:" in str(caught.value)


def test_the_poison_is_what_it_says(dataset, tmp_path: Path) -> None:
    data, name = poisoned(dataset, tmp_path / "data", "train", 6)
    images = data.split("train").images_NTHWC[:]
    assert images.dtype == np.float16
    assert np.isnan(images).any((1, 2, 3, 4)).nonzero()[0].tolist() == [6]
    assert data.split("train").rows[6].sample.name == name
    assert (
        json.loads((tmp_path / "data/dataset.json").read_text())["input"]["files"]["kind"]
        == "raster"
    )
