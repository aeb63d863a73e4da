"""The temperature that a training ends with."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from segpipe.bundle import load_bundle, plain_weights
from segpipe.inference.predictor import Predictor
from segpipe.labels.scheme import VOID
from segpipe.metrics.temperature import fit_temperature
from segpipe.params.length import Length
from segpipe.params.loss import LossParams
from segpipe.training.temperature import MOST_SAMPLES, calibrate, rows_of_fit
from segpipe.training.watch.publish import write_bundle
from tests.training.conftest import MODEL


def bundle_of(folder: Path, job: Any, progress: Any) -> Predictor:
    folder.mkdir()
    write_bundle(job, progress, plain_weights(job.learner.result), MODEL, {}, folder)
    before = json.loads((folder / "model.json").read_text())
    calibrate(folder, job)
    after = json.loads((folder / "model.json").read_text())
    assert before.pop("temperature") == 1 and after.pop("temperature") > 0
    assert after["lineage"].pop("temperature") and after == before, "nothing else changes"
    return Predictor(load_bundle(folder), torch.device("cpu"))


@pytest.mark.parametrize("loss", ["cross_entropy", "bce"])
def test_the_bundle_keeps_the_best_temperature_of_half_of_the_images(
    loss: str, dataset: Any, sky_dataset: Any, trained: Any, tmp_path: Path
) -> None:
    data = sky_dataset if loss == "bce" else dataset
    # Sky is soon right in all pixels, and then no temperature is the best.
    length = Length(2, "steps" if loss == "bce" else "epochs")
    job, progress, _ = trained(data, loss=LossParams(name=loss), length=length, lr=0.01)
    predictor = bundle_of(tmp_path / "bundle", job, progress)
    split = data.split("val")
    names = [row.sample.image for row in split.rows]
    fitted = predictor.bundle.fit_images
    assert len(fitted) == len(names) // 2 and fitted < set(names)
    logits, truth = [], []
    for place in sorted(names.index(name) for name in fitted):
        found_Khw = predictor.logits(split.images_NTHWC[place])
        if loss == "bce":
            found_Khw = torch.cat([torch.zeros_like(found_Khw), found_Khw])
        valid_hw = split.masks_Nhw[place] != VOID
        logits.append(found_Khw[:, torch.from_numpy(valid_hw)].T.numpy())
        truth.append(split.masks_Nhw[place][valid_hw])
    wanted = fit_temperature(np.concatenate(logits), np.concatenate(truth))
    assert predictor.bundle.temperature == pytest.approx(wanted, abs=1e-4)
    assert wanted is not None and wanted != 1
    assert predictor.bundle.lineage["temperature"]["pixels"] == sum(map(len, truth))
    again = bundle_of(tmp_path / "again", job, progress)
    assert again.bundle.temperature == predictor.bundle.temperature


def test_probabilities_are_calibrated_and_labels_are_not_changed(
    sky_dataset: Any, trained: Any, tmp_path: Path
) -> None:
    short = {"loss": LossParams(name="bce"), "threshold": 0.3, "length": Length(2, "steps")}
    job, progress, _ = trained(sky_dataset, **short)
    predictor = bundle_of(tmp_path / "bundle", job, progress)
    temperature = predictor.bundle.temperature
    assert temperature != 1
    logits = torch.linspace(-4, 4, 33).view(1, 1, 33)
    found = predictor.probability(logits)
    assert found is not None
    np.testing.assert_allclose(found, (logits[0] / temperature).sigmoid().numpy())
    assert (predictor.train_ids(logits) == (logits[0].sigmoid() > 0.3).numpy()).all()


def test_where_nothing_can_be_fitted_it_is_1(dataset: Any, trained: Any, tmp_path: Path) -> None:
    for options, reason in (
        ({"overfit": 2}, "train.overfit validates on what it learns by heart"),
        ({"limit": 1}, "there are fewer than two validation images"),
    ):
        job, progress, _ = trained(dataset, batch_size=1, **options)
        bundle = bundle_of(tmp_path / "-".join(options), job, progress).bundle
        assert bundle.temperature == 1 and not bundle.fit_images
        assert bundle.lineage["temperature"] == {"none": reason}


def test_the_half_is_of_files_and_depends_on_their_names_and_the_seed_alone() -> None:
    images = [f"images/val/{number // 3}.tif" for number in range(60)]
    rows = rows_of_fit(images, seed=0)
    files = {images[row] for row in rows}
    assert len(files) == 10 and len(rows) == 30, "windows of one file stay together"
    assert {images[::-1][row] for row in rows_of_fit(images[::-1], seed=0)} == files
    assert {images[row] for row in rows_of_fit(images, seed=1)} != files
    many = [f"{number}" for number in range(1000)]
    assert len(rows_of_fit(many, seed=0)) == MOST_SAMPLES
    assert rows_of_fit(["a"], seed=0) == rows_of_fit([], seed=0) == []
