"""A bundle of every released format opens and predicts what it predicted when it was made."""

from pathlib import Path

import numpy as np
import pytest
import torch

from segpipe.bundle import load_bundle, plain_weights, save_bundle
from segpipe.bundle_format import FORMAT, read_description
from segpipe.inference.predictor import Predictor
from segpipe.params.model import ModelParams, PSPNetParams
from segpipe.raw.pictures.files import read_image
from tests.forge import ROOT

BUNDLES = sorted((ROOT / "tests/data/bundles").glob("format*"))


def test_there_is_a_bundle_of_each_format_from_3_to_the_present() -> None:
    assert [path.name for path in BUNDLES] == [f"format{n}" for n in range(3, FORMAT + 1)]


@pytest.mark.parametrize("folder", BUNDLES, ids=[path.name for path in BUNDLES])
def test_bundles_of_each_format_predict_what_was_noted(folder: Path) -> None:
    predictor = Predictor.load(folder, torch.device("cpu"))
    logits_Khw = predictor.logits(read_image(folder / "image.png")[None])
    # The bits differ between processors; the file beside was noted where the bundle was made.
    np.testing.assert_allclose(logits_Khw.numpy(), np.load(folder / "logits.npy"), atol=1e-5)
    labels_hw = predictor.train_ids(logits_Khw)
    assert len(np.unique(labels_hw)) > 1
    np.testing.assert_array_equal(labels_hw, np.load(folder / "labels.npy"))


@pytest.mark.parametrize("folder", BUNDLES, ids=[path.name for path in BUNDLES])
def test_an_older_bundle_saved_again_is_one_of_the_present_format(
    folder: Path, tmp_path: Path
) -> None:
    one = load_bundle(folder)
    weights = plain_weights(one.model)
    save_bundle(
        tmp_path,
        weights,
        weights,
        one.model_params,
        one.scheme,
        one.input,
        one.precision,
        one.lineage,
    )
    again = load_bundle(tmp_path)
    assert (again.model_params, again.scheme) == (one.model_params, one.scheme)
    assert (again.input, again.precision, again.lineage) == (one.input, one.precision, one.lineage)
    assert set(read_description(tmp_path)["model"]) == {"name", "pretrained", "unet"}


def test_options_of_other_models_are_no_part_of_a_bundle(tmp_path: Path) -> None:
    one = load_bundle(BUNDLES[-1])
    weights, described = plain_weights(one.model), []
    for dropout in (0.1, 0.4):
        options = PSPNetParams(dropout=dropout)
        params = ModelParams(name="unet", unet=one.model_params.unet, pspnet=options)
        save_bundle(tmp_path, weights, weights, params, one.scheme, one.input, one.precision, {})
        described.append((tmp_path / "model.json").read_bytes())
    assert described[0] == described[1]
