"""Label images of any program against the truth: the same measures as of segpipe's own models."""

import os
from collections.abc import Sequence
from concurrent.futures.process import BrokenProcessPool
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Literal

import numpy as np
from pydantic import ValidationError

from segpipe.evaluation.counts import EvaluationCounts
from segpipe.evaluation.label_folders import paired_photographs, paired_samples
from segpipe.evaluation.label_pair import PairContext, count_pair, no_counts, pair_findings
from segpipe.evaluation.report import EvaluationReport, label_report
from segpipe.evaluation.score_report import score_reproduction, write_score_report
from segpipe.labels.colours import void_colour
from segpipe.labels.load import scheme_at
from segpipe.labels.scheme import VOID, LabelScheme, RawLabel
from segpipe.params.prepare import SplitParams
from segpipe.params.schema import EvaluateParams
from segpipe.raw.sample import Sample
from segpipe.results.evaluation import Evaluation
from segpipe.results.evaluation_tables import RESULT_FILES, ConfusionCell
from segpipe.results.records import read_record
from segpipe.runtime.atomic import atomic_dir
from segpipe.runtime.console import progress
from segpipe.runtime.errors import DataError, ParameterError, listing
from segpipe.runtime.findings import refuse
from segpipe.runtime.validation import faults_of
from segpipe.runtime.workers import ordered_map

# A worker takes seconds to start, since it imports torch; one process scores so many pairs meanwhile.
_PAIRS_A_PROCESS = 128

Values = Literal["ids", "train-ids"]


def score(
    predictions: str | Path,
    truth: str | Path,
    scheme: str | LabelScheme,
    *,
    out: str | Path | None = None,
    values: Values | None = None,
    group: str | None = None,
    boundaries: Sequence[float] = (),
    images: str | Path | None = None,
    processes: int | None = None,
) -> Evaluation:
    """Score a folder of predicted label images against one of true ones.

    scheme: a built-in name, or the path of a CSV or YAML file. out: the folder of evaluation.json, its
    tables and report.html; an earlier result there is replaced. images: a folder of the photographs,
    which the report shows beside the masks. values: what numbers in the predictions mean, the
    data set's ids or train ids; None takes them as ids, and refuses those that could be either.
    Files of RGB hold colours. Where a prediction holds 255, and no class has this value, it
    gives no answer, which misses the true class and is a false alarm of none. group: a pattern with
    one (group), as `sample_groups` takes it. boundaries: widths in percent of the image's diagonal.
    processes: None for as many as are worth it; the result does
    not depend on it.

    Raises ParameterError or DataError, with all files concerned, for truth without prediction, files
    that cannot be read, values that are not in the scheme, and sizes that differ: nothing is resized.
    """
    checked = _checked_options(boundaries, group)
    found = scheme_at(scheme) if isinstance(scheme, str) else scheme
    if out is not None:
        refuse_other_files(Path(out))
        _refuse_lost_evaluation(Path(out))
    folders = Path(predictions), Path(truth)
    by_train_id = holds_train_ids(found)
    samples = paired_samples(*folders, (values == "train-ids" or by_train_id, by_train_id), group)
    context = PairContext(
        predictions=folders[0],
        truth=folders[1],
        scheme=found,
        written=_train_id_scheme(found) if values == "train-ids" else with_no_answer(found),
        train_ids=values == "train-ids",
        boundaries=tuple(checked.boundaries),
    )
    photographs = {} if images is None else paired_photographs(Path(images), samples)
    counts, largest = count_pairs(samples, context, processes)
    report = label_report(counts, found, folders[1].resolve().name)
    refuse_void_truth(report, folders[1])
    if values is None and largest is not None:
        _refuse_likely_train_ids(report, largest, found)
    if out is not None:
        used = {"out": out, "predictions": values, "group": group, "boundaries": boundaries}
        how = score_reproduction(samples, context, scheme, {**used, "images": images})
        with atomic_dir(Path(out)) as partial_folder:
            report.write(partial_folder)
            write_score_report(partial_folder, report, samples, context, photographs, how)
    return report.evaluation


def _checked_options(boundaries: Sequence[float], group: str | None) -> EvaluateParams:
    """Return the options within the limits of those in params.yaml; else ParameterError."""
    try:
        SplitParams(group=group)
        return EvaluateParams(boundaries=list(boundaries))
    except ValidationError as error:
        raise ParameterError(listing(faults_of(error))) from error


def holds_train_ids(scheme: LabelScheme) -> bool:
    """Return whether the raw ids are the train ids, as in cityscapes19_trainids."""
    return np.array_equal(scheme.raw_ids_K, np.arange(scheme.num_classes))


def _train_id_scheme(scheme: LabelScheme) -> LabelScheme:
    """Return the scheme of images that hold 0..K-1, and 255 for no answer."""
    colours = scheme.palette_K3.tolist()
    raw = tuple(
        RawLabel(k, name, (red, green, blue), k)
        for k, (name, (red, green, blue)) in enumerate(zip(scheme.classes, colours, strict=True))
    )
    return with_no_answer(replace(scheme, raw=raw))


def with_no_answer(scheme: LabelScheme) -> LabelScheme:
    """Add what segpipe and others write where they give no answer, as far as no label has it."""
    known = {label.id for label in scheme.raw}
    added = sorted({VOID, scheme.void_id} - known)
    labels = (RawLabel(value, "no answer", void_colour(scheme.raw), VOID) for value in added)
    return replace(scheme, raw=(*scheme.raw, *labels))


def count_pairs(
    samples: Sequence[Sample], context: PairContext, processes: int | None
) -> tuple[EvaluationCounts, int | None]:
    """Return the counts of all pairs, and the largest predicted number; DataError for any fault."""
    if processes is None:
        processes = min(os.cpu_count() or 1, max(1, len(samples) // _PAIRS_A_PROCESS))
    counts, largest = no_counts(context), 0
    faults: dict[str, list[str]] = {}
    in_numbers = True
    pairs = ordered_map(partial(count_pair, context=context), samples, processes)
    try:
        for pair in progress(pairs, "score", "image", len(samples)):
            for kind, line in pair.faults:
                faults.setdefault(kind, []).append(line)
            if pair.counts is not None:
                counts.merge(pair.counts)
            in_numbers &= pair.largest is not None
            largest = max(largest, pair.largest or 0)
    except BrokenProcessPool as error:
        raise DataError(
            "a worker process died while it read the images; the machine may be out of memory"
        ) from error
    refuse(pair_findings(faults, context))
    return counts, largest if in_numbers else None


def refuse_void_truth(report: EvaluationReport, truth: Path) -> None:
    """Raise DataError when no pixel below `truth` can be scored."""
    if not report.evaluation.protocol.pixels:
        raise DataError(f"{truth}: every pixel is void, so there is nothing to score")


def _refuse_likely_train_ids(report: EvaluationReport, largest: int, scheme: LabelScheme) -> None:
    """Refuse predictions that hold nothing above K-1, void ids among it: they may be train ids."""
    cells = report.tables[ConfusionCell]
    no_answer = any(
        isinstance(c, ConfusionCell) and c.predicted == "void" and c.count for c in cells
    )
    if largest < scheme.num_classes and no_answer and not holds_train_ids(scheme):
        raise DataError(
            f"the predictions hold no value above {largest}, and some of their values mean void in the "
            f"scheme {scheme.name}: they may be train ids 0..{scheme.num_classes - 1}, as mmsegmentation "
            "writes them; say what they are with `--predictions train-ids` or `--predictions ids`"
        )


def refuse_other_files(folder: Path) -> None:
    """Raise ParameterError when `folder` holds what no earlier score has written."""
    if folder.exists() and not folder.is_dir():
        raise ParameterError(f"{folder}: is a file; the result needs a folder")
    others = sorted(
        path.name
        for path in (folder.iterdir() if folder.is_dir() else ())
        if path.name not in RESULT_FILES
    )
    if others:
        raise ParameterError(
            f"{folder}: holds files that are no result of score and would be lost; name a new or empty "
            f"folder:\n{listing(others)}"
        )


def _refuse_lost_evaluation(folder: Path) -> None:
    """Raise ParameterError when `folder` holds the evaluation of a model."""
    earlier = folder / Evaluation.file
    if earlier.is_file() and not read_record(Evaluation, earlier).protocol.of_labels_alone:
        raise ParameterError(
            f"{folder}: holds the evaluation of a model, which would be lost; name another folder"
        )
