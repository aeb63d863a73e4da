"""Validation during training counts the same pixels, in the same way, as the evaluation."""

from pathlib import Path
from typing import Literal

import numpy as np
import pytest
import torch

import segpipe.training.validate as validation
from segpipe.bundle import Bundle
from segpipe.dataset.reader import open_dataset
from segpipe.evaluation.evaluate import evaluate
from segpipe.evaluation.measures.confusion import Confusion
from segpipe.evaluation.report import evaluation_report
from segpipe.inference.predictor import Predictor
from segpipe.labels.load import load_scheme
from segpipe.labels.scheme import VOID
from segpipe.params.loss import LossParams
from segpipe.params.model import ModelParams, UNetParams
from segpipe.params.prepare import PrepareParams, SplitParams
from segpipe.params.train import TrainParams
from segpipe.preparation.prepare import prepare_data
from segpipe.preparation.sample_job import PrepareContext
from segpipe.raw.input_spec import PICTURES
from segpipe.sources.folder.samples import list_samples
from segpipe.training.distributed.signals import StopRequest
from segpipe.training.setup import set_up
from tests.forge import make_folder

HEIGHT, WIDTH = 48, 70


@pytest.mark.parametrize(
    ("padding", "edges"), [("same", "none"), ("valid", "mirrored: the output of the network")]
)
def test_validation_and_evaluation_have_the_same_confusion_matrix(
    padding: Literal["same", "valid"], edges: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    raw = make_folder(tmp_path / "raw", train=2, val=3, height=HEIGHT, width=WIDTH)
    samples, scheme = list_samples(raw, SplitParams()).samples, load_scheme("classes.csv", {}, raw)
    prepared = tmp_path / "prepared"
    prepared.mkdir()
    native = PrepareParams(height=HEIGHT, width=WIDTH)
    prepare_data(samples, PrepareContext(raw, scheme, PICTURES, native), prepared)
    data, model = (
        open_dataset(prepared),
        ModelParams(unet=UNetParams(width=4, depth=2, padding=padding)),
    )
    # One image a batch: the same arithmetic as in the evaluation.
    train = TrainParams(batch_size=1, precision="fp32")
    job = set_up(data, model, LossParams(), train, tmp_path / "state", {})

    seen = []
    monkeypatch.setattr(
        validation, "scores", lambda counts, of=validation.scores: seen.append(counts) or of(counts)
    )
    parts = (job.learner, job.data, job.objective, job.processes)
    found = validation.validate(*parts, StopRequest())
    assert found is not None

    bundle = Bundle(job.learner.result, model, scheme, data.input, "fp32", {"data": "x"})
    predictor = Predictor(bundle, torch.device("cpu"))
    counts = evaluate(predictor, samples["val"], raw)
    report = evaluation_report(counts, predictor, "val").evaluation
    confusion = counts.label_measures[0]
    assert isinstance(confusion, Confusion)
    evaluated_KP = confusion.confusion_KP
    assert not evaluated_KP[:, -1].any(), "there is an answer for every pixel"
    np.testing.assert_array_equal(seen[0], evaluated_KP[:, :-1])
    masks = data.split("val").masks_Nhw[:]
    assert seen[0].sum() == (masks != VOID).sum() > 0.9 * masks.size
    assert found.pixel_accuracy == pytest.approx(report.pixel_accuracy, abs=1e-6)
    assert report.protocol.edges is not None and report.protocol.edges.startswith(edges)
