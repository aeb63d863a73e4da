"""The devices that share the files of a folder: each has a thread, and takes its turn of the jobs."""

import contextlib
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import cycle
from typing import TypeVar

import torch

from segpipe.inference.predictor import Predictor
from segpipe.runtime.errors import DataError
from segpipe.runtime.process_exit import uninterrupted
from segpipe.runtime.workers import closing

Job = TypeVar("Job")
Result = TypeVar("Result")
_AHEAD = 2  # jobs a device that are begun before their results are asked for


def on_devices(
    predictors: Sequence[Predictor],
    function: Callable[[Predictor, Job], Iterator[Result]],
    jobs: Iterable[Job],
) -> Generator[Result, None, None]:
    """Yield what `function` yields for each job, in the jobs' order.

    Job i goes to predictor i modulo their number, however fast each is, so that the same device makes
    the same results each time. A single predictor works in the calling thread, when a result is asked
    for. At the end, also an early one, the threads leave at their next call of a network.
    """
    if len(predictors) == 1:
        for job in jobs:
            yield from function(predictors[0], job)
        return
    waiting: deque[Future[list[Result]]] = deque()

    def work(predictor: Predictor, job: Job) -> list[Result]:
        return list(function(predictor, job))

    with contextlib.ExitStack() as stack:
        # Done in the opposite order: threads are told to leave, waited for, and may be used again.
        for one in predictors:
            stack.callback(one.cancelled.clear)
        pools = [
            stack.enter_context(closing(ThreadPoolExecutor(1, f"predict on {one.device}")))
            for one in predictors
        ]
        for one in predictors:
            stack.callback(one.cancelled.set)
        turns = cycle(zip(predictors, pools, strict=True))
        for job, (predictor, pool) in zip(jobs, turns, strict=False):
            with uninterrupted():
                waiting.append(pool.submit(work, predictor, job))
            if len(waiting) > _AHEAD * len(predictors):
                yield from waiting.popleft().result()
        while waiting:
            yield from waiting.popleft().result()


@contextlib.contextmanager
def device_named(device: torch.device) -> Iterator[None]:
    """Turn what torch raises where a device fails, or has too little memory, into a DataError."""
    try:
        yield
    except RuntimeError as error:
        cause = str(error).partition("\n")[0]
        raise DataError(f"could not be predicted on {device}: {cause}") from error
