"""`segpipe show`: the scores and the places, of networks with one logit and with several."""

import json
from pathlib import Path
from typing import Any

import pytest

from segpipe.cli.main import main
from segpipe.results.evaluation_tables import GroupRow
from segpipe.results.records import new_record, write_table

SCORE = {"iou": 0.9, "dice": 0.95, "accuracy": 0.97, "pixels": 300}
EVALUATION: dict[str, Any] = {
    "miou": 0.85,
    "miou_interval": {"low": 0.8, "high": 0.9},
    "pixel_accuracy": 0.97,
    "pixel_accuracy_interval": None,
    "mean_accuracy": 0.96,
    "frequency_weighted_iou": 0.94,
    "classes": {"rest": SCORE, "sky": SCORE | {"iou": None, "pixels": 100}},
    "protocol": {
        "images": 5,
        "split": "val",
        "resolution": "raw labels",
        "threshold": 0.41,
        "threshold_choice": "train.threshold",
    },
}
FOREGROUND = {
    "class": "sky",
    "by_image": {
        "iou": 0.75,
        "iou_interval": {"low": 0.7, "high": 0.8},
        "dice": 0.8,
        "dice_interval": None,
        "images": 4,
        "images_without_the_class": 1,
    },
    "average_precision": None,
}
TRAINING = {
    "seconds": 10.0,
    "images_per_second": 2.5,
    "wait_share": 0.01,
    "peak_memory_mb": 512.0,
    "processes": 1,
    "precision": "bf16",
    "device": "cpu",
}


def shown(
    folder: Path, evaluation: dict[str, Any], capsys: pytest.CaptureFixture[str], **training: Any
) -> list[str]:
    (folder / "metrics").mkdir()
    (folder / "metrics/evaluation.json").write_text(json.dumps(evaluation))
    (folder / "metrics/training.json").write_text(json.dumps(TRAINING | training))
    assert main(["show"]) == 0
    return capsys.readouterr().out.splitlines()


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_several_logits(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lines = shown(tmp_path, EVALUATION, capsys)
    assert lines[2].split() == ["sky", "-", "95.00", "97.00", "25.00"]
    assert "mIoU                85.00 %  (95 % interval 80.00 to 90.00 %)" in lines
    assert not [line for line in lines if "by image" in line or line.startswith("threshold")]


def test_the_mlflow_run_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lines = shown(tmp_path, EVALUATION, capsys, mlflow_run="0a1b")
    assert "MLflow run          0a1b" in lines


def test_one_logit(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lines = shown(tmp_path, EVALUATION | {"foreground": FOREGROUND}, capsys)
    assert "IoU by image        75.00 %  (95 % interval 70.00 to 80.00 %)" in lines
    assert "by image            4 images with sky, 1 without" in lines
    assert "Dice by image       80.00 %" in lines
    assert "average precision   -" in lines
    assert "threshold           0.41 (train.threshold)" in lines


def test_the_protocol_says_how_edges_are_treated_and_why_there_is_no_interval(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    edges, interval = "mirrored: all pixels are scored", "none: 3 image files with truth; 20 needed"
    protocol = EVALUATION["protocol"] | {"edges": edges, "interval": interval}
    few = EVALUATION | {"miou_interval": None, "protocol": protocol}
    lines = shown(tmp_path, few, capsys)
    assert "mIoU                85.00 %" in lines
    assert f"edges               {edges}" in lines
    assert f"95 % interval       {interval}" in lines
    (measured,) = [line for line in lines if line.startswith("measured on")]
    assert measured.endswith("; edges mirrored; threshold 0.41")


def test_the_table_says_on_what_and_how_it_was_measured(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    protocol = EVALUATION["protocol"] | {
        "pixels": 12345,
        "void_pixels": 678,
        "ignored_ids": "255",
        "label_scheme": "camvid11",
        "class_count": 11,
        "network_input": "240x320, stretch",
        "views": "single scale, no flip",
        "threshold": 0.4,
        "precision": "fp32",
        "processes": 1,
        "temporal": "labels of 5 images",
    }
    lines = shown(tmp_path, EVALUATION | {"protocol": protocol}, capsys)
    images = f"{protocol['images']} images of split {protocol['split']}"
    assert (
        f"measured on         {images}; 12,345 pixels and 678 void (ids 255); 11 classes of camvid11; "
        f"{protocol['resolution']}; network input 240x320, stretch; single scale, no flip; threshold 0.4; "
        "fp32; 1 process"
    ) in lines
    assert "over time           labels of 5 images" in lines


def test_the_worst_groups_are_shown_where_they_hold_several_images(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def group(number: int, images: int) -> GroupRow:
        values = {"group": f"g{number}", "images": images, "miou": number / 10, "pixels": 100}
        return new_record(GroupRow, values | {"pixel_accuracy": None, "category_iou": 0.5})

    shown(tmp_path, EVALUATION, capsys)
    for number, images, expected in ((9, 2, 8), (2, 2, 2), (1, 9, 0), (3, 1, 0)):
        rows = [group(place, images) for place in range(number)]
        write_table(tmp_path / "metrics/groups.csv", GroupRow, rows, protocol="said")
        assert main(["show"]) == 0
        lines = capsys.readouterr().out.splitlines()
        found = [line.split() for line in lines if line.startswith("g")]
        share = f"{100 / number:.2f}"
        assert found[1:] == [
            [f"g{place}", f"{10 * place:.2f}", "-", "50.00", share] for place in range(expected)
        ]
        if expected:
            assert " ".join(found[0]) == "group, all in % mIoU pixel accuracy category IoU pixels"
        more = "and 1 more groups with a higher mIoU, in metrics/groups.csv"
        assert (more in lines) == (number == 9)


def test_a_few_samples_are_a_try(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lines = shown(tmp_path, EVALUATION, capsys, limit=4, train_samples=3)
    assert "ATTENTION           train.limit was 4: trained on 3 samples for a try" in lines


def test_files_that_are_missing_or_of_another_kind_are_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["show"]) == 1
    assert "metrics/evaluation.json: there is no such file" in capsys.readouterr().err
    (tmp_path / "metrics").mkdir()
    (tmp_path / "metrics/evaluation.json").write_text('{"miou": 0.5}')
    assert main(["show"]) == 1
    said = capsys.readouterr().err
    assert "metrics/evaluation.json: is not what the evaluate stage writes" in said
    assert "classes is missing" in said


def test_only_what_is_there_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def places(lines: list[str]) -> list[str]:
        return [line.split()[0] for line in lines[lines.index("", 4) + 1 :]]

    assert places(shown(tmp_path, EVALUATION, capsys)) == ["scores"]
    (tmp_path / "models").mkdir()
    for name in ("metrics/report.html", "mlflow.db"):
        (tmp_path / name).touch()
    assert main(["show"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert places(lines) == ["report", "model", "scores", "MLflow"]
    assert any(line.startswith("model     models/ ") for line in lines)


def test_the_report_is_opened_in_the_browser(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    shown(tmp_path, EVALUATION, capsys)
    opened: list[str] = []
    monkeypatch.setattr("webbrowser.open", lambda address: bool(opened.append(address)))
    assert main(["show", "--open"]) == 1
    assert "metrics/report.html: there is no such file; run `dvc repro render`" in (
        capsys.readouterr().err
    )
    (tmp_path / "metrics/report.html").touch()
    assert main(["show", "--open"]) == 0
    assert opened == [(tmp_path / "metrics/report.html").as_uri()]
    assert "no browser was found here; open " in capsys.readouterr().out
