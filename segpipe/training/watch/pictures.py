"""The same few validation samples at each validation: image, truth and prediction.

Shapes: B batch, T frames, K classes; H, W of the image; h, w of the truth.
"""

import numpy as np
import torch
from numpy.typing import NDArray

from segpipe.augment.picks import plain_picks
from segpipe.bundle import predicted_ids
from segpipe.dataset.spread import evenly_spread
from segpipe.loading.batches import Batch, read_batch
from segpipe.models.parts.cropping import centre_crop
from segpipe.raw.input_spec import at_image_size, picture_of
from segpipe.training.setup import Job
from segpipe.training.validate import result_logits
from segpipe.training.watch.preview import predictions_png

Drawn = NDArray[np.uint8]


def validation_pictures(job: Job, number: int) -> bytes:
    """Return a PNG of `number` validation samples as the network sees them, with its present answer.

    The samples are spread evenly over the split in the order of their names, the first with it; of
    a smaller split it is all of them. Void stays visible in the truth; where the network has one
    logit, the threshold is that of the validation's scores.

    No random number is drawn, and no process waits for another: one alone may call this, but of a
    sharded network all do.
    """
    names = np.array([row.sample.name for row in job.val_split.rows])
    rows_B = np.argsort(names, kind="stable")[evenly_spread(len(names), number)]
    drawn = [_drawn(job, int(row)) for row in rows_B]
    return predictions_png(drawn, job.dataset.scheme)


def _drawn(job: Job, row: int) -> tuple[str, Drawn, Drawn, Drawn]:
    """One sample at a time: what was validated in batches fits in memory so."""
    batch = read_batch(job.val_split, plain_picks([row]), job.frames, pin=False)
    prediction_hw = _predicted(job, batch)
    # The answer of networks without padding is smaller than the image.
    truth_hw = centre_crop(batch.mask_Bhw, *prediction_hw.shape)[0].numpy()
    height, width = (side * job.dataset.truth_ratio for side in prediction_hw.shape)
    image_CHW = batch.image_BTHWC[0, -1].permute(2, 0, 1)
    image_HWC = centre_crop(image_CHW, height, width).permute(1, 2, 0).numpy()
    files = job.dataset.input.files
    return (
        job.val_split.rows[row].sample.name,
        picture_of(image_HWC, files),
        at_image_size(truth_hw, files),
        at_image_size(prediction_hw, files),
    )


def _predicted(job: Job, batch: Batch) -> Drawn:
    job.result.eval()
    with torch.no_grad():
        ids_Bhw = predicted_ids(result_logits(job, batch), job.threshold)
    return ids_Bhw[0].to(torch.uint8).cpu().numpy()
