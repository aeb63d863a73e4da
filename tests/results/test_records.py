"""The schema of metrics/ (records.py, evaluation.py, training.py): what is written is read again, what
other versions wrote is read or refused in words, and every score is shown.
"""

import itertools
import json
import re
import typing
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel, ValidationError

from segpipe.cli.main import main
from segpipe.results.evaluation import (
    CategoryScores,
    ClassScores,
    Evaluation,
    EvaluationProtocol,
    Foreground,
    ForegroundByImage,
)
from segpipe.results.evaluation_tables import (
    ClassRow,
    ConfusionCell,
    ImageRow,
    PrecisionRecallPoint,
    class_rows,
    headline_scores,
)
from segpipe.results.records import (
    Interval,
    Record,
    new_record,
    read_record,
    read_table,
    shown_fields,
    shown_values,
    write_record,
    write_table,
)
from segpipe.results.training import (
    HistoryRow,
    PlannedRate,
    TrainedRun,
    TrainingSummary,
    training_headline,
)
from segpipe.runtime.errors import DataError

# Fields of evaluation.json that are numbers with a fraction and yet no scores.
NO_SCORES = {"best_threshold", "percent", "auroc_bound", "average_precision_bound"}
TRAINING: dict[str, Any] = {
    "best_epoch": 3,
    "epochs": 4.5,
    "val_miou": 0.5,
    "images_per_second": 2.5,
    "seconds": 10.0,
    "wait_share": 0.01,
    "peak_memory_mb": 512.0,
    "processes": 1,
    "precision": "bf16",
    "device": "cpu",
}
HISTORY: dict[str, Any] = {
    "epoch": 1,
    "step": 1234567,
    "lr": 0.015625,
    "train_loss": 2.0,
    "val_loss": None,
    "val_miou": None,
    "val_pixel_accuracy": None,
    "images_per_second": 12.5,
    "wait_seconds": 0.25,
    "peak_memory_mb": 1234567.0,
    "seconds": 3.5,
}


def kinds(annotation: Any) -> list[Any]:
    """The types that an annotation names: of `dict[str, float | None]`, dict, str, float and None."""
    origin, inner = typing.get_origin(annotation), typing.get_args(annotation)
    return [origin or annotation, *(kind for part in inner for kind in kinds(part))]


def model_within(annotation: Any) -> type[BaseModel] | None:
    found = (kind for kind in kinds(annotation) if isinstance(kind, type))
    return next((kind for kind in found if issubclass(kind, BaseModel)), None)


def models_of_scores(model: type[BaseModel]) -> Iterator[type[BaseModel]]:
    """The model and all that its fields hold, but for intervals and the protocol."""
    yield model
    for field in model.model_fields.values():
        inner = model_within(field.annotation)
        if inner is not None and inner not in (Interval, EvaluationProtocol):
            yield from models_of_scores(inner)


def filled(model: type[BaseModel], number: Callable[[], float]) -> dict[str, Any]:
    """A value for each key of the model: another one from `number` for each that is a fraction."""
    return {
        field.serialization_alias or name: value_of(field.annotation, number)
        for name, field in model.model_fields.items()
    }


def value_of(annotation: Any, number: Callable[[], float]) -> Any:
    inner = model_within(annotation)
    match kinds(annotation):
        case found if list in found and inner:
            return [filled(inner, number)]
        case found if dict in found:
            return {n: filled(inner, number) if inner else 3 for n in ("road", "sky")}
        case _ if inner:
            return filled(inner, number)
        case found if float in found:
            return number()
        case found:
            return 7 if int in found else "a word"


def whole_evaluation() -> dict[str, Any]:
    """An evaluation.json in which no two fractions are equal."""
    counter = itertools.count(1)
    return filled(Evaluation, lambda: next(counter) / 1000)


def test_every_score_has_a_label() -> None:
    models = list(models_of_scores(Evaluation))
    assert {Evaluation, Foreground, ForegroundByImage, ClassScores} <= set(models)
    unlabelled = {
        name
        for model in models
        for name, field in model.model_fields.items()
        if float in kinds(field.annotation) and name not in shown_fields(model)
    }
    assert unlabelled == NO_SCORES


def test_every_score_is_shown_and_compared(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    content = whole_evaluation()
    for folder in ("metrics", "other"):
        Path(folder).mkdir()
        Path(folder, "evaluation.json").write_text(json.dumps(content))
        Path(folder, "training.json").write_text(json.dumps(TRAINING))
    scores = shown_values(Evaluation.model_validate(content))
    assert len({one.label for one in scores}) == len(scores) >= 12
    assert main(["show"]) == 0
    said = capsys.readouterr().out
    assert main(["compare", "workspace", "other"]) == 0
    compared = [line.split() for line in capsys.readouterr().out.splitlines()]
    for one in scores:
        percent = f"{100 * one.value:.2f}"
        assert re.search(rf"\n{re.escape(one.label)}  +{re.escape(percent)}", said)
        assert [*one.label.split(), percent, percent, "+0.00"] in compared
    for name, shown in shown_fields(ClassScores).items():
        percent = f"{100 * content['classes']['sky'][name]:.2f}"
        lines = [line.split() for line in said.splitlines() if line.startswith("sky")]
        of_class, of_category = lines  # two tables
        assert percent in of_class
        assert shown.label in said.splitlines()[0].split()
        assert main(["compare", "workspace", "other", "--score", name]) == 0
        compared = [line.split() for line in capsys.readouterr().out.splitlines()]
        assert ["sky", "50.00%", percent, percent, "+0.00"] in compared
    for name in shown_fields(CategoryScores):
        assert f"{100 * content['categories']['sky'][name]:.2f}" in of_category


def test_json_is_read_as_it_was_written(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    for model, values in (
        (Evaluation, whole_evaluation()),
        (TrainingSummary, TRAINING),
        (TrainedRun, {"run_id": None}),
    ):
        record = new_record(model, values)
        write_record(path, record)
        assert json.loads(path.read_text()) == values, "what is not set is left out"
        assert read_record(model, path) == record
        written = path.read_bytes()
        write_record(path, read_record(model, path))
        assert path.read_bytes() == written
    scores = Evaluation.model_validate(whole_evaluation() | {"foreground": None, "miou": None})
    write_record(path, scores)
    assert json.loads(path.read_text())["miou"] is None
    assert '"best_epoch": 3,\n' in TrainingSummary(**TRAINING).model_dump_json(indent=1)


@pytest.mark.parametrize(
    ("rows", "text"),
    [
        (
            [
                ImageRow(name="a,b", miou=None, pixel_accuracy=1.0, pixels=7),
                ImageRow(name="c", miou=0.5, pixel_accuracy=0.5, pixels=8, foreground_iou=0.25),
            ],
            'name,miou,pixel_accuracy,pixels,foreground_iou\n"a,b",,1,7,\nc,0.5,0.5,8,0.25\n',
        ),
        (
            [ConfusionCell(actual="a", predicted="b", count=12345678, share=0.015625)],
            "actual,predicted,count,share\na,b,12345678,0.015625\n",
        ),
        (
            [PrecisionRecallPoint(class_name="sky", threshold=0.5, precision=0.25, recall=None)],
            "class,threshold,precision,recall\nsky,0.5,0.25,\n",
        ),
        (
            [new_record(HistoryRow, HISTORY), new_record(HistoryRow, HISTORY | {"val_miou": 0.5})],
            "epoch,step,lr,train_loss,val_loss,val_miou,val_pixel_accuracy,images_per_second,"
            "wait_seconds,peak_memory_mb,seconds\n"
            "1,1234567,0.015625,2,,,,12.5,0.25,1234567,3.5\n"
            "1,1234567,0.015625,2,,0.5,,12.5,0.25,1234567,3.5\n",
        ),
        ([PlannedRate(step=1, epoch=0.25, lr=0.125)], "step,epoch,lr\n1,0.25,0.125\n"),
    ],
    ids=lambda value: type(value[0]).__name__ if isinstance(value, list) else "",
)
def test_tables_are_read_as_they_were_written(
    rows: list[Record], text: str, tmp_path: Path
) -> None:
    path = tmp_path / "a.csv"
    write_table(path, type(rows[0]), rows)
    assert path.read_text() == text
    assert read_table(type(rows[0]), path) == rows


def test_a_table_without_rows_has_all_columns(tmp_path: Path) -> None:
    write_table(tmp_path / "a.csv", PrecisionRecallPoint, [])
    assert (tmp_path / "a.csv").read_text() == "class,threshold,precision,recall\n"
    assert read_table(PrecisionRecallPoint, tmp_path / "a.csv") == []


def test_the_table_of_classes_has_all_their_scores(tmp_path: Path) -> None:
    evaluation = Evaluation.model_validate(whole_evaluation())
    rows = class_rows(evaluation)
    write_table(tmp_path / "a.csv", ClassRow, rows)
    assert read_table(ClassRow, tmp_path / "a.csv") == rows
    head = (tmp_path / "a.csv").read_text().splitlines()[0].split(",")
    assert head == ["class", *ClassScores.model_fields, "share"]
    assert [row.share for row in rows] == [0.5, 0.5]


def test_files_of_other_versions_are_read(tmp_path: Path) -> None:
    old = {
        "miou": 0.5,
        "miou_interval": None,
        "pixel_accuracy": 0.75,
        "pixel_accuracy_interval": None,
        "classes": {"road": {"iou": 0.5, "pixels": 3}},
        "protocol": {"split": "val", "images": 2, "resolution": "raw"},
    }
    path = tmp_path / "evaluation.json"
    path.write_text(json.dumps(old))
    earlier = read_record(Evaluation, path)
    assert [one.label for one in shown_values(earlier)] == ["mIoU", "pixel accuracy"]
    later = json.loads(path.read_text()) | {"later_score": 0.5, "groups": {"a": 1}}
    later["classes"]["road"]["later_score"] = later["protocol"]["tolerance"] = 0.25
    path.write_text(json.dumps(later))
    assert read_record(Evaluation, path) == earlier
    table = tmp_path / "learning_rate.csv"
    table.write_text("step,momentum,epoch,lr\n1,0.9,0.5,0.1\n")
    assert read_table(PlannedRate, table) == [PlannedRate(step=1, epoch=0.5, lr=0.1)]


def test_what_is_missing_is_named(tmp_path: Path) -> None:
    table = tmp_path / "learning_rate.csv"
    with pytest.raises(DataError, match="there is no such file; run `dvc repro` first"):
        read_table(PlannedRate, table)
    table.write_text("step,epoch\n1,0.5\n2,1\n")
    with pytest.raises(DataError) as caught:
        read_table(PlannedRate, table)
    assert "learning_rate.csv, row 1: is not what the train stage writes" in str(caught.value)
    assert "  lr is missing" in str(caught.value)


def test_nothing_is_written_that_the_schema_does_not_declare() -> None:
    content = whole_evaluation()
    content["classes"]["road"]["later_score"] = 0.5
    with pytest.raises(ValidationError, match="later_score"):
        new_record(Evaluation, content)


def test_a_record_of_brackets_is_refused_in_words(tmp_path: Path) -> None:
    path = tmp_path / "evaluation.json"
    path.write_text("[" * 3000)
    with pytest.raises(DataError, match=r"not valid JSON .*more than 64 lists and objects"):
        read_record(Evaluation, path)


def test_what_dvc_lists_is_little_and_has_short_names(tmp_path: Path) -> None:
    """Each number is a column of `dvc exp show`, and a line of `dvc metrics diff`."""
    evaluation = Evaluation.model_validate(whole_evaluation())
    scores = headline_scores(evaluation)
    training = training_headline(TrainingSummary.model_validate(TRAINING | {"val_loss": 0.25}))
    for name, record in {"scores.json": scores, "training_scores.json": training}.items():
        write_record(tmp_path / name, record)
    written = [json.loads(path.read_text()) for path in sorted(tmp_path.iterdir())]
    bounds = evaluation.miou_interval
    assert bounds is not None
    assert written == [
        {"miou": evaluation.miou, "miou_low": bounds.low, "miou_high": bounds.high},
        {"val_loss": 0.25, "images_s": 2.5, "hours": 0.00278},
    ]
    assert max(len(name) for one in written for name in one) <= 9
    without = headline_scores(evaluation.model_copy(update={"miou_interval": None}))
    write_record(tmp_path / "scores.json", without)
    assert json.loads((tmp_path / "scores.json").read_text()) == {"miou": evaluation.miou}
