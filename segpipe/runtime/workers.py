"""Worker processes and threads of a command, which leave when it does."""

import contextlib
import multiprocessing
import os
import signal
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor, Future, ProcessPoolExecutor
from typing import TypeVar

from segpipe.runtime.process_exit import uninterrupted, watch_parent

Job = TypeVar("Job")
Pool = TypeVar("Pool", bound=Executor)
Result = TypeVar("Result")


@contextlib.contextmanager
def closing(pool: Pool) -> Iterator[Pool]:
    """Yield a pool; at the end drop the jobs that wait, and wait for those that run.

    No signal cuts that wait short (`uninterrupted`).
    """
    try:
        yield pool
    finally:
        with uninterrupted():
            pool.shutdown(cancel_futures=True)


def usable_cores() -> int:
    """Return the number of cores that this process may use, which a scheduler can have limited."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def worker_pool(processes: int) -> contextlib.AbstractContextManager[ProcessPoolExecutor]:
    """Return a pool of so many worker processes, as `closing` closes it.

    An interruption is the stage's to handle: a Ctrl-C, which reaches all processes of a terminal,
    does not end the workers. Killed with kill -9, the stage takes them along. Whatever submits jobs
    does it in `uninterrupted`, since that starts workers.
    """
    # A forked copy of a process with running threads can hang; a spawned one starts clean.
    context = multiprocessing.get_context("spawn")
    return closing(ProcessPoolExecutor(processes, context, initializer=_begin))


def ordered_map(
    function: Callable[[Job], Result], jobs: Iterable[Job], processes: int
) -> Iterator[Result]:
    """Yield `function(job)` for each job, in the jobs' order, whichever worker is faster.

    With fewer than 2 processes all is done in this one. Only a few results are held at once,
    however many jobs there are.
    """
    if processes < 2:
        yield from map(function, jobs)
        return
    with worker_pool(processes) as pool:
        for _, begun in begun_ahead(pool, function, jobs, 3 * processes):
            yield begun.result()


def begun_ahead(
    pool: Executor, function: Callable[[Job], Result], jobs: Iterable[Job], limit: int
) -> Iterator[tuple[Job, "Future[Result]"]]:
    """Yield each job and its future, in the jobs' order; up to `limit` later ones are begun by then."""
    waiting: deque[tuple[Job, Future[Result]]] = deque()
    for job in jobs:
        with uninterrupted():
            waiting.append((job, pool.submit(function, job)))
        if len(waiting) > limit:
            yield waiting.popleft()
    yield from waiting


def _begin() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    watch_parent()
