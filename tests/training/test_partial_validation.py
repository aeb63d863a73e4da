"""Validations of a part of the split along the way: they say so, and choose nothing."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

import segpipe.training.validate as validation
from segpipe.params.length import Length
from segpipe.params.schedule import PlateauParams
from segpipe.params.train import EarlyStoppingParams, PartialValidationParams
from segpipe.results.records import read_table
from segpipe.results.training import HistoryRow
from segpipe.training.distributed.signals import StopRequest
from segpipe.training.watch.console import row_line
from segpipe.training.watch.publish import write_history

LENGTHS = {"length": Length(12, "steps"), "validate_every": Length(6, "steps")}
PART = PartialValidationParams(every=Length(2, "steps"), samples=3)
NAMES = ("partial_val_loss", "partial_val_miou", "partial_val_samples")


def test_they_stand_in_the_history_under_names_that_say_so(
    dataset, trained, tmp_path: Path
) -> None:
    """Where a whole validation is due there is none of a part; five steps are an epoch."""
    *_, plain = trained(dataset, state="plain", **LENGTHS)
    assert not any(name in row for row in plain for name in NAMES)
    _, progress, rows = trained(dataset, partial_validation=PART, **LENGTHS)
    kinds = {row["step"]: (row["partial_val_samples"], row["val_loss"] is not None) for row in rows}
    part, whole, epoch = (3, False), (None, True), (None, False)
    assert kinds == {
        **{2: part, 4: part, 5: epoch, 6: whole},
        **{8: part, 10: part, 12: whole},
    }
    write_history(progress, tmp_path / "history.csv")
    read = read_table(HistoryRow, tmp_path / "history.csv")
    assert [row.partial_val_samples for row in read] == [3, 3, None, None, 3, 3, None]
    assert [row.val_miou is None for row in read] == [row["val_miou"] is None for row in rows]
    lines = [row_line(row) for row in rows]
    assert "on 3 validation samples loss" in lines[0]
    assert "validation samples" not in lines[3]
    assert not any(name.startswith("val_iou/") for name in rows[0]), "no IoU by class of a part"


def test_what_is_learnt_and_kept_is_the_same_without_them(dataset, trained) -> None:
    options = {
        "schedule": "plateau",
        "plateau": PlateauParams(metric="val_loss", patience=0, threshold=10.0),
        "early_stopping": EarlyStoppingParams(metric="val_miou", patience=1, threshold=9.0),
        "warmup": Length(0),
        "length": Length(20, "steps"),
        "validate_every": Length(5, "steps"),
    }
    plain, its_progress, its_rows = trained(dataset, state="plain", **options)
    job, progress, rows = trained(dataset, partial_validation=PART, **options)
    assert progress.step == its_progress.step == 10 < job.lengths.total
    theirs = plain.learner.network.state_dict()
    for name, value in job.learner.network.state_dict().items():
        assert torch.equal(value, theirs[name]), name
    validated = [row for row in rows if row["val_loss"] is not None]
    for row, other in zip(validated, its_rows, strict=True):
        assert [row[name] for name in ("step", "lr", "val_loss", "val_miou")] == [
            other[name] for name in ("step", "lr", "val_loss", "val_miou")
        ]


def test_a_better_part_is_not_kept(dataset, trained, monkeypatch: pytest.MonkeyPatch) -> None:
    def perfect_part(*arguments: Any) -> validation.Validation:
        found = real(*arguments)
        assert found is not None
        return replace(found, miou=1.0) if len(arguments) == 6 else found

    real = validation.validate
    monkeypatch.setattr("segpipe.training.loop.validate", perfect_part)
    _, progress, rows = trained(dataset, partial_validation=PART, **LENGTHS)
    assert rows[0]["partial_val_miou"] == 1.0
    assert progress.history[progress.best_row]["val_loss"] is not None
    assert progress.best_miou < 1.0


def test_a_part_is_scored_as_the_whole_is(dataset, trained) -> None:
    """The five samples, and any larger number of them, are the whole; three are places 0, 1 and 3."""
    job, *_ = trained(dataset, **LENGTHS)
    parts = (job.learner, job.data, job.objective, job.processes, StopRequest())
    whole, all_five, three = (validation.validate(*parts, n) for n in (None, 9, 3))
    assert whole == all_five
    assert three is not None and whole is not None
    assert (whole.samples, three.samples) == (5, 3)
    assert three.loss != whole.loss
    few = job.data.val_split.subset([0, 1, 3])
    alone = validation.validate(job.learner, replace(job.data, val_split=few), *parts[2:])
    assert alone == three
