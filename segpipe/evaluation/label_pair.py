"""A pair of label images, read and counted, and what is wrong with such pairs."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from segpipe.evaluation.counts import EvaluationCounts
from segpipe.evaluation.measure import ScoredImage
from segpipe.labels.scheme import VOID, LabelScheme, colour_text
from segpipe.metrics.label_pairs import label_confusion, pair_counts
from segpipe.raw.pictures.files import MaskFile, load_mask, read_instances
from segpipe.raw.sample import Sample
from segpipe.runtime.errors import DataError
from segpipe.runtime.findings import Finding, about

_VALUES_V = np.arange(256, dtype=np.uint8)


@dataclass(frozen=True)
class PairContext:
    """What is the same for all pairs. written: the scheme that the predictions are read by.

    train_ids: whether they are said to hold train ids.
    """

    predictions: Path
    truth: Path
    scheme: LabelScheme
    written: LabelScheme
    train_ids: bool
    boundaries: tuple[float, ...]


@dataclass(frozen=True)
class PairResult:
    """What a worker says of a pair. counts: None where it cannot be scored. faults: lines by kind.

    largest: of the predicted numbers but 255; None where the prediction holds colours.
    """

    counts: EvaluationCounts | None
    faults: tuple[tuple[str, str], ...] = ()
    largest: int | None = None


def no_counts(context: PairContext) -> EvaluationCounts:
    """Return empty counts of the measures that are asked for."""
    return EvaluationCounts.of(
        context.scheme.classes, False, context.boundaries, scheme=context.scheme
    )


def count_pair(sample: Sample, context: PairContext) -> PairResult:
    """Read and count a pair; what is wrong with it is told, not raised."""
    _keep_freed_memory()
    paths = context.predictions / sample.image, context.truth / str(sample.mask)
    schemes = _kept(context.written), _kept(context.scheme)
    faults: list[tuple[str, str]] = []
    masks = [_loaded(path, scheme, faults) for path, scheme in zip(paths, schemes, strict=True)]
    counts_VV = _count_values(masks)
    for kind, path, mask, scheme in zip(
        ("prediction_values", "truth_values"), paths, masks, schemes, strict=True
    ):
        faults += [] if mask is None else _faults(kind, path, mask, scheme)
    prediction, truth = masks
    if prediction and truth and prediction.picture.size != truth.picture.size:
        (width, height), (true_width, true_height) = prediction.picture.size, truth.picture.size
        sizes = f"has {height} x {width} pixels, its truth {true_height} x {true_width}"
        faults.append(("wrong_size", f"{paths[0]}: {sizes}"))
    if faults or not (prediction and truth):
        return PairResult(None, tuple(faults))
    counts, instances_hw = no_counts(context), None
    if counts.needs_instances and sample.instances is not None:
        path = context.truth / sample.instances
        try:
            instances_hw = read_instances(path, truth.picture.size[::-1])
        except DataError as error:
            return PairResult(None, (("unreadable", str(error)),))
    counts.update(_MaskPair(sample, prediction, truth, schemes, counts_VV, instances_hw))
    numbers = [value for value in prediction.values if value != VOID]
    return PairResult(counts, largest=None if prediction.painted else max(numbers, default=0))


class _MaskPair(ScoredImage):
    """A pair of masks, which become train ids when a measure asks for them: most ask for counts alone.

    schemes: of the prediction and of the truth. counts_VV: of raw values; None where the train ids must
    be counted. instances_hw: as in ScoredImage.
    """

    def __init__(
        self,
        sample: Sample,
        prediction: MaskFile,
        truth: MaskFile,
        schemes: tuple[LabelScheme, LabelScheme],
        counts_VV: NDArray[np.int64] | None,
        instances_hw: NDArray[np.int32] | None,
    ) -> None:
        vars(self).update(
            sample=sample,
            scored_mask_hw=np.ones(truth.picture.size[::-1], np.bool_),
            classes=schemes[1].num_classes,
            instances_hw=instances_hw,
        )
        if counts_VV is not None:
            by_value = (scheme.encode(_VALUES_V)[0] for scheme in schemes)
            self.confusion_KP = label_confusion(counts_VV, self.classes, *by_value)
        self._masks, self._schemes = (prediction, truth), schemes

    @cached_property
    def prediction_hw(self) -> NDArray[np.uint8]:
        return self._masks[0].encoded(self._schemes[0], self._masks[0].picture)

    @cached_property
    def truth_hw(self) -> NDArray[np.uint8]:
        return self._masks[1].encoded(self._schemes[1], self._masks[1].picture)


def _loaded(path: Path, scheme: LabelScheme, faults: list[tuple[str, str]]) -> MaskFile | None:
    try:
        return load_mask(path, scheme)
    except DataError as error:
        faults.append(("unreadable", str(error)))
        return None


def _count_values(masks: Sequence[MaskFile | None]) -> NDArray[np.int64] | None:
    """Count the pairs of values of a prediction and its truth, and so the values of each.

    None, and nothing is counted, unless both hold numbers of 8 bits and have one size.
    """
    prediction, truth = masks
    if not (prediction and truth and prediction.picture.size == truth.picture.size):
        return None
    if not prediction.picture.mode == truth.picture.mode == "L":
        return None
    counts_VV = pair_counts(np.asarray(prediction.picture), np.asarray(truth.picture))
    for mask, axis in ((prediction, 0), (truth, 1)):
        pixels = enumerate(counts_VV.sum(axis).tolist())
        mask.values = {value: count for value, count in pixels if count}
    return counts_VV


def _faults(
    kind: str, path: Path, mask: MaskFile, scheme: LabelScheme
) -> Iterator[tuple[str, str]]:
    """Yield what is wrong with a mask that was read; kind: of the fault that values are unknown."""
    try:
        mask.check(path, scheme)
    except DataError as error:
        yield "unreadable", str(error)
        return
    if unknown := sorted(mask.unknown(scheme)):
        shown = [colour_text(value) if mask.painted else str(value) for value in unknown]
        yield kind, f"{path}: {', '.join(shown[:10])}{' ...' * (len(shown) > 10)}"


@cache
def _keep_freed_memory() -> None:
    """Let this process keep the memory of an image for the next one, where the C library is glibc.

    It gives freed memory back to the system beyond twice the largest block that was freed, and the
    page faults of asking anew take a fifth of the time of decoding. The block is never touched.
    """
    np.empty(31 << 20, np.uint8)


@cache
def _kept(scheme: LabelScheme) -> LabelScheme:
    """Return the first scheme that was equal, which has its tables already: a job brings a new one."""
    return scheme


def pair_findings(faults: Mapping[str, Sequence[str]], context: PairContext) -> list[Finding]:
    """Return the faults of all pairs as errors; faults: lines by kind."""
    name = context.scheme.name
    meant = "choose the scheme that the masks were made with, or add the values to the class file"
    predicted = f"{meant}; train ids 0..K-1 are read with `--predictions train-ids`"
    if context.train_ids:
        predicted = (
            f"with `--predictions train-ids` they are 0..{context.scheme.num_classes - 1}, and 255 for "
            "no answer; leave it out where they are ids"
        )
    texts = {
        "unreadable": ("{n} label images cannot be read", "restore them"),
        "wrong_size": (
            "{n} predictions do not have the size of their truth",
            "write them at the size of the truth; nothing is resized here",
        ),
        "truth_values": (f"{{n}} masks hold values that the scheme {name} does not know", meant),
        "prediction_values": (
            f"{{n}} predictions hold values that the scheme {name} does not know",
            predicted,
        ),
    }
    return [
        finding
        for kind, (text, repair) in texts.items()
        for finding in about(faults.get(kind, ()), kind, text, repair)
    ]
