"""A model against the truth of a split, at the raw labels' own resolution.

Shapes: N images, K classes, H and W of an image.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from segpipe.console import progress
from segpipe.errors import DataError, listing
from segpipe.inference.predictor import Predictor
from segpipe.labels.scheme import VOID
from segpipe.loading.batches import Prefetch
from segpipe.metrics.confusion import confusion_matrix
from segpipe.sample import Sample
from segpipe.storage.decode import read_image, read_mask


@dataclass(frozen=True)
class Counts:
    """What a prediction run counted: a confusion matrix for each image, and the pixels left out."""

    names: list[str]
    confusion_NKK: NDArray[np.int64]
    void_pixels: int
    image_sizes: Counter[str]

    @property
    def confusion_KK(self) -> NDArray[np.int64]:
        """The counts of the whole split, from which its scores come (law 7)."""
        total: NDArray[np.int64] = self.confusion_NKK.sum(0)
        return total


@dataclass(frozen=True)
class _Read:
    image_HW3: NDArray[np.uint8]
    truth_HW: NDArray[np.uint8]


def count(predictor: Predictor, samples: Sequence[Sample], raw: Path) -> Counts:
    """Predict every sample and compare it with its raw mask, pixel by pixel.

    Raises DataError when a sample has no truth, a mask holds values that the model's label scheme
    does not know, or no pixel of the split counts.
    """
    bare = [sample.image for sample in samples if sample.mask is None]
    if bare or not samples:
        raise DataError(
            f"{len(bare)} of {len(samples)} images of this split have no mask, so there is nothing "
            f"to score them against; set evaluate.split in params.yaml to another:\n{listing(bare)}"
        )
    classes = predictor.scheme.num_classes
    matrices, void, sizes = [], 0, Counter[str]()
    read = Prefetch(samples, partial(_read, raw=raw, predictor=predictor))
    for found in progress(read, "evaluate", "image", len(samples)):
        prediction_HW = torch.from_numpy(predictor.predict(found.image_HW3))
        truth_HW = torch.from_numpy(found.truth_HW)
        matrices.append(confusion_matrix(prediction_HW[None], truth_HW[None], classes).numpy())
        void += int((found.truth_HW == VOID).sum())
        sizes[f"{found.truth_HW.shape[0]}x{found.truth_HW.shape[1]}"] += 1
    counts = Counts([sample.name for sample in samples], np.stack(matrices), void, sizes)
    if not counts.confusion_NKK.any():
        raise DataError("every pixel of this split's masks is void, so there is nothing to score")
    return counts


def _read(sample: Sample, raw: Path, predictor: Predictor) -> _Read:
    image_HW3 = read_image(raw / sample.image)
    truth_HW, unknown, _ = read_mask(raw / str(sample.mask), predictor.scheme)
    if unknown:
        raise DataError(
            f"{raw / str(sample.mask)}: holds the values {sorted(unknown)}, which the model's label "
            f"scheme {predictor.scheme.name} does not know; it was trained with other labels"
        )
    return _Read(image_HW3, truth_HW)
