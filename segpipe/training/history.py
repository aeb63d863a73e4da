"""The history of a training: its rows, and what follows from them alone."""

import math
from collections.abc import Sequence
from time import perf_counter

import numpy as np
import torch

from segpipe.metrics.scores import scores
from segpipe.params.schedule import Metric
from segpipe.params.train import EarlyStoppingParams
from segpipe.runtime.hardware import peak_memory_mb
from segpipe.training.job import Job
from segpipe.training.lengths import StepLengths
from segpipe.training.schedules import learning_rate
from segpipe.training.state.checkpoint import Progress
from segpipe.training.validate import Validation

Row = dict[str, float | None]
CLASS_IOU = "val_iou/"  # before the class's name: its IoU in a row with a validation


def metric_values(history: Sequence[Row], metric: Metric) -> list[float]:
    """Return a metric at each validation so far; not a number where it has no value."""
    validated = [row for row in history if row["val_loss"] is not None]
    return [math.nan if (value := row[metric]) is None else value for row in validated]


def validations_without_gain(values: Sequence[float], metric: Metric, threshold: float) -> int:
    """Return how many of the last values in a row were no gain.

    A gain is better than the best before it by more than `threshold`: larger, or smaller for a
    loss. The first value is a gain; what is not a number is none.
    """
    sign = -1.0 if metric.endswith("loss") else 1.0
    best, stale = -math.inf, 0
    for value in values:
        if sign * value > best + threshold:
            best, stale = sign * value, 0
        else:
            stale += 1
    return stale


def stops_early(stopping: EarlyStoppingParams, history: Sequence[Row]) -> bool:
    """Return whether `train.early_stopping` ends the training."""
    metric = stopping.metric
    if metric is None:
        return False
    values = metric_values(history, metric)
    return validations_without_gain(values, metric, stopping.threshold) >= stopping.patience


def row_is_owed(lengths: StepLengths, progress: Progress) -> bool:
    """Return whether the run was stopped before the row of its last step was whole."""
    last = progress.history[-1]["step"] if progress.history else 0
    return last != progress.step and lengths.row_is_due(progress.step)


def is_over(job: Job, progress: Progress) -> bool:
    """Return whether nothing is left to do: at the length, by early stopping, or pruned by a sweep."""
    if row_is_owed(job.lengths, progress):
        return False
    early = stops_early(job.train.early_stopping, progress.history)
    return early or progress.pruned or progress.step >= job.lengths.total


def rate_of_step(job: Job, history: Sequence[Row], step: int) -> float:
    """Return the learning rate of a step (from 0) that comes after the rows of the history."""
    watched = metric_values(history, job.train.plateau.metric)
    return learning_rate(job.train, job.lengths, step, watched)


def new_row(
    job: Job,
    progress: Progress,
    found: Validation | None,
    part: Validation | None,
    start: float,
) -> Row:
    """Return what was learnt since the last row, and what it cost.

    found, part: the validation of the whole split, or of a part of it, that was made, if any. start:
    when it began, by `perf_counter`. All processes call this together.
    """
    device, accelerator = job.processes.device, job.processes.accelerator
    own = torch.tensor([peak_memory_mb(device), progress.waited], device=device)
    peaks, waits = accelerator.gather(own).reshape(-1, 2).unbind(1)
    steps = progress.step - int(progress.history[-1]["step"] or 0 if progress.history else 0)
    scored = found if found and not math.isnan(found.miou) else None
    classes = job.data.dataset.scheme.classes
    ious = dict(zip(classes, found.ious_K, strict=True)) if found else {}
    epochs = progress.step / job.lengths.epoch
    return {
        "epoch": int(epochs) if epochs.is_integer() else epochs,
        "step": progress.step,
        "lr": rate_of_step(job, progress.history, progress.step - 1),
        "train_loss": progress.loss_sum / max(progress.pixels, 1),
        "val_loss": found.loss if found else None,
        "val_miou": scored.miou if scored else None,
        "val_pixel_accuracy": scored.pixel_accuracy if scored else None,
        "val_weighted_f1": scored.weighted_f1 if scored else None,
        **(_partial_scores(part) if job.lengths.partial_every else {}),
        **(_train_scores(progress) if job.train.scores else {}),
        "images_per_second": steps * job.train.batch_size / progress.seconds,
        "wait_seconds": float(waits.mean()),
        "peak_memory_mb": float(peaks.max()),
        "seconds": progress.seconds + perf_counter() - start,
        **{f"{CLASS_IOU}{k}": None if math.isnan(iou) else iou for k, iou in ious.items()},
    }


def _partial_scores(part: Validation | None) -> Row:
    """Return the scores of a partial validation, under names that say so; None where none was made."""
    return {
        "partial_val_loss": part.loss if part else None,
        "partial_val_miou": None if part is None or math.isnan(part.miou) else part.miou,
        "partial_val_samples": part.samples if part else None,
    }


def _train_scores(progress: Progress) -> Row:
    """Return the scores of the batches since the last row; None where all their pixels were void."""
    found = scores(np.array(progress.confusion, np.int64))
    known = {"train_miou": found.miou, "train_pixel_accuracy": found.pixel_accuracy}
    return {name: None if math.isnan(value) else value for name, value in known.items()}


def note_if_best(progress: Progress, found: Validation | None) -> bool:
    """Return whether the last row has the best validation mIoU so far; `progress` notes it then."""
    miou = progress.history[-1]["val_miou"] or 0.0
    if found is None or (progress.best_row >= 0 and miou <= progress.best_miou):
        return False
    progress.best_miou, progress.best_threshold = miou, found.threshold
    progress.best_row = len(progress.history) - 1
    return True
