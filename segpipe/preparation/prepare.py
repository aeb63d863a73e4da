"""Raw samples become prepared arrays: checked, resized and counted in parallel (docs/data-format.md)."""

import hashlib
import os
import shutil
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import numpy as np

from segpipe.dataset.digests import write_row_digests, write_sums
from segpipe.dataset.layout import (
    DESCRIPTION,
    FORMAT,
    IMAGES,
    INDEX,
    MASKS,
    STORED_SPLITS,
    Row,
    write_index,
)
from segpipe.labels.scheme import LabelScheme
from segpipe.preparation.copies import refuse_impossible
from segpipe.preparation.pool import sample_results
from segpipe.preparation.sample_job import PrepareContext, SampleJob, SampleResult
from segpipe.preparation.sample_stats import SampleStats, Survey
from segpipe.preparation.statistics import Totals
from segpipe.raw.input_spec import InputSpec
from segpipe.raw.sample import SPLITS, Sample
from segpipe.runtime.atomic import write_json
from segpipe.runtime.errors import DataError, listing

Samples = Mapping[str, Sequence[Sample]]


def survey_data(samples: Samples, context: PrepareContext) -> Survey:
    """Read and check every file of every split, in parallel; nothing is written."""
    jobs = [SampleJob(sample, split) for split in samples for sample in samples[split]]
    found = zip(jobs, sample_results(jobs, context, "check"), strict=True)
    return Survey([_own_stats(job, result) for job, result in found], tuple(context.excluded))


def prepare_data(
    samples: Samples, context: PrepareContext, target: Path
) -> tuple[Survey, dict[str, Totals]]:
    """Fill the folder `target` with the prepared arrays of `samples` (by split).

    Every file of every split is read and checked; the arrays are made for train and val, offline
    copies for train alone. What is wrong with files stands in the survey that is returned, with the
    totals by split; the arrays are of use only where nothing is. Of each sample a few hundred bytes
    are kept; the workers write the arrays straight into their place on the disk.

    Raises ParameterError when the copies that are asked for cannot be made of such data, DataError
    when labels.exclude_images_with leaves a split empty.
    """
    if context.prepare.copies.count:
        files = context.files
        refuse_impossible(context.prepare.copies, len(files.channels), files.truth_ratio > 1)
    plans = {split: _lay_out(split, samples[split], context, target) for split in samples}
    survey, made = Survey([], tuple(context.excluded)), _Made(context.scheme)
    jobs = [job for plan in plans.values() for job in plan]
    for job, result in zip(jobs, sample_results(jobs, context, "prepare"), strict=True):
        survey.samples.append(_own_stats(job, result))
        made.add(job, result)
    _refuse_all_excluded(made, survey)
    if all(stats.good for stats in survey.samples) and made.kept["train"]:
        for split, plan in plans.items():
            _finish(plan, made.kept[split], target / split)
            if split in STORED_SPLITS:
                write_row_digests(target / split, made.digests[split])
        write_json(target / DESCRIPTION, _describe(context, made, survey))
        write_sums(target)
    return survey, made.totals


@dataclass
class _Made:
    """What is summed up while the samples are prepared, in their order."""

    scheme: LabelScheme
    totals: dict[str, Totals] = field(default_factory=dict)
    kept: dict[str, list[SampleJob]] = field(default_factory=dict)
    digests: dict[str, list[bytes]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._hash = hashlib.blake2b(repr(self.scheme).encode(), digest_size=16)
        for split in SPLITS:
            self.totals[split], self.kept[split], self.digests[split] = Totals(), [], []

    def add(self, job: SampleJob, result: SampleResult) -> None:
        if result.stats.excluded:
            return
        self.kept[job.split].append(job)
        self.digests[job.split].extend(result.digests)
        self.totals[job.split].add(result.rows)
        # The words of both classes are part of the fingerprint: their names and fields stay.
        self._hash.update(repr(job.sample).encode() + b"".join(result.digests))

    @property
    def fingerprint(self) -> str:
        return self._hash.hexdigest()


def _describe(context: PrepareContext, made: _Made, survey: Survey) -> dict[str, object]:
    """Return the content of dataset.json."""
    mean, std = made.totals["train"].mean_and_std()
    prepare, scheme = context.prepare, context.scheme
    spec = InputSpec(
        files=context.files,
        height=prepare.height,
        width=prepare.width,
        fit=prepare.fit,
        frames=len(made.kept["train"][0].sample.frames) + 1,
        mean=mean,
        std=std,
    )
    return {
        "format": FORMAT,
        "input": spec.to_json(),
        "scheme": asdict(scheme),
        "splits": {split: total.describe(scheme) for split, total in made.totals.items()},
        "excluded": survey.excluded,
        "fingerprint": made.fingerprint,
    }


def _lay_out(
    split: str, members: Sequence[Sample], context: PrepareContext, target: Path
) -> list[SampleJob]:
    """Make a split's folder and empty arrays; return who fills which rows."""
    stored = split in STORED_SPLITS
    each = 1 + (context.prepare.copies.count if split == "train" else 0)
    folder = target / split
    folder.mkdir()
    if stored and members:
        _allocate(folder, len(members) * each, len(members[0].frames) + 1, context)
    return [
        SampleJob(sample, split, folder if stored else None, place * each, each)
        for place, sample in enumerate(members)
    ]


def _own_stats(job: SampleJob, result: SampleResult) -> SampleStats:
    """Return the statistics with the job's own names: what came from a worker is a copy of them."""
    stats = result.stats
    return replace(
        stats,
        sample=job.sample,
        split=job.split,
        image_mode=sys.intern(stats.image_mode),
        mask_mode=sys.intern(stats.mask_mode),
    )


def _refuse_all_excluded(made: "_Made", survey: Survey) -> None:
    empty = [split for split in STORED_SPLITS if not made.kept[split]]
    if empty and survey.labels:
        counts = [f"{name}: {images} images" for name, images in survey.excluded.items()]
        raise DataError(
            f"params.yaml: labels.exclude_images_with leaves no image in {' and '.join(empty)}; "
            f"take labels out of the list:\n{listing(counts)}"
        )


def _finish(plan: list[SampleJob], kept: list[SampleJob], folder: Path) -> None:
    """Close up the rows of samples that were left out, and write the index of the others."""
    if len(kept) < len(plan) and plan[0].folder is not None:
        clip = len(plan[0].sample.frames) + 1
        rows = [job.first_row + copy for job in kept for copy in range(job.rows)]
        for name, each in ((IMAGES, clip), (MASKS, 1)):
            _keep(folder / name, [row * each + part for row in rows for part in range(each)])
    write_index(folder / INDEX, [Row(job.sample, copy) for job in kept for copy in range(job.rows)])


def _keep(path: Path, rows: list[int]) -> None:
    """Write the array anew with these rows alone, one at a time."""
    whole = np.load(path, mmap_mode="r")
    smaller = path.with_suffix(".kept.npy")
    shape = len(rows), *whole.shape[1:]
    kept = np.lib.format.open_memmap(smaller, "w+", whole.dtype, shape)
    for place, row in enumerate(rows):
        kept[place] = whole[row]
    kept.flush()
    del kept, whole
    shutil.move(smaller, path)


def _allocate(folder: Path, rows: int, clip: int, context: PrepareContext) -> None:
    """Make the arrays at their full size, so that the workers can fill their rows in any order."""
    prepare, files = context.prepare, context.files
    sides, ratio = (prepare.height, prepare.width), files.truth_ratio
    truth = tuple(side // ratio for side in sides)
    for name, dtype, shape in (
        (IMAGES, files.dtype, (rows * clip, *sides, len(files.channels))),
        (MASKS, np.uint8, (rows, *truth)),
    ):
        np.lib.format.open_memmap(folder / name, "w+", dtype, shape).flush()
        _reserve(folder / name)


def _reserve(path: Path) -> None:
    """Take the disk space of a file at once: writing to a mapped file on a full disk kills."""
    if hasattr(os, "posix_fallocate"):
        with path.open("r+b") as file:
            os.posix_fallocate(file.fileno(), 0, path.stat().st_size)
