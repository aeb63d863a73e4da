"""The HTML report: its numbers are those of the records, it is self-contained, and names are escaped."""

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from segpipe.params.schema import Params
from segpipe.rendering.html.page import interval, number, percent
from segpipe.rendering.layout import LegendEntry
from segpipe.rendering.report import examples as embedding
from segpipe.rendering.report.charts import Line, Scale, fitted, line_chart
from segpipe.rendering.report.curves import training_charts
from segpipe.rendering.report.examples import Example, embedded_examples
from segpipe.rendering.report.report import write_report
from segpipe.rendering.report.reproduction import reproduction
from segpipe.results.data_report import DataReport
from segpipe.results.evaluation import Evaluation
from segpipe.results.evaluation_tables import (
    BoundaryRow,
    ConfusionCell,
    GroupRow,
    ImageRow,
    PrecisionRecallPoint,
    ReliabilityBin,
)
from segpipe.results.records import new_record, read_table, write_record, write_table
from segpipe.results.training import ClassHistoryRow, HistoryRow, TrainingSummary
from segpipe.runtime.atomic import write_json
from tests.forge import ROOT
from tests.rendering.html_page import Page

EVIL = """<b>&"'"""
CLASSES = {
    "road": {"iou": 0.91234, "dice": 0.9541, "precision": None, "auroc": 0.99012, "pixels": 750},
    EVIL: {"iou": None, "dice": None, "precision": None, "auroc": None, "pixels": 0},
    "pole": {"iou": 0.12345, "dice": 0.2198, "precision": 0.5011, "auroc": 0.7003, "pixels": 250},
}
EVALUATION: dict[str, Any] = {
    "miou": 0.517895,
    "miou_interval": {"low": 0.45678, "high": 0.56789},
    "pixel_accuracy": 0.87654,
    "pixel_accuracy_interval": None,
    "boundaries": [
        {"percent": 0.75, "iou": 0.3131, "iou_interval": None, "f": 0.4141, "f_interval": None}
    ],
    "classes": CLASSES,
    "protocol": {
        "split": "val",
        "images": 1234,
        "groups": 2,
        "pixels": 1000,
        "resolution": "raw labels",
        "label_scheme": EVIL,
        "views": "single scale",
        "left_out": {"tram": 3},
    },
}
TRAINING = {
    "seconds": 187.44,
    "images_per_second": 12.345,
    "wait_share": 0.01234,
    "peak_memory_mb": 2048.4,
    "processes": 2,
    "precision": "bf16",
    "device": "a <device>",
    "train_samples": 8,
    "limit": 8,
}
HISTORY = [
    {"epoch": 1, "val_loss": 2.25, "val_miou": 0.1111, "val_pixel_accuracy": 0.2222},
    {"epoch": 2, "val_loss": None, "val_miou": None, "val_pixel_accuracy": None},
    {"epoch": 3, "val_loss": 1.75, "val_miou": 0.3333, "val_pixel_accuracy": 0.4444},
]
DATA = {
    "errors": 0,
    "warnings": 1,
    "scheme": EVIL,
    "findings": [
        {
            "kind": "tiny",
            "severity": "warning",
            "text": f"12 images of `{EVIL}` are small",
            "repair": "look at them",
            "items": [f"{number}.png" for number in range(12)],
            "pictures": ["pictures/a.png"],
        }
    ],
    "splits": {
        "train": {
            "samples": 1000,
            "masks": 999,
            "groups": 3,
            "pixels": 4567,
            "void_pixels": 5,
            "void_share": 0.0512,
            "mean_brightness": 0.4321,
        },
    },
    "classes": [
        {
            "name": EVIL,
            "splits": {"train": {"pixels": 3, "share": 0.123456, "images": 77}},
            "weights": {"enet": 2.0},
        }
    ],
    "image_sizes": {f"{size}x8": size for size in range(2001, 2020)},
    "image_modes": {"RGB": 1000},
    "mask_modes": {},
    "left_out": 7,
    "excluded": {"tram": 1007},
}
REST = {
    "step": 4,
    "lr": 0.1,
    "train_loss": 1.5,
    "images_per_second": 1.0,
    "wait_seconds": 0.0,
    "peak_memory_mb": 1.0,
    "seconds": 1.0,
}


@pytest.fixture
def metrics(tmp_path: Path) -> Path:
    folder = tmp_path / "metrics"
    folder.mkdir()
    write_record(folder / Evaluation.file, new_record(Evaluation, EVALUATION))
    write_record(folder / TrainingSummary.file, new_record(TrainingSummary, TRAINING))
    tables: dict[Any, list[dict[str, Any]]] = {
        HistoryRow: [REST | row for row in HISTORY],
        ClassHistoryRow: [
            {"epoch": epoch, "step": 1, "class": name, "iou": iou}
            for epoch, ious in ((0.5, (0.1, None, 0.3)), (2, (0.4, None, 0.0)))
            for name, iou in zip(("road", EVIL, "pole"), ious, strict=True)
        ],
        ConfusionCell: [
            {"actual": actual, "predicted": predicted, "count": 5, "share": share}
            for actual, shares in (("road", (0.9, 0.1)), (EVIL, (None, None)))
            for predicted, share in zip(("road", EVIL), shares, strict=True)
        ],
        GroupRow: [
            {"group": EVIL, "images": 2, "miou": 0.3, "pixel_accuracy": 0.61, "pixels": 12345}
            | {"calibration_error": 0.0123, "mean_auroc": 0.9345, "class_iou": [0.6123, None, 0]},
            {"group": "b", "images": 3, "miou": 0.4, "pixel_accuracy": 0.71, "pixels": 2}
            | {"calibration_error": None, "class_iou": [None, 0.25, 1]},
        ],
        BoundaryRow: [
            {"class": name, "percent": width, "boundary_iou": score, "boundary_f": 0.6}
            for name, score in (("road", 0.5), (EVIL, None), ("pole", 0.25))
            for width in (0.75, 2.0)
        ],
        ReliabilityBin: [
            {"low": 0.8, "high": 0.9, "pixels": 5, "confidence": 0.8512, "accuracy": 0.7531},
            {"low": 0.9, "high": 1.0, "pixels": 0, "confidence": None, "accuracy": None},
        ],
        ImageRow: [{"name": EVIL, "miou": 0.1313, "pixel_accuracy": 0.2424, "pixels": 9}],
        PrecisionRecallPoint: [
            {"class": "road", "threshold": None, "precision": 0.5, "recall": 0.5}
        ],
    }
    write_json(folder / DataReport.file, DATA)
    for model, rows in tables.items():
        write_table(folder / model.file, model, [new_record(model, row) for row in rows])
    return folder


def example(kind: str = "worst", name: str = EVIL, frames: int = 0, side: int = 32) -> Example:
    random = np.random.default_rng(0)
    picture = random.integers(0, 255, (side, 2 * side, 3)).astype(np.uint8)
    panels = dict.fromkeys(("image", "truth", "prediction", "errors"), picture)
    return Example(kind, name, panels, [picture] * frames)


def written(metrics: Path, **more: Any) -> tuple[str, Page]:
    path = metrics / "report.html"
    write_report(path, metrics, **more)
    text = path.read_text(encoding="utf-8")
    return text, Page(text)


def test_every_number_is_that_of_the_records(metrics: Path) -> None:
    _, page = written(metrics)
    assert page.tables["classes"] == [
        ["class", "IoU", "share", "Dice", "precision", "AUROC"],
        ["pole", "12.35", "25.00", "21.98", "50.11", "70.03"],
        ["road", "91.23", "75.00", "95.41", "-", "99.01"],
        [EVIL, "-", "0.00", "-", "-", "-"],
    ]
    assert page.tables["scores"][1:] == [
        ["mIoU", "51.79", "45.68 to 56.79"],
        ["pixel accuracy", "87.65", ""],
        ["Boundary IoU within 0.75 % of the diagonal", "31.31", ""],
        ["boundary F within 0.75 % of the diagonal", "41.41", ""],
    ]
    assert page.tables["class-history"] == [
        ["epoch", "0.5", "2"],
        ["pole", "30.0", "0.0"],
        ["road", "10.0", "40.0"],
        [EVIL, "-", "-"],
    ]
    assert page.tables["confusion"] == [
        ["true class", "road", EVIL],
        ["road", "90.0", "10.0"],
        [EVIL, "-", "-"],
    ]
    assert page.tables["groups"] == [
        [
            "group",
            "mIoU, %",
            "pixel accuracy, %",
            "calibration error, %",
            "mean AUROC, %",
            "images",
            "pixels",
        ],
        [EVIL, "30.00", "61.00", "1.23", "93.45", "2", "12,345"],
        ["b", "40.00", "71.00", "-", "-", "3", "2"],
    ]
    assert page.tables["group-classes"] == [
        ["group", "road", EVIL, "pole"],
        [EVIL, "61.2", "-", "0.0"],
        ["b", "-", "25.0", "100.0"],
    ]
    assert page.tables["outlines"] == [
        ["class", "IoU, 0.75 %", "F, 0.75 %", "IoU, 2 %", "F, 2 %"],
        ["pole", "25.00", "60.00", "25.00", "60.00"],
        ["road", "50.00", "60.00", "50.00", "60.00"],
        [EVIL, "-", "60.00", "-", "60.00"],
    ]
    assert ["images", "1,234"] in page.tables["protocol"]
    assert ["left out", "tram: 3"] in page.tables["protocol"]
    cost = page.texts["cost"]
    told = dict(zip(cost[1::2], cost[2::2], strict=False))
    assert told["images/s"] == "12.35"
    assert told["training, s"] == "187.4"
    assert told["peak memory, MB"] == "2,048"
    assert told["waiting for data"] == "1.23 %"
    assert "a <device>" in cost
    head = page.texts[""]
    assert "mIoU 51.79 %" in head
    assert "95 % interval 45.68 to 56.79 %" in head
    assert "Trained on 8 samples for a try (train.limit)." in head


def test_the_curves_show_each_point_once(metrics: Path) -> None:
    _, page = written(metrics)
    told = [text for text in page.texts["curves"] if ":" in text]
    assert told == [
        "training: epoch 1, loss 1.5",
        "training: epoch 2, loss 1.5",
        "training: epoch 3, loss 1.5",
        "validation: epoch 1, loss 2.25",
        "validation: epoch 3, loss 1.75",
        "mIoU: epoch 1, score 11.11 %",
        "mIoU: epoch 3, score 33.33 %",
        "pixel accuracy: epoch 1, score 22.22 %",
        "pixel accuracy: epoch 3, score 44.44 %",
    ]
    assert "pixels: confidence 85.12 %, accuracy 75.31 %" in page.texts["reliability"]


def test_each_line_of_a_chart_has_a_colour() -> None:
    """Of the largest chart, in the styles for light and for dark."""
    values = dict.fromkeys(("val_miou", "val_weighted_f1", "partial_val_miou"), 0.5)
    charts = training_charts([new_record(HistoryRow, REST | HISTORY[0] | values)])
    most = max(len(chart.names) for chart in charts)
    assert most == 4
    style = (ROOT / "segpipe/rendering/html/base.html.jinja").read_text()
    for place in range(most):
        assert style.count(f"--s{place}: #") == 2
        for mark in ("path", "circle", ".keys "):
            assert f"{mark}.s{place} {{" in style


def test_the_curves_of_the_training_are_drawn_beside_those_of_the_validation() -> None:
    rows = [new_record(HistoryRow, REST | row) for row in HISTORY]
    plain = [(chart.title, chart.names) for chart in training_charts(rows)]
    assert plain[1:] == [("Scores of the validation images", ["mIoU", "pixel accuracy"])]
    counted = {"val_weighted_f1": 0.5, "train_miou": 0.25, "train_pixel_accuracy": 0.75}
    rows = [new_record(HistoryRow, REST | row | counted) for row in HISTORY]
    charts = training_charts(rows)
    assert [(chart.title, chart.names) for chart in charts[1:]] == [
        ("Scores of the validation images", ["mIoU", "pixel accuracy", "weighted F1"]),
        ("Mean IoU", ["training", "validation"]),
        ("Pixel accuracy", ["training", "validation"]),
    ]
    assert "training: epoch 2, score 75 %" in charts[3].drawing


def test_it_is_self_contained_and_names_are_escaped(metrics: Path) -> None:
    legend = [LegendEntry(EVIL, (1, 2, 3)), LegendEntry("void", None)]
    how = reproduction({"git_commit": "abc-dirty", "data": EVIL}, Params())
    text, page = written(metrics, examples=[example(frames=3)], legend=legend, reproduction=how)
    assert "<b>&" not in text
    assert "http" not in text
    assert not re.search(r"\b(None|nan|NaN|inf|Undefined)\b", text)
    assert not {tag for tag, _ in page.elements} & {"link", "script", "iframe", "object", "base"}
    sources = [about["src"] or "" for _, about in page.elements if "src" in about]
    assert len(sources) == 3 + 4
    assert all(source.startswith("data:image/jpeg;base64,") for source in sources)
    assert not [about for _, about in page.elements if "href" in about]
    assert f"worst: {EVIL}" in page.texts["examples"]
    assert "mIoU 13.13 %, pixel accuracy 24.24 %" in page.texts["examples"]
    assert [text for text in page.texts["examples"] if text.startswith("frame")] == [
        "frame -3",
        "frame -2",
        "frame -1",
    ]
    assert ["digest of the prepared data", EVIL] in page.tables["reproduction"]


def test_what_prepare_found_is_in_it(metrics: Path) -> None:
    text, page = written(metrics, data=metrics)
    rows = page.tables["data"]
    assert rows[1] == ["train", "1,000", "999", "3", "4,567", "5.12", "43.2"]
    assert rows[2:4] == [["class", "train, %", "train, images"], [EVIL, "12.346", "77"]]
    assert rows[4:14] == [[f"{size}x8", f"{size:,}"] for size in range(2001, 2011)]
    assert rows[14:] == [["RGB", "1,000"], ["tram", "1,007"]]
    told = page.texts["data"]
    assert told[1].startswith("The prepare stage found 1 warning and left out 7 samples.")
    assert "What to do: look at them." in told
    assert [one for one in told if one.endswith(".png")] == [f"{n}.png" for n in range(10)]
    assert "2 more, listed in report.json" in told
    assert "9 more, listed in report.json" in told
    assert "<b>&" not in text
    assert not re.search(r"href|src|\bNone\b", text)
    assert "data" not in written(metrics)[1].tables


def test_what_older_results_lack_is_left_out(metrics: Path) -> None:
    for path in metrics.iterdir():
        if path.name != Evaluation.file:
            path.unlink()
    content = json.loads((metrics / Evaluation.file).read_text())
    del content["boundaries"]
    content |= {"miou": None, "miou_interval": None, "pixel_accuracy": None}
    content["protocol"] = {"split": "test", "images": 3, "resolution": "raw labels"}
    (metrics / Evaluation.file).write_text(json.dumps(content))
    text, page = written(metrics)
    sections = {about["id"] for tag, about in page.elements if tag == "section"}
    assert sections == {"classes", "scores", "protocol"}
    assert "no scores" in page.texts[""]
    assert not re.search(r"\b(None|nan|NaN|inf)\b", text)


def test_many_classes_and_groups_stay_readable(metrics: Path) -> None:
    names = [f"class {number}" for number in range(150)]
    cells = [
        ConfusionCell(actual=a, predicted=b, count=1, share=(k + 150 * (a != b)) / 22500)
        for a in names
        for k, b in enumerate(names)
    ]
    write_table(metrics / ConfusionCell.file, ConfusionCell, cells)
    group = read_table(GroupRow, metrics / GroupRow.file)[0]
    write_table(metrics / GroupRow.file, GroupRow, [group] * 5000)
    text, page = written(metrics)
    assert len(text) < 300_000
    assert page.tables["confusion"][0] == ["true class", "predicted class", "%", "pixels"]
    assert len(page.tables["confusion"]) == len(page.tables["groups"]) == 61
    assert "The first 60 of 5,000; groups.csv has all." in page.texts["groups"]
    scores = EVALUATION | {"classes": dict.fromkeys(names, CLASSES["road"])}
    write_record(metrics / Evaluation.file, new_record(Evaluation, scores))
    assert "group-classes" not in written(metrics)[1].tables, "groups.csv has them"


def test_pictures_of_noise_stay_below_five_megabytes(
    metrics: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    noise = [example(name=str(n), frames=3, side=240) for n in range(9)]
    written(metrics, examples=noise)
    size = (metrics / "report.html").stat().st_size
    assert 1_000_000 < size < 5_000_000
    monkeypatch.setattr(embedding, "_BUDGET", 200_000)
    few = embedded_examples(noise)
    assert [one.name for one in few] == [str(n) for n in range(len(few))]
    assert 0 < len(few) < 9


def test_how_to_make_it_again() -> None:
    params = Params.model_validate({"render": {"images": 3}})
    lineage = {
        "git_commit": "0123abcd-dirty",
        "data": "digest",
        "parameters": {"train": {"seed": 5, "lr": 0.5}, "render": {"images": 99}},
    }
    how = reproduction(lineage, params)
    assert how.command == "git checkout 0123abcd\ndvc repro"
    assert how.facts == {
        "commit": "0123abcd; files differed from it",
        "digest of the prepared data": "digest",
        "seed": "5",
    }
    usual = Params().train
    assert how.changed == {
        "train.seed": ("5", str(usual.seed)),
        "train.lr": ("0.5", str(usual.lr)),
        "render.images": ("3", str(Params().render.images)),
    }
    unknown = reproduction({}, Params())
    assert unknown.command == "dvc repro"
    assert unknown.facts == {"commit": "none: trained outside a git repository"}


def test_a_chart_has_round_ticks_within_its_axes() -> None:
    assert Scale("", 0.0, 1.0).ticks() == pytest.approx([0, 0.2, 0.4, 0.6, 0.8, 1])
    assert fitted("", [3.0]).ticks()
    for low, high in ((0.0, 1e-6), (-3.0, 4e7), (0.131, 0.1310001)):
        scale = fitted("", [low, high])
        assert scale.low <= low < high <= scale.high
        assert 2 <= len(scale.ticks()) <= 12
    with pytest.raises(ValueError, match="no point"):
        line_chart([Line("a", [])], Scale("", 0, 1), Scale("", 0, 1))


def test_values_without_meaning_are_a_dash() -> None:
    assert percent(None) == percent(float("nan")) == number(None) == "-"
    assert number(1234567) == "1,234,567"
    assert interval(None) == ""
