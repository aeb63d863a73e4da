"""Raw samples become prepared arrays: checked, resized and counted in parallel (docs/data-format.md)."""

import hashlib
import multiprocessing
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from functools import partial
from pathlib import Path

import numpy as np

from segpipe.atomic import write_json
from segpipe.console import progress
from segpipe.errors import DataError, listing
from segpipe.labels.scheme import LabelScheme
from segpipe.params.schema import PrepareParams
from segpipe.sample import Sample
from segpipe.storage.layout import (
    DESCRIPTION,
    FORMAT,
    IMAGES,
    INDEX,
    MASKS,
    STORED_SPLITS,
    Row,
    write_index,
)
from segpipe.storage.statistics import Totals, mean_and_std
from segpipe.storage.task import Outcome, Task, work


def prepare_data(
    samples: Mapping[str, Sequence[Sample]],
    raw: Path,
    scheme: LabelScheme,
    prepare: PrepareParams,
    target: Path,
) -> None:
    """Fill the folder `target` with the prepared arrays of `samples` (by split).

    Every file of every split is read and checked; the arrays are made for train and val, offline
    copies for train alone. Memory does not grow with the number of samples: workers write each
    sample straight into its place of the arrays on the disk.

    Raises DataError, listing all offenders of each kind, when a split is empty or files are
    unreadable, of different sizes or hold values outside the scheme.
    """
    refuse_empty(samples)
    tasks = [task for split in samples for task in _lay_out(split, samples[split], prepare, target)]
    totals = {split: Totals() for split in samples}
    split_of_task = (split for split, members in samples.items() for _ in members)
    fingerprint = hashlib.blake2b(repr(scheme).encode(), digest_size=16)
    faulty: list[Outcome] = []
    # Only sums and faults are kept, so that memory does not grow with the data.
    for split, outcome in zip(
        split_of_task, _outcomes(tasks, raw, scheme, prepare, "prepare"), strict=True
    ):
        totals[split].add(outcome)
        fingerprint.update(repr(outcome.sample).encode() + b"".join(outcome.digests))
        if not outcome.good:
            faulty.append(outcome)
    refuse_faulty(faulty)
    mean, std = mean_and_std(totals["train"].histogram_3x256)
    write_json(
        target / DESCRIPTION,
        {
            "format": FORMAT,
            "height": prepare.height,
            "width": prepare.width,
            "fit": prepare.fit,
            "channels": len(mean),
            "mean": mean,
            "std": std,
            "scheme": scheme.to_json(),
            "splits": {split: counted.describe(scheme) for split, counted in totals.items()},
            "fingerprint": fingerprint.hexdigest(),
        },
    )


def _lay_out(
    split: str, members: Sequence[Sample], prepare: PrepareParams, target: Path
) -> list[Task]:
    """Make a split's folder, index and empty arrays; return who fills which rows."""
    stored = split in STORED_SPLITS
    each = 1 + (prepare.copies if split == "train" else 0)
    folder = target / split
    folder.mkdir()
    write_index(folder / INDEX, [Row(sample, copy) for sample in members for copy in range(each)])
    if stored:
        _allocate(folder, len(members) * each, prepare)
    return [
        Task(sample, folder if stored else None, place * each, each)
        for place, sample in enumerate(members)
    ]


def check_data(
    samples: Mapping[str, Sequence[Sample]], raw: Path, scheme: LabelScheme, prepare: PrepareParams
) -> None:
    """Read and check every file as `prepare_data` does, and write nothing."""
    refuse_empty(samples)
    tasks = [Task(sample) for members in samples.values() for sample in members]
    outcomes = _outcomes(tasks, raw, scheme, prepare, "check")
    refuse_faulty([outcome for outcome in outcomes if not outcome.good])


def refuse_empty(samples: Mapping[str, Sequence[Sample]]) -> None:
    """Raise DataError when there is nothing to train on or nothing to validate on."""
    empty = [split for split in STORED_SPLITS if not samples[split]]
    if empty:
        counts = ", ".join(f"{split} {len(members)}" for split, members in samples.items())
        raise DataError(
            f"the split {' and '.join(empty)} is empty ({counts} samples); put images there, "
            "or share them out by prepare.split (by: ratio) in params.yaml"
        )


def refuse_faulty(outcomes: Sequence[Outcome]) -> None:
    """Raise one DataError for all that is wrong with the files, by kind."""
    faults = []
    unreadable = [reason for outcome in outcomes for reason in outcome.unreadable]
    if unreadable:
        faults.append(f"{len(unreadable)} files cannot be read:\n{listing(unreadable)}")
    mismatches = [outcome.mismatch for outcome in outcomes if outcome.mismatch]
    if mismatches:
        faults.append(
            f"{len(mismatches)} masks are not of their image's size (height x width):\n{listing(mismatches)}"
        )
    strangers = [
        f"{outcome.sample.mask}: {_value(value, outcome.painted)} in {pixels:,} pixels"
        for outcome in outcomes
        for value, pixels in sorted(outcome.unknown.items())
    ]
    if strangers:
        faults.append(
            f"{len(strangers)} times a mask holds a value outside the label scheme:\n"
            + "\n".join([listing(strangers), *_mapping(outcomes)])
        )
    if faults:
        raise DataError("\n".join(faults))


def _value(value: int, painted: bool) -> str:
    return f"colour {value >> 16},{value >> 8 & 255},{value & 255}" if painted else f"value {value}"


def _mapping(outcomes: Sequence[Outcome]) -> list[str]:
    """What would give the unknown values a meaning: a line of params.yaml, or rows of the CSV."""
    ways = []
    numbers = sorted({v for outcome in outcomes if not outcome.painted for v in outcome.unknown})
    if numbers:
        shown = ", ".join(f"{value}: void" for value in numbers[:10])
        rest = ", ..." if len(numbers) > 10 else ""
        ways.append(
            f"params.yaml: the line `map: {{{shown}{rest}}}` under labels leaves them out; with the "
            "name of a class in place of void they count as that class"
        )
    if any(outcome.painted and outcome.unknown for outcome in outcomes):
        ways.append(
            "add the colours to the CSV file of the labels (a row named void counts nowhere)"
        )
    return ways


def _allocate(folder: Path, rows: int, prepare: PrepareParams) -> None:
    """Make the arrays at their full size, so that the workers can fill their rows in any order."""
    for name, channels in ((IMAGES, (3,)), (MASKS, ())):
        shape = rows, prepare.height, prepare.width, *channels
        np.lib.format.open_memmap(folder / name, "w+", np.uint8, shape).flush()
        _reserve(folder / name)


def _reserve(path: Path) -> None:
    """Take the disk space of a file at once: writing to a mapped file on a full disk kills."""
    if hasattr(os, "posix_fallocate"):
        with path.open("r+b") as file:
            os.posix_fallocate(file.fileno(), 0, path.stat().st_size)


def _outcomes(
    tasks: Sequence[Task], raw: Path, scheme: LabelScheme, prepare: PrepareParams, verb: str
) -> Iterable[Outcome]:
    """Yield each task's outcome, in their order, under a progress bar."""
    one = partial(work, raw=raw, scheme=scheme, prepare=prepare)
    processes = min(os.cpu_count() or 1, len(tasks))
    return progress(_mapped(one, tasks, processes), verb, "image", len(tasks))


def _mapped(one: partial[Outcome], tasks: Sequence[Task], processes: int) -> Iterator[Outcome]:
    """Yield the outcomes in the tasks' order, so that nothing depends on which worker is faster."""
    context = multiprocessing.get_context("spawn")
    try:
        with ProcessPoolExecutor(processes, context) as pool:
            try:
                yield from pool.map(one, tasks, chunksize=4)
            except BaseException:
                pool.shutdown(cancel_futures=True)
                raise
    except BrokenProcessPool as error:
        raise DataError(
            "a worker process died while it read the images; the machine may be out of memory"
        ) from error
