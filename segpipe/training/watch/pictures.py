"""Pictures of a training: samples before and after augmentation, and predictions.

Shapes: B samples, T frames, C channels, K classes; H, W of the image; h, w of the window or the truth.
"""

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from segpipe.augment.apply import augment_batch
from segpipe.augment.draw import crop_sides, draw, plain_specs
from segpipe.bundle import predicted_ids
from segpipe.dataset.reader import Dataset, Split
from segpipe.dataset.subset import evenly_spaced
from segpipe.loading.batches import Batch, read_batch
from segpipe.params.augment import AugmentParams
from segpipe.raw.input_spec import at_image_size, picture_of
from segpipe.rendering.layout import Mask, Picture
from segpipe.rendering.png import png_bytes, write_png
from segpipe.rendering.samples import copies_sheet, predictions_sheet
from segpipe.training.job import Job, TrainingData
from segpipe.training.validate import result_logits

_SHOWN = 6


def augmentation_sheet(
    dataset: Dataset, split: Split, augment: AugmentParams, seed: int
) -> NDArray[np.uint8]:
    """Return a picture of samples of `split` beside their first window: image and mask of each.

    The draws are those of the first epoch, so the windows are the very ones that are trained on,
    except those of samples that are chosen for a class.
    """
    rows_B = np.unique(np.linspace(0, len(split) - 1, _SHOWN).astype(np.int64))
    crop = crop_sides(augment, dataset.input.height, dataset.input.width)
    draws = draw(
        augment,
        seed,
        epoch=0,
        specs_B=plain_specs(rows_B),
        image=(dataset.input.height, dataset.input.width),
        crop=crop,
        step=dataset.truth_ratio,
    )
    images_B1HWC, masks_Bhw = split.read(rows_B, frames=1)
    channels = images_B1HWC.shape[-1]
    # Neither mean nor std: what comes back is the picture itself, black outside of it.
    seen_BChw, windows_Bhw = augment_batch(
        torch.from_numpy(images_B1HWC),
        torch.from_numpy(masks_Bhw),
        draws,
        torch.zeros(channels),
        torch.ones(channels),
        crop,
    )
    pairs: list[tuple[str, Picture, Mask, Picture, Mask]] = []
    for place, row in enumerate(rows_B):
        after_hwC = seen_BChw[place].permute(1, 2, 0).clamp(0, 1).numpy()
        before = picture_of(images_B1HWC[place, 0], dataset.input.files)
        after = picture_of(after_hwC, dataset.input.files)
        name = split.rows[row].sample.name
        pairs.append((name, before, masks_Bhw[place], after, windows_Bhw[place].numpy()))
    return copies_sheet(pairs, dataset.scheme)


def write_sheet(
    path: Path, dataset: Dataset, split: Split, augment: AugmentParams, seed: int
) -> None:
    """Write the picture of `augmentation_sheet`, whole or not at all."""
    write_png(path, augmentation_sheet(dataset, split, augment, seed))


def validation_pictures(job: Job, number: int) -> bytes:
    """Return a PNG of `number` validation samples as the network sees them, with its present answer.

    The samples are evenly spaced in the order of their names, from the first on; of
    a smaller split it is all of them. Void stays visible in the truth; where the network has one
    logit, the threshold is that of the validation's scores.

    No random number is drawn, and no process waits for another: one alone may call this, but of a
    sharded network all do.
    """
    learner, data = job.learner, job.data
    names = np.array([row.sample.name for row in data.val_split.rows])
    rows_B = np.argsort(names, kind="stable")[evenly_spaced(len(names), number)]
    learner.result.eval()
    drawn = []
    for row in rows_B.tolist():
        # One sample at a time: what was validated in batches fits in memory so.
        batch = read_batch(data.val_split, plain_specs([row]), data.frames, pin=False)
        with torch.no_grad():
            logits_BKhw = result_logits(learner, data, job.processes, batch)
            ids_Bhw = predicted_ids(logits_BKhw, job.objective.threshold)
        drawn.append(_drawn(data, row, batch, ids_Bhw[0].to(torch.uint8).cpu().numpy()))
    return png_bytes(predictions_sheet(drawn, data.dataset.scheme))


def _drawn(
    data: TrainingData, row: int, batch: Batch, prediction_hw: Mask
) -> tuple[str, Picture, Mask, Mask]:
    """Return name, image, truth and prediction of one sample, at the size of its image."""
    reading = data.dataset.input.files
    return (
        data.val_split.rows[row].sample.name,
        picture_of(batch.image_BTHWC[0, -1].numpy(), reading),
        at_image_size(batch.mask_Bhw[0].numpy(), reading),
        at_image_size(prediction_hw, reading),
    )
