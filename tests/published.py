"""What a training has published, and what MLflow holds of it."""

import sqlite3
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import load_file

from segpipe.results.records import read_record, read_table
from segpipe.results.training import HistoryRow, TrainedRun, TrainingSummary

LEARNT = (
    *("epoch", "step", "lr", "train_loss", "val_loss", "val_miou", "val_pixel_accuracy"),
    *("partial_val_loss", "partial_val_miou", "partial_val_samples"),
    *("val_weighted_f1", "train_miou", "train_pixel_accuracy"),
)


class Result:
    """The result that lies in a workspace.

    weights: of the best and the last network. about: model.json. history: what was learnt, row by
    row. steps: of the rows. summary: training.json. tracked: the id of the MLflow run, if any.
    """

    def __init__(self, workspace: Path) -> None:
        models, metrics = workspace / "models", workspace / "metrics"
        self.weights = {
            name: load_file(models / f"{name}.safetensors") for name in ("model", "last")
        }
        self.about = (models / "model.json").read_text()
        rows = read_table(HistoryRow, metrics / HistoryRow.file)
        self.history = [[getattr(row, name) for name in LEARNT] for row in rows]
        self.steps = [row.step for row in rows]
        self.summary = read_record(TrainingSummary, metrics / TrainingSummary.file)
        self.tracked = read_record(TrainedRun, metrics / TrainedRun.file).run_id

    def differences(self, other: "Result") -> list[str]:
        """Name what is not the same to the bit: weights, bundle and history."""
        found = [name for name in ("about", "history") if vars(self)[name] != vars(other)[name]]
        for kind, weights in self.weights.items():
            theirs = other.weights[kind]
            assert weights.keys() == theirs.keys()
            assert len(weights) > 20
            found += [key for key in weights if not np.array_equal(weights[key], theirs[key])]
        return found

    def weight_difference(self, other: "Result", kind: str = "last") -> float:
        """The largest in a kernel; a bias before a batch norm has no effect, so only rounding moves it."""
        ours, theirs = self.weights[kind], other.weights[kind]
        kernels = [name for name in ours if ours[name].ndim == 4]
        assert len(kernels) > 10
        return max(float(np.abs(ours[name] - theirs[name]).max()) for name in kernels)

    def loss_difference(self, other: "Result") -> float:
        """The largest of a training or validation loss, relative; the rows are of the same steps."""
        assert self.steps == other.steps
        ours, theirs = (
            np.array([row[3:5] for row in result.history], float)  # None becomes NaN
            for result in (self, other)
        )
        assert (np.isnan(ours) == np.isnan(theirs)).all()
        return float(np.nanmax(np.abs(ours - theirs) / np.abs(theirs)))


@dataclass(frozen=True)
class Tracked:
    """What MLflow has of a run. training, validation, end: the steps of such values, in order."""

    training: list[int]
    validation: list[int]
    end: list[int]
    status: str


def logged(workspace: Path, question: str, *values: str) -> list[Any]:
    """Ask the workspace's store; return the first column."""
    with closing(sqlite3.connect(workspace / "mlflow.db")) as store:
        return [row[0] for row in store.execute(question, values)]


def tracked(workspace: Path, run_id: str) -> Tracked:
    """Return what the workspace's store has of a run."""
    steps = "SELECT step FROM metrics WHERE run_uuid = ? AND key = ? ORDER BY step"
    keys = ("train_loss", "val_loss", "hours")
    [status] = logged(workspace, "SELECT status FROM runs WHERE run_uuid = ?", run_id)
    return Tracked(*(logged(workspace, steps, run_id, key) for key in keys), status)


def wanted(result: Result) -> Tracked:
    """What MLflow is to have of a run with this result: each row once, and its end."""
    validated = [row[1] for row in result.history if row[4] is not None]
    return Tracked(result.steps, validated, [result.steps[-1]], "FINISHED")


def runs_with_rows(workspace: Path) -> set[str]:
    """Return the ids of the runs that have a row of a history."""
    return set(logged(workspace, "SELECT DISTINCT run_uuid FROM metrics WHERE key = 'train_loss'"))
