"""segpipe as a library, and the model that comes with it."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import segpipe
from segpipe.bundle_format import SHIPPED
from segpipe.cli.main import main
from tests.forge import ROOT, run_python, save, scene


def test_names_are_imported_when_they_are_used() -> None:
    loaded = "print('torch' in sys.modules)"
    code = f"import segpipe, sys; {loaded}; segpipe.load_model; {loaded}"
    done = run_python(["-c", code], ROOT)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["False", "True"]
    assert all(getattr(segpipe, name) is not None for name in segpipe.__all__)
    with pytest.raises(AttributeError, match="no attribute 'load_modle'"):
        segpipe.load_modle  # noqa: B018


def test_the_shipped_model_is_small_and_knows_streets() -> None:
    assert sum(path.stat().st_size for path in SHIPPED.iterdir()) < 3_000_000
    model = segpipe.load_model()
    assert model.scheme.num_classes == 19
    assert model.bundle.lineage["parameters"]["source"]["name"] == "synthetic"
    image_HW3, _ = scene(0, height=96, width=192)
    labels_HW = model.predict(image_HW3[None])
    assert labels_HW.shape == (96, 192)
    assert labels_HW.max() < 19


def test_predict_works_before_anything_is_trained(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    save(tmp_path / "street.png", scene(0)[0])
    assert main(["predict", "street.png", "--out", "labels"]) == 0
    said = capsys.readouterr().out
    assert "models/ holds no model yet; the one that comes with segpipe is used" in said
    assert np.asarray(Image.open("labels/street.png")).shape == (48, 64)
    assert Path("labels/overlays/street.png").is_file()
