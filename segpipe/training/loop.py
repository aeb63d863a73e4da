"""The training loop, read from top to bottom (law 3): next batch, step, validate, save, log."""

from collections.abc import Callable, Iterator
from functools import partial
from math import isnan
from time import perf_counter

import numpy as np
import torch

from segpipe.augment.picks import Picks
from segpipe.loading.batches import Batch, Prefetch, read_batch
from segpipe.loading.order import epoch_picks
from segpipe.runtime.hardware import peak_memory_mb
from segpipe.training.clock import Clock
from segpipe.training.distributed.failure import noted
from segpipe.training.distributed.interruption import Interrupted, StopRequest
from segpipe.training.distributed.sharding import gathered
from segpipe.training.optimizer import set_learning_rate
from segpipe.training.schedules.build import learning_rate
from segpipe.training.setup import Job
from segpipe.training.state.checkpoint import Progress, copied_state
from segpipe.training.step import StepReport, train_step
from segpipe.training.stopping import Row, metric_values, stops_early
from segpipe.training.validate import Validation, validate
from segpipe.training.watch.live import LiveLine
from segpipe.training.watch.profiler import Profiler


def train(
    job: Job,
    progress: Progress,
    stop: StopRequest,
    log: Callable[[Row], None],
    profiler: Profiler | None = None,
) -> None:
    """Train from `progress` to the end; `progress` then holds the history.

    log: called with each row of the history, in every process. profiler: told of each step.
    Raises Interrupted when a stop was asked for, also within a validation, which is repeated then;
    the state is saved. Raises CheckpointError where that, or saving the end, fails; any other
    checkpoint that fails is said, and the training goes on.
    """
    if _row_is_owed(job, progress):
        row = _add_row(job, progress, stop)
        if row is None:
            raise Interrupted  # the state is as it was
        log(row)
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
        lr = _learning_rate(job, progress, progress.step)
        set_learning_rate(job.optimizer, lr)
        save = _save_is_due(job, progress.step + 1)
        report = train_step(job, pieces, epoch, step, lr, stop.asked, save)
        seconds, waited = _advance(job, progress, report, clock)
        line.step(progress.step, report.loss, lr, seconds, waited)
        row_due = _row_is_due(job, progress.step)
        row = _add_row(job, progress, stop) if row_due and not report.stop else None
        stopped = report.stop or (row_due and row is None)
        over = is_over(job, progress)
        if report.save or stopped or over:
            _save(job, progress, wait=stopped or over)
        if row:
            log(row)
        if profiler:
            profiler.step()
        if over:
            return
        if stopped:
            raise Interrupted
        clock.lap()  # validating, saving and profiling is no training


def is_over(job: Job, progress: Progress) -> bool:
    """Whether nothing is left to do: at the length, or by early stopping."""
    if _row_is_owed(job, progress):
        return False
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


def _learning_rate(job: Job, progress: Progress, step: int) -> float:
    """The rate of a step that comes after the rows of the history."""
    watched = metric_values(progress.history, job.train.plateau.metric)
    return learning_rate(job.train, job.lengths, step, watched)


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


def _row_is_owed(job: Job, progress: Progress) -> bool:
    """Whether the run was stopped before the row of its last step was whole."""
    last = progress.history[-1]["step"] if progress.history else 0
    return last != progress.step and _row_is_due(job, progress.step)


def _add_row(job: Job, progress: Progress, stop: StopRequest) -> Row | None:
    """Validate where that is due, and add a row to the history; None when a stop was asked for."""
    start = perf_counter()
    found = None
    if _validation_is_due(job, progress.step):
        found = validate(job, stop)
        if found is None:
            return None
    row = _row(job, progress, found, start)
    progress.add_row(row)
    if _is_best(progress, found):
        best = gathered(job.result.state_dict(), kept=job.leads)
        job.best = best if job.leads else None
    return row


def _row(job: Job, progress: Progress, found: Validation | None, start: float) -> Row:
    """What was learnt since the last row, and what it cost. start: of the validation."""
    own = torch.tensor([peak_memory_mb(job.device), progress.waited], device=job.device)
    peaks, waits = job.accelerator.gather(own).reshape(-1, 2).unbind(1)
    steps = progress.step - int(progress.history[-1]["step"] or 0 if progress.history else 0)
    scored = found if found and not isnan(found.miou) else None
    return {
        "epoch": _plain(progress.step / job.steps_per_epoch),
        "step": progress.step,
        "lr": _learning_rate(job, progress, progress.step - 1),
        "train_loss": progress.loss_sum / max(progress.pixels, 1),
        "val_loss": found.loss if found else None,
        "val_miou": scored.miou if scored else None,
        "val_pixel_accuracy": scored.pixel_accuracy if scored else None,
        "images_per_second": steps * job.train.batch_size / progress.seconds,
        "wait_seconds": float(waits.mean()),
        "peak_memory_mb": float(peaks.max()),
        "seconds": progress.seconds + perf_counter() - start,
    }


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


def _save_is_due(job: Job, taken: int) -> bool:
    return job.leads and job.saver.is_due(taken, _row_is_due(job, taken))


def _save(job: Job, progress: Progress, wait: bool) -> None:
    """Save the present state. wait: until it is on the disk, in all processes."""
    job.saver.wait()
    average = job.average.network if job.average else None
    with job.phases.during("saving"):
        # All processes give their parts, and the leading one keeps them.
        learnt = job.network, job.optimizer, average
        state = copied_state(progress, *learnt, job.best, job.about, kept=job.leads)
        if job.leads and wait:
            job.saver.save_and_wait(state)
        elif job.leads:
            job.saver.save(state)
    if wait:
        job.accelerator.wait_for_everyone()
