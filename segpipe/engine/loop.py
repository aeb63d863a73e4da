"""The training loop, read from top to bottom (law 3): next batch, step, validate, save, log."""

from collections.abc import Callable, Iterator
from functools import partial
from math import isnan

import numpy as np
import torch

from segpipe.augment.picks import Picks
from segpipe.engine.checkpoint import Progress
from segpipe.engine.clock import Clock
from segpipe.engine.failure import noted
from segpipe.engine.interruption import Interrupted, StopRequest
from segpipe.engine.live import LiveLine
from segpipe.engine.optimizer import set_learning_rate
from segpipe.engine.profiler import Profiler
from segpipe.engine.setup import Job
from segpipe.engine.step import StepReport, train_step
from segpipe.engine.stopping import Row, metric_values, stops_early
from segpipe.engine.validate import Validation, validate
from segpipe.hardware import peak_memory_mb
from segpipe.loading.batches import Batch, Prefetch, read_batch
from segpipe.loading.order import epoch_picks
from segpipe.schedules.build import learning_rate


def train(
    job: Job,
    progress: Progress,
    stop: StopRequest,
    log: Callable[[Row], None],
    profiler: Profiler | None = None,
) -> None:
    """Train from `progress` to the end; `progress` then holds the history.

    log: called with each row of the history, in the leading process, once it is saved.
    profiler: told of each step. Raises Interrupted when a stop was asked for; the state is saved then.
    """
    with LiveLine(job, progress.step) as line:
        while not is_over(job, progress):
            _train_epoch(job, progress, stop, log, line, profiler)


def _train_epoch(
    job: Job,
    progress: Progress,
    stop: StopRequest,
    log: Callable[[Row], None],
    line: LiveLine,
    profiler: Profiler | None,
) -> None:
    """Take the steps that are left of the present epoch."""
    batches = Prefetch(_picks_to_come(job, progress), partial(_read_pieces, job))
    clock = Clock(batches)
    for pieces in job.phases.waiting("waiting for data", batches):
        epoch, step = divmod(progress.step, job.steps_per_epoch)
        lr = learning_rate(job.train, job.lengths, progress.step, _watched(job, progress))
        set_learning_rate(job.optimizer, lr)
        report = train_step(job, pieces, epoch, step, lr, stop.asked)
        seconds, waited = _advance(job, progress, report, clock)
        line.step(progress.step, report.loss, lr, seconds, waited)
        row_due = _row_is_due(job, progress.step)
        if row_due:
            found = validate(job) if _validation_is_due(job, progress.step) else None
            row = _add_row(job, progress, found, lr, clock)
            if _is_best(progress, found) and job.leads:
                job.checkpoints.save_best(job.result)
        if row_due or report.stop:
            _save(job, progress)
        if row_due and job.leads:
            log(row)
        if profiler:
            profiler.step()
        if is_over(job, progress):
            return
        if report.stop:
            raise Interrupted
        clock.lap()  # validating, saving and profiling is no training


def is_over(job: Job, progress: Progress) -> bool:
    """Whether no step is left to take: at the length, or by early stopping."""
    early = stops_early(job.train.early_stopping, progress.history)
    return early or progress.step >= job.lengths.total


def _picks_to_come(job: Job, progress: Progress) -> Iterator[Picks]:
    """The global batches of the present epoch that are still to be trained on."""
    epoch, step = divmod(progress.step, job.steps_per_epoch)
    train, samples = job.train, len(job.train_split)
    sampling = job.centroids, train.class_centroids.share
    batches = epoch_picks(train.seed, epoch, samples, train.batch_size, *sampling)
    return iter(batches[step : step + job.lengths.total - progress.step])


def _read_pieces(job: Job, batch: Picks) -> list[Batch]:
    pin = job.device.type == "cuda"
    pieces = job.share.pieces(batch)
    rows_B = np.concatenate([picks["row"] for picks in pieces])
    with noted("reading", job.share.rank, job.train_split, rows_B):
        return [read_batch(job.train_split, picks, job.frames, pin) for picks in pieces]


def _watched(job: Job, progress: Progress) -> list[float]:
    return metric_values(progress.history, job.train.plateau.metric)


def _advance(job: Job, progress: Progress, report: StepReport, clock: Clock) -> tuple[float, float]:
    """Note a step; return the seconds that it took, and how many of them were waited."""
    progress.step += 1
    if job.average:
        job.average.update(progress.step)
    progress.loss_sum += report.loss_sum
    progress.pixels += report.pixels
    seconds, waited = clock.lap()
    progress.seconds += seconds
    progress.waited += waited
    return seconds, waited


def _validation_is_due(job: Job, taken: int) -> bool:
    return taken % job.lengths.validate_every == 0 or taken == job.lengths.total


def _row_is_due(job: Job, taken: int) -> bool:
    return taken % job.steps_per_epoch == 0 or _validation_is_due(job, taken)


def _add_row(
    job: Job, progress: Progress, found: Validation | None, lr: float, clock: Clock
) -> Row:
    """Add a row to the history: what was learnt since the last one, and what it cost."""
    own = torch.tensor([peak_memory_mb(job.device), progress.waited], device=job.device)
    peaks, waits = job.accelerator.gather(own).reshape(-1, 2).unbind(1)
    steps = progress.step - int(progress.history[-1]["step"] or 0 if progress.history else 0)
    scored = found if found and not isnan(found.miou) else None
    row: Row = {
        "epoch": _plain(progress.step / job.steps_per_epoch),
        "step": progress.step,
        "lr": lr,
        "train_loss": progress.loss_sum / max(progress.pixels, 1),
        "val_loss": found.loss if found else None,
        "val_miou": scored.miou if scored else None,
        "val_pixel_accuracy": scored.pixel_accuracy if scored else None,
        "images_per_second": steps * job.train.batch_size / progress.seconds,
        "wait_seconds": float(waits.mean()),
        "peak_memory_mb": float(peaks.max()),
        "seconds": progress.seconds + clock.lap()[0],
    }
    progress.history.append(row)
    progress.start_row()
    return row


def _is_best(progress: Progress, found: Validation | None) -> bool:
    """Whether the last row has the best validation mIoU so far; it is noted then."""
    miou = progress.history[-1]["val_miou"] or 0.0
    if found is None or (progress.best_row >= 0 and miou <= progress.best_miou):
        return False
    progress.best_miou, progress.best_threshold = miou, found.threshold
    progress.best_row = len(progress.history) - 1
    return True


def _plain(number: float) -> float:
    return int(number) if number.is_integer() else number


def _save(job: Job, progress: Progress) -> None:
    if job.leads:
        average = job.average.network if job.average else None
        with job.phases.during("saving"):
            job.checkpoints.save(progress, job.network, job.optimizer, average)
    job.accelerator.wait_for_everyone()
