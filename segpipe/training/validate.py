"""Validation during training, on the prepared arrays at the network's own size.

Shapes: B batch, K classes.
"""

import contextlib
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from functools import partial
from math import isfinite

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.profiler import record_function

from segpipe.augment.apply import normalise_batch
from segpipe.augment.draw import plain_specs
from segpipe.bundle import predicted_ids
from segpipe.dataset.subset import evenly_spaced
from segpipe.loading.batches import Batch, Prefetch, read_batch
from segpipe.losses.valid import valid_pixels
from segpipe.metrics.confusion import confusion_matrix
from segpipe.metrics.precision_recall import PROBABILITIES, best_threshold, count_probabilities
from segpipe.metrics.scores import scores
from segpipe.training.distributed.peers import annotate_errors
from segpipe.training.distributed.signals import StopRequest
from segpipe.training.job import Learner, Objective, Processes, TrainingData
from segpipe.training.not_finite import end_together, validated_suspects
from segpipe.training.step import fed


@dataclass(frozen=True)
class Validation:
    """The scores of the validation split, from one confusion matrix of all its valid pixels.

    threshold: of the probability, where the network has one logit: the one that was asked for, or
    the best for these weights; the scores are those at the one asked for, or at 0.5. ious_K: IoU by
    class, NaN where it has no meaning. samples: how many of the split were scored.
    """

    loss: float
    miou: float
    pixel_accuracy: float
    weighted_f1: float
    threshold: float | None
    ious_K: Sequence[float]
    samples: int


def validate(
    learner: Learner,
    data: TrainingData,
    objective: Objective,
    processes: Processes,
    stop: StopRequest,
    samples: int | None = None,
) -> Validation | None:
    """Score the result so far on the validation split (law 7).

    samples: only so many, evenly spaced, or all where there are fewer; None for the whole split. Each
    process takes every n-th of them, or with lanes every n-th batch. None when one of them was asked to
    stop, at which all look between the batches. Raises TrainingError when the loss is not finite.
    """
    split = data.val_split
    seen: list[tuple[NDArray[np.int64], Tensor]] = []
    learner.model.eval()
    rows = np.array(evenly_spaced(len(split), samples or len(split)), np.int64)
    size = _batch_size(processes)
    # A process with fewer batches than another goes round with it, or that one would wait for it.
    rounds = -(-len(rows) // (processes.number * size))
    counts = _Counts.zero(
        data.dataset.scheme.num_classes, rounds * processes.number, processes.device
    )
    with (
        record_function("validation"),
        # Not inference_mode: sharded weights that were first gathered in it could not be learnt.
        torch.no_grad(),
        contextlib.closing(_batches(data, processes, rows, size)) as batches,
    ):
        for turn in range(rounds):
            if processes.any(stop.asked):
                return None
            batch = next(batches, None)
            if batch is None:
                _call_along(learner, data, processes)
                continue
            rows_B = batch.specs_B["row"]
            with annotate_errors("validation", processes.rank, split, rows_B):
                # No name for the logits: they would outlive the pass.
                loss = counts.add(
                    objective,
                    result_logits(learner, data, processes, batch),
                    batch.mask_Bhw.to(processes.device),
                    place=turn * processes.number + processes.rank,
                )
                seen.append((rows_B, loss))
    counts = counts.of_all_processes(processes)
    if not isfinite(counts.mean_loss):
        suspects = validated_suspects(split, seen, processes)
        end_together(processes, _not_finite(counts.mean_loss, suspects))
    return counts.validation(objective, len(rows))


def result_logits(
    learner: Learner, data: TrainingData, processes: Processes, batch: Batch
) -> Tensor:
    """Return the result's logits of all scored pixels of a batch, (B, K, h, w), on the device.

    As in prediction edges are mirrored where the network's output is smaller than its input, though
    the training loss is that of the middle.
    """
    image_BTHWC = batch.image_BTHWC.to(processes.device)
    normal_BCHW = normalise_batch(image_BTHWC, data.mean_C, data.std_C)
    # The network itself: DDP's wrapper would wait for processes that have fewer samples.
    with processes.accelerator.autocast():
        given = fed(learner.network, data.frames, normal_BCHW)
        logits_BKhw: Tensor = learner.result.whole_logits(given)
    return logits_BKhw


@dataclass
class _Counts:
    """What adds up over batches and processes.

    losses_N: the summed loss of each of the N batches of all processes, to be added in this order.
    probabilities: as `count_probabilities` counts.
    """

    losses_N: Tensor
    pixels: Tensor
    confusion_KK: Tensor
    probabilities: Tensor

    @staticmethod
    def zero(classes: int, batches: int, device: torch.device) -> "_Counts":
        return _Counts(
            losses_N=torch.zeros(batches, dtype=torch.float64, device=device),
            pixels=torch.zeros(1, dtype=torch.int64, device=device),
            confusion_KK=torch.zeros(classes, classes, dtype=torch.int64, device=device),
            probabilities=torch.zeros(2, PROBABILITIES, dtype=torch.int64, device=device),
        )

    def add(
        self, objective: Objective, logits_BKhw: Tensor, mask_Bhw: Tensor, place: int
    ) -> Tensor:
        """Count a batch, whose number among those of all is `place`; return its summed loss."""
        ids_Bhw = predicted_ids(logits_BKhw, objective.threshold)
        loss = objective.loss(logits_BKhw, mask_Bhw)
        self.losses_N[place] = loss
        self.pixels += valid_pixels(mask_Bhw)
        self.confusion_KK += confusion_matrix(ids_Bhw, mask_Bhw, len(self.confusion_KK))
        if objective.searches_threshold:
            self.probabilities += count_probabilities(logits_BKhw, mask_Bhw)
        return loss

    def of_all_processes(self, processes: Processes) -> "_Counts":
        reduced = partial(processes.accelerator.reduce, reduction="sum")
        return _Counts(
            losses_N=reduced(self.losses_N),
            pixels=reduced(self.pixels),
            confusion_KK=reduced(self.confusion_KK),
            probabilities=reduced(self.probabilities),
        )

    @property
    def mean_loss(self) -> float:
        """The loss a valid pixel; the batches' losses are added in their order."""
        return float(sum(self.losses_N.tolist()) / max(int(self.pixels), 1))

    def validation(self, objective: Objective, samples: int) -> Validation:
        """Return the scores of these counts, which are of so many samples."""
        found = scores(self.confusion_KK.cpu().numpy())
        return Validation(
            loss=self.mean_loss,
            miou=found.miou,
            pixel_accuracy=found.pixel_accuracy,
            weighted_f1=found.frequency_weighted_dice,
            threshold=self.threshold(objective),
            ious_K=found.iou_K.tolist(),
            samples=samples,
        )

    def threshold(self, objective: Objective) -> float | None:
        """Return the one asked for, or the best for these counts; None unless there is one logit."""
        if objective.searches_threshold:
            return best_threshold(self.probabilities.cpu().numpy())
        return objective.threshold


def _call_along(learner: Learner, data: TrainingData, processes: Processes) -> None:
    """Call a sharded network as the processes do that still have samples; the answer is let go."""
    if learner.sharded:
        batch = read_batch(data.val_split, plain_specs([0]), data.frames, pin=False)
        result_logits(learner, data, processes, batch)


def _batch_size(processes: Processes) -> int:
    # No larger than a training micro-batch: what trained fits in memory.
    shard = processes.shard
    return max(1, shard.batch_size // (shard.processes * shard.accumulation))


def _batches(
    data: TrainingData, processes: Processes, rows: NDArray[np.int64], size: int
) -> Generator[Batch, None, None]:
    split = data.val_split
    own = slice(processes.rank, None, processes.number)
    # With lanes the batches are the same on any number of processes; else samples are shared out evenly.
    shared = rows if processes.shard.lanes else rows[own]
    batches = [plain_specs(shared[start : start + size]) for start in range(0, len(shared), size)]
    if processes.shard.lanes:
        batches = batches[own]
    pin = processes.device.type == "cuda"
    yield from Prefetch(batches, partial(read_batch, split, frames=data.frames, pin=pin))


def _not_finite(loss: float, samples: str) -> str:
    return (
        f"the validation loss is {loss}: the last steps have spoilt the weights, or an image is not "
        "finite, and the state of the last checkpoint is kept. A lower train.lr, a longer "
        "train.warmup or train.precision: fp32 may help. The loss is not finite with these samples "
        f"(they are scored by batches):\n{samples}"
    )
