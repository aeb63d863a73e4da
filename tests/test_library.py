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
    code = f"import segpipe, stages.fetch, sys; {loaded}; segpipe.load_model; {loaded}"
    done = run_python(["-c", code], ROOT)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["False", "True"]
    assert {"load_model", "predict", "score", "read_results"} <= set(segpipe.__all__)
    assert set(segpipe.__all__) <= set(dir(segpipe))
    page = (ROOT / "docs/library.md").read_text()
    for name in segpipe.__all__:
        assert len(getattr(segpipe, name).__doc__) > 30
        assert f"segpipe.{name}" in page
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


def test_a_model_is_named_by_text_and_by_path() -> None:
    for load in (segpipe.load_model, segpipe.Predictor.load):
        for folder in (str(SHIPPED), SHIPPED):
            assert load(folder).scheme.num_classes == 19


def test_the_results_of_a_run_are_read_by_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    images = [(scene(seed)[1] % 3) for seed in range(2)]
    for number, mask in enumerate(images):
        for folder in ("truth", "predictions"):
            save(tmp_path / folder / f"{number}.png", mask)
    (tmp_path / "classes.csv").write_text(
        "id,name,red,green,blue\n0,sky,1,1,1\n1,road,2,2,2\n2,car,3,3,3\n"
    )
    monkeypatch.chdir(tmp_path)
    found = segpipe.score("predictions", "truth", "classes.csv", out="scores")
    run = segpipe.read_results("scores")
    assert run.evaluation.miou == found.miou == 1
    assert run.training is None


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
