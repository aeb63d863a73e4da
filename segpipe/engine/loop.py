"""The training loop, read from top to bottom (law 3): next batch, step, log, validate, save."""

from collections.abc import Callable, Iterator
from functools import partial
from math import isnan
from time import perf_counter

import numpy as np
import torch
from numpy.typing import NDArray
from tqdm import tqdm

from segpipe.console import step_bar
from segpipe.engine.checkpoint import Progress
from segpipe.engine.interruption import Interrupted, StopRequest
from segpipe.engine.optimizer import set_learning_rate
from segpipe.engine.setup import Job
from segpipe.engine.step import StepReport, train_step
from segpipe.engine.validate import Validation, validate
from segpipe.hardware import peak_memory_mb
from segpipe.loading.batches import Batch, Prefetch, read_batch
from segpipe.loading.order import epoch_batches
from segpipe.schedules.build import learning_rate

Row = dict[str, float | None]


def train(job: Job, progress: Progress, stop: StopRequest, log: Callable[[Row], None]) -> None:
    """Train from `progress` to the last epoch; `progress` then holds the history.

    log: called with each epoch's row of the history, in the leading process, once it is saved.
    Raises Interrupted when a stop was asked for; the state is saved then.
    """
    for epoch in range(progress.epoch, job.train.epochs):
        bar = step_bar(
            f"epoch {epoch + 1}/{job.train.epochs}", job.steps_per_epoch, progress.step, job.leads
        )
        batches = Prefetch(_rows_to_come(job, progress), partial(_read_pieces, job))
        began = perf_counter() - progress.seconds
        waited_before = progress.waited
        for pieces in batches:
            lr = learning_rate(
                job.train, epoch * job.steps_per_epoch + progress.step, job.steps_per_epoch
            )
            set_learning_rate(job.optimizer, lr)
            report = train_step(job, pieces, epoch, progress.step, lr, stop.asked)
            _advance(progress, report, perf_counter() - began, waited_before + batches.waited)
            _show(bar, report, lr)
            if report.stop and progress.step < job.steps_per_epoch:
                _save(job, progress)
                raise Interrupted
        bar.close()
        found = validate(job) if _is_due(job, epoch) else None
        row = _close_epoch(job, progress, found, lr, perf_counter() - began)
        if job.leads and found is not None and progress.best_epoch == epoch:
            job.checkpoints.save_best(job.network)
        _save(job, progress)
        if job.leads:
            log(row)
        if report.stop and progress.epoch < job.train.epochs:
            raise Interrupted


def _rows_to_come(job: Job, progress: Progress) -> Iterator[NDArray[np.int64]]:
    """The global batches of the epoch that are still to be trained on."""
    batches = epoch_batches(
        job.train.seed, progress.epoch, len(job.train_split), job.train.batch_size
    )
    return iter(batches[progress.step :])


def _read_pieces(job: Job, batch: NDArray[np.int64]) -> list[Batch]:
    pin = job.device.type == "cuda"
    pieces = job.share.pieces(batch)
    return [read_batch(job.train_split, rows, job.frames, pin) for rows in pieces]


def _advance(progress: Progress, report: StepReport, seconds: float, waited: float) -> None:
    progress.step += 1
    progress.loss_sum += report.loss_sum
    progress.pixels += report.pixels
    progress.seconds, progress.waited = seconds, waited


def _show(bar: "tqdm[None]", report: StepReport, lr: float) -> None:
    bar.set_postfix_str(f"loss {report.loss:.3f}, lr {lr:.2g}", refresh=False)
    bar.update()


def _is_due(job: Job, epoch: int) -> bool:
    return (epoch + 1) % job.train.validate_every == 0 or epoch + 1 == job.train.epochs


def _close_epoch(
    job: Job, progress: Progress, found: Validation | None, lr: float, seconds: float
) -> Row:
    """Add the epoch's row to the history and move on to the next epoch."""
    own = torch.tensor([peak_memory_mb(job.device), progress.waited], device=job.device)
    peaks, waits = job.accelerator.gather(own).reshape(-1, 2).unbind(1)
    samples = job.steps_per_epoch * job.train.batch_size
    row: Row = {
        "epoch": progress.epoch + 1,
        "lr": lr,
        "train_loss": progress.loss_sum / max(progress.pixels, 1),
        "val_loss": found.loss if found else None,
        "val_miou": found.miou if found and not isnan(found.miou) else None,
        "val_pixel_accuracy": found.pixel_accuracy if found and not isnan(found.miou) else None,
        "images_per_second": samples / progress.seconds,
        "wait_seconds": float(waits.mean()),
        "peak_memory_mb": float(peaks.max()),
        "seconds": seconds,
    }
    if found is not None and (progress.best_epoch < 0 or found.miou > progress.best_miou):
        progress.best_miou, progress.best_epoch = row["val_miou"] or 0.0, progress.epoch
    progress.history.append(row)
    progress.epoch += 1
    progress.step, progress.loss_sum, progress.pixels = 0, 0.0, 0
    progress.seconds, progress.waited = 0.0, 0.0
    return row


def _save(job: Job, progress: Progress) -> None:
    if job.leads:
        job.checkpoints.save(progress, job.network, job.optimizer)
    job.accelerator.wait_for_everyone()
