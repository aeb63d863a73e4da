"""What a person sees of a training: samples before and after augmentation, and predictions.

Shapes: B samples, T frames, C channels, h and w the window's sides.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from segpipe.augment.apply import augment_batch
from segpipe.augment.draw import crop_sides, draw
from segpipe.dataset.reader import Dataset, Split
from segpipe.labels.scheme import LabelScheme
from segpipe.params.train import AugmentParams
from segpipe.raw.input_spec import picture_of
from segpipe.rendering.layout import Mask, Picture
from segpipe.rendering.png import png_bytes, write_png
from segpipe.rendering.samples import copies_sheet, predictions_sheet

_SHOWN = 6


def augmentation_sheet(
    dataset: Dataset, split: Split, augment: AugmentParams, seed: int
) -> NDArray[np.uint8]:
    """Return a picture of samples of `split` beside their first window: image and mask of each.

    The draws are those of the first epoch, so the windows are the very ones that are trained on, but
    for the samples that are picked for a class.
    """
    rows_B = np.unique(np.linspace(0, len(split) - 1, _SHOWN).astype(np.int64))
    crop = crop_sides(augment, dataset.height, dataset.width)
    sides = dataset.height, dataset.width, *crop
    draws = draw(augment, seed, 0, rows_B, *sides, step=dataset.truth_ratio)
    images_B1HWC = np.ascontiguousarray(split.images_NTHWC[rows_B, -1:])
    masks_Bhw = np.ascontiguousarray(split.masks_Nhw[rows_B])
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
        before = picture_of(images_B1HWC[place, 0], dataset.reading)
        after = picture_of(after_hwC, dataset.reading)
        name = split.rows[row].sample.name
        pairs.append((name, before, masks_Bhw[place], after, windows_Bhw[place].numpy()))
    return copies_sheet(pairs, dataset.scheme)


def predictions_png(
    samples: Sequence[tuple[str, Picture, Mask, Mask]], scheme: LabelScheme
) -> bytes:
    """Return a PNG with a row a sample: caption, image, truth and prediction, as training sees them."""
    return png_bytes(predictions_sheet(samples, scheme))


def write_sheet(
    path: Path, dataset: Dataset, split: Split, augment: AugmentParams, seed: int
) -> None:
    """Write the picture of `augmentation_sheet`, whole or not at all."""
    write_png(path, augmentation_sheet(dataset, split, augment, seed))
