"""Validation during training, on the prepared arrays at the network's own size.

Shapes: B batch, K classes.
"""

import contextlib
from collections.abc import Generator
from dataclasses import dataclass
from functools import partial
from math import isfinite

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from segpipe.augment.apply import normalise_batch
from segpipe.augment.picks import plain_picks
from segpipe.bundle import predicted_ids
from segpipe.loading.batches import Batch, Prefetch, read_batch
from segpipe.losses.valid import valid_pixels
from segpipe.metrics.confusion import confusion_matrix
from segpipe.metrics.precision_recall import PROBABILITIES, best_threshold, count_probabilities
from segpipe.metrics.scores import scores
from segpipe.models.parts.cropping import centre_crop
from segpipe.training.distributed.failure import noted
from segpipe.training.distributed.interruption import StopRequest
from segpipe.training.not_finite import end_together, validated_suspects
from segpipe.training.setup import Job
from segpipe.training.step import fed


@dataclass(frozen=True)
class Validation:
    """The scores of the validation split, from one confusion matrix of all its valid pixels.

    threshold: of the probability, where the network has one logit: the one that was asked for, or
    the best for these weights; the scores are those at the one asked for, or at 0.5.
    """

    loss: float
    miou: float
    pixel_accuracy: float
    threshold: float | None


def validate(job: Job, stop: StopRequest) -> Validation | None:
    """Score the result so far on the validation split (law 7).

    Each process takes every n-th sample. None when one of them was asked to stop, at which all
    look between the batches. Raises TrainingError when the loss is not finite.
    """
    counts = _Counts.none(job)
    seen: list[tuple[NDArray[np.int64], Tensor]] = []
    job.model.eval()
    # A process with fewer batches than another goes round with it, or that one would wait for it.
    rounds = -(-len(job.val_split) // (job.share.processes * _size(job)))
    with (
        job.phases.during("validation"),
        # Not inference_mode: sharded weights that were first gathered in it could not be learnt.
        torch.no_grad(),
        contextlib.closing(_batches(job)) as batches,
    ):
        for _ in range(rounds):
            if _stop_was_asked(job, stop):
                return None
            batch = next(batches, None)
            if batch is None:
                _call_along(job)
                continue
            with noted("validation", job.share.rank, job.val_split, batch.picks_B["row"]):
                seen.append((batch.picks_B["row"], counts.add(job, batch)))
    counts = counts.of_all_processes(job)
    loss = float(counts.loss_sum) / max(int(counts.pixels), 1)
    if not isfinite(loss):
        samples = validated_suspects(job, seen)
        end_together(
            job,
            f"the validation loss is {loss}: the last steps have spoilt the weights, or an image is not "
            "finite, and the state of the last checkpoint is kept. A lower train.lr, a longer "
            "train.warmup or train.precision: fp32 may help. The loss is not finite with these samples "
            f"(they are scored by batches):\n{samples}",
        )
    found = scores(counts.confusion_KK.cpu().numpy())
    return Validation(loss, found.miou, found.pixel_accuracy, counts.threshold(job))


def result_logits(job: Job, batch: Batch) -> Tensor:
    """Return what the result so far answers to a batch, (B, K, h, w), on the device."""
    image_BTHWC = batch.image_BTHWC.to(job.device)
    image_BCHW = fed(job, normalise_batch(image_BTHWC, job.mean_C, job.std_C))
    # The network itself: DDP's wrapper would wait for processes that have fewer samples.
    with job.accelerator.autocast():
        logits_BKhw: Tensor = job.result(image_BCHW)
    return logits_BKhw


@dataclass
class _Counts:
    """What adds up over batches and processes. probabilities: as `count_probabilities` counts."""

    loss_sum: Tensor
    pixels: Tensor
    confusion_KK: Tensor
    probabilities: Tensor

    @staticmethod
    def none(job: Job) -> "_Counts":
        classes, whole = job.dataset.scheme.num_classes, torch.int64
        return _Counts(
            torch.zeros(1, dtype=torch.float64, device=job.device),
            torch.zeros(1, dtype=whole, device=job.device),
            torch.zeros(classes, classes, dtype=whole, device=job.device),
            torch.zeros(2, PROBABILITIES, dtype=whole, device=job.device),
        )

    def add(self, job: Job, batch: Batch) -> Tensor:
        """Count a batch; return its summed loss, on the device."""
        logits_BKHW = result_logits(job, batch)
        mask_BHW = centre_crop(batch.mask_Bhw.to(job.device), *logits_BKHW.shape[-2:])
        ids_BHW = predicted_ids(logits_BKHW, job.threshold)
        loss = job.loss(logits_BKHW, mask_BHW)
        self.loss_sum += loss
        self.pixels += valid_pixels(mask_BHW)
        self.confusion_KK += confusion_matrix(ids_BHW, mask_BHW, len(self.confusion_KK))
        if job.binary and job.train.threshold == "auto":
            self.probabilities += count_probabilities(logits_BKHW, mask_BHW)
        return loss

    def of_all_processes(self, job: Job) -> "_Counts":
        own = (self.loss_sum, self.pixels, self.confusion_KK, self.probabilities)
        return _Counts(*(job.accelerator.reduce(counted, "sum") for counted in own))

    def threshold(self, job: Job) -> float | None:
        """The one asked for, or the best for these counts; None unless the network has one logit."""
        if job.binary and job.train.threshold == "auto":
            return best_threshold(self.probabilities.cpu().numpy())
        return job.threshold


def _call_along(job: Job) -> None:
    """Call a sharded network as the processes do that still have samples; the answer is let go."""
    if job.sharded:
        batch = read_batch(job.val_split, plain_picks([0]), job.frames, pin=False)
        result_logits(job, batch)


def _stop_was_asked(job: Job, stop: StopRequest) -> bool:
    asked = torch.tensor(int(stop.asked), device=job.device)
    return bool(job.accelerator.reduce(asked, "sum"))


def _size(job: Job) -> int:
    # No larger than a training micro-batch: what trained fits in memory.
    return max(1, job.train.batch_size // (job.share.processes * job.share.accumulation))


def _batches(job: Job) -> Generator[Batch, None, None]:
    own = plain_picks(np.arange(job.share.rank, len(job.val_split), job.share.processes))
    size = _size(job)
    batches = [own[start : start + size] for start in range(0, len(own), size)]
    pin = job.device.type == "cuda"
    yield from Prefetch(batches, partial(read_batch, job.val_split, frames=job.frames, pin=pin))
