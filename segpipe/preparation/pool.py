"""Tasks shared out to worker processes, their outcomes in order."""

import os
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures.process import BrokenProcessPool
from functools import partial
from itertools import chain, groupby

from segpipe.preparation.task import Outcome, Task, Work, work
from segpipe.runtime.console import progress
from segpipe.runtime.errors import DataError
from segpipe.runtime.workers import worker_pool

# Starting a process takes as long as reading a few dozen small images.
_WORTH_A_PROCESS = 16
# Outcomes come back together; a raster of thousands of windows must not fill the memory with them.
_MOST_TOGETHER = 32


def outcomes(tasks: Sequence[Task], shared: Work, verb: str) -> Iterable[Outcome]:
    """Yield each task's outcome, in the tasks' order, under a progress bar.

    The subtiles of one tile go to one worker, which then reads it once.
    """
    groups = [
        members[start : start + _MOST_TOGETHER]
        for members in _by_image(tasks)
        for start in range(0, len(members), _MOST_TOGETHER)
    ]
    processes = min(os.cpu_count() or 1, max(1, len(groups) // _WORTH_A_PROCESS))
    if shared.reading.kind == "esd":  # a tile takes seconds
        processes = min(os.cpu_count() or 1, len(groups))
    one = partial(work, shared=shared)
    done = map(one, groups) if processes == 1 else _mapped(one, groups, processes)
    return progress(chain.from_iterable(done), verb, "image", len(tasks))


def _by_image(tasks: Sequence[Task]) -> list[list[Task]]:
    return [list(members) for _, members in groupby(tasks, key=lambda task: task.sample.image)]


def _mapped(
    one: partial[list[Outcome]], groups: Sequence[Sequence[Task]], processes: int
) -> Iterator[list[Outcome]]:
    """Yield the outcomes in the tasks' order, so that nothing depends on which worker is faster."""
    chunk = max(1, min(4, len(groups) // (4 * processes)))
    try:
        with worker_pool(processes) as pool:
            try:
                yield from pool.map(one, groups, chunksize=chunk)
            except BaseException:
                pool.shutdown(cancel_futures=True)
                raise
    except BrokenProcessPool as error:
        raise DataError(
            "a worker process died while it read the images; the machine may be out of memory"
        ) from error
