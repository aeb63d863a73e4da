"""`segpipe predict` with one logit a pixel: the mask is what lies above the bundle's threshold."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from segpipe.bundle import load_bundle, plain_weights, save_bundle
from segpipe.cli.main import main
from segpipe.inference.predictor import Predictor
from segpipe.labels.load import built_in_scheme
from segpipe.models.build import build_model
from segpipe.params.model import MiniUNetParams, ModelParams
from segpipe.raw.input_spec import PICTURES, InputSpec
from tests.forge import save, scene

PARAMS = ModelParams(name="mini_unet", mini_unet=MiniUNetParams(width=4))


def bundle(folder: Path, threshold: float) -> Path:
    """The bundle of an untrained network, whose probabilities lie on both sides of 0.5."""
    torch.manual_seed(0)
    network = build_model(PARAMS, 3, 1, 1)
    spec = InputSpec(PICTURES, 32, 48, "stretch", 1, [0.4] * 3, [0.2] * 3)
    weights = plain_weights(network)
    weights["head.weight"] *= 20
    folder.mkdir()
    scheme = built_in_scheme("camvid_sky")
    save_bundle(folder, weights, weights, PARAMS, scheme, spec, "fp32", {}, threshold)
    return folder


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_masks_hold_the_raw_ids_of_what_lies_above_the_threshold(
    share: float, tmp_path: Path
) -> None:
    image = scene(3)[0]
    save(tmp_path / "images/street.png", image)
    logits = Predictor(load_bundle(bundle(tmp_path / "first", 0.5))).logits(image[None])
    threshold = float(logits.sigmoid().quantile(1 - share))
    assert 0 < threshold < 1
    models = bundle(tmp_path / "models", threshold)
    arguments = [str(tmp_path / "images"), "--out", str(tmp_path / "out"), "--bundle", str(models)]
    assert main(["predict", *arguments]) == 0
    with Image.open(tmp_path / "out/street.png") as picture:
        mask = np.asarray(picture)
    # Of CamVid's ids 0 is sky, and 1 the first of the rest.
    assert np.unique(mask).tolist() == [0, 1]
    assert ((mask == 0) == (logits[0].sigmoid() > threshold).cpu().numpy()).all()
    assert (mask == 0).mean() == pytest.approx(share, abs=0.02)
    with Image.open(tmp_path / "out/overlays/street.png") as picture:
        assert picture.size == (64, 48)
