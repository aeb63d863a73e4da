"""The pipeline on pictures of 16 bits and of five channels: the same values in every stage."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from segpipe.cli.main import main
from segpipe.dataset.reader import open_dataset
from segpipe.inference.predictor import Predictor
from segpipe.params.load import load_params
from segpipe.raw.geometry import resize_image
from segpipe.raw.input_spec import picture_of
from segpipe.raw.pictures.deep import read_scaled
from segpipe.runtime.provenance import PARAMETERS, take_snapshot
from segpipe.training.run import run_training
from stages import evaluate, fetch, prepare, render, train
from tests.forge import make_workspace
from tests.raw.pictures.made import write_deep_png, write_tiff

STAGES = {
    "fetch": fetch,
    "prepare": prepare,
    "train": train,
    "evaluate": evaluate,
    "render": render,
}
HEIGHT, WIDTH = 40, 60
GREYS_OFF: dict[str, Any] = {"train__augment__saturation": [1.0, 1.0], "prepare__fit": "pad"}


def make_data(root: Path, channels: int) -> Path:
    """Values of 12 bits in files of 16: the second class is brighter in the last channel alone."""
    random = np.random.default_rng(channels)
    for split, number in (("train", 6), ("val", 3)):
        for place in range(number):
            truth_HW = np.kron(random.integers(0, 2, (4, 6)), np.ones((10, 10), int))
            values_HWC = random.integers(0, 2000, (HEIGHT, WIDTH, channels)).astype(np.uint16)
            values_HWC[..., -1] += (2000 * truth_HW).astype(np.uint16)
            image = root / f"images/{split}/{place}"
            if channels == 3:
                write_deep_png(image.with_suffix(".png"), values_HWC)
            else:
                write_tiff(image.with_suffix(".tif"), values_HWC)
            mask = root / f"masks/{split}/{place}.webp"
            mask.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(truth_HW.astype(np.uint8)).convert("RGB").save(mask, lossless=True)
    (root / "classes.csv").write_text("value;class\n0;land\n1;water\n")
    return root


@pytest.fixture(scope="module", params=[3, 5])
def finished(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace in which all stages have run."""
    root = tmp_path_factory.mktemp("deep")
    workspace = make_workspace(root / "w", make_data(root / "own", request.param), **GREYS_OFF)
    with pytest.MonkeyPatch.context() as patching:
        patching.chdir(workspace)
        for stage, module in STAGES.items():
            params, snapshot = load_params(PARAMETERS), take_snapshot(stage)
            if stage == "train":
                run_training(train.planned(params, snapshot), train.PREPARED, train.OUTPUTS)
            else:
                module.run(params, snapshot)  # type: ignore[attr-defined]
    return workspace


def picture(workspace: Path) -> Path:
    return next((workspace.parent / "own/images/val").glob("0.*"))


def scaled(workspace: Path) -> NDArray[np.float16]:
    scaling = open_dataset(workspace / "data/prepared").input.files.scaling
    assert scaling is not None
    assert 1900 < max(scaling.high) < 4000
    return read_scaled(picture(workspace), scaling)[0]


def test_prepared_images_are_the_scaled_values(finished: Path) -> None:
    dataset = open_dataset(finished / "data/prepared")
    frame_HWC = dataset.split("val").images_NTHWC[0, 0]
    assert frame_HWC.dtype == np.float16
    image_HWC = scaled(finished)
    resized = resize_image(image_HWC, 32, 48)
    np.testing.assert_array_equal(frame_HWC, resized)
    mean_C = np.array(dataset.input.mean)
    train_C = dataset.split("train").images_NTHWC[:].astype(np.float64).mean((0, 1, 2, 3))
    np.testing.assert_allclose(mean_C, train_C, atol=1e-6)


def test_the_model_predicts_such_a_picture_as_it_was_scored(
    finished: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(finished)
    predictor = Predictor.load(Path("models"))
    image_HWC, seen_HW = predictor.reader.read_image(picture(finished))
    np.testing.assert_array_equal(image_HWC, scaled(finished))
    assert seen_HW.all()
    expected_HW = predictor.predict(image_HWC[None])
    assert main(["predict", str(picture(finished)), "--out", "out"]) == 0
    np.testing.assert_array_equal(np.asarray(Image.open("out/0.png")), expected_HW)
    overlay_HW3 = np.asarray(Image.open("out/overlays/0.png"))
    assert overlay_HW3.shape == (HEIGHT, WIDTH, 3)
    shown_HW3 = picture_of(image_HWC, predictor.input.files)
    assert np.abs(overlay_HW3.astype(int) - shown_HW3).mean() < 128
    assert json.loads(Path("metrics/evaluation.json").read_text())["protocol"]["pixels"] == (
        3 * HEIGHT * WIDTH
    )


def test_a_picture_of_8_bits_is_named_and_skipped(
    finished: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(finished)
    Image.fromarray(np.zeros((8, 8, 3), np.uint8)).save("plain.png")
    assert main(["predict", "plain.png", "--out", "out2"]) == 1
    assert "has 3 channels of 8 bits" in capsys.readouterr().err
