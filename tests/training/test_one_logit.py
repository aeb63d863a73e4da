"""One logit a pixel: its network, its threshold, and the way to a prediction."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from segpipe.bundle import load_bundle, plain_weights, predicted_ids
from segpipe.inference.predictor import Predictor
from segpipe.labels.scheme import VOID
from segpipe.params.loss import LossParams
from segpipe.runtime.errors import ParameterError
from segpipe.training.distributed.signals import StopRequest
from segpipe.training.job import Job
from segpipe.training.validate import Validation, validate
from segpipe.training.watch.publish import training_summary, write_bundle
from tests.forge import make_folder, make_prepared, run_stage
from tests.training.conftest import MODEL, SKY

BCE = LossParams(name="bce")


def validated(job: Job) -> Validation:
    found = validate(job.learner, job.data, job.objective, job.processes, StopRequest())
    assert found
    return found


def test_ids_of_one_logit_and_of_several() -> None:
    logits = torch.tensor([-1.0, 0.0, 1.0]).view(1, 1, 1, 3)
    assert predicted_ids(logits, 0.5).tolist() == [[[0, 0, 1]]]
    assert predicted_ids(logits, 0.2).tolist() == [[[1, 1, 1]]]
    assert predicted_ids(torch.tensor([[[[2.0, 0.0]], [[1.0, 3.0]]]]), None).tolist() == [[[0, 1]]]


@pytest.mark.parametrize("threshold", [0.5, 0.3, "auto"])
def test_training_and_prediction_agree(threshold, sky_dataset, trained, tmp_path: Path) -> None:
    job, progress, rows = trained(sky_dataset, loss=BCE, threshold=threshold, lr=0.03)
    assert job.learner.network.head.out_channels == 1
    bundle = tmp_path / "bundle"
    bundle.mkdir()
    write_bundle(job, progress, plain_weights(job.learner.result), MODEL, {}, bundle)
    kept = json.loads((bundle / "model.json").read_text())["threshold"]
    assert kept == progress.best_threshold == training_summary(job, progress, None).threshold
    assert kept == threshold or (threshold == "auto" and 0 < kept < 1)
    predictor = Predictor(load_bundle(bundle), torch.device("cpu"))
    split = sky_dataset.split("val")
    right = valid = 0
    for image_THWC, mask_HW in zip(split.images_NTHWC, split.masks_Nhw, strict=True):
        logits = predictor.logits(image_THWC)
        assert logits.shape == (1, 16, 24)
        predicted = predictor.predict(image_THWC)
        assert (predicted == (logits[0].sigmoid() > kept).numpy()).all()
        right += int((predicted == mask_HW)[mask_HW != VOID].sum())
        valid += int((mask_HW != VOID).sum())
    if threshold != "auto":
        job.learner.network.load_state_dict(job.learner.best)
        assert validated(job).pixel_accuracy == pytest.approx(right / valid, abs=0.005)
    assert right / valid > 0.8
    assert rows[-1]["val_loss"] < rows[0]["val_loss"]


def test_auto_is_the_best_threshold_of_the_kept_weights(sky_dataset, trained) -> None:
    job, progress, _ = trained(sky_dataset, loss=BCE, threshold="auto", ema=0.5)
    job.learner.average.network.load_state_dict(job.learner.best)
    assert validated(job).threshold == progress.best_threshold


def test_one_logit_needs_two_classes(dataset, trained) -> None:
    for loss in (BCE, LossParams(name="sum", sum={"bce": 1.0, "dice": 1.0})):
        with pytest.raises(ParameterError, match=r"has 3 classes \(sky, road, car\)"):
            trained(dataset, loss=loss)


def test_a_sum_with_bce_and_class_weights_trains(sky_dataset, trained) -> None:
    loss = LossParams(name="sum", sum={"bce": 1.0, "lovasz": 0.5}, class_weights="inverse")
    job, _, rows = trained(sky_dataset, loss=loss)
    assert set(job.objective.class_weights) == {"rest", "sky"}
    assert rows[-1]["train_loss"] < rows[0]["train_loss"]
    assert plain_weights(job.learner.network)["head.weight"].shape[0] == 1


@pytest.mark.slow
def test_the_whole_pipeline_with_one_logit(tmp_path: Path) -> None:
    data = make_folder(tmp_path / "data", train=8, val=3)
    (data / "classes.csv").write_text(SKY)
    options = {"loss__name": "bce", "train__threshold": "auto", "train__length": 6}
    workspace = make_prepared(tmp_path / "w", data, **options)
    for stage in ("train", "evaluate", "render"):
        done = run_stage(stage, workspace)
        assert done.returncode == 0, done.stderr
    kept = json.loads((workspace / "models/model.json").read_text())["threshold"]
    assert 0 < kept < 1
    assert kept == json.loads((workspace / "metrics/training.json").read_text())["threshold"]
    found = json.loads((workspace / "metrics/evaluation.json").read_text())
    assert set(found["classes"]) == {"rest", "sky"}
    assert found["classes"]["sky"]["iou"] > 0.5
    assert (workspace / "predictions/contact_sheet.png").exists()
    # Raw ids of the first label of each class, in the mask of the prediction.
    drawn = sorted((workspace / "predictions/labels").iterdir())
    with Image.open(drawn[0]) as picture:
        assert set(np.unique(np.asarray(picture))) <= {0, 1}
