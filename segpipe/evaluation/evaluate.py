"""A model against the truth of a split, at the raw labels' own resolution.

Shapes: T frames, K classes, H and W of an image, C channels, h and w of its truth.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from segpipe.evaluation.counts import EvaluationCounts
from segpipe.evaluation.earlier_clips import (
    EarlierClip,
    find_earlier_clips,
    read_earlier_clip,
)
from segpipe.evaluation.measure import ScoredImage
from segpipe.inference.predictor import Predictor
from segpipe.inference.views import Views
from segpipe.labels.scheme import VOID
from segpipe.loading.batches import Prefetch
from segpipe.metrics.optical_flow import moved_labels
from segpipe.raw.pictures.files import read_instances
from segpipe.raw.rasters.windows import ownership_mask
from segpipe.raw.sample import Sample
from segpipe.runtime.console import progress
from segpipe.runtime.errors import DataError, file_named


@dataclass(frozen=True)
class _RawImage:
    """An image and its truth; scored_mask_hw, instances_hw: as in ScoredImage. earlier: where it is
    compared with the frame before it.
    """

    frames_THWC: NDArray[Any]
    truth_hw: NDArray[np.uint8]
    scored_mask_hw: NDArray[np.bool_]
    instances_hw: NDArray[np.int32] | None
    earlier: EarlierClip | None


def evaluate(
    predictor: Predictor,
    samples: Sequence[Sample],
    raw: Path,
    boundaries: Sequence[float] = (),
    probabilities: bool = False,
    temporal: bool = False,
) -> EvaluationCounts:
    """Predict every sample that has truth and compare it with its raw mask, pixel by pixel.

    boundaries, probabilities: further measures, as `EvaluationCounts.of` takes them. temporal: whether
    the frame before each image is predicted too, from the frames before it, and compared with it.

    Where the truth of all of them is withheld, as in the test split of Cityscapes, nothing is
    predicted and no score has a meaning. Raises DataError when there is no sample, a mask holds
    values that the model's label scheme does not know, the network's scores are not finite, there is
    truth and all of it is void, or frames are to be compared and no sample has those it needs.
    ParameterError: OpenCV is not installed, by which they are compared.
    """
    if not samples:
        raise DataError("this split is empty; set evaluate.split in params.yaml to another")
    classes, one_logit = predictor.scheme.classes, predictor.bundle.threshold is not None
    counts = EvaluationCounts.of(
        classes,
        one_logit,
        boundaries,
        probabilities,
        scheme=predictor.scheme,
        temperature=predictor.bundle.temperature,
        fitted_on=predictor.bundle.fit_images,
        temporal=temporal,
        fitted_views=predictor.views == Views(),
    )
    counts.withheld = [sample.name for sample in samples if sample.mask is None]
    with_truth = [sample for sample in samples if sample.mask is not None]
    valid_pixels = 0
    earlier = find_earlier_clips(with_truth, raw, predictor.frames) if temporal else {}
    read = partial(
        _read, raw=raw, predictor=predictor, instances=counts.needs_instances, earlier=earlier
    )
    images = Prefetch(with_truth, read)
    shown = progress(images, "evaluate", "image", len(with_truth))
    for sample, found in zip(with_truth, shown, strict=True):
        with file_named(raw / sample.image):
            _count(predictor, sample, found, counts)
        valid_pixels += int((found.truth_hw != VOID).sum())
    if with_truth and not valid_pixels:
        raise DataError("every pixel of this split's masks is void, so there is nothing to score")
    return counts


def _count(
    predictor: Predictor, sample: Sample, found: _RawImage, counts: EvaluationCounts
) -> None:
    """Count an image; the logits of large pictures are there for one strip at a time."""
    prediction_hw = np.empty_like(found.truth_hw)
    image = ScoredImage(
        sample=sample,
        truth_hw=found.truth_hw,
        prediction_hw=prediction_hw,
        scored_mask_hw=found.scored_mask_hw,
        classes=len(predictor.scheme.classes),
        instances_hw=found.instances_hw,
    )
    [strips] = predictor.score_strips([found.frames_THWC])
    for rows, logits_KRw in strips:
        prediction_hw[rows] = predictor.train_ids(logits_KRw)
        strip = replace(
            image,
            truth_hw=found.truth_hw[rows],
            prediction_hw=prediction_hw[rows],
            scored_mask_hw=found.scored_mask_hw[rows],
        )
        counts.update_logits(strip, logits_KRw)
    if found.earlier is not None:
        earlier_HW = predictor.predict(found.earlier.frames_THWC)
        image = replace(image, moved_hw=moved_labels(earlier_HW, found.earlier.places_HW))
    counts.update(image)


def _read(
    sample: Sample,
    raw: Path,
    predictor: Predictor,
    instances: bool,
    earlier: Mapping[Sample, Sequence[str]],
) -> _RawImage:
    found = predictor.reader.read(sample, raw, predictor.scheme)
    truth = found.truth
    assert truth is not None
    if truth.unknown:
        raise DataError(
            f"{raw / str(sample.mask)}: holds the values {sorted(truth.unknown)}, which the model's "
            f"label scheme {predictor.scheme.name} does not know; it was trained with other labels"
        )
    scored_mask_hw = np.ones(truth.mask_hw.shape, np.bool_)
    if sample.window is not None:
        scored_mask_hw = ownership_mask(sample.window, predictor.input.files.truth_ratio)
    instances_hw = None
    if instances and sample.instances is not None:
        instances_hw = read_instances(raw / sample.instances, truth.mask_hw.shape)
    before = None
    if sample in earlier:
        paths = earlier[sample]
        before = read_earlier_clip(sample, raw, predictor.reader, paths, found.frames_THWC)
    return _RawImage(found.frames_THWC, truth.mask_hw, scored_mask_hw, instances_hw, before)
