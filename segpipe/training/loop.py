"""The training loop, read from top to bottom (law 3): next batch, step, validate, save, log."""

from collections.abc import Callable, Iterator
from functools import partial
from time import perf_counter

import numpy as np
from torch.profiler import record_function

from segpipe.augment.draw import SampleSpecs
from segpipe.loading.batches import Batch, Prefetch, read_batch
from segpipe.loading.order import epoch_specs
from segpipe.runtime.trial import end_is_asked
from segpipe.training.distributed.peers import annotate_errors
from segpipe.training.distributed.sharding import gathered
from segpipe.training.distributed.signals import Interrupted, StopRequest
from segpipe.training.history import (
    Row,
    is_over,
    new_row,
    note_if_best,
    rate_of_step,
    row_is_owed,
)
from segpipe.training.job import Job
from segpipe.training.optimizer import set_learning_rate
from segpipe.training.state.checkpoint import Progress, copied_state
from segpipe.training.step import StepReport, train_step
from segpipe.training.validate import validate
from segpipe.training.watch.console import LiveLine
from segpipe.training.watch.profiler import Profiler


def train(
    job: Job,
    progress: Progress,
    stop: StopRequest,
    log: Callable[[Row], None],
    profiler: Profiler | None = None,
    keep: Callable[[], None] = lambda: None,
) -> None:
    """Train from `progress` to the end; `progress` then holds the history.

    log: called with each row of the history, in every process. profiler: told of each step. keep:
    called after each step, in every process, before its state is saved; what it is to keep along the
    way cannot be missed then by who is killed and goes on.
    Raises Interrupted when a stop was asked for, also within a validation, which is repeated then;
    the state is saved. Raises CheckpointError where that, or saving the end, fails; any other
    checkpoint that fails is said, and the training goes on. Before any error leaves, the checkpoint
    that is being written becomes whole.
    """
    if row_is_owed(job.lengths, progress):
        row = _add_row(job, progress, stop)
        if row is None:
            raise Interrupted  # the state is as it was
        log(row)
    line = LiveLine(
        job.lengths, job.train.batch_size, taken=progress.step, shown=job.processes.leads
    )
    with job.saver.finishing(), line:
        while not is_over(job, progress):
            _train_epoch(job, progress, stop, log, line, profiler, keep)


def _train_epoch(
    job: Job,
    progress: Progress,
    stop: StopRequest,
    log: Callable[[Row], None],
    line: LiveLine,
    profiler: Profiler | None,
    keep: Callable[[], None],
) -> None:
    """Take the steps that are left of the present epoch."""
    batches = Prefetch(_batches_to_come(job, progress), partial(_read_pieces, job))
    clock = _Clock(batches)
    for pieces in batches:
        epoch, step = divmod(progress.step, job.lengths.epoch)
        lr = rate_of_step(job, progress.history, progress.step)
        set_learning_rate(job.learner.optimizer, lr)
        report = train_step(
            job,
            pieces,
            epoch=epoch,
            step=step,
            lr=lr,
            stop=stop.asked,
            save=_save_is_due(job, progress.step + 1),
        )
        seconds, waited = _advance(job, progress, report, clock)
        line.step(progress.step, report.loss, lr, seconds, waited)
        keep()
        row_due = job.lengths.row_is_due(progress.step)
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


class _Clock:
    """Seconds from lap to lap, and those of them in which the training stood waiting for data."""

    def __init__(self, batches: Prefetch[SampleSpecs, list[Batch]]) -> None:
        self._batches = batches
        self._last, self._waited = perf_counter(), batches.waited

    def lap(self) -> tuple[float, float]:
        """Return the seconds since the last lap, and how many of them were waited."""
        now, waited = perf_counter(), self._batches.waited
        passed = now - self._last, waited - self._waited
        self._last, self._waited = now, waited
        return passed


def _batches_to_come(job: Job, progress: Progress) -> Iterator[SampleSpecs]:
    """Return the global batches of the present epoch that are still to be trained on."""
    epoch, step = divmod(progress.step, job.lengths.epoch)
    batches = epoch_specs(
        job.train.seed,
        epoch,
        samples=len(job.data.train_split),
        batch_size=job.train.batch_size,
        centroids=job.data.centroids,
        class_fraction=job.train.class_centroids.share,
    )
    return iter(batches[step : step + job.lengths.total - progress.step])


def _read_pieces(job: Job, batch: SampleSpecs) -> list[Batch]:
    split, processes = job.data.train_split, job.processes
    pieces = processes.shard.pieces(batch)
    rows_B = np.concatenate([specs_B["row"] for specs_B in pieces])
    pin = processes.device.type == "cuda"
    with annotate_errors("reading", processes.rank, split, rows_B):
        return [read_batch(split, specs_B, job.data.frames, pin) for specs_B in pieces]


def _advance(
    job: Job, progress: Progress, report: StepReport, clock: _Clock
) -> tuple[float, float]:
    """Note a step; return the seconds that it took, and how many of them were waited."""
    progress.step += 1
    if job.learner.average:
        job.learner.average.update(progress.step)
    progress.loss_sum += report.loss_sum
    progress.pixels += report.pixels
    if report.confusion_KK is not None:
        before = progress.confusion or np.zeros_like(report.confusion_KK)
        progress.confusion = (report.confusion_KK + before).tolist()
    seconds, waited = clock.lap()
    progress.seconds += seconds
    progress.waited += waited
    return seconds, waited


def _add_row(job: Job, progress: Progress, stop: StopRequest) -> Row | None:
    """Validate where that is due, and add a row to the history; None when a stop was asked for."""
    start = perf_counter()
    whole_due = job.lengths.validation_is_due(progress.step)
    part_due = job.lengths.part_is_due(progress.step)
    validated = partial(validate, job.learner, job.data, job.objective, job.processes, stop)
    found = validated() if whole_due else None
    part = validated(job.train.partial_validation.samples) if part_due else None
    if (whole_due and found is None) or (part_due and part is None):
        return None
    row = new_row(job, progress, found, part, start)
    progress.add_row(row)
    if found:
        # What the leading process finds, for two may look at different times.
        progress.pruned = progress.step < job.lengths.total and job.processes.any(
            job.processes.leads and end_is_asked()
        )
    if note_if_best(progress, found):
        leads = job.processes.leads
        best = gathered(job.learner.result.state_dict(), on_leader=leads)
        job.learner.best = best if leads else None
    return row


def _save_is_due(job: Job, taken: int) -> bool:
    return job.processes.leads and job.saver.is_due(taken, job.lengths.row_is_due(taken))


def _save(job: Job, progress: Progress, wait: bool) -> None:
    """Save the present state. wait: until it is on the disk, in all processes."""
    learner, leads = job.learner, job.processes.leads
    job.saver.wait()
    with record_function("saving"):
        # All processes give their parts, and the leading one keeps them.
        state = copied_state(
            progress,
            network=learner.network,
            optimizer=learner.optimizer,
            average=learner.average.network if learner.average else None,
            best=learner.best,
            about=job.about,
            on_leader=leads,
        )
        if leads and wait:
            job.saver.save_and_wait(state)
        elif leads:
            job.saver.save(state)
    if wait:
        job.processes.accelerator.wait_for_everyone()
