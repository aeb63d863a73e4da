"""Another model or loss by its name alone: `-S model.name=...` leaves no key over and trains."""

from pathlib import Path
from typing import get_args

import pytest
import torch

from segpipe.cli.recipes import params_text
from segpipe.dataset.reader import Dataset
from segpipe.params.load import load_params
from segpipe.params.loss import LossParams
from segpipe.params.model import ModelParams
from segpipe.params.schema import Params
from segpipe.runtime.errors import ParameterError
from segpipe.training.job import Job
from segpipe.training.setup import set_up
from tests.forge import ROOT, apply_overrides

MODELS = get_args(ModelParams.model_fields["name"].annotation)
LOSSES = LossParams.model_json_schema()["properties"]["name"]["enum"]


def switched(folder: Path, option: str) -> Params:
    """The parameters that segpipe comes with, one option changed as `dvc exp run -S` does."""
    path = folder / "params.yaml"
    path.write_text(params_text(ROOT / "recipes/demo.yaml"))
    apply_overrides(path, [option])
    return load_params(path)


def accepted(params: Params, dataset: Dataset, state: Path) -> Job:
    """Set a training up; its crop is the whole of the tiny images, its precision this process's."""
    augment = params.train.augment.model_copy(update={"crop_height": None, "crop_width": None})
    train = params.train.model_copy(update={"augment": augment, "precision": "fp32"})
    return set_up(dataset, params.model, params.loss, train, state, {})


def images_and_masks(dataset: Dataset) -> tuple[torch.Tensor, torch.Tensor]:
    split = dataset.split("train")
    images = torch.from_numpy(split.images_NTHWC[:2, 0].copy()).permute(0, 3, 1, 2).float() / 255
    return images, torch.from_numpy(split.masks_Nhw[:2].copy())


@pytest.mark.parametrize("name", MODELS)
def test_a_model_by_its_name_alone(name: str, dataset: Dataset, tmp_path: Path) -> None:
    if name == "smp":
        pytest.importorskip("segmentation_models_pytorch")
    params = switched(tmp_path, f"model.name={name}")
    assert params.model.name == name
    if name == "truth_cnn":  # for a truth 50 times coarser than the image, which this data has not
        with pytest.raises(ParameterError, match="choose another model, such as regseg or unet"):
            accepted(params, dataset, tmp_path)
        return
    job = accepted(params, dataset, tmp_path)
    images, masks = images_and_masks(dataset)
    with torch.no_grad():
        logits = job.learner.network.eval()(images)
    assert logits.shape == (2, len(dataset.scheme.classes), *masks.shape[1:])


@pytest.mark.parametrize("name", LOSSES)
def test_a_loss_by_its_name_alone(
    name: str, dataset: Dataset, sky_dataset: Dataset, tmp_path: Path
) -> None:
    data = sky_dataset if name == "bce" else dataset
    params = switched(tmp_path, f"loss.name={name}")
    assert params.loss.name == name
    job = accepted(params, data, tmp_path)
    images, masks = images_and_masks(data)
    loss = job.objective.loss(job.learner.network(images), masks)
    loss.backward()
    assert loss > 0
    assert job.learner.network.head.weight.grad.abs().sum() > 0
