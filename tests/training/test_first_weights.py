"""A training whose first weights come from a file: exchanged at the wrong moment; its normalisation."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest
import torch
from safetensors.torch import save_file

from segpipe.bundle import plain_weights
from segpipe.dataset.reader import Dataset
from segpipe.models.build import build_model
from segpipe.params.augment import AugmentParams
from segpipe.params.length import Length
from segpipe.params.loss import LossParams
from segpipe.params.model import ModelParams, UNetParams
from segpipe.params.prepare import EsdParams
from segpipe.params.schema import TrackingParams
from segpipe.params.train import TrainParams
from segpipe.runtime.errors import ParameterError, StaleRunError
from segpipe.runtime.provenance import Snapshot
from segpipe.training import run
from segpipe.training.job import Job
from segpipe.training.run import Outputs, Plan, run_training
from segpipe.training.setup import normalised, set_up
from segpipe.training.state.checkpoint import Progress
from segpipe.training.watch.console import announce


class Reached(Exception):  # noqa: N818 (it is no error)
    """Raised where the training would begin."""


SMALL = ModelParams(unet=UNetParams(width=4, depth=1))
TRAIN = TrainParams(
    batch_size=2,
    length=Length(2),
    warmup=Length(1, "steps"),
    precision="fp32",  # as all tests of this folder: Accelerate takes one precision a process
    augment=AugmentParams(scale=(1, 1.2)),
)


def write_weights(path: Path) -> None:
    save_file(plain_weights(build_model(SMALL, 3, 3)), path)


@pytest.mark.parametrize("exchanged", [True, False])
def test_weights_that_are_exchanged_at_the_start_stop_it(
    exchanged: bool, dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DVC_ROOT", str(tmp_path))
    weights = tmp_path / "first.safetensors"
    write_weights(weights)
    really = run.set_up

    def set_up(*given: Any) -> Job:
        # The state has its name by now.
        if exchanged:
            write_weights(weights)
        return really(*given)

    monkeypatch.setattr(run, "set_up", set_up)
    monkeypatch.setattr(run, "open_dataset", lambda _: dataset)
    monkeypatch.setattr(run, "mlflow_run", Mock(side_effect=Reached))
    model = SMALL.model_copy(update={"pretrained": str(weights)})
    snapshot, tracking = Snapshot("train", {}, {}), TrackingParams(enabled=False)
    plan = Plan(model, LossParams(), TRAIN, tracking, {}, snapshot)
    names = ("bundle", "history", "planned", "augmentation.png", "about", "summary", "tracking")
    outputs = Outputs(*(tmp_path / "out" / name for name in names))
    if exchanged:
        with pytest.raises(
            StaleRunError, match=r"first.safetensors: the weights .* were exchanged"
        ):
            run_training(plan, tmp_path, outputs)
        assert not (tmp_path / "out").exists()
    else:
        with pytest.raises(Reached):
            run_training(plan, tmp_path, outputs)


@pytest.mark.parametrize("first", ["none", "stated"])
@pytest.mark.parametrize("asked", ["data", "imagenet"])
def test_the_normalisation_that_is_asked_for_goes_before_that_of_the_first_weights(
    asked: str,
    first: str,
    dataset: Dataset,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    model = SMALL
    if first == "stated":
        write_weights(tmp_path / "model.safetensors")
        (tmp_path / "config.json").write_text(json.dumps({"mean": [0.1] * 3, "std": [0.3] * 3}))
        model = SMALL.model_copy(update={"pretrained": str(tmp_path)})
    train = TRAIN.model_copy(update={"normalisation": asked})
    job = set_up(dataset, model, LossParams(), train, tmp_path / "state", {})
    imagenet = {"mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225]}
    spec = replace(dataset.input, **imagenet) if asked == "imagenet" else dataset.input
    assert job.data.dataset.input == spec
    torch.testing.assert_close(job.data.mean_C.cpu(), torch.tensor(spec.mean))
    torch.testing.assert_close(job.data.std_C.cpu(), torch.tensor(spec.std))
    announce(job, LossParams(), Progress(), [])
    whose = "of ImageNet" if asked == "imagenet" else "of the training split"
    (line,) = [x for x in capsys.readouterr().out.splitlines() if "images are normalised" in x]
    assert line.endswith(whose)


def test_imagenets_normalisation_is_refused_for_what_is_no_photograph(dataset: Dataset) -> None:
    files = replace(dataset.input.files, kind="esd", esd=EsdParams())
    bands = replace(dataset, input=replace(dataset.input, files=files))
    train = TRAIN.model_copy(update={"normalisation": "imagenet"})
    with pytest.raises(ParameterError, match="set it to data"):
        normalised(bands, train, None)


@pytest.mark.parametrize("stated", [True, False])
def test_images_are_normalised_as_the_first_weights_state(
    stated: bool, dataset: Dataset, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """In training, in validation and in what the bundle says; else by the training split."""
    write_weights(tmp_path / "model.safetensors")
    mean, std = [0.1, 0.2, 0.3], [0.25, 0.5, 0.75]
    if stated:
        (tmp_path / "config.json").write_text(json.dumps({"mean": mean, "std": std}))
    model = SMALL.model_copy(update={"pretrained": str(tmp_path)})
    job = set_up(dataset, model, LossParams(), TRAIN, tmp_path / "state", {})
    spec = job.data.dataset.input
    expected = replace(dataset.input, mean=mean, std=std) if stated else dataset.input
    assert spec == expected and dataset.input.mean != mean
    torch.testing.assert_close(job.data.mean_C.cpu(), torch.tensor(expected.mean))
    torch.testing.assert_close(job.data.std_C.cpu(), torch.tensor(expected.std))
    announce(job, LossParams(), Progress(), [])
    said = capsys.readouterr().out
    whose = "of these weights" if stated else "of the training split"
    assert "images are normalised by mean" in said and whose in said
