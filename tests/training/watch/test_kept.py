"""Models and pictures that a training keeps along the way; tests/numerics has them with kills."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from segpipe.bundle import load_bundle
from segpipe.dataset.reader import Dataset
from segpipe.inference.predictor import Predictor
from segpipe.params.loss import LossParams
from segpipe.training.watch.kept import keep_model, keep_pictures
from tests.training.conftest import MODEL, Trained

Train = Callable[..., Trained]


def test_a_kept_model_is_a_bundle_of_the_present_weights(
    dataset: Dataset, trained: Train, tmp_path: Path
) -> None:
    """Of the average where there is one, as validation and the result have it."""
    job, progress, _ = trained(dataset, ema=0.5)
    folder = tmp_path / "kept"
    keep_model(job, progress, MODEL, {"code": "c"}, folder)
    target = folder / "step_000000010"
    assert {path.name for path in target.iterdir()} == {"model.json", "model.safetensors"}
    lineage = json.loads((target / "model.json").read_text())["lineage"]
    assert (lineage["kept_at"], lineage["code"]) == ({"step": 10, "epoch": 2}, "c")
    own = load_bundle(target).model.state_dict()
    for name, value in job.learner.result.state_dict().items():
        assert torch.equal(own[name], value), name
    image_THWC = np.array(dataset.split("val").images_NTHWC[0])
    labels_HW = Predictor.load(target).predict(image_THWC)
    assert labels_HW.shape == image_THWC.shape[1:3]
    before = (target / "model.safetensors").read_bytes()
    keep_model(job, progress, MODEL, {"code": "c"}, folder)
    assert [path.name for path in folder.iterdir()] == ["step_000000010"], "written once more"
    assert (target / "model.safetensors").read_bytes() == before


@pytest.mark.parametrize(("threshold", "kept"), [(0.3, 0.3), ("auto", 0.5)])
def test_one_logit_is_kept_with_the_threshold_of_the_scores(
    sky_dataset: Dataset,
    trained: Train,
    tmp_path: Path,
    threshold: float | str,
    kept: float,
) -> None:
    job, progress, _ = trained(sky_dataset, loss=LossParams(name="bce"), threshold=threshold)
    keep_model(job, progress, MODEL, {}, tmp_path / "kept")
    assert load_bundle(tmp_path / "kept/step_000000010").threshold == kept


def test_a_disk_that_refuses_is_said_and_stops_nothing(
    dataset: Dataset, trained: Train, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    job, progress, _ = trained(dataset)
    (tmp_path / "kept").write_text("a file where the folder should be")
    keep_model(job, progress, MODEL, {}, tmp_path / "kept")
    keep_pictures(b"png", "step_000000010.png", tmp_path / "kept")
    said = capsys.readouterr().out
    assert said.count("the training goes on without it") == 2
    assert "step_000000010.png could not be written" in said


def test_pictures_are_written_whole_and_over_those_before(tmp_path: Path) -> None:
    for content in (b"first", b"second"):
        keep_pictures(content, "step_000000003.png", tmp_path / "a/b")
    assert [path.read_bytes() for path in (tmp_path / "a/b").iterdir()] == [b"second"]
