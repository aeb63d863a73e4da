"""All stages on clips of generated streets: the temporal consistency of a model of clips and of one of
single images, from the files to the report.
"""

import csv
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from segpipe.cli.main import main
from segpipe.dataset.layout import read_samples
from segpipe.inference.predictor import Predictor
from segpipe.metrics.label_pairs import label_confusion, pair_counts
from segpipe.metrics.optical_flow import dis_flow, earlier_places, moved_labels
from segpipe.metrics.scores import class_counts, miou
from segpipe.params.load import load_params
from segpipe.raw.pictures.files import read_image
from segpipe.results.evaluation import Evaluation
from segpipe.results.records import METRICS, read_record
from segpipe.runtime.errors import ParameterError
from segpipe.runtime.provenance import PARAMETERS, take_snapshot
from segpipe.training.run import run_training
from stages import evaluate, fetch, prepare, render, train
from stages.entry import _run
from tests.forge import ROOT, make_workspace, tiny_parameters, write_parameters

WORLD = ROOT / "data/synthetic.yaml"
FRAMES = 3
CLIPS: dict[str, Any] = {
    "source__name": "synthetic",
    "source__synthetic__train": 2,
    "source__synthetic__val": 3,
    "source__synthetic__test": 0,
    "source__synthetic__height": 64,
    "source__synthetic__width": 128,
    "source__clip__frames": FRAMES,
    "labels__scheme": "cityscapes19",
    "evaluate__temporal": "dis",
    "prepare__height": 64,
    "prepare__width": 128,
    "model__resnet_lstm__grid_height": 2,
    "model__resnet_lstm__grid_width": 4,
    "train__length": 1,
    "train__batch_size": 2,
}


def run(*stages: Any) -> None:
    """Run stages in this process, in the current folder."""
    for stage in stages:
        params = load_params(PARAMETERS)
        snapshot = take_snapshot(stage.__name__.removeprefix("stages."))
        if stage is train:
            run_training(train.planned(params, snapshot), train.PREPARED, train.OUTPUTS)
        else:
            stage.run(params, snapshot)


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    workspace = make_workspace(tmp_path_factory.mktemp("clips") / "w", WORLD, **CLIPS)
    with pytest.MonkeyPatch.context() as patching:
        patching.chdir(workspace)
        run(fetch, prepare)
    return workspace


@pytest.mark.parametrize("model", [pytest.param("unet", marks=pytest.mark.slow), "resnet_lstm"])
def test_the_score_is_that_of_predictions_made_by_hand(
    model: str,
    prepared: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(prepared)
    write_parameters(Path("params.yaml"), tiny_parameters(WORLD, **CLIPS, model__name=model))
    run(train, evaluate, render)
    predictor, raw = Predictor.load(Path("models")), Path("data/raw")
    assert predictor.frames == (FRAMES if model == "resnet_lstm" else 1)
    counts_K3 = np.zeros((19, 3), np.int64)
    samples = read_samples(Path("data/prepared/val/index.csv"))
    for sample in samples:
        drive = sample.image.replace("leftImg8bit/", "leftImg8bit_sequence/").split("000019_")[0]
        film = [read_image(raw / f"{drive}{k:06d}_leftImg8bit.png") for k in range(16, 20)]
        now, before = (predictor.predict(np.stack(film[k : k + FRAMES])) for k in (1, 0))
        places = earlier_places(dis_flow(film[3], film[2]), dis_flow(film[2], film[3]))
        moved = moved_labels(before, places)
        counts_K3 += class_counts(label_confusion(pair_counts(now, moved), 19))
    found = read_record(Evaluation, METRICS / Evaluation.file)
    assert found.temporal is not None and found.temporal.consistency is not None
    assert found.temporal.consistency == pytest.approx(float(miou(counts_K3)), abs=1e-6)
    assert found.temporal.compared == pytest.approx(
        counts_K3[:, 0].sum() / (len(samples) * 64 * 128), abs=1e-6
    )
    assert found.temporal.compared > 0.5
    said = found.protocol.temporal
    assert said is not None and "labels of 3 images" in said and "left out" not in said
    with (METRICS / "images.csv").open() as file:
        assert all(float(row["temporal_miou"]) > 0 for row in csv.DictReader(file))
    capsys.readouterr()
    assert main(["show"]) == 0
    shown = capsys.readouterr().out
    page = (METRICS / "report.html").read_text()
    for told in (shown, page):
        assert f"{100 * found.temporal.consistency:.2f}" in told
        assert "temporal consistency" in told and "temporal-IoU" in told
        assert "DIS optical flow (OpenCV" in told


def test_a_missing_opencv_stops_every_stage_before_any_work(
    prepared: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(prepared)
    monkeypatch.setitem(sys.modules, "cv2", None)
    done: list[str] = []
    with pytest.raises(ParameterError, match=r"pip install 'segpipe\[video\]'"):
        _run("train", lambda params, snapshot: done.append("work"))
    assert done == []
