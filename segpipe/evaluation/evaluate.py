"""A model against the truth of a split, at the raw labels' own resolution.

Shapes: N images, T frames or ranges of probability, K classes, H and W of an image, h and w of its
truth.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray

from segpipe.inference.predictor import Predictor
from segpipe.labels.scheme import VOID
from segpipe.loading.batches import Prefetch
from segpipe.metrics.confusion import confusion_matrix
from segpipe.metrics.precision_recall import PROBABILITIES, count_probabilities
from segpipe.raw.build import read_raw
from segpipe.raw.rasters.windows import ownership_mask
from segpipe.raw.sample import Sample
from segpipe.runtime.console import progress
from segpipe.runtime.errors import DataError

Number = TypeVar("Number", np.int64, np.float64)


@dataclass(frozen=True)
class Counts:
    """What a prediction run counted: a confusion matrix for each sample, and the pixels left out.

    files: the image file of each sample; windows of one raster share theirs. untold: samples whose
    truth is withheld; their matrix is 0, so that they count nowhere. probabilities_2T: of the whole
    split, as `count_probabilities` gives, where the network has one logit a pixel; else None.
    """

    names: list[str]
    files: list[str]
    confusion_NKK: NDArray[np.int64]
    void_pixels: int
    image_sizes: Counter[str]
    untold: int = 0
    probabilities_2T: NDArray[np.int64] | None = None

    @property
    def confusion_KK(self) -> NDArray[np.int64]:
        """The counts of the whole split, from which its scores come (law 7)."""
        total: NDArray[np.int64] = self.confusion_NKK.sum(0)
        return total

    @property
    def confusion_by_file(self) -> NDArray[np.int64]:
        """The counts by image file, of those with truth: what is drawn by the bootstrap.

        Windows of one raster are too alike to be drawn apart; the interval would be too narrow.
        """
        summed = self.sums_by_file(self.confusion_NKK)
        return summed[summed.any((1, 2))]

    def sums_by_file(self, values_N: NDArray[Number]) -> NDArray[Number]:
        """Return what stands for each sample, of any shape, added up by image file."""
        places = {file: place for place, file in enumerate(dict.fromkeys(self.files))}
        summed = np.zeros((len(places), *values_N.shape[1:]), values_N.dtype)
        np.add.at(summed, [places[file] for file in self.files], values_N)
        return summed


@dataclass(frozen=True)
class _Read:
    """counts_hw: which pixels are scored here and not in the window beside."""

    frames_THWC: NDArray[Any]
    truth_hw: NDArray[np.uint8]
    counts_hw: NDArray[np.bool_]


def count(predictor: Predictor, samples: Sequence[Sample], raw: Path) -> Counts:
    """Predict every sample that has truth and compare it with its raw mask, pixel by pixel.

    Where the truth of all of them is withheld, as in the test split of Cityscapes, nothing is
    predicted and every score is without meaning. Raises DataError when there is no sample, a mask
    holds values that the model's label scheme does not know, or there is truth and all is void.
    """
    if not samples:
        raise DataError("this split is empty; set evaluate.split in params.yaml to another")
    classes = predictor.scheme.num_classes
    confusion_NKK = np.zeros((len(samples), classes, classes), np.int64)
    binary = predictor.bundle.threshold is not None
    probabilities_2T = torch.zeros(2, PROBABILITIES, dtype=torch.int64)
    void, sizes = 0, Counter[str]()
    told = [place for place, sample in enumerate(samples) if sample.mask is not None]
    read = Prefetch(
        [samples[place] for place in told], partial(_read, raw=raw, predictor=predictor)
    )
    for place, found in zip(told, progress(read, "evaluate", "image", len(told)), strict=True):
        logits_Khw = predictor.logits(found.frames_THWC)
        prediction_hw = torch.from_numpy(predictor.train_ids(logits_Khw))
        truth_hw = torch.from_numpy(found.truth_hw)
        confusion_NKK[place] = confusion_matrix(prediction_hw[None], truth_hw[None], classes)
        if binary:
            truth_1hw = truth_hw[None].to(logits_Khw.device)
            probabilities_2T += count_probabilities(logits_Khw[None], truth_1hw).cpu()
        void += int((found.truth_hw[found.counts_hw] == VOID).sum())
        sizes[f"{found.truth_hw.shape[0]}x{found.truth_hw.shape[1]}"] += 1
    if told and not confusion_NKK.any():
        raise DataError("every pixel of this split's masks is void, so there is nothing to score")
    names, files = [one.name for one in samples], [one.image for one in samples]
    untold, all_2T = len(samples) - len(told), probabilities_2T.numpy() if binary else None
    return Counts(names, files, confusion_NKK, void, sizes, untold, all_2T)


def _read(sample: Sample, raw: Path, predictor: Predictor) -> _Read:
    found = read_raw(sample, raw, predictor.scheme, predictor.input.files)
    truth = found.truth
    assert truth is not None
    if truth.unknown:
        raise DataError(
            f"{raw / str(sample.mask)}: holds the values {sorted(truth.unknown)}, which the model's "
            f"label scheme {predictor.scheme.name} does not know; it was trained with other labels"
        )
    counts_hw = np.ones(truth.mask_hw.shape, np.bool_)
    if sample.window is not None:
        counts_hw = ownership_mask(sample.window, predictor.input.files.truth_ratio)
    return _Read(found.frames_THWC, truth.mask_hw, counts_hw)
