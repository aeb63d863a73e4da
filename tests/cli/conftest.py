"""A bundle of an untrained network for the command line."""

from pathlib import Path

import pytest
import torch

from segpipe.bundle import plain_weights, save_bundle
from segpipe.labels.load import load_scheme
from segpipe.models.build import build_model
from segpipe.params.model import ModelParams, UNetParams
from segpipe.raw.input_spec import PICTURES, InputSpec
from tests.forge import CLASSES_CSV


@pytest.fixture(scope="session")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("bundle")
    (folder / "classes.csv").write_text(CLASSES_CSV)
    params = ModelParams(unet=UNetParams(width=4, depth=3))
    torch.manual_seed(0)
    weights = plain_weights(build_model(params, 3, 3))
    spec = InputSpec(PICTURES, 24, 40, "pad", 1, [0.4, 0.4, 0.4], [0.2, 0.2, 0.2])
    scheme = load_scheme("classes.csv", {}, folder)
    save_bundle(folder, weights, weights, params, scheme, spec, "fp32", {"data": "x"})
    return folder
