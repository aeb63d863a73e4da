"""Console output of a training run: what it is about to do, how far it is, and what came of it."""

import math
import sys
from collections import deque
from time import perf_counter
from types import TracebackType
from typing import Any, Self

from tqdm import tqdm

from segpipe.dataset.subset import selection_notes
from segpipe.models.parts.network import count_parameters
from segpipe.models.pretrained.weights import Loaded
from segpipe.params.loss import LossParams
from segpipe.params.train import EarlyStoppingParams
from segpipe.raw.input_spec import InputSpec
from segpipe.runtime.console import say
from segpipe.training.class_balance import centroid_table, weight_table
from segpipe.training.history import Row, is_over
from segpipe.training.job import Job
from segpipe.training.lengths import StepLengths
from segpipe.training.state.checkpoint import Progress

# The mean of so many steps is shown: it neither jumps nor remembers the slow start.
_STEPS = 50
_REDRAWN_EVERY = 0.2  # seconds, on a terminal
_SAID_EVERY = 15.0  # seconds, anywhere else


def announce(job: Job, loss: LossParams, progress: Progress, notes: list[str]) -> None:
    """Say what is about to be trained, from where on, and what was derived from the parameters."""
    train, learner, data, processes = job.train, job.learner, job.data, job.processes
    if progress.step:
        epoch, step = divmod(progress.step, job.lengths.epoch)
        say(f"resuming at epoch {epoch + 1}, step {step + 1}")
    for note in notes:
        say(f"  note: {note}")
    say(
        f"training {count_parameters(learner.network):,} parameters on {len(data.train_split)} samples "
        f"of {data.crop[0]}x{data.crop[1]}, {job.lengths.epoch} steps an epoch, batch "
        f"{train.batch_size}, {processes.number} process(es), {processes.device}, {processes.precision}"
    )
    if learner.sharded:
        say(
            "  each process has its part of weights, gradients and optimizer state (train.sharding)"
        )
    elif train.sharding != "none":
        say("  train.sharding has no effect: there is one process, which has everything")
    for line in selection_notes(train, data.dataset, data.train_split, data.val_split):
        say(line)
    for reason in job.lengths.reasons:
        say(f"  {reason}")
    if learner.pretrained:
        say(learner.pretrained.report())
    if learner.pretrained or train.normalisation != "auto":
        say(_normalisation_line(data.dataset.input, learner.pretrained, train.normalisation))
    if learner.freezing:
        first = f"the first {learner.frozen_steps} steps"
        when = "the whole training" if math.isinf(learner.frozen_steps) else first
        say(f"  frozen for {when} (model.freeze): {', '.join(learner.freezing.names)}")
    for line in weight_table(loss, data.dataset, job.objective.class_weights):
        say(line)
    if data.centroids:
        for line in centroid_table(data.centroids, train, data.dataset, data.crop):
            say(line)
    if train.backbone_lr != 1.0 and not learner.network.backbone_parameters():
        say("train.backbone_lr has no effect: this network names no backbone")
    if progress.step and is_over(job, progress):
        say("the training was finished before; only its result is published now")


def _normalisation_line(spec: InputSpec, pretrained: Loaded | None, asked: str) -> str:
    """Say by what images are normalised. spec: what the network is fed. asked: train.normalisation."""
    known = pretrained.normalisation if pretrained and asked == "auto" else None
    stated = "these weights" if known is not None and known.suits(spec) else "the training split"
    whose = "ImageNet" if asked == "imagenet" else stated
    mean, std = (", ".join(f"{value:.3f}" for value in values) for values in (spec.mean, spec.std))
    return f"  images are normalised by mean {mean} and std {std} of {whose}"


def row_line(row: Row) -> str:
    """Return what a person reads of a row of the history: what was learnt, and what it cost."""
    miou = row["val_miou"]
    found = (
        "" if miou is None else f", validation loss {row['val_loss']:.4f}, mIoU {100 * miou:.2f} %"
    )
    part = row.get("partial_val_miou")
    if part is not None:
        found = (
            f", on {row['partial_val_samples']} validation samples loss {row['partial_val_loss']:.4f}, "
            f"mIoU {100 * part:.2f} %"
        )
    return (
        f"epoch {row['epoch']:.6g}, step {row['step']}: loss {row['train_loss']:.4f}{found}; "
        f"{row['images_per_second']:.1f} images/s, {row['wait_seconds']:.2f} s waiting for data, "
        f"peak memory {row['peak_memory_mb']:.0f} MB"
    )


def say_early_stop(stopping: EarlyStoppingParams, total: int, progress: Progress) -> None:
    """Say that the training ended before its `total` steps, if it did."""
    if progress.pruned:
        say(f"ended by the sweep, at step {progress.step} of {total}: pruned")
    elif progress.step < total:
        least = f" by more than {stopping.threshold:g}" if stopping.threshold else ""
        say(
            f"stopped early, at step {progress.step} of {total}: {stopping.metric} was not "
            f"better{least} for {stopping.patience} validation(s) in a row (train.early_stopping)"
        )


def say_result(progress: Progress, place: str) -> None:
    """Say how good the best weights are, and where they lie."""
    best = progress.history[progress.best_row]
    threshold = progress.best_threshold
    chosen = "" if threshold is None else f", threshold {threshold:g}"
    say(
        f"best validation mIoU {100 * progress.best_miou:.2f} % at epoch {best['epoch']:.6g} of "
        f"{progress.history[-1]['epoch']:.6g}{chosen}; the model is in {place}/"
    )


class LiveLine:
    """How a training goes: one moving line on a terminal, elsewhere a plain line now and then.

    As a context manager it leaves the terminal in order.
    """

    def __init__(self, lengths: StepLengths, batch_size: int, taken: int, shown: bool) -> None:
        """taken: the optimizer steps that were taken before. shown: whether anything is."""
        self._lengths, self._batch_size, self._shown = lengths, batch_size, shown
        # Of the last steps: loss, seconds, and those of them in which there was no data.
        self._steps: deque[tuple[float, float, float]] = deque(maxlen=_STEPS)
        self._first = taken + 1
        self._validation = self._part = 0.0  # seconds
        self._ended, self._said = perf_counter(), -_SAID_EVERY  # the first step is said at once
        self._bar = _bar(lengths.total, taken) if shown and sys.stderr.isatty() else None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._bar is not None:
            self._bar.close()

    def step(self, taken: int, loss: float, lr: float, seconds: float, waited: float) -> None:
        """Show step number `taken` (from 1): it took `seconds`, and waited so many of them for data."""
        if not self._shown:
            return
        self._note(taken, loss, seconds, waited)
        text = f"{self._place(taken)}: {self._pace(lr)}"
        if self._bar is not None:
            self._bar.set_description_str(text, refresh=False)
            self._bar.update()
        elif self._ended - self._said >= _SAID_EVERY:
            self._said = self._ended
            say(text)

    def _note(self, taken: int, loss: float, seconds: float, waited: float) -> None:
        now = perf_counter()
        between = max(now - self._ended - seconds, 0.0)
        if self._lengths.validation_is_due(taken - 1):
            self._validation = between
        elif self._lengths.part_is_due(taken - 1):
            self._part = between
        self._ended = now
        if taken == self._first + 1:
            self._steps.clear()  # the first one warms up
        self._steps.append((loss, seconds, waited))

    def _place(self, taken: int) -> str:
        each, total = self._lengths.epoch, self._lengths.total
        epoch, step = divmod(taken - 1, each)
        left = duration(self._seconds_left(taken))
        return f"epoch {epoch + 1}/{-(-total // each)}, step {step + 1}/{each}, {left} left"

    def _pace(self, lr: float) -> str:
        loss, seconds, waited = (sum(column) for column in zip(*self._steps, strict=True))
        speed = len(self._steps) * self._batch_size / max(seconds, 1e-9)
        return (
            f"loss {loss / len(self._steps):.3f}, lr {lr:.2g}, {speed:.3g} images/s, "
            f"{100 * waited / max(seconds, 1e-9):.0f} % waiting for data"
        )

    def _seconds_left(self, taken: int) -> float:
        """Return the seconds of the steps and validations to come, if they take as long as those before."""
        total, every = self._lengths.total, self._lengths.validate_every
        each = sum(seconds for _, seconds, _ in self._steps) / len(self._steps)
        validations = -(-total // every) - taken // every
        left = (total - taken) * each + validations * self._validation
        if part := self._lengths.partial_every:
            both = math.lcm(every, part)
            parts = (total // part - taken // part) - (total // both - taken // both)
            left += parts * self._part
        return left


def duration(seconds: float) -> str:
    """Return seconds as 0:42, 12:05 or 3:07:00 (hours, minutes, seconds)."""
    minutes, second = divmod(round(seconds), 60)
    hours, minute = divmod(minutes, 60)
    return f"{hours}:{minute:02}:{second:02}" if hours else f"{minute}:{second:02}"


def _bar(total: int, taken: int) -> "tqdm[Any]":
    bar: tqdm[Any] = tqdm(
        total=total,
        initial=taken,
        bar_format="|{bar:12}| {desc}",
        mininterval=_REDRAWN_EVERY,
        maxinterval=_REDRAWN_EVERY,
        dynamic_ncols=True,
        leave=False,
        file=sys.stderr,
    )
    return bar
