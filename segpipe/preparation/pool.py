"""Sample jobs, distributed over worker processes; their results come in order."""

from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures.process import BrokenProcessPool
from functools import partial
from itertools import chain, groupby

from segpipe.preparation.sample_job import (
    PrepareContext,
    SampleJob,
    SampleResult,
    process_samples,
)
from segpipe.raw.build import build_reader
from segpipe.runtime.console import progress
from segpipe.runtime.errors import DataError
from segpipe.runtime.process_exit import uninterrupted
from segpipe.runtime.workers import usable_cores, worker_pool

# Results come back together; a raster of thousands of windows must not fill the memory with them.
_MOST_TOGETHER = 32


def sample_results(
    jobs: Sequence[SampleJob], context: PrepareContext, verb: str
) -> Iterable[SampleResult]:
    """Yield each job's result, in the jobs' order, under a progress bar.

    The subtiles of one tile go to one worker, which then reads it once.
    """
    groups = [
        members[start : start + _MOST_TOGETHER]
        for members in _by_image(jobs)
        for start in range(0, len(members), _MOST_TOGETHER)
    ]
    worth_it = len(groups) // build_reader(context.files).samples_a_process
    processes = min(usable_cores(), max(1, worth_it))
    process = partial(process_samples, context=context)
    results = map(process, groups) if processes == 1 else _mapped(process, groups, processes)
    return progress(chain.from_iterable(results), verb, "image", len(jobs))


def _by_image(jobs: Sequence[SampleJob]) -> list[list[SampleJob]]:
    return [list(members) for _, members in groupby(jobs, key=lambda job: job.sample.image)]


def _mapped(
    process: partial[list[SampleResult]], groups: Sequence[Sequence[SampleJob]], processes: int
) -> Iterator[list[SampleResult]]:
    """Yield the results in the jobs' order, so that nothing depends on which worker is faster."""
    chunk = max(1, min(4, len(groups) // (4 * processes)))
    try:
        with worker_pool(processes) as pool:
            with uninterrupted():
                results = pool.map(process, groups, chunksize=chunk)
            yield from results
    except BrokenProcessPool as error:
        raise DataError(
            "a worker process died while it read the images; the machine may be out of memory"
        ) from error
