"""Raw samples become prepared arrays: checked, resized and counted in parallel (docs/data-format.md)."""

import hashlib
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

from segpipe.dataset.digests import write_row_digests, write_sums
from segpipe.dataset.layout import DESCRIPTION, FORMAT, INDEX, STORED_SPLITS, Row, write_index
from segpipe.labels.scheme import LabelScheme
from segpipe.preparation.pool import sample_results
from segpipe.preparation.sample_job import PrepareContext, SampleJob, SampleResult
from segpipe.preparation.sample_stats import SampleStats, Survey
from segpipe.preparation.shard_arrays import Samples, allocate, close_up, plan_splits
from segpipe.preparation.shard_store import MadeShard, Part, make_shards, take_shards
from segpipe.preparation.statistics import Totals
from segpipe.raw.input_spec import InputSpec
from segpipe.raw.sample import SPLITS
from segpipe.runtime.atomic import write_json
from segpipe.runtime.errors import DataError, listing


def survey_data(samples: Samples, context: PrepareContext) -> Survey:
    """Read and check every file of every split, in parallel; nothing is written."""
    jobs = [SampleJob(sample, split) for split in samples for sample in samples[split]]
    found = zip(jobs, sample_results(jobs, context, "check"), strict=True)
    return Survey([_own_stats(job, result) for job, result in found], tuple(context.excluded))


def prepare_data(
    samples: Samples, context: PrepareContext, target: Path, store: Path | None = None
) -> tuple[Survey, dict[str, Totals]]:
    """Fill the folder `target` with the prepared arrays of `samples` (by split).

    Every file of every split is read and checked; the arrays are made for train and val, offline
    copies for train alone. What is wrong with files stands in the survey that is returned, with the
    totals by split; the arrays are of use only where nothing is. Of each sample a few hundred bytes
    are kept; the workers write the arrays straight into their place on the disk. Whole shards that
    lie in the folder `store` (`make_part`) are taken from there, and their samples are not read; the
    result has the same bytes.

    Raises ParameterError when the copies that are asked for cannot be made of such data, DataError
    when labels.exclude_images_with leaves a split empty.
    """
    plans, shards = plan_splits(samples, context, target)
    jobs = [job for plan in plans.values() for job in plan]
    for split in plans:
        (target / split).mkdir()
    taken = take_shards(store, jobs) if store is not None else {}
    survey, made = Survey([], tuple(context.excluded)), _Made(context.scheme)
    for shard in taken.values():
        made.totals[shard.split].merge(shard.totals)
    for job, result in _in_order(jobs, taken, context):
        survey.samples.append(_own_stats(job, result))
        made.add(job, result, counted=job.shard_name in taken)
    _refuse_all_excluded(made, survey)
    if all(stats.good for stats in survey.samples) and made.kept["train"]:
        for split, plan in plans.items():
            _finish(plan, made.kept[split], target / split)
            if split in STORED_SPLITS:
                write_row_digests(target / split, made.digests[split])
        write_json(target / DESCRIPTION, {**_describe(context, made, survey), "shards": shards})
        write_sums(target)
    return survey, made.totals


def make_part(
    samples: Samples, context: PrepareContext, store: Path, part: Part
) -> tuple[int, int]:
    """Make the shards of a part that the folder `store` lacks, for a later `prepare_data` to take.

    Returns how many were made, and of how many. What is wrong with files is not judged here: it is
    kept with the shards. Raises ParameterError as `prepare_data`.
    """
    plans, _ = plan_splits(samples, context, store)
    return make_shards([job for plan in plans.values() for job in plan], context, store, part)


def _in_order(
    jobs: Sequence[SampleJob], taken: Mapping[str, MadeShard], context: PrepareContext
) -> Iterator[tuple[SampleJob, SampleResult]]:
    """Yield all jobs with their results, those of taken shards among those that are made now."""
    left = [job for job in jobs if job.shard_name not in taken]
    allocate(left, context)
    made = iter(sample_results(left, context, "prepare"))
    ready = {name: iter(shard.results) for name, shard in taken.items()}
    for job in jobs:
        yield job, next(ready.get(job.shard_name, made))
    assert next(made, None) is None  # the progress bar ends with its last item


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

    def add(self, job: SampleJob, result: SampleResult, *, counted: bool) -> None:
        """Add a sample, in the order of the samples. counted: whether its whole numbers are in."""
        if result.stats.excluded:
            return
        self.kept[job.split].append(job)
        self.digests[job.split].extend(result.digests)
        if not counted:
            self.totals[job.split].add(result.rows)
        self.totals[job.split].add_sums(result.sums)
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
        close_up(plan, kept)
    write_index(folder / INDEX, [Row(job.sample, copy) for job in kept for copy in range(job.rows)])
