"""Worker processes of a stage, which leave when it does."""

import multiprocessing
import signal
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from typing import TypeVar

from segpipe.runtime.process_exit import uninterrupted, watch_parent

Job = TypeVar("Job")
Result = TypeVar("Result")


def worker_pool(processes: int) -> ProcessPoolExecutor:
    """Return a pool of so many worker processes.

    An interruption is the stage's to handle: a Ctrl-C, which reaches all processes of a terminal,
    does not end the workers. Killed with kill -9, the stage takes them along. Whatever submits jobs
    does it in `uninterrupted`, since that starts workers.
    """
    # A forked copy of a process with running threads can hang; a spawned one starts clean.
    context = multiprocessing.get_context("spawn")
    return ProcessPoolExecutor(processes, context, initializer=_begin)


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
        waiting: deque[Future[Result]] = deque()
        try:
            for job in jobs:
                with uninterrupted():
                    waiting.append(pool.submit(function, job))
                if len(waiting) > 3 * processes:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


def _begin() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    watch_parent()
