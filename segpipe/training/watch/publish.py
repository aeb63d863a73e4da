"""A training becomes files: what it will do, the bundle, the history, what it cost."""

import os
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from segpipe.bundle import save_bundle
from segpipe.dataset.reader import Dataset, Split
from segpipe.dataset.subset import sample_counts
from segpipe.models.parts.network import count_parameters
from segpipe.params.model import ModelParams
from segpipe.params.train import TrainParams
from segpipe.results.records import new_record, write_table
from segpipe.results.training import ClassHistoryRow, HistoryRow, PlannedRate, TrainingSummary
from segpipe.runtime.atomic import write_json
from segpipe.runtime.hardware import device_name
from segpipe.tracking.datasets import DataUsed
from segpipe.training.history import CLASS_IOU
from segpipe.training.job import Job, TrainingData
from segpipe.training.lengths import StepLengths
from segpipe.training.schedules import learning_rate
from segpipe.training.state.checkpoint import Progress
from segpipe.training.watch.environment import ENVIRONMENT, environment, machines_of

_PLANNED = 1000  # steps of the planned learning rate that are written


def write_bundle(
    job: Job,
    progress: Progress,
    last: dict[str, Tensor],
    model: ModelParams,
    lineage: dict[str, Any],
    folder: Path,
) -> None:
    """Write the bundle into the existing `folder`. last: the weights of the last step."""
    best_weights, processes = job.learner.best, job.processes
    assert best_weights is not None  # the end is always validated
    best = progress.history[progress.best_row]
    scores = {"best_epoch": best["epoch"], "best_step": best["step"], "val_miou": best["val_miou"]}
    lineage = {**lineage, **_learnt_from(job), "scores": scores}
    _save(job, folder, best_weights, last, model, lineage, progress.best_threshold)
    machines = machines_of(os.environ, processes.number)
    about = environment(processes.device, processes.number, machines)
    write_json(folder / ENVIRONMENT, about)


def write_kept_bundle(
    job: Job,
    progress: Progress,
    weights: dict[str, Tensor],
    model: ModelParams,
    lineage: dict[str, Any],
    folder: Path,
) -> None:
    """Write the `weights` of the present step as a bundle into the existing `folder`.

    A network with one logit has the threshold that validation scores it by.
    """
    epochs = progress.step / job.lengths.epoch
    at = {"step": progress.step, "epoch": int(epochs) if epochs.is_integer() else epochs}
    lineage = {**lineage, **_learnt_from(job), "kept_at": at}
    _save(job, folder, weights, None, model, lineage, job.objective.threshold)


def _learnt_from(job: Job) -> dict[str, Any]:
    data = job.data
    return {
        "data": data.dataset.fingerprint,
        "excluded": data.dataset.excluded,
        "class_weights": job.objective.class_weights,
        "samples": sample_counts(job.train, data.train_split, data.val_split),
    }


def _save(
    job: Job,
    folder: Path,
    best: dict[str, Tensor],
    last: dict[str, Tensor] | None,
    model: ModelParams,
    lineage: dict[str, Any],
    threshold: float | None,
) -> None:
    save_bundle(
        folder,
        best,
        last,
        model,
        job.data.dataset.scheme,
        job.data.dataset.input,
        job.train.precision,
        lineage,
        threshold,
    )


def write_history(progress: Progress, path: Path) -> None:
    """Write a row for each validation and each whole epoch; cells without a value are empty.

    The IoU of each class at each validation is written to class_history.csv beside `path`.
    """
    rows, by_class = [], []
    for row in progress.history:
        means = {name: value for name, value in row.items() if not name.startswith(CLASS_IOU)}
        rows.append(new_record(HistoryRow, means))
        by_class += [
            new_record(
                ClassHistoryRow,
                {
                    "epoch": row["epoch"],
                    "step": row["step"],
                    "class": name.removeprefix(CLASS_IOU),
                    "iou": value,
                },
            )
            for name, value in row.items()
            if name.startswith(CLASS_IOU)
        ]
    write_table(path, HistoryRow, rows)
    write_table(path.with_name(ClassHistoryRow.file), ClassHistoryRow, by_class)


def write_planned_rates(train: TrainParams, lengths: StepLengths, path: Path) -> None:
    """Write the learning rate that each step will have, before the first: step (from 1), epoch, lr.

    Of long trainings a thousand steps are written, evenly spaced, with the first and the last. What
    plateau will do depends on what is learnt: of it the warm-up and the highest rate are planned.
    """
    total = lengths.total
    steps = sorted({round(step) for step in np.linspace(0, total - 1, min(total, _PLANNED))})
    rows = [
        PlannedRate(
            step=step + 1,
            epoch=(step + 1) / lengths.epoch,
            lr=learning_rate(train, lengths, step),
        )
        for step in steps
    ]
    write_table(path, PlannedRate, rows)


def training_summary(job: Job, progress: Progress, run_id: str | None) -> TrainingSummary:
    """Return what metrics/training.json says: the best validation's scores and what the run cost.

    run_id: of the MLflow run, so that what holds the file, such as a DVC experiment, names it.
    """
    rows, processes = progress.history, job.processes
    best = rows[progress.best_row]
    seconds = sum(row["seconds"] or 0.0 for row in rows)
    waited = sum(row["wait_seconds"] or 0.0 for row in rows)
    speeds = sorted(row["images_per_second"] or 0.0 for row in rows)
    threshold = {} if progress.best_threshold is None else {"threshold": progress.best_threshold}
    pruned = {"pruned": True} if progress.pruned else {}
    summary = {
        "best_epoch": best["epoch"],
        "best_step": best["step"],
        "epochs": rows[-1]["epoch"],
        "steps": rows[-1]["step"],
        "val_miou": best["val_miou"],
        "val_pixel_accuracy": best["val_pixel_accuracy"],
        "val_loss": best["val_loss"],
        "train_loss": rows[-1]["train_loss"],
        **threshold,
        **pruned,
        **sample_counts(job.train, job.data.train_split, job.data.val_split),
        "images_per_second": round(speeds[len(speeds) // 2], 3),
        "seconds": round(seconds, 2),
        "wait_share": round(waited / max(seconds, 1e-9), 5),
        "device_hours": round(seconds * processes.number / 3600, 5),
        "peak_memory_mb": round(max(row["peak_memory_mb"] or 0.0 for row in rows), 1),
        "parameters": count_parameters(job.learner.network),
        "processes": processes.number,
        "accumulation": processes.shard.accumulation,
        "precision": processes.precision,
        "device": device_name(processes.device),
        **({} if run_id is None else {"mlflow_run": run_id}),
    }
    return new_record(TrainingSummary, summary)


def data_used(data: TrainingData, source: str) -> list[DataUsed]:
    """Return what MLflow's list of datasets says of both splits. source: its name."""
    return [
        _split_used(data.dataset, source, "train", data.train_split, "training"),
        _split_used(data.dataset, source, "val", data.val_split, "validation"),
    ]


def _split_used(dataset: Dataset, source: str, name: str, split: Split, context: str) -> DataUsed:
    images_NTHWC, masks_Nhw = split.images_NTHWC, split.masks_Nhw
    counts = {**dataset.splits[name], "classes": list(dataset.scheme.classes)}
    return DataUsed(
        name=f"{source}: {name}",
        context=context,
        digest=dataset.fingerprint,
        place=(dataset.folder / name).as_posix(),
        image=((-1, *images_NTHWC.shape[1:]), str(images_NTHWC.dtype)),
        mask=((-1, *masks_Nhw.shape[1:]), str(masks_Nhw.dtype)),
        counts=counts,
    )
