"""One optimizer step.

Shapes: B batch, H height, W width, C channels, K classes.
"""

from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from math import isfinite
from typing import Any

import numpy as np
import torch
from torch import Tensor

from segpipe.augment.apply import augment_batch
from segpipe.augment.draw import draw_picks
from segpipe.loading.batches import Batch
from segpipe.losses.valid import valid_pixels
from segpipe.models.parts.cropping import centre_crop
from segpipe.models.parts.network import Logits
from segpipe.runtime.randomness import generator
from segpipe.training.distributed.failure import noted
from segpipe.training.distributed.sharding import whole
from segpipe.training.not_finite import end_together, suspects
from segpipe.training.setup import Job


@dataclass(frozen=True)
class StepReport:
    """Of the global batch: the loss summed over its valid pixels, and their number.

    loss_sum: of the main output alone, so that it compares with the loss of validation. stop: one
    of the processes was asked to stop. save: the leading one wants a checkpoint of this step.
    """

    loss_sum: float
    pixels: int
    stop: bool
    save: bool

    @property
    def loss(self) -> float:
        """The mean over the valid pixels; 0 where there are none."""
        return self.loss_sum / max(self.pixels, 1)


def train_step(
    job: Job,
    pieces: list[Batch],
    epoch: int,
    step: int,
    lr: float,
    stop: bool = False,
    save: bool = False,
) -> StepReport:
    """Take one step on this process's micro-batches of a global batch.

    The loss is the sum over all valid pixels of the global batch divided by their number, which
    the processes add up before the first backward pass, so that neither processes nor
    accumulation change it (law 6).
    Raises TrainingError, before the weights change, when the loss or a gradient is not finite. Any
    other error is given a note of the process, the step and the samples that it was met with.
    """
    rows_B = np.concatenate([piece.picks_B["row"] for piece in pieces])
    place = f"epoch {epoch + 1}, step {step + 1}"
    with noted(place, job.share.rank, job.train_split, rows_B):
        return _step(job, pieces, epoch, step, lr, stop, save)


def _step(
    job: Job, pieces: list[Batch], epoch: int, step: int, lr: float, stop: bool, save: bool
) -> StepReport:
    _seed_dropout(job, epoch, step)
    _train_mode(job, epoch * job.steps_per_epoch + step)
    with job.phases.during("augmentation"):
        ready = [_augmented(job, piece, epoch) for piece in pieces]
    own_pixels = sum((_counted(job, mask) for _, mask in ready), torch.zeros((), dtype=torch.int64))
    counts = torch.tensor([int(own_pixels), int(stop), int(save)], device=job.device)
    pixels, stops, saves = job.accelerator.reduce(counts, "sum").tolist()
    losses: list[Tensor] = []
    for number, (image_BCHW, mask_BHW) in enumerate(ready):
        last = number == len(ready) - 1
        with _gradients_exchanged(job, last):
            with job.phases.during("forward"):
                main_sum, whole_sum = _loss_sums(job, job.model(image_BCHW), mask_BHW)
            with job.phases.during("backward"):
                # DDP averages gradients over processes; the sum is wanted.
                job.accelerator.backward(whole_sum / max(pixels, 1) * job.share.processes)
            losses.append(main_sum.detach().double())
    loss_sum = torch.stack(losses).sum()
    report = StepReport(
        float(job.accelerator.reduce(loss_sum, "sum")), pixels, stops > 0, saves > 0
    )
    with job.phases.during("optimizer"):
        norm = _clipped_norm(job)
    if not (isfinite(norm) and isfinite(report.loss)):
        at = f"epoch {epoch + 1}, step {step + 1}, with learning rate {lr:.3g}"
        samples = suspects(
            job, [p.picks_B["row"] for p in pieces], [image for image, _ in ready], losses
        )
        end_together(job, _not_finite(at, report.loss, norm, samples))
    with job.phases.during("optimizer"):
        job.optimizer.step()
        job.optimizer.zero_grad()
    return report


def _train_mode(job: Job, taken: int) -> None:
    """Put the network into training mode, but for the parts that are frozen at this step."""
    if job.freezing:
        job.freezing.switch(taken < job.frozen_steps)
    job.model.train()
    if job.freezing:
        job.freezing.hold()


def _augmented(job: Job, piece: Batch, epoch: int) -> tuple[Tensor, Tensor]:
    height, width = job.dataset.input.height, job.dataset.input.width
    step = job.dataset.truth_ratio
    seed, sides = job.train.seed, (height, width, *job.crop)
    draws = draw_picks(job.train.augmentation, seed, epoch, piece.picks_B, *sides, step)
    image_BTHWC = piece.image_BTHWC.to(job.device, non_blocking=True)
    mask_BHW = piece.mask_Bhw.to(job.device, non_blocking=True)
    image_BCHW, window_BHW = augment_batch(
        image_BTHWC, mask_BHW, draws, job.mean_C, job.std_C, job.crop
    )
    return fed(job, image_BCHW), window_BHW


def fed(job: Job, image_BCHW: Tensor) -> Tensor:
    """Return images as the network takes them: the frames of a clip along an axis of their own."""
    if not job.network.takes_clips:
        return image_BCHW
    return image_BCHW.view(-1, job.frames, *image_BCHW.shape[1:])


def _loss_sums(job: Job, outputs: Logits, mask_BHW: Tensor) -> tuple[Tensor, Tensor]:
    """The summed loss of the main output, and the same with the auxiliary heads' weighted one."""
    if not isinstance(outputs, tuple):
        main_sum = job.loss(outputs, mask_BHW)
        return main_sum, main_sum
    main_sum, *auxiliary_sums = (job.loss(logits_BKHW, mask_BHW) for logits_BKHW in outputs)
    return main_sum, main_sum + job.auxiliary * torch.stack(auxiliary_sums).sum()


def _counted(job: Job, mask_BHW: Tensor) -> Tensor:
    """The pixels that the loss will sum over: those under the logits that are not void."""
    height, width = (job.network.output_side(side) for side in job.crop)
    return valid_pixels(centre_crop(mask_BHW, height, width)).cpu()


def _seed_dropout(job: Job, epoch: int, step: int) -> None:
    """Dropout depends on (seed, epoch, step, process), not on what was drawn before (law 5)."""
    random = generator(job.train.seed, "dropout", epoch, step, job.share.rank)
    torch.manual_seed(int(random.integers(2**62)))


def _gradients_exchanged(job: Job, last: bool) -> AbstractContextManager[Any]:
    """Let the processes exchange gradients in the last micro-batch only; the sum is the same.

    Sharded gradients are exchanged in each, for until then every process holds them whole.
    """
    return nullcontext() if last else job.accelerator.no_sync(job.model)


def _clipped_norm(job: Job) -> float:
    """Clip the gradient's norm where asked for; return what it was."""
    bound = job.train.clip if job.train.clip is not None else float("inf")
    return float(whole(torch.nn.utils.clip_grad_norm_(job.network.parameters(), bound)))


def _not_finite(at: str, loss: float, norm: float, samples: str) -> str:
    return (
        f"the loss ({loss}) or its gradient (norm {norm}) is not finite at {at}; the weights were not "
        f"changed, and the last checkpoint is kept. {samples}\nA lower train.lr, a longer train.warmup "
        "or train.precision: fp32 may help, where it is not an image that is spoilt"
    )
