"""One optimizer step.

Shapes: B batch, T frames, H height, W width, C channels, K classes.
"""

from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from math import isfinite
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.profiler import record_function

from segpipe.augment.apply import augment_batch
from segpipe.augment.draw import draw
from segpipe.bundle import predicted_ids
from segpipe.loading.batches import Batch
from segpipe.losses.valid import valid_pixels
from segpipe.metrics.confusion import confusion_matrix
from segpipe.models.parts.cropping import centre_crop
from segpipe.models.parts.network import Logits, Network
from segpipe.runtime.randomness import generator
from segpipe.training.distributed.peers import annotate_errors
from segpipe.training.distributed.sharding import whole
from segpipe.training.job import Job, Objective, Processes
from segpipe.training.lanes import LaneSums
from segpipe.training.not_finite import end_together, suspects


@dataclass(frozen=True)
class StepReport:
    """What a step found, of the global batch.

    loss_sum: summed over its valid pixels, of the main output alone, so that it compares with the
    loss of validation. pixels: their number. confusion_KK: of them, by true and predicted class, int64;
    None without `train.scores`. stop: one of the processes was asked to stop. save: the
    leading one wants a checkpoint of this step.
    """

    loss_sum: float
    pixels: int
    confusion_KK: NDArray[np.int64] | None
    stop: bool
    save: bool

    @property
    def loss(self) -> float:
        """The mean over the valid pixels; 0 where there are none."""
        return self.loss_sum / max(self.pixels, 1)


def train_step(
    job: Job,
    pieces: list[Batch],
    *,
    epoch: int,
    step: int,
    lr: float,
    stop: bool = False,
    save: bool = False,
) -> StepReport:
    """Take one step on this process's micro-batches of a global batch.

    The loss is the sum over all valid pixels of the global batch divided by their number, which
    the processes add up before the first backward pass, so that neither processes nor
    accumulation change it (law 6). epoch, and step in it, count from 0; lr is for messages alone.
    Raises TrainingError, before the weights change, when the loss or a gradient is not finite. Any
    other error is given a note of the process, the step and the samples that it was met with.
    """
    learner, processes = job.learner, job.processes
    rows = [piece.specs_B["row"] for piece in pieces]
    place = f"epoch {epoch + 1}, step {step + 1}"
    with annotate_errors(place, processes.rank, job.data.train_split, np.concatenate(rows)):
        learner.train_mode(epoch * job.lengths.epoch + step)
        with record_function("augmentation"):
            ready = [_augmented(job, piece, epoch) for piece in pieces]
        own_pixels = sum(_scored_pixels(learner.network, job.data.crop, mask) for _, mask in ready)
        pixels, stops, saves = _sums(processes, own_pixels, int(stop), int(save))
        confusion_KK = _no_counts(job) if job.train.scores else None
        losses = _forward_backward(job, ready, pixels, confusion_KK, (epoch, step))
        report = StepReport(
            loss_sum=_sum_in_order(processes, losses),
            pixels=pixels,
            confusion_KK=_of_all(processes, confusion_KK),
            stop=stops > 0,
            save=saves > 0,
        )
        with record_function("optimizer"):
            norm = _clipped_norm(learner.network, job.train.clip)
        if not (isfinite(norm) and isfinite(report.loss)):
            images = [image for image, _ in ready]
            samples = suspects(job.data.train_split, rows, images, losses, processes)
            at = f"{place}, with learning rate {lr:.3g}"
            end_together(processes, _not_finite(at, report.loss, norm, samples))
        with record_function("optimizer"):
            learner.optimizer.step()
            learner.optimizer.zero_grad()
        return report


def fed(network: Network, frames: int, image_BCHW: Tensor) -> Tensor:
    """Return images as the network takes them: the frames of a clip along an axis of their own."""
    if not network.takes_clips:
        return image_BCHW
    return image_BCHW.view(-1, frames, *image_BCHW.shape[1:])


def _forward_backward(
    job: Job,
    ready: list[tuple[Tensor, Tensor]],
    pixels: int,
    confusion_KK: Tensor | None,
    place: tuple[int, int],
) -> list[Tensor]:
    """Leave the gradient of the global batch in the network; return each micro-batch's summed loss.

    ready: this process's micro-batches, each images and masks. pixels: that the loss is divided by, of
    all processes. confusion_KK: as `_loss_sums` takes it. place: epoch, and step in it.
    """
    learner, processes, shard = job.learner, job.processes, job.processes.shard
    lanes = LaneSums(learner.network) if shard.lanes else None
    # DDP averages gradients over processes; the sum is wanted.
    factor = 1 if lanes else processes.number
    losses: list[Tensor] = []
    for number, (image_BCHW, mask_BHW) in enumerate(ready):
        if lanes:
            _seed_dropout(job.train.seed, *place, processes.rank * len(ready) + number)
        elif number == 0:
            _seed_dropout(job.train.seed, *place, processes.rank)
        last = number == len(ready) - 1
        with lanes.lane() if lanes else _exchange(processes, learner.model, last):
            with record_function("forward"):
                # No name for the logits: they would outlive the pass.
                main_sum, all_sum = _loss_sums(
                    job.objective, learner.model(image_BCHW), mask_BHW, confusion_KK
                )
            with record_function("backward"):
                processes.accelerator.backward(all_sum / max(pixels, 1) * factor)
        losses.append(main_sum.detach().double())
    if lanes:
        lanes.put_back(processes.rank, processes.number, shard.lanes)
    return losses


def _augmented(job: Job, piece: Batch, epoch: int) -> tuple[Tensor, Tensor]:
    """Return images as the network takes them, and their masks, on the device."""
    data, device = job.data, job.processes.device
    draws = draw(
        job.train.augmentation,
        job.train.seed,
        epoch,
        piece.specs_B,
        image=(data.dataset.input.height, data.dataset.input.width),
        crop=data.crop,
        step=data.dataset.truth_ratio,
    )
    image_BCHW, mask_BHW = augment_batch(
        piece.image_BTHWC.to(device, non_blocking=True),
        piece.mask_Bhw.to(device, non_blocking=True),
        draws,
        data.mean_C,
        data.std_C,
        data.crop,
    )
    return fed(job.learner.network, data.frames, image_BCHW), mask_BHW


def _of_all(processes: Processes, confusion_KK: Tensor | None) -> NDArray[np.int64] | None:
    """Return the sum over all processes, where there are counts."""
    if confusion_KK is None:
        return None
    counts_KK: Tensor = processes.accelerator.reduce(confusion_KK, "sum")
    return counts_KK.cpu().numpy()


def _no_counts(job: Job) -> Tensor:
    classes = job.data.dataset.scheme.num_classes
    return torch.zeros(classes, classes, dtype=torch.int64, device=job.processes.device)


def _loss_sums(
    objective: Objective, outputs: Logits, mask_BHW: Tensor, confusion_KK: Tensor | None
) -> tuple[Tensor, Tensor]:
    """Return the summed loss of the main output, and the same with the auxiliary heads' weighted one.

    confusion_KK: what the main output predicts is counted into it, unless it is None.
    """
    main_BKHW, *auxiliary = outputs if isinstance(outputs, tuple) else (outputs,)
    if confusion_KK is not None:
        truth_BHW = centre_crop(mask_BHW, *main_BKHW.shape[-2:])
        ids_BHW = predicted_ids(main_BKHW.detach(), objective.threshold)
        confusion_KK += confusion_matrix(ids_BHW, truth_BHW, len(confusion_KK))
    main_sum = objective.loss(main_BKHW, mask_BHW)
    if not auxiliary:
        return main_sum, main_sum
    auxiliary_sums = [objective.loss(logits_BKHW, mask_BHW) for logits_BKHW in auxiliary]
    return main_sum, main_sum + objective.auxiliary * torch.stack(auxiliary_sums).sum()


def _scored_pixels(network: Network, crop: tuple[int, int], mask_BHW: Tensor) -> int:
    """Return how many pixels the loss will sum over: those under the logits that are not void."""
    height, width = (network.output_side(side) for side in crop)
    return int(valid_pixels(centre_crop(mask_BHW, height, width)))


def _sum_in_order(processes: Processes, losses: list[Tensor]) -> float:
    """Return the sum over all micro-batches, in the order that they have in the global batch."""
    all_PA = losses[0].new_zeros(processes.number, len(losses))
    all_PA[processes.rank] = torch.stack(losses)
    # Each is added to zeros, which rounds nothing.
    in_order: list[float] = processes.accelerator.reduce(all_PA, "sum").flatten().tolist()
    return sum(in_order)


def _sums(processes: Processes, *own: int) -> list[int]:
    """Return the sums of some numbers over all processes."""
    numbers = torch.tensor(own, device=processes.device)
    sums: list[int] = processes.accelerator.reduce(numbers, "sum").tolist()
    return sums


def _seed_dropout(seed: int, epoch: int, step: int, part: int) -> None:
    """Let dropout depend on (seed, epoch, step, part), not on what was drawn before (law 5).

    part: the number of the process, or of the lane.
    """
    random = generator(seed, "dropout", epoch, step, part)
    torch.manual_seed(int(random.integers(2**62)))


def _exchange(
    processes: Processes, model: torch.nn.Module, last: bool
) -> AbstractContextManager[Any]:
    """Let the processes exchange gradients in the last micro-batch only; the sum is the same.

    Sharded gradients are exchanged in each, for until then every process holds them whole.
    """
    return nullcontext() if last else processes.accelerator.no_sync(model)


def _clipped_norm(network: Network, bound: float | None) -> float:
    """Clip the gradient's norm where a bound is given; return what it was."""
    norm = torch.nn.utils.clip_grad_norm_(
        network.parameters(), float("inf") if bound is None else bound
    )
    return float(whole(norm))


def _not_finite(at: str, loss: float, norm: float, samples: str) -> str:
    return (
        f"the loss ({loss}) or its gradient (norm {norm}) is not finite at {at}; the weights were not "
        f"changed, and the last checkpoint is kept. {samples}\nA lower train.lr, a longer train.warmup "
        "or train.precision: fp32 may help, where it is not an image that is spoilt"
    )
