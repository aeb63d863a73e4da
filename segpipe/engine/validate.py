"""Validation between epochs, on the prepared arrays at the network's own size.

Shapes: B batch, K classes.
"""

from dataclasses import dataclass
from functools import partial
from math import isfinite

import numpy as np
import torch

from segpipe.augment.apply import normalise_batch
from segpipe.cropping import centre_crop
from segpipe.engine.setup import Job
from segpipe.engine.step import fed
from segpipe.errors import TrainingError
from segpipe.loading.batches import Prefetch, read_batch
from segpipe.losses.valid import valid_pixels
from segpipe.metrics.confusion import confusion_matrix
from segpipe.metrics.scores import scores


@dataclass(frozen=True)
class Validation:
    """The scores of the validation split, from one confusion matrix of all its valid pixels."""

    loss: float
    miou: float
    pixel_accuracy: float


def validate(job: Job) -> Validation:
    """Score the model on the validation split; each process takes every n-th sample (law 7).

    Raises TrainingError when the loss is not finite.
    """
    classes = job.dataset.scheme.num_classes
    confusion = torch.zeros(classes, classes, dtype=torch.int64, device=job.device)
    loss_sum = torch.zeros(1, dtype=torch.float64, device=job.device)
    pixels = torch.zeros(1, dtype=torch.int64, device=job.device)
    own = np.arange(job.share.rank, len(job.val_split), job.share.processes)
    # No larger than a training micro-batch: what trained fits in memory.
    size = max(1, job.train.batch_size // (job.share.processes * job.train.accumulation))
    batches = [own[start : start + size] for start in range(0, len(own), size)]
    read = partial(
        read_batch, job.val_split, frames=job.frames, pin=job.device.type == "cuda"
    )
    job.model.eval()
    with torch.inference_mode():
        for batch in Prefetch(batches, read):
            image_BTHWC = batch.image_BTHWC.to(job.device)
            image_BCHW = fed(job, normalise_batch(image_BTHWC, job.mean_C, job.std_C))
            # The network itself: DDP's wrapper would wait for processes that have fewer samples.
            with job.accelerator.autocast():
                logits_BKHW = job.network(image_BCHW)
            mask_BHW = centre_crop(batch.mask_Bhw.to(job.device), *logits_BKHW.shape[-2:])
            loss_sum += job.loss(logits_BKHW, mask_BHW)
            pixels += valid_pixels(mask_BHW)
            confusion += confusion_matrix(logits_BKHW.argmax(1), mask_BHW, classes)
    loss_sum, pixels, confusion = (
        job.accelerator.reduce(counted, "sum") for counted in (loss_sum, pixels, confusion)
    )
    loss = float(loss_sum) / max(int(pixels), 1)
    if not isfinite(loss):
        raise TrainingError(
            f"the validation loss is {loss}: the last steps have spoilt the weights, and the state of "
            "the epoch before is kept. A lower train.lr, a longer train.warmup_epochs or "
            "train.precision: fp32 may help"
        )
    found = scores(confusion.cpu().numpy())
    return Validation(loss, found.miou, found.pixel_accuracy)
