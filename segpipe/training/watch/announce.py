"""What a training says to the person who waits for it."""

from segpipe.models.parts.network import count_parameters
from segpipe.params.loss import LossParams
from segpipe.runtime.console import say
from segpipe.training.loop import is_over
from segpipe.training.sampling import centroid_table
from segpipe.training.selection import selection_notes
from segpipe.training.setup import Job
from segpipe.training.state.checkpoint import Progress
from segpipe.training.stopping import Row
from segpipe.training.weighting import weight_table


def announce(job: Job, loss: LossParams, progress: Progress, notes: list[str]) -> None:
    """Say what is about to be trained, from where on, and what was derived from the parameters."""
    if progress.step:
        epoch, step = divmod(progress.step, job.steps_per_epoch)
        say(f"resuming at epoch {epoch + 1}, step {step + 1}")
    for note in notes:
        say(f"  note: {note}")
    say(
        f"training {count_parameters(job.network):,} parameters on {len(job.train_split)} samples of "
        f"{job.crop[0]}x{job.crop[1]}, {job.steps_per_epoch} steps an epoch, batch "
        f"{job.train.batch_size}, {job.share.processes} process(es), {job.device}, {job.precision}"
    )
    if job.sharded:
        say(
            "  of weights, gradients and optimizer state each process has its part (train.sharding)"
        )
    elif job.train.sharding != "none":
        say("  train.sharding has no effect: there is one process, which has everything")
    for line in selection_notes(job.train, job.dataset, job.train_split, job.val_split):
        say(line)
    for reason in job.lengths.reasons:
        say(f"  {reason}")
    if job.pretrained:
        say(job.pretrained.report())
    if job.freezing:
        say(f"  frozen for the first {job.frozen_steps} steps (model.freeze)")
    for line in weight_table(loss, job.dataset, job.class_weights):
        say(line)
    if job.centroids:
        for line in centroid_table(job.centroids, job.train, job.dataset, job.crop):
            say(line)
    if job.train.backbone_lr != 1.0 and not job.network.backbone_parameters():
        say("train.backbone_lr has no effect: this network names no backbone")
    if progress.step and is_over(job, progress):
        say("the training was finished before; only its result is published now")


def row_line(row: Row) -> str:
    """Return what a person reads of a row of the history: what was learnt, and what it cost."""
    miou = row["val_miou"]
    found = "" if miou is None else f", validation loss {row['val_loss']:.4f}, mIoU {miou:.4f}"
    return (
        f"epoch {row['epoch']:.6g}, step {row['step']}: loss {row['train_loss']:.4f}{found}; "
        f"{row['images_per_second']:.1f} images/s, {row['wait_seconds']:.2f} s waiting for data, "
        f"peak memory {row['peak_memory_mb']:.0f} MB"
    )


def say_early_stop(job: Job, progress: Progress) -> None:
    """Say so where the training ended before its length."""
    stopping = job.train.early_stopping
    if progress.step < job.lengths.total:
        least = f" by more than {stopping.threshold:g}" if stopping.threshold else ""
        say(
            f"stopped early, at step {progress.step} of {job.lengths.total}: {stopping.metric} was not "
            f"better{least} for {stopping.patience} validation(s) in a row (train.early_stopping)"
        )


def say_result(job: Job, progress: Progress, place: str) -> None:
    """Say how good the best weights are, and where they lie."""
    best = progress.history[progress.best_row]
    threshold = progress.best_threshold
    chosen = "" if threshold is None else f", threshold {threshold:g}"
    say(
        f"best validation mIoU {progress.best_miou:.4f} at epoch {best['epoch']:.6g} of "
        f"{progress.history[-1]['epoch']:.6g}{chosen}; the model is in {place}/"
    )
