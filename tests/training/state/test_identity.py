"""Where the state of a training lies, and that an unfinished one of the version before goes on."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from segpipe.inference.predictor import Predictor
from segpipe.params.loss import LossParams
from segpipe.params.model import ModelParams
from segpipe.params.train import TrainParams
from segpipe.runtime.errors import BusyError
from segpipe.runtime.state import held_alone, state_folder
from segpipe.training.state.identity import Identity
from tests.forge import ROOT, make_folder, make_prepared
from tests.trainers import Trainers

# A training of six epochs, killed by `kill -9` after its third with segpipe 0.1, and the name that
# version gave its state.
UNFINISHED, NAME = ROOT / "tests/data/states/0.1/checkpoint-000000006", "516395fff5bb7d20e535"
FINISHED = ROOT / "tests/data/bundles/format3"  # what version 0.1 made of it in the end


def workspace_with_state(root: Path) -> Path:
    options = {"train__length": 6, "train__ema": 0.9, "checkpoint__steps": 2}
    workspace = make_prepared(root / "w", make_folder(root / "data"), **options)
    state = workspace / ".segpipe/state" / NAME
    shutil.copytree(UNFINISHED, state / UNFINISHED.name)
    return workspace


@pytest.mark.slow
def test_an_unfinished_training_of_the_version_before_goes_on(
    tmp_path: Path, trainers: Trainers
) -> None:
    workspace = workspace_with_state(tmp_path)
    done = trainers.train(workspace)
    assert done.codes == [0], done.said
    assert "an unfinished training of segpipe 0.1 goes on" in done.said[0]
    assert "resuming at epoch 4, step 1" in done.said[0]
    assert "code was" in done.said[0], "that other code goes on is said"
    assert not (workspace / ".segpipe/state" / NAME).exists()
    image_HW3 = np.asarray(Image.open(FINISHED / "image.png"))
    labels_HW = Predictor.load(workspace / "models").predict(image_HW3[None])
    # Processors round otherwise, and six steps carry that on.
    assert (labels_HW == np.load(FINISHED / "labels.npy")).mean() > 0.99


def test_a_state_of_the_version_before_that_is_in_use_is_left_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DVC_ROOT", str(tmp_path))
    identity = Identity(ModelParams(), LossParams(), TrainParams(), "data")
    state = state_folder(identity.describe())
    assert identity.take_over_former_state(state) is None, "there is none"
    values = {
        "data": "data",
        "model": ModelParams().model_dump(mode="json"),
        "loss": LossParams().model_dump(mode="json"),
        "train": TrainParams().model_dump(mode="json"),
    }
    # What version 0.1 did not know, and what never named a state.
    del (
        values["model"]["lraspp"],
        values["model"]["compact_fpn"],
        values["model"]["smp"]["decoder_width"],
    )
    for name in (
        "accumulation",
        "lanes",
        "profile",
        "sharding",
        "normalisation",
        "scores",
        "partial_validation",
    ):
        del values["train"][name]
    for name in ("noise", "blur"):
        del values["train"]["augment"][name]
    former = state_folder(values)
    (former / "checkpoint-000000001").mkdir(parents=True)
    with held_alone(former), pytest.raises(BusyError):
        identity.take_over_former_state(state)
    assert former.exists()
    assert identity.take_over_former_state(state) is not None
    assert (state / "checkpoint-000000001").is_dir()
    assert not former.exists()
    assert identity.take_over_former_state(state) is None
