"""A pair of label images, read and counted, and what is wrong with such pairs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np

from segpipe.evaluation.counts import EvaluationCounts
from segpipe.evaluation.measure import ScoredImage
from segpipe.labels.scheme import VOID, LabelScheme, colour_text
from segpipe.raw.pictures.files import open_mask
from segpipe.raw.sample import Sample
from segpipe.runtime.errors import DataError
from segpipe.runtime.findings import Finding, about


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
    predicted_path, true_path = context.predictions / sample.image, context.truth / str(sample.mask)
    faults: list[tuple[str, str]] = []
    read = []
    for kind, path, scheme in (
        ("prediction_values", predicted_path, _kept(context.written)),
        ("truth_values", true_path, _kept(context.scheme)),
    ):
        try:
            mask = open_mask(path, scheme)
        except DataError as error:
            faults.append(("unreadable", str(error)))
            continue
        if unknown := sorted(mask.unknown(scheme)):
            shown = [colour_text(value) if mask.painted else str(value) for value in unknown]
            faults.append((kind, f"{path}: {', '.join(shown[:10])}{' ...' * (len(shown) > 10)}"))
        read.append((mask, mask.encoded(scheme, mask.picture)))
    if len(read) == 2 and read[0][1].shape != read[1][1].shape:
        (height, width), (true_height, true_width) = (labels_hw.shape for _, labels_hw in read)
        sizes = f"has {height} x {width} pixels, its truth {true_height} x {true_width}"
        faults.append(("wrong_size", f"{predicted_path}: {sizes}"))
    if faults:
        return PairResult(None, tuple(faults))
    (mask, prediction_hw), (_, truth_hw) = read
    counts, every = no_counts(context), np.ones(truth_hw.shape, np.bool_)
    image = ScoredImage(sample, truth_hw, prediction_hw, every, len(context.scheme.classes))
    counts.update(image)
    numbers = [value for value in mask.values if value != VOID]
    return PairResult(counts, largest=None if mask.painted else max(numbers, default=0))


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
